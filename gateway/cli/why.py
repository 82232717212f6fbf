"""`gateway why`: why one incentive is not paid."""

from __future__ import annotations

from typing import Annotated

import typer

from contracts.incentive import Stage
from gateway.cli.common import AsJson, local, rupiah, table, tell, terminal, with_store
from gateway.clock import SystemClock, jakarta_day
from gateway.services.intake.incentives import Incentives, IncentiveView
from gateway.storage.base.database import Database
from gateway.storage.payouts import payouts


def why(
    incentive: Annotated[int, typer.Argument(help="As the API and `gateway incentives list` name it.")],
    as_json: AsJson = False,
) -> None:
    """Why is it not paid? Stage, blocker, who must act and by when, when the gateway tries again, and every payout.

    Reads the store at DATABASE_URL and changes nothing.
    """
    with_store(lambda database, incentives: _why(database, incentives, incentive, as_json))


async def _why(database: Database, incentives: Incentives, incentive_id: int, as_json: bool) -> None:
    view = await incentives.get(incentive_id)
    async with database.connection() as connection:
        rows = await payouts.for_incentive(connection, incentive_id)
    if as_json:
        tell({"incentive": view, "payouts": rows})
        return
    terminal().print(
        f"[bold]incentive {view.incentive_id}[/]: {view.programme} {view.purpose} {view.period}, participant"
        f" {view.participant_id}, {rupiah(view.amount_rupiah)} at {view.partner}",
        highlight=False,
    )
    terminal().print(f"due {view.due_on}, deadline {view.deadline_on}, batch {view.batch_id}", highlight=False)
    terminal().print(f"stage: [bold]{view.stage.value}[/]")
    _blocker(view)
    if rows:
        cells = (
            (p.id, p.state.value, p.attempt, p.reason.value if p.reason else None, p.first_sent_at, p.next_at)
            for p in rows
        )
        terminal().print(table("payouts", "id", "state", "attempt", "reason", "first sent", "next step", rows=cells))
        terminal().print("`gateway payouts show ID` shows what the partner said.", style="dim")


_WITHOUT_BLOCKER = {
    Stage.PAID: "it is paid",
    Stage.CANCELLED: "it was cancelled",
    Stage.PAYING: "a payout is under way and is followed to its end",
}
"""An approval that is missing is a blocker; in these stages its batch may be stopped or rejected."""


def _blocker(view: IncentiveView) -> None:
    blocker = view.blocker
    if blocker is None:
        if view.stage in _WITHOUT_BLOCKER:
            terminal().print(_WITHOUT_BLOCKER[view.stage])
        elif view.due_on > jakarta_day(SystemClock().now()):
            terminal().print(f"nothing holds it up; it is due on {view.due_on}, from 00:00 in Jakarta")
        else:
            terminal().print("nothing holds it up")
        return
    terminal().print(f"blocker: [yellow]{blocker.code.value}[/], since {local(blocker.since)}")
    terminal().print(f"who must act: [bold]{blocker.owner.value}[/], by {blocker.act_by}")
    again = blocker.next_attempt_at
    terminal().print(f"the gateway tries again: {local(again)}" if again else "it waits until they have")
    terminal().print(f"id: {blocker.text.id}\nen: {blocker.text.en}", highlight=False)
