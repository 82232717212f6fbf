"""Links, verifications, and who owns an account."""
