"""A process whose clock is not the database's takes nothing up.

What one process writes down as a time (a lease, a deadline, when somebody was not found) another one judges by its own
clock. One that is an hour ahead would call absent what the partner has not booked yet, and have it paid once more.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from gateway.clock import Clock
from gateway.storage.base.again import asking
from gateway.storage.base.database import Connection, Database

TOLERANCE_S = 60.0
"""Small beside every wait that decides about money, and beside what partners bear (LinkAja 300 s, SNAP 900 s); large
beside what NTP leaves.
"""
ASK_S = 5.0


class ClockOff(Exception):
    """This machine's clock and the database's differ; the message says by how much."""


class Clocks:
    """This process's clock beside the database's, as it was told last. What passes in between is taken from the
    monotonic clock, so that a jump of ours shows at once.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._zero: datetime | None = None
        """The database's time when the monotonic clock stood at zero; None: never told."""

    async def ask(self, connection: Connection) -> None:
        """Ask the database what time it is; an answer that took too long tells nothing."""
        began_s = self._clock.monotonic()
        at = await connection.fetchval("SELECT clock_timestamp()")
        took_s = self._clock.monotonic() - began_s
        if took_s < TOLERANCE_S / 2:
            self._zero = at - timedelta(seconds=began_s + took_s / 2)

    def agree(self) -> None:
        """Raises `ClockOff` where the two are further apart than `TOLERANCE_S`."""
        if self._zero is None:
            return
        off_s = (self._clock.now() - self._zero).total_seconds() - self._clock.monotonic()
        if abs(off_s) > TOLERANCE_S:
            raise ClockOff(
                f"This machine's clock is {off_s:+.0f} s from the database's: set both by NTP; nothing is done before."
            )


@contextlib.asynccontextmanager
async def following(database: Database, clocks: Clocks) -> AsyncIterator[None]:
    """Compare the two for as long as the block runs; once before it begins."""
    async with database.connection() as connection:
        await clocks.ask(connection)
    async with asking("clock", database, clocks.ask, every_s=ASK_S, limit_s=ASK_S):
        yield
