"""Inbox (what partners notified) and events (what the core platform is told)."""
