"""`gateway payouts`: one movement of money, and what the partner said about it."""

from __future__ import annotations

from typing import Annotated

import typer

from contracts.errors import NotFound
from gateway.cli.common import console, rupiah, table, with_store
from gateway.storage.base.database import Database
from gateway.storage.ops import cases
from gateway.storage.payouts import payouts as stored

app = typer.Typer(no_args_is_help=True, help="Payouts, read straight from the store at DATABASE_URL.")


@app.command()
def show(payout_id: Annotated[int, typer.Argument(help="17 digits; `gateway why INCENTIVE` names it.")]) -> None:
    """One payout: its state, what the partner said, every exchange with it, and what an operator must look at."""
    with_store(lambda database, _: _show(database, payout_id))


async def _show(database: Database, payout_id: int) -> None:
    async with database.connection() as connection:
        row = await stored.get(connection, payout_id)
        if row is None:
            raise NotFound("There is no such payout.")
        heard = await connection.fetch(
            "SELECT at, source, attempt, kind, reason, partner_code, detail"
            " FROM observations WHERE payout = $1 ORDER BY id",
            payout_id,
        )
        calls = await connection.fetch(
            "SELECT at, operation, effect, status, error, left_us, took_ms FROM exchanges WHERE subject = $1"
            " ORDER BY id LIMIT 200",
            str(payout_id),
        )
        questions = await cases.open_for(connection, payout_id)
    console.print(f"[bold]payout {row.id}[/] of incentive {row.incentive}, {row.partner}, {rupiah(row.amount_rupiah)}")
    console.print(f"state {row.state.value}, attempt {row.attempt}, our reference {row.reference}")
    console.print(f"the partner's number: {row.partner_reference or 'none yet'}; next step: {row.next_at or 'none'}")
    console.print(
        table("what the partner said", "at", "how", "attempt", "what", "reason", "code", "in its words", rows=heard)
    )
    columns = ("at", "operation", "effect", "status", "error", "left us", "ms")
    console.print(table("exchanges", *columns, rows=calls))
    if questions:
        cells = ((case.code, case.opened_at, case.due_at, case.detail) for case in questions)
        console.print(table("cases for an operator", "case", "since", "decide by", "evidence", rows=cells))
