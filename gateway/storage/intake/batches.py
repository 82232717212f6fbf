"""Batches, their approvals and their results."""

from __future__ import annotations

from datetime import datetime

import msgspec

from contracts.batch import BatchState
from gateway.storage.base.database import Connection
from gateway.storage.intake.staging import STATEMENT_S


class BatchRow(msgspec.Struct, frozen=True, kw_only=True):
    """A batch as it stands."""

    id: str
    client_id: str
    state: BatchState
    single: bool
    rows_accepted: int
    rows_rejected: int
    rows_repeated: int
    amount_rupiah: int
    content_root: bytes
    received_at: datetime
    decided_at: datetime | None


class ApprovalRow(msgspec.Struct, frozen=True, kw_only=True):
    """One client's decision."""

    client_id: str
    decision: str
    at: datetime


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
    field: str | None
    code: str | None
    faults: str
    """A list of `contracts.batch.Fault` as JSON; empty for rows refused before all faults were told."""


async def new_batch_id(connection: Connection, now: datetime) -> str:
    """A fresh id, ordered by time."""
    return f"b{await connection.fetchval('SELECT new_id($1)', now)}"


async def insert(connection: Connection, batch: BatchRow) -> None:
    """Store a batch."""
    await connection.execute(
        "INSERT INTO batches (id, client_id, state, single, rows_accepted, rows_rejected, rows_repeated,"
        " amount_rupiah, content_root, received_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        batch.id,
        batch.client_id,
        batch.state.value,
        batch.single,
        batch.rows_accepted,
        batch.rows_rejected,
        batch.rows_repeated,
        batch.amount_rupiah,
        batch.content_root,
        batch.received_at,
    )


async def get(connection: Connection, batch_id: str, *, lock: bool = False) -> BatchRow | None:
    """A batch; with `lock` nobody else decides about it meanwhile."""
    row = await connection.fetchrow(
        f"SELECT * FROM batches WHERE id = $1{' FOR UPDATE' if lock else ''}",  # noqa: S608 - constants
        batch_id,
    )
    return None if row is None else msgspec.convert(dict(row), BatchRow)


async def approvals(connection: Connection, batch_id: str) -> list[ApprovalRow]:
    """The decisions so far, oldest first."""
    rows = await connection.fetch(
        "SELECT client_id, decision, at FROM approvals WHERE batch_id = $1 ORDER BY at, client_id", batch_id
    )
    return [msgspec.convert(dict(row), ApprovalRow) for row in rows]


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


async def approve(connection: Connection, batch_id: str, now: datetime) -> None:
    """The batch is approved: its incentives may be paid."""
    await connection.execute(
        "UPDATE incentives SET approved = true, facts_at = $2 WHERE batch_id = $1 AND NOT approved AND NOT cancelled",
        batch_id,
        now,
        timeout=STATEMENT_S,
    )
    await _decide(connection, batch_id, BatchState.APPROVED, now)


async def reject(connection: Connection, batch_id: str, now: datetime) -> None:
    """The batch is rejected: its incentives are cancelled, and their keys free."""
    await connection.execute(
        "UPDATE incentives SET cancelled = true, facts_at = $2 WHERE batch_id = $1 AND NOT cancelled",
        batch_id,
        now,
        timeout=STATEMENT_S,
    )
    await _decide(connection, batch_id, BatchState.REJECTED, now)


async def _decide(connection: Connection, batch_id: str, state: BatchState, now: datetime) -> None:
    await connection.execute("UPDATE batches SET state = $2, decided_at = $3 WHERE id = $1", batch_id, state.value, now)


_ACCEPTED = """(SELECT line, programme, purpose, period, participant_id, id AS incentive_id, stage, blocker,
    NULL AS field, NULL AS code, '[]' AS faults
    FROM incentives WHERE batch_id = $1 AND line > $2 ORDER BY line LIMIT $3)"""
_REJECTED = """(SELECT line, programme, purpose, period, participant_id, NULL::bigint AS incentive_id, NULL AS stage,
    NULL AS blocker, field, code, faults FROM batch_errors WHERE batch_id = $1 AND line > $2 ORDER BY line LIMIT $3)"""
_PARTS = {None: (_ACCEPTED, _REJECTED), "accepted": (_ACCEPTED,), "rejected": (_REJECTED,)}


async def results(
    connection: Connection, batch_id: str, outcome: str | None, after_line: int, limit: int
) -> list[ResultRow]:
    """The next lines' results, in the order of the file; `outcome` `accepted` or `rejected` for these alone. Exact
    repeats have none: their first line has.
    """
    rows = await connection.fetch(
        f"SELECT * FROM ({' UNION ALL '.join(_PARTS[outcome])}) AS lines ORDER BY line LIMIT $3",  # noqa: S608 - constants
        batch_id,
        after_line,
        limit,
    )
    return [msgspec.convert(dict(row), ResultRow) for row in rows]
