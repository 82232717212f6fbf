"""The journal of exchanges with partners, written in groups off the hot path; evidence for people only."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime

import asyncpg
import structlog

from gateway.partners.executor import Exchange
from gateway.storage.base.database import Connection, Database

_MOST_WAITING = 50_000
_EVERY_S = 0.2
_log = structlog.get_logger(__name__)


class StoredJournal:
    """Buffers exchanges and copies them into `exchanges`; what does not fit is counted, never waited for."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[Exchange] = []
        self._dropped = 0
        self._closing = asyncio.Event()

    def write(self, exchange: Exchange) -> None:
        """Keep it; never blocks, never raises."""
        if len(self._waiting) < _MOST_WAITING:
            self._waiting.append(exchange)
        else:
            self._dropped += 1

    async def run(self) -> None:
        """Copy what has gathered, a few times a second, until `close`."""
        while not self._closing.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), _EVERY_S)
            await self.flush()

    async def flush(self) -> None:
        """Copy what has gathered now."""
        if self._dropped:
            _log.warning("journal_lines_dropped", lines=self._dropped)
            self._dropped = 0
        lines, self._waiting = self._waiting, []
        if not lines:
            return
        try:
            async with self._database.connection() as connection:
                await connection.copy_records_to_table(
                    "exchanges",
                    records=[
                        (x.at, x.partner, x.operation, x.effect, x.subject, x.status, x.error, x.left_us, x.took_ms)
                        for x in lines
                    ],
                    columns=[
                        "at", "partner", "operation", "effect", "subject", "status", "error", "left_us", "took_ms",
                    ],
                )  # fmt: skip
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            _log.warning("journal_not_written", error=type(error).__name__, lines=len(lines))
            self._waiting = (lines + self._waiting)[:_MOST_WAITING]

    async def close(self, running: asyncio.Task[None]) -> None:
        """Write the rest and stop `run`."""
        self._closing.set()
        await running


async def purge(connection: Connection, before: datetime, most: int) -> int:
    """Forget exchanges older than `before`, `most` at most; how many."""
    done = await connection.execute(
        "DELETE FROM exchanges WHERE ctid = ANY(ARRAY(SELECT ctid FROM exchanges WHERE at < $1 LIMIT $2))",
        before,
        most,
    )
    return int(done.split()[-1])
