"""Planted bugs that the suites must catch: the test of the tests. `python -m tests.mutants` or `make mutants`."""
