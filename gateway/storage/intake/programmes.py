"""Programmes and their purposes: the only spellings under which incentives are taken."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from gateway.storage.base.database import Connection


async def get_all(connection: Connection) -> dict[str, frozenset[str]]:
    """Each programme's purposes."""
    rows = await connection.fetch(
        "SELECT p.programme, coalesce(array_agg(u.purpose) FILTER (WHERE u.purpose IS NOT NULL), '{}') AS purposes"
        " FROM programmes p LEFT JOIN purposes u USING (programme) GROUP BY p.programme ORDER BY p.programme"
    )
    return {row["programme"]: frozenset(row["purposes"]) for row in rows}


async def hold(connection: Connection) -> None:
    """Nobody else registers until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('programmes'), 0)")


async def register(
    connection: Connection, programme: str, purposes: Sequence[str], actor: str, now: datetime
) -> list[str]:
    """Store a programme and its purposes; the purposes that are new."""
    await connection.execute(
        "INSERT INTO programmes VALUES ($1, $2, $3) ON CONFLICT (programme) DO NOTHING", programme, actor, now
    )
    rows = await connection.fetch(
        "INSERT INTO purposes SELECT $1, purpose, $3, $4 FROM unnest($2::text[]) AS purpose"
        " ON CONFLICT (programme, purpose) DO NOTHING RETURNING purpose",
        programme,
        sorted(set(purposes)),
        actor,
        now,
    )
    return [row["purpose"] for row in rows]
