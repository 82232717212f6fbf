"""`/v1/cases`: what an operator must look at, with the evidence gathered."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, PathParameter, QueryParameter

from contracts.incentive import BlockerCode
from gateway.api.queries import number
from gateway.core import Core
from gateway.cursors import cursor_of, numbers_of
from gateway.security.clients import Caller, require
from gateway.services.ops.shown import as_read
from gateway.storage.ops import cases
from gateway.storage.ops.cases import Case

_LIST = "cases/"


class CaseState(enum.Enum):
    """Whether somebody still has to look at it."""

    OPEN = "open"
    CLOSED = "closed"


class CaseView(msgspec.Struct, frozen=True, kw_only=True):
    """One case; no personal data."""

    case_id: str
    state: CaseState
    code: BlockerCode
    partner: str
    payout_id: str | None
    incentive_id: str | None
    detail: str
    """The evidence: what was seen, and what contradicts what."""
    read: str
    """Of this evidence: whoever closes the case sends it along, and closes nothing that came later."""
    opened_at: datetime
    due_at: datetime
    """By when an operator should have decided."""
    closed_at: datetime | None
    closed_by: str | None


class Closing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a case is settled."""

    reason: Annotated[str, msgspec.Meta(min_length=3, max_length=300)]
    """What was agreed and with whom; no personal data."""
    read: Annotated[str, msgspec.Meta(min_length=16, max_length=16)] | None = None
    """`read` of the case: it is closed only if its evidence is still what that was of."""


class Cases(msgspec.Struct, frozen=True, kw_only=True):
    """Some cases, oldest first; `next_cursor` is null on the last page."""

    cases: list[CaseView]
    next_cursor: str | None


@get("/", guards=[require("ops", "read")])
async def list_cases(
    core: NamedDependency[Core],
    request: Request[Any, Caller, Any],
    state_: Annotated[CaseState | None, QueryParameter(name="state")] = None,
    code: FromQuery[BlockerCode | None] = None,
    partner: FromQuery[str | None] = None,
    payout_id: FromQuery[str | None] = None,
    incentive_id: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> Cases:
    """Cases in the order in which they were opened: of one state, code, partner, payout or incentive, or all."""
    wanted = {
        "code": code and code.value,
        "partner": partner,
        "payout": number(payout_id, "payout_id"),
        "incentive": number(incentive_id, "incentive_id"),
        "organisation": request.auth.organisation,
    }
    is_open = None if state_ is None else state_ is CaseState.OPEN
    async with core.resources.database.connection() as connection:
        found = await cases.find(
            connection, wanted, is_open=is_open, after=numbers_of(cursor, 1, _LIST)[0], limit=limit + 1
        )
    page = [_view(row) for row in found[:limit]]
    return Cases(cases=page, next_cursor=cursor_of(int(page[-1].case_id), of=_LIST) if len(found) > limit else None)


@post("/{case_id:int}/close", guards=[require("ops")], status_code=200)
async def close_case(
    core: NamedDependency[Core],
    request: Request[Any, Caller, Any],
    case_id: Annotated[int, PathParameter(ge=1, le=2**63 - 1)],
    data: JSONBody[Closing],
) -> CaseView:
    """Call a case settled that ends outside of the gateway (`contradiction`, `notification_dropped`, `link_half_done`,
    `consent_withdrawn`); all others close by themselves. It pays nothing and lets nothing be paid.
    """
    return _view(await core.cases.close(case_id, data.reason, actor=request.auth.client_id, read=data.read))


def _view(row: Case) -> CaseView:
    return CaseView(
        case_id=str(row.id),
        state=CaseState.OPEN if row.closed_at is None else CaseState.CLOSED,
        code=BlockerCode(row.code),
        partner=row.partner,
        payout_id=None if row.payout is None else str(row.payout),
        incentive_id=None if row.incentive is None else str(row.incentive),
        detail=row.detail,
        read=as_read(row.opened_at, row.detail),
        opened_at=row.opened_at,
        due_at=row.due_at,
        closed_at=row.closed_at,
        closed_by=row.closed_by,
    )


router = Router(path="/v1/cases", route_handlers=[list_cases, close_case], tags=["cases"])
