"""People who sign in at `/ops`, and their sessions; a session's token is stored as SHA-256 only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from gateway.storage.base.database import Connection

_PURGE = 100
"""Ended sessions removed with each new one."""


class OperatorRow(msgspec.Struct, frozen=True, kw_only=True):
    """One person's account."""

    client_id: str
    password_hash: str
    totp_sealed: bytes
    totp_step: int
    roles: tuple[str, ...]
    failures: int
    locked_until: datetime | None
    created_at: datetime


class SessionRow(msgspec.Struct, frozen=True, kw_only=True):
    """Who a session belongs to, as far as it is still good."""

    client_id: str
    roles: frozenset[str]
    seen_at: datetime
    expires_at: datetime


async def insert(
    connection: Connection, now: datetime, client_id: str, password_hash: str, totp_sealed: bytes, roles: Sequence[str]
) -> None:
    """Store an account; its client was stored before, in the same transaction."""
    await connection.execute(
        "INSERT INTO operators (client_id, password_hash, totp_sealed, roles, created_at) VALUES ($1, $2, $3, $4, $5)",
        client_id,
        password_hash,
        totp_sealed,
        roles,
        now,
    )


async def lock(connection: Connection, client_id: str) -> OperatorRow | None:
    """An enabled person's account, held until the end of the transaction: two tries at once are two tries."""
    row = await connection.fetchrow(
        "SELECT o.* FROM operators o JOIN clients c ON c.id = o.client_id"
        " WHERE o.client_id = $1 AND c.disabled_at IS NULL FOR UPDATE OF o",
        client_id,
    )
    return None if row is None else msgspec.convert(dict(row), OperatorRow)


async def get_all(connection: Connection) -> list[tuple[OperatorRow, datetime | None]]:
    """Every account, oldest first, with when it was disabled."""
    rows = await connection.fetch(
        "SELECT o.*, c.disabled_at FROM operators o JOIN clients c ON c.id = o.client_id ORDER BY o.created_at"
    )
    found = []
    for row in rows:
        values = dict(row)
        disabled_at = values.pop("disabled_at")
        found.append((msgspec.convert(values, OperatorRow), disabled_at))
    return found


async def failed(connection: Connection, client_id: str, failures: int, locked_until: datetime | None) -> None:
    """A wrong password or code."""
    await connection.execute(
        "UPDATE operators SET failures = $2, locked_until = $3 WHERE client_id = $1", client_id, failures, locked_until
    )


async def passed(connection: Connection, client_id: str, step: int) -> None:
    """A right password with the code of this time step."""
    await connection.execute(
        "UPDATE operators SET failures = 0, locked_until = NULL, totp_step = $2 WHERE client_id = $1", client_id, step
    )


async def set_password(connection: Connection, client_id: str, password_hash: str) -> None:
    """Another password."""
    await connection.execute("UPDATE operators SET password_hash = $2 WHERE client_id = $1", client_id, password_hash)


async def open_session(
    connection: Connection, token_hash: bytes, client_id: str, now: datetime, expires_at: datetime
) -> None:
    """Store a session, and drop some that have ended."""
    await connection.execute(
        "WITH gone AS (DELETE FROM operator_sessions WHERE token_hash IN ("
        "  SELECT token_hash FROM operator_sessions WHERE expires_at < $3 LIMIT $5))"
        " INSERT INTO operator_sessions (token_hash, client_id, created_at, seen_at, expires_at)"
        " VALUES ($1, $2, $3, $3, $4)",
        token_hash,
        client_id,
        now,
        expires_at,
        _PURGE,
    )


async def session(connection: Connection, token_hash: bytes) -> SessionRow | None:
    """Whose session it is; None for an unknown one or a disabled person's. The caller checks the times."""
    row = await connection.fetchrow(
        "SELECT s.client_id, o.roles, s.seen_at, s.expires_at FROM operator_sessions s"
        " JOIN operators o ON o.client_id = s.client_id JOIN clients c ON c.id = s.client_id"
        " WHERE s.token_hash = $1 AND c.disabled_at IS NULL",
        token_hash,
    )
    return None if row is None else msgspec.convert(dict(row), SessionRow)


async def seen(connection: Connection, token_hash: bytes, now: datetime) -> None:
    """The session was used."""
    await connection.execute("UPDATE operator_sessions SET seen_at = $2 WHERE token_hash = $1", token_hash, now)


async def close_session(connection: Connection, token_hash: bytes) -> None:
    """Signed out."""
    await connection.execute("DELETE FROM operator_sessions WHERE token_hash = $1", token_hash)


async def close_sessions(connection: Connection, client_id: str) -> None:
    """Signed out everywhere."""
    await connection.execute("DELETE FROM operator_sessions WHERE client_id = $1", client_id)
