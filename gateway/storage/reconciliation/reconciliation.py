"""Reconciliations in the store: a statement copied into temporary tables of one connection, and compared there at once.

Nothing of a statement is held in the process beyond the lines being copied. What comes out is stored, append only.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import msgspec

from gateway.storage.base.clocks import TOLERANCE_S
from gateway.storage.base.database import Connection
from gateway.storage.base.rows import into
from gateway.storage.reconciliation.reconciliation_rules import BreakClass, breaks_query

STATEMENT_S = 600.0
"""Bound on one statement over a whole day."""
LINE_COLUMNS = ("line", "kind", "amount_rupiah", "reference", "number", "account_index", "booked_at")
Line = tuple[int, str, int, str | None, str | None, bytes | None, datetime]

_TABLES = """
CREATE TEMP TABLE IF NOT EXISTS recon_lines (line integer, kind text, amount_rupiah bigint, reference text COLLATE "C",
    number text COLLATE "C", account_index bytea, booked_at timestamptz);
CREATE TEMP TABLE IF NOT EXISTS recon_near (reference text COLLATE "C", number text COLLATE "C");
CREATE TEMP TABLE IF NOT EXISTS recon_absent (payout bigint, incentive bigint, reference text COLLATE "C",
    number text COLLATE "C", amount_rupiah bigint, sent_from timestamptz, ended_at timestamptz);
TRUNCATE recon_lines, recon_near, recon_absent;
"""

_MATCHES = """
CREATE TEMP TABLE recon_matches ON COMMIT DROP AS
SELECT l.line, p.id AS payout FROM recon_lines l JOIN payouts p ON p.reference = l.reference
    AND p.partner = current_setting('recon.partner')
UNION ALL
SELECT l.line, coalesce(
        max(p.id) FILTER (WHERE
            ((coalesce(p.first_sent_at, p.created_at) - interval '15 minutes') AT TIME ZONE INTERVAL '7 hours')::date
            <= ((l.booked_at + interval '15 minutes') AT TIME ZONE INTERVAL '7 hours')::date),
        min(p.id))
    FROM recon_lines l JOIN payouts p ON p.partner_reference = l.number
    AND p.partner = current_setting('recon.partner')
WHERE (l.reference ~ '^[0-9]{19}$') IS NOT TRUE GROUP BY l.line
"""
"""By our reference; by the partner's number where it gives none of the form of ours: a number that it gave again is of
the last payout that had left by the day of the booking (clocks may differ by a quarter of an hour).
"""

_PAIRS = f"""
CREATE TEMP TABLE recon_pairs ON COMMIT DROP AS
SELECT l.line, l.kind, l.amount_rupiah AS there, l.reference, l.number, l.account_index AS account_there, l.booked_at,
    l.kind IN ('credit', 'reversal') AND ((l.reference IS NULL AND l.number IS NULL) OR l.amount_rupiah <= 0) AS bad,
    p.id AS payout, p.incentive, p.state, p.amount_rupiah AS here, coalesce(p.first_sent_at, p.created_at) AS sent_from,
    p.sent_deadline, p.ended_at, k.account_index AS account_here, i.amount_rupiah AS instructed, i.cancelled,
    -- What had left when its approval lapsed, or its batch was stopped, was approved. Both times are taken before locks
    -- are waited for, by a clock that may be behind; a stop dates the lapse of what is under way by when each had left.
    coalesce(i.approved OR p.sent_at <= i.lapsed_at + t.tolerance, false) AND coalesce(b.state = 'approved'
        OR b.state = 'stopped' AND (NOT i.approved OR p.sent_at <= b.decided_at + t.tolerance), false) AS approved,
    i.due_on, i.payouts
FROM recon_lines l LEFT JOIN recon_matches m ON m.line = l.line LEFT JOIN payouts p ON p.id = m.payout
    LEFT JOIN links k ON k.id = p.link_id LEFT JOIN incentives i ON i.id = p.incentive
    LEFT JOIN batches b ON b.id = i.batch_id CROSS JOIN (SELECT make_interval(secs => {TOLERANCE_S}) AS tolerance) t
"""  # noqa: S608 - a constant

_TWICE = """
CREATE TEMP TABLE recon_twice ON COMMIT DROP AS
SELECT payout, min(line) AS first_line FROM recon_pairs WHERE kind = 'credit' AND NOT bad AND payout IS NOT NULL
GROUP BY payout HAVING count(*) > 1
"""

_ABSENT = """
INSERT INTO recon_absent
SELECT p.id, p.incentive, p.reference, p.partner_reference, p.amount_rupiah, coalesce(p.first_sent_at, p.created_at),
    p.ended_at
FROM payouts p
WHERE p.partner = $1 AND p.id >= $2 AND p.id < $3 AND p.state = 'succeeded' AND p.ended_at >= $4 AND p.ended_at < $5
  AND NOT EXISTS (SELECT 1 FROM recon_lines l WHERE l.kind = 'credit' AND l.reference = p.reference)
  AND NOT EXISTS (SELECT 1 FROM recon_lines l WHERE l.kind = 'credit' AND l.number = p.partner_reference
                  AND (l.reference ~ '^[0-9]{19}$') IS NOT TRUE)
"""
"""Paid as far as we know, learnt on the day, and not listed on it. The bounds on id are bounds on when it was made."""

_NEAR = """
DELETE FROM recon_absent a WHERE EXISTS (SELECT 1 FROM recon_near n WHERE n.reference = a.reference)
    OR EXISTS (SELECT 1 FROM recon_near n WHERE n.number = a.number
               AND (n.reference ~ '^[0-9]{19}$') IS NOT TRUE)
"""
"""A number counts only where the line carries no reference of the form of ours: partners give numbers again."""

_TOTALS = """
SELECT count(*) AS lines,
    count(*) FILTER (WHERE kind = 'credit') AS credits,
    coalesce(sum(there) FILTER (WHERE kind = 'credit'), 0)::bigint AS credited_rupiah,
    count(*) FILTER (WHERE kind = 'reversal') AS reversals,
    coalesce(sum(there) FILTER (WHERE kind = 'reversal'), 0)::bigint AS reversed_rupiah,
    coalesce(sum(there) FILTER (WHERE kind = 'fee'), 0)::bigint AS fees_rupiah,
    coalesce(sum(here) FILTER (WHERE kind = 'credit' AND line NOT IN (SELECT q.line FROM recon_pairs q
        JOIN recon_twice t ON t.payout = q.payout AND t.first_line <> q.line)
        AND (state = 'succeeded' OR (state = 'reversed' AND ended_at >= $1))), 0)::bigint
      + (SELECT coalesce(sum(amount_rupiah), 0)::bigint FROM recon_absent) AS paid_here_rupiah,
    coalesce(sum(instructed) FILTER (WHERE kind = 'credit' AND line NOT IN (SELECT q.line FROM recon_pairs q
        JOIN recon_twice t ON t.payout = q.payout AND t.first_line <> q.line)), 0)::bigint AS instructed_rupiah
FROM recon_pairs
"""


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """The three sides to the rupiah: what the statement lists, what we hold as paid of it, what was instructed."""

    lines: int
    credits: int
    credited_rupiah: int
    reversals: int
    reversed_rupiah: int
    fees_rupiah: int
    paid_here_rupiah: int
    instructed_rupiah: int


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison as stored."""

    id: int
    partner: str
    day: date
    requested_by: str
    started_at: datetime
    finished_at: datetime | None
    state: str
    failure: str | None
    complete: bool | None
    breaks: int | None
    totals: Totals | None


class Break(msgspec.Struct, frozen=True, kw_only=True):
    """One difference; no personal data."""

    n: int
    kind: BreakClass
    line: int | None
    payout: int | None
    incentive: int | None
    reference: str | None
    partner_reference: str | None
    there_rupiah: int | None
    here_rupiah: int | None
    booked_at: datetime | None
    detail: str


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What a day is compared by."""

    partner: str
    instances: Sequence[str]
    """Those that our references begin with, or have begun with."""
    begins: datetime
    """The day's first moment in Jakarta."""
    ends: datetime
    read_at: datetime
    """When its statement was begun to be read."""
    skew: timedelta
    """How far the partner's clock and ours may differ."""
    absence: timedelta
    oldest: datetime
    """Payouts made before are not looked for."""


async def begin(connection: Connection, now: datetime, partner: str, day: date, by: str) -> int:
    """Note that a comparison has begun; its id."""
    return int(
        await connection.fetchval(
            "INSERT INTO reconciliations (id, partner, day, requested_by, started_at, state)"
            " VALUES (new_id($1), $2, $3, $4, $1, 'running') RETURNING id",
            now,
            partner,
            day,
            by,
        )
    )


async def running(connection: Connection, partner: str, day: date, since: datetime) -> int | None:
    """The comparison of that day which is under way, begun since then."""
    found: int | None = await connection.fetchval(
        "SELECT id FROM reconciliations WHERE partner = $1 AND day = $2 AND state = 'running' AND started_at > $3"
        " ORDER BY started_at DESC LIMIT 1",
        partner,
        day,
        since,
    )
    return found


async def failed(connection: Connection, reconciliation: int, now: datetime, failure: str) -> None:
    """It could not be done; by class of the error."""
    await connection.execute(
        "UPDATE reconciliations SET state = 'failed', failure = $3, finished_at = $2 WHERE id = $1",
        reconciliation,
        now,
        failure,
    )


async def get(connection: Connection, reconciliation: int) -> Reconciliation | None:
    """One comparison."""
    row = await connection.fetchrow("SELECT * FROM reconciliations WHERE id = $1", reconciliation)
    return None if row is None else msgspec.convert(dict(row), Reconciliation)


async def breaks(connection: Connection, reconciliation: int, after: int, limit: int) -> list[Break]:
    """The next differences in order."""
    rows = await connection.fetch(
        "SELECT n, class AS kind, line, payout, incentive, reference, partner_reference, there_rupiah, here_rupiah,"
        " booked_at, detail FROM reconciliation_breaks WHERE reconciliation = $1 AND n > $2 ORDER BY n LIMIT $3",
        reconciliation,
        after,
        limit,
    )
    return [msgspec.convert(dict(row), Break) for row in rows]


async def by_class(connection: Connection, reconciliation: int) -> dict[str, int]:
    """How many differences of each class there are."""
    rows = await connection.fetch(
        "SELECT class, count(*)::int AS n FROM reconciliation_breaks WHERE reconciliation = $1 GROUP BY 1 ORDER BY 1",
        reconciliation,
    )
    return {row["class"]: row["n"] for row in rows}


# --- the comparison ---------------------------------------------------------------------------------------------------


async def prepare(connection: Connection) -> None:
    """Make the tables, empty."""
    await connection.execute(_TABLES)


async def clear(connection: Connection) -> None:
    """Give the space back."""
    await connection.execute("TRUNCATE recon_lines, recon_near, recon_absent")


async def add_lines(connection: Connection, lines: Sequence[Line]) -> None:
    """Copy lines of the day's statement in."""
    await connection.copy_records_to_table("recon_lines", columns=LINE_COLUMNS, records=lines, timeout=STATEMENT_S)


async def add_near(connection: Connection, lines: Sequence[tuple[str | None, str | None]]) -> None:
    """Copy the credits of a neighbouring day in: our reference and the partner's number."""
    await connection.copy_records_to_table("recon_near", records=lines, timeout=STATEMENT_S)


async def find_absent(connection: Connection, by: Comparison) -> list[tuple[datetime, datetime]]:
    """Gather what we hold as paid on the day and its statement does not list; of each that may stand under another
    day, between when and when it was booked.
    """
    await connection.execute("ANALYZE recon_lines", timeout=STATEMENT_S)
    await connection.execute(
        _ABSENT,
        by.partner,
        _first_id(by.oldest),
        _first_id(by.ends),
        by.begins,
        min(by.ends, by.read_at),
        timeout=STATEMENT_S,
    )
    rows = await connection.fetch(
        "SELECT DISTINCT (sent_from AT TIME ZONE INTERVAL '7 hours')::date AS day, max(sent_from) AS sent_from,"
        " max(ended_at) AS ended_at FROM recon_absent"
        " WHERE sent_from - $3::interval < $1 OR ended_at + $3::interval >= $2 GROUP BY 1",
        by.begins,
        by.ends,
        by.skew,
    )
    return [(row["sent_from"], row["ended_at"]) for row in rows]


def _first_id(at: datetime) -> int:
    return int(at.timestamp() * 1000) * 10_000


async def compare(
    connection: Connection,
    reconciliation: int,
    now: datetime,
    by: Comparison,
    *,
    complete: bool,
    unreadable: str | None,
) -> int:
    """Find every difference, in the caller's transaction, and store it with the totals; how many there are."""
    # Compiling these statements takes seconds; running them does not.
    for setting in ("jit = off", "work_mem = '128MB'"):
        await connection.execute(f"SET LOCAL {setting}")
    await connection.execute("SELECT set_config('recon.partner', $1, true)", by.partner)
    await connection.execute(_NEAR, timeout=STATEMENT_S)
    for table, query in (("recon_matches", _MATCHES), ("recon_pairs", _PAIRS), ("recon_twice", _TWICE)):
        await connection.execute(query, timeout=STATEMENT_S)
        await connection.execute(f"ANALYZE {table}", timeout=STATEMENT_S)
    row = await connection.fetchrow(_TOTALS, by.ends, timeout=STATEMENT_S)
    await connection.execute(
        breaks_query(),
        by.begins,
        by.ends,
        by.skew,
        by.absence,
        by.read_at,
        list(by.instances),
        reconciliation,
        complete,
        unreadable,
        timeout=STATEMENT_S,
    )
    found = int(
        await connection.fetchval(
            "SELECT count(*) FROM reconciliation_breaks WHERE reconciliation = $1", reconciliation
        )
    )
    await connection.execute(
        "UPDATE reconciliations SET state = 'done', finished_at = $2, complete = $3, breaks = $4, totals = $5"
        " WHERE id = $1",
        reconciliation,
        now,
        complete,
        found,
        dict(row or {}),
    )
    return found


class DayTried(msgspec.Struct, frozen=True, kw_only=True):
    """How often somebody compared a day."""

    times: int
    done: bool
    """At least once to its end, and staff were told."""
    told: bool
    """Whether they were told of the last time."""
    last_at: datetime


async def tries(connection: Connection, partner: str, since: date, by: str) -> dict[date, DayTried]:
    """What `by` has compared of a partner's days from `since` on."""
    rows = await connection.fetch(
        "SELECT day, count(*)::int AS times, max(started_at) AS last_at,"
        " bool_or(state = 'done' AND t.reconciliation IS NOT NULL) AS done,"
        " (array_agg(t.reconciliation IS NOT NULL ORDER BY started_at DESC))[1] AS told"
        " FROM reconciliations r LEFT JOIN reconciliations_told t ON t.reconciliation = r.id"
        " WHERE partner = $1 AND day >= $2 AND requested_by = $3 GROUP BY day",
        partner,
        since,
        by,
    )
    return {row["day"]: into(DayTried, row) for row in rows}


async def days_tried(connection: Connection, partner: str, reach: date, by: str) -> tuple[date | None, date | None]:
    """The first of a partner's days that `by` has ever compared, and the last one of those before `reach`."""
    row = await connection.fetchrow(
        "SELECT min(day) AS first, max(day) FILTER (WHERE day < $2) AS last FROM reconciliations"
        " WHERE partner = $1 AND requested_by = $3",
        partner,
        reach,
        by,
    )
    assert row is not None
    return row["first"], row["last"]


async def told(connection: Connection, partner: str, day: date, by: str) -> None:
    """Staff were told of what `by` has found so far of a day."""
    await connection.execute(
        "INSERT INTO reconciliations_told SELECT id FROM reconciliations WHERE partner = $1 AND day = $2"
        " AND requested_by = $3 AND state <> 'running' ON CONFLICT DO NOTHING",
        partner,
        day,
        by,
    )
