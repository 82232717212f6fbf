"""The next version's migrations come while this version's workers pay at the mocks: they go on, nobody is paid twice.

An upgrade may add columns and indexes, and must not change what the processes beside it read by name. Here every table
gains one of each in mid-run, with statements prepared and payouts claimed.
"""

from __future__ import annotations

import random

import asyncpg
import msgspec
import pytest

from gateway.services.reconciliation.daily import Daily
from gateway.services.reconciliation.reconcile import Reconciliations
from gateway.services.reconciliation.statements import Statements
from gateway.storage.base.database import Connection, Database, transact
from gateway.storage.base.rows import into
from tests.gateway.older import next_version
from tests.gateway.payouts.city import TROUBLES, open_city
from tests.gateway.reconciliation.test_restore_at_mocks import SMALL, settled

PEOPLE, PEOPLE_LONG = 5, 200
HOUR_S = 3_600.0


class Row(msgspec.Struct, frozen=True):
    """What this version reads of a table."""

    id: int


async def test_a_transaction_that_a_migration_overtakes_is_done_again(empty_database: str) -> None:
    """What is read by `*` was prepared before the column came, and a transaction cannot prepare it anew."""
    database = await Database.open(empty_database, size=1)
    try:
        async with database.connection() as connection:
            await connection.execute("CREATE TABLE payouts_of_now (id int); INSERT INTO payouts_of_now VALUES (1)")

        async def read(connection: Connection) -> int:
            return into(Row, await connection.fetchrow("SELECT * FROM payouts_of_now") or {}).id

        assert await transact(database, read) == 1
        migrator = await asyncpg.connect(empty_database)
        try:
            await migrator.execute("ALTER TABLE payouts_of_now ADD COLUMN of_the_next text DEFAULT 'new'")
        finally:
            await migrator.close()
        assert await transact(database, read) == 1
    finally:
        await database.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """More seeds in the long run."""
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(5 if metafunc.config.getoption("--long") else 1))


async def test_workers_of_before_an_upgrade_go_on_after_it(database: str, seed: int, long: bool) -> None:
    rng = random.Random(f"upgrade {seed}")
    people = PEOPLE_LONG if long else PEOPLE
    async with open_city(database, seed=seed, waits=SMALL) as city:
        due = await settled(city, people)
        city.fate = lambda slug, target: rng.choice(TROUBLES) if rng.random() < 0.15 else ""
        workers = [city.worker(f"w{n}") for n in range(2)]
        statements, daily = Statements(city.resources), Daily(city.resources, Reconciliations(city.resources))
        upgrade_at, upgraded = rng.randrange(3, 9), 0

        async def step(turn: int) -> None:
            nonlocal upgraded
            worker = workers[turn % 2]
            for slug in sorted(city.desks):
                leased = await worker.claim(slug, 2)
                if turn == upgrade_at and not upgraded:
                    upgraded = await next_version(city.settings.database_url.reveal())
                for one in leased:
                    await worker.send(one)
                await worker.tick_lookups(slug)
                await statements.tick(slug)
            await worker.tick_deadlines()
            await worker.tick_timers()

        for turn in range(24):
            await step(turn)
            await city.pass_time(rng.choice((1.0, 20.0, 90.0)))
        city.fate = lambda slug, target: ""
        await city.drive(workers[0], statements, hours=40, step_s=1_800)
        for slug in sorted(city.desks):
            while await daily.tick(slug):
                city.clock.advance(HOUR_S)
        assert upgraded > 40
        assert (await city.audit()).audit.clean()
        paid = await city.fetch("SELECT count(*) AS n FROM incentives WHERE stage = 'paid'")
        assert (paid[0]["n"], len(city.bookings())) == (due, due)
        assert await city.cases() == []
