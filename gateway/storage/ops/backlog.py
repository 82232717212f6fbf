"""What is still to be done at each partner, sampled over time, and how the partners answered lately."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta

import msgspec

from contracts.incentive import BlockerCode
from gateway.storage.base.database import Connection

FINE_FOR, COARSE_FOR = timedelta(hours=6), timedelta(days=7)
"""Every sample is kept so long; beyond, one an hour; beyond that, none."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One partner's work of one kind at one moment, in incentives."""

    at: datetime
    partner: str
    stage: str
    """`verification` or `payout`."""
    due: int
    """Still to be done and held up by nobody but the gateway and the partner."""
    blocked: int
    """Waiting for a person."""
    ended: int
    """Done so far; only its growth means something."""


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """How one partner answered since a moment: calls, their times, and what went wrong by kind."""

    calls: int
    """How many left."""
    p50_ms: float
    """Half of them were answered, or given up, within so many milliseconds."""
    p95_ms: float
    """95 of 100 were."""
    no_answer: int
    """How many were not answered."""
    refused: int
    """How many were answered 401: our key, token or address was not taken."""
    denied: int
    """How many were answered 403: mostly about a person or an amount (an account that is blocked, a limit)."""
    throttled: int
    """How many were answered 429."""
    failed: int
    """How many were answered 5xx."""


async def measure(connection: Connection, now: datetime, today: date, waiting: Collection[BlockerCode]) -> list[Sample]:
    """The work at this moment; `waiting`: blockers that nobody but the gateway or the partner lifts."""
    rows = await connection.fetch(
        """
        WITH counted AS (
            SELECT partner, CASE WHEN blocker <> 'deadline_passed' THEN stage END AS stage,
                blocker = '' OR blocker = ANY($3::text[]) AS free, sum(incentives)::bigint AS n
            FROM funnel_counts GROUP BY 1, 2, 3),
        later AS (
            SELECT partner, count(*) AS n FROM incentives
            WHERE stage = 'scheduled' AND blocker IS NULL AND due_on > $2 GROUP BY 1)
        SELECT $1::timestamptz AS at, c.partner, k.stage,
            coalesce(sum(c.n) FILTER (WHERE c.free AND c.stage = ANY(k.open)), 0)::bigint
                - CASE WHEN k.stage = 'payout' THEN coalesce(max(l.n), 0) ELSE 0 END AS due,
            coalesce(sum(c.n) FILTER (WHERE NOT c.free AND c.stage = ANY(k.open)), 0)::bigint AS blocked,
            coalesce(sum(c.n) FILTER (WHERE c.stage = ANY(k.done)), 0)::bigint AS ended
        FROM counted c LEFT JOIN later l ON l.partner = c.partner
            CROSS JOIN (VALUES
                ('verification', ARRAY['awaiting_verification'], ARRAY['scheduled', 'paying', 'paid', 'returned']),
                ('payout', ARRAY['scheduled', 'paying'], ARRAY['paid', 'returned'])) AS k (stage, open, done)
        GROUP BY c.partner, k.stage ORDER BY c.partner, k.stage DESC
        """,
        now,
        today,
        [code.value for code in waiting],
    )
    return [msgspec.convert(dict(row), Sample) for row in rows]


async def keep(connection: Connection, samples: Collection[Sample]) -> int:
    """Store samples; those of a moment that another worker has measured are dropped. How many were stored."""
    stored = await connection.fetch(
        "INSERT INTO backlog_samples (at, partner, stage, due, blocked, ended)"
        " SELECT * FROM unnest($1::timestamptz[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[])"
        " ON CONFLICT DO NOTHING RETURNING 1",
        [sample.at for sample in samples],
        [sample.partner for sample in samples],
        [sample.stage for sample in samples],
        [sample.due for sample in samples],
        [sample.blocked for sample in samples],
        [sample.ended for sample in samples],
    )
    return len(stored)


async def purge(connection: Connection, now: datetime) -> None:
    """Thin out what is old; bounded, as it is called with every sample."""
    await connection.execute(
        "DELETE FROM backlog_samples WHERE (at, partner, stage) IN (SELECT at, partner, stage FROM backlog_samples"
        " WHERE at < $1 OR at < $2 AND date_trunc('hour', at) <> at ORDER BY at LIMIT 500)",
        now - COARSE_FOR,
        now - FINE_FOR,
    )


async def samples(connection: Connection, since: datetime) -> list[Sample]:
    """Samples since then, oldest first."""
    rows = await connection.fetch("SELECT * FROM backlog_samples WHERE at >= $1 ORDER BY at, partner, stage", since)
    return [msgspec.convert(dict(row), Sample) for row in rows]


async def answered(connection: Connection, since: datetime) -> dict[str, Answered]:
    """By partner its answers since then, from the journal of exchanges; none of whom was not called."""
    rows = await connection.fetch(
        """
        SELECT partner, count(*) AS calls,
            coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY took_ms), 0)::float8 AS p50_ms,
            coalesce(percentile_cont(0.95) WITHIN GROUP (ORDER BY took_ms), 0)::float8 AS p95_ms,
            count(*) FILTER (WHERE status IS NULL) AS no_answer,
            count(*) FILTER (WHERE status = 401) AS refused,
            count(*) FILTER (WHERE status = 403) AS denied,
            count(*) FILTER (WHERE status = 429) AS throttled,
            count(*) FILTER (WHERE status >= 500) AS failed
        FROM exchanges WHERE at >= $1 GROUP BY partner
        """,
        since,
    )
    return {row["partner"]: msgspec.convert(dict(row), Answered) for row in rows}


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """Calls of one operation that went wrong in one way."""

    operation: str
    status: int | None
    """HTTP; null: no answer."""
    error: str | None
    """Class of the transport error."""
    calls: int
    last_at: datetime


async def troubles(connection: Connection, partner: str, since: datetime, limit: int = 100) -> list[Trouble]:
    """What went wrong at a partner since then, the most frequent first."""
    rows = await connection.fetch(
        "SELECT operation, status, error, count(*) AS calls, max(at) AS last_at FROM exchanges"
        " WHERE at >= $2 AND partner = $1 AND (status IS NULL OR status IN (401, 403, 429) OR status >= 500)"
        " GROUP BY operation, status, error ORDER BY calls DESC, last_at DESC LIMIT $3",
        partner,
        since,
        limit,
    )
    return [msgspec.convert(dict(row), Trouble) for row in rows]
