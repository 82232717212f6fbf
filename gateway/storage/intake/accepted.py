"""What is asked of the staged rows that are accepted (`staging`), once they are moved in."""

# ruff: noqa: S608 - only our own constants are put into SQL

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date

import msgspec

from contracts.batch import PartnerTotal
from gateway.storage.base.database import Connection
from gateway.storage.intake import rules
from gateway.storage.intake.staging import LIVE, STATEMENT_S, walk


async def leaves(connection: Connection) -> AsyncIterator[list[bytes]]:
    """The accepted rows' leaves of the content root in the order of their lines, some at a time."""
    async for rows in walk(connection, "leaves", f"SELECT r.leaf {LIVE} ORDER BY r.line"):
        yield [row[0] for row in rows]


async def partners(connection: Connection) -> list[PartnerTotal]:
    """What is accepted at each partner."""
    rows = await connection.fetch(
        f"SELECT partner, count(*) AS rows, sum(amount_rupiah)::bigint AS amount_rupiah {LIVE}"
        " GROUP BY partner ORDER BY partner",
        timeout=STATEMENT_S,
    )
    return [msgspec.convert(dict(row), PartnerTotal) for row in rows]


async def unusual_amounts(connection: Connection) -> int:
    """How many accepted rows have an amount that was never approved for their programme and purpose, where others
    were.
    """
    found = await connection.fetchval(
        f"""
        WITH amounts AS MATERIALIZED (
            SELECT programme, purpose, amount_rupiah, count(*) AS n {LIVE} GROUP BY 1, 2, 3)
        SELECT coalesce(sum(n), 0) FROM amounts a WHERE {rules.unusual("a")}
        """,
        timeout=STATEMENT_S,
    )
    return int(found)


async def over(connection: Connection, today: date) -> int:
    """How many accepted rows have a deadline that is over."""
    return int(await connection.fetchval(f"SELECT count(*) {LIVE} AND r.deadline_on < $1", today, timeout=STATEMENT_S))


async def sharing(connection: Connection) -> int:
    """How many accepted rows, those of earlier pieces included, have the account of another participant's accepted
    row.
    """
    found = await connection.fetchval(
        f"""
        SELECT coalesce(sum(n), 0) FROM (SELECT count(*) AS n FROM (
                SELECT account_index, participant_id FROM intake_accounts
                UNION ALL SELECT r.account_index, r.participant_id {LIVE}) AS accepted GROUP BY account_index
            HAVING min(participant_id COLLATE "C") <> max(participant_id COLLATE "C")) AS shared
        """,
        timeout=STATEMENT_S,
    )
    return int(found)
