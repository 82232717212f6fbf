"""`/v1/entitlements` and `/v1/completions`: who is entitled under a plan, and what they have finished."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, PathParameter, QueryParameter

from contracts.payment_plan import MOST_ITEMS, EntitlementState, ItemOutcome
from gateway.core import Core
from gateway.cursors import cursor_of, numbers_of
from gateway.routes.access.idempotent import once
from gateway.security.clients import Caller, require
from gateway.services.intake.entitlements import EntitlementView
from gateway.services.intake.incentives import IncentiveView
from gateway.services.intake.plan_items import Completion, Item, Person
from gateway.storage.intake.entitlements import EntitlementFilter

Call = Request[Any, Caller, Any]
EntitlementId = Annotated[int, PathParameter(ge=1, le=2**63 - 1)]
PlanId = Annotated[str, msgspec.Meta(max_length=40)]
_MOST_BYTES = 1_048_576
_LIST = "entitlements/"


class NewEntitlements(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Participants to be entitled under one plan."""

    plan_id: PlanId
    entitlements: Annotated[list[Person], msgspec.Meta(min_length=1, max_length=MOST_ITEMS)]


class NewCompletions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Notices about participants under one plan."""

    plan_id: PlanId
    completions: Annotated[list[Completion], msgspec.Meta(min_length=1, max_length=MOST_ITEMS)]


class Items(msgspec.Struct, frozen=True, kw_only=True):
    """What became of each, in the order of the request."""

    made: int
    """How many are new."""
    repeated: int
    """How many were handed over before with the same content."""
    refused: int
    """How many changed nothing; `faults` say why."""
    items: list[Item]


class TakenNotice(msgspec.Struct, frozen=True, kw_only=True):
    """A notice that was taken."""

    notice: str
    """`training`, or a survey."""
    finished_on: date
    """The day that the instalments' days are counted from."""
    batch_id: str | None
    """The batch of what it made."""
    at: datetime


class Entitlement(msgspec.Struct, frozen=True, kw_only=True):
    """A participant under a plan."""

    entitlement_id: str
    plan_id: str
    programme: str
    participant_id: str
    state: EntitlementState
    notices: list[TakenNotice]
    """What was finished, oldest first."""
    incentives: list[IncentiveView]
    """What was made, each with where it stands and why it does not move; under `at_risk_days` only what is at risk.
    None of somebody who is at risk: the training, or a survey, is not finished.
    """
    created_at: datetime
    changed_at: datetime


class EntitlementPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some entitlements in order of id; `next_cursor` is null on the last page."""

    entitlements: list[Entitlement]
    next_cursor: str | None


@post("/", guards=[require("incentives", "batches")], status_code=200, request_max_body_size=_MOST_BYTES)
async def entitle(core: NamedDependency[Core], request: Call, data: JSONBody[NewEntitlements]) -> Response[Items]:
    """Entitle 1 to 1,000 participants under an approved plan. Each is taken or refused by itself; one that was handed
    over before with the same content is `repeated`. They may link their accounts from now on.
    """

    async def work() -> Items:
        return _counted(await core.entitlements.entitle(request.auth.client_id, data.plan_id, data.entitlements))

    return await once(request, core, work, status=200, required=False)


@get("/", guards=[require("incentives", "batches", "read")])
async def list_entitlements(
    core: NamedDependency[Core],
    request: Call,
    plan_id: FromQuery[str | None] = None,
    participant_id: FromQuery[str | None] = None,
    state_: Annotated[EntitlementState | None, QueryParameter(name="state")] = None,
    at_risk_days: Annotated[int | None, QueryParameter(ge=0, le=400)] = None,
    cursor: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> EntitlementPage:
    """Entitlements; with `at_risk_days` those of whom something lapses within so many days from today that is due and
    not paid, and why: the incentives' stages and blockers, or a training or survey that is not finished.
    """
    wanted = EntitlementFilter(
        organisation=request.auth.organisation, plan_id=plan_id, participant_id=participant_id, state=state_
    )
    found = await core.entitlements.find(wanted, at_risk_days, numbers_of(cursor, 1, _LIST)[0], limit + 1)
    page = found[:limit]
    return EntitlementPage(
        entitlements=[_as_entitlement(view) for view in page],
        next_cursor=cursor_of(page[-1].row.id, of=_LIST) if len(found) > limit else None,
    )


@get("/{entitlement_id:int}", guards=[require("incentives", "batches", "read")])
async def read_entitlement(core: NamedDependency[Core], entitlement_id: EntitlementId) -> Entitlement:
    """A participant under a plan: what was finished, and where each instalment stands."""
    return _as_entitlement(await core.entitlements.get(entitlement_id))


@post("/{entitlement_id:int}/cancel", guards=[require("incentives", "batches")], status_code=200)
async def cancel_entitlement(core: NamedDependency[Core], request: Call, entitlement_id: EntitlementId) -> Entitlement:
    """End an entitlement: no notice is taken any more, and what has not left is cancelled; what has left is followed to
    its end. Cancelling again changes nothing.
    """
    return _as_entitlement(await core.entitlements.cancel(request.auth.client_id, entitlement_id))


@post("/", guards=[require("incentives", "batches")], status_code=200, request_max_body_size=_MOST_BYTES)
async def complete(core: NamedDependency[Core], request: Call, data: JSONBody[NewCompletions]) -> Response[Items]:
    """Tell what 1 to 1,000 participants have finished: the plan's instalments become incentives, approved by the plan's
    approvers. Each notice is taken or refused by itself; one that was taken before is `repeated` and makes nothing.
    """

    async def work() -> Items:
        return _counted(await core.entitlements.complete(request.auth.client_id, data.plan_id, data.completions))

    return await once(request, core, work, status=200, required=False)


def _counted(items: list[Item]) -> Items:
    def number(outcome: ItemOutcome) -> int:
        return sum(item.outcome is outcome for item in items)

    return Items(
        made=number(ItemOutcome.MADE),
        repeated=number(ItemOutcome.REPEATED),
        refused=number(ItemOutcome.REFUSED),
        items=items,
    )


def _as_entitlement(view: EntitlementView) -> Entitlement:
    row = view.row
    return Entitlement(
        entitlement_id=str(row.id),
        plan_id=row.plan_id,
        programme=row.programme,
        participant_id=row.participant_id,
        state=row.state,
        notices=[
            TakenNotice(notice=one.notice, finished_on=one.finished_on, batch_id=one.batch_id, at=one.at)
            for one in view.notices
        ],
        incentives=list(view.incentives),
        created_at=row.created_at,
        changed_at=row.changed_at,
    )


entitlements = Router(
    path="/v1/entitlements",
    route_handlers=[entitle, list_entitlements, read_entitlement, cancel_entitlement],
    tags=["plans"],
)
completions = Router(path="/v1/completions", route_handlers=[complete], tags=["plans"])
router = Router(path="/", route_handlers=[entitlements, completions])
