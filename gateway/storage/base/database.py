"""The pool of connections and the unit of work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import asyncpg
import msgspec

from gateway.storage.base import out_of_time
from gateway.storage.base.out_of_time import OutOfTime

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
Item = TypeVar("Item")
Result = TypeVar("Result")
T = TypeVar("T")

AWAY: tuple[type[Exception], ...] = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
)
"""What the driver raises while the database cannot be reached, is shutting down, or has failed over: nothing is wrong
with what was asked, and it may be asked again."""
MOST_TRIES = 4
LIMIT_S = 60.0
"""So long a statement may take that names no other time."""
_AGAIN = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.UniqueViolationError,
    asyncpg.InvalidCachedStatementError,  # a migration came in between; the driver has forgotten what it had prepared
)
_BY_KEY = {"plan_cache_mode": "force_generic_plan"} | dict.fromkeys(
    ("enable_seqscan", "enable_hashjoin", "enable_mergejoin"), "off"
)
"""Row by row, by an index, planned once for each connection: a plan made while a table was small must not go on reading
it from end to end as it grows."""


def set_by_key(enough_bytes: int) -> str:
    """The same for one transaction of any process, whose connections may be as old as the store: a plan is kept only
    once the incentives take so many bytes. In an empty table one index is as good as another, and a kept plan would go
    on reading the whole of the wrong one as the table grows.
    """
    return f"""set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
    set_config('enable_mergejoin', 'off', true), set_config('plan_cache_mode', CASE
        WHEN pg_relation_size('incentives') < {enough_bytes} THEN 'force_custom_plan' ELSE 'force_generic_plan' END,
    true)"""


class Compares(Protocol):
    """Who looks at a new connection before its use (`timeline.py`)."""

    async def compare(self, connection: Connection) -> None:
        """Once for each."""


class Database:
    """A pool on one PostgreSQL. `async with database.transaction() as connection` is the unit of work; no partner call
    inside one.
    """

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool

    @classmethod
    async def open(
        cls,
        dsn: str,
        *,
        size: int = 10,
        by_key: bool = False,
        timeline: Compares | None = None,
        limit_s: float = LIMIT_S,
    ) -> Database:
        """Connect; raises `ConnectionError` where nothing answers within 10 s, what asyncpg raises where it refuses us.

        `timeline`: has each new connection compared before its first use; whoever sends payouts must give it.

        `limit_s`: so long a statement may take that names no other time.

        `by_key`: for a worker, all of whose statements find a few hundred rows at most by an index (`_BY_KEY`).
        """

        async def prepare(connection: asyncpg.Connection[asyncpg.Record]) -> None:
            await _prepare(connection)
            if timeline is not None:
                await timeline.compare(connection)

        pool = await asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=size,
            timeout=10,
            command_timeout=limit_s,
            connect=connect,
            init=prepare,
            reset=_as_it_is,
            server_settings=_BY_KEY if by_key else {},
        )
        return cls(pool)

    async def close(self) -> None:
        """Give all connections back; waits at most 10 s for running queries."""
        try:
            await asyncio.wait_for(self._pool.close(), 10)
        except TimeoutError:
            self._pool.terminate()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """One READ COMMITTED transaction: committed at the end, rolled back by an exception; `OutOfTime` where a
        statement took too long.
        """
        try:
            async with self._pool.acquire() as connection, connection.transaction(isolation="read_committed"):
                yield connection
        except TimeoutError as error:
            raise await self._told(error) from error

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection without a transaction, for single statements; `OutOfTime` where one took too long."""
        try:
            async with self._pool.acquire() as connection:
                yield connection
        except TimeoutError as error:
            raise await self._told(error) from error

    async def _told(self, error: TimeoutError) -> TimeoutError:
        """What to raise in its place: a statement that ran out of its time is named, logged and counted."""
        statement = out_of_time.statement_of(error)
        if statement is None or isinstance(error, OutOfTime):
            return error
        import structlog  # late: with what it draws tracebacks with it is a third of the start of a command

        log = structlog.get_logger(__name__)
        log.error("statement_out_of_time", statement=statement)
        try:
            async with asyncio.timeout(5.0), self._pool.acquire() as connection:
                await out_of_time.count(connection, statement)
        except AWAY as away:
            log.warning("not_counted", statement=statement, error=type(away).__name__)
        return OutOfTime(statement)


async def connect(*args: Any, **options: Any) -> asyncpg.Connection[asyncpg.Record]:
    """asyncpg's own; raises `ConnectionError` where nothing answers. Several servers of which none takes writes are a
    database that is away: one will be promoted.
    """
    try:
        connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(*args, **options)
    except asyncpg.TargetServerAttributeNotMatched as error:
        raise ConnectionError(str(error)) from error
    except OSError as error:  # no such host, no such socket, refused, silent
        raise ConnectionError(f"The database does not answer ({type(error).__name__}).") from error
    return connection


async def _prepare(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: msgspec.json.encode(value).decode(),
        decoder=msgspec.json.decode,
    )


async def by_key(connection: Connection) -> None:
    """Plan what follows in this transaction as `set_by_key` says."""
    await connection.execute(f"SELECT {set_by_key(8_388_608)}")


async def along_key(connection: Connection) -> None:
    """Plan what follows in this transaction along the order that it asks for: a list's next page is found where the
    last one ended, though statistics of a table that was empty say that all rows had better be read and sorted.
    """
    await connection.execute(
        "SELECT set_config('enable_sort', 'off', true), set_config('enable_seqscan', 'off', true),"
        " set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),"
        " set_config('enable_bitmapscan', 'off', true)"
    )


async def _as_it_is(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Nothing to take back when a connection is returned: whatever is SET is set for one transaction, temporary tables
    are made once and emptied by who uses them, and the driver itself rolls back what was left open. Its own clearing
    up would be a round trip of five statements for each group of payouts.
    """


def as_json(rows: Sequence[object]) -> str:
    """Rows as one parameter for `json_to_recordset`: the driver takes far longer over an array for each column."""
    return msgspec.json.encode(rows).decode()


async def transact(database: Database, work: Callable[[Connection], Awaitable[T]]) -> T:
    """Do `work` in a transaction, again (a few times) where the database broke it off in favour of another one."""

    async def attempt() -> T:
        async with database.transaction() as connection:
            return await work(connection)

    return await again(attempt)


async def again(work: Callable[[], Awaitable[T]]) -> T:
    """Do `work`, again (a few times) where the database broke it off in favour of somebody else's."""
    for _ in range(MOST_TRIES - 1):
        try:
            return await work()
        except _AGAIN:
            continue
    return await work()


class GroupCommit(Generic[Item, Result]):
    """Collects items and handles them in one transaction (docs/performance.md).

    A group closes once `enough` items wait, or `window_s` after its first one came; while one commits the next fills.
    `handle(items)` gets at most `most` items and returns one result for each, in order. Where it raises, its
    transaction is undone and each item is handled by itself: one that cannot be takes nobody else's result with it.
    While the database is away all of them fail alike.
    """

    def __init__(
        self,
        handle: Callable[[list[Item]], Awaitable[Sequence[Result]]],
        *,
        window_s: float,
        enough: int,
        most: int = 200,
    ) -> None:
        self._handle = handle
        self._window_s = window_s
        self._enough = enough
        self._most = most
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._first_at = 0.0
        self._closes = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def add(self, item: Item) -> Result:
        """Wait until the item's group is committed; its result."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        if not self._waiting:
            self._first_at = loop.time()
        self._waiting.append((item, future))
        if len(self._waiting) >= self._enough:
            self._closes.set()
        if self._task is None:
            self._task = loop.create_task(self._run())
        return await future

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                if len(self._waiting) < self._enough:
                    self._closes.clear()
                    timer = loop.call_at(self._first_at + self._window_s, self._closes.set)
                    await self._closes.wait()
                    timer.cancel()
                group, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                await self._commit(group)
        finally:
            self._task = None

    async def _commit(self, group: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._handle([item for item, _ in group])
        except Exception as error:  # noqa: BLE001 - handed on to whom it concerns
            if len(group) > 1 and not isinstance(error, AWAY):
                for one in group:
                    await self._commit([one])
                return
            for _, future in group:
                if not future.done():
                    future.set_exception(error)
        else:
            for (_, future), result in zip(group, results, strict=True):
                if not future.done():
                    future.set_result(result)
