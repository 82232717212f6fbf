"""Clients' tokens and their idempotency keys."""
