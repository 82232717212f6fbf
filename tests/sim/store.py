"""A PostgreSQL for simulations, real but without durability; the gateway's `Database` with faults at its commits."""

from __future__ import annotations

import io
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import asyncpg

from gateway.embedded import EmbeddedPostgres, create_database_from_template
from gateway.storage.base.database import Connection, Database, _prepare
from gateway.storage.base.migrate import migrate
from gateway.storage.base.timeline import Timeline
from tests.memory import servers_folder
from tests.sim.snapshot import SHOWN
from tests.sim.written import Written

_UNSAFE = dict.fromkeys(
    (
        *("fsync", "full_page_writes", "synchronous_commit", "autovacuum", "jit"),
        *("track_activities", "track_counts", "update_process_title"),
    ),
    "off",
)
"""Nothing here outlives the run, and nobody looks at its statistics. Without autovacuum no plan, and so no unordered
answer, changes in mid-run.
"""
_SESSION = {"plan_cache_mode": "force_generic_plan", "statement_timeout": "60s"}
"""Planned once, as a worker's are; the server watches the time, for whom a timer costs less."""
TEMPLATE = "template_sim"


@asynccontextmanager
async def server() -> AsyncIterator[EmbeddedPostgres]:
    """A PostgreSQL of this run's own, in memory where the system has such a folder."""
    with servers_folder() as home:
        async with EmbeddedPostgres(home / "postgres", durable=False) as postgres:
            connection = await asyncpg.connect(postgres.dsn)
            for name, value in _UNSAFE.items():
                await connection.execute(f"ALTER SYSTEM SET {name} = {value}")
            await connection.execute("SELECT pg_reload_conf()")
            await connection.close()
            await migrate(await create_database_from_template(postgres.dsn, "template0", TEMPLATE))
            yield postgres


class Connected(asyncpg.Connection[asyncpg.Record] if TYPE_CHECKING else asyncpg.Connection):
    """A connection that knows whether it has been asked to change anything, and in which tables."""

    __slots__ = ("changed", "tables", "written", "wrote")
    written: Written

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.begin()

    def begin(self) -> None:
        """From now on nothing was written."""
        self.wrote = self.changed = False
        self.tables = set[str]()

    async def execute(self, query: str, *args: Any, **options: Any) -> Any:
        if not args:  # the driver sends such by itself
            self._mark(query, b"")
        return await super().execute(query, *args, **options)

    async def _execute(self, query: str, *args: Any, return_status: bool = False, **options: Any) -> Any:
        """What every other statement goes through; it says how many rows it changed."""
        try:
            told = await super()._execute(query, *args, return_status=True, **options)  # type: ignore[misc]
        except BaseException:
            self.wrote = self.changed = True  # as far as anybody knows
            self.tables |= self.written.by(query)
            raise
        self._mark(query, told[1] or b"")
        return told if return_status else told[0]

    def _mark(self, query: str, status: bytes) -> None:
        word = query.lstrip()[:6].upper()
        if word in _COUNTED and status.endswith(b" 0"):
            return
        if not word.startswith(_CHANGE_NOTHING) or "begin_payouts" in query:
            self.wrote = True
            self.changed = self.changed or _UNSEEN.match(query) is None
            self.tables |= self.written.by(query)


_UNSEEN = re.compile(
    r"\s*(INSERT INTO|UPDATE|DELETE FROM) (statement_(findings|lines|reads)|lookalikes|store_timeline|instances)\b"
)
"""Statements after which nobody looks. After any other somebody does, though it may have changed nothing that is shown:
what another one did whose answer was lost is seen then.
"""
_COUNTED = ("INSERT", "UPDATE", "DELETE")
_CHANGE_NOTHING = ("SELECT", "BEGIN", "COMMIT", "ROLLBA", "SAVEPO", "RELEAS")


_AS_REPLICA = "SET session_replication_role = replica"
_TABLES = (
    "SELECT relname, pg_relation_size(oid) > 0 FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    " AND relkind = 'r' AND relname <> 'schema_migrations' ORDER BY relname"
)
"""Each, and whether anything was ever written to it."""
_SEQUENCES = (
    "SELECT format('%I.%I', schemaname, sequencename), last_value FROM pg_sequences"
    " WHERE schemaname = 'public' AND last_value IS NOT NULL ORDER BY 1"
)


@dataclass
class Copy:
    """What the store held at one moment: rows by table, and where sequences stood."""

    tables: dict[str, bytes] = field(default_factory=dict)
    sequences: dict[str, int] = field(default_factory=dict)


class Store:
    """One database that seed after seed uses, each finding it empty; its connections stay open."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.epoch = 0
        """Another one whenever a copy was put back: whoever is connected must connect anew."""
        self.stale: set[str] = set(SHOWN)
        """Tables that may have been written to since somebody looked."""
        self._free: list[Connected] = []
        self._lent = 0
        self._written: Written | None = None

    @property
    def quiet(self) -> bool:
        """Whether nobody but the observer has a connection."""
        return self._lent <= 1

    async def connection(self) -> Connected:
        """One that nobody uses."""
        self._lent += 1
        if self._free:
            connection = self._free.pop()
            connection.begin()
            return connection
        connection = await asyncpg.connect(
            self.dsn, timeout=10, statement_cache_size=400, connection_class=Connected, server_settings=_SESSION
        )
        await _prepare(connection)
        if self._written is None:
            self._written = await Written.of(connection)
        connection.written = self._written
        return connection

    def give_back(self, connection: Connected) -> None:
        self._lent -= 1
        self.stale |= connection.tables
        self._free.append(connection)

    async def empty(self) -> None:
        """As it was after its migration."""
        connection = await self.connection()
        await self._empty(connection)
        await connection.execute("ALTER SEQUENCE id_serial RESTART; DISCARD TEMP")
        self.epoch = 0
        self.stale = set(SHOWN)
        self.give_back(connection)

    async def _empty(self, connection: Connected) -> None:
        """Of the tables that were ever written to: each one that is emptied has every statement planned anew."""
        used = [row[0] for row in await connection.fetch(_TABLES) if row[1]]
        if used:  # as a replica, whose triggers keep nothing from being emptied
            await connection.execute(
                f"{_AS_REPLICA}; TRUNCATE {', '.join(used)} RESTART IDENTITY CASCADE; RESET session_replication_role"
            )

    async def beats(self, now_s: float) -> None:
        """The count of the store's history goes on, by the virtual clock (`storage/base/timeline.py`)."""
        connection = await self.connection()
        await Timeline(()).compare(connection)  # the first one writes the row
        await connection.execute("UPDATE store_timeline SET beat = beat + 1, beat_at = to_timestamp($1)", now_s)
        self.give_back(connection)

    async def copy(self) -> Copy:
        """All that is committed."""
        connection = await self.connection()
        taken = Copy()
        async with connection.transaction(isolation="repeatable_read"):
            for table, _ in await connection.fetch(_TABLES):
                rows = io.BytesIO()
                await connection.copy_from_table(table, output=rows, format="binary")
                taken.tables[table] = rows.getvalue()
            taken.sequences = dict(await connection.fetch(_SEQUENCES))
        self.give_back(connection)
        return taken

    async def put_back(self, taken: Copy) -> None:
        """The copy in place of what is there; nobody may be connected."""
        assert self.quiet
        connection = await self.connection()
        async with connection.transaction():
            await self._empty(connection)
            await connection.execute(_AS_REPLICA)
            for table, rows in taken.tables.items():
                await connection.copy_to_table(table, source=io.BytesIO(rows), format="binary")
            for name, last in taken.sequences.items():
                await connection.execute("SELECT setval($1::regclass, $2)", name, last)
            await connection.execute("RESET session_replication_role")
        self.epoch += 1
        self.stale |= SHOWN
        self.give_back(connection)

    async def close(self) -> None:
        for connection in self._free:
            await connection.close()
        self._free.clear()


Hook = Callable[[], Awaitable[None]]
Compare = Callable[[Connection], Awaitable[None]]
After = Callable[[bool], Awaitable[None]]
"""Told whether anything was changed that is looked at."""


class Commit(Protocol):
    """Called at a commit; returns what goes wrong with it, or raises where the process dies."""

    async def __call__(self, *, alone: bool) -> str | None:
        """`alone`: the commit is a step of its own, and may also fail or never be made."""


class FaultyDatabase(Database):
    """The gateway's database as one process has it. The hooks are the simulator's: before anything begins (which may
    find no database), at each commit (which they may have fail, or reported as failed), and after it.
    """

    def __init__(self, store: Store, *, before: Hook, commit: Commit, after: After, compare: Compare) -> None:
        self._store = store
        self._before, self._commit, self._after, self._compare = before, commit, after, compare
        self._epoch = 0

    async def _connect(self) -> Connected:
        """A connection, compared before its first use since the store was put back."""
        await self._before()
        connection = await self._store.connection()
        if self._epoch != self._store.epoch:
            self._epoch = self._store.epoch
            await self._compare(connection)
            connection.wrote = connection.changed = False
        return connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        connection = await self._connect()
        try:
            transaction = connection.transaction()
            await transaction.start()
            try:
                yield connection
                fault = await self._commit(alone=True)
            except BaseException:
                await transaction.rollback()
                raise
            if fault == "fails":
                await transaction.rollback()
                raise asyncpg.ConnectionDoesNotExistError("the connection broke before the commit")
            await transaction.commit()
        finally:
            self._store.give_back(connection)
        await self._after(connection.changed)
        if fault == "unheard":
            raise asyncpg.ConnectionDoesNotExistError("the connection broke; the commit had arrived")

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        connection = await self._connect()
        fault = None
        try:
            yield connection
            if connection.wrote:  # each statement has committed by itself
                fault = await self._commit(alone=False)
        finally:
            self._store.give_back(connection)
        await self._after(connection.changed)
        if fault == "unheard":
            raise asyncpg.ConnectionDoesNotExistError("the connection broke; the statement had been carried out")

    async def close(self) -> None:
        """The store keeps its connections."""
