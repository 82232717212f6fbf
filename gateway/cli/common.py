"""What commands share: settings, a store to read from, who acts, tables in Jakarta's time, JSON."""

from __future__ import annotations

import asyncio
import functools
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from unicodedata import category

import msgspec
import typer

from adapters.registry import PARTNERS
from contracts.errors import InvalidRequest
from contracts.secret import Secret
from gateway.clock import JAKARTA, SystemClock
from gateway.security import sources
from gateway.services.intake.incentives import BlockerView, Incentives
from gateway.settings import Settings, SettingsError, from_environment, read_address, read_keys
from gateway.storage.base.database import Database

if TYPE_CHECKING:  # these take long to load: ciphers, where nothing is opened; what draws tables, for JSON and help
    from rich.console import Console
    from rich.table import Table

    from gateway.security.vault import Vault

T = TypeVar("T")


@functools.cache
def terminal() -> Console:
    """Where commands print, made when the first one does."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True)


MANIFESTS = {slug: partner.manifest for slug, partner in PARTNERS.items()}
KEY = sources.MASTER_KEY
GAP = 2
LAST_MIN = 24
"""So narrow the last column of a table may become before its lines run over the terminal's edge."""
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead, for programs.")]
As = Annotated[
    str | None,
    typer.Option("--as", help="Your name at /ops; password and code are asked for, or read from standard input."),
]


def settings() -> Settings:
    """The whole installation's, from the environment."""
    return from_environment(sources.resolved(os.environ, sources.all_names(MANIFESTS)), MANIFESTS)


def database_url() -> str:
    """For commands that need the store and nothing else."""
    url = _one(sources.DATABASE_URL)
    if not url:
        raise SettingsError("DATABASE_URL is not set")
    return read_address(sources.DATABASE_URL, url).reveal()


def _one(name: str) -> str | None:
    return sources.resolved(os.environ, (name,)).get(name)


@functools.cache
def vault() -> Vault:
    """The installation's keys; one vault a process, as it is told by the store what to do."""
    from gateway.security.vault import Vault

    text = _one(KEY)
    if not text:
        raise SettingsError(f"{KEY} is not set")
    return Vault(*read_keys(Secret(text)))


@asynccontextmanager
async def open_store() -> AsyncIterator[tuple[Database, Incentives]]:
    """The store, and incentives as clients see them. A key that is set must be the store's, needed here or not."""
    database = await Database.open(database_url(), size=2)
    try:
        if any(KEY + ending in os.environ for ending in ("", *sources.WAYS)):
            from gateway.storage.base import witness

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


async def who(database: Database, name: str | None, role: str) -> str:
    """Who acts: `name`, proved by password and code as at /ops, with `role`; where nobody is enrolled, `cli`.

    Raises `InvalidRequest` for a missing name, `Unauthenticated`, `RoleMissing`.
    """
    from gateway.services.ops.operators import Operators, RoleMissing
    from gateway.storage.ops import audit
    from gateway.storage.ops import operators as stored

    if name is None:
        async with database.connection() as connection:
            enabled = [row.client_id for row, gone in await stored.get_all(connection) if gone is None]
        if not enabled:
            return "cli"
        raise InvalidRequest(
            "This is done in a person's name.", remedy="Say who you are: --as NAME, as you sign in at /ops."
        )
    operators = Operators(database, SystemClock(), vault())
    token = await operators.sign_in(name, _typed("password", hidden=True), _typed("code"))
    try:
        person = await operators.recognise(token)
    finally:
        await operators.sign_out(token)
    if person is None or role not in person.roles:
        if person is not None:
            async with database.connection() as connection:
                about = {"code": "role_missing", "role": role}
                await audit.record(connection, SystemClock().now(), person.client_id, "act.refused", "cli", about)
        raise RoleMissing(role)
    return person.client_id


def _typed(what: str, *, hidden: bool = False) -> str:
    if sys.stdin.isatty():
        return str(typer.prompt(what, hide_input=hidden))
    return sys.stdin.readline().rstrip("\n")


def table(title: str, *columns: str, rows: Iterable[Iterable[object]]) -> Table:
    """Rows under headings, or that there are none; cells as they are (a partner's words may hold brackets), None as a
    dash, a time as Jakarta's. No column but the last is ever narrower than its widest cell, so that a number can be
    copied whole.
    """
    from rich.table import Table
    from rich.text import Text

    made = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, GAP, 0, 0))
    cells = [[_cell(value) for value in row] for row in rows] or [["none", *("" for _ in columns[1:])]]
    widths = [max([len(name), *(len(row[at]) for row in cells)]) for at, name in enumerate(columns)]
    for at, name in enumerate(columns):
        last = at == len(columns) - 1
        made.add_column(name, no_wrap=not last, overflow="fold", min_width=None if last else widths[at])
    for row in cells:
        made.add_row(*(Text(cell) for cell in row))
    least = sum(width + GAP for width in widths[:-1]) + min(widths[-1], LAST_MIN)
    made.width = min(sum(width + GAP for width in widths), max(terminal().width, least))
    return made


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return local(value) if isinstance(value, datetime) else shown(str(value))


_ACTED_ON, _INSTEAD = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"}), "\N{REPLACEMENT CHARACTER}"


def shown(text: str) -> str:
    """A text that may be somebody else's: without signs that a terminal would act on instead of showing them."""
    return "".join(sign if sign == "\n" or category(sign) not in _ACTED_ON else _INSTEAD for sign in text)


def local(at: datetime | None) -> str:
    """`2026-11-28 20:30:00 WIB`: Jakarta's time."""
    return "–" if at is None else f"{at.astimezone(JAKARTA):%Y-%m-%d %H:%M:%S} WIB"


def further(option: str) -> None:
    """That a list goes on, and what leads there; beside the list, so that `--json` stays JSON."""
    typer.echo(f"the list goes on: {option}", err=True)


def tell(value: object) -> None:
    """As JSON, on one line; rows of the store as objects."""
    typer.echo(msgspec.json.encode(value, enc_hook=_plain).decode())


def _plain(value: Any) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "items"):  # a row of the store
        return dict(value.items())
    raise TypeError(type(value).__name__)


def rupiah(amount: int) -> str:
    """`Rp 600.000`."""
    return f"Rp {amount:,}".replace(",", ".")


def blocked(blocker: BlockerView | None) -> str | None:
    """A blocker in one cell."""
    return None if blocker is None else f"{blocker.code.value} ({blocker.owner.value})"
