"""`gateway cases`: what somebody must look at, and that it is settled."""

from __future__ import annotations

from typing import Annotated

import typer

from contracts.errors import InvalidRequest, NotFound
from contracts.incentive import BlockerCode
from contracts.lifting import CLOSED_BY_HAND, LIFTED_BY
from gateway.cli.common import As, AsJson, further, local, table, tell, terminal, who, with_store
from gateway.clock import SystemClock
from gateway.services.intake.incentives import Incentives
from gateway.services.ops.cases import Cases
from gateway.services.ops.shown import as_read
from gateway.storage.base.database import Database
from gateway.storage.ops import story
from gateway.storage.ops.cases import Case

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Cases for an operator, read straight from the store at DATABASE_URL."
        "\n\n    gateway cases list --partner ovo"
        "\n\n    gateway cases show CASE"
        '\n\n    gateway cases close CASE "the credit was given back, letter 17" --as NAME'
        "\n\nSettling one by the partner's document: gateway settlements --help."
    ),
)


@app.command("list")
def list_(
    partner: Annotated[str | None, typer.Option()] = None,
    code: Annotated[BlockerCode | None, typer.Option()] = None,
    after: Annotated[int, typer.Option(min=0, help="The last case of the page before.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Open cases, the most urgent first, a page at a time."""
    wanted = None if code is None else code.value

    async def work(database: Database, _: Incentives) -> tuple[story.Page, story.Page]:
        async with database.connection() as connection:
            found = await story.open_cases(connection, partner=partner, code=wanted, after=after)
            return found, await story.halves(connection, SystemClock().now())

    (rows, more), halves = with_store(work)
    if more:
        further(f"--after {rows[-1]['id']}")
    if as_json:
        tell(list(rows))
        return
    cells = ((r["id"], r["code"], r["partner"], r["payout"], r["opened_at"], r["due_at"], r["detail"]) for r in rows)
    columns = ("case", "code", "partner", "payout", "since", "decide by", "evidence")
    terminal().print(table("open cases", *columns, rows=cells))
    if halves.rows:
        named = ((one["code"], one["participant_id"], one["asked_by"], one["since"]) for one in halves.rows)
        heads = ("what", "participant", "asked by", "since")
        terminal().print(table("\nwaits for a second person", *heads, rows=named))
        if halves.more:
            terminal().print("only what waits longest; the others follow", style="dim")


@app.command()
def show(
    case_id: Annotated[int, typer.Argument(help="As `gateway cases list` names it.")], as_json: AsJson = False
) -> None:
    """One case: its evidence, and the operations that lift it."""

    async def work(database: Database, _: Incentives) -> story.Row | None:
        async with database.connection() as connection:
            return await story.case(connection, case_id)

    row = with_store(work)
    if row is None:
        raise NotFound("There is no such case.")
    lifts = LIFTED_BY[BlockerCode(row["code"])]
    if as_json:
        tell(dict(row) | {"lifted_by": lifts})
        return
    terminal().print(f"[bold]case {row['id']}[/]: {row['code']} at {row['partner']}")
    terminal().print(f"since {local(row['opened_at'])}, decide by {local(row['due_at'])}")
    if row["closed_at"] is not None:
        terminal().print(f"closed {local(row['closed_at'])} by {row['closed_by']}")
    terminal().print(row["detail"], markup=False)
    terminal().print(f"what lifts it: {', or '.join(lifts)}", markup=False)
    if row["closed_at"] is None and BlockerCode(row["code"]) in CLOSED_BY_HAND:
        read = as_read(row["opened_at"], row["detail"])
        terminal().print(f"once it is settled: `gateway cases close {row['id']} REASON --read {read}`", style="dim")
    if row["payout"] is not None:
        terminal().print(
            f"`gateway payouts show {row['payout']}` has the partner's words and every exchange", style="dim"
        )


@app.command()
def close(
    case_id: Annotated[int, typer.Argument(help="As `gateway cases list` names it.")],
    reason: Annotated[
        str, typer.Argument(help="What was settled, and with whom, 3 to 300 characters; nothing personal.")
    ],
    read: Annotated[str | None, typer.Option(help="As `show` gives it: nothing is closed that came later.")] = None,
    person: As = None,
    as_json: AsJson = False,
) -> None:
    """Call a case settled that ends outside of the gateway; all others close by themselves. Nothing is paid by it."""
    if not 3 <= len(reason) <= 300:
        raise InvalidRequest("A reason has 3 to 300 characters.", field="reason")

    async def work(database: Database, _: Incentives) -> Case:
        actor = await who(database, person, "operator")
        return await Cases(database, SystemClock()).close(case_id, reason, actor=actor, read=read)

    case = with_store(work)
    if as_json:
        tell(case)
        return
    terminal().print(f"case {case.id} is closed")
