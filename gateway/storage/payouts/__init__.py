"""Payouts, their queue, what was observed of them, and the ledger."""
