"""Statements, reconciliations, strays, recoveries."""
