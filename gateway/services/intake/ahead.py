"""Merging while the upload is still on its way: the processor that reads and the one that stores work at once.

What was merged is nothing that can be seen before the last row is in, and may be thrown away at any time, as all rows
stay in the spool: where bytes are slow to come, where a row meets rows of its own file that were moved in before, where
somebody else stores one of the rows meanwhile, or holds what is needed. The batch is then merged once it is complete.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import datetime
from types import TracebackType
from typing import Protocol

import asyncpg

from gateway.clock import Clock
from gateway.services.intake.merging import Growing, Merging
from gateway.services.intake.rows import Checker
from gateway.services.intake.spool import Spool
from gateway.storage.base.database import AWAY, Connection
from gateway.storage.intake import staging
from gateway.storage.intake.batches import BatchRow

PIECE_ROWS = 10_000
"""At least so many at a time: each piece costs some thirty statements."""
_SILENT_S = 1.0
_LOOK_S = 0.25


class Keep(Protocol):
    """Stores the answer in the transaction of what it answers for."""

    async def __call__(self, connection: Connection, batch: BatchRow, now: datetime, /) -> None: ...


class _GivenUp(Exception):
    """Merge it once it is complete."""


_WAITS: tuple[type[Exception], ...] = (
    _GivenUp,
    asyncpg.DeadlockDetectedError,
    staging.MergeUnsettled,
    staging.KeyRetired,
    *AWAY,
)
"""After these as well."""


class Upload:
    """The bytes of a batch as they come; knows how long they let themselves be waited for."""

    def __init__(self, body: AsyncIterator[bytes], clock: Clock) -> None:
        self._body = body
        self._clock = clock
        self._since: float | None = None
        """Waited for bytes since then."""
        self.restart()

    def restart(self) -> None:
        """From now on judge what comes from now on."""
        self._began, self._waited_s = self._clock.monotonic(), 0.0
        if self._since is not None:
            self._since = self._began

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body."""
        while True:
            self._since = self._clock.monotonic()
            try:
                chunk = await anext(self._body)
            except StopAsyncIteration:
                return
            finally:
                self._waited_s += self._clock.monotonic() - self._since
                self._since = None
            yield chunk

    def is_slow(self) -> bool:
        """Whether nothing came for a second, or half of the time went by with waiting."""
        now = self._clock.monotonic()
        silent_s = 0.0 if self._since is None else now - self._since
        return silent_s > _SILENT_S or self._waited_s + silent_s > _SILENT_S + (now - self._began) / 2


class Ahead:
    """One upload's merge beside its reading. Within `async with`: tell it of `more` rows, then `finish`."""

    def __init__(
        self, merging: Merging, room: asyncio.Semaphore, upload: Upload, spool: Spool,
        client_id: str, checker: Checker, keep: Keep,
    ) -> None:  # fmt: skip
        self._merging = merging
        self._room = room
        self._upload = upload
        self._spool = spool
        self._client_id = client_id
        self._checker = checker
        self._keep = keep
        self._changed = asyncio.Event()
        self._complete = False

    async def __aenter__(self) -> Ahead:
        self._task = asyncio.create_task(self._run(), name="merge-ahead")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def more(self) -> None:
        """Rows came into the spool."""
        if self._spool.waiting >= PIECE_ROWS:
            self._changed.set()

    async def finish(self) -> BatchRow | None:
        """All rows are in the spool: the batch, or None where it is still to be merged."""
        self._complete = True
        self._changed.set()
        return await self._task

    async def _run(self) -> BatchRow | None:
        while self._spool.waiting < PIECE_ROWS or self._room.locked() or self._upload.is_slow():
            if self._complete:
                return None
            await self._look()
        try:
            async with self._merging.staging(self._room) as connection, connection.transaction():
                self._upload.restart()
                return await self._merge(connection)
        except _WAITS:
            return None

    async def _merge(self, connection: Connection) -> BatchRow:
        now = self._merging.clock.now()
        if not await staging.take_turn(connection):
            raise _GivenUp
        batch = await Growing.begin(connection, self._client_id, now)
        first, complete = True, False
        while not complete:
            complete = await self._next(connection, batch, first=first)
            first = False
        row = await batch.finish(self._merging.vault, self._checker)
        await self._keep(connection, row, now)
        return row

    async def _next(self, connection: Connection, batch: Growing, *, first: bool) -> bool:
        """Move in a piece; whether it was the last one."""
        while self._spool.waiting < PIECE_ROWS and not self._complete:
            await self._look()
            if self._upload.is_slow():
                raise _GivenUp
        complete = self._complete
        if not first:
            await staging.next_piece(connection)
        for rows, refused in self._spool.pieces():
            await staging.add(connection, rows, refused)
        settled = await staging.settle(connection, client_id=self._client_id, merging=True, analyse=first)
        if not first and await staging.meets_itself(connection, batch.id):
            raise _GivenUp
        await batch.add(settled, alone=False)
        return complete

    async def _look(self) -> None:
        """Until there is more, or for a moment."""
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_S):
                await self._changed.wait()
