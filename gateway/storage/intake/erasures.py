"""Erasing what is known of a person: what stands in the way, and every column that holds something of them."""

from __future__ import annotations

import secrets
from datetime import date, datetime, timedelta
from typing import NamedTuple

import msgspec

from contracts.linking import LIVE_LINKS
from contracts.payout import OPEN_STATES
from gateway.storage.base.database import Connection
from gateway.storage.base.rows import into

_LIVE = [state.value for state in LIVE_LINKS]
_OPEN = [state.value for state in OPEN_STATES]
_INDEX_BYTES = 32
STATEMENTS_READ = timedelta(days=3)
"""After its end a payout is on no daily comparison any more: those ask for the account."""


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """One person's erasure: asked for, or done."""

    asked_by: str
    asked_at: datetime
    confirmed_by: str | None
    erased_at: datetime | None


async def get(connection: Connection, participant: int) -> Erasure | None:
    """What was asked for, or done."""
    row = await connection.fetchrow(
        "SELECT asked_by, asked_at, confirmed_by, erased_at FROM erasures WHERE participant = $1", participant
    )
    return None if row is None else into(Erasure, row)


async def ask(connection: Connection, participant: int, asked_by: str, now: datetime) -> None:
    """Keep one person's word; a newer one takes the place of an older one."""
    await connection.execute(
        "INSERT INTO erasures (participant, asked_by, asked_at) VALUES ($1, $2, $3) ON CONFLICT (participant)"
        " DO UPDATE SET asked_by = excluded.asked_by, asked_at = excluded.asked_at",
        participant,
        asked_by,
        now,
    )


async def in_the_way(connection: Connection, participant: int, now: datetime, today: date) -> list[str]:
    """What is not over yet; the caller holds the participant's lock."""
    row = await connection.fetchrow(
        """
        SELECT
            EXISTS (SELECT FROM incentives WHERE participant = $1 AND NOT cancelled AND deadline_on >= $2
                    AND payout IS DISTINCT FROM 'succeeded') AS "an incentive that may still be paid",
            EXISTS (SELECT FROM payouts WHERE incentive = ANY(ARRAY(SELECT id FROM incentives WHERE participant = $1))
                    AND (state = ANY($3::text[]) OR next_at IS NOT NULL)) AS "a payout that is followed",
            EXISTS (SELECT FROM payouts WHERE incentive = ANY(ARRAY(SELECT id FROM incentives WHERE participant = $1))
                    AND updated_at > $5) AS "a payout of these days",
            EXISTS (SELECT FROM links WHERE participant = $1 AND state = ANY($4::text[])) AS "an account link",
            EXISTS (SELECT FROM entitlements WHERE participant = $1 AND state <> 'cancelled')
                AS "an entitlement under a payment plan",
            EXISTS (SELECT FROM cases c LEFT JOIN payouts p ON p.id = c.payout
                    LEFT JOIN incentives i ON i.id = c.incentive
                    WHERE c.closed_at IS NULL AND $1 IN (p.participant, i.participant)) AS "an open case",
            EXISTS (SELECT FROM strays s JOIN participants t USING (partner, account_index)
                    WHERE t.id = $1 AND s.settled_at IS NULL) AS "a credit that no payout has"
        """,
        participant,
        today,
        _OPEN,
        _LIVE,
        now - STATEMENTS_READ,
    )
    return [what for what, there in (row or {}).items() if there]


class Accounts(msgspec.Struct, frozen=True, kw_only=True):
    """Where the person's accounts were."""

    since: datetime
    partners: list[str]


async def accounts(connection: Connection, participant: int) -> Accounts:
    """At which partners there were accounts, and since when."""
    row = await connection.fetchrow(
        "SELECT created_at AS since, ARRAY(SELECT partner FROM links WHERE participant = p.id UNION SELECT p.partner)"
        " AS partners FROM participants p WHERE id = $1",
        participant,
    )
    return into(Accounts, row or {})


class LinkKept(NamedTuple):
    """What is kept of one link."""

    id: str
    partner: str
    account_sealed: bytes
    grant_index: bytes | None


async def links_kept(connection: Connection, participant: int) -> list[LinkKept]:
    """Every link the person ever had."""
    rows = await connection.fetch(
        "SELECT id, partner, account_sealed, grant_index FROM links WHERE participant = $1", participant
    )
    return [LinkKept(*row) for row in rows]


async def erase(connection: Connection, participant: int, confirmed_by: str, now: datetime) -> None:
    """Put nothing, or chance, in the place of all that is of the person. One number takes the place of each index, so
    that what belonged together still does and nothing else can be told from it. Of each instalment that was paid a mark
    is left, so that the same NIK is not paid it again under another id; of one that was refused too, which counts only
    if it turns out paid.
    """
    await connection.execute(
        "INSERT INTO erased_instalments SELECT instalment_mark(nik_index, programme, purpose, period),"
        " CASE WHEN payout IS DISTINCT FROM 'succeeded' THEN id END FROM incentives i"
        " WHERE participant = $1 AND (payout = 'succeeded'"
        " OR EXISTS (SELECT FROM payouts p WHERE p.incentive = i.id AND p.first_sent_at IS NOT NULL))"
        " ON CONFLICT DO NOTHING",
        participant,
    )
    nik, account = secrets.token_bytes(_INDEX_BYTES), secrets.token_bytes(_INDEX_BYTES)
    await connection.execute("SELECT set_config('gateway.erasing', 'on', true)")
    await connection.execute(
        "UPDATE strays s SET account_index = NULL FROM (SELECT partner, account_index FROM links WHERE participant = $1"
        " UNION SELECT partner, account_index FROM participants WHERE id = $1) AS t"
        " WHERE (s.partner, s.account_index) = (t.partner, t.account_index)",
        participant,
    )
    await connection.execute(
        "UPDATE participants SET nik_sealed = '', nik_index = $2, name_sealed = '', name_index = NULL,"
        " phone_sealed = '', phone_index = NULL, account_sealed = '', account_index = $3, corrected_at = $4"
        " WHERE id = $1",
        participant,
        nik,
        account,
        now,
    )
    await connection.execute(
        "UPDATE incentives SET nik_index = $2, content_hash = $3, digest = NULL WHERE participant = $1",
        participant,
        nik,
        account,
    )
    await connection.execute(
        "UPDATE reapprovals r SET digest = $2 FROM incentives i WHERE i.participant = $1 AND r.incentive = i.id",
        participant,
        account,
    )
    await _forget_keys_of_roots(connection, participant)
    await connection.execute("UPDATE verifications SET nik_index = $2 WHERE participant = $1", participant, nik)
    await connection.execute(
        "UPDATE links SET account_sealed = '', account_index = $2, grant_sealed = NULL, grant_index = NULL,"
        " carry_sealed = NULL, unanswered = false WHERE participant = $1",
        participant,
        account,
    )
    await connection.execute(
        "UPDATE account_proofs SET nik_index = $2, account_index = $3 || int8send(id) WHERE participant = $1",
        participant,
        nik,
        account,
    )
    await connection.execute(
        "UPDATE payouts SET frozen_hash = NULL"
        " WHERE incentive = ANY(ARRAY(SELECT id FROM incentives WHERE participant = $1))",
        participant,
    )
    for table in ("account_owners", "nik_corrections", "refusals"):
        await connection.execute(f"DELETE FROM {table} WHERE participant = $1", participant)  # noqa: S608 - constants
    await connection.execute("SELECT set_config('gateway.erasing', 'off', true)")
    await connection.execute(
        "UPDATE erasures SET confirmed_by = $2, erased_at = $3 WHERE participant = $1", participant, confirmed_by, now
    )


async def _forget_keys_of_roots(connection: Connection, participant: int) -> None:
    """A content root is made of its rows under the batch's own key: with all of them erased that key goes too, or the
    root of a batch of one could be searched for who was in it.
    """
    await connection.execute(
        "UPDATE batches b SET content_key_sealed = NULL WHERE content_key_sealed IS NOT NULL"
        " AND id = ANY(ARRAY(SELECT batch_id FROM incentives WHERE participant = $1))"
        " AND NOT EXISTS (SELECT FROM incentives i WHERE i.batch_id = b.id AND i.participant <> $1 AND NOT EXISTS"
        " (SELECT FROM erasures e WHERE e.participant = i.participant AND e.erased_at IS NOT NULL))",
        participant,
    )
