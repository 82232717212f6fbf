"""What time alone changes about incentives: deadlines that pass, blockers whose wait is over."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import NamedTuple

from contracts.incentive import BlockerCode
from gateway.storage.base.database import Connection
from gateway.storage.base.unconfirmed import BEFORE, LOOKED_AT_AGAIN, REFUSED_LATELY, UNCONFIRMED

_LIFT_DUE = f"""
UPDATE incentives i SET own = NULL, own_next_at = NULL, facts_at = $1 FROM (
    SELECT id FROM incentives i WHERE own_next_at <= $1 AND payout IS NULL AND NOT {UNCONFIRMED}
    ORDER BY own_next_at, id LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED) AS over
WHERE i.id = over.id RETURNING i.id
"""  # noqa: S608 - constants


_BLOCK_REFUSED_BEFORE = f"""
UPDATE incentives i SET own = 'outcome_unknown', own_next_at = greatest($1, again.at), facts_at = $1 FROM (
    -- From the few that were cancelled after a payout to theirs: never through all payouts.
    SELECT i.id, max(p.next_at) AS at FROM (SELECT * FROM incentives WHERE cancelled AND payouts > 0 OFFSET 0) c
        CROSS JOIN LATERAL (SELECT * FROM payouts WHERE incentive = c.id OFFSET 0) p
        CROSS JOIN LATERAL (SELECT id FROM incentives WHERE (nik_index, programme, purpose, period)
            = (c.nik_index, c.programme, c.purpose, c.period) AND NOT cancelled AND payout IS NULL AND own IS NULL
            OFFSET 0) i
    WHERE {BEFORE} GROUP BY i.id ORDER BY i.id LIMIT $2) AS again
WHERE i.id = again.id AND i.payout IS NULL AND i.own IS NULL RETURNING i.id
"""  # noqa: S608 - constants


_LIFT = f"""
UPDATE incentives i SET own = CASE WHEN {REFUSED_LATELY} THEN own END, looks = 0, facts_at = $3,
    own_next_at = CASE WHEN {REFUSED_LATELY} THEN greatest($3, {LOOKED_AT_AGAIN}) END
WHERE participant = $1 AND payout IS NULL AND own = ANY($2::text[]) RETURNING id
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


async def lift(connection: Connection, now: datetime, participant: int, codes: Collection[BlockerCode]) -> int:
    """Lift blockers met while paying from a participant's incentives: the account or link they named was replaced.

    Where a refusal is not confirmed yet, what it refused may still be paid to the old account: the blocker is lifted
    once it is (`lift_due`).
    """
    rows = await connection.fetch(
        _LIFT,
        participant,
        [code.value for code in codes],
        now,
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
    payout = await connection.fetchval("SELECT max(id + 0) FROM payouts WHERE incentive = $1", incentive_id)
    return {
        "incentive_id": str(incentive_id),
        "stage": row["stage"],
        "blocker": row["blocker"],
        "payout_id": None if payout is None else str(payout),
        "hastened": bool(hastened),
    }


async def block_refused_before(connection: Connection, now: datetime, limit: int) -> int:
    """Say of incentives handed over again after a refusal that is not confirmed yet what they wait for, and until when
    at first; how many there were.
    """
    rows = await connection.fetch(_BLOCK_REFUSED_BEFORE, now, limit)
    return len(rows)
