"""Whatever is done to the record of decisions by somebody who has the database and not the key shows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from gateway.clock import SystemClock
from gateway.security.vault import Vault
from gateway.services.ops.audit import EVERY, Sealing
from gateway.storage.base.database import Database
from gateway.storage.ops import audit
from tests.conftest import MASTER_KEY

AT = datetime(2026, 11, 28, 1, 2, 3, 456789, tzinfo=UTC)


@pytest.fixture
async def store(database: str) -> AsyncIterator[Database]:
    opened = await Database.open(database, size=3)
    yield opened
    await opened.close()


async def _record(store: Database, sealing: Sealing) -> None:
    """Thirty decisions, closed by three links, and one that is open."""
    for n in range(31):
        async with store.transaction() as connection:
            await audit.record(
                connection, AT + timedelta(seconds=n), f"client {n % 3}", "batch.approve", f"b{n}", {"n": n}
            )
        if n % 10 == 9:
            assert await sealing.seal(AT + timedelta(minutes=n)) == 10


TAMPERING = {
    "another time": "UPDATE audit_log SET at = at + interval '1 microsecond' WHERE seq = 5",
    "another actor": "UPDATE audit_log SET actor = 'client 2' WHERE seq = 5",
    "another action": "UPDATE audit_log SET action = 'batch.reject' WHERE seq = 30",
    "another subject": "UPDATE audit_log SET subject = 'b99' WHERE seq = 1",
    "other data": "UPDATE audit_log SET data = '{\"n\": 7.0}' WHERE seq = 8",
    "a letter lent by one field to the next": "UPDATE audit_log SET actor = 'client', action = ' 1batch.approve'"
    " WHERE seq = 5",
    "a row deleted": "DELETE FROM audit_log WHERE seq = 12",
    "the first row deleted": "DELETE FROM audit_log WHERE seq = 1",
    "two rows in each other's place": "UPDATE audit_log a SET actor = b.actor, action = b.action, subject = b.subject,"
    " data = b.data, at = b.at FROM audit_log b WHERE a.seq IN (3, 4) AND b.seq = 7 - a.seq",
    "a row put in": "DELETE FROM audit_log WHERE seq = 15; INSERT INTO audit_log (seq, at, actor, action, subject,"
    " data) OVERRIDING SYSTEM VALUE SELECT 15, at, 'cli', action, subject, data FROM audit_log WHERE seq = 16",
    "a row put in before the first": "INSERT INTO audit_log (seq, at, actor, action, subject, data)"
    " OVERRIDING SYSTEM VALUE SELECT 0, at, actor, action, subject, data FROM audit_log WHERE seq = 1",
    "a link deleted": "DELETE FROM audit_seals WHERE n = 2",
    "the first link deleted": "DELETE FROM audit_seals WHERE n = 1",
    "a link with the hash of the changed rows": "UPDATE audit_log SET actor = 'x' WHERE seq = 30;"
    " UPDATE audit_seals SET chain = sha256('made to fit') WHERE n = 3",
    "a link dated back": "UPDATE audit_seals SET at = at - interval '1 day' WHERE n = 3",
    "a link that closes less": "UPDATE audit_seals SET last_seq = 29, rows = 29 WHERE n = 3",
    "a link copied": "INSERT INTO audit_seals SELECT 4, last_seq, rows, chain, code, at FROM audit_seals WHERE n = 3",
    "a row before the first": "INSERT INTO audit_log (seq, at, actor, action, subject, data) OVERRIDING SYSTEM VALUE"
    " VALUES (-1, now(), 'x', 'y', 'z', '{}')",
}


@pytest.mark.parametrize("how", sorted(TAMPERING))
async def test_each_kind_of_tampering_is_found(store: Database, database: str, how: str) -> None:
    sealing = Sealing(store, SystemClock(), Vault(MASTER_KEY))
    await _record(store, sealing)
    good = await sealing.verify(await sealing.root())
    assert (good.rows, good.open_rows, good.links, good.wrong) == (30, 1, 3, None)
    intruder = await asyncpg.connect(database)
    await intruder.execute("SET session_replication_role = replica")  # a superuser, past every trigger
    await intruder.execute(TAMPERING[how])
    await intruder.close()
    assert (await sealing.verify()).wrong, how


async def test_an_end_that_was_cut_off_shows_by_the_root_that_was_kept(store: Database, database: str) -> None:
    sealing = Sealing(store, SystemClock(), Vault(MASTER_KEY))
    await _record(store, sealing)
    kept = await sealing.root()
    intruder = await asyncpg.connect(database)
    await intruder.execute("SET session_replication_role = replica")
    await intruder.execute("DELETE FROM audit_log WHERE seq > 20; DELETE FROM audit_seals WHERE n > 2")
    await intruder.close()
    assert (await sealing.verify()).wrong is None, "nobody can tell from what is left"
    assert (await sealing.verify(kept)).wrong


async def test_who_has_another_key_cannot_close_it_anew(store: Database, database: str) -> None:
    await _record(store, Sealing(store, SystemClock(), Vault(b"x" * 32)))
    assert (await Sealing(store, SystemClock(), Vault(MASTER_KEY)).verify()).wrong == "link 1 is not as it was made"


async def test_the_database_itself_refuses_its_own_users(store: Database) -> None:
    await _record(store, Sealing(store, SystemClock(), Vault(MASTER_KEY)))
    for text in (
        "UPDATE audit_seals SET rows = 1",
        "DELETE FROM audit_seals",
        "TRUNCATE audit_seals",
        "TRUNCATE audit_log",
    ):
        async with store.connection() as connection:
            with pytest.raises(asyncpg.RestrictViolationError):
                await connection.execute(text)


async def test_who_took_a_number_early_and_writes_late_is_left_out_of_nothing(store: Database) -> None:
    """A number is taken before its row can be seen: nothing may be closed past it."""
    sealing = Sealing(store, SystemClock(), Vault(MASTER_KEY))
    async with store.transaction() as late:
        await audit.record(late, AT, "slow", "batch.approve", "b1", {})
        async with store.transaction() as quick:
            await audit.record(quick, AT, "quick", "batch.approve", "b2", {})
        assert await sealing.tick() == 0, "it waits for who is about to write"
        with pytest.raises(asyncpg.LockNotAvailableError):
            await sealing.seal(AT)
    assert await sealing.tick() == 2
    assert (await sealing.verify()).wrong is None
    assert await sealing.tick() == 0
    assert EVERY >= timedelta(seconds=10)


async def test_two_that_close_at_once_make_one_chain(store: Database) -> None:
    both = [Sealing(store, SystemClock(), Vault(MASTER_KEY)) for _ in range(2)]
    for n in range(5):
        async with store.transaction() as connection:
            await audit.record(connection, AT, "c", "a", f"b{n}", {})
        await asyncio.gather(*(one.seal(AT) for one in both), return_exceptions=True)
    found = await both[0].verify()
    assert (found.rows, found.wrong) == (5, None)


async def test_nobody_waits_while_the_record_is_read(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    real, sealing = audit.lines, Sealing(store, SystemClock(), Vault(MASTER_KEY))

    async def lines(*given: Any) -> AsyncIterator[tuple[int, str]]:
        async with store.transaction() as other:
            await other.execute("SET LOCAL lock_timeout = 500")
            await audit.record(other, AT, "c", "a", "meanwhile", {})
        async for line in real(*given):
            yield line

    async with store.transaction() as connection:
        await audit.record(connection, AT, "c", "a", "before", {})
    monkeypatch.setattr(audit, "lines", lines)
    assert await sealing.seal(AT) == 1
    monkeypatch.undo()
    found = await sealing.verify()
    assert (found.rows, found.open_rows, found.wrong) == (1, 1, None)


async def test_an_empty_record_is_in_order(store: Database) -> None:
    sealing = Sealing(store, SystemClock(), Vault(MASTER_KEY))
    assert (await sealing.verify()).wrong is None
    assert await sealing.root() is None


async def test_a_long_record_is_looked_over_in_less_than_a_minute(store: Database, long: bool) -> None:
    rows, limit_s = (1_000_000, 60.0) if long else (20_000, 10.0)
    async with store.connection() as connection:
        await connection.execute(
            "INSERT INTO audit_log (at, actor, action, subject, data) SELECT $1, 'client ' || n % 7, 'batch.approve',"
            " 'b' || n, jsonb_build_object('content_root', md5(n::text)) FROM generate_series(1, $2::int) AS n",
            AT,
            rows,
            timeout=300,
        )
    sealing = Sealing(store, SystemClock(), Vault(MASTER_KEY))
    assert await sealing.seal(AT) == rows
    began_s = time.monotonic()
    found = await sealing.verify()
    assert (found.rows, found.wrong) == (rows, None)
    assert time.monotonic() - began_s < limit_s
