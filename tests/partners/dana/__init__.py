"""What the suites know of DANA alone."""

LARGER = (525, "a profile query that is not SNAP's, and words beside the codes of its refusals")
"""How many lines its adapter may have, and why (tests/test_tidy.py)."""
