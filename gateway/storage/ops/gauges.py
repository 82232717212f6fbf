"""How long what waits has waited, for metrics: one statement, each number by an index or a small table."""

from __future__ import annotations

from datetime import datetime

from contracts.brake import OF_A_PERSON
from gateway.storage.base.database import Connection, by_key

Measured = list[tuple[str, dict[str, str], float]]
"""Name, labels, value."""


async def measure(connection: Connection, now: datetime) -> Measured:
    """Cases by code and partner, overdue ones, the oldest of what is unknown, unapplied or unapproved; since when a
    worker's loop fails; dead letters; refusals of people that the gateway asks about again by itself. In the caller's
    transaction.
    """
    await by_key(connection)
    rows = await connection.fetch(
        """
        SELECT 'cases_open' AS name, partner, code, count(*)::float8 AS value FROM cases WHERE closed_at IS NULL
            GROUP BY partner, code
        UNION ALL SELECT 'cases_overdue', partner, NULL, count(*) FROM cases WHERE closed_at IS NULL AND due_at < $1
            GROUP BY partner
        UNION ALL SELECT 'unknown_oldest_seconds', partner, NULL, extract(epoch FROM $1 - min(first_sent_at))
            FROM payouts WHERE state = 'unknown' GROUP BY partner
        UNION ALL SELECT 'notifications_oldest_seconds', partner, NULL, extract(epoch FROM $1 - min(received_at))
            FROM inbox WHERE applied_at IS NULL GROUP BY partner
        UNION ALL SELECT 'approval_oldest_seconds', NULL, code, extract(epoch FROM $1 - min(received_at))
            FROM (SELECT 'batch' AS code, received_at FROM batches WHERE state = 'awaiting_approval'
                  UNION ALL SELECT 'plan', received_at FROM plans WHERE state = 'awaiting_approval') AS w GROUP BY code
        UNION ALL SELECT 'webhook_dead_letters', NULL, NULL, sum(n)
            FROM (SELECT endpoint, count(*) AS n FROM webhook_deliveries WHERE dead_at IS NOT NULL GROUP BY endpoint) d
            WHERE NOT EXISTS (SELECT FROM (SELECT client_id FROM webhook_endpoints WHERE id = d.endpoint OFFSET 0) e
                JOIN clients c ON c.id = e.client_id WHERE c.disabled_at IS NOT NULL OFFSET 0) HAVING sum(n) > 0
        UNION ALL SELECT 'loop_failing_seconds', NULL, work, extract(epoch FROM clock_timestamp() - min(since))
            FROM work_fails WHERE told_at > clock_timestamp() - interval '30 seconds' GROUP BY work
        UNION ALL SELECT 'statements_out_of_time', NULL, statement, sum(times) FROM statements_out_of_time
            WHERE day >= current_date - 1 GROUP BY statement
        UNION ALL SELECT 'refusals_provisional', partner, code, count(*) FROM (
            SELECT partner, code FROM refusals WHERE next_look_at IS NOT NULL
            UNION ALL SELECT partner, own FROM incentives WHERE own_next_at IS NOT NULL AND own = ANY($2::text[])) AS r
            GROUP BY partner, code
        """,
        now,
        [code.value for code in OF_A_PERSON],
    )
    return [
        (row["name"], {k: row[k] for k in ("partner", "code") if row[k] is not None}, float(row["value"] or 0))
        for row in rows
    ]
