"""A refusal of SNAP's table, and the three that every service begins with (snap-bni.md 1.8)."""

from __future__ import annotations


class Refusal(Exception):
    """Ends a handler with a SNAP error: HTTP status and case code; the gate adds the service code."""

    def __init__(self, status: int, case: str, message: str, **fields: object) -> None:
        super().__init__(f"{status}..{case} {message}")
        self.status, self.case, self.message, self.fields = status, case, message, fields


def missing(name: str) -> Refusal:
    """400xx02 for a mandatory field."""
    return Refusal(400, "02", f"Invalid Mandatory Field {{{name}}}")


def malformed(name: str) -> Refusal:
    """400xx01 for a field of the wrong form."""
    return Refusal(400, "01", f"Invalid Field Format {{{name}}}")


def unauthorized(reason: str) -> Refusal:
    """401xx00 with its reason."""
    return Refusal(401, "00", f"Unauthorized. [{reason}]")
