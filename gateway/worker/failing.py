"""What this worker cannot take up, told in the store: its log is read by nobody who looks at a page."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from gateway.clock import Clock
from gateway.storage.base.database import Database
from gateway.storage.ops import standstill
from gateway.storage.ops.standstill import Fail
from gateway.worker.loops import Wakes

TELL_S = 5.0
"""So often it is told again while it lasts."""


class Failing:
    """Tells what `wakes` know of the loops that fail; nothing where none has failed since."""

    def __init__(self, database: Database, clock: Clock, wakes: Wakes, worker: str) -> None:
        self._database = database
        self._clock = clock
        self._wakes = wakes
        self._worker = worker
        self._told = True  # what one of this name told before it was started again counts no more

    async def tick(self) -> int:
        """Tell it once; nothing more to do at once: 0."""
        now, passed_s = self._clock.now(), asyncio.get_running_loop().time()
        fails = [
            Fail(work=name, error=wake.failure[0], since=now - timedelta(seconds=passed_s - wake.failure[1]))
            for name, wake in self._wakes.all()
            if wake.failure is not None
        ]
        if fails or self._told:
            async with self._database.transaction() as connection:
                await standstill.tell(connection, now, self._worker, fails)
        self._told = bool(fails)
        return 0
