"""The inbox of partners' notifications: each event stored once, sealed, and applied afterwards."""

# ruff: noqa: S608 - only names of our own columns are put into SQL

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import msgspec

from gateway.storage.base.database import Connection, along_key
from gateway.storage.base.rows import into


class InboxRow(msgspec.Struct, frozen=True, kw_only=True):
    """One notification that is to be applied."""

    id: int
    partner: str
    kind: str
    event_key: str
    raw_sealed: bytes
    received_at: datetime
    tries: int

    def __repr__(self) -> str:
        return f"InboxRow({self.id} {self.partner} {self.kind})"


_NAMES = InboxRow.__struct_fields__


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One verified notification as it is stored."""

    partner: str
    kind: str
    event_key: str
    raw_sealed: bytes


async def store(connection: Connection, arrivals: Sequence[Arrival], now: datetime) -> None:
    """Keep them, in one statement; an event that was delivered before, or twice among these, is kept once."""
    await connection.execute(
        "INSERT INTO inbox (id, partner, kind, event_key, raw_sealed, received_at, next_attempt_at)"
        " SELECT new_id($5), a.partner, a.kind, a.event_key, a.raw_sealed, $5, $5"
        " FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[]) AS a (partner, kind, event_key, raw_sealed)"
        " ON CONFLICT (partner, kind, event_key) DO NOTHING",
        [one.partner for one in arrivals],
        [one.kind for one in arrivals],
        [one.event_key for one in arrivals],
        [one.raw_sealed for one in arrivals],
        now,
    )


async def count_refused(connection: Connection, partner: str, kind: str, reason: str, day: date) -> int:
    """One more notification that was not taken, of that day; how many it makes."""
    times: int = await connection.fetchval(
        "INSERT INTO inbox_refusals AS r (partner, kind, reason, day, times) VALUES ($1, $2, $3, $4, 1)"
        " ON CONFLICT (partner, kind, reason, day) DO UPDATE SET times = r.times + 1 RETURNING times",
        partner,
        kind,
        reason,
        day,
    )
    return times


async def lease(connection: Connection, now: datetime, until: datetime, limit: int) -> list[InboxRow]:
    """Notifications that are due, the oldest first, this try counted, put off for others until `until`."""
    columns = ", ".join(f"i.{name}" for name in _NAMES)
    rows = await connection.fetch(
        "UPDATE inbox i SET next_attempt_at = $2, tries = i.tries + 1 FROM (SELECT id FROM inbox"
        " WHERE applied_at IS NULL AND next_attempt_at <= $1 ORDER BY next_attempt_at, id LIMIT $3"
        f" FOR UPDATE SKIP LOCKED) AS due WHERE i.id = due.id RETURNING {columns}",
        now,
        until,
        limit,
    )
    return sorted((into(InboxRow, row) for row in rows), key=lambda row: row.id)


async def applied(connection: Connection, number: int, result: str, now: datetime) -> None:
    """What became of it."""
    await connection.execute(
        "UPDATE inbox SET applied_at = $2, next_attempt_at = NULL, result = $3 WHERE id = $1 AND applied_at IS NULL",
        number,
        now,
        result,
    )


async def put_off(connection: Connection, number: int, until: datetime, result: str) -> None:
    """Nothing to apply it to yet; try again at `until`."""
    await connection.execute(
        "UPDATE inbox SET next_attempt_at = $2, result = $3 WHERE id = $1 AND applied_at IS NULL",
        number,
        until,
        result,
    )


async def purge(connection: Connection, before: datetime, most: int) -> int:
    """Forget notifications that were applied before then; how many."""
    done = await connection.execute(
        "DELETE FROM inbox WHERE id IN (SELECT id FROM inbox WHERE applied_at < $1 ORDER BY applied_at LIMIT $2)",
        before,
        most,
    )
    return int(done.split()[-1])


async def since(
    connection: Connection, partners: Sequence[str], received_from: datetime, after: int, limit: int
) -> list[InboxRow]:
    """Notifications of some partners from a moment on, applied or not, by id, in the caller's transaction."""
    await along_key(connection)
    rows = await connection.fetch(
        f"SELECT {', '.join(_NAMES)} FROM inbox WHERE partner = ANY($1) AND received_at >= $2 AND id > $3"
        " ORDER BY id LIMIT $4",
        list(partners),
        received_from,
        after,
        limit,
    )
    return [into(InboxRow, row) for row in rows]


async def drop(connection: Connection, ids: Sequence[int]) -> int:
    """Forget applied notifications; how many."""
    done = await connection.execute("DELETE FROM inbox WHERE id = ANY($1) AND applied_at IS NOT NULL", list(ids))
    return int(done.split()[-1])
