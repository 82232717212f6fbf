"""`gateway audit`: whether the record of decisions is as it was written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import typer

from gateway.cli.common import As, AsJson, console, rupiah, tell, vault, who, with_store
from gateway.clock import SystemClock
from gateway.services.intake.incentives import Incentives
from gateway.services.ops.audit import Sealing, Verified
from gateway.services.ops.bundle import Bundle, Bundles, public_key
from gateway.services.ops.bundle import check as checked
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
        console.print(f"{found.rows} rows in {found.links} links are as they were closed; {found.open_rows} are open")
    else:
        console.print(f"[red]not as it was closed:[/] {found.wrong}; {found.rows} rows before are")
    if found.wrong is not None:
        raise typer.Exit(1)


@app.command()
def root() -> None:
    """Close what is open and print the root of it all: keep it where nobody who has the database can change it."""

    async def work(sealing: Sealing) -> str | None:
        await sealing.seal(SystemClock().now())
        return await sealing.root()

    console.print(_sealing(work) or "nothing is on record yet", highlight=False, soft_wrap=True)


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
    console.print(f"{what}: as it was signed {record['made_at']}")
    for kind in ("handed_over", "approved", "consented", "checked", "sent", "came_back", "booked", "cases", "decided"):
        console.print(f"{kind:<12} {len(record[kind] or ())}")
    console.print(f"root of the record of decisions: {record['audit_root']}", highlight=False, soft_wrap=True)


def _sealing(work: Callable[[Sealing], Awaitable[T]]) -> T:
    return with_store(lambda database, _: work(Sealing(database, SystemClock(), vault())))
