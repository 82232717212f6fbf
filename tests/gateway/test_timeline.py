"""A database that may have forgotten something holds every partner before a connection to it is used."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterable
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest
from redis.asyncio import Redis

from adapters.registry import PARTNERS
from gateway.embedded import EmbeddedPostgres, create_database_from_template, drop_database
from gateway.storage.base.database import Database
from gateway.storage.base.timeline import MOST_AHEAD, Timeline, following
from gateway.storage.reconciliation import recovery

PROMOTED = "UPDATE store_timeline SET timeline = '0000FFFF', complete = $1"
"""What the server says differs from then on, as it does after a promotion."""


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


async def opened(dsn: str, timeline: Timeline) -> list[recovery.Recovery]:
    """Connect as a worker does; what is held then."""
    database = await Database.open(dsn, size=1, timeline=timeline)
    try:
        async with database.connection() as connection:
            return await recovery.open_ones(connection)
    finally:
        await database.close()


def reasons(held: Iterable[recovery.Recovery]) -> set[str]:
    found = list(held)
    assert not found or {one.partner for one in found} == set(PARTNERS)
    return {one.demanded or "" for one in found}


async def execute(dsn: str, statement: str, *values: object) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement, *values)
    finally:
        await connection.close()


async def test_the_same_database_holds_nobody(database: str) -> None:
    timeline = Timeline(list(PARTNERS))
    for _ in range(2):
        assert await opened(database, timeline) == []
    assert await opened(database, Timeline(list(PARTNERS))) == []


async def test_a_promotion_holds_everyone_unless_the_standby_had_each_commit(database: str) -> None:
    await opened(database, Timeline([]))
    await execute(database, PROMOTED, ["", "elsewhere"])  # this server has no cluster_name: '' is nobody's
    assert await opened(database, Timeline([])) == []
    await execute(database, PROMOTED, ["elsewhere"])
    assert reasons(await opened(database, Timeline(list(PARTNERS)))) == {
        "a failover to a standby that need not have had each commit, or a restore to a moment"
    }
    await execute(database, "UPDATE recoveries SET released_at = now()")
    assert await opened(database, Timeline(list(PARTNERS))) == []  # once for each promotion


async def test_a_copy_in_another_place_holds_everyone(database: str, postgres: EmbeddedPostgres) -> None:
    await opened(database, Timeline([]))
    name = f"test_{uuid4().hex}"
    copy = await create_database_from_template(postgres.dsn, urlsplit(database).path.lstrip("/"), name)
    try:
        assert reasons(await opened(copy, Timeline(list(PARTNERS)))) == {"a copy of the database in another place"}
        assert await opened(database, Timeline(list(PARTNERS))) == []
    finally:
        await drop_database(postgres.dsn, name)


async def test_an_older_copy_is_known_by_who_saw_a_later_one(database: str, redis: Redis) -> None:
    """The same place and timeline, put back by copying files: only a witness outside can tell."""
    seeing = Timeline(list(PARTNERS))
    await opened(database, seeing)
    before = seeing.seen
    await execute(database, "UPDATE store_timeline SET beat_at = beat_at - interval '1 h'")
    connection = await asyncpg.connect(database)
    try:
        await seeing.beat(redis, connection)
        assert seeing.seen == before + 1
        await execute(database, "UPDATE store_timeline SET beat = $1", before)
        fresh = Timeline(list(PARTNERS))
        await fresh.compare(connection)
        assert await recovery.open_ones(connection) == []  # nothing in this process or in the store speaks against it
        await fresh.remember(redis, connection)
        assert any("an older copy" in why for why in reasons(await recovery.open_ones(connection)))
        await execute(database, "UPDATE recoveries SET released_at = now()")
        await execute(database, "UPDATE store_timeline SET beat = 1")
        await seeing.compare(connection)
        assert any("an older copy" in why for why in reasons(await recovery.open_ones(connection)))
    finally:
        await connection.close()


async def test_a_primary_that_was_left_behind_is_found_out_over_connections_that_stand(
    database: str, redis: Redis
) -> None:
    """Its successor is known by a count that only somebody else can have seen."""
    timeline = Timeline(list(PARTNERS))
    pool = await Database.open(database, size=1, timeline=timeline)
    try:
        async with following(pool, timeline, redis, every_s=0.01):
            async with pool.connection() as connection:
                assert await recovery.open_ones(connection) == []
            await redis.set(f"timeline:{timeline.identity}", timeline.seen + 50)
            while True:
                async with pool.connection() as connection:
                    if held := await recovery.open_ones(connection):
                        break
                await asyncio.sleep(0.01)
        assert any("left behind" in why for why in reasons(held))
    finally:
        await pool.close()


@pytest.mark.parametrize("told", [str(2**63 - 1), str(10**30), "-1", "1e18", "words", str(MOST_AHEAD + 10**6)])
async def test_a_count_that_nobody_can_have_told_holds_nobody_and_ends_nothing(
    database: str, redis: Redis, told: str
) -> None:
    """Who can write to the cache cannot have the store count out of its range, after which nothing connects."""
    timeline = Timeline(list(PARTNERS))
    assert await opened(database, timeline) == []
    seen, key = timeline.seen, f"timeline:{timeline.identity}"
    await redis.set(key, told)
    connection = await asyncpg.connect(database)
    try:
        await timeline.remember(redis, connection)
        assert timeline.seen == seen
        await timeline.beat(redis, connection)
    finally:
        await connection.close()
    assert await opened(database, timeline) == []
    assert await redis.get(key) == str(timeline.seen).encode(), "what is true takes its place"


async def test_a_lost_cache_says_nothing(database: str) -> None:
    timeline = Timeline(list(PARTNERS))
    assert await opened(database, timeline) == []
    connection = await asyncpg.connect(database)
    try:
        async with Redis(host="127.0.0.1", port=9, retry=None) as nobody:  # type: ignore[arg-type]
            await timeline.remember(nobody, connection)
            await timeline.beat(nobody, connection)
        assert await recovery.open_ones(connection) == []
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("names", "complete"),
    [
        ("", []), ("*", []), ("beta", ["beta"]), ('"beta"', ["beta"]), ("1 (beta)", ["beta"]), ("beta, gamma", []),
        ("FIRST 1 (beta, gamma)", []), ("first 2 (beta, gamma)", ["beta", "gamma"]), ("ANY 1 (beta,gamma)", []),
        ('any 2 ("beta", gamma)', ["beta", "gamma"]), ("ANY 1 (*)", []),
    ],
)  # fmt: skip
async def test_who_surely_has_each_commit(database: str, names: str, complete: list[str]) -> None:
    """Read from what the server is told; the setting itself needs a reload, so the function's text is tried on it."""
    connection = await asyncpg.connect(database)
    try:
        source = await connection.fetchval("SELECT prosrc FROM pg_proc WHERE proname = 'complete_standbys'")
        said = re.sub(r"current_setting\('synchronous_standby_names'\)", "$1::text", source)
        await connection.execute("SET synchronous_commit = on")
        assert await connection.fetchval(said, names) == complete
        await connection.execute("SET synchronous_commit = local")
        assert await connection.fetchval(said, names) == []
    finally:
        await connection.close()


async def test_a_process_ends_though_a_driver_keeps_the_end_to_itself() -> None:
    begun = asyncio.Event()

    class Deaf:
        @contextlib.asynccontextmanager
        async def connection(self) -> AsyncIterator[None]:
            yield

        async def remember(self, *_: object) -> None: ...

        async def beat(self, *_: object) -> None:
            begun.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

    deaf: Any = Deaf()
    async with asyncio.timeout(60), following(deaf, deaf, deaf):
        await begun.wait()
