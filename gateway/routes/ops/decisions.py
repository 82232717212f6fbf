"""`/ops`: batches and their approval, the last reconciliations, and the record of who decided what."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.params import FromPath, FromQuery

from contracts.batch import BatchState
from contracts.errors import GatewayError, NotFound
from gateway.clock import jakarta_day
from gateway.core import Core
from gateway.cursors import ByTime
from gateway.routes.intake.batches import as_batch
from gateway.routes.intake.results import as_result
from gateway.routes.ops import acts, overview, payment_plans, people, session
from gateway.routes.ops.acts import ACTS, Act, Target
from gateway.routes.ops.session import FORM_BYTES, Browser, SignInNeeded, form, page, signed_in, to
from gateway.services.intake.batches import RowOutcome
from gateway.storage.ops import story

DAYS = 30
_BATCHES = ByTime("batches/", "b")


@get("/batches", guards=[signed_in()])
async def list_batches(
    core: NamedDependency[Core],
    request: Browser,
    batch_state: FromQuery[str] = "",
    before: FromQuery[str] = "",
) -> Response[str]:
    """Batches in a state, or all of them, those that wait for approval first; a page at a time."""
    chosen, last = _state(batch_state), _BATCHES.before(before)
    async with core.resources.database.connection() as connection:
        rows, more = await story.batches(connection, chosen, last)
        waiting = story.Page([], False)
        if chosen is None and last is None:
            waiting = await story.batches(connection, BatchState.AWAITING_APPROVAL.value, None)
        waiting_plans = await story.count_waiting_plans(connection)
    return page(
        request,
        "batches.html",
        here="/ops/batches",
        waiting=waiting,
        rows=rows,
        more=_BATCHES.after(rows[-1]["received_at"], rows[-1]["id"]) if more else None,
        chosen=chosen or "",
        states=[one.value for one in BatchState],
        waiting_plans=waiting_plans,
    )


def _state(typed: str) -> str | None:
    try:
        return BatchState(typed).value if typed else None
    except ValueError:
        raise NotFound("There is no such state of a batch.") from None


@get("/batches/{batch_id:str}", guards=[signed_in()])
async def show_batch(
    core: NamedDependency[Core], request: Browser, batch_id: FromPath[str], after: FromQuery[int] = 0
) -> Response[str]:
    """What one batch would pay, by partner, what is odd about it, which rows were refused and why, who has decided."""
    view = await core.batches.get(batch_id)
    line = min(max(after, 0), 2**31 - 1)
    refused = story.page(await core.batches.results(batch_id, RowOutcome.REJECTED, line, story.MOST + 1))
    async with core.resources.database.connection() as connection:
        totals = await story.batch_totals(connection, batch_id)
    return page(
        request,
        "batch.html",
        view=view,
        totals=totals,
        shown=as_batch(view),
        refused=[as_result(row) for row in refused.rows],
        more=refused.rows[-1].line if refused.more else None,
        root=view.batch.content_root.hex(),
        may_decide="approver" in request.auth.roles,
        offered=[(ACTS["stop-batch"], Target(batch=batch_id))] if view.batch.state is BatchState.APPROVED else [],
    )


@post("/batches/{batch_id:str}", guards=[signed_in("approver")], request_max_body_size=FORM_BYTES)
async def decide_batch(core: NamedDependency[Core], request: Browser, batch_id: FromPath[str]) -> Response[Any]:
    """Approve or reject exactly the content that was shown."""
    decision, root = payment_plans.decision_of(await form(request))
    await core.batches.decide(request.auth.client_id, batch_id, decision, root)
    return to(f"/ops/batches/{batch_id}")


@get("/reconciliations", guards=[signed_in()])
async def list_reconciliations(core: NamedDependency[Core], request: Browser) -> Response[str]:
    """Each partner's last thirty days, the newest first: compared or not, and what differed."""
    today = jakarta_day(core.resources.clock.now())
    shown = [today - timedelta(days=back) for back in range(1, DAYS + 1)]
    async with core.resources.database.connection() as connection:
        found = {(row["day"], row["partner"]): row for row in await story.days(connection, shown[-1])}
    desks = core.resources.desks
    return page(
        request,
        "reconciliations.html",
        here="/ops/reconciliations",
        partners=[desk.manifest.name for desk in desks.values()],
        rows=[(day, [found.get((day, slug)) for slug in desks]) for day in shown],
        slugs=list(desks),
        compare=ACTS["compare"],
    )


@get("/reconciliations/{number:int}", guards=[signed_in()])
async def show_reconciliation(
    core: NamedDependency[Core], request: Browser, number: FromPath[int], after: FromQuery[int] = 0
) -> Response[str]:
    """One comparison and what differed, a page at a time."""
    row = await core.reconciliations.get(number)
    found = story.page(await core.reconciliations.breaks(number, min(max(after, 0), 2**31 - 1), story.MOST + 1))
    return page(
        request,
        "reconciliation.html",
        here="/ops/reconciliations",
        row=row,
        breaks=found.rows,
        more=found.rows[-1].n if found.more else None,
    )


@get("/webhooks", guards=[signed_in()])
async def list_webhooks(core: NamedDependency[Core], request: Browser) -> Response[str]:
    """Every client's endpoints, how far each is, and what was given up."""
    async with core.resources.database.connection() as connection:
        rows, letters = await story.endpoints(connection), await story.dead_letters(connection)

    def offered(row: story.Row) -> list[tuple[Act, Target]]:
        if row["client_disabled_at"] is not None:  # nothing is delivered there any more
            return []
        names = ["try"] + ["revive"] * bool(row["dead"]) + ["enable"] * (row["disabled_at"] is not None)
        return [(ACTS[name], Target(endpoint=row["id"])) for name in names]

    shown = [(row, offered(row)) for row in rows.rows]
    return page(request, "webhooks.html", here="/ops/webhooks", rows=shown, cut_off=rows.more, letters=letters)


@get("/audit", guards=[signed_in()])
async def list_decisions(
    core: NamedDependency[Core], request: Browser, before: FromQuery[int | None] = None
) -> Response[str]:
    """Who decided what, newest first."""
    async with core.resources.database.connection() as connection:
        rows, more = await story.decisions(connection, before)
    return page(request, "audit.html", here="/ops/audit", rows=rows, more=more)


router = Router(
    path="/ops",
    route_handlers=[
        session.show_sign_in, session.sign_in, session.sign_out, session.show_password,
        session.change_password, session.choose_language, session.read_asset,
        *overview.HANDLERS, *people.HANDLERS, *payment_plans.HANDLERS,
        list_batches, show_batch, decide_batch, list_reconciliations, show_reconciliation,
        list_webhooks, list_decisions, acts.act,
    ],
    exception_handlers={
        SignInNeeded: session.to_sign_in, GatewayError: session.told, HTTPException: session.told_plainly,
    },
    include_in_schema=False,
)  # fmt: skip
