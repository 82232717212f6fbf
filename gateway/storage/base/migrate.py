"""Applies the numbered SQL files in `schema/`, each once and in order, under an advisory lock."""

from __future__ import annotations

import hashlib
from importlib import resources

import asyncpg

from gateway.storage.base import roles
from gateway.storage.base.database import Connection, connect

_LOCK = 0x70_72_61_6B  # one migrator at a time; any constant would do


class MigrationError(Exception):
    """A file that was applied before has changed, or is missing."""


async def migrate(dsn: str) -> int:
    """Bring the database up to date, and let the roles that there are do what they need; returns how many files were
    applied. Safe from several processes at once.
    """
    connection = await connect(dsn)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations"
            " (name text PRIMARY KEY, sha256 text NOT NULL, at timestamptz DEFAULT now())"
        )
        rows = await connection.fetch("SELECT name, sha256 FROM schema_migrations")
        applied = {row["name"]: row["sha256"] for row in rows}
        fresh = 0
        for name, text in _files():
            digest = hashlib.sha256(text.encode()).hexdigest()
            if name in applied:
                if applied.pop(name) != digest:
                    raise MigrationError(f"{name} was changed after it had been applied: add a new file instead")
                continue
            try:
                async with connection.transaction():
                    await connection.execute(text)
                    await connection.execute(
                        "INSERT INTO schema_migrations (name, sha256) VALUES ($1, $2)", name, digest
                    )
            except asyncpg.RaiseError as error:  # a file's own words about data that it cannot take over
                raise MigrationError(f"{name}: {error}") from None
            fresh += 1
        if applied:
            raise MigrationError(f"the database knows {min(applied)}; this version is older than the database")
        await roles.grant(connection)
        return fresh
    finally:
        await connection.close()


async def pending(connection: Connection) -> list[str]:
    """Names of the files that `migrate` would apply."""
    known = await connection.fetchval("SELECT to_regclass('schema_migrations') IS NOT NULL")
    rows = await connection.fetch("SELECT name FROM schema_migrations") if known else []
    applied = {row["name"] for row in rows}
    return [name for name, _ in _files() if name not in applied]


async def demand(connection: Connection) -> None:
    """Raise `MigrationError` where this version knows files that the database lacks. An older version may go on with a
    newer database.
    """
    missing = await pending(connection)
    if missing:
        raise MigrationError(
            f"the database is older than this version (it lacks {missing[0]}, {len(missing)} in all):"
            " run `gateway migrate`, then start again; what runs of the version before may go on meanwhile"
        )


def _files() -> list[tuple[str, str]]:
    folder = resources.files("gateway.storage.base") / "schema"
    return sorted((entry.name, entry.read_text("utf-8")) for entry in folder.iterdir() if entry.name.endswith(".sql"))
