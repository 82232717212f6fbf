"""Which statements were read to their end, and which payouts wait for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime

import msgspec

from contracts.observation import StatementLine
from gateway.storage.base.database import Connection
from gateway.storage.base.rows import into
from gateway.storage.payouts.payouts import PayoutRow, payout_row


class StatementRead(msgspec.Struct, frozen=True, kw_only=True):
    """One statement of one Jakarta day, read to its end."""

    partner: str
    day: date
    started_at: datetime
    finished_at: datetime
    lines: int
    unknown_lines: int
    """Credits whose reference is not ours."""
    proves: bool = True
    """Whether what it does not list is not there."""


async def record(connection: Connection, read: StatementRead) -> None:
    """Note a complete read."""
    await connection.execute(
        "INSERT INTO statement_reads (partner, day, started_at, finished_at, lines, unknown_lines, proves)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        read.partner,
        read.day,
        read.started_at,
        read.finished_at,
        read.lines,
        read.unknown_lines,
        read.proves,
    )


async def reads(connection: Connection, partner: str, since: date) -> list[StatementRead]:
    """Complete reads of the days from `since` on, oldest first."""
    rows = await connection.fetch(
        "SELECT * FROM statement_reads WHERE partner = $1 AND day >= $2 ORDER BY started_at", partner, since
    )
    return [into(StatementRead, row) for row in rows]


async def first_payout_at(connection: Connection, partner: str | None = None) -> datetime | None:
    """When the first payout, of all or at one partner, was made: no statement before that has anything of ours."""
    made_at: datetime | None = await connection.fetchval(
        "SELECT created_at FROM payouts WHERE $1::text IS NULL OR partner = $1 ORDER BY id LIMIT 1", partner
    )
    return made_at


async def last_read_of(connection: Connection, partner: str, since: date) -> dict[date, datetime]:
    """When the last complete read of each day from `since` on began."""
    rows = await connection.fetch(
        "SELECT day, max(started_at) AS at FROM statement_reads WHERE partner = $1 AND day >= $2 GROUP BY day",
        partner,
        since,
    )
    return {row["day"]: row["at"] for row in rows}


async def last_reads(connection: Connection) -> list[StatementRead]:
    """The last complete read of each partner."""
    rows = await connection.fetch(
        "SELECT DISTINCT ON (partner) * FROM statement_reads ORDER BY partner, started_at DESC, day DESC"
    )
    return [into(StatementRead, row) for row in rows]


NEAR = 100
"""So many payouts on either side of one, of all partners."""
Place = tuple[datetime, int]
"""Of a payout among those that wait: when it was first sent, and its id."""
FIRST: Place = (datetime.min.replace(tzinfo=UTC), 0)


def place(row: PayoutRow) -> Place:
    """Where a waiting payout stands."""
    assert row.first_sent_at is not None
    return row.first_sent_at, row.id


async def waiting(connection: Connection, partner: str, after: Place, limit: int) -> list[PayoutRow]:
    """Payouts that a statement may settle, oldest first: in doubt, or refused without a reason, without settling
    anything, or with nothing that confirms it.
    """
    rows = await connection.fetch(
        "SELECT * FROM payouts WHERE partner = $1 AND next_at IS NOT NULL AND first_sent_at IS NOT NULL"
        " AND (state = 'unknown' OR (state = 'rejected'"
        " AND (statements_from IS NOT NULL OR (released_at IS NULL AND reason_due_at IS NOT NULL))))"
        " AND (first_sent_at, id) > ($3, $4) ORDER BY first_sent_at, id LIMIT $2",
        partner,
        limit,
        *after,
    )
    return [payout_row(row) for row in rows]


async def ours(
    connection: Connection, partner: str, lines: Sequence[StatementLine]
) -> tuple[dict[str, PayoutRow], dict[str, list[PayoutRow]]]:
    """Our payouts that some lines name, by our reference and by the partner's number, which it may give again: oldest
    first.
    """
    rows = await connection.fetch(
        "SELECT * FROM payouts WHERE partner = $1"
        " AND (reference = ANY($2::text[]) OR partner_reference = ANY($3::text[])) ORDER BY id",
        partner,
        [line.reference for line in lines if line.reference is not None],
        [line.partner_reference for line in lines if line.partner_reference is not None],
    )
    found = [payout_row(row) for row in rows]
    by_number: dict[str, list[PayoutRow]] = {}
    for row in found:
        if row.partner_reference is not None:
            by_number.setdefault(row.partner_reference, []).append(row)
    return {row.reference: row for row in found}, by_number


async def account_of(connection: Connection, link_id: str) -> bytes:
    """The sealed account that a link is for."""
    sealed: bytes = await connection.fetchval("SELECT account_sealed FROM links WHERE id = $1", link_id)
    return sealed


async def known_lines(connection: Connection, payouts: Sequence[int]) -> dict[tuple[int, str, datetime], int]:
    """Bookings of some payouts that were listed before, and still are: how many of each kind at each moment."""
    rows = await connection.fetch(
        "SELECT payout, kind, booked_at, count(*)::int AS n FROM statement_lines WHERE payout = ANY($1::bigint[])"
        " AND gone_at IS NULL GROUP BY payout, kind, booked_at",
        list(payouts),
    )
    return {(row["payout"], row["kind"], row["booked_at"]): row["n"] for row in rows}


async def keep_lines(
    connection: Connection, now: datetime, day: date, lines: Sequence[tuple[int, bytes, StatementLine]]
) -> None:
    """Keep bookings (payout, identity, line), each once; one that is listed again counts again."""
    await connection.execute(
        "INSERT INTO statement_lines (payout, identity, kind, day, booked_at, seen_at)"
        " SELECT p, i, k, $1, b, $2 FROM unnest($3::bigint[], $4::bytea[], $5::text[], $6::timestamptz[])"
        " AS n (p, i, k, b) ON CONFLICT (payout, identity) DO UPDATE SET gone_at = NULL, day = excluded.day",
        day,
        now,
        [payout for payout, _, _ in lines],
        [identity for _, identity, _ in lines],
        [line.kind.value for _, _, line in lines],
        [line.booked_at for _, _, line in lines],
    )


async def beside_unlisted(connection: Connection, payouts: Sequence[int], paid_by: datetime) -> set[int]:
    """Which of some payouts were made beside one that the partner has paid by its own word, by `paid_by`, and that no
    statement lists: the lists are another day's or account's then, empty or cut. Looked at are the next payouts before
    and after it, a day at most away.
    """
    rows = await connection.fetch(
        "SELECT DISTINCT w.id FROM payouts w CROSS JOIN LATERAL ("
        "(SELECT id FROM payouts WHERE id < w.id ORDER BY id DESC LIMIT $3)"
        " UNION ALL (SELECT id FROM payouts WHERE id > w.id ORDER BY id LIMIT $3)) AS near"
        " JOIN payouts p ON p.id = near.id"
        " WHERE w.id = ANY($1::bigint[]) AND p.partner = w.partner AND p.state = 'succeeded' AND p.ended_at < $2"
        " AND p.first_sent_at BETWEEN w.first_sent_at - interval '1 day' AND w.first_sent_at + interval '1 day'"
        " AND NOT EXISTS (SELECT FROM statement_lines l WHERE l.payout = p.id AND l.gone_at IS NULL)",
        list(payouts),
        paid_by,
        NEAR,
    )
    return {row["id"] for row in rows}


async def credited_twice(connection: Connection, payouts: Sequence[int]) -> dict[int, int]:
    """Those of some payouts that were credited more often, over all days, than they were given back, and how much more:
    more than once, or once though one was given back. Below zero: given back more often than credited.
    """
    if not payouts:
        return {}
    rows = await connection.fetch(
        "SELECT payout, (credits - reversals)::int AS n FROM"
        " (SELECT payout, count(*) FILTER (WHERE kind = 'credit') AS credits,"
        " count(*) FILTER (WHERE kind = 'reversal') AS reversals FROM statement_lines"
        " WHERE payout = ANY($1::bigint[]) AND gone_at IS NULL GROUP BY payout) AS listed"
        " WHERE credits - reversals > 1 OR (credits > reversals AND reversals > 0)"
        " OR reversals > greatest(credits, 1)",
        list(payouts),
    )
    return {row["payout"]: row["n"] for row in rows}


async def days_of(connection: Connection, payouts: Sequence[int]) -> list[date]:
    """The days whose statements list bookings of some payouts, newest first."""
    rows = await connection.fetch(
        "SELECT DISTINCT day FROM statement_lines WHERE payout = ANY($1::bigint[]) AND gone_at IS NULL"
        " ORDER BY day DESC",
        list(payouts),
    )
    return [row["day"] for row in rows]


async def forget(
    connection: Connection,
    now: datetime,
    day: date,
    payouts: Sequence[int],
    listed: Mapping[tuple[int, str, datetime], int],
) -> None:
    """Count no more what was kept of some payouts under a day whose complete reading has just listed only `listed`."""
    if not payouts:
        return
    there = list(listed.items())
    await connection.execute(
        "UPDATE statement_lines s SET gone_at = $1 WHERE s.day = $2 AND s.payout = ANY($3::bigint[])"
        " AND s.gone_at IS NULL AND NOT EXISTS (SELECT FROM unnest($4::bigint[], $5::text[], $6::timestamptz[])"
        " AS n (payout, kind, booked_at) WHERE (n.payout, n.kind, n.booked_at) = (s.payout, s.kind, s.booked_at))",
        now,
        day,
        list(payouts),
        [payout for (payout, _, _), _ in there],
        [kind for (_, kind, _), _ in there],
        [booked_at for (_, _, booked_at), _ in there],
    )
