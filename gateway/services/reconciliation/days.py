"""Which day of a partner's statements is asked for first: pure.

The oldest comes first, or a day that nobody gets to in time would leave the partner's reach unread; today's comes next,
so that it waits for no backlog; and a day that could not be read comes after those that were not asked for yet, so that
one that is given no more holds up none.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import NamedTuple

from gateway.clock import growing_s


class _Vain(NamedTuple):
    times: int
    """In a row."""
    until_s: float
    """Not asked for before, by the monotonic clock."""


class UnreadDays:
    """One partner's days that could not be read lately."""

    def __init__(self) -> None:
        self._vain: dict[date, _Vain] = {}

    def order(self, due: Collection[date], today: date, now_s: float) -> list[date]:
        """The days to be asked for now, in turn; what is due no more is forgotten."""
        self._vain = {day: vain for day, vain in self._vain.items() if day in due}
        ready = [day for day in due if day not in self._vain or self._vain[day].until_s <= now_s]
        first, *others = sorted(ready, key=lambda day: (self._times(day), day)) or [today]
        return [first, *sorted(others, key=lambda day: day != today)] if ready else []

    def read(self, day: date) -> None:
        """It was read."""
        self._vain.pop(day, None)

    def in_vain(self, day: date, now_s: float, first_s: float, most_s: float) -> None:
        """It could not be: it waits `first_s`, twice as long each time, `most_s` at most."""
        times = self._times(day)
        self._vain[day] = _Vain(times + 1, now_s + growing_s(first_s, 2.0, times, max(first_s, most_s)))

    def _times(self, day: date) -> int:
        return self._vain[day].times if day in self._vain else 0
