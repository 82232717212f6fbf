"""Recoveries: what holds a partner after a restore, and what must have been asked before it is let go."""

# ruff: noqa: S608 - only a condition of our own is put into SQL

from __future__ import annotations

from datetime import date, datetime

import msgspec

from contracts.payout import OPEN_STATES
from gateway.storage.base.database import Connection

_OPEN = [state.value for state in OPEN_STATES]
_FOLLOWED = "(p.state = ANY($2::text[]) OR (p.state = 'rejected' AND p.released_at IS NULL))"
"""Payouts that have not ended, or whose end is not confirmed."""


class Recovery(msgspec.Struct, frozen=True, kw_only=True):
    """One partner's open recovery."""

    id: int
    partner: str
    since: datetime
    opened_at: datetime
    settled_at: datetime
    marked_at: datetime | None
    demanded: str | None
    """Why the store holds it by itself (`storage/base/timeline.py`): nobody has begun the asking so far."""


async def begin(
    connection: Connection, partner: str, *, since: datetime, opened_at: datetime, settled_at: datetime
) -> Recovery:
    """Hold a partner; one that is held already is held anew, from the earlier of the two moments."""
    row = await connection.fetchrow(
        "INSERT INTO recoveries AS r (partner, since, opened_at, settled_at) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (partner) WHERE released_at IS NULL DO UPDATE SET since = least(r.since, excluded.since),"
        " opened_at = excluded.opened_at, settled_at = excluded.settled_at, marked_at = NULL,"
        " demanded = NULL RETURNING *",
        partner,
        since,
        opened_at,
        settled_at,
    )
    return _recovery(dict(row or {}))


async def open_ones(connection: Connection) -> list[Recovery]:
    """Recoveries under way."""
    rows = await connection.fetch("SELECT * FROM recoveries WHERE released_at IS NULL ORDER BY partner")
    return [_recovery(dict(row)) for row in rows]


def _recovery(row: dict[str, object]) -> Recovery:
    row.pop("released_at")
    return msgspec.convert(row, Recovery)


async def held_payouts(connection: Connection, partner: str) -> dict[str, int]:
    """How many payouts that have not ended there are, by state."""
    rows = await connection.fetch(
        f"SELECT state, count(*)::int AS n FROM payouts p WHERE partner = $1 AND {_FOLLOWED} GROUP BY 1 ORDER BY 1",
        partner,
        _OPEN,
    )
    return {row["state"]: row["n"] for row in rows}


async def held_incentives(connection: Connection, partner: str, until: date) -> int:
    """How many incentives are due and not paid as far as we know: each may have been paid since the copy."""
    return int(
        await connection.fetchval(
            "SELECT count(*) FROM incentives WHERE partner = $1 AND payout IS NULL AND NOT cancelled AND due_on <= $2",
            partner,
            until,
        )
    )


async def not_ended(connection: Connection, partner: str, after: int, limit: int) -> list[int]:
    """The next payouts that have not ended, in order of id."""
    rows = await connection.fetch(
        f"SELECT p.id FROM payouts p WHERE p.partner = $1 AND p.id > $3 AND {_FOLLOWED} ORDER BY p.id LIMIT $4",
        partner,
        _OPEN,
        after,
        limit,
    )
    return [row["id"] for row in rows]


async def distrust_links(connection: Connection, partner: str) -> None:
    """A link may have been revoked since the copy: it must be proved alive again before the next payout over it."""
    await connection.execute(
        "UPDATE links SET proved_at = NULL WHERE partner = $1 AND state = 'active' AND proved_at IS NOT NULL", partner
    )


async def marked(connection: Connection, recovery: Recovery, now: datetime) -> None:
    """Every payout that had not ended is marked; one that was held anew meanwhile is marked anew."""
    await connection.execute(
        "UPDATE recoveries SET marked_at = $3 WHERE id = $1 AND opened_at = $2", recovery.id, recovery.opened_at, now
    )


async def not_looked_up(
    connection: Connection, partner: str, *, opened_at: datetime, since: datetime, by_number: bool, limit: int
) -> tuple[int, list[int]]:
    """How many payouts older than the opening no look-up has told about since a moment, and the first of them.

    `by_number`: the partner can only be asked about a payout whose number it gave us.
    """
    rows = await connection.fetch(
        f"SELECT p.id, count(*) OVER ()::int AS n FROM payouts p WHERE p.partner = $1 AND {_FOLLOWED}"
        " AND p.created_at <= $3 AND p.state NOT IN ('submitting', 'preparing')"
        " AND (p.partner_reference IS NOT NULL OR NOT $5)"
        " AND NOT EXISTS (SELECT 1 FROM observations o WHERE o.payout = p.id AND o.source = 'lookup' AND o.at >= $4)"
        " ORDER BY p.id LIMIT $6",
        partner,
        _OPEN,
        opened_at,
        since,
        by_number,
        limit,
    )
    return (rows[0]["n"] if rows else 0), [row["id"] for row in rows]


async def preparing(connection: Connection, partner: str, opened_at: datetime, limit: int) -> list[int]:
    """Payouts older than the opening whose create may have been sent, and was not asked about since. The youngest come
    first: the key of an old one may be over, and then nobody asks.
    """
    rows = await connection.fetch(
        "SELECT p.id FROM payouts p WHERE p.partner = $1 AND p.state = 'preparing' AND p.created_at <= $2"
        " AND NOT EXISTS (SELECT 1 FROM observations o WHERE o.payout = p.id AND o.source = 'reply' AND o.at >= $2)"
        " ORDER BY p.id DESC LIMIT $3",
        partner,
        opened_at,
        limit,
    )
    return [row["id"] for row in rows]


async def set_frozen_hash(connection: Connection, payout: int, frozen: bytes) -> bool:
    """Note what a create's body hashes to, before it is sent again; False: it was another body, or it has moved on."""
    done = await connection.fetchval(
        "UPDATE payouts SET frozen_hash = $2 WHERE id = $1 AND state = 'preparing'"
        " AND (frozen_hash IS NULL OR frozen_hash = $2) RETURNING true",
        payout,
        frozen,
    )
    return bool(done)


async def in_flight(connection: Connection, partner: str) -> int:
    """Payouts whose last attempt may still be answered."""
    return int(
        await connection.fetchval("SELECT count(*) FROM payouts WHERE partner = $1 AND state = 'submitting'", partner)
    )


async def untouched(connection: Connection, partner: str, since: datetime) -> list[int]:
    """Reserved payouts that may have been sent, and of which no look-up since a moment knows anything."""
    rows = await connection.fetch(
        "SELECT p.id FROM payouts p WHERE p.partner = $1 AND p.state = 'reserved' AND p.attempt > 0"
        " AND NOT EXISTS (SELECT 1 FROM observations o WHERE o.payout = p.id AND o.source = 'lookup' AND o.at >= $2"
        " AND o.kind <> 'not_found') ORDER BY p.id",
        partner,
        since,
    )
    return [row["id"] for row in rows]


async def release(connection: Connection, recovery: Recovery, now: datetime) -> bool:
    """Let the partner go, unless it was held anew meanwhile."""
    done = await connection.fetchval(
        "UPDATE recoveries SET released_at = $3 WHERE id = $1 AND opened_at = $2 AND released_at IS NULL"
        " RETURNING true",
        recovery.id,
        recovery.opened_at,
        now,
    )
    if done:
        await connection.execute("SELECT pg_notify('gateway', 'dispatch')")
    return bool(done)
