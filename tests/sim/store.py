"""A PostgreSQL for simulations, real but without durability; the gateway's `Database` with faults at its commits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

import asyncpg

from gateway.embedded import EmbeddedPostgres, create_database_from_template
from gateway.storage.base.database import Connection, Database, _prepare
from gateway.storage.base.migrate import migrate
from tests.memory import servers_folder

_UNSAFE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "autovacuum": "off"}
"""Nothing here outlives the run. Without autovacuum no plan, and so no unordered answer, changes in mid-run."""
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
    """A connection that knows whether it has been asked to change anything."""

    __slots__ = ("wrote",)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.wrote = False

    async def execute(self, query: str, *args: Any, **options: Any) -> Any:
        self._mark(query)
        return await super().execute(query, *args, **options)

    async def fetch(self, query: str, *args: Any, **options: Any) -> Any:
        self._mark(query)
        return await super().fetch(query, *args, **options)

    async def fetchrow(self, query: str, *args: Any, **options: Any) -> Any:
        self._mark(query)
        return await super().fetchrow(query, *args, **options)

    async def fetchval(self, query: str, *args: Any, **options: Any) -> Any:
        self._mark(query)
        return await super().fetchval(query, *args, **options)

    def _mark(self, query: str) -> None:
        if not query.lstrip()[:6].upper().startswith(_CHANGE_NOTHING) or "begin_payouts" in query:
            self.wrote = True


_CHANGE_NOTHING = ("SELECT", "BEGIN", "COMMIT", "ROLLBA", "SAVEPO", "RELEAS")


class Store:
    """One database that seed after seed uses, each finding it empty; its connections stay open."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self._free: list[Connected] = []
        self._tables = ""

    async def connection(self) -> Connected:
        """One that nobody uses."""
        if self._free:
            connection = self._free.pop()
            connection.wrote = False
            return connection
        connection = await asyncpg.connect(
            self.dsn, timeout=10, command_timeout=60, statement_cache_size=400, connection_class=Connected
        )
        await _prepare(connection)
        return connection

    def give_back(self, connection: Connected) -> None:
        self._free.append(connection)

    async def empty(self) -> None:
        """As it was after its migration."""
        connection = await self.connection()
        if not self._tables:
            names = await connection.fetch(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'schema_migrations'"
            )
            self._tables = ", ".join(sorted(row["tablename"] for row in names))
        await connection.execute(  # as a replica, whose triggers keep nothing from being emptied
            f"SET session_replication_role = replica; TRUNCATE {self._tables} RESTART IDENTITY CASCADE;"
            " ALTER SEQUENCE id_serial RESTART; DISCARD TEMP; RESET session_replication_role"
        )
        self.give_back(connection)

    async def close(self) -> None:
        for connection in self._free:
            await connection.close()
        self._free.clear()


Hook = Callable[[], Awaitable[None]]
After = Callable[[bool], Awaitable[None]]
"""Told whether anything was changed."""


class Commit(Protocol):
    """Called at a commit; returns what goes wrong with it, or raises where the process dies."""

    async def __call__(self, *, alone: bool) -> str | None:
        """`alone`: the commit is a step of its own, and may also fail or never be made."""


class FaultyDatabase(Database):
    """The gateway's database as one process has it. The hooks are the simulator's: before anything begins (which may
    find no database), at each commit (which they may have fail, or reported as failed), and after it.
    """

    def __init__(self, store: Store, *, before: Hook, commit: Commit, after: After) -> None:
        self._store = store
        self._before, self._commit, self._after = before, commit, after

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        await self._before()
        connection = await self._store.connection()
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
        await self._after(connection.wrote)
        if fault == "unheard":
            raise asyncpg.ConnectionDoesNotExistError("the connection broke; the commit had arrived")

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        await self._before()
        connection = await self._store.connection()
        fault = None
        try:
            yield connection
            if connection.wrote:  # each statement has committed by itself
                fault = await self._commit(alone=False)
        finally:
            self._store.give_back(connection)
        await self._after(connection.wrote)
        if fault == "unheard":
            raise asyncpg.ConnectionDoesNotExistError("the connection broke; the statement had been carried out")

    async def close(self) -> None:
        """The store keeps its connections."""
