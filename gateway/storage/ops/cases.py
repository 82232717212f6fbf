"""Operator cases: what a person must look at, with the evidence gathered."""

# ruff: noqa: S608 - only our own constants are put into SQL

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from contracts.incentive import BlockerCode
from gateway.storage.base.database import Connection
from gateway.storage.base.filters import where
from gateway.storage.base.rows import into

_FILTERS = {
    "incentive": "incentive = {}",
    "payout": "payout = {}",
    "partner": "partner = {}",
    "code": "code = {}",
    "organisation": "EXISTS (SELECT FROM incentives i WHERE i.organisation = {} AND i.id = coalesce(cases.incentive,"
    " (SELECT p.incentive FROM payouts p WHERE p.id = cases.payout)) OFFSET 0)",
}

DUE_AFTER = timedelta(days=1)
"""By when an operator should have decided."""
SAID = '; it said: "'
"""Between what a case is about and the partner's latest words, which may be others each time."""


class NewCase(msgspec.Struct, frozen=True, kw_only=True):
    """A case about to be opened; `detail` has no personal data."""

    code: BlockerCode
    partner: str
    detail: str
    payout: int | None = None
    incentive: int | None = None


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A case as stored."""

    id: int
    code: str
    partner: str
    payout: int | None
    incentive: int | None
    detail: str
    opened_at: datetime
    due_at: datetime
    closed_at: datetime | None
    closed_by: str | None


_COLUMNS = ", ".join(Case.__struct_fields__)


async def open_cases(connection: Connection, now: datetime, cases: Sequence[NewCase]) -> int:
    """Open cases, at most one open per payout and code (per text where there is no payout); how many were new. What
    more contradicts a payout is told in the case that is open: whoever closes that one has read it.
    """
    opened = 0
    for case in cases:
        fresh = await connection.fetchval(
            "INSERT INTO cases AS c (id, code, partner, payout, incentive, detail, opened_at, due_at)"
            " SELECT new_id($1), $2, $3, $4, $5, $6, $1, $7"
            " WHERE NOT EXISTS (SELECT 1 FROM cases WHERE payout = $4 AND code = $2 AND closed_at IS NULL"
            " AND ($2 <> $8 OR strpos(detail, $9) > 0))"
            " AND ($4::bigint IS NOT NULL OR NOT EXISTS (SELECT 1 FROM cases WHERE payout IS NULL"
            " AND closed_at IS NULL AND code = $2 AND partner = $3 AND detail = $6))"
            # Of one that somebody is closing, this waits for: closed, it is no conflict any more.
            " ON CONFLICT (payout, code) WHERE closed_at IS NULL DO UPDATE SET detail = c.detail || '; also: ' ||"
            " excluded.detail WHERE c.code = $8 AND strpos(c.detail, $9) = 0 RETURNING c.xmax = 0",
            now,
            case.code.value,
            case.partner,
            case.payout,
            case.incentive,
            case.detail,
            now + DUE_AFTER,
            BlockerCode.CONTRADICTION.value,
            case.detail.partition(SAID)[0],
        )
        opened += bool(fresh)
    return opened


async def close_cases(
    connection: Connection, now: datetime, answered: Sequence[tuple[int, BlockerCode]], *, by: str
) -> None:
    """Close the cases (payout, code) that the payouts' own progress has answered."""
    await connection.execute(
        "UPDATE cases c SET closed_at = $1, closed_by = $2 FROM unnest($3::bigint[], $4::text[]) AS a (payout, code)"
        " WHERE c.payout = a.payout AND c.code = a.code AND c.closed_at IS NULL",
        now,
        by,
        [payout for payout, _ in answered],
        [code.value for _, code in answered],
    )


async def close_by_text(connection: Connection, now: datetime, case: NewCase, *, by: str) -> None:
    """Close a case that has no payout, known by its code, partner and text."""
    await connection.execute(
        "UPDATE cases SET closed_at = $1, closed_by = $2 WHERE payout IS NULL AND closed_at IS NULL AND code = $3"
        " AND partner = $4 AND detail = $5",
        now,
        by,
        case.code.value,
        case.partner,
        case.detail,
    )


async def close_about(connection: Connection, now: datetime, partner: str, beginning: str, *, by: str) -> None:
    """Close a partner's cases about no payout whose evidence begins like this."""
    await connection.execute(
        "UPDATE cases SET closed_at = $1, closed_by = $2 WHERE partner = $3 AND payout IS NULL AND closed_at IS NULL"
        " AND starts_with(detail, $4)",
        now,
        by,
        partner,
        beginning,
    )


class StillAbout(msgspec.Struct, frozen=True, kw_only=True):
    """What in the gateway a case may still be about."""

    payout_state: str | None
    stray: str | None
    """Our reference of a credit that belongs to no payout and is not settled."""
    blocked: bool
    """Its incentive is neither paid nor cancelled, and blocked by a contradiction."""


async def lock(connection: Connection, case_id: int) -> Case | None:
    """One case, which nobody else closes before the end of the transaction."""
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM cases WHERE id = $1 FOR UPDATE", case_id)
    return None if row is None else into(Case, row)


async def left(connection: Connection, case: Case) -> StillAbout:
    """What it may still be about."""
    row = await connection.fetchrow(
        "SELECT (SELECT state FROM payouts WHERE id = $1) AS payout_state,"
        " (SELECT min(reference) FROM strays WHERE case_id = $2 AND settled_at IS NULL) AS stray,"
        " EXISTS (SELECT FROM incentives WHERE id = $3 AND payout IS NULL AND NOT cancelled AND own = $4) AS blocked",
        case.payout,
        case.id,
        case.incentive,
        BlockerCode.CONTRADICTION.value,
    )
    assert row is not None, "a row of sub-selects"
    return into(StillAbout, row)


async def close(connection: Connection, now: datetime, case: Case, *, by: str) -> Case:
    """Close a locked case. A paid incentive whose last contradiction this was is blocked by none any more."""
    row = await connection.fetchrow(
        f"UPDATE cases SET closed_at = $2, closed_by = $3 WHERE id = $1 RETURNING {_COLUMNS}", case.id, now, by
    )
    assert row is not None, "it is locked"
    await connection.execute(
        "UPDATE incentives SET own = NULL, own_next_at = NULL, facts_at = $2 WHERE id = $1 AND payout = 'succeeded'"
        " AND own = $3 AND NOT EXISTS (SELECT FROM cases WHERE incentive = $1 AND code = $3 AND closed_at IS NULL)",
        case.incentive,
        now,
        BlockerCode.CONTRADICTION.value,
    )
    return into(Case, row)


async def count_open(connection: Connection, partner: str, code: BlockerCode) -> int:
    """How many cases of one code are open at a partner."""
    text = "SELECT count(*) FROM cases WHERE partner = $1 AND code = $2 AND closed_at IS NULL"
    return int(await connection.fetchval(text, partner, code.value))


async def open_for(connection: Connection, payout: int) -> list[Case]:
    """The open cases of one payout."""
    rows = await connection.fetch("SELECT * FROM cases WHERE payout = $1 AND closed_at IS NULL ORDER BY id", payout)
    return [into(Case, row) for row in rows]


async def find(
    connection: Connection, wanted: Mapping[str, object], *, is_open: bool | None, after: int, limit: int
) -> list[Case]:
    """The next cases in order of id: open ones, closed ones, or (None) both."""
    values: list[object] = [after, limit]
    conditions = ["id > $1", *where(_FILTERS, wanted, values)]
    if is_open is not None:
        conditions.append("closed_at IS NULL" if is_open else "closed_at IS NOT NULL")
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM cases WHERE {' AND '.join(conditions)} ORDER BY id LIMIT $2",
        *values,
    )
    return [into(Case, row) for row in rows]
