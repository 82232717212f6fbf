"""The only module that asks the machine for the time; a simulator puts its own in its place."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import AbstractAsyncContextManager
from datetime import UTC, date, datetime
from typing import Protocol

from contracts.jakarta import JAKARTA as JAKARTA

SKEW_S = 900.0
"""How far a partner's clock may be from ours (decisions X6, X12)."""


class Clock(Protocol):
    """Where times come from."""

    def now(self) -> datetime:
        """Aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds, for durations only."""

    def timeout(self, seconds: float) -> AbstractAsyncContextManager[object]:
        """Ends what is done inside with `TimeoutError` once so much time has gone by."""

    async def sleep(self, seconds: float) -> None:
        """Let so much time go by."""


class SystemClock:
    """The machine's."""

    def now(self) -> datetime:
        """Aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds, for durations only."""
        return time.monotonic()

    def timeout(self, seconds: float) -> AbstractAsyncContextManager[object]:
        """Ends what is done inside with `TimeoutError` once so much time has gone by."""
        return asyncio.timeout(seconds)

    async def sleep(self, seconds: float) -> None:
        """Let so much time go by."""
        await asyncio.sleep(seconds)


def growing_s(first_s: float, factor: float, steps: int, most_s: float) -> float:
    """A wait that grows by `factor` with each step up to `most_s`, however many steps there were."""
    if factor <= 1.0 or first_s <= 0.0:
        return min(first_s, most_s)
    # Beyond so many steps it is over `most_s` anyway, and the power may be too large for a float.
    enough = math.log(max(most_s / first_s, 1.0)) / math.log(factor)
    return min(first_s * factor ** min(max(steps, 0), math.ceil(enough)), most_s)


def jakarta_day(at: datetime) -> date:
    """The calendar day in Asia/Jakarta, in which due dates, deadlines and the partners' day windows are counted."""
    return at.astimezone(JAKARTA).date()


def start_of_jakarta_day(day: date) -> datetime:
    """00:00 Asia/Jakarta of that day, aware."""
    return datetime(day.year, day.month, day.day, tzinfo=JAKARTA)
