"""`/v1/plans`: what finishing a training entitles to, approved once by two people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from contracts.batch import REQUIRED_APPROVALS
from contracts.payment_plan import Instalment, PaymentPlan, PlanState
from gateway.core import Core
from gateway.cursors import ByTime
from gateway.routes.access.idempotent import once
from gateway.routes.intake.batches import Approval, DecideBatch
from gateway.security.clients import Caller, require
from gateway.services.intake.batches import Decision
from gateway.services.intake.plans import PlanView

Call = Request[Any, Caller, Any]
_LIST = ByTime("plans/", "pl")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A plan as it stands."""

    plan_id: str
    state: PlanState
    programme: str
    name: str
    most_participants: int
    instalments: Sequence[Instalment]
    holidays: Sequence[date]
    weekends: bool
    most_rupiah: int
    """What is paid at most: all instalments of all participants."""
    content: str
    """What is approved, as JSON text."""
    content_root: str
    """SHA-256 of `content`: what an approval is for."""
    submitted_by: str
    approvals: tuple[Approval, ...]
    approvals_missing: int
    received_at: datetime
    decided_at: datetime | None


class PlanPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some plans, newest first; `next_cursor` is null on the last page."""

    plans: list[Plan]
    next_cursor: str | None


@post("/", guards=[require("batches")])
async def propose_plan(core: NamedDependency[Core], request: Call, data: JSONBody[PaymentPlan]) -> Response[Plan]:
    """Propose a plan of payments. Two people approve its `content_root`, neither of them the one who made it; then
    participants are entitled under it, and notices make their incentives without any other approval.
    """

    async def work() -> Plan:
        return as_plan(await core.plans.propose(request.auth.client_id, data))

    return await once(request, core, work)


@post("/{plan_id:str}/approvals", guards=[require("batches:approve")], status_code=200)
async def decide_plan(
    core: NamedDependency[Core], request: Call, plan_id: FromPath[str], data: JSONBody[DecideBatch]
) -> Plan:
    """Approve or reject a plan, or withdraw what you said before. Who approves it hands nothing over under it. Deciding
    the same again changes nothing.
    """
    root = bytes.fromhex(data.content_root)
    return as_plan(await core.plans.decide(request.auth.client_id, plan_id, data.decision, root))


@post("/{plan_id:str}/stop", guards=[require("batches", "batches:approve", "ops")], status_code=200)
async def stop_plan(core: NamedDependency[Core], request: Call, plan_id: FromPath[str]) -> Plan:
    """Stop an approved plan: every entitlement under it ends, and whatever its notices made and has not left is
    cancelled and may be handed over again, under another plan; what has left is followed to its end, and if that is
    none no other payout is made. Stopping again changes nothing.
    """
    return as_plan(await core.plans.stop(request.auth.client_id, plan_id))


@get("/{plan_id:str}", guards=[require("batches", "incentives", "batches:approve", "read")])
async def read_plan(core: NamedDependency[Core], plan_id: FromPath[str]) -> Plan:
    """A plan with what was said about it."""
    return as_plan(await core.plans.get(plan_id))


@get("/", guards=[require("batches", "incentives", "batches:approve", "read")])
async def list_plans(
    core: NamedDependency[Core],
    request: Call,
    state_: Annotated[PlanState | None, QueryParameter(name="state")] = None,
    cursor: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> PlanPage:
    """Plans, newest first: those of one `state`, or all."""
    found = await core.plans.find(request.auth.organisation, state_, _LIST.before(cursor), limit + 1)
    page, last = found[:limit], found[limit - 1].row if len(found) > limit else None
    more = _LIST.after(last.received_at, last.id) if last else None
    return PlanPage(plans=[as_plan(view) for view in page], next_cursor=more)


def as_plan(view: PlanView) -> Plan:
    """The plan for clients."""
    row, plan = view.row, view.row.plan
    approvals = [one for one in view.approvals if one.decision == Decision.APPROVE.value and one.enabled]
    waiting = row.state is PlanState.AWAITING_APPROVAL
    return Plan(
        plan_id=row.id,
        state=row.state,
        programme=plan.programme,
        name=plan.name,
        most_participants=plan.most_participants,
        instalments=plan.instalments,
        holidays=plan.holidays,
        weekends=plan.weekends,
        most_rupiah=plan.most_participants * sum(one.amount_rupiah for one in plan.instalments),
        content=row.content.decode(),
        content_root=row.content_root.hex(),
        submitted_by=row.client_id,
        approvals=tuple(
            Approval(client_id=one.client_id, decision=one.decision, at=one.at, counts=one.enabled)
            for one in view.approvals
        ),
        approvals_missing=max(0, REQUIRED_APPROVALS - len(approvals)) if waiting else 0,
        received_at=row.received_at,
        decided_at=row.decided_at,
    )


router = Router(
    path="/v1/plans", route_handlers=[propose_plan, decide_plan, stop_plan, read_plan, list_plans], tags=["plans"]
)
