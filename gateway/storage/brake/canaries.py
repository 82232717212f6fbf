"""People known good, by whom is found out whether a held partner is right: chosen, spared, and asked again."""

from __future__ import annotations

from datetime import datetime

from contracts.brake import GOOD_FOR_S, ONCE_S
from gateway.storage.base.database import Connection
from gateway.storage.base.ids import new_id
from gateway.storage.brake.batches import latest_of
from gateway.storage.linking import verifications

_AMONG = 250
"""Of so many of the last ones matched some are chosen: enough for four hours of a hold."""


async def check_known_good(
    connection: Connection, now: datetime, partner: str, limit: int, *, not_of: str | None = None
) -> int:
    """Have the NIK of some people checked whom the partner matched lately, the last ones first, as they are most like
    those who are refused; each once a day at most, and before everybody who waits. `not_of`: not of this
    batch. How many there were.
    """
    rows = await connection.fetch(
        "SELECT p.id, p.link_id, p.nik_index FROM participants p WHERE p.id = ANY(ARRAY("  # noqa: S608 - constants
        " SELECT id FROM participants WHERE verified AND verified_until > $1 AND partner = $2"
        " ORDER BY verified_until DESC LIMIT $6)) AND p.verified"
        " AND EXISTS (SELECT FROM links l WHERE l.id = p.link_id AND l.partner = $2 AND l.state = 'active'"
        " AND l.doubted_at IS NULL OFFSET 0)"
        " AND EXISTS (SELECT FROM verifications v WHERE v.participant = p.id AND v.link_id = p.link_id"
        " AND v.verdict = 'match' AND v.decided_at > $1::timestamptz - make_interval(secs => $3) OFFSET 0)"
        " AND NOT EXISTS (SELECT FROM verifications v WHERE v.participant = p.id AND v.canary"
        " AND v.created_at > $1::timestamptz - make_interval(secs => $4) OFFSET 0)"
        " AND NOT EXISTS (SELECT FROM verifications v WHERE v.link_id = p.link_id AND v.state = 'open' OFFSET 0)"
        f" AND ($7::text IS NULL OR {latest_of('p.id')} IS DISTINCT FROM $7)"
        " ORDER BY p.verified_until DESC, p.id LIMIT $5 FOR NO KEY UPDATE OF p SKIP LOCKED",
        now,
        partner,
        GOOD_FOR_S,
        ONCE_S,
        limit,
        _AMONG,
        not_of,
    )
    for row in rows:
        await connection.execute(
            "INSERT INTO verifications (id, participant, link_id, nik_index, state, next_attempt_at, created_at,"
            " canary) VALUES ($1, $2, $3, $4, 'open', least($5, (SELECT min(next_attempt_at) FROM verifications"
            " WHERE state = 'open' AND partner = $6) - interval '1 second'), $5, true)"
            " ON CONFLICT (link_id) WHERE state = 'open' DO NOTHING",
            await new_id(connection, now),
            row["id"],
            row["link_id"],
            row["nik_index"],
            now,
            partner,
        )
    return len(rows)


async def ask_the_spared(connection: Connection, now: datetime, partner: str, since: datetime) -> None:
    """Ask again about those who were refused when they were asked about for a hold's sake, and kept what they had."""
    rows = await connection.fetch(
        "SELECT p.id, p.link_id, p.nik_index FROM participants p JOIN links l ON l.id = p.link_id"
        " WHERE l.state = 'active' AND (p.id, p.link_id) IN (SELECT v.participant, v.link_id FROM verifications v"
        " WHERE v.canary AND v.state = 'dropped' AND v.partner = $1 AND v.decided_at >= $2"
        " AND NOT EXISTS (SELECT FROM verifications n WHERE n.participant = v.participant AND n.id > v.id))"
        " ORDER BY p.id FOR NO KEY UPDATE OF p",
        partner,
        since,
    )
    for row in rows:
        await verifications.open_for(connection, row["id"], row["link_id"], row["nik_index"], now)


async def look_at_good_links(connection: Connection, now: datetime, partner: str, limit: int) -> None:
    """Have some links looked at that the partner took lately and that are in no doubt, the longest ago first."""
    await connection.execute(
        "UPDATE links l SET health_due_at = $1 FROM (SELECT l.id FROM links l JOIN participants p ON p.link_id = l.id"
        " WHERE l.partner = $2 AND l.state = 'active' AND l.doubted_at IS NULL AND p.verified"
        " AND l.proved_at > $1::timestamptz - make_interval(secs => $3)"
        " ORDER BY l.proved_at, l.id LIMIT $4 FOR NO KEY UPDATE OF l SKIP LOCKED) w WHERE l.id = w.id",
        now,
        partner,
        GOOD_FOR_S,
        limit,
    )
