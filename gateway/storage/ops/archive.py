"""What only grows, read in pieces to be kept elsewhere, and taken out once it is: events, and the journal of calls."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from gateway.partners.executor import Exchange
from gateway.storage.base.database import Connection
from gateway.storage.base.rows import into
from gateway.storage.messages.events import Event

Place = tuple[int, int]
"""Of an event: transaction and number."""

_FIRST_WANTED = """
    WITH called AS MATERIALIZED (SELECT w.* FROM webhook_endpoints w JOIN clients c ON c.id = w.client_id
        WHERE w.disabled_at IS NULL AND c.disabled_at IS NULL)
    SELECT tx::text::bigint, seq FROM (
        SELECT d.tx, d.seq - 1 AS seq FROM called w JOIN webhook_deliveries d ON d.endpoint = w.id
        UNION ALL SELECT tx, seq FROM called
        UNION ALL SELECT replay_tx, replay_seq FROM called WHERE replay_tx IS NOT NULL) AS wanted
    ORDER BY tx, seq LIMIT 1
"""
"""The last one that every endpoint has taken up: all up to there may go, but for what waits to be delivered. Nobody
calls an endpoint that is disabled, or whose client is: what waits there would keep everything for ever.
"""

_OPEN = """
    SELECT id::text FROM payouts
    WHERE state IN ('reserved', 'preparing', 'prepared', 'submitting', 'unknown', 'pending')
    UNION SELECT payout::text FROM cases WHERE closed_at IS NULL AND payout IS NOT NULL
    UNION SELECT p.id::text FROM cases c JOIN payouts p ON p.incentive = c.incentive WHERE c.closed_at IS NULL
"""


class Line(Exchange, frozen=True, kw_only=True):
    """One line of the journal of calls, as it lies in the store."""

    id: int


async def first_wanted(connection: Connection) -> Place | None:
    """Up to where every webhook endpoint that is called has been told; None without one."""
    row = await connection.fetchrow(_FIRST_WANTED)
    return None if row is None else (int(row[0]), int(row[1]))


async def forget_events(connection: Connection, until: Place) -> list[Event]:
    """Take out all events up to a place, in the caller's transaction: which they were, in their order."""
    await connection.execute("SELECT set_config('gateway.purging', 'on', true)")
    rows = await connection.fetch(
        "WITH gone AS (DELETE FROM events WHERE (tx, seq) <= ($1::text::xid8, $2::bigint) RETURNING *)"
        " SELECT tx::text AS number, seq, type, subject, data, at FROM gone ORDER BY gone.tx, seq",
        str(until[0]),
        until[1],
    )
    await connection.execute("SELECT set_config('gateway.purging', 'off', true)")
    return [
        Event(tx=int(row["number"]), seq=row["seq"], type=row["type"], subject=row["subject"], data=row["data"],
              at=row["at"])
        for row in rows
    ]  # fmt: skip


async def purged(connection: Connection, until: Place) -> None:
    """From now on readers that are behind this place are told that they have missed something."""
    await connection.execute(
        "UPDATE events_purged SET tx = $1::text::xid8, seq = $2 WHERE (tx, seq) < ($1::text::xid8, $2::bigint)",
        str(until[0]),
        until[1],
    )


async def first_exchange(connection: Connection) -> datetime | None:
    """When the oldest line of the journal was written. Reads all of it: once a command."""
    at: datetime | None = await connection.fetchval("SELECT min(at) FROM exchanges")
    return at


async def exchanges(connection: Connection, since: datetime, until: datetime, most: int) -> list[Line]:
    """Lines of a span of time, the lowest numbers first, but those of payouts that are open or have an open case."""
    rows = await connection.fetch(
        f"WITH open AS MATERIALIZED ({_OPEN})"  # noqa: S608 - a constant
        " SELECT e.* FROM exchanges e WHERE e.at >= $1 AND e.at < $2 AND e.subject NOT IN (SELECT id FROM open)"
        " ORDER BY e.id LIMIT $3",
        since,
        until,
        most,
    )
    return [into(Line, row) for row in rows]


async def forget_exchanges(
    connection: Connection, since: datetime, until: datetime, numbers: Sequence[int]
) -> list[Line]:
    """Take these lines of a span of time out, in the caller's transaction: which they were, by their numbers."""
    rows = await connection.fetch(
        "WITH gone AS (DELETE FROM exchanges WHERE at >= $1 AND at <= $2 AND id = ANY($3::bigint[]) RETURNING *)"
        " SELECT * FROM gone ORDER BY id",
        since,
        until,
        list(numbers),
    )
    return [into(Line, row) for row in rows]
