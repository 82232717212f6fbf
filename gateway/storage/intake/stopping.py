"""Approved payments that are stopped: of batches, of a person, or one by one."""

# ruff: noqa: S608 - only names of our own columns are put into SQL

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import datetime

from gateway.storage.base.database import Connection
from gateway.storage.base.unconfirmed import PERHAPS_LEFT
from gateway.storage.intake.staging import STATEMENT_S


async def stop_batches(connection: Connection, batch_ids: Collection[str], now: datetime) -> dict[str, int]:
    """Cancel whatever of approved batches has not left; how many incentives of each."""
    stopped = await stop_incentives(connection, "batch_id", batch_ids, now)
    await connection.execute(
        "UPDATE batches SET state = 'stopped', decided_at = $2 WHERE id = ANY($1)", list(batch_ids), now,
        timeout=STATEMENT_S,
    )  # fmt: skip
    return {one: stopped[one] for one in batch_ids}


async def stop_incentives(
    connection: Connection, column: str, values: Collection[str] | Collection[int], now: datetime
) -> Counter[str]:
    """Cancel those incentives of batches (`batch_id`) or people (`participant`), or some (`id`), of which no payout has
    left: one that is reserved is taken away from the worker that holds it, which then loses its compare-and-set. The
    others' approval lapses: what is about to leave is held back, what may stand at the partner is withdrawn there, and
    nothing is sent once more. How many are cancelled, by batch.
    """
    assert column in ("batch_id", "participant", "id")
    # The lock on the incentives keeps new payouts from coming.
    await connection.execute(
        f"SELECT FROM incentives WHERE {column} = ANY($1) ORDER BY id FOR NO KEY UPDATE",
        list(values),
        timeout=STATEMENT_S,
    )
    await connection.execute(
        "UPDATE payouts p SET lease_until = NULL, leased_by = NULL, next_at = $2 FROM incentives i"
        f" WHERE i.{column} = ANY($1) AND i.payout = 'open' AND p.incentive = i.id AND p.state = 'reserved'",
        list(values),
        now,
        timeout=STATEMENT_S,
    )
    cancelled = await connection.fetch(
        f"WITH done AS (UPDATE incentives i SET cancelled = true, facts_at = $2 WHERE i.{column} = ANY($1)"
        " AND NOT i.cancelled"
        " AND (i.payout IS NULL OR i.payout = 'open' AND NOT EXISTS (SELECT FROM payouts p WHERE p.incentive = i.id"
        f"      AND {PERHAPS_LEFT} OFFSET 0))"
        " RETURNING i.batch_id) SELECT batch_id, count(*) AS n FROM done GROUP BY batch_id",
        list(values),
        now,
        timeout=STATEMENT_S,
    )
    await connection.execute(
        # Whatever left while this waited for its locks, or by a clock ahead of ours, had left before.
        "UPDATE incentives i SET approved = false, facts_at = $2,"
        "  lapsed_at = greatest($2, (SELECT max(p.sent_at) FROM payouts p WHERE p.incentive = i.id))"
        f" WHERE i.{column} = ANY($1) AND i.payout = 'open' AND i.approved AND NOT i.cancelled",
        list(values),
        now,
        timeout=STATEMENT_S,
    )
    return Counter({row["batch_id"]: row["n"] for row in cancelled})
