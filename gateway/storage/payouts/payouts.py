"""Payout rows: read for routes, locked with their incentives, and written back in groups."""

# ruff: noqa: S608 - only our own constants are put into SQL

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import asyncpg
import msgspec

from contracts.incentive import BlockerCode
from contracts.payout import PayoutState
from gateway.storage.base.database import Connection, along_key, as_json
from gateway.storage.base.filters import OF_PERSON, where
from gateway.storage.base.rows import into
from gateway.storage.base.unconfirmed import STOPPED

_FILTERS = {
    "incentive": "incentive = {}",
    "participant_id": "id = ANY(ARRAY(SELECT p.id FROM payouts p WHERE p.incentive = ANY("
    f"ARRAY(SELECT id FROM incentives WHERE {OF_PERSON}))))",
    "partner": "partner = {}",
    "state": "state = {}",
    "ended_on": "(ended_at AT TIME ZONE 'Asia/Jakarta')::date = {}",
    "ended_from": "(ended_at AT TIME ZONE 'Asia/Jakarta')::date >= {}",
    "ended_until": "(ended_at AT TIME ZONE 'Asia/Jakarta')::date <= {}",
    "organisation": "EXISTS (SELECT FROM participants o WHERE o.id = payouts.participant AND o.organisation = {})",
}


class PayoutRow(msgspec.Struct, kw_only=True):
    """One payout as stored, without sealed data; services change a copy and write it back."""

    id: int
    reference: str
    incentive: int
    participant: int
    link_id: str
    partner: str
    amount_rupiah: int
    state: PayoutState
    attempt: int
    refusals: int
    frozen_hash: bytes | None
    partner_reference: str | None
    first_sent_at: datetime | None
    sent_at: datetime | None
    sent_deadline: datetime | None
    next_at: datetime | None
    looks: int
    reason: BlockerCode | None
    technical: bool
    reason_due_at: datetime | None
    confirmed_at: datetime | None
    statements_from: datetime | None
    """A refusal that settles nothing by itself: what statements read from then on list decides."""
    withdrawing: bool
    """We have asked the partner, or are about to, to reject what stands there."""
    released_at: datetime | None
    lease_until: datetime | None
    leased_by: str | None
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None


class PaidFor(msgspec.Struct, kw_only=True):
    """What a payout is for: the words under which a ledger books it."""

    programme: str
    purpose: str
    period: str
    participant_id: str


class IncentiveFacts(msgspec.Struct, kw_only=True):
    """What paying an incentive changes about it."""

    id: int
    participant: int
    payout: str | None
    own: BlockerCode | None
    own_next_at: datetime | None
    payouts: int
    """How many there have been; one that never left does not count."""
    looks: int
    """How often a refusal of the person was to be tried again by itself."""
    deadline_on: date
    """The last day on which it may be paid, in Jakarta."""


def payout_row(row: asyncpg.Record | Mapping[str, object]) -> PayoutRow:
    """A `SELECT *` of `payouts`."""
    values = dict(row)
    values["state"] = PayoutState(values["state"])
    if values["reason"] is not None:
        values["reason"] = BlockerCode(values["reason"])
    return into(PayoutRow, values)


async def get(connection: Connection, payout_id: int) -> PayoutRow | None:
    """One payout."""
    row = await connection.fetchrow("SELECT * FROM payouts WHERE id = $1", payout_id)
    return None if row is None else payout_row(row)


async def paid_for(connection: Connection, incentive_ids: Collection[int]) -> dict[int, PaidFor]:
    """What each of these incentives is, and whose."""
    rows = await connection.fetch(
        "SELECT i.id, i.programme, i.purpose, i.period, p.participant_id FROM incentives i"
        " JOIN participants p ON p.id = i.participant WHERE i.id = ANY($1::bigint[])",
        list(incentive_ids),
    )
    return {row["id"]: PaidFor(**{name: row[name] for name in PaidFor.__struct_fields__}) for row in rows}


async def for_incentive(connection: Connection, incentive_id: int) -> list[PayoutRow]:
    """All payouts of one incentive, oldest first."""
    rows = await connection.fetch("SELECT * FROM payouts WHERE incentive = $1 ORDER BY id", incentive_id)
    return [payout_row(row) for row in rows]


async def find_references(
    connection: Connection, partner: str, references: Sequence[str], partner_references: Sequence[str]
) -> list[PayoutRow]:
    """Payouts that a partner names by our reference or by its own number."""
    rows = await connection.fetch(
        "SELECT * FROM payouts WHERE partner = $1"
        " AND (reference = ANY($2::text[]) OR partner_reference = ANY($3::text[])) ORDER BY id",
        partner,
        list(references),
        list(partner_references),
    )
    return [payout_row(row) for row in rows]


async def numbered_too(connection: Connection, asked: Sequence[tuple[int, str, str | None, date | None]]) -> set[int]:
    """Of (payout, partner, the partner's number, day) those payouts whose number another one of the partner has that
    was sent first on that day in Jakarta; None: on any day.
    """
    rows = await connection.fetch(
        "SELECT a.payout FROM unnest($1::bigint[], $2::text[], $3::text[], $4::date[])"
        " AS a (payout, partner, number, day)"
        " WHERE EXISTS (SELECT FROM payouts p WHERE p.partner = a.partner AND p.partner_reference = a.number"
        " AND p.id <> a.payout AND (a.day IS NULL OR (p.first_sent_at AT TIME ZONE 'Asia/Jakarta')::date = a.day)"
        " OFFSET 0)",
        *(list(column) for column in zip(*asked, strict=True)),
    )
    return {row["payout"] for row in rows}


async def find(
    connection: Connection,
    wanted: Mapping[str, object],
    number: str | None,
    partners: Sequence[str],
    after: int,
    limit: int,
) -> list[PayoutRow]:
    """The next payouts in order of id. `number`: of one payout, its own, our reference at the partner, or that of one
    of the `partners`. In the caller's transaction.
    """
    # These have indexes of their own.
    if number is None and all(wanted.get(name) is None for name in ("incentive", "participant_id", "state")):
        await along_key(connection)
    values: list[object] = [after, limit]
    conditions = ["id > $1", *where(_FILTERS, wanted, values)]
    if number is not None:
        own = int(number) if number.isascii() and number.isdigit() and len(number) <= 18 else 0
        values += [own, number, list(partners)]
        at = len(values)
        conditions.append(
            f"id IN (SELECT id FROM payouts WHERE id = ${at - 2} OR reference = ${at - 1}"
            f" UNION SELECT id FROM payouts WHERE partner = ANY(${at}::text[]) AND partner_reference = ${at - 1})"
        )
    rows = await connection.fetch(
        f"SELECT * FROM payouts WHERE {' AND '.join(conditions)} ORDER BY id LIMIT $2", *values
    )
    return [payout_row(row) for row in rows]


_BESIDE = ("payout", "own", "own_next_at", "payouts", "looks", "deadline_on")


async def lock(
    connection: Connection, payouts: Sequence[int], counted: Collection[int] = ()
) -> tuple[list[PayoutRow], dict[int, IncentiveFacts]]:
    """Lock some payouts, their incentives and the incentives' other payouts, in order of id, and read them. Where all
    others were never sent, only for those that were tried before, or of which they are to be `counted`.

    A claim locks the incentive before it makes a payout, so none appears once the incentive is locked.
    """
    rows = await connection.fetch(
        """
        SELECT p.*, i.payout AS i_payout, i.own AS i_own, i.own_next_at AS i_own_next_at, i.payouts AS i_payouts,
            i.looks AS i_looks, i.deadline_on AS i_deadline_on
        FROM payouts p JOIN incentives i ON i.id = p.incentive
        WHERE p.id = ANY($1::bigint[]) ORDER BY p.id FOR NO KEY UPDATE
        """,
        list(payouts),
    )
    locked, incentives = [], {}
    for row in rows:
        values = dict(row)
        beside = {name: values.pop(f"i_{name}") for name in _BESIDE}
        payout = payout_row(values)
        locked.append(payout)
        incentives[payout.incentive] = _incentive_facts(payout, beside)
    cancelled = {payout.incentive for payout in locked if payout.state is PayoutState.CANCELLED}  # they count as none
    # How often before says how long it waits now.
    tried = {payout.incentive for payout in locked if payout.refusals or payout.id in counted}
    several = [one.id for one in incentives.values() if one.payouts > 1 or one.id in cancelled or one.id in tried]
    if several:
        others = await connection.fetch(
            "SELECT * FROM payouts WHERE incentive = ANY($1::bigint[]) AND id <> ALL($2::bigint[])"
            " ORDER BY id FOR NO KEY UPDATE",
            several,
            list(payouts),
        )
        locked = sorted(locked + [payout_row(row) for row in others], key=lambda row: row.id)
    return locked, incentives


def _incentive_facts(payout: PayoutRow, values: dict[str, Any]) -> IncentiveFacts:
    own = values.pop("own")
    return IncentiveFacts(
        id=payout.incentive, participant=payout.participant, own=BlockerCode(own) if own else None, **values
    )


async def recovering(connection: Connection, partners: Collection[str]) -> frozenset[str]:
    """Of some partners those at which a recovery is under way."""
    rows = await connection.fetch(
        "SELECT partner FROM recoveries WHERE released_at IS NULL AND partner = ANY($1::text[])", list(partners)
    )
    return frozenset(row["partner"] for row in rows)


async def returned(connection: Connection, incentive: int) -> int | None:
    """The payout of an incentive that came back, if its participant has linked another account since, and the partner
    lists no credit of it beyond what it lists as given back. Where the partner contradicted itself about it, it must
    list it as given back after its last word that it was paid.
    """
    found: int | None = await connection.fetchval(
        "SELECT p.id FROM payouts p JOIN incentives i ON i.id = p.incentive JOIN participants t ON t.id = p.participant"
        " JOIN links o ON o.id = p.link_id JOIN links l ON l.id = t.link_id"
        " WHERE p.incentive = $1 AND p.state = 'reversed' AND i.payout = 'reversed' AND NOT i.cancelled"
        " AND (p.released_at IS NULL OR p.released_at <= p.ended_at) AND t.link_active"
        " AND (o.partner, o.account_index) IS DISTINCT FROM (l.partner, l.account_index)"
        " AND NOT EXISTS (SELECT FROM statement_lines s WHERE s.payout = p.id AND s.gone_at IS NULL"
        " HAVING bool_or(s.kind = 'reversal')"
        " AND count(*) FILTER (WHERE s.kind = 'credit') > count(*) FILTER (WHERE s.kind = 'reversal'))"
        " AND (NOT EXISTS"
        " (SELECT FROM cases c WHERE c.payout = p.id AND c.code = 'contradiction')"
        " OR EXISTS (SELECT FROM statement_lines s WHERE s.payout = p.id AND s.gone_at IS NULL AND s.kind = 'reversal'"
        " AND s.booked_at >= (SELECT coalesce(max(o.said_at), '-infinity') FROM observations o"
        " WHERE o.payout = p.id AND o.kind = 'succeeded')))"
        " ORDER BY p.id DESC LIMIT 1",
        incentive,
    )
    return found


async def refused_too_late(connection: Connection, limit: int) -> list[int]:
    """Refusals that wait for a reason or a confirmation which staff never got, of incentives past their deadline."""
    rows = await connection.fetch(
        "SELECT p.id FROM cases c JOIN payouts p ON p.id = c.payout JOIN incentives i ON i.id = p.incentive"
        " WHERE c.closed_at IS NULL AND c.code IN ('reason_missing', 'partner_rejected') AND p.state = 'rejected'"
        " AND p.released_at IS NULL AND p.statements_from IS NULL AND i.past_deadline"
        " AND i.own IN ('reason_missing', 'partner_rejected') ORDER BY p.id LIMIT $1",
        limit,
    )
    return [row["id"] for row in rows]


async def write(connection: Connection, now: datetime, rows: Sequence[PayoutRow]) -> None:
    """Write what may change about payouts back, in one statement."""
    await connection.execute(
        """
        UPDATE payouts AS p SET state = n.state, attempt = n.attempt, refusals = n.refusals,
            partner_reference = n.partner_reference, first_sent_at = n.first_sent_at, sent_at = n.sent_at,
            sent_deadline = n.sent_deadline, next_at = n.next_at, looks = n.looks, reason = n.reason,
            technical = n.technical, reason_due_at = n.reason_due_at, confirmed_at = n.confirmed_at,
            statements_from = n.statements_from,
            withdrawing = n.withdrawing,
            released_at = n.released_at, lease_until = n.lease_until, leased_by = n.leased_by, ended_at = n.ended_at,
            updated_at = $2
        FROM json_to_recordset($1::text::json)
             AS n (id bigint, state text, attempt int, refusals int, partner_reference text, first_sent_at timestamptz,
                   sent_at timestamptz, sent_deadline timestamptz, next_at timestamptz, looks int, reason text,
                   technical boolean, reason_due_at timestamptz, confirmed_at timestamptz, statements_from timestamptz,
                   withdrawing boolean,
                   released_at timestamptz,
                   lease_until timestamptz, leased_by text, ended_at timestamptz)
        WHERE p.id = n.id
        """,
        as_json(rows),
        now,
    )


async def write_incentives(connection: Connection, now: datetime, rows: Sequence[IncentiveFacts]) -> None:
    """Write the facts that paying changes about incentives; stage, blocker and funnel follow in the database."""
    await connection.execute(
        """
        UPDATE incentives AS i SET payout = n.payout, own = n.own, own_next_at = n.own_next_at, payouts = n.payouts,
            looks = n.looks, facts_at = $2
        FROM json_to_recordset($1::text::json)
             AS n (id bigint, payout text, own text, own_next_at timestamptz, payouts int, looks int)
        WHERE i.id = n.id
        """,
        as_json(rows),
        now,
    )


async def cancel_stopped(connection: Connection, now: datetime, incentives: Collection[int]) -> None:
    """Cancel those whose batch, person or entitlement was stopped while a payout was under way that has come to
    nothing: none follows.
    """
    rows = await connection.fetch(
        "SELECT i.id FROM (SELECT * FROM incentives WHERE id = ANY($1::bigint[]) OFFSET 0) i"
        f" WHERE NOT i.cancelled AND {STOPPED}",
        list(incentives),
    )
    if rows:
        await connection.execute(
            "UPDATE incentives SET cancelled = true, facts_at = $2 WHERE id = ANY($1::bigint[])",
            [row["id"] for row in rows],
            now,
        )


async def plain_hashes(connection: Connection, most: int) -> dict[int, bytes]:
    """Ended payouts of which an earlier version kept the plain hash of their body, locked; those that somebody holds
    are left for another time.
    """
    rows = await connection.fetch(
        "SELECT id, frozen_hash FROM payouts WHERE octet_length(frozen_hash) = 32 AND ended_at IS NOT NULL"
        " ORDER BY id LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED",
        most,
    )
    return {row["id"]: row["frozen_hash"] for row in rows}


async def key_hashes(connection: Connection, hashes: Mapping[int, bytes]) -> None:
    """Keep these in their place."""
    await connection.execute(
        "UPDATE payouts p SET frozen_hash = n.hash FROM unnest($1::bigint[], $2::bytea[]) AS n (id, hash)"
        " WHERE p.id = n.id",
        list(hashes),
        list(hashes.values()),
    )
