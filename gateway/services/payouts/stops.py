"""What must not leave any more though its intent is committed: a pause, a recovery, a link or verdict that fell, a
batch or person that was stopped.

An attempt is watched from before its intent to its WRITE. The database tells of whatever stops it (NOTIFY, sent by
triggers, so that no writer can forget it); a poll covers what was not heard. The last look before the WRITE is in
memory as long as both are up, and asks the store otherwise.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
import structlog

from gateway.clock import Clock
from gateway.partners.executor import HeldBack
from gateway.storage.base.database import Database
from gateway.storage.payouts import queue
from gateway.storage.payouts.payouts import PayoutRow
from gateway.storage.payouts.queue import Attempt

CHANNEL = "gateway_stop"
POLL_S = 1.0
FRESH_S = 3.0
"""A poll older than this says nothing any more."""
ASK_S = 2.0
"""How long a last look may wait for the store."""
_log = structlog.get_logger(__name__)


class Watched:
    """One attempt under way."""

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.stopped = False


class Stops:
    """The attempts that one process has under way, and whether each may still leave."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._watches: defaultdict[str, set[Watched]] = defaultdict(set)
        self._polled_at: float | None = None
        self._listening = False

    @contextmanager
    def watch(self, payout: PayoutRow, *, moves_nothing: bool, again: bool) -> Iterator[Watched]:
        """Watch an attempt, from before its intent is committed; `moves_nothing`, `again`: as `Attempt`."""
        watch = Watched(Attempt(payout.id, moves_nothing, again))
        names = [f"recovery:{payout.partner}"]
        if not moves_nothing:
            names += [f"partner:{payout.partner}", f"link:{payout.link_id}", f"incentive:{payout.incentive}"]
        for name in names:
            self._watches[name].add(watch)
        try:
            yield watch
        finally:
            for name in names:
                self._watches[name].discard(watch)
                if not self._watches[name]:
                    del self._watches[name]

    async def look(self, watch: Watched) -> None:
        """The last look before a WRITE. Raises `HeldBack`, also where the store must be asked and does not answer: for
        one more attempt always, as nobody tells what stops that alone.
        """
        if not watch.stopped and (watch.attempt.again or not self._fresh()):
            try:
                async with self._clock.timeout(ASK_S):
                    await self._ask([watch])
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                raise HeldBack(f"whether it may still leave is not known: {type(error).__name__}") from error
        if watch.stopped:
            raise HeldBack("it was stopped before it left")

    async def poll(self) -> int:
        """Ask the store about everything under way."""
        began = self._clock.monotonic()
        await self._ask({watch for watches in self._watches.values() for watch in watches})
        self._polled_at = began
        return 0

    def heard(self, name: str) -> None:
        """The database told what stops; `partner:SLUG`, `recovery:SLUG`, `link:ID` or `incentive:ID`."""
        for watch in self._watches.get(name, ()):
            watch.stopped = True

    def listens(self, up: bool) -> None:
        """Whether what the database tells is being heard; what it told before is covered by the next poll."""
        self._listening = up
        self._polled_at = None

    def _fresh(self) -> bool:
        polled_at = self._polled_at
        return self._listening and polled_at is not None and self._clock.monotonic() - polled_at <= FRESH_S

    async def _ask(self, watches: set[Watched] | list[Watched]) -> None:
        if not watches:
            return
        async with self._database.connection() as connection:
            gone = await queue.stopped(connection, [watch.attempt for watch in watches])
        for watch in watches:
            watch.stopped = watch.stopped or watch.attempt.payout in gone
