"""What the suites know of LinkAja alone."""

LARGER = (900, "its older API beside SNAP: another signature, token, envelope, form of amounts")
"""How many lines its adapter may have, and why (tests/test_tidy.py)."""
