"""What a scenario makes of a day's bookings when a statement is read; the same day always comes out the same."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Any

from mock_partners.kit.clock import JAKARTA
from mock_partners.kit.scenario.vocabulary import DO, Part
from mock_partners.kit.world import Booking, Kind

NAMES = frozenset(name for name, word in DO.items() if word.part is Part.STATEMENT)
FOREIGN_RUPIAH = 12_345


def statement(do: Mapping[str, Any], now: datetime, seed: int) -> Callable[[date, list[Booking]], list[Booking]] | None:
    """The change to make, or None if the atoms have none to a statement."""
    if not NAMES & do.keys():
        return None

    def change(day: date, rows: list[Booking]) -> list[Booking]:
        shown: list[Booking] = []
        for number, row in enumerate(rows, 1):
            late = row.booked_at + timedelta(seconds=do.get("late_rows_s", 0)) > now
            if late or number % do.get("omit_rows", number + 1) == 0:
                continue
            if "wrong_rows_rupiah" in do:
                row = replace(row, amount_rupiah=do["wrong_rows_rupiah"])
            shown += [row] * (2 if number % do.get("duplicate_rows", number + 1) == 0 else 1)
            if "fee_rows_rupiah" in do:
                shown.append(replace(row, amount_rupiah=do["fee_rows_rupiah"], kind=Kind.FEE))
        shown += [_foreign(day, number) for number in range(1, do.get("foreign_rows", 0) + 1)]
        if do.get("shuffle_rows"):
            random.Random(f"{seed}:{day}").shuffle(shown)
        return shown

    return change


def _foreign(day: date, number: int) -> Booking:
    """A row of somebody else's, which no book of the programme explains."""
    name = f"FOREIGN-{day:%Y%m%d}-{number:03d}"
    at = datetime.combine(day, time(12), JAKARTA)
    return Booking(name, name, "0000000000", FOREIGN_RUPIAH, Kind.CREDIT, at)
