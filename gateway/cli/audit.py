"""`gateway audit`: whether the record of decisions is as it was written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from gateway.cli.common import AsJson, console, tell, vault, with_store
from gateway.clock import SystemClock
from gateway.services.ops.audit import Sealing, Verified

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


def _sealing(work: Callable[[Sealing], Awaitable[T]]) -> T:
    return with_store(lambda database, _: work(Sealing(database, SystemClock(), vault())))
