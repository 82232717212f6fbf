"""What the suites know of OVO alone."""

LARGER = (600, "a bearer for each step of linking, unbinding in two calls, a NIK check and refusals of its own")
"""How many lines its adapter may have, and why (tests/test_tidy.py)."""
