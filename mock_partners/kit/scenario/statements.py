"""What a scenario makes of a day's bookings when a statement is read; the same day always comes out the same."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from mock_partners.kit.scenario.vocabulary import DO, Part
from mock_partners.kit.world import Booking, ChangeStatement, Kind, strange_booking

NAMES = frozenset(name for name, word in DO.items() if word.part is Part.STATEMENT)
LAST_S = 1
"""A row that is posted under yesterday stands in its last second."""


def statement(do: Mapping[str, Any], now: datetime, seed: int) -> ChangeStatement | None:
    """The change to make, or None if the atoms have none to a statement."""
    if not NAMES & do.keys():
        return None

    def change(day: date, by_day: Mapping[date, list[Booking]]) -> list[Booking]:
        shown: list[Booking] = []
        for number, row in enumerate(_posted(day, by_day, do.get("post_under_yesterday_s", 0)), 1):
            late = row.booked_at + timedelta(seconds=do.get("late_rows_s", 0)) > now
            if late or number % do.get("omit_rows", number + 1) == 0:
                continue
            if "wrong_rows_rupiah" in do:
                row = replace(row, amount_rupiah=do["wrong_rows_rupiah"])
            if "cut_references" in do:
                row = replace(row, reference=row.reference[: do["cut_references"]])
            if "repeat_numbers" in do:
                row = replace(row, partner_reference=f"{(number - 1) % do['repeat_numbers'] + 1:06d}")
            shown += [row] * (2 if number % do.get("duplicate_rows", number + 1) == 0 else 1)
            if "fee_rows_rupiah" in do:
                shown.append(replace(row, amount_rupiah=do["fee_rows_rupiah"], kind=Kind.FEE))
        names = [f"FOREIGN-{day:%Y%m%d}-{number:03d}" for number in range(1, do.get("foreign_rows", 0) + 1)]
        shown += [strange_booking(day, name) for name in names]
        names = [f"ADJUST-{day:%Y%m%d}-{number:03d}" for number in range(1, do.get("unlisted_rows", 0) + 1)]
        shown += [strange_booking(day, name, Kind.OTHER) for name in names]
        if do.get("shuffle_rows"):
            random.Random(f"{seed}:{day}").shuffle(shown)
        return shown

    return change


def _posted(day: date, by_day: Mapping[date, list[Booking]], late_s: float) -> list[Booking]:
    """A day's rows, where what is booked within `late_s` of midnight is posted under the day before."""
    if not late_s:
        return by_day.get(day, [])
    stay = [row for row in by_day.get(day, []) if _since_midnight_s(row) >= late_s]
    came = [row for row in by_day.get(day + timedelta(days=1), []) if _since_midnight_s(row) < late_s]
    back = [row.booked_at - timedelta(seconds=_since_midnight_s(row) + LAST_S) for row in came]
    return [*stay, *(replace(row, booked_at=at) for row, at in zip(came, back, strict=True))]


def _since_midnight_s(row: Booking) -> float:
    at = row.booked_at
    return (at - at.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()
