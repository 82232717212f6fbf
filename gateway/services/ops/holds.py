"""What one process knows of the holds, and its part in opening, trying and releasing them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from contracts.hold import CallFault, HoldKind, HoldStage
from gateway.clock import Clock
from gateway.storage.base.database import Connection, Database
from gateway.storage.ops import holds as stored
from gateway.storage.ops.holds import Hold, NewHold

REFRESH_S = 0.5
"""How old the view of the store may be; a wake-up makes it fresh at once."""
KEPT = timedelta(days=90)
"""How long a released hold is remembered."""
OURS_CANARY_S = 600.0
"""How soon the first try follows where a partner refuses us: it takes a person to mend it."""
SETTLEMENT = "settlement"
"""Who has opened a hold for a payment that was taken and failed later: what is taken meanwhile ends it no more than it
told of the shortage before.
"""


async def settled_short(connection: Connection, now: datetime, partner: str, words: str) -> None:
    """The partner took a payment and failed it later for our deposit: it holds all others, as where it is said at once.
    In the caller's transaction; `words`: the partner's code.
    """
    new = NewHold(
        partner=partner,
        stage=HoldStage.PAYOUT,
        kind=HoldKind.OURS,
        fault=CallFault.FLOAT_SHORT.value,
        words=words,
        opened_by=SETTLEMENT,
        next_canary_at=now + timedelta(seconds=OURS_CANARY_S),
    )
    await stored.hold(connection, now, new)


class Holds:
    """A view of the open holds, read again by `refresh`; whatever changes them goes through the store."""

    def __init__(self, database: Database, clock: Clock, by: str) -> None:
        self._database = database
        self._clock = clock
        self._by = by
        self._open: list[Hold] = []

    async def refresh(self) -> int:
        """Read the open holds again. A tick: there is never more to do at once."""
        async with self._database.connection() as connection:
            self._open = await stored.open_holds(connection)
        return 0

    async def tick_purge(self, limit: int = 500) -> int:
        """Forget what was released long ago."""
        async with self._database.connection() as connection:
            return await stored.purge(connection, self._clock.now() - KEPT, limit)

    def stopping(self, partner: str, stages: Collection[HoldStage]) -> Hold | None:
        """The hold that keeps these stages waiting longest; None: nothing does."""
        found = [one for one in self._open if one.partner == partner and one.stage in stages and one.stops]
        return max(found, key=lambda one: (one.next_canary_at is None, one.next_canary_at or one.since), default=None)

    def throttled(self, partner: str, stage: HoldStage) -> Hold | None:
        """The hold by which the partner asks for fewer calls at a stage."""
        for one in self._open:
            if (one.partner, one.stage, one.kind) == (partner, stage, HoldKind.THROTTLED):
                return one
        return None

    async def canary(self, hold: Hold, after_s: float) -> bool:
        """Whether this process may let one through now. It then has one to let through, where anything waits at all;
        the next one follows `after_s` later.
        """
        now = self._clock.now()
        async with self._database.transaction() as connection:
            if not await stored.take_canary(connection, now, hold.id, now + timedelta(seconds=after_s)):
                return False
            await stored.make_due(connection, now, hold.partner, hold.stage, limit=1)
            return True

    async def hold(
        self,
        partner: str,
        stage: HoldStage,
        kind: HoldKind,
        *,
        fault: str | None,
        words: str,
        after_s: float | None,
    ) -> None:
        """Hold a stage, with a first canary in `after_s` (None: none, until somebody releases it)."""
        now = self._clock.now()
        new = NewHold(
            partner=partner,
            stage=stage,
            kind=kind,
            fault=fault,
            words=words,
            opened_by=self._by,
            next_canary_at=None if after_s is None else now + timedelta(seconds=after_s),
        )
        async with self._database.transaction() as connection:
            await stored.hold(connection, now, new)
        await self.refresh()

    async def release(self, partner: str, stage: HoldStage, kinds: Sequence[HoldKind]) -> None:
        """Release what is held for these reasons; what waited is due at once."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            await stored.release(connection, now, partner, stage, kinds, by=self._by)
        await self.refresh()
