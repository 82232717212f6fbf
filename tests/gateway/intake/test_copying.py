"""What is made of a checked row for the store is that row."""

from __future__ import annotations

import random
from datetime import date, timedelta

import asyncpg

from gateway.services.intake.spool import Spool
from gateway.storage.base.database import Connection
from gateway.storage.intake import staging
from gateway.storage.intake.copying import Refused, Row

_SIGNS = "aZ9 \"',\\\t\r\né\u00a0\u2028日\U0001f600"


def _text(rng: random.Random) -> str:
    return "".join(rng.choices(_SIGNS, k=rng.randrange(6)))


def _row(rng: random.Random, line: int) -> Row:
    words = [_text(rng) for _ in range(5)]
    days = [date(1999, 12, 30) + timedelta(rng.choice((0, 1, 2, 3, 9_000, 2_000_000))) for _ in range(2)]
    hashes = [rng.randbytes(32) for _ in range(3)]
    indexes = [rng.randbytes(size) for size in (32, 32, 64, 32)]
    sealed = [rng.randbytes(rng.randrange(300)) for _ in range(4)]
    identity = rng.choice((0, -1, 2**63 - 1, -(2**63), rng.getrandbits(40)))
    return Row(line, *words, rng.choice((1, 2**62)), *days, *hashes, identity, *indexes, *sealed)


def _refused(rng: random.Random, line: int) -> Refused:
    return Refused(line, rng.choice((None, "", "nik")), _text(rng), _text(rng), *rng.choices((None, "", "é"), k=4))


async def test_rows_are_staged_as_they_were_spooled(empty_database: str) -> None:
    rng = random.Random(8)
    rows, refused = [_row(rng, line) for line in range(300)], [_refused(rng, line) for line in range(300, 400)]
    connection = await asyncpg.connect(empty_database)
    try:
        with Spool() as spool:
            await staging.prepare(connection)
            at = 0
            for until in (90, 90, 100):  # some of it is handed out before more comes
                spool.add(rows[at:until], refused[at:until])
                at = until
                for piece in spool.pieces():
                    await staging.add(connection, *piece)
                assert spool.waiting == 0
            spool.add(rows[at:], [])
            assert spool.waiting == 200
            assert await _staged(connection) == (rows[:100], refused)
            spool.again()
            assert spool.waiting == 400
            await staging.prepare(connection)
            for piece in spool.pieces():
                await staging.add(connection, *piece)
            assert await _staged(connection) == (rows, refused)
    finally:
        await connection.close()


async def _staged(connection: Connection) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    rows, refused = [
        await connection.fetch(f"SELECT * FROM {table} ORDER BY line") for table in ("intake_rows", "intake_refused")
    ]
    return [tuple(row) for row in rows], [tuple(row) for row in refused]
