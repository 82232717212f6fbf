"""Partners' documents about who an account belongs to: each counts once two people have handed it in."""

from __future__ import annotations

from datetime import datetime

import msgspec

from gateway.storage.base.database import Connection
from gateway.storage.base.rows import into
from gateway.storage.intake.participants import ParticipantRow

PEOPLE = 2


async def give(connection: Connection, person: ParticipantRow, document: str, by: str, now: datetime) -> None:
    """Keep one person's word on the participant's present account; the first one of the same person stands."""
    await connection.execute(
        "INSERT INTO account_proofs (participant, partner, account_index, nik_index, document, given_by, given_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        person.id,
        person.partner,
        person.account_index,
        person.nik_index,
        document,
        by,
        now,
    )


async def givers(connection: Connection, person: ParticipantRow) -> list[str]:
    """Who has handed in a document about the participant's present account and NIK, by time."""
    rows = await connection.fetch(
        "SELECT given_by FROM account_proofs WHERE participant = $1 AND partner = $2 AND account_index = $3"
        " AND nik_index = $4 ORDER BY id",
        person.id,
        person.partner,
        person.account_index,
        person.nik_index,
    )
    return [row["given_by"] for row in rows]


async def given_by_person(connection: Connection, person: ParticipantRow, by: str) -> bool:
    """Whether whoever holds this client has, by whichever client."""
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT FROM unnest($1::text[]) AS g (id) WHERE person_of(g.id) = person_of($2))",
            await givers(connection, person),
            by,
        )
    )


async def proved(connection: Connection, person: ParticipantRow) -> bool:
    """Whether two people have."""
    return len(await givers(connection, person)) >= PEOPLE


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """A link that holds, or held, a token that turned up under another account."""

    link_id: str
    participant: int


async def lock_token(connection: Connection, partner: str, grant_index: bytes) -> None:
    """Until the transaction ends nobody else decides about this token. Before any participant's lock."""
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended($1 || encode($2, 'hex'), 0))", partner, grant_index
    )


async def under_other_accounts(
    connection: Connection, partner: str, grant_index: bytes, account_index: bytes, participant: int
) -> list[Holder]:
    """Links that know this token under another account: in use, believed once, or refused for the very reason. What
    the participant has ended without a match, a mistyped account say, counts no more.
    """
    rows = await connection.fetch(
        """
        SELECT l.id AS link_id, l.participant FROM links l
        WHERE l.partner = $1 AND l.grant_index = $2 AND l.account_index <> $3
          AND (l.state IN ('active', 'unlinking') OR (l.ended_because = 'account_unproved' AND l.participant <> $4)
               OR EXISTS (SELECT FROM verifications v
                          WHERE v.participant = l.participant AND v.link_id = l.id AND v.verdict = 'match'))
        ORDER BY l.id LIMIT 100
        """,
        partner,
        grant_index,
        account_index,
        participant,
    )
    return [into(Holder, row) for row in rows]


async def note_token(connection: Connection, link_id: str, grant_index: bytes) -> None:
    """A refused link remembers which token it was offered, and nothing that opens with it."""
    await connection.execute("UPDATE links SET grant_index = $2 WHERE id = $1", link_id, grant_index)
