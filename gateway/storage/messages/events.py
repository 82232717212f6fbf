"""Events for the core platform: written in the transaction of the fact, read in commit order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from contracts.events import EventType
from gateway.storage.base.database import Connection

_LOOKED_AT, _STRETCHES = 1_000, 20
"""At once once none of the first were the organisation's, and how often for one answer."""

_IS_OF = """CASE WHEN type LIKE 'partner.%' THEN true
    WHEN data ->> 'participant_id' IS NOT NULL
        THEN (SELECT p.organisation FROM participants p WHERE p.participant_id = data ->> 'participant_id') = $4
    WHEN data ->> 'incentive_id' IS NOT NULL
        THEN (SELECT i.organisation FROM incentives i WHERE i.id = (data ->> 'incentive_id')::bigint) = $4
    WHEN data ->> 'payout_id' IS NOT NULL
        THEN (SELECT i.organisation FROM payouts p JOIN incentives i ON i.id = p.incentive
              WHERE p.id = (data ->> 'payout_id')::bigint) = $4
    WHEN type LIKE 'batch.%' THEN (SELECT b.organisation FROM batches b WHERE b.id = subject) = $4
    WHEN type LIKE 'plan.%' THEN (SELECT p.organisation FROM plans p WHERE p.id = subject) = $4
    WHEN type LIKE 'webhook.%' THEN (SELECT c.organisation FROM webhook_endpoints w JOIN clients c ON c.id = w.client_id
                                     WHERE w.id = subject) = $4
    ELSE false END"""
"""Whether an organisation is told of an event. What is said of a partner is said to all who wait for it; of anything
else its rows decide. One probe of a key an event: as EXISTS the planner would rather read the whole table, and as a
function (`event_is_of`, which older versions ask) it costs five times as much."""

_TAKEN_OUT = "hashtextextended('events taken out', 0)"

EventRow = tuple[EventType, str, Mapping[str, object]]
"""Type, subject (an id) and data; no personal data in any of them."""


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event as read back."""

    tx: int
    """The transaction that wrote it: with `seq`, its place in the order of reading."""
    seq: int
    type: str
    subject: str
    data: dict[str, object]
    at: datetime
    mine: bool = True
    """Whether it is of the organisation that was asked for."""


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


async def read_after(
    connection: Connection, tx: int, seq: int, limit: int, *, organisation: str | None = None
) -> list[Event]:
    """The next events in (tx, seq) order, only from transactions older than every one still running; each says whether
    it is the organisation's (None: all are).

    A transaction that took its number earlier may commit later: a reader that ran ahead of it would never see it.
    """
    rows = await connection.fetch(
        "SELECT tx::text AS number, seq, type, subject, data, at,"  # noqa: S608 - a constant
        f" $4::text IS NULL OR coalesce({_IS_OF}, false) AS mine FROM events_after($1::text::xid8, $2, $3)",
        str(tx),
        seq,
        limit,
        organisation,
    )
    return [
        Event(tx=int(row["number"]), seq=row["seq"], type=row["type"], subject=row["subject"], data=row["data"],
              at=row["at"], mine=row["mine"])
        for row in rows
    ]  # fmt: skip


async def read_own(
    connection: Connection, organisation: str | None, tx: int, seq: int, limit: int
) -> tuple[list[Event], tuple[int, int]]:
    """The organisation's next events, and the place up to which all were looked at. A long stretch of others' events
    may end the search before `limit` are found.
    """
    found: list[Event] = []
    size = limit
    for _ in range(_STRETCHES):
        page = await read_after(connection, tx, seq, size, organisation=organisation)
        for event in page:
            tx, seq = event.tx, event.seq
            found += [event] * event.mine
            if len(found) == limit:
                return found, (tx, seq)
        if len(page) < size:
            break
        size = limit if organisation is None else _LOOKED_AT
    return found, (tx, seq)


async def purge(connection: Connection, before: datetime, most: int) -> int:
    """Forget the oldest events, `most` at most, up to the first that is not older than `before`; how many."""
    return int(await connection.fetchval("SELECT purge_events($1, $2)", before, most))


async def present(connection: Connection) -> tuple[int, int]:
    """The place behind which everything is that is not committed yet, and perhaps something that is."""
    return int(await connection.fetchval("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1")), 0


async def is_ahead(connection: Connection, tx: int) -> bool:
    """Whether no transaction has had this number yet, so that no event can have been read there."""
    return bool(await connection.fetchval("SELECT $1::text::xid8 >= pg_snapshot_xmax(pg_current_snapshot())", str(tx)))


async def is_purged(connection: Connection, tx: int, seq: int) -> bool:
    """Whether events after this place are gone: who goes on there has missed some."""
    return bool(
        await connection.fetchval(
            "SELECT (p.tx, p.seq) > ($1::text::xid8, $2::bigint) FROM events_purged p", str(tx), seq
        )
    )


async def stay(connection: Connection) -> None:
    """Until the transaction ends no archive takes events out: whoever is to be told of some has said so before it
    looks.
    """
    await connection.execute(f"SELECT pg_advisory_xact_lock_shared({_TAKEN_OUT})")


async def take_out_alone(connection: Connection) -> None:
    """Until the transaction ends nobody asks to be told of old events; waits for whoever is about to."""
    await connection.execute(f"SELECT pg_advisory_xact_lock({_TAKEN_OUT})")
