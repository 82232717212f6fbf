"""`/ops`: payment plans and their approval, as the people who approve see them."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from contracts.errors import InvalidRequest
from contracts.payment_plan import PlanState
from gateway.core import Core
from gateway.cursors import ByTime
from gateway.routes.intake.plans import as_plan
from gateway.routes.ops.acts import ACTS, Target
from gateway.routes.ops.session import FORM_BYTES, Browser, form, page, signed_in, to
from gateway.services.intake.batches import Decision
from gateway.storage.ops import story

_PLANS = ByTime("plans/", "pl")
_HERE = "/ops/batches"
"""Under which entry of the menu they stand."""


@get("/plans", guards=[signed_in()])
async def list_payment_plans(
    core: NamedDependency[Core], request: Browser, before: FromQuery[str] = ""
) -> Response[str]:
    """The newest plans, with what each lets be paid in all, a page at a time."""
    found = story.page(await core.plans.find(None, None, _PLANS.before(before), story.MOST + 1))
    rows = [as_plan(view) for view in found.rows]
    more = _PLANS.after(rows[-1].received_at, rows[-1].plan_id) if found.more else None
    return page(request, "plans.html", here=_HERE, rows=rows, more=more)


@get("/plans/{plan_id:str}", guards=[signed_in()])
async def show_payment_plan(core: NamedDependency[Core], request: Browser, plan_id: FromPath[str]) -> Response[str]:
    """What one plan entitles to, and who has decided."""
    plan = as_plan(await core.plans.get(plan_id))
    offered = [(ACTS["stop-plan"], Target(plan=plan_id))] if plan.state is PlanState.APPROVED else []
    may_decide = "approver" in request.auth.roles
    return page(request, "plan.html", here=_HERE, plan=plan, may_decide=may_decide, offered=offered)


@post("/plans/{plan_id:str}", guards=[signed_in("approver")], request_max_body_size=FORM_BYTES)
async def decide_payment_plan(core: NamedDependency[Core], request: Browser, plan_id: FromPath[str]) -> Response[Any]:
    """Approve or reject exactly the content that was shown."""
    decision, root = decision_of(await form(request))
    await core.plans.decide(request.auth.client_id, plan_id, decision, root)
    return to(f"/ops/plans/{plan_id}")


def decision_of(typed: dict[str, str]) -> tuple[Decision, bytes]:
    """What a form of approval says, and about which content; raises `InvalidRequest`."""
    try:
        return Decision(typed.get("decision", "")), bytes.fromhex(typed.get("content_root", ""))
    except ValueError:
        raise InvalidRequest("Load the page again and choose approve or reject.") from None


HANDLERS = (list_payment_plans, show_payment_plan, decide_payment_plan)
