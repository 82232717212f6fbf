"""The two commits of the hot path, in groups: the intent before the first byte, and what came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Generic, Protocol, TypeVar

from gateway.clock import jakarta_day
from gateway.resources import Resources
from gateway.services.kept import kept
from gateway.services.payouts.apply import Applied, apply
from gateway.services.payouts.ends import Terms
from gateway.services.payouts.words import WordOrFinding
from gateway.storage.base.database import GroupCommit, again, transact
from gateway.storage.payouts import queue
from gateway.storage.payouts.queue import Begun, Intent

INTENTS_S, OUTCOMES_S = 0.008, 0.012
"""How long a commit gathers: small beside a partner's answer, large beside the time between two of them. Outcomes may
wait longer, as they no longer hold a place in flight."""
ENOUGH = 16
"""So many close a group at once: beyond it a group's fixed cost no longer matters."""
MOST_KEEPING = 1_800
"""So often answers are written again while the database is away, for about an hour. As many are kept as may be in
flight."""
LOST_S = 1.0
"""Who lost the compare-and-set leaves the payout alone for so long; by then it is withdrawn if it may not be paid."""
In = TypeVar("In")
Out = TypeVar("Out")
In_contra = TypeVar("In_contra", contravariant=True)
Out_co = TypeVar("Out_co", covariant=True)


class Adds(Protocol[In_contra, Out_co]):
    """Hand one thing in, get its result once it is committed."""

    async def add(self, item: In_contra) -> Out_co:
        """The item's result."""


class OneByOne(Generic[In, Out]):
    """A commit for each, where a caller wants one database call at a time (a simulation)."""

    def __init__(self, handle: Callable[[list[In]], Awaitable[Sequence[Out]]]) -> None:
        self._handle = handle

    async def add(self, item: In) -> Out:
        """The item's result."""
        return (await self._handle([item]))[0]


class Commits:
    """Intents and outcomes of one worker."""

    def __init__(self, resources: Resources, worker: str, *, grouped: bool) -> None:
        self._database = resources.database
        self._clock = resources.clock
        self._worker = worker
        self.terms: Mapping[str, Terms] = {
            slug: Terms(manifest=desk.manifest, pace=desk.pace) for slug, desk in resources.desks.items()
        }
        self.intents: Adds[Intent, Begun | None]
        """The compare-and-set; None: not to be sent."""
        self.outcomes: Adds[WordOrFinding, Applied]
        if grouped:
            self.intents = GroupCommit(self._begin, window_s=INTENTS_S, enough=ENOUGH)
            self.outcomes = GroupCommit(self.apply, window_s=OUTCOMES_S, enough=ENOUGH)
        else:
            self.intents, self.outcomes = OneByOne(self._begin), OneByOne(self.apply)

    async def apply(self, items: Sequence[WordOrFinding]) -> list[Applied]:
        """Apply words and findings in a transaction of their own; kept while the database is away. A word that had been
        written all the same (the connection went with the answer) changes nothing once more.
        """

        async def write() -> list[Applied]:
            return await transact(
                self._database, lambda connection: apply(connection, self._clock.now(), self.terms, items)
            )

        return await kept(self._clock, write, tries=MOST_KEEPING, answers=len(items))

    async def _begin(self, intents: Sequence[Intent]) -> list[Begun | None]:
        async def begin() -> dict[int, Begun]:
            now = self._clock.now()
            async with self._database.connection() as connection:
                return await queue.begin(connection, now, jakarta_day(now), self._worker, intents)

        passed = await again(begin)
        lost = [intent.payout for intent in intents if intent.payout not in passed]
        if lost:
            await self.give_back(lost, after_s=LOST_S)
        return [passed.get(intent.payout) for intent in intents]

    async def give_back(self, payouts: Sequence[int], *, after_s: float = 0.0) -> None:
        """End leases of payouts that are not sent after all."""
        async with self._database.connection() as connection:
            again_at = self._clock.now() + timedelta(seconds=after_s)
            await queue.give_back(connection, self._worker, again_at, payouts)
