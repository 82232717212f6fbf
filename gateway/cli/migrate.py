"""`gateway migrate`: bring the database up to date."""

from __future__ import annotations

import asyncio

from gateway.cli.common import database_url, terminal, vault
from gateway.security.vault import Vault
from gateway.storage.base import witness
from gateway.storage.base.migrate import migrate as apply


def migrate() -> None:
    """Apply the schema files that the database at DATABASE_URL does not have yet, each in one transaction.

    Safe to run again, and from several machines at once. It never changes what it has applied before. The database
    belongs to GATEWAY_MASTER_KEY from the first time on: under another key nothing is applied and nothing starts.
    """
    count = asyncio.run(_migrate(database_url(), vault()))
    terminal().print(f"{count} schema files applied" if count else "the database is up to date")


async def _migrate(dsn: str, keys: Vault) -> int:
    await witness.prove(dsn, keys)
    count = await apply(dsn)
    await witness.keep(dsn, keys)
    return count
