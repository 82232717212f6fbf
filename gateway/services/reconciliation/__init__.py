"""Statements read, compared and weighed; credits nobody knows; the way back after a restore."""
