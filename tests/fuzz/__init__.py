"""Damaged notifications and replies, seeded: `python -m tests.fuzz`."""
