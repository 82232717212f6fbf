"""`gateway migrate`: bring the database up to date."""

from __future__ import annotations

import asyncio

from gateway.cli.common import console, database_url
from gateway.storage.base.migrate import migrate as apply


def migrate() -> None:
    """Apply the schema files that the database at DATABASE_URL does not have yet, each in one transaction.

    Safe to run again, and from several machines at once. It never changes what it has applied before.
    """
    count = asyncio.run(apply(database_url()))
    console.print(f"{count} schema files applied" if count else "the database is up to date")
