"""`gateway programmes`: the spellings under which incentives are taken."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.common import AsJson, table, tell, terminal, with_store
from gateway.clock import SystemClock
from gateway.services.intake.incentives import Incentives
from gateway.services.intake.programmes import Programme, Programmes
from gateway.storage.base.database import Database

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Programmes and their purposes, in the store at DATABASE_URL: what rows and plans may name."
        "\n\n    gateway programmes register prakerja-2026 training survey"
    ),
)
_ACTOR = "command line"


@app.command()
def register(
    programme: Annotated[str, typer.Argument(help="A slug: lower-case letters, digits, single hyphens.")],
    purposes: Annotated[list[str], typer.Argument(help="Its purposes, `training` and `survey` say; slugs as well.")],
) -> None:
    """Register a programme, or more purposes of one. Rows of any other spelling are refused."""

    async def work(database: Database, _: Incentives) -> Programme:
        return await Programmes(database, SystemClock()).register(programme, purposes, _ACTOR)

    done = with_store(work)
    terminal().print(f"{done.programme}: {', '.join(done.purposes)}", highlight=False)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """What is registered."""

    async def work(database: Database, _: Incentives) -> list[Programme]:
        return await Programmes(database, SystemClock()).find()

    found = with_store(work)
    if as_json:
        tell(found)
        return
    rows = ((one.programme, ", ".join(one.purposes)) for one in found)
    terminal().print(table("programmes", "programme", "purposes", rows=rows))
