"""`gateway payouts`: movements of money, and what the partner said about one."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from contracts.errors import NotFound
from contracts.payout import PayoutState
from gateway.cli.common import AsJson, further, local, rupiah, table, tell, terminal, with_store
from gateway.cursors import ByTime
from gateway.services.intake.incentives import Incentives
from gateway.storage.base.database import Database
from gateway.storage.ops import story

PAGES = ByTime("payouts by time/", "")

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Payouts, read straight from the store at DATABASE_URL."
        "\n\n    gateway payouts list --state unknown --partner bni"
        "\n\n    gateway payouts show PAYOUT"
        "\n\nWhose turn it is: gateway why INCENTIVE."
    ),
)


@app.command("list")
def list_(
    state: Annotated[PayoutState, typer.Option(help="`unknown`: it left, and nobody has said what became of it.")] = (
        PayoutState.UNKNOWN
    ),
    partner: Annotated[str | None, typer.Option()] = None,
    after: Annotated[str | None, typer.Option(help="What the page before named at its end.")] = None,
    as_json: AsJson = False,
) -> None:
    """Payouts in one state, those that nothing has changed for the longest first, a page at a time."""
    last = PAGES.before(after)

    async def work(database: Database, _: Incentives) -> story.Page:
        async with database.connection() as connection:
            return await story.payouts_in(connection, state.value, partner, last)

    rows, more = with_store(work)
    if more:
        further(f"--after {PAGES.after(rows[-1]['updated_at'], str(rows[-1]['id']))}")
    if as_json:
        tell(list(rows))
        return
    cells = (
        (r["id"], r["incentive"], r["partner"], rupiah(r["amount_rupiah"]), r["updated_at"],
         r["next_at"] or r["sent_deadline"], r["reference"], r["partner_reference"])
        for r in rows
    )  # fmt: skip
    columns = ("payout", "incentive", "partner", "amount", "since", "next step", "our reference", "the partner's")
    terminal().print(table(f"payouts: {state.value}", *columns, rows=cells))


@app.command()
def show(
    payout_id: Annotated[int, typer.Argument(help="17 digits; `gateway why INCENTIVE` names it.")],
    as_json: AsJson = False,
) -> None:
    """One payout: its state, what the partner said, every exchange with it, and what an operator must look at."""
    found = with_store(lambda database, _: _read(database, payout_id))
    if as_json:
        tell(found)
        return
    row = found["payout"]
    amount = rupiah(row["amount_rupiah"])
    terminal().print(f"[bold]payout {row['id']}[/] of incentive {row['incentive']}, {row['partner']}, {amount}")
    terminal().print(f"state {row['state']}, attempt {row['attempt']}, our reference {row['reference']}")
    next_at = local(row["next_at"]) if row["next_at"] else "none"
    terminal().print(f"the partner's number: {row['partner_reference'] or 'none yet'}; next step: {next_at}")
    said = ("at", "source", "attempt", "kind", "reason", "partner_code", "detail")
    columns = ("at", "how", "attempt", "what", "reason", "code", "in its words")
    terminal().print(table("\nwhat the partner said", *columns, rows=_cells(found["words"], said)))
    calls = ("at", "operation", "effect", "status", "error", "left_us", "took_ms")
    terminal().print(table("\nexchanges", *calls, rows=_cells(found["exchanges"], calls)))
    questions = [case for case in found["cases"] if case["closed_at"] is None]
    if questions:
        cells = _cells(questions, ("id", "code", "opened_at", "due_at", "detail"))
        terminal().print(table("\ncases for an operator", "case", "code", "since", "decide by", "evidence", rows=cells))


async def _read(database: Database, payout_id: int) -> dict[str, Any]:
    async with database.connection() as connection:
        row = await story.payout(connection, payout_id)
        if row is None:
            raise NotFound("There is no such payout.")
        found = await story.evidence(connection, payout_id)
    if found.words.more or found.calls.more:
        further(f"these are the newest {story.MOST}; all: gateway audit bundle {row['incentive']}")
    return {
        "payout": row,
        "words": found.words.rows,
        "exchanges": found.calls.rows,
        "ledger": found.entries,
        "cases": found.cases,
    }


def _cells(rows: story.Rows, names: tuple[str, ...]) -> list[list[object]]:
    return [[row[name] for name in names] for row in rows]
