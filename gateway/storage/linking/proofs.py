"""Partners' documents about who an account belongs to: each counts once two people have handed it in."""

# ruff: noqa: S608 - only our own constants are put into SQL

from __future__ import annotations

from datetime import datetime

import msgspec

from gateway.storage.base.database import Connection
from gateway.storage.base.rows import into
from gateway.storage.intake.participants import ParticipantRow

_OF = "(participant, partner, account_index, nik_index) = ($1, $2, $3, $4)"
_STANDS = "NOT EXISTS (SELECT FROM clients c WHERE c.id = a.given_by AND c.disabled_at IS NOT NULL)"


async def give(connection: Connection, person: ParticipantRow, document: str, by: str, now: datetime) -> None:
    """Keep one person's word on the participant's present account; with that of another person whose client is enabled
    still it makes a proof.
    """
    await connection.execute(
        "INSERT INTO account_proofs (participant, partner, account_index, nik_index, document, given_by, given_at,"
        " seconds) VALUES ($1, $2, $3, $4, $5, $6, $7, (SELECT min(a.id) FROM account_proofs a"
        f" WHERE {_OF} AND person_of(a.given_by) <> person_of($6) AND {_STANDS})) ON CONFLICT DO NOTHING",
        *_of(person),
        document,
        by,
        now,
    )


def _of(person: ParticipantRow) -> tuple[object, ...]:
    """Of what account and NIK a word speaks, as `_OF` has it."""
    return person.id, person.partner, person.account_index, person.nik_index


async def givers(connection: Connection, person: ParticipantRow) -> list[str]:
    """Whose words on the participant's present account and NIK count, or made the proof, by time."""
    rows = await connection.fetch(
        f"SELECT a.given_by FROM account_proofs a WHERE {_OF} AND ({_STANDS} OR a.seconds IS NOT NULL"
        " OR EXISTS (SELECT FROM account_proofs s WHERE s.seconds = a.id)) ORDER BY a.id",
        *_of(person),
    )
    return [row["given_by"] for row in rows]


async def given_by_person(connection: Connection, person: ParticipantRow, by: str) -> bool:
    """Whether whoever holds this client has, by a client that counts."""
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT FROM unnest($1::text[]) AS g (id) WHERE person_of(g.id) = person_of($2))",
            await givers(connection, person),
            by,
        )
    )


async def proved(connection: Connection, person: ParticipantRow) -> bool:
    """Whether two people have."""
    return bool(
        await connection.fetchval(
            f"SELECT EXISTS (SELECT FROM account_proofs WHERE {_OF} AND seconds IS NOT NULL)", *_of(person)
        )
    )


class TokenHolder(msgspec.Struct, frozen=True, kw_only=True):
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
) -> list[TokenHolder]:
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
    return [into(TokenHolder, row) for row in rows]


async def note_token(connection: Connection, link_id: str, grant_index: bytes) -> None:
    """A refused link remembers which token it was offered, and nothing that opens with it."""
    await connection.execute("UPDATE links SET grant_index = $2 WHERE id = $1", link_id, grant_index)
