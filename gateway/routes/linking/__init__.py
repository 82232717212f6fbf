"""Links, the participant's way through them, and verifications over HTTP."""
