"""The record of who decided what: append only, and closed link by link (`services.ops.audit`)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime

import msgspec

from gateway.storage.base.database import Connection
from gateway.storage.base.rows import into

_CHUNK = 5_000


async def record(
    connection: Connection, now: datetime, actor: str, action: str, subject: str, data: Mapping[str, object]
) -> None:
    """Note a decision in the caller's transaction. `actor`: a client's id, or `cli` for the command line."""
    await connection.execute(
        "INSERT INTO audit_log (at, actor, action, subject, data) VALUES ($1, $2, $3, $4, $5)",
        now,
        actor,
        action,
        subject,
        dict(data),
    )


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """One link of the chain: it closes the record up to a row."""

    n: int
    last_seq: int
    rows: int
    """Closed so far, by this one and all before."""
    chain: bytes
    code: bytes
    at: datetime


_LINE = (
    "concat_ws(E'\\x1f', seq, extract(epoch FROM at)::numeric(20, 6), length(actor), actor, length(action), action,"
    " length(subject), subject, data::text)"
)
"""A row as what is hashed of it: each text with its length, so that none can lend a letter to its neighbour."""


async def last_settled(connection: Connection, lock_s: float) -> int:
    """The last row's number; no lower one is still to come, as for this moment nobody writes, and whoever was about to
    has. To be committed at once. Raises `LockNotAvailableError` where a long transaction has written; the next time
    will do.
    """
    await connection.execute(f"SET LOCAL lock_timeout = {round(lock_s * 1_000)}")
    await connection.execute("SELECT audit_stands_still()")
    return int(await connection.fetchval("SELECT coalesce(max(seq), 0) FROM audit_log"))


async def lines(connection: Connection, after: int, until: int | None = None) -> AsyncIterator[tuple[int, str]]:
    """Number and text of each row after one, in order; inside a transaction."""
    cursor = connection.cursor(
        f"SELECT seq, {_LINE} AS line FROM audit_log WHERE seq > $1 AND ($2::bigint IS NULL OR seq <= $2) ORDER BY seq",  # noqa: S608 - constant
        after,
        until,
        prefetch=_CHUNK,
    )
    async for row in cursor:
        yield row["seq"], row["line"]


async def last_seal(connection: Connection) -> Seal | None:
    """The newest link."""
    row = await connection.fetchrow("SELECT * FROM audit_seals ORDER BY n DESC LIMIT 1")
    return None if row is None else into(Seal, row)


async def seals(connection: Connection) -> AsyncIterator[Seal]:
    """All of them in order; inside a transaction."""
    async for row in connection.cursor("SELECT * FROM audit_seals ORDER BY n", prefetch=_CHUNK):
        yield into(Seal, row)


async def add_seal(connection: Connection, seal: Seal) -> None:
    """Store the next link."""
    await connection.execute(
        "INSERT INTO audit_seals (n, last_seq, rows, chain, code, at) VALUES ($1, $2, $3, $4, $5, $6)",
        seal.n,
        seal.last_seq,
        seal.rows,
        seal.chain,
        seal.code,
        seal.at,
    )
