"""How many incentives stand where, and what was refused at intake."""

from __future__ import annotations

import msgspec

from contracts.incentive import BlockerCode, Stage
from gateway.storage.base.database import Connection
from gateway.storage.base.moment import Moment


class StageCount(msgspec.Struct, frozen=True, kw_only=True):
    """One stage and blocker at one partner."""

    programme: str
    partner: str
    stage: Stage
    blocker: BlockerCode | None
    given_up: bool
    """Unknown outcomes that an operator must settle."""
    incentives: int
    amount_rupiah: int


class RefusedCount(msgspec.Struct, frozen=True, kw_only=True):
    """Rows refused at intake, by reason."""

    programme: str | None
    code: str
    rows: int


_COUNTS = """
WITH moved AS MATERIALIZED (
    -- Open payouts: what was only set aside is no `paying`, and an unknown outcome may be an operator's by now.
    SELECT i.programme, i.partner, i.stage, i.blocker, s.stage AS to_stage,
        shown_blocker(s.blocker, s.stage, i.approved AND i.due_on <= $2::date, p.state,
                      p.refusals > 0 AND p.next_at > $1, w.blocker, v.blocker) AS to_blocker,
        s.blocker IS NOT DISTINCT FROM 'outcome_unknown' AND is_given_up(
            p.first_sent_at, p.next_at, p.sent_deadline, ($3::jsonb ->> i.partner)::timestamptz) AS given_up,
        i.amount_rupiah
    FROM payouts p JOIN incentives i ON i.id = p.incentive AND i.payout = 'open'
        LEFT JOIN partner_waits w ON w.partner = i.partner AND w.stage = 'payout'
        LEFT JOIN partner_waits v ON v.partner = i.partner AND v.stage = 'verify'
        CROSS JOIN LATERAL (SELECT shown_payout(i.payout, p.state, p.attempt) AS payout) f
        CROSS JOIN LATERAL (SELECT
            incentive_stage(f.payout, i.cancelled, i.past_deadline, i.link_active, i.verified) AS stage,
            incentive_blocker(f.payout, i.cancelled, i.link_active, i.verified, i.past_deadline, i.approved, i.standing,
                              i.own) AS blocker) s
    WHERE p.state IN ('reserved', 'preparing', 'prepared', 'submitting', 'unknown', 'pending')
        AND ($5::text IS NULL OR i.organisation = $5)),
waiting AS (
    -- What is due at a partner that everything waits for.
    SELECT i.programme, i.partner, i.stage, w.blocker, count(*) AS n, sum(i.amount_rupiah) AS amount
    FROM partner_waits w JOIN incentives i ON i.partner = w.partner AND i.stage = 'scheduled' AND i.blocker IS NULL
        AND i.approved AND i.due_on <= $2::date
    WHERE w.stage = 'payout' AND ($5::text IS NULL OR i.organisation = $5) GROUP BY 1, 2, 3, 4),
counted AS (
    SELECT programme, partner, stage, nullif(blocker, '') AS blocker, sum(incentives) AS n, sum(amount_rupiah) AS amount
    FROM funnel_counts WHERE $5::text IS NULL OR organisation = $5 GROUP BY 1, 2, 3, 4),
shown AS (
    SELECT c.programme, c.partner, c.stage, coalesce(c.blocker, v.blocker) AS blocker, false AS given_up, c.n, c.amount
    FROM counted c LEFT JOIN partner_waits v ON v.partner = c.partner AND v.stage = 'verify'
        AND c.stage = 'awaiting_verification'
    UNION ALL SELECT programme, partner, stage, blocker, false, -count(*), -sum(amount_rupiah)
        FROM moved GROUP BY 1, 2, 3, 4
    UNION ALL SELECT programme, partner, to_stage, to_blocker, given_up, count(*), sum(amount_rupiah)
        FROM moved GROUP BY 1, 2, 3, 4, 5
    UNION ALL SELECT programme, partner, stage, NULL, false, -n, -amount FROM waiting
    UNION ALL SELECT programme, partner, stage, blocker, false, n, amount FROM waiting)
SELECT programme, partner, stage, blocker, given_up, sum(n)::bigint AS incentives, sum(amount)::bigint AS amount_rupiah
FROM shown WHERE $4::text IS NULL OR programme = $4
GROUP BY 1, 2, 3, 4, 5 HAVING sum(n) <> 0 ORDER BY 1, 2, 3, 4 NULLS FIRST, 5
"""


async def counts(
    connection: Connection, programme: str | None, moment: Moment, *, organisation: str | None = None
) -> list[StageCount]:
    """The funnel of one organisation (None: of all): exact in every snapshot, as the counters change with the facts
    and all is one statement; the same rules as of each incentive (`storage.intake.incentives`).
    """
    rows = await connection.fetch(_COUNTS, *moment.values, programme, organisation)
    return [msgspec.convert(dict(row), StageCount) for row in rows]


async def refused(connection: Connection, organisation: str | None, programme: str | None) -> list[RefusedCount]:
    """Rows refused at intake, of one organisation or all; `programme` None where it could not be read."""
    rows = await connection.fetch(
        "SELECT nullif(c.programme, '') AS programme, c.code, sum(c.rows)::bigint AS rows FROM refused_counts c"
        " WHERE ($1::text IS NULL OR c.programme = $1)"
        " AND ($2::text IS NULL OR c.batch_id IN (SELECT id FROM batches WHERE organisation = $2))"
        " GROUP BY 1, 2 ORDER BY 1 NULLS FIRST, 2",
        programme,
        organisation,
    )
    return [msgspec.convert(dict(row), RefusedCount) for row in rows]
