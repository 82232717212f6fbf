"""What time alone changes about incentives: deadlines that pass, blockers whose wait is over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple

from contracts.incentive import BlockerCode
from gateway.storage.base.database import Connection

UNCONFIRMED = (
    "EXISTS (SELECT FROM payouts p WHERE p.incentive = i.id AND p.state = 'rejected' AND p.confirmed_at IS NULL"
    " AND p.next_at IS NOT NULL AND p.reason IS DISTINCT FROM 'balance_limit')"
)
"""Whether a payout of incentive `i` was refused and no second look-up has said so yet: no other takes its place. A full
account is tried again by itself only after such a look-up, but at once when core says that there is room.
"""


_LIFT_DUE = f"""
UPDATE incentives i SET own = NULL, own_next_at = NULL, facts_at = $1 FROM (
    SELECT id FROM incentives i WHERE own_next_at <= $1 AND payout IS NULL AND NOT {UNCONFIRMED}
    ORDER BY own_next_at, id LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED) AS over
WHERE i.id = over.id RETURNING i.id
"""  # noqa: S608 - constants


async def pass_deadlines(connection: Connection, now: datetime, today: date, limit: int) -> int:
    """Mark incentives whose deadline is over; a payout that has left is followed to its end all the same."""
    rows = await connection.fetch(
        "UPDATE incentives i SET past_deadline = true, facts_at = $1 FROM ("
        " SELECT id FROM incentives WHERE deadline_on < $2 AND NOT past_deadline AND NOT cancelled"
        " AND (payout IS NULL OR payout = 'open') ORDER BY deadline_on, id LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED"
        ") AS over WHERE i.id = over.id RETURNING i.id",
        now,
        today,
        limit,
    )
    return len(rows)


async def lift_due(connection: Connection, now: datetime, limit: int) -> int:
    """Lift blockers that the gateway said it would lift by now; not while a refusal is to be confirmed."""
    rows = await connection.fetch(
        _LIFT_DUE,
        now,
        limit,
    )
    return len(rows)


class PaidBefore(NamedTuple):
    """An incentive whose instalment was paid under a cancelled one, and its own payout that has left, if one has."""

    incentive: int
    partner: str
    payout: int | None


async def block_paid_before(connection: Connection, now: datetime, limit: int) -> list[PaidBefore]:
    """Block incentives handed over again after their instalment's first one was cancelled, where that one turned out
    paid: they are never sent (`queue.begin`), and this says why.
    """
    rows = await connection.fetch(
        """
        WITH twice AS (
            SELECT i.id FROM incentives c JOIN incentives i USING (nik_index, programme, purpose, period)
            WHERE c.cancelled AND c.payout = 'succeeded' AND NOT i.cancelled AND i.own IS DISTINCT FROM 'contradiction'
            ORDER BY i.id LIMIT $2 FOR NO KEY UPDATE OF i SKIP LOCKED)
        UPDATE incentives i SET own = 'contradiction', own_next_at = NULL, facts_at = $1 FROM twice
        WHERE i.id = twice.id RETURNING i.id AS incentive, i.partner,
            (SELECT max(p.id) FROM payouts p WHERE p.incentive = i.id AND p.released_at IS NULL
             AND p.state NOT IN ('reserved', 'preparing', 'prepared', 'cancelled')) AS payout
        """,
        now,
        limit,
    )
    return [PaidBefore(**row) for row in rows]


async def hasten(
    connection: Connection, now: datetime, incentive_id: int, askable: Sequence[BlockerCode]
) -> dict[str, object] | None:
    """Make the next step of an incentive due now; None: there is no such incentive.

    Its payouts are locked first, as whoever applies a word to them does.
    """
    await connection.execute("SELECT FROM payouts WHERE incentive = $1 ORDER BY id FOR NO KEY UPDATE", incentive_id)
    row = await connection.fetchrow(
        "SELECT id, stage, blocker, own, payout FROM incentives WHERE id = $1 FOR NO KEY UPDATE", incentive_id
    )
    if row is None:
        return None
    hastened = False
    if row["payout"] == "open":
        hastened = await connection.fetchval(
            "UPDATE payouts SET next_at = $2 WHERE incentive = $1 AND next_at > $2"
            " AND state IN ('reserved', 'prepared', 'unknown', 'pending') RETURNING true",
            incentive_id,
            now,
        )
    elif row["payout"] is None and row["own"] in {code.value for code in askable}:
        await connection.execute("UPDATE incentives SET own_next_at = $2 WHERE id = $1", incentive_id, now)
        hastened = True
    await connection.execute("SELECT pg_notify('gateway', 'dispatch')")
    payout = await connection.fetchval(
        "SELECT id FROM payouts WHERE incentive = $1 ORDER BY id DESC LIMIT 1", incentive_id
    )
    return {
        "incentive_id": str(incentive_id),
        "stage": row["stage"],
        "blocker": row["blocker"],
        "payout_id": None if payout is None else str(payout),
        "hastened": bool(hastened),
    }
