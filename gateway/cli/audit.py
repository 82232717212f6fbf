"""`gateway audit`: whether the record of decisions is as it was written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import typer

from gateway.cli.common import As, AsJson, rupiah, table, tell, terminal, vault, who, with_store
from gateway.clock import SystemClock
from gateway.services.intake.incentives import Incentives
from gateway.services.ops.audit import Sealing, Verified
from gateway.services.ops.bundle import Bundle, Bundles, public_key
from gateway.services.ops.bundle import check as checked
from gateway.services.ops.exposure import Exposure, Exposures
from gateway.storage.base.database import Database

T = TypeVar("T")
app = typer.Typer(
    no_args_is_help=True,
    help="The record of who decided what, closed every minute by a link of a keyed chain. Reads DATABASE_URL and"
    " GATEWAY_MASTER_KEY.",
)


@app.command()
def verify(
    root: Annotated[
        str | None,
        typer.Option(help="One that `gateway audit root` printed before, kept elsewhere: shows an end cut off."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look at every row and every link. Exit status 1 where one was changed, deleted, put in or moved."""
    found: Verified = _sealing(lambda sealing: sealing.verify(root))
    if as_json:
        tell(found)
    elif found.wrong is None:
        terminal().print(
            f"{found.rows} rows in {found.links} links are as they were closed; {found.open_rows} are open"
        )
    else:
        terminal().print(f"[red]not as it was closed:[/] {found.wrong}; {found.rows} rows before are")
    if found.wrong is not None:
        raise typer.Exit(1)


@app.command()
def root() -> None:
    """Close what is open and print the root of it all: keep it where nobody who has the database can change it."""

    async def work(sealing: Sealing) -> str | None:
        await sealing.seal(SystemClock().now())
        return await sealing.root()

    terminal().print(_sealing(work) or "nothing is on record yet", highlight=False, soft_wrap=True)


@app.command()
def bundle(
    incentive: Annotated[int, typer.Argument(help="The incentive's id.")],
    as_: As = None,
) -> None:
    """Print all that is on record about one incentive, signed, as JSON: who handed over, approved and consented, what
    was sent, what came back. It holds nothing of who the person is.
    """

    async def work(database: Database, _: Incentives) -> Bundle:
        actor = await who(database, as_, "auditor")
        return await Bundles(database, SystemClock(), vault()).make(incentive, actor)

    made = with_store(work)
    typer.echo(msgspec.json.format(msgspec.json.encode(made), indent=2).decode())


@app.command()
def seen(
    client: Annotated[str, typer.Argument(help="A client's id, or op-NAME for a person of /ops.")],
    since: Annotated[datetime, typer.Option(help="UTC: when it may have come into other hands.")],
    until: Annotated[datetime | None, typer.Option(help="UTC: when it was out of them; left out: now.")] = None,
    reach: Annotated[
        Path | None, typer.Option(help="Write the id of everybody it could have read into this file, one a line.")
    ] = None,
    as_: As = None,
    as_json: AsJson = False,
) -> None:
    """Whose data a client or person saw in a time, for the notice of a breach (within 3 x 24 hours).

    On record is every look at one person and every change; lists and single rows that the API tells hold the core
    platform's ids and states, no NIK, name, phone or account, and whoever has the scopes could have read them of
    everybody within reach.
    """

    async def work(database: Database, _: Incentives) -> Exposure:
        actor = await who(database, as_, "auditor")
        now = SystemClock().now()
        span = (since.replace(tzinfo=UTC), now if until is None else until.replace(tzinfo=UTC))
        return await Exposures(database).of(client, *span, actor=actor, now=now, into=reach)

    found = with_store(work)
    if as_json:
        tell(found)
        return
    whose = found.reach.organisation or "every organisation"
    terminal().print(
        f"{client} ({found.reach.person}; {' '.join(found.reach.scopes)}) saw or changed {len(found.seen)} participants"
        f" on record; within its reach were {found.within_reach}, of {whose}",
        highlight=False,
    )
    rows = ((one.participant_id, one.times, one.first_at, one.last_at) for one in found.seen)
    terminal().print(table("on record", "participant", "times", "first", "last", rows=rows))


@app.command()
def key() -> None:
    """Print the public key that checks every bundle of this installation: publish it."""

    async def work(*_: object) -> str:
        return public_key(vault())

    typer.echo(with_store(work))


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="What `gateway audit bundle` printed.", exists=True, dir_okay=False)],
    key: Annotated[str, typer.Option(help="What `gateway audit key` printed at the installation.")],
) -> None:
    """Check a bundle without store, settings or network, and say what it shows. Exit status 2 where it was changed."""
    record = checked(file.read_bytes(), key)
    incentive = record["incentive"]
    what = f"incentive {incentive['id']}, {incentive['stage']}, {rupiah(incentive['amount_rupiah'])}"
    terminal().print(f"{what}: as it was signed {record['made_at']}")
    for kind in ("handed_over", "approved", "consented", "checked", "sent", "came_back", "booked", "cases", "decided"):
        terminal().print(f"{kind:<12} {len(record[kind] or ())}")
    terminal().print(f"root of the record of decisions: {record['audit_root']}", highlight=False, soft_wrap=True)


def _sealing(work: Callable[[Sealing], Awaitable[T]]) -> T:
    return with_store(lambda database, _: work(Sealing(database, SystemClock(), vault())))
