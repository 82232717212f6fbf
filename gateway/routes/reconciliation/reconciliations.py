"""`/v1/reconciliations`: one partner's statement of one day against our books; each difference with its next step."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, PathParameter, QueryParameter

from gateway.core import Core
from gateway.cursors import cursor_of, numbers_of
from gateway.security.clients import Caller, require
from gateway.services.reconciliation.reconcile import BreakView
from gateway.storage.reconciliation.reconciliation import Reconciliation as Row
from gateway.storage.reconciliation.reconciliation import Totals

ReconciliationId = Annotated[int, PathParameter(ge=1, le=2**63 - 1)]


class Wanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which statement: a partner and a Jakarta day, not one to come."""

    partner: Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
    date: date


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison. `complete`: the statement was read to its end; otherwise nothing is said about what it lacks."""

    reconciliation_id: str
    partner: str
    date: date
    state: str
    """running, done or failed."""
    failure: str | None
    complete: bool | None
    started_at: datetime
    finished_at: datetime | None
    totals: Totals | None
    breaks_found: int | None


class ReconciliationPage(Reconciliation, frozen=True, kw_only=True):
    """One comparison with some of its differences."""

    by_class: dict[str, int]
    breaks: list[BreakView]
    next_cursor: str | None
    """Null: there are no more."""


@post("/", guards=[require("ops")], status_code=202)
async def start_reconciliation(
    core: NamedDependency[Core], request: Request[Any, Caller, Any], data: JSONBody[Wanted]
) -> Reconciliation:
    """Compare in the background; the same day twice at once is one comparison."""
    row = await core.reconciliations.start(data.partner, data.date, actor=request.auth.client_id)
    return Reconciliation(**_fields(row))


@get("/{reconciliation_id:int}", guards=[require("ops")])
async def read_reconciliation(
    core: NamedDependency[Core],
    reconciliation_id: ReconciliationId,
    cursor: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=1_000)] = 100,
) -> ReconciliationPage:
    """How it stands, and its differences page by page."""
    (last,) = numbers_of(cursor, 1, f"{reconciliation_id}/")
    row = await core.reconciliations.get(reconciliation_id)
    breaks = await core.reconciliations.breaks(reconciliation_id, last, limit)
    return ReconciliationPage(
        **_fields(row),
        by_class=await core.reconciliations.by_class(reconciliation_id),
        breaks=breaks,
        next_cursor=cursor_of(breaks[-1].n, of=f"{reconciliation_id}/") if len(breaks) == limit else None,
    )


def _fields(row: Row) -> dict[str, Any]:
    return {
        "reconciliation_id": str(row.id),
        "partner": row.partner,
        "date": row.day,
        "state": row.state,
        "failure": row.failure,
        "complete": row.complete,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "totals": row.totals,
        "breaks_found": row.breaks,
    }


router = Router(
    path="/v1/reconciliations", route_handlers=[start_reconciliation, read_reconciliation], tags=["reconciliations"]
)
