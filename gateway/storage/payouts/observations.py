"""What partners said about payouts; a payout's end is a function of the set, whatever the order it came in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import asyncpg
import msgspec

from contracts.incentive import BlockerCode
from contracts.observation import Source
from contracts.payout import OutcomeKind, Refusal
from gateway.storage.base.database import Connection, as_json


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """One stored observation."""

    id: int
    payout: int
    source: Source
    attempt: int
    kind: OutcomeKind
    reason: BlockerCode | None
    technical: bool
    partner_code: str | None
    refusal: Refusal | None = None
    said_at: datetime | None = None
    """By the partner's own clock."""
    detail: str | None = None
    """The partner's own words, as `Outcome.detail`."""
    at: datetime
    """When it reached us."""


class NewObservation(msgspec.Struct, frozen=True, kw_only=True):
    """One observation to be stored; an `event_key` that the payout has already makes it a repeat."""

    payout: int
    source: Source
    attempt: int
    kind: OutcomeKind
    reason: BlockerCode | None
    technical: bool
    partner_code: str | None
    refusal: Refusal | None
    said_at: datetime | None
    detail: str | None
    event_key: str | None


async def add(
    connection: Connection, now: datetime, new: Sequence[NewObservation], payouts: Sequence[int]
) -> list[Heard]:
    """Store observations, and return everything heard about `payouts` so far, these included, oldest first.

    Only for payouts that the caller has locked: two writers would each miss what the other one heard.
    """
    rows = await connection.fetch(
        """
        WITH fresh AS (
            INSERT INTO observations (payout, source, attempt, kind, reason, technical, partner_code, refusal, said_at,
                                      detail, event_key, at)
            SELECT payout, source, attempt, kind, reason, technical, partner_code, refusal, said_at, detail, event_key,
                   $2
            FROM json_to_recordset($1::text::json)
                 AS n (payout bigint, source text, attempt int, kind text, reason text, technical boolean,
                       partner_code text, refusal text, said_at timestamptz, detail text,
                       event_key text)
            ON CONFLICT (payout, event_key) WHERE event_key IS NOT NULL DO NOTHING RETURNING *)
        SELECT * FROM observations WHERE payout = ANY($3::bigint[])
        UNION ALL SELECT * FROM fresh ORDER BY id
        """,
        as_json(new),
        now,
        list(payouts),
    )
    return [_heard(row) for row in rows]


async def heard(connection: Connection, payouts: Sequence[int]) -> list[Heard]:
    """Everything heard about some payouts, oldest first."""
    rows = await connection.fetch(
        "SELECT * FROM observations WHERE payout = ANY($1::bigint[]) ORDER BY id", list(payouts)
    )
    return [_heard(row) for row in rows]


def _heard(row: asyncpg.Record) -> Heard:
    return Heard(
        id=row["id"],
        payout=row["payout"],
        source=Source(row["source"]),
        attempt=row["attempt"],
        kind=OutcomeKind(row["kind"]),
        reason=BlockerCode(row["reason"]) if row["reason"] else None,
        technical=row["technical"],
        partner_code=row["partner_code"],
        refusal=Refusal(row["refusal"]) if row["refusal"] else None,
        said_at=row["said_at"],
        detail=row["detail"],
        at=row["at"],
    )
