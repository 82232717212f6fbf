"""`gateway funnel`: where everybody stands, and whose turn it is."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.common import AsJson, local, rupiah, table, tell, terminal, with_store
from gateway.services.intake.incentives import Incentives
from gateway.services.ops import funnel as read
from gateway.services.ops.funnel import Funnel
from gateway.storage.base.database import Database


def funnel(
    programme: Annotated[str | None, typer.Option(help="One programme; without it, all of them.")] = None,
    as_json: AsJson = False,
) -> None:
    """Where does everybody stand, who is not paid and why? By stage; by blocker, with who must act; rows refused.

    Reads the store at DATABASE_URL and changes nothing.
    """

    async def work(database: Database, incentives: Incentives) -> Funnel:
        async with database.connection() as connection:
            return await read.read(connection, programme, incentives.moment())

    found = with_store(work)
    if as_json:
        tell(found)
        return
    amounts = dict.fromkeys(found.stages, 0)
    for row in found.rows:
        amounts[row.stage.value] += row.amount_rupiah
    stages = ((stage, count, rupiah(amounts[stage])) for stage, count in found.stages.items())
    terminal().print(table(f"funnel at {local(found.as_of)}", "stage", "incentives", "amount", rows=stages))
    blockers = sorted((row for row in found.rows if row.blocker is not None), key=lambda row: -row.incentives)
    if blockers:
        cells = (
            (row.blocker and row.blocker.value, row.owner and row.owner.value, row.partner, row.stage.value,
             row.incentives, rupiah(row.amount_rupiah))
            for row in blockers
        )  # fmt: skip
        columns = ("blocker", "who must act", "partner", "stage", "incentives", "amount")
        terminal().print(table("\nwhat waits, and for whom", *columns, rows=cells))
    if found.rows_refused:
        refused = ((row.code.value, row.programme, row.rows, row.remedy.en) for row in found.rows_refused)
        terminal().print(table("\nrows refused at intake", "code", "programme", "rows", "what to do", rows=refused))
