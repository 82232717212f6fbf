"""Account links: every change of state is one compare-and-set along `LINK_TRANSITIONS`."""

# ruff: noqa: S608 - only names of our own columns are put into SQL

from __future__ import annotations

from datetime import datetime

import msgspec

from contracts.linking import LINK_TRANSITIONS, LIVE_LINKS, LinkState
from gateway.storage.base.database import Connection


class LinkRow(msgspec.Struct, frozen=True, kw_only=True):
    """One link; what is personal or secret stays sealed or hashed."""

    id: str
    participant: int
    client_id: str
    partner: str
    account_index: bytes
    account_sealed: bytes
    state: LinkState
    challenge_no: int
    connect_hash: bytes | None
    state_hash: bytes | None
    cookie_hash: bytes | None
    return_url: str
    opens_until: datetime | None
    lives_until: datetime | None
    wants: list[str]
    carry_sealed: bytes | None
    grant_sealed: bytes | None
    grant_index: bytes | None
    grant_expires_at: datetime | None
    proved_at: datetime | None
    doubted_at: datetime | None
    """Since when the partner refuses its token; it is over once the partner still says so a day later."""
    health_due_at: datetime | None
    ended_because: str | None
    partner_code: str | None
    unanswered: bool
    last_input_wrong: bool
    answers: int
    refresh_at: datetime | None
    unlink_due_at: datetime | None
    unlink_tries: int
    created_at: datetime
    updated_at: datetime

    def __repr__(self) -> str:
        return f"LinkRow({self.id} {self.state.value})"


_COLUMNS = ", ".join(LinkRow.__struct_fields__)
_LIVE = [state.value for state in LIVE_LINKS]


def _row(record: object) -> LinkRow:
    values = dict(record)  # type: ignore[call-overload]
    return LinkRow(**{**values, "state": LinkState(values["state"])})


async def insert(
    connection: Connection,
    *,
    link_id: str,
    participant: int,
    client_id: str,
    partner: str,
    account_index: bytes,
    account_sealed: bytes,
    connect_hash: bytes,
    return_url: str,
    opens_until: datetime,
    now: datetime,
) -> LinkRow:
    """A new link with its first challenge; the caller holds the participant's lock."""
    record = await connection.fetchrow(
        "INSERT INTO links (id, participant, client_id, partner, account_index, account_sealed, state, connect_hash,"
        " return_url, opens_until, created_at, updated_at)"
        f" VALUES ($1, $2, $3, $4, $5, $6, 'challenged', $7, $8, $9, $10, $10) RETURNING {_COLUMNS}",
        link_id, participant, client_id, partner, account_index, account_sealed, connect_hash, return_url, opens_until,
        now,
    )  # fmt: skip
    return _row(record)


async def get(connection: Connection, link_id: str, *, lock: bool = False) -> LinkRow | None:
    """The link with this id; `lock` keeps others off until the transaction ends."""
    text = f"SELECT {_COLUMNS} FROM links WHERE id = $1" + (" FOR NO KEY UPDATE" if lock else "")
    record = await connection.fetchrow(text, link_id)
    return None if record is None else _row(record)


async def by_connect(connection: Connection, connect_hash: bytes) -> LinkRow | None:
    """The link whose present challenge has this token."""
    record = await connection.fetchrow(f"SELECT {_COLUMNS} FROM links WHERE connect_hash = $1", connect_hash)
    return None if record is None else _row(record)


async def by_state(connection: Connection, state_hash: bytes) -> LinkRow | None:
    """The link that sent a browser to the partner with this state."""
    record = await connection.fetchrow(f"SELECT {_COLUMNS} FROM links WHERE state_hash = $1", state_hash)
    return None if record is None else _row(record)


async def live(connection: Connection, participant: int) -> LinkRow | None:
    """The participant's one link that has not ended."""
    record = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM links WHERE participant = $1 AND state = ANY($2)",
        participant,
        _LIVE,
    )
    return None if record is None else _row(record)


async def recent(connection: Connection, participant: int, limit: int) -> list[LinkRow]:
    """The participant's links, newest first."""
    records = await connection.fetch(
        f"SELECT {_COLUMNS} FROM links WHERE participant = $1 ORDER BY created_at DESC, id DESC LIMIT $2",
        participant,
        limit,
    )
    return [_row(record) for record in records]


async def begun_lately(connection: Connection, link: LinkRow, since: datetime) -> tuple[int, datetime | None]:
    """How often linking was begun since then for the link's person or account, each time perhaps with an SMS, and the
    first of these times.
    """
    row = await connection.fetchrow(
        "SELECT coalesce(sum(challenge_no), 0) AS times, min(created_at) AS first FROM links"
        " WHERE created_at > $4 AND lives_until IS NOT NULL AND id <> $5"
        " AND (participant = $1 OR (partner = $2 AND account_index = $3))",
        link.participant,
        link.partner,
        link.account_index,
        since,
        link.id,
    )
    assert row is not None
    return row["times"] + link.challenge_no - 1, row["first"]


async def move(
    connection: Connection, link: LinkRow, after: LinkState, now: datetime, **changes: object
) -> LinkRow | None:
    """Take the link from the state it was read in to `after`, with what changes along; None: someone else was first.

    The same state may be kept. A challenge or form that is no longer the one that was read counts as someone else's.
    """
    if after is not link.state and after not in LINK_TRANSITIONS[link.state]:
        raise ValueError(f"a link does not go {link.state.value} -> {after.value}")
    values: list[object] = [link.id, link.state.value, link.challenge_no, link.answers, after.value, now]
    assignments = ["state = $5", "updated_at = $6"]
    for name, value in changes.items():
        if name not in LinkRow.__struct_fields__:
            raise ValueError(f"links have no column {name}")
        values.append(value)
        assignments.append(f"{name} = ${len(values)}")
    record = await connection.fetchrow(
        f"UPDATE links SET {', '.join(assignments)} WHERE id = $1 AND state = $2 AND challenge_no = $3"
        f" AND answers = $4 RETURNING {_COLUMNS}",
        *values,
    )
    return None if record is None else _row(record)


async def begun(
    connection: Connection,
    link: LinkRow,
    now: datetime,
    *,
    state_hash: bytes | None,
    wants: list[str],
    carry_sealed: bytes | None,
) -> LinkRow | None:
    """Keep what the first step at the partner brought; None: the link was begun before, or ended meanwhile."""
    record = await connection.fetchrow(
        "UPDATE links SET state_hash = $3, wants = $4, carry_sealed = $5, updated_at = $6"
        " WHERE id = $1 AND state = 'opened' AND challenge_no = $2 AND state_hash IS NULL AND wants = '{}'"
        f" RETURNING {_COLUMNS}",
        link.id,
        link.challenge_no,
        state_hash,
        wants,
        carry_sealed,
        now,
    )
    return None if record is None else _row(record)


async def overdue(connection: Connection, now: datetime, exchange_before: datetime, limit: int) -> list[LinkRow]:
    """Links whose time is over: never opened, never finished, stuck in an exchange, or never given back."""
    records = await connection.fetch(
        f"""
        (SELECT {_COLUMNS} FROM links WHERE state = 'challenged' AND opens_until <= $1 ORDER BY opens_until LIMIT $3)
        UNION ALL
        (SELECT {_COLUMNS} FROM links WHERE state = 'opened' AND lives_until <= $1 ORDER BY lives_until LIMIT $3)
        UNION ALL
        (SELECT {_COLUMNS} FROM links WHERE state = 'exchanging' AND updated_at <= $2 LIMIT $3)
        UNION ALL
        (SELECT {_COLUMNS} FROM links WHERE state = 'unlinking' AND unlink_due_at IS NULL AND lives_until <= $1
         LIMIT $3)
        """,
        now,
        exchange_before,
        limit,
    )
    return [_row(record) for record in records]


_NOT_IN_A_CROWD = (
    "NOT EXISTS (SELECT FROM holds h WHERE h.partner = links.partner AND h.stage = 'proof' AND h.kind = 'brake'"
    " AND h.released_at IS NULL)"
)
"""While a crowd of links is in doubt, no grant is renewed but to see whether the partner is back."""


async def lease_health(connection: Connection, now: datetime, until: datetime, limit: int) -> list[LinkRow]:
    """Active links that are to be looked at, put off until `until` for others."""
    records = await connection.fetch(
        "UPDATE links SET health_due_at = $2 WHERE id IN (SELECT id FROM links WHERE health_due_at <= $1"
        " ORDER BY health_due_at LIMIT $3 FOR UPDATE SKIP LOCKED)"
        f" RETURNING {_COLUMNS}",
        now,
        until,
        limit,
    )
    return [_row(record) for record in records]


async def looked_at(connection: Connection, link_id: str, leased_until: datetime | None) -> None:
    """The look is done; a hint that came while it was made asks for another."""
    await connection.execute(
        "UPDATE links SET health_due_at = NULL WHERE id = $1 AND health_due_at = $2", link_id, leased_until
    )


async def look_due(connection: Connection, partner: str, grant_index: bytes, now: datetime) -> bool:
    """A hint about a customer token: have its active links looked at. False: no link ever held that token."""
    records = await connection.fetch(
        "UPDATE links SET health_due_at = CASE WHEN state = 'active' THEN $3::timestamptz END"
        " WHERE partner = $1 AND grant_index = $2 RETURNING id",
        partner,
        grant_index,
        now,
    )
    return bool(records)


async def by_grant(connection: Connection, partner: str, grant_index: bytes) -> list[LinkRow]:
    """All links that ever held this customer token."""
    records = await connection.fetch(
        f"SELECT {_COLUMNS} FROM links WHERE partner = $1 AND grant_index = $2 ORDER BY id LIMIT 100",
        partner,
        grant_index,
    )
    return [_row(record) for record in records]


async def proved(connection: Connection, link_id: str, now: datetime) -> None:
    """A READ under the customer's token worked: the link is in no doubt."""
    await connection.execute(
        "UPDATE links SET proved_at = $2, doubted_at = NULL WHERE id = $1 AND state = 'active'", link_id, now
    )


async def lease_refresh(connection: Connection, now: datetime, until: datetime, limit: int) -> list[LinkRow]:
    """Active links whose grant is near its end, put off until `until` for others."""
    records = await connection.fetch(
        "UPDATE links SET refresh_at = $2 WHERE id IN (SELECT id FROM links WHERE state = 'active'"
        f" AND refresh_at <= $1 AND doubted_at IS NULL AND {_NOT_IN_A_CROWD}"
        " ORDER BY refresh_at LIMIT $3 FOR UPDATE SKIP LOCKED)"
        f" RETURNING {_COLUMNS}",
        now,
        until,
        limit,
    )
    return [_row(record) for record in records]


async def refreshed(
    connection: Connection,
    link: LinkRow,
    *,
    grant_sealed: bytes,
    grant_index: bytes,
    grant_expires_at: datetime | None,
    refresh_at: datetime | None,
    now: datetime,
) -> bool:
    """A fresh grant in the place of the one that was read; False: someone else has replaced it already."""
    done = await connection.execute(
        "UPDATE links SET grant_sealed = $3, grant_index = $4, grant_expires_at = $5, refresh_at = $6, updated_at = $7,"
        " doubted_at = NULL"
        " WHERE id = $1 AND grant_sealed IS NOT NULL"
        " AND (grant_index, grant_expires_at) IS NOT DISTINCT FROM ($2::bytea, $8::timestamptz)",
        link.id,
        link.grant_index,
        grant_sealed,
        grant_index,
        grant_expires_at,
        refresh_at,
        now,
        link.grant_expires_at,
    )
    return str(done) == "UPDATE 1"


async def lease_unlinking(connection: Connection, now: datetime, until: datetime, limit: int) -> list[LinkRow]:
    """Links to give back to the partner now, put off until `until` for others."""
    records = await connection.fetch(
        "UPDATE links SET unlink_due_at = $2 WHERE id IN (SELECT id FROM links WHERE state = 'unlinking'"
        " AND unlink_due_at <= $1 ORDER BY unlink_due_at LIMIT $3 FOR UPDATE SKIP LOCKED)"
        f" RETURNING {_COLUMNS}",
        now,
        until,
        limit,
    )
    return [_row(record) for record in records]


async def waiting_accounts(connection: Connection, limit: int) -> list[tuple[str, bytes]]:
    """Accounts that a link waits for and that something can be decided about: another participant's match holds them,
    or none of our links does.
    """
    records = await connection.fetch(
        """
        SELECT DISTINCT w.partner, w.account_index FROM links w
        LEFT JOIN account_owners o USING (partner, account_index)
        WHERE w.state = 'waiting' AND ((o.participant IS NOT NULL AND o.participant <> w.participant) OR NOT EXISTS (
            SELECT FROM links h WHERE h.partner = w.partner AND h.account_index = w.account_index
            AND h.state IN ('challenged', 'opened', 'exchanging', 'active', 'unlinking')))
        LIMIT $1
        """,
        limit,
    )
    return [(record["partner"], record["account_index"]) for record in records]


async def waiting_for(connection: Connection, partner: str, account_index: bytes) -> list[LinkRow]:
    """The links that wait for an account, the longest first."""
    records = await connection.fetch(
        f"SELECT {_COLUMNS} FROM links WHERE state = 'waiting' AND partner = $1 AND account_index = $2"
        " ORDER BY created_at, id LIMIT 100",
        partner,
        account_index,
    )
    return [_row(record) for record in records]


async def held_by_us(connection: Connection, partner: str, account_index: bytes) -> bool:
    """Whether one of our links holds the account, or may be about to."""
    held: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM links WHERE partner = $1 AND account_index = $2"
        " AND state IN ('challenged', 'opened', 'exchanging', 'active', 'unlinking'))",
        partner,
        account_index,
    )
    return held


async def unanswered(connection: Connection, link: LinkRow) -> str | None:
    """The newest link to this account whose exchange was left without an answer; None where another one of ours holds
    the account, or there is no such link.
    """
    found: str | None = await connection.fetchval(
        "SELECT u.id FROM links u WHERE u.partner = $1 AND u.account_index = $2 AND u.unanswered AND NOT EXISTS"
        " (SELECT FROM links h WHERE h.partner = $1 AND h.account_index = $2 AND h.id <> $3"
        " AND h.state IN ('exchanging', 'active', 'unlinking')) ORDER BY u.created_at DESC, u.id DESC LIMIT 1",
        link.partner,
        link.account_index,
        link.id,
    )
    return found


async def answered(connection: Connection, link: LinkRow) -> list[str]:
    """The account is linked now: what was left without an answer before is no question any more."""
    rows = await connection.fetch(
        "UPDATE links SET unanswered = false WHERE partner = $1 AND account_index = $2 AND unanswered RETURNING id",
        link.partner,
        link.account_index,
    )
    return [row["id"] for row in rows]


async def others_on_grant(connection: Connection, link: LinkRow) -> bool:
    """Whether another link lives on the same customer token (decision G4)."""
    shared: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM links WHERE partner = $1 AND grant_index = $2 AND id <> $3"
        " AND state IN ('active', 'unlinking'))",
        link.partner,
        link.grant_index,
        link.id,
    )
    return shared
