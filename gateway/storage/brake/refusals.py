"""Refusals of people, and the streams in which they are weighed.

A stream is not kept answer by answer: each refusal notes how many good answers came before it, which is all that is
needed to say how many refusals are among the last n, and good answers cost one counter for a whole group.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from contracts.brake import LOOKS_S, ONCE_S, RING, RING_LIFE_S
from contracts.hold import HoldStage
from contracts.incentive import BlockerCode
from gateway.storage.base.database import Connection
from gateway.storage.base.unconfirmed import UNCONFIRMED
from gateway.storage.brake.batches import latest_of
from gateway.storage.linking import verifications

FENCE = 2_027
"""First key of the advisory lock under which one stage's refusals are weighed; the second is a hash of its name."""
_SLOTS = 16


class NewRefusal(NamedTuple):
    """One answer that ends something for a person."""

    partner: str
    stage: HoldStage
    known: bool
    participant: int
    account_index: bytes
    code: BlockerCode
    partner_code: str | None
    look: bool = False
    """It answers a payout that was tried again for an earlier refusal."""
    good_at: datetime | None = None
    """When the partner last said something good of the same person and account."""


class Added(NamedTuple):
    """A refusal that was stored."""

    since: datetime
    """When it was said first, with nothing good said in between."""
    doubted_at: datetime | None
    """Since when the batch that named the person last is in doubt."""


async def lock_stage(connection: Connection, partner: str, stage: HoldStage) -> None:
    """Until the end of the transaction nobody else weighs this partner's answers at this stage."""
    await connection.execute("SELECT pg_advisory_xact_lock($1, hashtext($2))", FENCE, f"{partner} {stage.value}")


async def add(connection: Connection, now: datetime, said: NewRefusal, looks_s: Sequence[float]) -> Added:
    """Store a refusal, and when it is asked about again (`looks_s`; a payout by its incentive, as that is a new
    instruction).

    It is weighed unless its account was in this stage's streams within a day, it is the answer to such a look, or its
    batch is in doubt.
    """
    before = await connection.fetchrow(
        "SELECT coalesce(max(looks), 0) AS looks, coalesce(min(said_at), $5) AS since,"  # noqa: S608 - constants
        f" (SELECT b.doubted_at FROM batches b WHERE b.id = {latest_of('$4::bigint')}) AS doubted_at FROM refusals"
        " WHERE partner = $1 AND stage = $2 AND account_index = $3 AND participant = $4"
        " AND ($7::timestamptz IS NULL OR said_at >= $7) AND said_at > $5::timestamptz - make_interval(secs => $6)",
        said.partner,
        said.stage.value,
        said.account_index,
        said.participant,
        now,
        2 * LOOKS_S[-1],
        said.good_at,
    )
    assert before is not None
    looks, more = before["looks"], said.stage is not HoldStage.PAYOUT and before["looks"] < len(looks_s)
    await connection.execute(
        """
        INSERT INTO refusals (partner, stage, known, participant, account_index, code, partner_code, weighed,
                              good_before, said_at, looks, next_look_at)
        SELECT $1, $2, $3, $4, $5, $6, $7,
            $10 = 0 AND NOT $12 AND $13::timestamptz IS NULL
                AND NOT EXISTS (SELECT FROM refusals WHERE partner = $1 AND stage = $2 AND account_index = $5
                                AND said_at > $8::timestamptz - make_interval(secs => $9)),
            coalesce((SELECT sum(answers) FROM good_answers WHERE partner = $1 AND stage = $2 AND known = $3), 0), $8,
            $10, $11
        """,
        said.partner,
        said.stage.value,
        said.known,
        said.participant,
        said.account_index,
        said.code.value,
        said.partner_code,
        now,
        ONCE_S,
        looks,
        now + timedelta(seconds=looks_s[looks]) if more else None,
        said.look,
        before["doubted_at"],
    )
    return Added(before["since"], before["doubted_at"])


async def look(connection: Connection, now: datetime, limit: int) -> int:
    """Have the partner asked once more about people whose refusal is due for it and still stands; how many were taken
    up. What they were refused for stays until the answer; a held stage is asked when it is held no more.

    Rows here are locked before people's, as by `run` and `lift`; who stores an answer has locked the person and only
    adds a row.
    """
    rows = await connection.fetch(
        "UPDATE refusals r SET looks = looks + 1, next_look_at = NULL FROM ("
        " SELECT r.id FROM refusals r WHERE r.next_look_at <= $1 AND NOT EXISTS (SELECT FROM holds h"
        " WHERE h.partner = r.partner AND h.stage = r.stage AND h.released_at IS NULL)"
        " ORDER BY r.next_look_at LIMIT $2 FOR UPDATE SKIP LOCKED) due WHERE r.id = due.id"
        " RETURNING r.participant, r.stage, r.code, r.account_index, EXISTS (SELECT FROM refusals n"
        " WHERE (n.partner, n.stage, n.account_index, n.participant)"
        " = (r.partner, r.stage, r.account_index, r.participant)"
        " AND n.id > r.id) AS refused_since",
        now,
        limit,
    )
    due = [row for row in rows if not row["refused_since"]]
    await _look_at_links(connection, now, [row["participant"] for row in due if row["stage"] == HoldStage.PROOF.value])
    due = [row for row in due if row["stage"] == HoldStage.VERIFY.value]
    people = await connection.fetch(
        "SELECT p.id, p.link_id, p.nik_index FROM participants p"
        " JOIN unnest($1::bigint[], $2::text[], $3::bytea[]) AS t (participant, code, account_index)"
        " ON p.id = t.participant AND p.standing = t.code AND p.account_index = t.account_index"
        " JOIN links l ON l.id = p.link_id AND l.state = 'active' WHERE NOT p.verified"
        " ORDER BY p.id FOR NO KEY UPDATE OF p",
        [row["participant"] for row in due],
        [row["code"] for row in due],
        [row["account_index"] for row in due],
    )
    for row in people:
        await verifications.open_for(connection, row["id"], row["link_id"], row["nik_index"], now)
    return len(rows)


async def _look_at_links(connection: Connection, now: datetime, people: Sequence[int]) -> None:
    """Have the links of these people looked at that are in doubt, or whose account is blocked."""
    await connection.execute(
        "UPDATE links l SET health_due_at = $1 FROM (SELECT l.id FROM links l"
        " JOIN participants p ON p.id = l.participant AND p.link_id = l.id WHERE p.id = ANY($2::bigint[])"
        " AND l.state = 'active' AND (l.doubted_at IS NOT NULL OR p.standing = 'account_blocked')"
        " ORDER BY l.id FOR NO KEY UPDATE OF l) w WHERE l.id = w.id",
        now,
        list(people),
    )


async def good(connection: Connection, partner: str, stage: HoldStage, *, known: bool, answers: int) -> None:
    """So many good answers more."""
    await connection.execute(
        "INSERT INTO good_answers AS g (partner, stage, known, slot, answers)"
        " VALUES ($1, $2, $3, pg_backend_pid() % $5, $4)"
        " ON CONFLICT (partner, stage, known, slot) DO UPDATE SET answers = g.answers + excluded.answers",
        partner,
        stage.value,
        known,
        answers,
        _SLOTS,
    )


async def good_answers(connection: Connection, partner: str, stage: HoldStage) -> int:
    """Good answers of all streams of a stage so far; only its growth means something."""
    answers: int = await connection.fetchval(
        "SELECT coalesce(sum(answers), 0)::bigint FROM good_answers WHERE partner = $1 AND stage = $2",
        partner,
        stage.value,
    )
    return answers


async def accounts(connection: Connection, links: Sequence[str]) -> dict[str, bytes]:
    """Which account each of these links is for, by its index."""
    rows = await connection.fetch("SELECT id, account_index FROM links WHERE id = ANY($1::text[])", list(links))
    return {row["id"]: row["account_index"] for row in rows}


async def matched_at(
    connection: Connection, now: datetime, partner: str, participant: int, account_index: bytes
) -> datetime | None:
    """When this partner last matched this participant's NIK on this account, before now."""
    found: datetime | None = await connection.fetchval(
        "SELECT max(v.decided_at) FROM verifications v JOIN links l ON l.id = v.link_id WHERE v.participant = $1"
        " AND l.partner = $2 AND l.account_index = $3 AND v.verdict = 'match' AND v.decided_at < $4",
        participant,
        partner,
        account_index,
        now,
    )
    return found


async def ring(connection: Connection, now: datetime, partner: str, stage: HoldStage, *, known: bool) -> list[bool]:
    """The stream's last answers, the newest last: True where refused."""
    rows = await connection.fetch(
        "SELECT good_before FROM refusals WHERE partner = $1 AND stage = $2 AND known = $3 AND weighed"
        " AND said_at > $4::timestamptz - make_interval(secs => $5) ORDER BY id DESC LIMIT $6",
        partner,
        stage.value,
        known,
        now,
        RING_LIFE_S,
        RING,
    )
    after: int = await connection.fetchval(
        "SELECT coalesce(sum(answers), 0)::bigint FROM good_answers WHERE partner = $1 AND stage = $2 AND known = $3",
        partner,
        stage.value,
        known,
    )
    newest_first: list[bool] = []
    for row in rows:
        newest_first += [False] * min(max(after - row["good_before"], 0), RING)
        newest_first.append(True)
        after = row["good_before"]
        if len(newest_first) >= RING:
            break
    return newest_first[:RING][::-1]


async def forgive(connection: Connection, partner: str, stage: HoldStage) -> None:
    """What was said so far is weighed no more: the stage was found sound, and its rings begin anew."""
    await connection.execute(
        "UPDATE refusals SET weighed = false WHERE partner = $1 AND stage = $2 AND weighed", partner, stage.value
    )


async def run(
    connection: Connection,
    now: datetime,
    partner: str,
    stage: HoldStage,
    *,
    since: datetime,
    until: datetime | None = None,
    code: str | None = None,
    limit: int = 1_000,
    in_turn: bool = False,
) -> list[tuple[int, BlockerCode]]:
    """Take up people who were refused in a time and have not been asked again, with what they were refused for, the
    latest first; each refusal is handed out once. `in_turn`: those first of whom the partner was never asked again, or
    longest ago; who is refused anew would else come before everybody, and be the only one asked.
    """
    rows = await connection.fetch(
        "UPDATE refusals r SET asked_again_at = $1, next_look_at = NULL"
        " FROM (SELECT id FROM refusals s WHERE partner = $2 AND stage = $3"
        " AND asked_again_at IS NULL AND said_at >= $4 AND ($5::timestamptz IS NULL OR said_at <= $5)"
        " AND ($6::text IS NULL OR $6 IN (code, partner_code))"
        " ORDER BY CASE WHEN $8 THEN (SELECT max(o.asked_again_at) FROM refusals o WHERE o.partner = s.partner"
        " AND o.stage = s.stage AND o.account_index = s.account_index) END NULLS FIRST, id DESC"
        " LIMIT $7 FOR UPDATE SKIP LOCKED) w"
        " WHERE r.id = w.id RETURNING r.participant, r.code",
        now,
        partner,
        stage.value,
        since,
        until,
        code,
        limit,
        in_turn,
    )
    return [(row["participant"], BlockerCode(row["code"])) for row in rows]


_LIFT_PAYOUTS = f"""
UPDATE incentives i SET own = NULL, own_next_at = NULL, facts_at = $1
FROM (SELECT i.id FROM incentives i JOIN unnest($2::bigint[], $3::text[]) AS t (participant, code)
      ON i.participant = t.participant AND i.own = t.code
      WHERE i.id = ANY(ARRAY(SELECT id FROM incentives WHERE participant = ANY($2::bigint[])))
        AND i.payout IS NULL AND NOT i.cancelled AND NOT {UNCONFIRMED}
      ORDER BY i.id + 0 FOR NO KEY UPDATE OF i) w WHERE i.id = w.id
"""  # noqa: S608 - constants


async def lift(
    connection: Connection, now: datetime, stage: HoldStage, taken: Sequence[tuple[int, BlockerCode]]
) -> None:
    """Take away what these people were refused for, as far as it still stands, and have the partner asked anew."""
    people, codes = [one for one, _ in taken], [code.value for _, code in taken]
    if stage is HoldStage.PROOF:
        await _look_at_links(connection, now, people)
        return
    if stage is HoldStage.LINK:
        await connection.execute(
            "UPDATE participants p SET standing = $1, facts_at = $2 FROM (SELECT p.id FROM participants p"
            " JOIN unnest($3::bigint[], $4::text[]) AS t (participant, code)"
            " ON p.id = t.participant AND p.standing = t.code WHERE NOT p.link_active"
            " ORDER BY p.id FOR NO KEY UPDATE OF p) w WHERE p.id = w.id",
            BlockerCode.LINK_REQUIRED.value,
            now,
            people,
            codes,
        )
        return
    if stage is HoldStage.PAYOUT:
        await connection.execute(
            _LIFT_PAYOUTS,
            now,
            people,
            codes,
        )
        return
    rows = await connection.fetch(
        "UPDATE participants p SET standing = NULL, facts_at = $1"
        " FROM (SELECT p.id FROM participants p JOIN unnest($2::bigint[], $3::text[]) AS t (participant, code)"
        " ON p.id = t.participant AND p.standing = t.code JOIN links l ON l.id = p.link_id AND l.state = 'active'"
        " WHERE NOT p.verified"
        " ORDER BY p.id FOR NO KEY UPDATE OF p) w WHERE p.id = w.id RETURNING p.id, p.link_id, p.nik_index",
        now,
        people,
        codes,
    )
    for row in rows:
        await verifications.open_for(connection, row["id"], row["link_id"], row["nik_index"], now)


async def counted(connection: Connection, partner: str, stage: HoldStage, since: datetime) -> list[tuple[str, int]]:
    """What was said since then, by the partner's own code, the most frequent first."""
    rows = await connection.fetch(
        "SELECT coalesce(partner_code, code) AS word, count(*) AS n FROM refusals"
        " WHERE partner = $1 AND stage = $2 AND said_at >= $3 GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 5",
        partner,
        stage.value,
        since,
    )
    return [(row["word"], row["n"]) for row in rows]


async def purge(connection: Connection, before: datetime, limit: int) -> int:
    """Forget what was said before then."""
    rows = await connection.fetch(
        "DELETE FROM refusals WHERE id IN (SELECT id FROM refusals WHERE said_at < $1 ORDER BY said_at LIMIT $2)"
        " RETURNING id",
        before,
        limit,
    )
    return len(rows)
