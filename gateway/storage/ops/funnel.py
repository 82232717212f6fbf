"""How many incentives stand where, what was refused at intake, and what still moves."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime

import msgspec

from contracts.incentive import BlockerCode, Stage
from gateway.storage.base.database import Connection


class FunnelRow(msgspec.Struct, frozen=True, kw_only=True):
    """One stage and blocker at one partner."""

    programme: str
    partner: str
    stage: Stage
    blocker: BlockerCode | None
    incentives: int
    amount_rupiah: int


class RefusedRow(msgspec.Struct, frozen=True, kw_only=True):
    """Rows refused at intake, by reason."""

    programme: str | None
    code: str
    rows: int


class Moving(msgspec.Struct, frozen=True, kw_only=True):
    """What will still change by itself within the horizon asked for."""

    incentives: int
    """Due, not settled, and not waiting for a participant, core or an operator, nor for a later time."""
    payouts_preparing: int
    payouts_submitting: int
    payouts_unknown: int
    payouts_pending: int
    payouts_awaiting_confirmation: int
    callbacks_unapplied: int
    verifications_due: int
    links_in_progress: int
    """Being exchanged, given back or looked at by the gateway, or about to end unfinished."""


async def counts(connection: Connection, programme: str | None) -> list[FunnelRow]:
    """The funnel: exact in every snapshot, as the counters change with the facts."""
    rows = await connection.fetch(
        "SELECT programme, partner, stage, nullif(blocker, '') AS blocker, sum(incentives)::bigint AS incentives,"
        " sum(amount_rupiah)::bigint AS amount_rupiah FROM funnel_counts WHERE $1::text IS NULL OR programme = $1"
        " GROUP BY 1, 2, 3, 4 HAVING sum(incentives) <> 0 ORDER BY 1, 2, 3, 4 NULLS FIRST",
        programme,
    )
    return [msgspec.convert(dict(row), FunnelRow) for row in rows]


async def past_horizon(connection: Connection, sent_before: Mapping[str, datetime]) -> list[FunnelRow]:
    """Of the incentives whose outcome is unknown, those first sent before a partner's time, or that nothing more is due
    for: an operator's by now.
    """
    rows = await connection.fetch(
        """
        SELECT i.programme, i.partner, i.stage, i.blocker, count(*) AS incentives,
               sum(i.amount_rupiah)::bigint AS amount_rupiah
        FROM unnest($1::text[], $2::timestamptz[]) AS h (partner, at)
            JOIN payouts p ON p.partner = h.partner
                AND (p.first_sent_at < h.at OR p.next_at IS NULL AND p.sent_deadline IS NULL)
                AND p.state IN ('reserved', 'preparing', 'prepared', 'submitting', 'unknown', 'pending')
            JOIN incentives i ON i.id = p.incentive
        WHERE i.blocker = 'outcome_unknown' GROUP BY 1, 2, 3, 4
        """,
        list(sent_before),
        list(sent_before.values()),
    )
    return [msgspec.convert(dict(row), FunnelRow) for row in rows]


async def refused(connection: Connection, programme: str | None) -> list[RefusedRow]:
    """Rows refused at intake; `programme` None where it could not be read."""
    rows = await connection.fetch(
        "SELECT programme, code, count(*) AS rows FROM batch_errors WHERE $1::text IS NULL OR programme = $1"
        " GROUP BY 1, 2 ORDER BY 1 NULLS FIRST, 2",
        programme,
    )
    return [msgspec.convert(dict(row), RefusedRow) for row in rows]


async def moving(connection: Connection, *, today: date, until: datetime, waiting: Collection[BlockerCode]) -> Moving:
    """What moves by itself before `until`; `waiting`: the blockers that nobody needs to lift but time."""
    row = await connection.fetchrow(
        """
        SELECT
            (SELECT count(*) FROM incentives i LEFT JOIN payouts p ON i.payout = 'open' AND p.incentive = i.id
                    AND p.state IN ('reserved', 'preparing', 'prepared', 'submitting', 'unknown', 'pending')
             WHERE i.stage NOT IN ('paid', 'returned', 'cancelled') AND i.due_on <= $1 AND (i.blocker IS NULL
                OR i.blocker = ANY($3::text[]) AND CASE WHEN i.payout = 'open' THEN p.next_at
                    WHEN i.blocker = i.own THEN i.own_next_at
                    ELSE (SELECT min(v.next_attempt_at) FROM verifications v
                          WHERE v.participant = i.participant AND v.state = 'open') END <= $2)) AS incentives,
            s.*,
            (SELECT count(*) FROM inbox WHERE applied_at IS NULL) AS callbacks_unapplied,
            (SELECT count(*) FROM verifications WHERE state = 'open'
                AND (next_attempt_at <= $2 OR next_attempt_at IS NULL)) AS verifications_due,
            (SELECT count(*) FROM links WHERE state IN ('exchanging', 'unlinking')
                OR state = 'opened' AND lives_until <= $2 OR state = 'challenged' AND opens_until <= $2
                OR health_due_at <= $2) AS links_in_progress
        FROM (SELECT count(*) FILTER (WHERE state = 'preparing') AS payouts_preparing,
                count(*) FILTER (WHERE state = 'submitting') AS payouts_submitting,
                count(*) FILTER (WHERE state = 'unknown') AS payouts_unknown,
                count(*) FILTER (WHERE state = 'pending') AS payouts_pending,
                count(*) FILTER (WHERE state = 'rejected') AS payouts_awaiting_confirmation
              FROM payouts WHERE state IN ('preparing', 'submitting', 'unknown', 'pending')
                OR state = 'rejected' AND released_at IS NULL AND confirmed_at IS NULL AND next_at <= $2) AS s
        """,
        today,
        until,
        [code.value for code in waiting],
    )
    return msgspec.convert(dict(row or {}), Moving)
