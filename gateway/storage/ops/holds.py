"""Holds: one row for each reason why a partner is not fed as usual at one stage, shared by all processes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta

import asyncpg
import msgspec

from contracts.events import EventType
from contracts.hold import STOPS, HoldKind, HoldStage
from contracts.incentive import BlockerCode
from gateway.storage.base.database import Connection
from gateway.storage.messages import events

CHANNEL_NAME = "holds"
"""Payload of the wake-up that tells every process to read the holds again."""
_WAITS = [BlockerCode.PARTNER_UNAVAILABLE.value, BlockerCode.PARTNER_FLOAT_SHORT.value]


class NewHold(msgspec.Struct, frozen=True, kw_only=True):
    """A hold about to be opened. `words`: the partner's own code, or an operator's reason; no personal data."""

    partner: str
    stage: HoldStage
    kind: HoldKind
    fault: str | None
    words: str
    opened_by: str
    next_canary_at: datetime | None
    good_before: int | None = None
    """A brake's: good answers of the stage when it was opened."""


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """A hold as stored."""

    id: int
    partner: str
    stage: HoldStage
    kind: HoldKind
    fault: str | None
    words: str
    since: datetime
    opened_by: str
    next_canary_at: datetime | None
    """The next try that is let through; throttled: before then nothing is sent at all (`Retry-After`)."""
    canaries: int
    released_at: datetime | None
    released_by: str | None
    good_before: int | None

    @property
    def stops(self) -> bool:
        """Whether nothing but canaries may leave."""
        return self.kind in STOPS


def _hold(row: asyncpg.Record) -> Hold:
    return msgspec.convert(dict(row), Hold)


async def open_holds(connection: Connection, partner: str | None = None) -> list[Hold]:
    """What holds now, oldest first."""
    rows = await connection.fetch(
        "SELECT * FROM holds WHERE released_at IS NULL AND ($1::text IS NULL OR partner = $1) ORDER BY since, id",
        partner,
    )
    return [_hold(row) for row in rows]


async def history(connection: Connection, partner: str | None, limit: int) -> list[Hold]:
    """Open and released ones, newest first."""
    rows = await connection.fetch(
        "SELECT * FROM holds WHERE $1::text IS NULL OR partner = $1 ORDER BY since DESC, id DESC LIMIT $2",
        partner,
        limit,
    )
    return [_hold(row) for row in rows]


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What is at stake at one partner."""

    partner: str
    in_flight: int
    """Attempts that were not answered yet."""
    backlog: int
    """Incentives that are approved and due, and wait for this partner alone."""
    amount_rupiah: int


async def loads(
    connection: Connection, today: date, partners: Collection[str], organisation: str | None = None
) -> dict[str, Load]:
    """By partner: what waits there, of one organisation or of all. It walks over all that is due, so only ask of
    partners that are held.
    """
    rows = await connection.fetch(
        """
        SELECT n AS partner,
            (SELECT count(*) FROM payouts p WHERE partner = n AND state IN ('submitting', 'preparing')
                AND next_at IS NULL AND ($3::text IS NULL
                    OR (SELECT i.organisation FROM incentives i WHERE i.id = p.incentive) = $3)) AS in_flight,
            count(d.id) AS backlog, coalesce(sum(d.amount_rupiah), 0)::bigint AS amount_rupiah
        FROM unnest($1::text[]) AS n LEFT JOIN LATERAL (
            SELECT id, amount_rupiah FROM incentives WHERE partner = n AND stage = 'scheduled' AND approved
                AND (blocker IS NULL OR blocker IN ('partner_unavailable', 'partner_float_short')) AND due_on <= $2
                AND ($3::text IS NULL OR organisation = $3)
            UNION ALL
            SELECT i.id, i.amount_rupiah FROM payouts p JOIN incentives i ON i.id = p.incentive
            WHERE p.partner = n AND p.state IN ('reserved', 'prepared') AND i.payout = 'open'
                AND ($3::text IS NULL OR i.organisation = $3)) AS d ON true
        GROUP BY n
        """,
        list(partners),
        today,
        organisation,
    )
    return {row["partner"]: msgspec.convert(dict(row), Load) for row in rows}


async def get(connection: Connection, hold_id: int) -> Hold | None:
    """One hold, open or released."""
    row = await connection.fetchrow("SELECT * FROM holds WHERE id = $1", hold_id)
    return None if row is None else _hold(row)


async def hold(connection: Connection, now: datetime, new: NewHold) -> Hold | None:
    """Hold a stage in the caller's transaction. None: it is held for this reason already, and the newest words and the
    later of both next tries were kept.
    """
    row = await connection.fetchrow(
        "INSERT INTO holds AS h (partner, stage, kind, fault, words, since, opened_by, next_canary_at,"
        " good_before) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
        " ON CONFLICT (partner, stage, kind) WHERE released_at IS NULL DO UPDATE SET fault = excluded.fault,"
        " words = excluded.words, next_canary_at = greatest(h.next_canary_at, excluded.next_canary_at)"
        " RETURNING h.*, h.xmax = 0 AS fresh",
        new.partner,
        new.stage.value,
        new.kind.value,
        new.fault,
        new.words[:300],
        now,
        new.opened_by,
        new.next_canary_at,
        new.good_before,
    )
    assert row is not None
    if not row["fresh"]:
        return None
    opened = _hold(row)
    await connection.execute("SELECT pg_notify('gateway', $1)", CHANNEL_NAME)
    await events.emit(connection, now, [(EventType.PARTNER_HELD, new.partner, _event(opened))])
    return opened


async def take_canary(connection: Connection, now: datetime, hold_id: int, next_at: datetime) -> bool:
    """Whether the caller, and no other process, may let one through now; the next one is let through at `next_at`."""
    taken = await connection.fetchval(
        "UPDATE holds SET next_canary_at = $3, canaries = least(canaries, 1000000000) + 1"
        " WHERE id = $1 AND released_at IS NULL AND next_canary_at <= $2 RETURNING true",
        hold_id,
        now,
        next_at,
    )
    return bool(taken)


async def release(
    connection: Connection,
    now: datetime,
    partner: str,
    stage: HoldStage,
    kinds: Sequence[HoldKind],
    *,
    by: str,
    only: int | None = None,
) -> list[Hold]:
    """Release what is held for these reasons (`only`: that hold, and none that was opened after it), and make due what
    waited, unless another hold keeps it waiting.
    """
    rows = await connection.fetch(
        "UPDATE holds SET released_at = $1, released_by = $5"
        " WHERE partner = $2 AND stage = $3 AND kind = ANY($4::text[]) AND released_at IS NULL"
        " AND ($6::bigint IS NULL OR id = $6) RETURNING *",
        now,
        partner,
        stage.value,
        [kind.value for kind in kinds],
        by,
        only,
    )
    released = [_hold(row) for row in rows]
    if not released:
        return []
    held = await open_holds(connection, partner)
    if not any(one.stage is stage and one.stops for one in held):
        await make_due(connection, now, partner, stage)
    await connection.execute(
        "SELECT pg_notify('gateway', payload) FROM unnest($1::text[]) AS payload", [CHANNEL_NAME, "dispatch"]
    )
    await events.emit(connection, now, [(EventType.PARTNER_RELEASED, partner, _event(one)) for one in released])
    return released


async def run_asked(connection: Connection, now: datetime, hold_id: int, before: datetime) -> bool:
    """Whether the caller, and no other process, may ask some of the run again: nobody has since `before`."""
    taken = await connection.fetchval(
        "UPDATE holds SET run_asked_at = $2 WHERE id = $1 AND released_at IS NULL"
        " AND coalesce(run_asked_at, since) <= $3 RETURNING true",
        hold_id,
        now,
        before,
    )
    return bool(taken)


async def came_back(connection: Connection, opened: Hold, within: timedelta) -> bool:
    """Whether a hold was opened so soon after the last one of its kind and stage was released."""
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM holds WHERE partner = $1 AND stage = $2 AND kind = $3 AND id <> $4"
        " AND released_at BETWEEN $5::timestamptz - $6::interval AND $5)",
        opened.partner,
        opened.stage.value,
        opened.kind.value,
        opened.id,
        opened.since,
        within,
    )
    return found


async def braked_since(connection: Connection, partner: str, since: datetime) -> bool:
    """Whether a crowd holds a partner at any stage, or did so after then."""
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM holds WHERE partner = $1 AND kind = $2"
        " AND (released_at IS NULL OR released_at > $3))",
        partner,
        HoldKind.BRAKE.value,
        since,
    )
    return found


async def released_runs(connection: Connection, now: datetime, edge: timedelta) -> list[Hold]:
    """Brakes' holds that have been released, and outages that were `edge` ago, each handed out once: whoever was
    refused in them is to be asked again.
    """
    rows = await connection.fetch(
        "UPDATE holds SET run_asked_at = $1 WHERE kind = 'brake' AND released_at <= $1"
        " AND (run_asked_at IS NULL OR run_asked_at <= released_at)"
        " OR kind = 'outage' AND run_asked_at IS NULL"
        " AND released_at BETWEEN $1::timestamptz - interval '1 day' AND $1::timestamptz - $2::interval RETURNING *",
        now,
        edge,
    )
    return [_hold(row) for row in rows]


async def make_due(
    connection: Connection, now: datetime, partner: str, stage: HoldStage, limit: int | None = None
) -> int:
    """Make due now what waits for a partner at a stage (`limit`: the first so many); how much that was.

    What another transaction has locked is under way, and left alone.
    """
    if stage is HoldStage.VERIFY:
        return await _make_checks_due(connection, now, partner, limit)
    if stage is HoldStage.LINK:
        return 0
    made = await connection.fetch(
        "UPDATE payouts p SET next_at = $2 FROM (SELECT id FROM payouts WHERE partner = $1"
        " AND state IN ('reserved', 'prepared') AND next_at > $2 AND refusals > 0"
        " ORDER BY next_at, id LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED) AS w WHERE p.id = w.id RETURNING p.incentive",
        partner,
        now,
        limit,
    )
    freed = await connection.fetch(
        "UPDATE incentives i SET own = NULL, own_next_at = NULL, facts_at = $2 FROM (SELECT id FROM incentives"
        " WHERE own_next_at IS NOT NULL AND own = ANY($3::text[]) AND partner = $1"
        " AND (payout IS NULL OR id = ANY($4::bigint[]))"
        " ORDER BY own_next_at, id LIMIT $5 FOR NO KEY UPDATE SKIP LOCKED) AS w WHERE i.id = w.id RETURNING i.id",
        partner,
        now,
        _WAITS,
        [row["incentive"] for row in made],
        limit,
    )
    return len(made) + len(freed)


async def _make_checks_due(connection: Connection, now: datetime, partner: str, limit: int | None) -> int:
    rows = await connection.fetch(
        "UPDATE verifications v SET next_attempt_at = $2 FROM (SELECT v.id FROM verifications v"
        " WHERE v.state = 'open' AND v.partner = $1 AND v.next_attempt_at > $2"
        " AND v.tries > 0 ORDER BY v.next_attempt_at, v.id LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED) AS w"
        " WHERE v.id = w.id RETURNING v.id",
        partner,
        now,
        limit,
    )
    return len(rows)


async def purge(connection: Connection, before: datetime, limit: int) -> int:
    """Forget holds that were released before then."""
    rows = await connection.fetch(
        "DELETE FROM holds WHERE id IN (SELECT id FROM holds WHERE released_at < $1 ORDER BY released_at LIMIT $2)"
        " RETURNING id",
        before,
        limit,
    )
    return len(rows)


def _event(one: Hold) -> dict[str, object]:
    return {
        "stage": one.stage.value,
        "kind": one.kind.value,
        "fault": one.fault,
        "words": one.words,
        "since": one.since,
        "next_canary_at": one.next_canary_at,
        "by": one.released_by or one.opened_by,
    }
