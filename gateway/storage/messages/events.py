"""Events for the core platform: written in the transaction of the fact, read in commit order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from contracts.events import EventType
from gateway.storage.base.database import Connection

EventRow = tuple[EventType, str, Mapping[str, object]]
"""Type, subject (an id) and data; no personal data in any of them."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event as read back."""

    tx: int
    """The transaction that wrote it: with `seq`, its place in the order of reading."""
    seq: int
    type: str
    subject: str
    data: dict[str, object]
    at: datetime


async def emit(connection: Connection, now: datetime, events: Sequence[EventRow]) -> None:
    """Store events in the caller's transaction."""
    if not events:
        return
    await connection.execute(
        "INSERT INTO events (type, subject, data, at)"
        " SELECT t, s, d, $4 FROM unnest($1::text[], $2::text[], $3::jsonb[]) AS e (t, s, d)",
        [kind.value for kind, _, _ in events],
        [subject for _, subject, _ in events],
        [dict(data) for _, _, data in events],
        now,
    )


async def read_after(connection: Connection, tx: int, seq: int, limit: int) -> list[Event]:
    """The next events in (tx, seq) order, only from transactions older than every one still running.

    A transaction that took its number earlier may commit later: a reader that ran ahead of it would never see it.
    """
    rows = await connection.fetch(
        "SELECT tx::text AS number, seq, type, subject, data, at FROM events_after($1::text::xid8, $2, $3)",
        str(tx),
        seq,
        limit,
    )
    return [
        Event(tx=int(row["number"]), seq=row["seq"], type=row["type"], subject=row["subject"], data=row["data"],
              at=row["at"])
        for row in rows
    ]  # fmt: skip
