"""What stands still, as the samples of the backlog show it, and what workers tell that they cannot take up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from gateway.storage.base.database import Connection

FORGOTTEN = timedelta(hours=1)
"""What a worker told so long ago is kept no longer: it is gone."""


class Fail(msgspec.Struct, frozen=True, kw_only=True):
    """Work that a worker cannot take up."""

    work: str
    error: str
    since: datetime


class Unmoved(msgspec.Struct, frozen=True, kw_only=True):
    """Work that was due in the newest sample, and since when it is as it is now."""

    partner: str
    stage: str
    """`verification` or `payout`."""
    since: datetime


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """Of work at one partner: whether any is under way, and the next time that anything is tried."""

    under_way: bool
    next_at: datetime | None


async def tell(connection: Connection, now: datetime, worker: str, fails: Sequence[Fail]) -> None:
    """Store what a worker cannot take up, in the place of what it told before. When is told by the store's clock: the
    worker's own, `now`, may be what is wrong.
    """
    await connection.execute(
        "DELETE FROM work_fails WHERE worker = $1 AND NOT work = ANY($2::text[])"
        " OR told_at NOT BETWEEN clock_timestamp() - $3::interval AND clock_timestamp()",
        worker,
        [one.work for one in fails],
        FORGOTTEN,
    )
    await connection.execute(
        "INSERT INTO work_fails (worker, work, error, since, told_at)"
        " SELECT $1, w, e, clock_timestamp() - lasted, clock_timestamp()"
        " FROM unnest($2::text[], $3::text[], $4::interval[]) AS t (w, e, lasted)"
        " ON CONFLICT (worker, work) DO UPDATE SET (error, since, told_at)"
        " = (excluded.error, excluded.since, excluded.told_at)",
        worker,
        [one.work for one in fails],
        [one.error for one in fails],
        [now - one.since for one in fails],
    )


async def fails(connection: Connection, lately: timedelta) -> list[Fail]:
    """What workers told lately, by the store's clock, that they cannot take up, oldest first."""
    rows = await connection.fetch(
        "SELECT work, error, since FROM work_fails WHERE told_at > clock_timestamp() - $1::interval"
        " ORDER BY since, work",
        lately,
    )
    return [msgspec.convert(dict(row), Fail) for row in rows]


async def newest(connection: Connection) -> datetime | None:
    """When a worker last sampled the backlog; None: never."""
    found: datetime | None = await connection.fetchval("SELECT max(at) FROM backlog_samples")
    return found


async def unmoved(connection: Connection) -> list[Unmoved]:
    """What was due in the newest sample, since the first sample that says the same of it."""
    rows = await connection.fetch(
        """
        SELECT n.partner, n.stage, coalesce(
            (SELECT min(s.at) FROM backlog_samples s WHERE s.partner = n.partner AND s.stage = n.stage AND s.at > (
                SELECT d.at FROM backlog_samples d WHERE d.partner = n.partner AND d.stage = n.stage
                    AND (d.due, d.ended) IS DISTINCT FROM (n.due, n.ended) ORDER BY d.at DESC LIMIT 1)),
            (SELECT min(s.at) FROM backlog_samples s WHERE s.partner = n.partner AND s.stage = n.stage)) AS since
        FROM backlog_samples n WHERE n.at = (SELECT max(at) FROM backlog_samples) AND n.due > 0
        ORDER BY n.partner, n.stage DESC
        """
    )
    return [msgspec.convert(dict(row), Unmoved) for row in rows]


async def taken(
    connection: Connection, now: datetime, before: datetime, stage: str, partners: Sequence[str]
) -> Mapping[str, Taken]:
    """By partner; `stage`: `verification` or `payout`. A lease that was over only after `before` counts as under way:
    its time to be taken up anew has hardly come.
    """
    asked = _PAYOUTS if stage == "payout" else _CHECKS
    rows = await connection.fetch(asked, now, list(partners), before)
    return {row["slug"]: Taken(under_way=row["under_way"], next_at=row["next_at"]) for row in rows}


_PAYOUTS = """
SELECT slug,
    EXISTS (SELECT FROM payouts p WHERE p.partner = slug AND (
        p.state IN ('submitting', 'preparing') AND p.next_at IS NULL
        OR p.state IN ('reserved', 'prepared') AND p.lease_until > $3)) AS under_way,
    least((SELECT min(p.next_at) FROM payouts p WHERE p.partner = slug AND p.next_at > $1
               AND p.state IN ('reserved', 'preparing', 'prepared', 'submitting', 'unknown', 'pending', 'rejected')),
          (SELECT min(i.own_next_at) FROM incentives i WHERE i.own_next_at > $1 AND i.partner = slug)) AS next_at
FROM unnest($2::text[]) AS slug
"""
_CHECKS = """
SELECT slug,
    EXISTS (SELECT FROM verifications v WHERE v.partner = slug AND v.state = 'open' AND v.lease_until > $3)
        AS under_way,
    (SELECT min(v.next_attempt_at) FROM verifications v WHERE v.partner = slug AND v.state = 'open'
         AND v.next_attempt_at > $1) AS next_at
FROM unnest($2::text[]) AS slug
"""
