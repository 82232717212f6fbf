"""Incentives as clients see them, and the one fact about them that the API writes: `cancelled`."""

from __future__ import annotations

from datetime import date, datetime

import msgspec

from contracts.incentive import BlockerCode, Stage
from gateway.storage.base.database import Connection


class IncentiveRow(msgspec.Struct, frozen=True, kw_only=True):
    """One incentive with what is needed to say why it does not move."""

    id: int
    batch_id: str
    line: int
    programme: str
    purpose: str
    period: str
    participant_id: str
    partner: str
    amount_rupiah: int
    due_on: date
    deadline_on: date
    approved: bool
    stage: Stage
    blocker: BlockerCode | None
    facts_at: datetime
    next_attempt_at: datetime | None
    payout_id: int | None
    """The one that stands, or the last one."""
    first_sent_at: datetime | None
    payouts: int
    held: bool
    """Ready to be paid, but for a pause or a recovery of its partner."""
    created_at: datetime


_SELECT = """
SELECT i.id, i.batch_id, i.line, i.programme, i.purpose, i.period, i.participant_id, i.partner, i.amount_rupiah,
    i.due_on, i.deadline_on, i.approved, i.stage, i.blocker, i.facts_at, i.payouts, i.created_at,
    p.id AS payout_id, p.first_sent_at,
    CASE WHEN i.blocker IS NULL THEN NULL
         WHEN i.payout = 'open' THEN coalesce(p.next_at, p.sent_deadline)
         WHEN i.blocker = i.own THEN i.own_next_at
         WHEN i.blocker = i.standing THEN (SELECT min(v.next_attempt_at) FROM verifications v
                                           WHERE v.participant = i.participant AND v.state = 'open')
    END AS next_attempt_at,
    i.blocker IS NULL AND i.approved AND (i.stage = 'scheduled' OR i.stage = 'paying'
                                          AND p.state IN ('reserved', 'prepared'))
        AND (EXISTS (SELECT 1 FROM partner_switches s WHERE s.partner = i.partner AND s.paused_at IS NOT NULL)
             OR EXISTS (SELECT 1 FROM recoveries r WHERE r.partner = i.partner AND r.released_at IS NULL)) AS held
FROM incentives i LEFT JOIN LATERAL (
    SELECT id, state, first_sent_at, next_at, sent_deadline FROM payouts WHERE incentive = i.id ORDER BY id DESC LIMIT 1
) p ON true
"""


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which incentives; None: all."""

    programme: str | None = None
    participant_id: str | None = None
    partner: str | None = None
    stage: Stage | None = None
    blocker: BlockerCode | None = None


_CONDITIONS = {
    "programme": "i.programme = {}",
    "participant_id": "i.participant = (SELECT id FROM participants WHERE participant_id = {})",
    "partner": "i.partner = {}",
    "stage": "i.stage = {}",
    "blocker": "i.blocker = {}",
}


async def get(connection: Connection, incentive_id: int) -> IncentiveRow | None:
    """One incentive."""
    row = await connection.fetchrow(f"{_SELECT} WHERE i.id = $1", incentive_id)
    return None if row is None else msgspec.convert(dict(row), IncentiveRow)


async def find(connection: Connection, wanted: Filter, after: int, limit: int) -> list[IncentiveRow]:
    """The next incentives in order of id."""
    conditions, values = ["i.id > $1"], [after, limit]
    for name in wanted.__struct_fields__:
        value = getattr(wanted, name)
        if value is not None:
            values.append(value.value if isinstance(value, Stage | BlockerCode) else value)
            conditions.append(_CONDITIONS[name].format(f"${len(values)}"))
    rows = await connection.fetch(f"{_SELECT} WHERE {' AND '.join(conditions)} ORDER BY i.id LIMIT $2", *values)
    return [msgspec.convert(dict(row), IncentiveRow) for row in rows]


async def lock(connection: Connection, incentive_id: int) -> bool:
    """Hold one incentive until the end of the transaction; False if there is none.

    Its payouts first, as whoever applies a word to them does; one made in between is held by nobody else for long.
    """
    await connection.execute("SELECT FROM payouts WHERE incentive = $1 ORDER BY id FOR NO KEY UPDATE", incentive_id)
    found = await connection.fetchval("SELECT id FROM incentives WHERE id = $1 FOR NO KEY UPDATE", incentive_id)
    return found is not None


async def withdraw_reserved(connection: Connection, incentive_id: int, now: datetime) -> bool:
    """Take a payout that has not left away from the worker that holds it, which then loses its compare-and-set.

    False: a payout has left and no recorded decision has ended it, or something stands at the partner. The lock on the
    incentive keeps new ones from coming.
    """
    await connection.execute(
        "UPDATE payouts SET lease_until = NULL, leased_by = NULL, next_at = $2"
        " WHERE incentive = $1 AND state = 'reserved'",
        incentive_id,
        now,
    )
    beyond = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM payouts WHERE incentive = $1 AND released_at IS NULL"
        " AND state NOT IN ('reserved', 'cancelled'))",
        incentive_id,
    )
    return not beyond


async def cancel(connection: Connection, incentive_id: int, now: datetime) -> None:
    """Stop future payouts."""
    await connection.execute("UPDATE incentives SET cancelled = true, facts_at = $2 WHERE id = $1", incentive_id, now)
