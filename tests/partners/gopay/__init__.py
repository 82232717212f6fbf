"""What the suites know of GoPay alone."""

LARGER = (
    1_100,
    "two APIs beside SNAP, Iris and GoPay ID; payouts in two steps; three kinds of notifications; refusals in words",
)
"""How many lines its adapter may have, and why (tests/test_tidy.py)."""
