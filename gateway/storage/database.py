"""The pool of connections and the unit of work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Generic, TypeAlias, TypeVar

import asyncpg
import msgspec

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
Item = TypeVar("Item")
Result = TypeVar("Result")


class Database:
    """A pool on one PostgreSQL. `async with database.transaction() as connection` is the unit of work; no partner call
    inside one.
    """

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool

    @classmethod
    async def open(cls, dsn: str, *, size: int = 10) -> Database:
        """Connect; raises what asyncpg raises when the server cannot be reached within 10 s."""
        pool = await asyncpg.create_pool(dsn, min_size=1, max_size=size, timeout=10, command_timeout=60, init=_prepare)
        return cls(pool)

    async def close(self) -> None:
        """Give all connections back; waits at most 10 s for running queries."""
        try:
            await asyncio.wait_for(self._pool.close(), 10)
        except TimeoutError:
            self._pool.terminate()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """One READ COMMITTED transaction: committed at the end, rolled back by an exception."""
        async with self._pool.acquire() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection without a transaction, for single statements."""
        async with self._pool.acquire() as connection:
            yield connection


async def _prepare(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: msgspec.json.encode(value).decode(),
        decoder=msgspec.json.decode,
    )


def as_json(rows: Sequence[object]) -> str:
    """Rows as one parameter for `json_to_recordset`: the driver takes far longer over an array for each column."""
    return msgspec.json.encode(rows).decode()


class GroupCommit(Generic[Item, Result]):
    """Collects items for a few milliseconds and handles them in one transaction (docs/performance.md).

    `handle(items)` gets at most `most` items and returns one result for each, in order. An exception of `handle`
    reaches every waiter of that group. While one group commits the next one fills, so that groups grow with the load.
    """

    def __init__(
        self, handle: Callable[[list[Item]], Awaitable[Sequence[Result]]], *, window_s: float = 0.004, most: int = 200
    ) -> None:
        self._handle = handle
        self._window_s = window_s
        self._most = most
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._task: asyncio.Task[None] | None = None

    async def add(self, item: Item) -> Result:
        """Wait until the item's group is committed; its result."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())
        return await asyncio.shield(future)

    async def _run(self) -> None:
        try:
            await asyncio.sleep(self._window_s)
            while self._waiting:
                group, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                try:
                    results = await self._handle([item for item, _ in group])
                except Exception as error:  # noqa: BLE001 - handed on to every waiter
                    for _, future in group:
                        if not future.done():
                            future.set_exception(error)
                else:
                    for (_, future), result in zip(group, results, strict=True):
                        if not future.done():
                            future.set_result(result)
        finally:
            self._task = None
