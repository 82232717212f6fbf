"""A store with some thousands of rows in each table that grows, on so many pages that reading a whole one shows."""

from __future__ import annotations

import asyncpg

from tests.bench.reading import FILL
from tests.gateway.storage.asked import NOW

ROWS = 3_000
MORE = (
    """INSERT INTO clients (id, name, secret_hash, scopes, created_at) SELECT n, n, '', '{{}}', {at}
    FROM unnest('{{bench,x}}'::text[]) n""",
    """INSERT INTO webhook_endpoints (id, client_id, url, secret_sealed, created_at)
    SELECT 'w' || n, 'bench', 'https://x', '', {at} FROM generate_series(0, 9) n""",
    """INSERT INTO funnel_counts (programme, partner, stage, blocker, slot, incentives, amount_rupiah, organisation)
    SELECT programme, partner, stage, coalesce(blocker, ''), 0, count(*), sum(amount_rupiah), organisation
    FROM incentives GROUP BY 1, 2, 3, 4, organisation""",
    """INSERT INTO verifications (id, participant, link_id, nik_index, state, partner, next_attempt_at, created_at)
    SELECT id, id, link_id, nik_index, CASE WHEN id % 3 = 1 THEN 'open' ELSE 'decided' END, partner, {at}, {at}
    FROM participants""",
    """INSERT INTO observations (payout, source, attempt, kind, at)
    SELECT id, 'reply', 1, 'succeeded', {at} FROM payouts""",
    """INSERT INTO ledger (payout, partner, kind, debit, credit, amount_rupiah, at)
    SELECT id, partner, 'reserve', 'reserved', 'float', amount_rupiah, {at} FROM payouts""",
    """INSERT INTO exchanges (at, partner, operation, effect, subject, left_us, took_ms)
    SELECT {at}, partner, 'payout', 'write', id::text, true, 1 FROM payouts""",
    """INSERT INTO inbox (id, partner, kind, event_key, raw_sealed, received_at, applied_at)
    SELECT n, 'bni', 'payout', n::text, '', {at}, {at} FROM generate_series(1, {rows}) n""",
    """INSERT INTO statement_lines (payout, identity, kind, day, booked_at, seen_at)
    SELECT id, sha256(id::text::bytea), 'credit', ({at})::date, {at}, {at} FROM payouts""",
    """INSERT INTO idempotency (client_id, key, fingerprint, status, created_at)
    SELECT 'bench', n::text, '', 200, {at} FROM generate_series(1, {rows}) n""",
    """INSERT INTO refusals (partner, stage, known, participant, account_index, code, weighed, good_before, said_at)
    SELECT partner, 'payout', true, id, account_index, 'partner_rejected', false, 0, {at} FROM participants""",
    "INSERT INTO account_owners SELECT partner, account_index, nik_index, id, {at} FROM participants",
    "INSERT INTO consents (link_id, text_version, channel, at) SELECT id, '1', 'page', {at} FROM links",
    """INSERT INTO entitlements (id, plan_id, organisation, programme, participant, participant_id, state, client_id,
        created_at, changed_at)
    SELECT id, 'p' || 1 + id % 10, 'bench', 'large', id, participant_id, 'open', 'bench', {at}, {at}
    FROM participants""",
    """INSERT INTO completions (entitlement, notice, finished_on, client_id, at)
    SELECT id, 'n', ({at})::date, 'bench', {at} FROM participants""",
    """INSERT INTO audit_log (at, actor, action, subject, data)
    SELECT {at}, 'bench', 'x', n::text, '{{}}' FROM generate_series(1, {rows}) n""",
    """INSERT INTO batch_errors (batch_id, line, code)
    SELECT 'b' || 1 + n % 100, n, 'nik_invalid' FROM generate_series(1, {rows}) n""",
    """INSERT INTO batch_notes (batch_id, line, fields)
    SELECT 'b' || 1 + n % 100, n, '' FROM generate_series(1, {rows}) n""",
    """INSERT INTO cases (id, code, partner, payout, incentive, detail, opened_at, due_at, closed_at, closed_by)
    SELECT id, 'contradiction', partner, id, incentive, '', {at}, {at}, {at}, 'bench' FROM payouts""",
    """INSERT INTO webhook_deliveries (endpoint, tx, seq, subject, tries, since, next_at)
    SELECT 'w' || n % 10, '1', n, 'x', 1, {at}, {at} FROM generate_series(1, {rows}) n""",
    """INSERT INTO access_tokens
    SELECT sha256(n::text::bytea), 'bench', '{{}}', {at} FROM generate_series(1, {rows}) n""",
    """INSERT INTO client_assertions SELECT 'bench', sha256(n::text::bytea), {at} FROM generate_series(1, {rows}) n""",
    """INSERT INTO reapprovals SELECT batch_id, line, id, '', {at} FROM incentives""",
    """INSERT INTO reconciliation_breaks (reconciliation, n, class, detail)
    SELECT n % 10, n, 'x', '' FROM generate_series(1, {rows}) n""",
)
GROWING = (
    "account_owners", "audit_log", "batch_errors",
    "completions", "consents", "entitlements", "events", "exchanges", "idempotency", "inbox", "incentives", "ledger",
    "links", "observations", "participants", "payouts", "reapprovals", "reconciliation_breaks", "refusals",
    "statement_lines", "verifications", "webhook_deliveries",
)  # fmt: skip
"""Tables with rows for each person, payout, event or call."""


async def fill(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Statistics are of before; a page holds a tenth of what it could, so that few rows weigh like many."""
    await connection.execute("ANALYZE")
    for table in GROWING:
        await connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off, fillfactor = 10)")
    await connection.execute("SET session_replication_role = replica")
    for statement in FILL:
        await connection.execute(statement, ROWS, NOW)
    at = f"'{NOW.isoformat()}'::timestamptz"
    for statement in MORE:
        await connection.execute(statement.format(rows=ROWS, at=at))
    await connection.execute("RESET session_replication_role")
