"""Verifications: open rows are the queue of NIK checks, decided ones the verdicts."""

# ruff: noqa: S608 - only names of our own columns are put into SQL

from __future__ import annotations

from datetime import datetime

import msgspec

from contracts.identity import Verdict
from gateway.storage.base.database import Connection
from gateway.storage.base.ids import new_id
from gateway.storage.base.rows import into


class VerificationRow(msgspec.Struct, frozen=True, kw_only=True):
    """One check of a participant's NIK under one link."""

    id: int
    participant: int
    link_id: str
    nik_index: bytes
    state: str
    verdict: str | None
    partner_code: str | None
    tries: int
    next_attempt_at: datetime | None
    lease_until: datetime | None
    decided_at: datetime | None
    expires_at: datetime | None
    created_at: datetime
    canary: bool
    """Whether it is made to find out whether a held partner is right."""

    def __repr__(self) -> str:
        return f"VerificationRow({self.id} {self.state})"


_NAMES = VerificationRow.__struct_fields__
_COLUMNS = ", ".join(_NAMES)


async def open_for(connection: Connection, participant: int, link_id: str, nik_index: bytes, now: datetime) -> int:
    """Have the NIK checked now under this link; one that is open already is brought forward."""
    number: int = await connection.fetchval(
        "INSERT INTO verifications AS v (id, participant, link_id, nik_index, state, next_attempt_at, created_at)"
        " VALUES ($1, $2, $3, $4, 'open', $5, $5) ON CONFLICT (link_id) WHERE state = 'open'"
        " DO UPDATE SET next_attempt_at = least(v.next_attempt_at, excluded.next_attempt_at) RETURNING id",
        await new_id(connection, now),
        participant,
        link_id,
        nik_index,
        now,
    )
    return number


async def open_beside(connection: Connection, participant: int, link_id: str, nik_index: bytes, now: datetime) -> None:
    """The same for somebody whom the caller has not locked: a check that is being decided at this moment is left to
    itself, and not waited for, as it may wait for what the caller has.
    """
    await connection.execute(
        "WITH brought AS (UPDATE verifications SET next_attempt_at = least(next_attempt_at, $5) WHERE id ="
        " (SELECT id FROM verifications WHERE link_id = $3 AND state = 'open' FOR UPDATE SKIP LOCKED))"
        " INSERT INTO verifications (id, participant, link_id, nik_index, state, next_attempt_at, created_at)"
        " SELECT $1, $2, $3, $4, 'open', $5, $5"
        " WHERE NOT EXISTS (SELECT FROM verifications WHERE link_id = $3 AND state = 'open') ON CONFLICT DO NOTHING",
        await new_id(connection, now),
        participant,
        link_id,
        nik_index,
        now,
    )


async def lease(
    connection: Connection, now: datetime, until: datetime, limit: int, partner: str | None
) -> list[VerificationRow]:
    """Checks that are due, of one partner or of all, this try counted, put off for others until `until`."""
    whose = "" if partner is None else " AND d.partner = $4"
    columns = ", ".join(f"v.{name}" for name in _NAMES)
    rows = await connection.fetch(
        "UPDATE verifications v SET lease_until = $2, tries = v.tries + 1 FROM ("
        f" SELECT d.id FROM verifications d WHERE d.state = 'open'{whose}"
        " AND d.next_attempt_at <= $1 AND (d.lease_until IS NULL OR d.lease_until <= $1)"
        " ORDER BY d.next_attempt_at LIMIT $3 FOR UPDATE OF d SKIP LOCKED"
        f") AS due WHERE v.id = due.id RETURNING {columns}",
        now,
        until,
        limit,
        *([] if partner is None else [partner]),
    )
    return [into(VerificationRow, row) for row in rows]


async def decide(
    connection: Connection,
    row: VerificationRow,
    verdict: Verdict,
    partner_code: str | None,
    expires_at: datetime | None,
    now: datetime,
) -> bool:
    """The partner's verdict; False: the check was dropped or decided meanwhile."""
    done = await connection.execute(
        "UPDATE verifications SET state = 'decided', verdict = $2, partner_code = $3, decided_at = $4, expires_at = $5,"
        " next_attempt_at = NULL, lease_until = NULL WHERE id = $1 AND state = 'open'",
        row.id,
        verdict.value,
        partner_code,
        now,
        expires_at,
    )
    return str(done) == "UPDATE 1"


async def put_off(connection: Connection, row: VerificationRow, partner_code: str | None, until: datetime) -> bool:
    """No verdict yet: ask again at `until`. False: the check was dropped meanwhile."""
    done = await connection.execute(
        "UPDATE verifications SET next_attempt_at = $2, lease_until = NULL, partner_code = $3"
        " WHERE id = $1 AND state = 'open'",
        row.id,
        until,
        partner_code,
    )
    return str(done) == "UPDATE 1"


async def drop(connection: Connection, link_id: str, now: datetime) -> None:
    """The link is no longer what the check was about."""
    await connection.execute(
        "UPDATE verifications SET state = 'dropped', decided_at = $2, next_attempt_at = NULL, lease_until = NULL"
        " WHERE link_id = $1 AND state = 'open'",
        link_id,
        now,
    )


async def get(connection: Connection, number: int) -> VerificationRow | None:
    """The check with this id."""
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM verifications WHERE id = $1", number)
    return None if row is None else into(VerificationRow, row)


async def latest(connection: Connection, participant: int) -> VerificationRow | None:
    """The participant's newest check."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM verifications WHERE participant = $1 ORDER BY id DESC LIMIT 1",
        participant,
    )
    return None if row is None else into(VerificationRow, row)
