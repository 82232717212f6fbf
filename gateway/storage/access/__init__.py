"""Clients of the API and their idempotency keys."""
