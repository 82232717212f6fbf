"""Batches, their approvals and their results."""

# ruff: noqa: S608 - only names of our own columns are put into SQL

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import msgspec

from contracts.batch import REQUIRED_APPROVALS, BatchState
from contracts.incentive import BlockerCode, Stage
from gateway.storage.base.database import Connection
from gateway.storage.intake.staging import STATEMENT_S

AT_ONCE = 10_000
"""Rows that an approval itself marks, a fifth of a second's work."""


class BatchRow(msgspec.Struct, frozen=True, kw_only=True):
    """A batch as it stands."""

    id: str
    client_id: str
    state: BatchState
    single: bool
    reapproval: bool
    """It puts up incentives whose approval lapsed, of other batches."""
    plan_id: str | None
    """The plan whose notices made it, and whose approvals are its own."""
    rows_accepted: int
    rows_rejected: int
    rows_repeated: int
    amount_rupiah: int
    content_root: bytes
    content_key_sealed: bytes | None
    """Null: made before a batch had a key of its own."""
    partners: str
    """`contracts.batch.PartnerTotal`s as JSON."""
    warnings: str
    """(code, rows) pairs as JSON."""
    received_at: datetime
    decided_at: datetime | None
    doubted_at: datetime | None = None
    doubt: str | None = None
    """`contracts.batch.BatchDoubt` as JSON, while it is in doubt."""


class ApprovalRow(msgspec.Struct, frozen=True, kw_only=True):
    """One client's decision."""

    client_id: str
    person: str
    """Who holds the client."""
    decision: str
    at: datetime
    enabled: bool
    """Whether the client still is one: else its approval does not count."""


class StageTotal(msgspec.Struct, frozen=True, kw_only=True):
    """What of a batch stands at one stage under one blocker."""

    stage: Stage
    blocker: BlockerCode | None
    incentives: int
    amount_rupiah: int


class ResultRow(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one line: an incentive with its stage, or an error."""

    line: int
    programme: str | None
    purpose: str | None
    period: str | None
    participant_id: str | None
    incentive_id: int | None
    stage: str | None
    blocker: str | None
    partner: str | None
    amount_rupiah: int | None
    paid_at: datetime | None
    partner_reference: str | None
    field: str | None
    code: str | None
    faults: str
    """A list of `contracts.batch.Fault` as JSON; empty for rows refused before all faults were told."""
    not_taken: str | None
    """Names of fields, with ', ' between them."""
    outcome: str


async def new_batch_id(connection: Connection, now: datetime) -> str:
    """A fresh id, ordered by time."""
    return f"b{await connection.fetchval('SELECT new_id($1)', now)}"


async def begin(
    connection: Connection, batch_id: str, client_id: str, now: datetime, organisation: str | None = None
) -> None:
    """Store a batch for its incentives to belong to; `finish` says how it ended, in the same transaction.
    `organisation`: whose it is, when left out the client's.
    """
    await connection.execute(
        "INSERT INTO batches (id, client_id, organisation, state, single, rows_accepted, rows_rejected, rows_repeated,"
        " amount_rupiah, content_root, received_at)"
        " VALUES ($1, $2, coalesce($4, organisation_of($2)), 'empty', false, 0, 0, 0, 0, '', $3)",
        batch_id,
        client_id,
        now,
        organisation,
    )


async def finish(connection: Connection, batch: BatchRow) -> None:
    """How a batch that was begun ended."""
    await connection.execute(
        "UPDATE batches SET state = $2, rows_accepted = $3, rows_rejected = $4, rows_repeated = $5, amount_rupiah = $6,"
        " content_root = $7, content_key_sealed = $8, partners = $9, warnings = $10, reapproval = $11,"
        " plan_id = $12 WHERE id = $1",
        batch.id,
        batch.state.value,
        batch.rows_accepted,
        batch.rows_rejected,
        batch.rows_repeated,
        batch.amount_rupiah,
        batch.content_root,
        batch.content_key_sealed,
        batch.partners,
        batch.warnings,
        batch.reapproval,
        batch.plan_id,
    )


async def get(connection: Connection, batch_id: str, *, lock: bool = False) -> BatchRow | None:
    """A batch; with `lock` nobody else decides about it meanwhile."""
    row = await connection.fetchrow(
        f"SELECT * FROM batches WHERE id = $1{' FOR UPDATE' if lock else ''}",
        batch_id,
    )
    return None if row is None else msgspec.convert(dict(row), BatchRow)


async def approvals(connection: Connection, batch_id: str) -> list[ApprovalRow]:
    """What each client has said last and not taken back, oldest first."""
    rows = await connection.fetch(
        "SELECT * FROM (SELECT DISTINCT ON (a.client_id) a.client_id, coalesce(c.person, c.id) AS person,"
        "  a.decision, a.at,"
        "  c.disabled_at IS NULL AS enabled FROM approvals a JOIN clients c ON c.id = a.client_id WHERE a.batch_id = $1"
        "  ORDER BY a.client_id, a.seq DESC)"
        " AS last WHERE decision <> 'withdraw' ORDER BY at, client_id",
        batch_id,
    )
    return [msgspec.convert(dict(row), ApprovalRow) for row in rows]


async def approved(connection: Connection, among: Collection[str]) -> set[str]:
    """Batches whose present content so many people as are required, other than the maker, approved by their clients'
    last words.
    """
    rows = await connection.fetch(
        "SELECT b.id FROM batches b JOIN clients m ON m.id = b.client_id"
        " WHERE b.id = ANY($1::text[]) AND b.state IN ('approved', 'stopped') AND"
        " (SELECT count(DISTINCT said.person) FROM (SELECT DISTINCT ON (a.client_id) a.decision,"
        "   coalesce(c.person, c.id) AS person FROM approvals a JOIN clients c ON c.id = a.client_id"
        "   WHERE a.batch_id = b.id AND a.content_root = b.content_root ORDER BY a.client_id, a.seq DESC) AS said"
        "  WHERE said.decision = 'approve' AND said.person <> coalesce(m.person, m.id)) >= $2",
        list(among),
        REQUIRED_APPROVALS,
    )
    return {row["id"] for row in rows}


async def insert_approval(
    connection: Connection, batch_id: str, client_id: str, decision: str, root: bytes, now: datetime
) -> None:
    """Store one client's decision."""
    await connection.execute(
        "INSERT INTO approvals (batch_id, client_id, decision, content_root, at) VALUES ($1, $2, $3, $4, $5)",
        batch_id,
        client_id,
        decision,
        root,
        now,
    )


async def find(
    connection: Connection,
    organisation: str | None,
    state: BatchState | None,
    before: tuple[datetime, str] | None,
    limit: int,
) -> list[BatchRow]:
    """The next batches of one organisation (None: of all), newest first; `before`: time and id of the last one seen."""
    conditions: list[str] = ["true"]
    values: list[object] = [limit]
    if organisation is not None:
        values.append(organisation)
        conditions.append(f"organisation = ${len(values)}")
    if state is not None:
        values.append(state.value)
        conditions.append(f"state = ${len(values)}")
    if before is not None:
        values += before
        conditions.append(f"(received_at, id) < (${len(values) - 1}, ${len(values)})")
    rows = await connection.fetch(
        f"SELECT * FROM batches WHERE {' AND '.join(conditions)} ORDER BY received_at DESC, id DESC LIMIT $1", *values
    )
    return [msgspec.convert(dict(row), BatchRow) for row in rows]


async def too_old(connection: Connection, before: datetime, limit: int) -> list[str]:
    """Batches that were handed over before then and wait for an approval, held against whoever would decide."""
    rows = await connection.fetch(
        "SELECT id FROM batches WHERE state = 'awaiting_approval' AND received_at < $1 ORDER BY received_at LIMIT $2"
        " FOR UPDATE SKIP LOCKED",
        before,
        limit,
    )
    return [row["id"] for row in rows]


_NO_LONGER_STOPPED = """
DELETE FROM stopped_people s WHERE EXISTS (SELECT FROM (
        SELECT i.id, i.batch_id, i.lapsed_at FROM incentives i WHERE i.participant = s.participant AND NOT i.cancelled
        UNION ALL SELECT i.id, i.batch_id, i.lapsed_at
        FROM (SELECT nik_index, organisation FROM participants WHERE id = s.participant OFFSET 0) t
        CROSS JOIN LATERAL (SELECT * FROM incentives i WHERE i.nik_index = t.nik_index AND NOT i.cancelled OFFSET 0) i
        WHERE i.organisation = t.organisation
    ) i WHERE i.lapsed_at IS NULL AND (i.batch_id = $1 OR EXISTS
        (SELECT FROM reapprovals r WHERE r.incentive = i.id AND r.batch_id = $1 OFFSET 0)) OFFSET 0)
"""
"""Of whom a row was approved, under their id or another one of their NIK that their organisation has: what another one
decides for itself answers nobody's stop here.
"""


async def approve(connection: Connection, batch_id: str, now: datetime) -> None:
    """The batch's incentives may be paid, but for those whose account has changed since: these are approved anew. Of a
    large batch the first rows are marked at once, the others by `mark_next`. Whose payments were stopped before is no
    longer told of: the approvers were.
    """
    await _decide(connection, batch_id, BatchState.APPROVED, now)
    # Whoever is being stopped once more is waited for, and seen: what stops them cancels their rows first.
    await connection.execute(
        "SELECT FROM participants WHERE id IN (SELECT participant FROM stopped_people) ORDER BY id FOR SHARE"
    )
    await connection.execute(_NO_LONGER_STOPPED, batch_id)
    await _mark(connection, batch_id, 0, AT_ONCE, now)


async def mark_next(connection: Connection, most: int, now: datetime) -> int:
    """Mark so many more rows of the batch that was approved first and is not through; how many there were to look at.
    Of one that was stopped meanwhile none.
    """
    batch = await connection.fetchrow(
        "SELECT id, state, marked_to FROM batches WHERE marked_to IS NOT NULL ORDER BY decided_at LIMIT 1"
        " FOR UPDATE SKIP LOCKED"
    )
    if batch is None:
        return 0
    if batch["state"] != BatchState.APPROVED.value:
        await connection.execute("UPDATE batches SET marked_to = NULL WHERE id = $1", batch["id"])
        return 1
    return await _mark(connection, batch["id"], batch["marked_to"], most, now)


async def _mark(connection: Connection, batch_id: str, after: int, most: int, now: datetime) -> int:
    row = await connection.fetchrow(
        """
        WITH piece AS MATERIALIZED (SELECT id, line FROM incentives WHERE batch_id = $1 AND line > $2
            ORDER BY line LIMIT $3),
        marked AS (UPDATE incentives i SET approved = true, facts_at = $4 FROM piece p
            WHERE i.id = p.id AND NOT i.approved AND NOT i.cancelled AND i.lapsed_at IS NULL
            RETURNING i.programme, i.purpose, i.amount_rupiah),
        usual AS (INSERT INTO usual_amounts AS u SELECT programme, purpose, amount_rupiah, count(*) FROM marked
            GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
            ON CONFLICT (programme, purpose, amount_rupiah) DO UPDATE
            SET incentives = u.incentives + excluded.incentives)
        SELECT count(*)::integer AS rows, max(line) AS last FROM piece
        """,
        batch_id,
        after,
        most,
        now,
        timeout=STATEMENT_S,
    )
    assert row is not None
    left = row["last"] if row["rows"] == most else None
    await connection.execute("UPDATE batches SET marked_to = $2 WHERE id = $1", batch_id, left)
    if left is not None:
        await connection.execute("SELECT pg_notify('gateway', 'approvals')")
    return int(row["rows"])


async def drop(connection: Connection, batch_id: str, state: BatchState, now: datetime) -> None:
    """The batch is rejected or has expired: its incentives are cancelled, and their keys free."""
    await connection.execute(
        "UPDATE incentives SET cancelled = true, facts_at = $2 WHERE batch_id = $1 AND NOT cancelled",
        batch_id,
        now,
        timeout=STATEMENT_S,
    )
    await _decide(connection, batch_id, state, now)


async def _decide(connection: Connection, batch_id: str, state: BatchState, now: datetime) -> None:
    await connection.execute("UPDATE batches SET state = $2, decided_at = $3 WHERE id = $1", batch_id, state.value, now)


_INCENTIVE = """i.programme, i.purpose, i.period, i.participant_id, i.id AS incentive_id, i.stage, i.blocker, i.partner,
    i.amount_rupiah, p.ended_at AS paid_at, p.partner_reference, NULL AS field, NULL AS code, '[]' AS faults"""
_PAID = """LEFT JOIN LATERAL (SELECT ended_at, partner_reference
    FROM (SELECT * FROM payouts WHERE incentive = i.id AND state = 'succeeded' OFFSET 0) AS its
    ORDER BY id LIMIT 1) p ON i.stage = 'paid'"""
_ACCEPTED = f"""(SELECT i.line, {_INCENTIVE},
    (SELECT fields FROM batch_notes n WHERE n.batch_id = i.batch_id AND n.line = i.line) AS not_taken,
    'accepted' AS outcome
    FROM incentives i {_PAID} WHERE i.batch_id = $1 AND i.line > $2 ORDER BY i.line LIMIT $3)"""
_PUT_UP = f"""(SELECT r.line, {_INCENTIVE}, NULL AS not_taken, 'accepted' AS outcome
    FROM reapprovals r JOIN incentives i ON i.id = r.incentive {_PAID}
    WHERE r.batch_id = $1 AND r.line > $2 ORDER BY r.line LIMIT $3)"""
_REJECTED = """(SELECT line, programme, purpose, period, participant_id, NULL::bigint AS incentive_id, NULL AS stage,
    NULL AS blocker, NULL AS partner, NULL::bigint AS amount_rupiah, NULL::timestamptz AS paid_at,
    NULL AS partner_reference, field, code, faults, NULL AS not_taken, 'rejected' AS outcome
    FROM batch_errors WHERE batch_id = $1 AND line > $2 ORDER BY line LIMIT $3)"""
_REPEATED = f"""(SELECT b.line, {_INCENTIVE}, NULL AS not_taken, 'repeated' AS outcome
    FROM (SELECT * FROM batch_repeats WHERE batch_id = $1 AND line > $2 ORDER BY line LIMIT $3) b
    CROSS JOIN LATERAL (SELECT * FROM incentives WHERE id = b.incentive OFFSET 0) i {_PAID} ORDER BY b.line)"""
_PARTS = {
    None: (_ACCEPTED, _PUT_UP, _REPEATED, _REJECTED),
    "accepted": (_ACCEPTED, _PUT_UP),
    "repeated": (_REPEATED,),
    "rejected": (_REJECTED,),
}


async def results(
    connection: Connection, batch_id: str, outcome: str | None, after_line: int, limit: int
) -> list[ResultRow]:
    """The next lines' results, in the order of the file; `outcome` (`accepted`, `repeated`, `rejected`) for these
    alone. A repeated line has the incentive that it repeats.
    """
    rows = await connection.fetch(
        f"SELECT * FROM ({' UNION ALL '.join(_PARTS[outcome])}) AS lines ORDER BY line LIMIT $3",
        batch_id,
        after_line,
        limit,
    )
    return [msgspec.convert(dict(row), ResultRow) for row in rows]


async def totals(connection: Connection, batch_id: str) -> list[StageTotal]:
    """What the accepted rows come to by stage and blocker, as the results show them; each incentive once."""
    rows = await connection.fetch(
        "SELECT i.stage, i.blocker, count(*) AS incentives, sum(i.amount_rupiah)::bigint AS amount_rupiah FROM"
        " (SELECT stage, blocker, amount_rupiah FROM incentives WHERE batch_id = $1 UNION ALL"
        "  SELECT i.stage, i.blocker, i.amount_rupiah FROM reapprovals r JOIN incentives i ON i.id = r.incentive"
        "  WHERE r.batch_id = $1) AS i GROUP BY 1, 2 ORDER BY 1, 2 NULLS FIRST",
        batch_id,
    )
    return [msgspec.convert(dict(row), StageTotal) for row in rows]
