"""What still moves by itself: asked often and at any size, so that it is counted from counters, and by indexes up to a
bound.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime

import msgspec

from contracts.incentive import BlockerCode
from gateway.storage.base.database import Connection, by_key


class Moving(msgspec.Struct, frozen=True, kw_only=True):
    """What will still change by itself within the horizon asked for."""

    incentives: int
    """Due or waiting for their check, not settled, and not waiting for a participant, core or an operator, nor for a
    later time; counted up to 1,000.
    """
    payouts_preparing: int
    payouts_submitting: int
    payouts_unknown: int
    payouts_pending: int
    payouts_awaiting_confirmation: int
    callbacks_unapplied: int
    """This and what follows is counted up to 1,000."""
    verifications_due: int
    links_in_progress: int
    """Being exchanged, given back or looked at by the gateway, or about to end unfinished."""


_SQL = """
WITH counted AS MATERIALIZED (
    SELECT partner, programme, stage, blocker, sum(incentives) AS n FROM funnel_counts
    WHERE (stage IN ('scheduled', 'awaiting_verification', 'paying') AND blocker = '' OR blocker = ANY($3::text[]))
        AND ($4::text IS NULL OR organisation = $4) GROUP BY 1, 2, 3, 4 HAVING sum(incentives) > 0),
paused AS MATERIALIZED (SELECT partner FROM partner_switches WHERE paused_at IS NOT NULL),
ready AS (
    SELECT count(*) AS n FROM counted c CROSS JOIN LATERAL (SELECT FROM incentives i
        WHERE i.partner = c.partner AND i.programme = c.programme AND i.stage = 'scheduled' AND i.blocker IS NULL
            AND i.due_on <= $1
            AND ($4::text IS NULL OR i.organisation = $4) LIMIT 1000) AS few
    WHERE c.stage = 'scheduled' AND c.blocker = '' AND c.partner NOT IN (SELECT partner FROM paused)),
held AS (
    -- Set aside for a payment at a partner that is paused.
    SELECT count(*) AS n FROM paused s JOIN payouts p ON p.partner = s.partner
        AND p.state IN ('reserved', 'preparing', 'prepared', 'submitting', 'unknown', 'pending')
        JOIN incentives i ON i.id = p.incentive
    WHERE p.state IN ('reserved', 'prepared') AND i.payout = 'open' AND i.blocker IS NULL
        AND ($4::text IS NULL OR i.organisation = $4)),
by_time AS (
    -- Blockers that time lifts: of a payout, of the incentive itself, of a check.
    SELECT count(*) AS n FROM (
        SELECT i.id FROM payouts p JOIN incentives i ON i.id = p.incentive
        WHERE p.state IN ('reserved', 'preparing', 'prepared', 'submitting', 'unknown', 'pending') AND p.next_at <= $2
            AND i.payout = 'open' AND i.blocker = ANY($3::text[]) AND i.due_on <= $1
            AND NOT (p.state IN ('reserved', 'prepared') AND p.partner IN (SELECT partner FROM paused))
            AND ($4::text IS NULL OR i.organisation = $4)
            AND EXISTS (SELECT FROM counted WHERE stage = 'paying' AND blocker <> '')
        UNION ALL (SELECT i.id FROM incentives i
        WHERE i.own_next_at <= $2 AND i.payout IS NULL AND NOT i.cancelled AND i.blocker = i.own
            AND i.blocker = ANY($3::text[]) AND i.due_on <= $1
            AND NOT (i.stage = 'scheduled' AND i.partner IN (SELECT partner FROM paused))
            AND ($4::text IS NULL OR i.organisation = $4) LIMIT 1000)
        UNION ALL (SELECT DISTINCT i.id
        FROM (SELECT participant FROM verifications WHERE state = 'open' AND next_attempt_at <= $2 LIMIT 1000) v
            JOIN incentives i ON i.participant = v.participant
        WHERE i.payout IS NULL AND NOT i.cancelled AND i.blocker IS DISTINCT FROM i.own
            AND i.blocker = ANY($3::text[]) AND i.due_on <= $1
            AND NOT (i.stage = 'scheduled' AND i.partner IN (SELECT partner FROM paused))
            AND ($4::text IS NULL OR i.organisation = $4))) AS due),
open AS (
    SELECT p.state, p.incentive FROM payouts p
    WHERE p.state IN ('reserved', 'preparing', 'prepared', 'submitting', 'unknown', 'pending')
    UNION ALL SELECT p.state, p.incentive FROM payouts p
    WHERE p.state = 'rejected' AND p.released_at IS NULL AND p.confirmed_at IS NULL AND p.next_at <= $2),
states AS (
    SELECT state, count(*) AS n FROM open o
    WHERE $4::text IS NULL OR (SELECT i.organisation FROM incentives i WHERE i.id = o.incentive) = $4 GROUP BY state),
looked_at AS (
    (SELECT participant FROM verifications WHERE state = 'open' AND next_attempt_at <= $2)
    UNION ALL (SELECT participant FROM verifications WHERE state = 'open' AND next_attempt_at IS NULL)),
under_way AS (
    SELECT id, participant FROM links WHERE state IN ('opened', 'exchanging') AND state = 'exchanging'
    UNION SELECT id, participant FROM links WHERE state IN ('opened', 'exchanging') AND state = 'opened'
        AND lives_until <= $2
    UNION SELECT id, participant FROM links WHERE state = 'unlinking'
    UNION SELECT id, participant FROM links WHERE state = 'challenged' AND opens_until <= $2
    UNION SELECT id, participant FROM (SELECT id, participant FROM links WHERE health_due_at <= $2 LIMIT 1000) AS few)
SELECT
    least(1000, (SELECT n FROM ready) + (SELECT n FROM by_time) - (SELECT n FROM held)
        + coalesce((SELECT sum(n) FROM counted WHERE stage <> 'scheduled' AND blocker = ''), 0))::integer AS incentives,
    coalesce((SELECT n FROM states WHERE state = 'preparing'), 0) AS payouts_preparing,
    coalesce((SELECT n FROM states WHERE state = 'submitting'), 0) AS payouts_submitting,
    coalesce((SELECT n FROM states WHERE state = 'unknown'), 0) AS payouts_unknown,
    coalesce((SELECT n FROM states WHERE state = 'pending'), 0) AS payouts_pending,
    coalesce((SELECT n FROM states WHERE state = 'rejected'), 0) AS payouts_awaiting_confirmation,
    (SELECT count(*) FROM (SELECT FROM inbox WHERE $4::text IS NULL AND applied_at IS NULL LIMIT 1000) AS few)
        AS callbacks_unapplied,
    (SELECT count(*) FROM (SELECT FROM looked_at v WHERE $4::text IS NULL
        OR (SELECT t.organisation FROM participants t WHERE t.id = v.participant) = $4 LIMIT 1000) AS few)
        AS verifications_due,
    (SELECT count(*) FROM (SELECT FROM under_way l WHERE $4::text IS NULL
        OR (SELECT t.organisation FROM participants t WHERE t.id = l.participant) = $4 LIMIT 1000) AS few)
        AS links_in_progress
"""


async def moving(
    connection: Connection,
    organisation: str | None,
    *,
    today: date,
    until: datetime,
    waiting: Collection[BlockerCode],
) -> Moving:
    """What of an organisation (None: of all) moves by itself before `until`, in the caller's transaction; `waiting`:
    the blockers that nobody needs to lift but time.
    """
    await by_key(connection)
    row = await connection.fetchrow(_SQL, today, until, [code.value for code in waiting], organisation)
    return msgspec.convert(dict(row or {}), Moving)
