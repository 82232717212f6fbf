"""Faults of a row as they are told: what the row says is invalid, what is stored is a conflict."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from contracts.batch import CONFLICTS, Fault, RowFault, row_fault
from contracts.errors import Conflict, GatewayError, InvalidRequest


class RowInvalid(InvalidRequest):
    """A single row that is refused for what it says; `faults` has everything that is wrong with it."""

    title = "The row is refused"

    def __init__(self, faults: Sequence[RowFault]) -> None:
        first = faults[0]
        names = ", ".join(fault.field or "the row" for fault in faults)
        super().__init__(f"Not valid: {names}.", field=first.field, code=first.code.value, remedy=first.remedy.en)
        self.faults = tuple(faults)


class RowConflict(Conflict):
    """A single row that contradicts what is stored."""

    def __init__(self, faults: Sequence[RowFault]) -> None:
        first = faults[0]
        differ = ", ".join(first.fields) or first.field or "the instalment"
        super().__init__(
            f"It contradicts what was handed over before: {differ}.", code=first.code.value, remedy=first.remedy.en
        )
        self.field, self.faults = first.field, tuple(faults)


def refusal(stored_faults: str) -> GatewayError:
    """A single row's faults as a problem: what the row says is invalid, what is stored is a conflict."""
    faults = faults_of(stored_faults)
    return (RowConflict if faults[0].code in CONFLICTS else RowInvalid)(faults)


def faults_of(stored_faults: str) -> list[RowFault]:
    """Faults as they are stored, with what to do about each."""
    return [row_fault(fault) for fault in msgspec.json.decode(stored_faults, type=list[Fault])]
