"""What commands share: settings, a store to read from, tables."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import TypeVar

from rich.console import Console
from rich.table import Table
from rich.text import Text

from adapters.registry import PARTNERS
from contracts.secret import Secret
from gateway.clock import SystemClock
from gateway.security.vault import Vault
from gateway.services.intake.incentives import BlockerView, Incentives
from gateway.settings import Settings, SettingsError, from_environment, read_key
from gateway.storage.base import witness
from gateway.storage.base.database import Database

T = TypeVar("T")

MANIFESTS = {slug: partner.manifest for slug, partner in PARTNERS.items()}
KEY = "GATEWAY_MASTER_KEY"
console = Console()


def settings() -> Settings:
    """The whole installation's, from the environment."""
    return from_environment(os.environ, MANIFESTS)


def database_url() -> str:
    """For commands that need the store and nothing else."""
    url = os.environ.get("DATABASE_URL")
    if not url:
        raise SettingsError("DATABASE_URL is not set")
    return url


def vault() -> Vault:
    """The installation's keys."""
    text = os.environ.get(KEY)
    if not text:
        raise SettingsError(f"{KEY} is not set")
    return Vault(read_key(Secret(text)))


@asynccontextmanager
async def open_store() -> AsyncIterator[tuple[Database, Incentives]]:
    """The store, and incentives as clients see them. A key that is set must be the store's, needed here or not."""
    database = await Database.open(database_url(), size=2)
    try:
        if KEY in os.environ:
            async with database.connection() as connection:
                await witness.check(connection, vault())
        yield database, Incentives(database, SystemClock(), MANIFESTS)
    finally:
        await database.close()


def with_store(work: Callable[[Database, Incentives], Awaitable[T]]) -> T:
    """Run `work` on the store."""

    async def run() -> T:
        async with open_store() as (database, incentives):
            return await work(database, incentives)

    return asyncio.run(run())


def table(title: str, *columns: str, rows: Iterable[Iterable[object]]) -> Table:
    """Rows under headings, cells as they are (a partner's words may hold brackets); None shows as a dash."""
    made = Table(title=title, title_justify="left")
    for at, column in enumerate(columns):
        made.add_column(column, no_wrap=at == 0, overflow="fold")
    for row in rows:
        made.add_row(*(Text("–" if cell is None else str(cell)) for cell in row))
    return made


def rupiah(amount: int) -> str:
    """`Rp 600.000`."""
    return f"Rp {amount:,}".replace(",", ".")


def blocked(blocker: BlockerView | None) -> str | None:
    """A blocker in one cell."""
    return None if blocker is None else f"{blocker.code.value} ({blocker.owner.value})"
