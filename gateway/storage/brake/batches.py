"""Batches most of whose people are refused while others at the same partner are not."""

# ruff: noqa: S608 - only our own constants are put into SQL

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import msgspec

from contracts.batch import BatchDoubt
from contracts.brake import OF_A_PERSON, RING_LIFE_S
from contracts.hold import HoldStage
from contracts.incentive import BlockerCode
from gateway.storage.base.database import Connection

_NEWEST = 1_000
"""So many of the last refusals, and of the last good answers, are looked at."""
_CODES = sorted(code.value for code in OF_A_PERSON)
_PROOF, _PAYOUT = HoldStage.PROOF.value, HoldStage.PAYOUT.value


def latest_of(participant: str) -> str:
    """SQL: the batch that named a participant last, whose columns their NIK and account are taken from."""
    return f"(SELECT n.batch_id FROM incentives n WHERE n.participant = {participant} ORDER BY n.id + 0 DESC LIMIT 1)"


class Suspect(NamedTuple):
    """A batch of which people were refused lately at one partner."""

    batch: str
    partner: str
    paying: bool
    """Refused when they were to be paid; else at linking or at the NIK check."""
    since: datetime
    refused: int
    """Of its people so many, of whom nothing good is known now; some may be asked again just now."""
    others: int
    """People of no such batch who were refused there since then."""


_SUSPECTS = f"""
WITH latest AS MATERIALIZED (
    SELECT r.partner, r.stage = '{_PAYOUT}' AS paying, r.participant, r.said_at, {latest_of("r.participant")} AS batch
    FROM (SELECT * FROM refusals WHERE said_at > $1::timestamptz - make_interval(secs => $2) AND said_at <= $1
          ORDER BY said_at DESC LIMIT {_NEWEST}) r WHERE r.stage <> '{_PROOF}'),
crowds AS (
    SELECT batch, partner, paying, min(said_at) AS since, count(DISTINCT participant) FILTER (WHERE paying
        OR NOT (SELECT p.verified FROM participants p WHERE p.id = participant)) AS refused
    FROM latest GROUP BY 1, 2, 3 HAVING count(DISTINCT participant) >= $3)
SELECT s.batch, s.partner, s.paying, s.since, s.refused,
    (SELECT count(DISTINCT l.participant) FROM latest l WHERE l.partner = s.partner AND l.paying = s.paying
        AND l.batch IS DISTINCT FROM s.batch AND l.said_at >= s.since) AS others
FROM crowds s JOIN batches b ON b.id = s.batch
WHERE b.doubted_at IS NULL AND b.state = 'approved' AND NOT b.single ORDER BY 2, 3, 1
"""


async def suspects(connection: Connection, now: datetime, least: int) -> list[Suspect]:
    """Approved batches that are in no doubt, and of which at least so many people were refused lately."""
    return [Suspect(*row) for row in await connection.fetch(_SUSPECTS, now, RING_LIFE_S, least)]


async def counted(connection: Connection, batch: str, partner: str, *, paying: bool) -> BatchDoubt:
    """What a batch's people are told at a partner, as it stands now; each person once."""
    rows = await connection.fetch(
        "SELECT code, count(DISTINCT participant) AS people FROM (SELECT participant,"
        " CASE WHEN payout = 'succeeded' THEN '' WHEN blocker = ANY($3::text[]) THEN blocker"
        " WHEN verified AND NOT $4 AND NOT cancelled THEN '' END AS code"
        " FROM incentives WHERE batch_id = $1 AND partner = $2) i WHERE code IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1",
        batch,
        partner,
        _CODES,
        paying,
    )
    codes = {row["code"]: row["people"] for row in rows}
    good = codes.pop("", 0)
    refused = sum(codes.values())
    return BatchDoubt(partner=partner, paying=paying, refused=refused, answered=refused + good, codes=codes)


async def others_good(connection: Connection, suspect: Suspect) -> int:
    """People of other batches of whom the partner said something good since then, among the last ones."""
    if suspect.paying:
        text = (
            "SELECT count(DISTINCT participant) FROM (SELECT * FROM payouts"
            " WHERE ended_at IS NOT NULL AND (ended_at AT TIME ZONE 'Asia/Jakarta')::date"
            " >= ($2::timestamptz AT TIME ZONE 'Asia/Jakarta')::date"
            f" ORDER BY (ended_at AT TIME ZONE 'Asia/Jakarta')::date DESC, id DESC LIMIT {_NEWEST}) p"
            " WHERE partner = $1 AND state = 'succeeded' AND ended_at >= $2"
            " AND (SELECT i.batch_id FROM incentives i WHERE i.id = p.incentive) <> $3"
        )
    else:
        text = (
            "SELECT count(*) FROM (SELECT id FROM participants WHERE verified AND verified_until > $2 AND partner = $1"
            f" ORDER BY verified_until DESC LIMIT {_NEWEST}) p"
            " WHERE EXISTS (SELECT FROM verifications v WHERE v.participant = p.id"
            " AND v.verdict = 'match' AND v.decided_at >= $2 OFFSET 0)"
            f" AND {latest_of('p.id')} IS DISTINCT FROM $3"
        )
    return int(await connection.fetchval(text, suspect.partner, suspect.since, suspect.batch))


async def doubt(connection: Connection, now: datetime, batch: str, found: BatchDoubt) -> int | None:
    """Put a batch in doubt: its people's refusals are weighed against the partner no more. One of the incentives that
    are refused, by which its organisation is known; None where it is in doubt already.
    """
    if not await connection.fetchval(
        "UPDATE batches SET doubted_at = $2, counted_at = $2, doubt = $3 WHERE id = $1 AND doubted_at IS NULL"
        " RETURNING true",
        batch,
        now,
        _json(found),
    ):
        return None
    await connection.execute(
        "UPDATE refusals r SET weighed = false WHERE partner = $1 AND weighed"
        " AND said_at > $3::timestamptz - make_interval(secs => $4)"
        f" AND {latest_of('r.participant')} = $2",
        found.partner,
        batch,
        now,
        RING_LIFE_S,
    )
    text = "SELECT min(id) FROM incentives WHERE batch_id = $1 AND partner = $2 AND blocker = ANY($3::text[])"
    return int(await connection.fetchval(text, batch, found.partner, sorted(found.codes)))


async def take_doubted(connection: Connection, now: datetime, before: datetime) -> list[tuple[str, bool, BatchDoubt]]:
    """Batches in doubt that nobody has counted since `before`, for the caller and no other worker to count now; whether
    each is still to be paid, and what was counted last.
    """
    rows = await connection.fetch(
        "UPDATE batches b SET counted_at = $1 FROM (SELECT id FROM batches WHERE doubted_at IS NOT NULL"
        " AND coalesce(counted_at, doubted_at) <= $2 ORDER BY doubted_at, id FOR NO KEY UPDATE SKIP LOCKED) w"
        " WHERE b.id = w.id RETURNING b.id, b.state = 'approved' AS on, b.doubt, b.doubted_at",
        now,
        before,
    )
    rows.sort(key=lambda row: (row["doubted_at"], row["id"]))
    return [(row["id"], row["on"], msgspec.json.decode(row["doubt"], type=BatchDoubt)) for row in rows]


async def recounted(connection: Connection, batch: str, found: BatchDoubt | None) -> None:
    """Keep what was counted now of a batch in doubt; None: it is in doubt no more."""
    await connection.execute(
        "UPDATE batches SET doubt = $2, doubted_at = CASE WHEN $2::text IS NOT NULL THEN doubted_at END"
        " WHERE id = $1 AND doubted_at IS NOT NULL AND doubt IS DISTINCT FROM $2",
        batch,
        None if found is None else _json(found),
    )


async def of_run(connection: Connection, now: datetime, partner: str, stage: HoldStage) -> str | None:
    """The one batch of all whose refusals weigh at a stage; None: they are of several."""
    row = await connection.fetchrow(
        f"SELECT min(batch) AS batch, max(batch) AS last FROM (SELECT {latest_of('r.participant')} AS batch"
        " FROM refusals r WHERE partner = $1 AND stage = $2 AND weighed"
        f" AND said_at > $3::timestamptz - make_interval(secs => $4) ORDER BY r.id DESC LIMIT {_NEWEST}) b",
        partner,
        stage.value,
        now,
        RING_LIFE_S,
    )
    assert row is not None
    return row["batch"] if row["batch"] == row["last"] else None


def main_code(found: BatchDoubt) -> BlockerCode:
    """What most of its people are refused for."""
    return BlockerCode(max(found.codes, key=lambda code: (found.codes[code], code)))


def _json(found: BatchDoubt) -> str:
    return msgspec.json.encode(found).decode()
