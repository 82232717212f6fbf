"""A database as an older version left it, and as the next one makes it while this one runs."""

from __future__ import annotations

import asyncpg
import pytest

from gateway.storage.base import migrate as migrations
from gateway.storage.base import roles


async def migrate_before(file: str, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Apply what comes before a file, and give the server's roles nothing: what they are given is not yet there."""
    files = migrations._files()

    async def nothing(connection: object) -> list[str]:
        return []

    with monkeypatch.context() as older:
        older.setattr(migrations, "_files", lambda: [one for one in files if one[0] < file])
        older.setattr(roles, "grant", nothing)
        await migrations.migrate(dsn)


async def next_version(dsn: str, column: str = "of_the_next") -> int:
    """Migrate as the next version would, each table in a transaction of its own; how many tables there were."""
    connection = await asyncpg.connect(dsn)
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        for (table,) in tables:
            async with connection.transaction():
                await connection.execute(f'ALTER TABLE "{table}" ADD COLUMN {column} text DEFAULT $$new$$')
                await connection.execute(f'CREATE INDEX ON "{table}" ({column})')
        return len(tables)
    finally:
        await connection.close()
