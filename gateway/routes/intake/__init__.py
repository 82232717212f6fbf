"""Batches, incentives and participants over HTTP."""
