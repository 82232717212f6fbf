"""Participants: the facts that decide about all of their incentives. Only these functions write those facts.

Lock order, everywhere: participant, then link and verification, then incentives (a trigger copies facts to them). The
locks are `NO KEY UPDATE`: a payout inserted meanwhile refers to participant and link without waiting for them.
"""

# ruff: noqa: S608 - only names of our own columns are put into SQL

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from contracts.incentive import BlockerCode
from gateway.storage.base.database import Connection
from gateway.storage.base.rows import into


class ParticipantRow(msgspec.Struct, frozen=True, kw_only=True):
    """One participant; who it is stays sealed."""

    id: int
    participant_id: str
    nik_sealed: bytes
    nik_index: bytes
    name_sealed: bytes
    phone_sealed: bytes
    partner: str
    account_sealed: bytes
    account_index: bytes
    link_id: str | None
    link_active: bool
    verified: bool
    verified_until: datetime | None
    standing: str | None
    facts_at: datetime

    def __repr__(self) -> str:
        return f"ParticipantRow({self.id}, link {self.link_id})"


_COLUMNS = ", ".join(ParticipantRow.__struct_fields__)


async def find(connection: Connection, participant_id: str, *, lock: bool = False) -> ParticipantRow | None:
    """The participant the core platform knows under this id; `lock` keeps others off until the transaction ends."""
    text = f"SELECT {_COLUMNS} FROM participants WHERE participant_id = $1" + (" FOR NO KEY UPDATE" if lock else "")
    row = await connection.fetchrow(text, participant_id)
    return None if row is None else into(ParticipantRow, row)


async def stop(connection: Connection, person: ParticipantRow, now: datetime) -> bool:
    """Mark that payments to the participant were stopped; False: they were before, and nothing was approved since."""
    done = await connection.execute(
        "INSERT INTO stopped_people (participant, participant_id, since) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        person.id, person.participant_id, now,
    )  # fmt: skip
    return done == "INSERT 0 1"


async def ids_of(connection: Connection, person: ParticipantRow) -> list[int]:
    """Whom the person is known as, oldest first: `person`, whatever its NIK has become since it was read, and whoever
    else of its organisation has the NIK.
    """
    rows = await connection.fetch(
        "SELECT id FROM participants WHERE nik_index = $2"
        " AND organisation = (SELECT organisation FROM participants WHERE id = $1) UNION SELECT $1 ORDER BY id",
        person.id, person.nik_index,
    )  # fmt: skip
    return [row["id"] for row in rows]


async def get(connection: Connection, participant: int, *, lock: bool = False) -> ParticipantRow:
    """The participant of a link, verification or incentive row."""
    text = f"SELECT {_COLUMNS} FROM participants WHERE id = $1" + (" FOR NO KEY UPDATE" if lock else "")
    row = await connection.fetchrow(text, participant)
    if row is None:
        raise LookupError("a row refers to a participant that does not exist")
    return into(ParticipantRow, row)


async def link_began(connection: Connection, participant: int, link_id: str, now: datetime) -> None:
    """A new link becomes the current one; whatever stood in the way before is lifted."""
    await connection.execute(
        "UPDATE participants SET link_id = $2, link_active = false, verified = false, verified_until = NULL,"
        " standing = $3, facts_at = $4 WHERE id = $1",
        participant,
        link_id,
        BlockerCode.LINK_PENDING.value,
        now,
    )


async def link_granted(connection: Connection, participant: int, link_id: str, now: datetime) -> bool:
    """The current link is active; its NIK is still to be verified. False: it is no longer the current one."""
    done = await connection.execute(
        "UPDATE participants SET link_active = true, verified = false, verified_until = NULL, standing = NULL,"
        " facts_at = $3 WHERE id = $1 AND link_id = $2",
        participant,
        link_id,
        now,
    )
    return str(done) == "UPDATE 1"


async def link_ended(
    connection: Connection, participant: int, link_id: str, standing: BlockerCode, now: datetime
) -> bool:
    """The current link gives no access any more, and why. False: it is no longer the current one, nothing changed."""
    done = await connection.execute(
        "UPDATE participants SET link_active = false, verified = false, verified_until = NULL, standing = $3,"
        " facts_at = $4 WHERE id = $1 AND link_id = $2",
        participant,
        link_id,
        standing.value,
        now,
    )
    return str(done) == "UPDATE 1"


async def half_done_no_more(connection: Connection, partner: str, account_index: bytes, now: datetime) -> None:
    """Whoever was told that a link to this account stands half done may begin again: there is nothing to release."""
    await connection.execute(
        "UPDATE participants SET standing = $3, facts_at = $4"
        " WHERE partner = $1 AND account_index = $2 AND standing = $5",
        partner,
        account_index,
        BlockerCode.LINK_REQUIRED.value,
        now,
        BlockerCode.LINK_HALF_DONE.value,
    )


async def verified(connection: Connection, participant: int, link_id: str, until: datetime, now: datetime) -> bool:
    """The NIK matched under the current, active link. False: that is no longer so, nothing changed."""
    done = await connection.execute(
        "UPDATE participants SET verified = true, verified_until = $3, standing = NULL, facts_at = $4"
        " WHERE id = $1 AND link_id = $2 AND link_active",
        participant,
        link_id,
        until,
        now,
    )
    return str(done) == "UPDATE 1"


async def not_verified(
    connection: Connection, participant: int, link_id: str, standing: BlockerCode | None, now: datetime
) -> bool:
    """What a verification, a look at the link or a payout found holds for all of the participant's incentives; None
    for a verdict that is being asked for again. False: it is about a link that is no longer the current one.
    """
    done = await connection.execute(
        "UPDATE participants SET verified = false, verified_until = NULL, standing = $3, facts_at = $4"
        " WHERE id = $1 AND link_id = $2",
        participant,
        link_id,
        standing.value if standing else None,
        now,
    )
    return str(done) == "UPDATE 1"


async def with_account(connection: Connection, partner: str, account_index: bytes) -> list[ParticipantRow]:
    """Whoever has this account declared and linked."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM participants WHERE partner = $1 AND account_index = $2 AND link_active ORDER BY id",
        partner,
        account_index,
    )
    return [into(ParticipantRow, row) for row in rows]


async def unsure(connection: Connection, participant: int, now: datetime) -> None:
    """The participant's match counts no more until it is said again; where somebody has the row at this moment, who may
    wait for what the caller has, it stands.
    """
    await connection.execute(
        "UPDATE participants SET verified = false, verified_until = NULL, standing = NULL, facts_at = $2 WHERE id ="
        " (SELECT id FROM participants WHERE id = $1 AND verified FOR NO KEY UPDATE SKIP LOCKED)",
        participant,
        now,
    )


async def expired(connection: Connection, now: datetime, limit: int) -> list[int]:
    """Participants whose verdict has become too old."""
    rows = await connection.fetch(
        "SELECT id FROM participants WHERE verified AND verified_until <= $1 ORDER BY verified_until LIMIT $2",
        now,
        limit,
    )
    return [row["id"] for row in rows]


async def payout_open(connection: Connection, participant: int) -> bool:
    """Whether a payout is on its way; none can begin unseen until the caller's transaction ends."""
    rows = await connection.fetch("SELECT payout FROM incentives WHERE participant = $1 FOR NO KEY UPDATE", participant)
    return any(row["payout"] == "open" for row in rows)


async def change_account(
    connection: Connection,
    participant: int,
    *,
    partner: str,
    account_sealed: bytes,
    account_index: bytes,
    now: datetime,
) -> None:
    """Another account, perhaps at another partner: neither link nor verdict carries over; what is not paid yet is to
    be paid there.
    """
    await connection.execute(
        "UPDATE participants SET partner = $2, account_sealed = $3, account_index = $4,"
        " link_id = NULL, link_active = false, verified = false, verified_until = NULL, standing = $5, facts_at = $6,"
        " corrected_at = $6 WHERE id = $1",
        participant,
        partner,
        account_sealed,
        account_index,
        BlockerCode.LINK_REQUIRED.value,
        now,
    )
    await connection.execute(
        "UPDATE incentives SET partner = $2 WHERE participant = $1 AND partner <> $2 AND NOT cancelled"
        " AND payout IS DISTINCT FROM 'succeeded'",
        participant,
        partner,
    )


async def change_contact(
    connection: Connection,
    participant: int,
    field: Literal["name", "phone"],
    sealed: bytes,
    index: bytes,
    now: datetime,
) -> bool:
    """Another name or phone; whether it was another one."""
    done = await connection.execute(
        f"UPDATE participants SET {field}_sealed = $2, {field}_index = $3, corrected_at = $4 WHERE id = $1"
        f" AND {field}_index IS DISTINCT FROM $3",
        participant,
        sealed,
        index,
        now,
    )
    return str(done) == "UPDATE 1"


async def change_nik(connection: Connection, participant: int, sealed: bytes, index: bytes, now: datetime) -> None:
    """Another NIK, of everything that is the participant's: what was paid was paid to who holds it."""
    await connection.execute(
        "UPDATE participants SET nik_sealed = $2, nik_index = $3, corrected_at = $4 WHERE id = $1",
        participant,
        sealed,
        index,
        now,
    )
    await connection.execute("UPDATE incentives SET nik_index = $2 WHERE participant = $1", participant, index)
    await connection.execute("DELETE FROM nik_corrections WHERE participant = $1", participant)


class InstalmentHolder(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds an instalment under a NIK."""

    participant_id: str
    incentive: int
    ours: bool
    """Of the same organisation; what is another's is not told."""


async def instalment_of_another(connection: Connection, participant: int, nik_index: bytes) -> InstalmentHolder | None:
    """Who else holds one of the participant's instalments under this NIK, and which incentive."""
    row = await connection.fetchrow(
        "SELECT o.participant_id, o.id AS incentive, o.organisation = i.organisation AS ours"
        " FROM (SELECT * FROM incentives WHERE nik_index = $2 AND NOT cancelled"
        " UNION ALL SELECT * FROM incentives WHERE nik_index = $2 AND cancelled AND payout = 'succeeded') o"
        " JOIN (SELECT * FROM incentives WHERE participant = $1 AND NOT cancelled OFFSET 0) i"
        " USING (programme, purpose, period) WHERE o.participant <> $1 ORDER BY o.id LIMIT 1",
        participant,
        nik_index,
    )
    return None if row is None else into(InstalmentHolder, row)


async def paid_and_erased(connection: Connection, participant: int, nik_index: bytes) -> bool:
    """Whether one of the participant's instalments was paid under this NIK to somebody who was erased since."""
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT FROM incentives i JOIN erased_and_paid e"
            " ON e.mark = instalment_mark($2, i.programme, i.purpose, i.period)"
            " WHERE i.participant = $1 AND NOT i.cancelled)",
            participant,
            nik_index,
        )
    )


async def was_paid(connection: Connection, participant: int) -> bool:
    """Whether the participant was ever paid, also where it came back."""
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT FROM incentives WHERE participant = $1 AND payout IN ('succeeded', 'reversed'))"
            " OR EXISTS (SELECT FROM payouts"
            " WHERE incentive = ANY(ARRAY(SELECT id FROM incentives WHERE participant = $1))"
            " AND state IN ('succeeded', 'reversed'))",
            participant,
        )
    )


class NikCorrection(msgspec.Struct, frozen=True, kw_only=True):
    """One client's word on another NIK of somebody who was paid."""

    nik_index: bytes
    asked_by: str
    asked_at: datetime


async def nik_correction(connection: Connection, participant: int) -> NikCorrection | None:
    """What waits for a second client's word."""
    row = await connection.fetchrow(
        "SELECT nik_index, asked_by, asked_at FROM nik_corrections WHERE participant = $1", participant
    )
    return None if row is None else into(NikCorrection, row)


async def ask_nik(connection: Connection, participant: int, nik_index: bytes, asked_by: str, now: datetime) -> None:
    """Keep one client's word; a newer one takes the place of an older one."""
    await connection.execute(
        "INSERT INTO nik_corrections VALUES ($1, $2, $3, $4) ON CONFLICT (participant) DO UPDATE"
        " SET nik_index = excluded.nik_index, asked_by = excluded.asked_by, asked_at = excluded.asked_at",
        participant,
        nik_index,
        asked_by,
        now,
    )


async def forget_nik_corrections(connection: Connection, before: datetime, limit: int) -> int:
    """Drop words that nobody has confirmed; how many."""
    done = await connection.execute(
        "DELETE FROM nik_corrections WHERE participant IN (SELECT participant FROM nik_corrections"
        " WHERE asked_at < $1 ORDER BY asked_at LIMIT $2)",
        before,
        limit,
    )
    return int(done.split()[-1])
