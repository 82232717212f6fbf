"""Each event once and in order, however many digits its numbers have and in whatever order transactions end."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest

from contracts.events import EventType
from gateway.storage.base.database import Database
from gateway.storage.messages import events
from tests.gateway.api.kit import Api, as_csv, row

AT = datetime(2026, 1, 1, tzinfo=UTC)
ROWS = 1_000_000


@pytest.fixture
async def connection(database: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    opened = await asyncpg.connect(database)
    yield opened
    await opened.close()


async def _reach(connection: asyncpg.Connection[asyncpg.Record], tx: int) -> None:
    """Use up transaction numbers until `tx` is in the past."""
    for _ in range(tx + 2):
        if await connection.fetchval("SELECT pg_current_xact_id()::text::bigint") > tx:
            return
    raise AssertionError(f"the server does not come to {tx}")


@pytest.mark.parametrize("limit", [1, 3, 10, 1000])
async def test_numbers_that_gain_a_digit_stay_in_order(
    api: Api, connection: asyncpg.Connection[asyncpg.Record], limit: int
) -> None:
    """Transactions and sequences on both sides of 10, 100, 1,000; read by pages of every size."""
    edges = [n for power in (10, 100, 1_000) for n in (power - 2, power - 1, power, power + 1)]
    await _reach(connection, max(edges))
    places = [(tx, seq) for tx in edges for seq in (9, 10, 99, 100, 999, 1_000)]
    shuffled = random.Random(limit).sample(places, len(places))
    await connection.executemany(
        "INSERT INTO events (tx, seq, type, subject, data, at) OVERRIDING SYSTEM VALUE"
        " VALUES ($1::text::xid8, $2, 'case.opened', $3, '{}', $4)",
        [(str(tx), seq, f"{tx}/{seq}", AT) for tx, seq in shuffled],
    )
    read: list[str] = []
    params: dict[str, object] = {"limit": limit}
    for _ in range(len(places) + 1):
        page = (await api.call("GET", "/v1/events", role="operator", params=params)).json()
        read += [event["subject"] for event in page["events"]]
        if not page["events"]:
            break
        params["after"] = page["next_cursor"]
    assert read == [f"{tx}/{seq}" for tx, seq in places]


async def test_an_independent_reader_gets_each_event_once_while_others_write(database: str) -> None:
    """Transactions that overlap, some of them rolled back, ending in another order than they began in; two readers
    that know nothing of each other, one from zero at the very end.
    """
    store = await Database.open(database, size=10)
    rng = random.Random(5)
    committed: set[str] = set()

    async def write(writer: int) -> None:
        for n in range(40):
            subjects = [f"{writer}-{n}-{part}" for part in range(rng.randint(1, 4))]
            try:
                async with store.transaction() as connection:
                    for subject in subjects:
                        await events.emit(connection, AT, [(EventType.CASE_OPENED, subject, {})])
                        await asyncio.sleep(rng.choice((0, 0.001, 0.01)))
                    if rng.random() < 0.2:
                        raise ZeroDivisionError
            except ZeroDivisionError:
                continue
            committed.update(subjects)

    async def read(until: asyncio.Event) -> list[tuple[int, int, str]]:
        found: list[tuple[int, int, str]] = []
        tx = seq = 0
        for _ in range(100_000):
            last = until.is_set()
            async with store.connection() as connection:
                page = await events.read_after(connection, tx, seq, 7)
            found += [(one.tx, one.seq, one.subject) for one in page]
            if page:
                tx, seq = page[-1].tx, page[-1].seq
            elif last:
                return found
            else:
                await asyncio.sleep(0.001)
        raise AssertionError("the reader does not end")

    over = asyncio.Event()
    reading = asyncio.create_task(read(over))
    await asyncio.gather(*(write(writer) for writer in range(6)))
    over.set()
    found = await reading
    assert [subject for _, _, subject in found] == [subject for _, _, subject in await read(over)]
    assert found == sorted(found)
    subjects = [subject for _, _, subject in found]
    assert len(subjects) == len(set(subjects)) and set(subjects) == committed
    for subject in subjects:  # within its transaction as it was written
        writer, n, part = subject.split("-")
        if part != "0":
            assert subjects.index(f"{writer}-{n}-{int(part) - 1}") < subjects.index(subject)
    await store.close()


async def test_an_event_follows_the_one_that_its_row_waited_for(api: Api, database: str) -> None:
    """The first to take a transaction number waits for a row that the second one holds, and tells of it last."""
    await api.submit(as_csv([row(1)]))
    early, late = await asyncpg.connect(database), await asyncpg.connect(database)
    try:
        first, second = early.transaction(), late.transaction()
        await first.start()
        await early.fetchval("SELECT pg_current_xact_id()::text")
        await second.start()
        await late.execute("UPDATE incentives SET own = 'balance_limit', facts_at = $1", AT)
        waiting = asyncio.create_task(early.execute("UPDATE incentives SET cancelled = true, facts_at = $1", AT))
        await asyncio.sleep(0.3)
        await second.commit()
        await waiting
        await first.commit()
    finally:
        await early.close()
        await late.close()
    page = (await api.call("GET", "/v1/events")).json()["events"]
    told = [(e["data"]["stage"], e["data"]["blocker"]) for e in page if e["type"] == "incentive.changed"]
    assert told[1:] == [("awaiting_link", "balance_limit"), ("cancelled", None)]


@pytest.mark.parametrize("analysed", [False, True], ids=["a planner that knows nothing", "a planner that knows"])
async def test_a_page_among_a_million_reads_its_own_rows(
    connection: asyncpg.Connection[asyncpg.Record], analysed: bool
) -> None:
    """By the rows and blocks that PostgreSQL touches, which no busy machine changes."""
    base = 1 + await connection.fetchval("SELECT pg_current_xact_id()::text::bigint")
    await _reach(connection, base + 200)
    await connection.execute(
        "INSERT INTO events (tx, type, subject, data, at) SELECT ($1 + n % 200)::text::xid8, 'payout.changed', n::text,"
        " '{}', $3 FROM generate_series(1, $2) AS n",
        base, ROWS, AT,
    )  # fmt: skip
    if analysed:
        await connection.execute("ANALYZE events")
    for place in (0, 100, 198, 200):
        plan = await connection.fetchval(
            "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) SELECT * FROM events_after($1::text::xid8, 0, 100)",
            str(base + place),
        )
        top = json.loads(plan)[0]["Plan"]
        assert top["Shared Hit Blocks"] + top["Shared Read Blocks"] < 400, top
