"""What partners' documents say about payouts, brought by one person and confirmed by another."""

from __future__ import annotations

from datetime import datetime

import msgspec

from contracts.payout import IN_DOUBT
from gateway.storage.base.database import Connection


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """One proposal as stored."""

    id: int
    payout: int
    verdict: str
    """`paid` or `refused`."""
    reason: str | None
    document: str
    why: str
    attempt: int | None
    """The payout's last one when it was brought; None: brought before that was noted."""
    proposed_by: str
    proposed_at: datetime
    confirmed_by: str | None
    confirmed_at: datetime | None
    dropped_at: datetime | None

    @property
    def open(self) -> bool:
        """Whether it waits for a second person."""
        return self.confirmed_at is None and self.dropped_at is None


async def propose(
    connection: Connection,
    now: datetime,
    payout: int,
    *,
    attempt: int,
    verdict: str,
    reason: str | None,
    document: str,
    why: str,
    by: str,
) -> Settlement:
    """Store a proposal; one that was open for this payout is dropped."""
    await connection.execute(
        "UPDATE settlements SET dropped_at = $2 WHERE payout = $1 AND confirmed_at IS NULL AND dropped_at IS NULL",
        payout,
        now,
    )
    row = await connection.fetchrow(
        "INSERT INTO settlements (payout, verdict, reason, document, why, proposed_by, proposed_at, attempt)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING *",
        payout,
        verdict,
        reason,
        document,
        why,
        by,
        now,
        attempt,
    )
    return msgspec.convert(dict(row or {}), Settlement)


async def lock(connection: Connection, settlement: int) -> Settlement | None:
    """Hold one proposal until the end of the transaction."""
    row = await connection.fetchrow("SELECT * FROM settlements WHERE id = $1 FOR UPDATE", settlement)
    return None if row is None else msgspec.convert(dict(row), Settlement)


async def confirm(connection: Connection, now: datetime, settlement: int, by: str) -> None:
    """Note who confirmed it; the database refuses the one who proposed it."""
    await connection.execute(
        "UPDATE settlements SET confirmed_by = $2, confirmed_at = $3 WHERE id = $1", settlement, by, now
    )


async def of(connection: Connection, payout: int) -> list[Settlement]:
    """Everything proposed for one payout, oldest first."""
    rows = await connection.fetch("SELECT * FROM settlements WHERE payout = $1 ORDER BY id", payout)
    return [msgspec.convert(dict(row), Settlement) for row in rows]


_WAITING = f"""
    SELECT s.* FROM settlements s
    CROSS JOIN LATERAL (SELECT * FROM payouts WHERE id = s.payout OFFSET 0) p
    WHERE s.confirmed_at IS NULL AND s.dropped_at IS NULL
      AND (p.state IN ({", ".join(sorted(f"'{state.value}'" for state in IN_DOUBT))}) OR p.state = 'rejected'
        AND (p.released_at IS NULL OR p.confirmed_at IS NULL AND p.reason IS NOT NULL))
"""  # noqa: S608 - our own words
"""Proposals that a second person may confirm: once the partner itself has spoken there is nothing left to confirm."""


async def open_ones(connection: Connection, limit: int = 200) -> list[Settlement]:
    """Proposals that wait for a second person, oldest first."""
    rows = await connection.fetch(f"{_WAITING} ORDER BY s.id LIMIT $1", limit)
    return [msgspec.convert(dict(row), Settlement) for row in rows]


async def first_open(connection: Connection) -> datetime | None:
    """Since when the oldest of them waits."""
    found: datetime | None = await connection.fetchval(
        f"SELECT min(proposed_at) FROM ({_WAITING}) AS s"  # noqa: S608 - a constant
    )
    return found
