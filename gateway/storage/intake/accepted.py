"""What is asked of the staged rows that are accepted (`staging`), once they are moved in."""

# ruff: noqa: S608 - only our own constants are put into SQL

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date

import msgspec

from gateway.storage.base.database import Connection
from gateway.storage.base.walking import walk
from gateway.storage.intake import rules
from gateway.storage.intake.staging import LIVE, STATEMENT_S

_LEAF_BYTES = 32
_LINES = 20_000
"""Whose leaves come as one value."""


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """What is accepted at one partner."""

    partner: str
    rows: int
    amount_rupiah: int
    over: int
    """Rows whose deadline is over."""
    unusual: int
    """Rows with an amount that was never approved for their programme and purpose, where others were."""


async def leaves(connection: Connection) -> AsyncIterator[list[bytes]]:
    """The accepted rows' leaves of the content root in the order of their lines, some at a time."""
    query = (
        f"SELECT string_agg(r.leaf, ''::bytea ORDER BY r.line) {LIVE}"
        f" GROUP BY r.line / {_LINES} ORDER BY r.line / {_LINES}"
    )
    async for rows in walk(connection, "leaves", query, timeout_s=STATEMENT_S, at_a_time=1):
        joined = rows[0][0]
        yield [joined[at : at + _LEAF_BYTES] for at in range(0, len(joined), _LEAF_BYTES)]


async def sums(connection: Connection, today: date) -> list[Sums]:
    """By partner."""
    rows = await connection.fetch(
        f"""
        WITH amounts AS MATERIALIZED (SELECT partner, programme, purpose, amount_rupiah, count(*) AS n,
            count(*) FILTER (WHERE deadline_on < $1) AS over {LIVE} GROUP BY 1, 2, 3, 4)
        SELECT partner, sum(n)::bigint AS rows, sum(n * amount_rupiah)::bigint AS amount_rupiah,
            sum(over)::bigint AS over, sum(CASE WHEN {rules.unusual("a")} THEN n ELSE 0 END)::bigint AS unusual
        FROM amounts a GROUP BY partner ORDER BY partner
        """,
        today,
        timeout=STATEMENT_S,
    )
    return [msgspec.convert(dict(row), Sums) for row in rows]


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


async def of_stopped(connection: Connection) -> int:
    """How many accepted rows are of people whose payments were stopped, with nothing approved since."""
    found = await connection.fetchval(
        f"SELECT count(*) {LIVE} AND {rules.of_stopped('r')}",
        timeout=STATEMENT_S,
    )
    return int(found)
