"""Links in a list, newest first."""

# ruff: noqa: S608 - only our own constants are put into SQL

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from contracts.linking import LinkState
from gateway.storage.base.database import Connection, along_key
from gateway.storage.base.filters import OF_PERSON, where

_FILTERS = {
    "participant_id": f"l.{OF_PERSON}",
    "partner": "l.partner = {}",
    "state": "l.state = {}",
    "organisation": "p.organisation = {}",
}


class LinkLine(msgspec.Struct, frozen=True, kw_only=True):
    """A link in a list."""

    id: str
    participant_id: str
    partner: str
    state: LinkState
    ended_because: str | None
    partner_code: str | None
    created_at: datetime
    updated_at: datetime


async def find(
    connection: Connection, wanted: Mapping[str, object], before: tuple[datetime, str] | None, limit: int
) -> list[LinkLine]:
    """The next links, newest first, in the caller's transaction; `before`: time and id of the last one seen."""
    if wanted.get("participant_id") is None and wanted.get("state") is None:  # these have indexes of their own
        await along_key(connection)
    values: list[object] = [limit]
    conditions = ["true", *where(_FILTERS, wanted, values)]
    if before is not None:
        values += before
        conditions.append(f"(l.created_at, l.id) < (${len(values) - 1}, ${len(values)})")
    rows = await connection.fetch(
        "SELECT l.id, p.participant_id, l.partner, l.state, l.ended_because, l.partner_code, l.created_at, l.updated_at"
        f" FROM links l JOIN participants p ON p.id = l.participant WHERE {' AND '.join(conditions)}"
        " ORDER BY l.created_at DESC, l.id DESC LIMIT $1",
        *values,
    )
    return [msgspec.convert(dict(row), LinkLine) for row in rows]
