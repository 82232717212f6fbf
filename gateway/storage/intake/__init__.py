"""Batches and their staging, participants, incentives and their timers."""
