"""What the suites know of BNI alone."""

LARGER = (750, "two hosts with a client each; linking and unbinding by typed card number and OTP, without a page")
"""How many lines its adapter may have, and why (tests/test_tidy.py)."""
