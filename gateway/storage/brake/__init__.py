"""Refusals, provisional and ended, and the streams in which they are weighed."""
