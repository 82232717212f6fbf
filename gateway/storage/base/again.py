"""Asking the store the same thing again and again, beside everything else that a process does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg

from gateway.storage.base.database import Connection, Database


@contextlib.asynccontextmanager
async def asking(
    name: str, database: Database, ask: Callable[[Connection], Awaitable[None]], *, every_s: float, limit_s: float
) -> AsyncIterator[None]:
    """Have `ask` asked every `every_s` seconds, for `limit_s` at most, for as long as the block runs; a store that
    cannot be asked is logged as `not_asked`, and asked again.
    """
    task = asyncio.create_task(_ask(name, database, ask, every_s, limit_s), name=name)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _ask(
    name: str, database: Database, ask: Callable[[Connection], Awaitable[None]], every_s: float, limit_s: float
) -> None:
    own = asyncio.current_task()
    while True:
        try:
            async with asyncio.timeout(limit_s), database.connection() as connection:
                await ask(connection)
        except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            import structlog  # late, as in database.py

            structlog.get_logger(__name__).warning("not_asked", what=name, error=type(error).__name__)
        if own is not None and own.cancelling():
            return  # the end was asked for while a driver connected, and the driver kept that to itself
        await asyncio.sleep(every_s)
