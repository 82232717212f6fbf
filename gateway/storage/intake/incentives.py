"""Incentives as clients see them, and the one fact about them that the API writes: `cancelled`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import msgspec

from contracts.incentive import BlockerCode, Stage
from gateway.storage.base.database import Connection, along_key
from gateway.storage.base.filters import OF_PERSON
from gateway.storage.base.moment import Moment
from gateway.storage.base.unconfirmed import PERHAPS_LEFT


class IncentiveRow(msgspec.Struct, frozen=True, kw_only=True):
    """One incentive as people are told of it, with what is needed to say why it does not move."""

    id: int
    batch_id: str
    line: int
    programme: str
    purpose: str
    period: str
    participant_id: str
    partner: str
    amount_rupiah: int
    due_on: date
    deadline_on: date
    approved: bool
    stage: Stage
    blocker: BlockerCode | None
    since: datetime
    """Of the blocker: when its partner's trouble began, or of the last change of anything about the incentive."""
    facts_at: datetime
    next_attempt_at: datetime | None
    payout_id: int | None
    """The one that stands, or the last one."""
    given_up: bool
    """An unknown outcome that an operator must settle."""
    payouts: int
    created_at: datetime


_SHOWN = """
SELECT i.*, p.id AS payout_id, s.stage AS shown_stage, b.blocker AS shown_blocker,
    CASE WHEN s.blocker = i.standing AND i.standing = v.blocker THEN v.since
         WHEN s.blocker IS NOT NULL OR b.blocker IS NULL THEN i.facts_at
         WHEN s.stage = 'awaiting_verification' THEN v.since
         ELSE coalesce(w.since, i.facts_at)
    END AS since,
    CASE WHEN b.blocker IS NULL THEN NULL
         WHEN s.blocker IS NULL AND s.stage = 'awaiting_verification' THEN v.next_at
         WHEN s.blocker IS NULL AND w.blocker IS NOT NULL THEN w.next_at
         WHEN i.payout = 'open' THEN coalesce(p.next_at, p.sent_deadline)
         WHEN s.blocker = i.own AND i.own = w.blocker THEN least(i.own_next_at, w.next_at)
         WHEN s.blocker = i.own THEN i.own_next_at
         -- A held stage lets canaries through and nothing else, whatever the check's own next try says.
         WHEN s.blocker = i.standing AND i.standing = v.blocker THEN v.next_at
         WHEN s.blocker = i.standing THEN (SELECT min(t.at) FROM (
            SELECT c.next_attempt_at AS at FROM verifications c WHERE c.participant = i.participant AND c.state = 'open'
            UNION ALL SELECT r.next_look_at FROM refusals r WHERE r.participant = i.participant) t)
    END AS next_attempt_at,
    s.blocker IS NOT DISTINCT FROM 'outcome_unknown'
        AND is_given_up(p.first_sent_at, p.next_at, p.sent_deadline, ($3::jsonb ->> i.partner)::timestamptz) AS given_up
FROM incentives i LEFT JOIN LATERAL (
        SELECT id, state, attempt, refusals, first_sent_at, next_at, sent_deadline
        FROM (SELECT * FROM payouts WHERE incentive = i.id OFFSET 0) AS its ORDER BY id DESC LIMIT 1) p ON true
    LEFT JOIN partner_waits w ON w.partner = i.partner AND w.stage = 'payout'
    LEFT JOIN partner_waits v ON v.partner = i.partner AND v.stage = 'verify'
    CROSS JOIN LATERAL (SELECT shown_payout(i.payout, p.state, p.attempt) AS payout) f
    CROSS JOIN LATERAL (SELECT
            incentive_stage(f.payout, i.cancelled, i.past_deadline, i.link_active, i.verified) AS stage,
        incentive_blocker(f.payout, i.cancelled, i.link_active, i.verified, i.past_deadline, i.approved, i.standing,
                          i.own) AS blocker) s
    CROSS JOIN LATERAL (SELECT shown_blocker(s.blocker, s.stage, i.approved AND i.due_on <= $2::date, p.state,
        p.refusals > 0 AND p.next_at > $1, w.blocker, v.blocker) AS blocker) b
"""
"""Parameters: now, today in Jakarta, and by partner since when an unknown outcome is an operator's."""
_SELECT = f"""
SELECT id, batch_id, line, programme, purpose, period, participant_id, partner, amount_rupiah, due_on, deadline_on,
    approved, shown_stage AS stage, shown_blocker AS blocker, since, facts_at, payouts, created_at, payout_id,
    next_attempt_at, given_up
FROM ({_SHOWN}) AS i
"""  # noqa: S608 - constants


class IncentiveFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which incentives; None: all."""

    organisation: str | None = None
    programme: str | None = None
    batch_id: str | None = None
    participant_id: str | None = None
    partner: str | None = None
    stage: Stage | None = None
    blocker: BlockerCode | None = None


_CONDITIONS = {
    "organisation": "i.organisation = {}",
    "programme": "i.programme = {}",
    "batch_id": "i.batch_id = {}",
    "participant_id": f"i.id = ANY(ARRAY(SELECT id FROM incentives WHERE {OF_PERSON}))",  # noqa: S608 - constants
    "partner": "i.partner = {}",
    "stage": "i.shown_stage = {}",
    "blocker": "i.shown_blocker = {}",
}
_PUT_UP = {"batch_id": "i.id = ANY(ARRAY(SELECT r.incentive FROM reapprovals r WHERE r.batch_id = {}))"}
"""A batch of reapprovals has incentives of other batches."""
_COUNTED = {
    "organisation": "f.organisation = {}",
    "programme": "f.programme = {}",
    "partner": "f.partner = {}",
    # A payout that is only set aside is shown at the stage before `paying`, which is neither of these two.
    "stage": "(f.stage = {0} OR f.stage = 'paying' AND {0} <> 'paid')",
    # What a payout or its partner waits for is shown where the row itself has no blocker.
    "blocker": "(f.blocker = {0} OR f.stage = 'paying' OR {0} = 'partner_unavailable'"
    " OR f.blocker = '' AND EXISTS (SELECT FROM partner_waits w WHERE w.blocker = {0}))",
}
"""For each filter, which of the funnel's counters have every incentive that it can show. Where these count none there
is nothing to look for: without that, a list of what nobody has would read all incentives."""


async def get(connection: Connection, incentive_id: int, moment: Moment) -> IncentiveRow | None:
    """One incentive."""
    row = await connection.fetchrow(f"{_SELECT} WHERE i.id = $4", *moment.values, incentive_id)
    return None if row is None else msgspec.convert(dict(row), IncentiveRow)


async def several(connection: Connection, incentives: Sequence[int], moment: Moment) -> list[IncentiveRow]:
    """Some incentives, in order of id."""
    rows = await connection.fetch(
        f"{_SELECT} WHERE i.id = ANY($4::bigint[]) ORDER BY i.id", *moment.values, list(incentives)
    )
    return [msgspec.convert(dict(row), IncentiveRow) for row in rows]


async def find(
    connection: Connection, wanted: IncentiveFilter, after: int, limit: int, moment: Moment
) -> list[IncentiveRow]:
    """The next incentives in order of id, in the caller's transaction."""
    if wanted.participant_id is None and wanted.batch_id is None:  # by those they are few, or close together
        await along_key(connection)
    known = _CONDITIONS
    if wanted.batch_id is not None:
        of_others = await connection.fetchval("SELECT reapproval FROM batches WHERE id = $1", wanted.batch_id)
        known = _CONDITIONS | (_PUT_UP if of_others else {})
    conditions, values = ["i.id > $4"], [*moment.values, after, limit]
    counted = []
    for name in wanted.__struct_fields__:
        value = getattr(wanted, name)
        if value is not None:
            values.append(value.value if isinstance(value, Stage | BlockerCode) else value)
            conditions.append(known[name].format(f"${len(values)}"))
            if name in _COUNTED:
                counted.append(_COUNTED[name].format(f"${len(values)}"))
    if counted:
        some = f"SELECT sum(f.incentives) FROM funnel_counts f WHERE {' AND '.join(counted)}"  # noqa: S608 - constants
        conditions.append(f"({some}) > 0")
    rows = await connection.fetch(f"{_SELECT} WHERE {' AND '.join(conditions)} ORDER BY i.id LIMIT $5", *values)
    return [msgspec.convert(dict(row), IncentiveRow) for row in rows]


async def lock(connection: Connection, incentive_id: int) -> bool:
    """Hold one incentive until the end of the transaction; False if there is none.

    Its payouts first, as whoever applies a word to them does; one made in between is held by nobody else for long.
    """
    await connection.execute("SELECT FROM payouts WHERE incentive = $1 ORDER BY id FOR NO KEY UPDATE", incentive_id)
    found = await connection.fetchval("SELECT id FROM incentives WHERE id = $1 FOR NO KEY UPDATE", incentive_id)
    return found is not None


async def withdraw_reserved(connection: Connection, incentive_id: int, now: datetime) -> bool:
    """Take a payout that has not left away from the worker that holds it, which then loses its compare-and-set.

    False: a payout has left and no recorded decision has ended it, or something stands at the partner. The lock on the
    incentive keeps new ones from coming.
    """
    await connection.execute(
        "UPDATE payouts SET lease_until = NULL, leased_by = NULL, next_at = $2"
        " WHERE incentive = $1 AND state = 'reserved'",
        incentive_id,
        now,
    )
    beyond = await connection.fetchval(
        f"SELECT EXISTS (SELECT FROM payouts p WHERE p.incentive = $1 AND {PERHAPS_LEFT})",  # noqa: S608
        incentive_id,
    )
    return not beyond


async def cancel(connection: Connection, incentive_id: int, now: datetime) -> None:
    """Stop future payouts."""
    await connection.execute("UPDATE incentives SET cancelled = true, facts_at = $2 WHERE id = $1", incentive_id, now)
