"""What stands still without a word: neither ended, nor blocked, nor with a next time within its bound."""

# ruff: noqa: S608 - only our own text is put into SQL

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime

import msgspec

from contracts.incentive import BlockerCode
from gateway.storage.base.database import Connection


class Silent(msgspec.Struct, frozen=True, kw_only=True):
    """One payout, or everything of one kind at one partner."""

    what: str
    partner: str
    payout: int | None
    incentive: int | None


_FED = "p.partner NOT IN (SELECT partner FROM unfed WHERE stage = '{stage}')"
_SILENT = f"""
WITH unfed AS MATERIALIZED (
    -- What is held, paused or recovering says so by itself.
    SELECT partner, stage FROM holds WHERE released_at IS NULL
    UNION ALL SELECT partner, 'payout' FROM partner_switches WHERE paused_at IS NOT NULL
    UNION ALL SELECT partner, 'payout' FROM recoveries WHERE released_at IS NULL
    UNION ALL SELECT partner, 'payout' FROM holds WHERE released_at IS NULL AND stage = 'proof'),
overdue_payouts AS (
    SELECT p.partner, p.id, p.incentive FROM payouts p
    WHERE p.partner = ANY($4::text[])
        AND p.state IN ('reserved', 'preparing', 'prepared', 'submitting', 'unknown', 'pending')
        AND coalesce(p.next_at, p.sent_deadline, p.updated_at) < $1 AND coalesce(p.lease_until, $1) <= $1
        AND {_FED.format(stage="payout")}
        AND NOT EXISTS (SELECT 1 FROM cases c WHERE c.payout = p.id AND c.closed_at IS NULL AND c.code <> 'stalled')
    -- Those that nobody was told of yet come first, or the same ones would fill every look.
    ORDER BY EXISTS (SELECT 1 FROM cases c WHERE c.payout = p.id AND c.closed_at IS NULL), p.id LIMIT $5),
moving AS MATERIALIZED (
    -- A backlog waits for its turn: it is silent only where nothing of its partner has moved.
    SELECT partner, max(updated_at) AS at FROM payouts WHERE updated_at >= $1 GROUP BY partner),
due AS (
    SELECT p.partner, min(p.id) AS id FROM incentives p
    WHERE p.stage = 'scheduled' AND p.approved AND p.payout IS NULL AND p.due_on <= $2 AND p.facts_at < $1
        AND (p.blocker IS NULL OR p.blocker = p.own AND p.own = ANY($3::text[])
             AND (p.own_next_at IS NULL OR p.own_next_at < $1))
        AND {_FED.format(stage="payout")} AND p.partner NOT IN (SELECT partner FROM moving)
    GROUP BY p.partner),
unchecked AS (
    SELECT p.partner FROM incentives p JOIN links l ON l.participant = p.participant AND l.state = 'active'
    WHERE p.stage = 'awaiting_verification' AND p.blocker IS NULL AND p.facts_at < $1
        AND NOT EXISTS (SELECT 1 FROM verifications v WHERE v.participant = p.participant AND v.state = 'open')
        AND {_FED.format(stage="verify")}
    GROUP BY p.partner),
checks AS (
    SELECT p.partner FROM verifications v JOIN links p ON p.id = v.link_id
    WHERE v.state = 'open' AND coalesce(v.next_attempt_at, v.created_at) < $1 AND coalesce(v.lease_until, $1) <= $1
        AND {_FED.format(stage="verify")}
    GROUP BY p.partner
    HAVING NOT EXISTS (SELECT 1 FROM verifications o JOIN links ol ON ol.id = o.link_id
                       WHERE ol.partner = p.partner AND o.decided_at >= $1)),
exchanging AS (SELECT partner FROM links WHERE state = 'exchanging' AND updated_at < $1 GROUP BY partner),
notices AS (SELECT partner FROM inbox WHERE applied_at IS NULL AND coalesce(next_attempt_at, received_at) < $1
            GROUP BY partner)
SELECT 'payout' AS what, partner, id AS payout, incentive FROM overdue_payouts
UNION ALL SELECT 'due payments', partner, NULL, NULL FROM due
UNION ALL SELECT 'people without a check', partner, NULL, NULL FROM unchecked
UNION ALL SELECT 'NIK checks', partner, NULL, NULL FROM checks
UNION ALL SELECT 'links', partner, NULL, NULL FROM exchanging
UNION ALL SELECT 'notifications', partner, NULL, NULL FROM notices
ORDER BY 1, 2, 3
"""


async def silent(
    connection: Connection, before: datetime, today: date, waiting: Collection[BlockerCode], partners: Collection[str],
    limit: int,
) -> list[Silent]:  # fmt: skip
    """Whatever should have gone on before then; of payouts `limit` at most, those without a case first. `waiting`:
    blockers that nobody but the gateway or the partner lifts; `partners`: those of this installation.
    """
    rows = await connection.fetch(
        f"SELECT * FROM ({_SILENT}) AS s WHERE partner = ANY($4::text[])",
        before,
        today,
        [code.value for code in waiting],
        list(partners),
        limit,
    )
    return [msgspec.convert(dict(row), Silent) for row in rows]


async def close_others(
    connection: Connection, now: datetime, payouts: Collection[int], texts: Collection[tuple[str, str]], *, by: str
) -> None:
    """Close the open cases of silence that are about none of these payouts and none of these (partner, text)."""
    await connection.execute(
        "UPDATE cases c SET closed_at = $1, closed_by = $2 WHERE c.code = 'stalled' AND c.closed_at IS NULL"
        " AND NOT (c.payout IS NOT NULL AND c.payout = ANY($3::bigint[]))"
        " AND NOT (c.payout IS NULL AND EXISTS (SELECT 1 FROM unnest($4::text[], $5::text[]) AS t (partner, detail)"
        " WHERE t.partner = c.partner AND t.detail = c.detail))",
        now,
        by,
        list(payouts),
        [partner for partner, _ in texts],
        [text for _, text in texts],
    )


Held = tuple[str, str, str | None, str]
"""Partner, stage, fault and words of a hold."""


async def refused(connection: Connection, since: datetime) -> list[Held]:
    """Partners that have refused us since before then."""
    rows = await connection.fetch(
        "SELECT partner, stage, fault, words FROM holds WHERE released_at IS NULL AND since <= $1"
        " AND (kind = 'ours' OR fault = '401') ORDER BY since",
        since,
    )
    return [(row["partner"], row["stage"], row["fault"], row["words"]) for row in rows]


async def away(connection: Connection, since: datetime) -> list[Held]:
    """Partners that have not been there for us, or only too slowly, since before then."""
    rows = await connection.fetch(
        "SELECT partner, stage, fault, words FROM holds WHERE released_at IS NULL AND since <= $1"
        " AND kind IN ('outage', 'throttled') AND fault IS DISTINCT FROM '401' ORDER BY since",
        since,
    )
    return [(row["partner"], row["stage"], row["fault"], row["words"]) for row in rows]


async def has_case(connection: Connection, partner: str, beginning: str) -> bool:
    """Whether a case about no payout is open there whose evidence begins like this."""
    return bool(
        await connection.fetchval(
            "SELECT 1 FROM cases WHERE partner = $1 AND payout IS NULL AND closed_at IS NULL"
            " AND starts_with(detail, $2) LIMIT 1",
            partner,
            beginning,
        )
    )


async def cases_about(connection: Connection, beginning: str) -> list[tuple[str, str]]:
    """Partner and evidence of the open cases that begin like this."""
    rows = await connection.fetch(
        "SELECT partner, detail FROM cases WHERE payout IS NULL AND closed_at IS NULL AND starts_with(detail, $1)",
        beginning,
    )
    return [(row["partner"], row["detail"]) for row in rows]


async def undecided(connection: Connection, before: datetime) -> list[tuple[str, int, str]]:
    """Partners that were asked about NIKs before then and have given no verdict yet, unless they are held: partner, how
    many people, and its words on the one that has waited longest.
    """
    rows = await connection.fetch(
        "SELECT v.partner, count(*) AS people, (array_agg(v.partner_code ORDER BY v.created_at))[1] AS words"
        " FROM verifications v WHERE v.state = 'open' AND v.created_at < $1 AND v.tries > 0"
        " AND v.partner NOT IN (SELECT partner FROM holds WHERE released_at IS NULL AND stage = 'verify')"
        " GROUP BY v.partner ORDER BY v.partner",
        before,
    )
    return [(row["partner"], row["people"], row["words"] or "none that can be read") for row in rows]


async def unrenewed(connection: Connection, before: datetime, soon: datetime) -> list[tuple[str, int]]:
    """Partners at which active access ended before then and is still tried to be renewed (its next try is `soon` at the
    latest), unless they are held: partner, and how many people.
    """
    rows = await connection.fetch(
        "SELECT partner, count(*) AS people FROM links WHERE state = 'active' AND refresh_at <= $2"
        " AND grant_expires_at < $1 AND doubted_at IS NULL"
        " AND partner NOT IN (SELECT partner FROM holds WHERE released_at IS NULL AND stage IN ('link', 'proof'))"
        " GROUP BY partner ORDER BY partner",
        before,
        soon,
    )
    return [(row["partner"], row["people"]) for row in rows]


async def unlooked(connection: Connection, before: datetime) -> list[tuple[str, int]]:
    """Partners at which active links were to be looked at before then, and no look brought an answer since, unless they
    are held: partner, and how many people.
    """
    rows = await connection.fetch(
        "SELECT partner, count(*) AS people FROM links WHERE health_due_at IS NOT NULL AND unlooked_since < $1"
        " AND state = 'active' AND doubted_at IS NULL"
        " AND partner NOT IN (SELECT partner FROM holds WHERE released_at IS NULL AND stage IN ('link', 'proof'))"
        " GROUP BY partner ORDER BY partner",
        before,
    )
    return [(row["partner"], row["people"]) for row in rows]
