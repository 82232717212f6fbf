"""`/v1/events`: what happened, in an order that never leaves one out."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Router, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter

from contracts.errors import GatewayError, InvalidRequest
from gateway.core import Core
from gateway.cursors import cursor_of, numbers_of
from gateway.security.clients import Caller, require
from gateway.storage.messages import events as stored

NOW = "now"
"""For a cursor: the present, for whoever begins."""


class CursorTooOld(GatewayError):
    """Events behind the cursor were forgotten."""

    code = "cursor_too_old"
    http_status = 410
    title = "The cursor is too old"
    remedy = (
        "Take the cursor of the present (GET /v1/events?cursor=now), then read /v1/incentives, /v1/payouts and"
        " /v1/cases once for where everything stands, and go on from that cursor."
    )


class CursorAhead(GatewayError):
    """Nothing has happened yet where the cursor points: the store was put back to an earlier time."""

    code = "cursor_ahead"
    http_status = 410
    title = "The cursor is ahead of everything that happened"
    remedy = CursorTooOld.remedy


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event; `subject` is the id of what it is about."""

    cursor: str
    type: str
    subject: str
    data: dict[str, object]
    at: datetime


class Events(msgspec.Struct, frozen=True, kw_only=True):
    """Some events; ask for what comes after `next_cursor` next time, also when there are none now."""

    events: list[Event]
    next_cursor: str


@get("/", guards=[require("read")])
async def list_events(
    core: NamedDependency[Core],
    request: Request[Any, Caller, Any],
    cursor: FromQuery[str | None] = None,
    after: Annotated[str | None, QueryParameter(description="The older name of `cursor`.")] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=1_000)] = 100,
) -> Events:
    """Events after a cursor, oldest first. The cursor `now` gives none and the cursor of the present: take it, read the
    lists, and go on from it; what changes while they are read is told.
    """
    if cursor == NOW:
        async with core.resources.database.connection() as connection:
            return Events(events=[], next_cursor=cursor_of(*await stored.present(connection)))
    if cursor and after:
        raise InvalidRequest(
            "cursor and after are one parameter under two names.", field="after", code="parameter_repeated",
            remedy="Give cursor alone.",
        )  # fmt: skip
    tx, seq = numbers_of(cursor or after, 2)
    async with core.resources.database.connection() as connection:
        if (cursor or after) and await stored.is_purged(connection, tx, seq):
            raise CursorTooOld
        if await stored.is_ahead(connection, tx):
            raise CursorAhead
        rows, place = await stored.read_own(connection, request.auth.organisation, tx, seq, limit)
    events = [
        Event(cursor=cursor_of(row.tx, row.seq), type=row.type, subject=row.subject, data=row.data, at=row.at)
        for row in rows
    ]
    return Events(events=events, next_cursor=cursor_of(*place))


router = Router(path="/v1/events", route_handlers=[list_events], tags=["events"])
