"""What the suites know of DANA alone."""
