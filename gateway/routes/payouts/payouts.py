"""`/v1/payouts`: movements of money. There is none without an incentive; the gateway starts them by itself."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, PathParameter, QueryParameter

from contracts.errors import InvalidRequest
from contracts.incentive import BlockerCode, Stage
from contracts.payout import PayoutState
from gateway.api.queries import number, the_number
from gateway.core import Core
from gateway.cursors import cursor_of, numbers_of
from gateway.routes.access.idempotent import once
from gateway.security.clients import Caller, require
from gateway.security.tenancy import must_own
from gateway.storage.payouts import payouts
from gateway.storage.payouts.payouts import PaidFor, PayoutRow

PayoutId = Annotated[int, PathParameter(ge=1, le=2**63 - 1)]

_LIST = "payouts/"


class Hasten(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which incentive should move now."""

    incentive_id: Annotated[str, msgspec.Meta(pattern="^[0-9]{1,18}$")]


class Hastened(msgspec.Struct, frozen=True, kw_only=True):
    """How the incentive stands; `hastened` where the gateway's next step was brought forward."""

    incentive_id: str
    stage: Stage
    blocker: BlockerCode | None
    payout_id: str | None
    hastened: bool


class Payout(msgspec.Struct, frozen=True, kw_only=True):
    """One payout. An end state has the partner's word behind it (`cancelled` excepted: it never moved money)."""

    payout_id: str
    incentive_id: str
    participant_id: str
    programme: str
    purpose: str
    period: str
    link_id: str
    partner: str
    reference: str
    """Ours at the partner, the same over all attempts."""
    partner_reference: str | None
    amount_rupiah: int
    state: PayoutState
    attempt: int
    reason: BlockerCode | None
    next_at: datetime | None
    """When the gateway does something about it again by itself."""
    first_sent_at: datetime | None
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None


class Payouts(msgspec.Struct, frozen=True, kw_only=True):
    """Some payouts, oldest first; `next_cursor` is null on the last page."""

    payouts: list[Payout]
    next_cursor: str | None


@post("/", guards=[require("payouts")], status_code=202)
async def hasten_payout(
    core: NamedDependency[Core], request: Request[Any, Caller, Any], data: JSONBody[Hasten]
) -> Response[Hastened]:
    """Move an incentive now instead of at its next attempt. Starts nothing that would not start by itself, but for a
    payment that came back: it is made again, once the participant has linked another account.
    """
    incentive_id = the_number(data.incentive_id, "incentive_id")
    await must_own(core.resources.database, request.auth.organisation, {"incentive_id": incentive_id})

    async def work() -> Hastened:
        return msgspec.convert(await core.payouts.hasten(incentive_id, actor=request.auth.client_id), Hastened)

    return await once(request, core, work, status=202, required=False)


@get("/", guards=[require("payouts", "read")])
async def list_payouts(
    core: NamedDependency[Core],
    request: Request[Any, Caller, Any],
    number_: Annotated[
        str | None,
        QueryParameter(
            name="number",
            min_length=1,
            max_length=100,
            description="Any number of one payout: ours, our reference at the partner, or the partner's own.",
        ),
    ] = None,
    incentive_id: FromQuery[str | None] = None,
    participant_id: FromQuery[str | None] = None,
    partner: FromQuery[str | None] = None,
    state_: Annotated[PayoutState | None, QueryParameter(name="state")] = None,
    ended_on: FromQuery[date | None] = None,
    ended_from: Annotated[date | None, QueryParameter(description="Only what ended on this day or later.")] = None,
    ended_until: Annotated[date | None, QueryParameter(description="Only what ended on this day or before.")] = None,
    cursor: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> Payouts:
    """Payouts in the order in which they were made: those with a number, or of an incentive, a person, a partner, a
    state, or that ended on a day or in a time of days (with `succeeded`: what was paid then, with `reversed`: what
    came back then).
    """
    if ended_from and ended_until and ended_until < ended_from:
        raise InvalidRequest(
            "The last day is before the first.", field="ended_until", code="field_invalid",
            remedy="Give the first day as ended_from and the last one as ended_until; both are included.",
        )  # fmt: skip
    wanted = {
        "incentive": number(incentive_id, "incentive_id"),
        "participant_id": participant_id,
        "partner": partner,
        "state": state_ and state_.value,
        "ended_on": ended_on,
        "ended_from": ended_from,
        "ended_until": ended_until,
        "organisation": request.auth.organisation,
    }
    partners = list(core.resources.desks)
    async with core.resources.database.transaction() as connection:
        found = await payouts.find(connection, wanted, number_, partners, numbers_of(cursor, 1, _LIST)[0], limit + 1)
        paid_for = await payouts.paid_for(connection, {row.incentive for row in found})
    more = cursor_of(found[limit - 1].id, of=_LIST) if len(found) > limit else None
    return Payouts(payouts=[_payout(row, paid_for[row.incentive]) for row in found[:limit]], next_cursor=more)


@get("/{payout_id:int}", guards=[require("payouts", "read")])
async def read_payout(core: NamedDependency[Core], payout_id: PayoutId) -> Payout:
    """One payout."""
    row = await core.payouts.get(payout_id)
    async with core.resources.database.connection() as connection:
        paid_for = await payouts.paid_for(connection, (row.incentive,))
    return _payout(row, paid_for[row.incentive])


def _payout(row: PayoutRow, paid_for: PaidFor) -> Payout:
    return Payout(
        payout_id=str(row.id),
        incentive_id=str(row.incentive),
        participant_id=paid_for.participant_id,
        programme=paid_for.programme,
        purpose=paid_for.purpose,
        period=paid_for.period,
        link_id=row.link_id,
        partner=row.partner,
        reference=row.reference,
        partner_reference=row.partner_reference,
        amount_rupiah=row.amount_rupiah,
        state=row.state,
        attempt=row.attempt,
        reason=row.reason,
        next_at=row.next_at,
        first_sent_at=row.first_sent_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
        ended_at=row.ended_at,
    )


router = Router(path="/v1/payouts", route_handlers=[hasten_payout, list_payouts, read_payout], tags=["payouts"])
