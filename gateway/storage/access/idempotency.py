"""Requests with an `Idempotency-Key`: which are running, and how the finished ones were answered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from gateway.storage.base.database import Connection

KEPT_S = 7 * 86_400.0
"""How long a key is remembered."""
RUNNING_S = 120.0
"""A request that has not been answered after this died with its process; the same request may take its place."""


class UnderKey(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored under a key. `mine`: this request goes on; else `status` None means another one is running."""

    mine: bool
    fingerprint: bytes
    status: int | None
    answer: bytes | None


async def claim(connection: Connection, client_id: str, key: str, fingerprint: bytes, now: datetime) -> UnderKey:
    """Take the key for this request, or say what holds it."""
    taken = await connection.fetchval(
        "INSERT INTO idempotency AS i (client_id, key, fingerprint, created_at) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (client_id, key) DO UPDATE SET created_at = excluded.created_at"
        " WHERE i.status IS NULL AND i.fingerprint = excluded.fingerprint AND i.created_at < $5 RETURNING true",
        client_id,
        key,
        fingerprint,
        now,
        now - timedelta(seconds=RUNNING_S),
    )
    if taken:
        return UnderKey(mine=True, fingerprint=fingerprint, status=None, answer=None)
    found = await find(connection, client_id, key)
    # Freed between the two statements: the caller sees it as running and comes again.
    return found or UnderKey(mine=False, fingerprint=fingerprint, status=None, answer=None)


async def find(connection: Connection, client_id: str, key: str) -> UnderKey | None:
    """What is stored under a key, if anything."""
    row = await connection.fetchrow(
        "SELECT false AS mine, fingerprint, status, answer FROM idempotency WHERE client_id = $1 AND key = $2",
        client_id,
        key,
    )
    return None if row is None else msgspec.convert(dict(row), UnderKey)


async def keep(
    connection: Connection, client_id: str, key: str, fingerprint: bytes, status: int, answer: bytes, now: datetime
) -> bool:
    """Store an answer in the transaction of what it answers for. False: another request has answered under the key
    (this waits for one that is about to).
    """
    kept = await connection.fetchval(
        "INSERT INTO idempotency AS i (client_id, key, fingerprint, status, answer, created_at)"
        " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (client_id, key) DO UPDATE"
        " SET status = excluded.status, answer = excluded.answer"
        " WHERE i.status IS NULL AND i.fingerprint = excluded.fingerprint RETURNING true",
        client_id,
        key,
        fingerprint,
        status,
        answer,
        now,
    )
    return bool(kept)


async def keep_all(
    connection: Connection, answers: Sequence[tuple[str, str, bytes, bytes]], status: int, now: datetime
) -> None:
    """The same for several answers, by client, key, fingerprint and answer. Raises `asyncpg.UniqueViolationError` where
    something is stored under one of the keys, or has just been.
    """
    await connection.execute(
        "INSERT INTO idempotency (client_id, key, fingerprint, status, answer, created_at)"
        " SELECT c, k, f, $5, a, $6 FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[]) AS t (c, k, f, a)"
        " ORDER BY c, k",
        *[[answer[at] for answer in answers] for at in range(4)],
        status,
        now,
    )


async def free(connection: Connection, client_id: str, key: str) -> None:
    """The request was refused and changed nothing: the key is free again."""
    await connection.execute(
        "DELETE FROM idempotency WHERE client_id = $1 AND key = $2 AND status IS NULL", client_id, key
    )


async def purge(connection: Connection, now: datetime, most: int) -> int:
    """Forget old keys, so many at most; how many there were."""
    done = await connection.execute(
        "DELETE FROM idempotency WHERE (client_id, key) IN ("
        " SELECT client_id, key FROM idempotency WHERE created_at < $1 ORDER BY created_at LIMIT $2)",
        now - timedelta(seconds=KEPT_S),
        most,
    )
    return int(done.split()[-1])
