"""Whose data a person or a client saw, and whose it could have reached: what a notice of a breach has to name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

import msgspec

from gateway.storage.base.database import Connection

MOST = 100_000
_CHUNK = 5_000


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One participant whom the actor looked at or changed."""

    participant_id: str
    times: int
    first_at: datetime
    last_at: datetime


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """What one client's tokens lead to."""

    client_id: str
    person: str
    scopes: list[str]
    organisation: str | None
    """None: everybody's."""


async def reach(connection: Connection, client_id: str) -> Reach | None:
    """Of a client or a person (`op-NAME`), disabled or not; None: there never was one."""
    row = await connection.fetchrow(
        "SELECT id AS client_id, coalesce(person, id) AS person, scopes, organisation FROM clients WHERE id = $1",
        client_id,
    )
    return None if row is None else msgspec.convert(dict(row), Reach)


async def seen(connection: Connection, actor: str, since: datetime, until: datetime) -> list[Seen]:
    """Participants whom the record names as looked at or changed, from `since` and before `until`, the first ones
    first; `MOST` of them.
    """
    rows = await connection.fetch(
        "SELECT subject AS participant_id, count(*) AS times, min(at) AS first_at, max(at) AS last_at FROM audit_log"
        " WHERE actor = $1 AND action LIKE 'participant.%' AND action <> 'participant.search' AND at >= $2 AND at < $3"
        " GROUP BY subject ORDER BY min(at), subject LIMIT $4",
        actor,
        since,
        until,
        MOST,
    )
    return [Seen(**dict(row)) for row in rows]


async def within_reach(connection: Connection, organisation: str | None, until: datetime) -> AsyncIterator[str]:
    """Every participant whose rows could be read before `until`: of one organisation, or of all; in a transaction."""
    cursor = connection.cursor(
        "SELECT participant_id FROM participants WHERE ($1::text IS NULL OR organisation = $1) AND created_at < $2"
        " ORDER BY id",
        organisation,
        until,
        prefetch=_CHUNK,
    )
    async for row in cursor:
        yield row["participant_id"]
