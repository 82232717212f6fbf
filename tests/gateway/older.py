"""A database as an older version left it."""

from __future__ import annotations

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
