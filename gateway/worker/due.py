"""One question for all loops that wait for work at a partner, in the place of one for each of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from gateway.clock import Clock, jakarta_day
from gateway.storage.base.database import Database
from gateway.storage.ops import due
from gateway.storage.ops.due import Kind
from gateway.worker.loops import Wake

ASK_S = 0.25
"""So often it is asked."""
IDLE_S = 2.0
"""So long such a loop waits for its wake-up before it looks by itself."""


class Due:
    """Wakes the loops for which something is due, of those that wait. `wakes`: by kind of work and partner."""

    def __init__(self, database: Database, clock: Clock, wakes: Mapping[tuple[Kind, str], Wake]) -> None:
        self._database = database
        self._clock = clock
        self._wakes = wakes

    async def tick(self) -> int:
        """Ask once; nothing more to do at once: 0."""
        waiting: dict[Kind, Collection[str]] = {
            kind: [slug for (one, slug), wake in self._wakes.items() if one is kind and wake.awaited] for kind in Kind
        }
        if any(waiting.values()):
            now = self._clock.now()
            async with self._database.connection() as connection:
                found = await due.at_partners(connection, now, jakarta_day(now), waiting)
            for key in found:
                self._wakes[key].set()
        return 0
