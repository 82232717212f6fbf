"""What an operator's page shows of one person, one payout, or what waits: read only, and bounded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple, TypeAlias

import asyncpg

from gateway.storage.base.database import Connection

MOST, MOST_FOUND = 200, 20
"""Rows of one list on one page, and people whom one search finds."""
Row: TypeAlias = asyncpg.Record
Rows: TypeAlias = Sequence[Row]


class Page(NamedTuple):
    """Some rows of a list."""

    rows: Sequence[Any]
    more: bool
    """There are others behind them."""


def page(rows: Sequence[Any]) -> Page:
    """Of one row more than a page holds."""
    return Page(rows[:MOST], len(rows) > MOST)


def _newest(rows: Rows) -> Page:
    """The same of rows that were read backwards, in order."""
    return Page(rows[:MOST][::-1], len(rows) > MOST)


async def find(
    connection: Connection,
    text: str,
    *,
    niks: Sequence[bytes],
    phones: Mapping[str, bytes],
    number: int | None,
    partners: Sequence[str],
) -> Page:
    """Participants whom a text names: their id, an incentive, payout or batch, either side's reference, or by index
    a NIK or an account that is a phone, by partner; `partners`: those whose references count.
    """
    rows = await connection.fetch(
        """
        SELECT DISTINCT p.id, p.participant_id, p.partner FROM participants p WHERE p.id IN (
            SELECT id FROM participants WHERE participant_id = $1
            UNION ALL SELECT id FROM participants WHERE nik_index = ANY($2::bytea[])
            UNION ALL SELECT t.id FROM unnest($3::text[], $5::bytea[]) AS one (partner, phone) CROSS JOIN LATERAL
                (SELECT id FROM participants WHERE partner = one.partner AND account_index = one.phone OFFSET 0) AS t
            UNION ALL SELECT participant FROM payouts WHERE reference = $1
            UNION ALL SELECT participant FROM payouts WHERE id = $4
            UNION ALL SELECT participant FROM payouts WHERE partner = ANY($6::text[]) AND partner_reference = $1
            UNION ALL SELECT participant FROM incentives WHERE id = $4
            UNION ALL SELECT participant FROM links WHERE id = $1)
        ORDER BY p.participant_id LIMIT $7
        """,
        text,
        list(niks),
        list(phones),
        number,
        list(phones.values()),
        list(partners),
        MOST_FOUND + 1,
    )
    return Page(rows[:MOST_FOUND], len(rows) > MOST_FOUND)


async def participant(connection: Connection, participant_id: str) -> asyncpg.Record | None:
    """One person, with what is sealed."""
    return await connection.fetchrow("SELECT * FROM participants WHERE participant_id = $1", participant_id)


async def links(connection: Connection, participant: int) -> Page:
    """Their links, newest first, without grants."""
    rows = await connection.fetch(
        "SELECT id, partner, state, ended_because, account_sealed, proved_at, grant_expires_at, created_at, updated_at"
        " FROM links WHERE participant = $1 ORDER BY created_at DESC LIMIT $2",
        participant,
        MOST + 1,
    )
    return page(rows)


async def verifications(connection: Connection, participant: int) -> Page:
    """Their NIK checks, newest first."""
    rows = await connection.fetch(
        "SELECT id, link_id, state, verdict, partner_code, tries, next_attempt_at, decided_at, expires_at, created_at"
        " FROM verifications WHERE participant = $1 ORDER BY id DESC LIMIT $2",
        participant,
        MOST + 1,
    )
    return page(rows)


async def payouts(connection: Connection, participant: int) -> Page:
    """Their payouts, newest first."""
    rows = await connection.fetch(
        "SELECT * FROM payouts WHERE incentive = ANY(ARRAY(SELECT id FROM incentives WHERE participant = $1))"
        " ORDER BY id + 0 DESC LIMIT $2",
        participant,
        MOST + 1,
    )
    return page(rows)


async def payout(connection: Connection, payout_id: int) -> Row | None:
    """One payout, and whose it is."""
    return await connection.fetchrow(
        "SELECT p.*, i.participant_id FROM payouts p JOIN incentives i ON i.id = p.incentive WHERE p.id = $1", payout_id
    )


class Evidence(NamedTuple):
    """What is on record about one payout, each list in order."""

    words: Page
    """Of the partner, the newest."""
    calls: Page
    """Exchanges with it, the newest of those asked for."""
    entries: Rows
    cases: Rows


async def evidence(connection: Connection, payout: int, before: int | None = None) -> Evidence:
    """Of one payout: each word of the partner, each exchange (those before one that was shown), each ledger entry, each
    case.
    """
    words = await connection.fetch(
        "SELECT * FROM observations WHERE payout = $1 ORDER BY id DESC LIMIT $2", payout, MOST + 1
    )
    calls = await connection.fetch(
        "SELECT id, at, operation, effect, status, error, left_us, took_ms FROM exchanges WHERE subject = $1"
        " AND ($3::bigint IS NULL OR id < $3) ORDER BY id DESC LIMIT $2",
        str(payout),
        MOST + 1,
        before,
    )
    entries = await connection.fetch("SELECT * FROM ledger WHERE payout = $1 ORDER BY id LIMIT $2", payout, MOST)
    cases = await connection.fetch("SELECT * FROM cases WHERE payout = $1 ORDER BY id LIMIT $2", payout, MOST)
    return Evidence(_newest(words), _newest(calls), entries, cases)


async def cases_of(connection: Connection, incentive: int) -> Rows:
    """Open cases about one incentive, or a payout of it."""
    return await connection.fetch(
        "SELECT * FROM cases WHERE incentive = $1 AND closed_at IS NULL ORDER BY id LIMIT $2", incentive, MOST
    )


async def payouts_in(
    connection: Connection, state: str, partner: str | None, after: tuple[datetime, str] | None = None
) -> Page:
    """Payouts in a state, longest unchanged first; those behind one that was shown as `after`, whatever became of it.
    One that changes goes to the end: none is passed over.
    """
    at, last = after or (None, "0")
    rows = await connection.fetch(
        "SELECT p.*, i.participant_id FROM payouts p JOIN incentives i ON i.id = p.incentive"
        " WHERE p.state = $1 AND ($2::text IS NULL OR p.partner = $2)"
        " AND ($4::timestamptz IS NULL OR (p.updated_at, p.id) > ($4, $5::bigint))"
        " ORDER BY p.updated_at, p.id LIMIT $3",
        state,
        partner,
        MOST + 1,
        at,
        int(last),
    )
    return page(rows)


async def open_cases(
    connection: Connection, *, partner: str | None = None, code: str | None = None, after: int = 0
) -> Page:
    """Cases that wait for an operator, the most urgent first; those behind the case `after`, which may be closed by
    now.
    """
    rows = await connection.fetch(
        "SELECT c.*, i.participant_id FROM cases c LEFT JOIN incentives i ON i.id = c.incentive"
        " WHERE c.closed_at IS NULL AND ($2::text IS NULL OR c.partner = $2) AND ($3::text IS NULL OR c.code = $3)"
        " AND ($4::bigint = 0 OR (c.due_at, c.id) > (SELECT a.due_at, a.id FROM cases a WHERE a.id = $4))"
        " ORDER BY c.due_at, c.id LIMIT $1",
        MOST + 1,
        partner,
        code,
        after,
    )
    return page(rows)


async def halves(connection: Connection, now: datetime) -> Page:
    """What one of two people has asked for and no other has yet: another NIK, an erasure, a word on whose an account
    is; what waits longest first.
    """
    rows = await connection.fetch(
        """
        SELECT w.code, p.participant_id, w.asked_by, w.since FROM (
            SELECT 'nik' AS code, participant, asked_by, asked_at AS since FROM nik_corrections
            UNION ALL SELECT 'erasure', participant, asked_by, asked_at FROM erasures
                WHERE erased_at IS NULL AND asked_at >= $1::timestamptz - interval '7 days'
            UNION ALL SELECT 'proof', a.participant, a.given_by, a.given_at FROM account_proofs a
                JOIN LATERAL (SELECT * FROM participants WHERE id = a.participant OFFSET 0) t
                ON (t.partner, t.account_index, t.nik_index) = (a.partner, a.account_index, a.nik_index)
                WHERE t.standing = 'account_unproved'
                AND NOT EXISTS (SELECT FROM clients c WHERE c.id = a.given_by AND c.disabled_at IS NOT NULL)
                AND NOT EXISTS (SELECT FROM account_proofs o WHERE o.seconds IS NOT NULL
                    AND (o.participant, o.partner, o.account_index, o.nik_index)
                        = (a.participant, a.partner, a.account_index, a.nik_index))) AS w
        CROSS JOIN LATERAL (SELECT participant_id FROM participants WHERE id = w.participant OFFSET 0) AS p
        ORDER BY w.since, p.participant_id LIMIT $2
        """,
        now,
        MOST + 1,
    )
    return page(rows)


async def case_kinds(connection: Connection) -> Rows:
    """Codes and partners of the open cases."""
    return await connection.fetch("SELECT DISTINCT code, partner FROM cases WHERE closed_at IS NULL")


async def case(connection: Connection, case_id: int) -> asyncpg.Record | None:
    """One case, open or closed."""
    return await connection.fetchrow(
        "SELECT c.*, i.participant_id FROM cases c LEFT JOIN incentives i ON i.id = c.incentive WHERE c.id = $1",
        case_id,
    )


async def count_open(connection: Connection) -> tuple[int, int]:
    """Open cases, and batches that wait for approval."""
    row = await connection.fetchrow(
        "SELECT (SELECT count(*) FROM cases WHERE closed_at IS NULL) AS cases,"
        " (SELECT count(*) FROM batches WHERE state = 'awaiting_approval') AS batches"
    )
    assert row is not None, "a row of counts"
    return row["cases"], row["batches"]


async def batches(connection: Connection, state: str | None, before: tuple[datetime, str] | None) -> Page:
    """Batches in a state, or all but those that wait for approval; newest first, those before one that was shown."""
    at, last = before or (None, "")
    rows = await connection.fetch(
        "SELECT b.*, (SELECT count(*) FROM approvals a WHERE a.batch_id = b.id AND a.decision = 'approve') AS approved"
        " FROM batches b WHERE (b.state = $2 OR $2 IS NULL AND b.state <> 'awaiting_approval')"
        " AND ($3::timestamptz IS NULL OR (b.received_at, b.id) < ($3, $4))"
        " ORDER BY b.received_at DESC, b.id DESC LIMIT $1",
        MOST + 1,
        state,
        at,
        last,
    )
    return page(rows)


async def count_waiting_plans(connection: Connection) -> int:
    """Payment plans that wait for approval."""
    return int(await connection.fetchval("SELECT count(*) FROM plans WHERE state = 'awaiting_approval'"))


async def batch_totals(connection: Connection, batch_id: str) -> Rows:
    """What one batch would pay, by partner."""
    return await connection.fetch(
        "SELECT partner, count(*) AS incentives, sum(amount_rupiah)::bigint AS amount_rupiah,"
        " min(amount_rupiah) AS least, max(amount_rupiah) AS most, min(due_on) AS first_due, max(deadline_on) AS last"
        " FROM incentives WHERE batch_id = $1 GROUP BY partner ORDER BY partner",
        batch_id,
    )


async def decisions(connection: Connection, before: int | None) -> Page:
    """Who decided what, newest first."""
    rows = await connection.fetch(
        "SELECT * FROM audit_log WHERE seq < coalesce($1, 9223372036854775807) ORDER BY seq DESC LIMIT $2",
        before,
        MOST + 1,
    )
    return page(rows)


async def way_back(connection: Connection, participant_id: str) -> tuple[str, str] | None:
    """To which client, and at which of its addresses, a participant comes back: as the last time, else as the client
    that handed them over wants it. None: no client has an address for it.
    """
    row = await connection.fetchrow(
        "SELECT client_id, return_url FROM ("
        " SELECT l.client_id, l.return_url, 0 AS n, l.created_at AS at FROM links l"
        " JOIN participants p ON p.id = l.participant JOIN clients c ON c.id = l.client_id"
        " WHERE p.participant_id = $1 AND c.disabled_at IS NULL AND l.return_url = ANY(c.return_urls)"
        " UNION ALL SELECT b.client_id, c.return_urls[1], 1, b.received_at FROM incentives i"
        " JOIN batches b ON b.id = i.batch_id JOIN clients c ON c.id = b.client_id"
        " WHERE i.participant = (SELECT id FROM participants WHERE participant_id = $1)"
        " AND c.disabled_at IS NULL AND cardinality(c.return_urls) > 0) AS ways"
        " ORDER BY n, at DESC LIMIT 1",
        participant_id,
    )
    return None if row is None else (row["client_id"], row["return_url"])


async def days(connection: Connection, since: date) -> Rows:
    """The latest reconciliation of each partner and day from then on, newest day first."""
    return await connection.fetch(
        "SELECT DISTINCT ON (day, partner) * FROM reconciliations WHERE day >= $1"
        " ORDER BY day DESC, partner, started_at DESC",
        since,
    )


async def endpoints(connection: Connection) -> Page:
    """Every webhook endpoint with what waits for it and what was given up, those in trouble first."""
    rows = await connection.fetch(
        "SELECT e.id, e.client_id, e.url, e.disabled_at, e.disabled_because, e.failing_since, e.last_error,"
        " (SELECT c.disabled_at FROM clients c WHERE c.id = e.client_id) AS client_disabled_at,"
        " count(d.endpoint) FILTER (WHERE d.dead_at IS NULL) AS waiting,"
        " count(d.endpoint) FILTER (WHERE d.dead_at IS NOT NULL) AS dead"
        " FROM webhook_endpoints e LEFT JOIN webhook_deliveries d ON d.endpoint = e.id"
        " GROUP BY e.id ORDER BY e.disabled_at IS NULL, e.failing_since NULLS LAST, e.id LIMIT $1",
        MOST + 1,
    )
    return page(rows)


async def dead_letters(connection: Connection) -> Page:
    """Deliveries that were given up, the newest first."""
    rows = await connection.fetch(
        "SELECT d.dead_at, d.subject, d.tries, d.error, e.url FROM webhook_deliveries d"
        " JOIN webhook_endpoints e ON e.id = d.endpoint"
        " WHERE d.dead_at IS NOT NULL ORDER BY d.dead_at DESC LIMIT $1",
        MOST + 1,
    )
    return page(rows)
