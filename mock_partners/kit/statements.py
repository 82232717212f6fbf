"""The bookings of some days as a statement lists them: newest first, a page at a time (decisions X12)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from mock_partners.kit.turn import effect
from mock_partners.kit.world import Booking, World, strange_booking

PAGE_ROWS = 1_000


@dataclass(frozen=True, repr=False)
class Page:
    """One page of a statement; `pages` counts them all as they are now."""

    rows: Sequence[Booking]
    number: int
    pages: int

    @property
    def more(self) -> str:
        """SNAP's flag: whether another page follows."""
        return "Y" if self.number < self.pages else "N"


def listed(world: World, first: date, days: int = 1) -> list[Booking]:
    """The bookings of some Jakarta days from `first` on, newest first unless a scenario says otherwise."""
    rows = [booking for day in range(days) for booking in world.booked_on(first + timedelta(days=day))]
    return rows if effect("oldest_first") else rows[::-1]


def page(rows: Sequence[Booking], number: int, size: int = PAGE_ROWS) -> Page:
    """One page, counted from 1. Under a scenario's `grow_rows` so many rows came in front since the page before."""
    size = effect("page_rows", size)
    grown = effect("grow_rows", 0) * (number - 1)
    if grown and rows:
        day = rows[0].booked_at.date()
        rows = [*(strange_booking(day, f"GROWN-{one:03d}") for one in range(grown, 0, -1)), *rows]
    start = (number - 1) * size
    return Page(rows[start : start + size], number, max(-(-len(rows) // size), 1))
