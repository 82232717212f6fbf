"""Webhook endpoints, their places in the events, and what waits to be delivered to them."""

# ruff: noqa: S608 - only names of our own columns are put into SQL

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from gateway.storage.base.database import Connection
from gateway.storage.base.rows import into
from gateway.storage.messages.events import Event

Place = tuple[int, int]
"""(tx, seq) of an event."""


class EndpointRow(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint as stored."""

    id: str
    client_id: str
    url: str
    secret_sealed: bytes
    types: list[str]
    created_at: datetime
    disabled_at: datetime | None
    disabled_because: str | None
    old_secret_sealed: bytes | None
    old_until: datetime | None
    tx: int
    seq: int
    replay_tx: int | None
    replay_seq: int | None
    until_tx: int | None
    until_seq: int | None
    failing_since: datetime | None
    failures: int
    last_error: str | None
    organisation: str | None
    """Of its client: whose events it is told."""

    def __repr__(self) -> str:
        return f"EndpointRow({self.id})"


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that was tried in vain, or waits behind one."""

    tx: int
    seq: int
    subject: str
    tries: int
    since: datetime
    next_at: datetime
    error: str | None = None
    dead_at: datetime | None = None


_NUMBERS = ("tx", "replay_tx", "until_tx")
_COLUMNS = ", ".join(
    f"{name}::text::bigint AS {name}" if name in _NUMBERS else name for name in EndpointRow.__struct_fields__[:-1]
)
_COLUMNS += ", (SELECT c.organisation FROM clients c WHERE c.id = w.client_id) AS organisation"
_WAITING = "tx::text::bigint AS tx, seq, subject, tries, since, next_at, error, dead_at"


async def insert(
    connection: Connection,
    endpoint_id: str,
    client_id: str,
    url: str,
    secret: bytes,
    types: Sequence[str],
    now: datetime,
) -> None:
    """A new endpoint; it is told what happens from now on."""
    await connection.execute(
        "INSERT INTO webhook_endpoints (id, client_id, url, secret_sealed, types, created_at, tx)"
        " VALUES ($1, $2, $3, $4, $5, $6, (pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1)::text::xid8)",
        endpoint_id, client_id, url, secret, list(types), now,
    )  # fmt: skip


async def of_client(connection: Connection, client_id: str) -> list[EndpointRow]:
    """A client's endpoints, oldest first."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM webhook_endpoints w WHERE client_id = $1 ORDER BY created_at, id", client_id
    )
    return [into(EndpointRow, row) for row in rows]


async def get(connection: Connection, client_id: str | None, endpoint_id: str) -> EndpointRow | None:
    """One endpoint, locked; None: there is none of this client (any client's, where it is None)."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM webhook_endpoints w WHERE id = $1 AND client_id = coalesce($2, client_id) FOR UPDATE",
        endpoint_id,
        client_id,
    )
    return None if row is None else into(EndpointRow, row)


async def change(
    connection: Connection, endpoint_id: str, url: str | None, types: Sequence[str] | None, now: datetime
) -> None:
    """Another address, that is tried at once, or other types, of which alone something waits from then on; None: as it
    was.
    """
    # Whoever calls it as it was has no say about what it is now.
    await connection.execute(
        "UPDATE webhook_endpoints SET lease_until = NULL, leased_by = NULL WHERE id = $1", endpoint_id
    )
    if types is not None:
        await connection.execute("UPDATE webhook_endpoints SET types = $2 WHERE id = $1", endpoint_id, list(types))
        await connection.execute(
            "DELETE FROM webhook_deliveries d USING events e WHERE d.endpoint = $1 AND d.dead_at IS NULL"
            " AND (e.tx, e.seq) = (d.tx, d.seq) AND cardinality($2::text[]) > 0 AND e.type <> ALL($2::text[])",
            endpoint_id,
            list(types),
        )
    if url is not None:
        await connection.execute(
            "UPDATE webhook_endpoints SET url = $2, failing_since = NULL, failures = 0, next_at = '-infinity'"
            " WHERE id = $1",
            endpoint_id,
            url,
        )
        await _hasten(connection, endpoint_id, now)


async def _hasten(connection: Connection, endpoint_id: str, now: datetime) -> None:
    """Whoever has mended the receiver does not wait for hours more for what was refused until then."""
    await connection.execute(
        "UPDATE webhook_deliveries SET next_at = $2 WHERE endpoint = $1 AND dead_at IS NULL AND next_at > $2",
        endpoint_id,
        now,
    )


async def delete(connection: Connection, endpoint_id: str) -> None:
    """The endpoint, and what waits for it."""
    await connection.execute("DELETE FROM webhook_endpoints WHERE id = $1", endpoint_id)


async def rotate(connection: Connection, endpoint_id: str, secret: bytes, old: bytes, until: datetime) -> None:
    """Another secret; the present one signs too until `until`."""
    await connection.execute(
        "UPDATE webhook_endpoints SET secret_sealed = $2, old_secret_sealed = $3, old_until = $4 WHERE id = $1",
        endpoint_id, secret, old, until,
    )  # fmt: skip


async def replay(connection: Connection, endpoint_id: str, after: Place, until: Place) -> None:
    """Go through a range of events again, beside what is new."""
    await connection.execute(
        "UPDATE webhook_endpoints SET replay_tx = $2::text::xid8, replay_seq = $3, until_tx = $4::text::xid8,"
        " until_seq = $5, next_at = '-infinity' WHERE id = $1",
        endpoint_id, str(after[0]), after[1], str(until[0]), until[1],
    )  # fmt: skip


async def enable(connection: Connection, endpoint_id: str, now: datetime) -> None:
    """Call it (again), from where it was; what waits is tried at once."""
    await connection.execute(
        "UPDATE webhook_endpoints SET disabled_at = NULL, disabled_because = NULL, failing_since = NULL, failures = 0,"
        " next_at = '-infinity' WHERE id = $1",
        endpoint_id,
    )
    await _hasten(connection, endpoint_id, now)


async def behind(connection: Connection, row: EndpointRow) -> Place:
    """From where on it is still to be told: its place, or before that what waits, or a replay that is not through."""
    found = await connection.fetchrow(
        "SELECT tx::text::bigint, seq - 1 FROM webhook_deliveries d WHERE endpoint = $1 AND dead_at IS NULL"
        " ORDER BY d.tx, d.seq LIMIT 1",
        row.id,
    )
    places = [(row.tx, row.seq)]
    if found is not None:
        places.append((int(found[0]), int(found[1])))
    if row.replay_tx is not None and row.replay_seq is not None:
        places.append((row.replay_tx, row.replay_seq))
    return min(places)


async def revive(connection: Connection, endpoint_id: str, now: datetime) -> int:
    """Try its dead letters again, and at once what waits: whoever asks has mended the receiver; how many."""
    await _hasten(connection, endpoint_id, now)
    rows = await connection.fetch(
        "UPDATE webhook_deliveries SET dead_at = NULL, tries = 0, since = $2, next_at = $2"
        " WHERE endpoint = $1 AND dead_at IS NOT NULL RETURNING 1",
        endpoint_id,
        now,
    )
    return len(rows)


async def counts(connection: Connection, endpoint_id: str) -> tuple[int, int]:
    """How many deliveries wait, and how many were given up."""
    row = await connection.fetchrow(
        "SELECT count(*) FILTER (WHERE dead_at IS NULL) AS waiting, count(dead_at) AS dead FROM webhook_deliveries"
        " WHERE endpoint = $1",
        endpoint_id,
    )
    assert row is not None
    return row["waiting"], row["dead"]


async def dead(connection: Connection, endpoint_id: str, after: Place, limit: int) -> list[Waiting]:
    """The next dead letters, in the order of their events."""
    rows = await connection.fetch(
        f"SELECT {_WAITING} FROM webhook_deliveries d WHERE endpoint = $1 AND dead_at IS NOT NULL"
        " AND (d.tx, d.seq) > ($2::text::xid8, $3) ORDER BY d.tx, d.seq LIMIT $4",
        endpoint_id, str(after[0]), after[1], limit,
    )  # fmt: skip
    return [into(Waiting, row) for row in rows]


async def lease(connection: Connection, now: datetime, until: datetime, by: str, limit: int) -> list[EndpointRow]:
    """Endpoints that something is to be delivered to, each for one process at a time. What waits behind another
    delivery of its subject is due with that one.
    """
    rows = await connection.fetch(
        f"""
        UPDATE webhook_endpoints w SET lease_until = $2, leased_by = $3 FROM (
            SELECT w.id FROM webhook_endpoints w JOIN clients c ON c.id = w.client_id
            WHERE w.disabled_at IS NULL AND c.disabled_at IS NULL AND w.next_at <= $1
              AND (w.lease_until IS NULL OR w.lease_until <= $1)
              AND (w.replay_tx IS NOT NULL
                   OR EXISTS (SELECT FROM webhook_deliveries d
                              WHERE d.endpoint = w.id AND d.dead_at IS NULL AND d.next_at <= $1 AND NOT EXISTS
                                  (SELECT FROM webhook_deliveries b WHERE b.endpoint = w.id AND b.subject = d.subject
                                   AND b.dead_at IS NULL AND (b.tx, b.seq) < (d.tx, d.seq) OFFSET 0))
                   OR EXISTS (SELECT FROM events e WHERE (e.tx, e.seq) > (w.tx, w.seq)
                              AND e.tx < pg_snapshot_xmin(pg_current_snapshot())))
            ORDER BY w.next_at LIMIT $4 FOR UPDATE OF w SKIP LOCKED) AS due
        WHERE w.id = due.id RETURNING {_COLUMNS.replace("id, client_id", "w.id, client_id", 1)}
        """,
        now, until, by, limit,
    )  # fmt: skip
    return [into(EndpointRow, row) for row in rows]


async def due(
    connection: Connection, endpoint_id: str, now: datetime, limit: int
) -> list[tuple[Waiting, Event | None]]:
    """What waits for subjects whose first delivery's time has come, in the order of events; an event that is no longer
    kept is None.
    """
    rows = await connection.fetch(
        "WITH h AS (SELECT DISTINCT ON (subject) subject, next_at FROM webhook_deliveries"
        " WHERE endpoint = $1 AND dead_at IS NULL ORDER BY subject, tx, seq)"
        " SELECT d.tx::text::bigint AS tx, d.seq, d.subject, d.tries, d.since, d.next_at, d.error,"
        " e.type, e.data, e.at FROM h JOIN webhook_deliveries d ON d.endpoint = $1 AND d.subject = h.subject"
        " LEFT JOIN events e ON (e.tx, e.seq) = (d.tx, d.seq)"
        " WHERE d.dead_at IS NULL AND h.next_at <= $2 ORDER BY d.tx, d.seq LIMIT $3",
        endpoint_id, now, limit,
    )  # fmt: skip
    found: list[tuple[Waiting, Event | None]] = []
    for row in rows:
        values = dict(row)
        kind, data, at = values.pop("type"), values.pop("data"), values.pop("at")
        one = into(Waiting, values)
        event = Event(tx=one.tx, seq=one.seq, type=kind, subject=one.subject, data=data, at=at) if kind else None
        found.append((one, event))
    return found


async def subjects_waiting(connection: Connection, endpoint_id: str) -> dict[str, int]:
    """How many deliveries wait, by subject."""
    rows = await connection.fetch(
        "SELECT subject, count(*) AS n FROM webhook_deliveries WHERE endpoint = $1 AND dead_at IS NULL GROUP BY 1",
        endpoint_id,
    )
    return {row["subject"]: row["n"] for row in rows}


async def wait(connection: Connection, endpoint_id: str, rows: Sequence[Waiting]) -> None:
    """Keep deliveries for later; one that waits already, or was given up before, is put as it is now."""
    await connection.executemany(
        "INSERT INTO webhook_deliveries (endpoint, tx, seq, subject, tries, since, next_at, error, dead_at)"
        " VALUES ($1, $2::text::xid8, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (endpoint, tx, seq) DO UPDATE"
        " SET tries = excluded.tries, since = excluded.since, next_at = excluded.next_at, error = excluded.error,"
        " dead_at = excluded.dead_at",
        [
            (endpoint_id, str(row.tx), row.seq, row.subject, row.tries, row.since, row.next_at, row.error, row.dead_at)
            for row in rows
        ],
    )


async def delivered(connection: Connection, endpoint_id: str, places: Sequence[Place]) -> None:
    """Forget what was delivered."""
    await connection.executemany(
        "DELETE FROM webhook_deliveries WHERE endpoint = $1 AND tx = $2::text::xid8 AND seq = $3",
        [(endpoint_id, str(tx), seq) for tx, seq in places],
    )


async def give_up(connection: Connection, endpoint_id: str, before: datetime, now: datetime, limit: int) -> None:
    """Make dead letters of the oldest that it has refused since before then, but for what is to be tried again now."""
    await connection.execute(
        "UPDATE webhook_deliveries d SET dead_at = $3 FROM (SELECT endpoint, tx, seq FROM webhook_deliveries w"
        " WHERE endpoint = $1 AND dead_at IS NULL AND tries > 0 AND since <= $2 AND next_at > $3"
        " ORDER BY w.tx, w.seq LIMIT $4) AS old"
        " WHERE (d.endpoint, d.tx, d.seq) = (old.endpoint, old.tx, old.seq)",
        endpoint_id, before, now, limit,
    )  # fmt: skip


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """How an endpoint stands after it was served."""

    place: Place
    failing_since: datetime | None
    failures: int
    error: str | None
    next_at: datetime
    disabled_because: str | None = None


async def served(connection: Connection, endpoint_id: str, by: str, after: Served, now: datetime) -> bool:
    """Keep how far it is, and give the lease back. False: another process has taken over, nothing changed."""
    done = await connection.fetchval(
        "UPDATE webhook_endpoints SET tx = $3::text::xid8, seq = $4, failing_since = $5, failures = $6,"
        " last_error = $7, next_at = $8, disabled_because = $9::text,"
        " disabled_at = CASE WHEN $9::text IS NOT NULL THEN $10::timestamptz END, lease_until = NULL, leased_by = NULL"
        " WHERE id = $1 AND leased_by = $2 RETURNING true",
        endpoint_id, by, str(after.place[0]), after.place[1], after.failing_since, after.failures, after.error,
        after.next_at, after.disabled_because, now,
    )  # fmt: skip
    return bool(done)


async def replayed(connection: Connection, row: EndpointRow, place: Place | None) -> None:
    """Keep how far the replay of `row` is; None: it is over. One that was ended, or asked for, meanwhile stays so."""
    await connection.execute(
        "UPDATE webhook_endpoints SET replay_tx = $2::text::xid8, replay_seq = $3,"
        " until_tx = CASE WHEN $2::text IS NOT NULL THEN until_tx END,"
        " until_seq = CASE WHEN $2::text IS NOT NULL THEN until_seq END WHERE id = $1"
        " AND (replay_tx, replay_seq, until_tx, until_seq) = ($4::text::xid8, $5, $6::text::xid8, $7)",
        row.id,
        None if place is None else str(place[0]),
        None if place is None else place[1],
        str(row.replay_tx), row.replay_seq, str(row.until_tx), row.until_seq,
    )  # fmt: skip


async def end_replay(connection: Connection, endpoint_id: str) -> None:
    """Go through no more of a range again."""
    await connection.execute(
        "UPDATE webhook_endpoints SET replay_tx = NULL, replay_seq = NULL, until_tx = NULL, until_seq = NULL"
        " WHERE id = $1",
        endpoint_id,
    )


async def purge(connection: Connection, now: datetime, keep: timedelta, limit: int) -> int:
    """Forget dead letters that nobody asked for, and secrets that sign no more."""
    await connection.execute(
        "UPDATE webhook_endpoints SET old_secret_sealed = NULL, old_until = NULL WHERE old_until <= $1", now
    )
    rows = await connection.fetch(
        "DELETE FROM webhook_deliveries d USING (SELECT endpoint, tx, seq FROM webhook_deliveries"
        " WHERE dead_at <= $1 ORDER BY dead_at LIMIT $2) AS old"
        " WHERE (d.endpoint, d.tx, d.seq) = (old.endpoint, old.tx, old.seq) RETURNING 1",
        now - keep,
        limit,
    )
    return len(rows)
