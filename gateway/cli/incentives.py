"""`gateway incentives`: which stand where."""

from __future__ import annotations

from typing import Annotated

import typer

from contracts.incentive import BlockerCode, Stage
from gateway.cli.common import AsJson, blocked, further, rupiah, table, tell, terminal, with_store
from gateway.services.intake.incentives import Incentives, IncentiveView
from gateway.storage.base.database import Database
from gateway.storage.intake.incentives import IncentiveFilter

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Incentives, read straight from the store at DATABASE_URL."
        "\n\n    gateway incentives list --blocker kyc_incomplete --partner dana"
        "\n\n    gateway incentives list --participant P001 --json"
        "\n\nWhy one is not paid: gateway why INCENTIVE."
    ),
)


@app.command("list")
def list_(
    programme: Annotated[str | None, typer.Option()] = None,
    participant: Annotated[str | None, typer.Option(help="The core platform's participant id.")] = None,
    partner: Annotated[str | None, typer.Option()] = None,
    stage: Annotated[Stage | None, typer.Option()] = None,
    blocker: Annotated[BlockerCode | None, typer.Option()] = None,
    after: Annotated[int, typer.Option(min=0, help="The last id of the page before.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    as_json: AsJson = False,
) -> None:
    """Incentives in the order in which they were handed over; `gateway why ID` explains one."""
    wanted = IncentiveFilter(
        programme=programme, participant_id=participant, partner=partner, stage=stage, blocker=blocker
    )

    async def work(_: Database, incentives: Incentives) -> list[IncentiveView]:
        return await incentives.find(wanted, after, limit + 1)

    found = with_store(work)
    if len(found) > limit:
        found.pop()
        further(f"--after {found[-1].incentive_id}")
    if as_json:
        tell(found)
        return
    rows = (
        (i.incentive_id, i.participant_id, i.purpose, i.period, i.partner, rupiah(i.amount_rupiah), i.stage.value,
         blocked(i.blocker))
        for i in found
    )  # fmt: skip
    columns = ("id", "participant", "purpose", "period", "partner", "amount", "stage", "blocker (who acts)")
    terminal().print(table("incentives", *columns, rows=rows))
