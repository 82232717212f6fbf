"""A database put back while real adapters pay at the mocks: their books show nobody paid twice and nobody lost."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from gateway.embedded import EmbeddedPostgres
from gateway.services.reconciliation.recovery import nobodys
from gateway.services.reconciliation.statements import Statements
from gateway.settings import Waits
from gateway.storage.reconciliation.strays import Stray
from tests.gateway.payouts.city import TROUBLES, City, open_city
from tests.gateway.reconciliation.restoring import Restoring

PEOPLE, PEOPLE_LONG = 12, 250
SMALL = Waits(absence_s=1_800.0, confirm_rejection_s=30.0)
"""The long run waits as long as the manifests say: an hour, at GoPay a day."""
INSTALMENTS = ((600_000, "1", True), (50_000, "survey", True), (600_000, "2", False))
"""Amount, period, whether it is due: two are, and the last one has an amount that must not be taken for the first's."""


async def settled(city: City, people: int) -> int:
    """People at all partners; how many of their incentives are due. Every eighth has two of one amount due."""
    slugs, due = sorted(city.desks), 0
    for n in range(people):
        person = await city.person(slugs[n % len(slugs)])
        for amount, period, now in INSTALMENTS:
            now = now or n % 8 == 7
            due_on = None if now else city.today(30)
            await city.incentive(person, amount=amount, period=period, due_on=due_on)
            due += now
    return due


async def two_people_settle(restoring: Restoring, truth: dict[str, int], strays: list[Stray]) -> None:
    """What the gateway cannot know, two people do: core's own records say which instalment it was."""
    service = restoring.recoveries(restoring.town.worker()).strays
    for stray in strays:
        for person in ("one", "two"):
            await service.settle(stray.reference, truth[stray.reference], actor=person)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """More seeds in the long run."""
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(3 if metafunc.config.getoption("--long") else 1))


async def test_a_restored_database_brings_no_double_and_loses_nobody_at_the_mocks(
    postgres: EmbeddedPostgres, database: str, seed: int, long: bool
) -> None:
    rng = random.Random(f"restore {seed}")
    people = PEOPLE_LONG if long else PEOPLE
    async with (
        open_city(database, seed=seed, waits=None if long else SMALL) as city,
        Restoring(city, postgres.dsn) as restoring,
    ):
        due = await settled(city, people)
        city.fate = lambda slug, target: rng.choice(TROUBLES) if rng.random() < 0.15 else ""

        async def work(until: float) -> None:
            worker = city.worker()
            for _ in range(500):
                for slug in sorted(city.desks):
                    await worker.tick_send(slug, limit=rng.randint(1, max(2, people // 10)))
                    await worker.tick_lookups(slug)
                await worker.tick_deadlines()
                await city.pass_time(rng.choice((1.0, 20.0, 90.0)))
                if len([one for one in city.bookings() if one.kind == "credit"]) >= until * due:
                    return

        await work(rng.uniform(0.2, 0.5))
        copied_at = city.clock.now()
        await restoring.copy()
        await work(rng.uniform(0.6, 0.9))
        truth = {row["reference"]: row["incentive"] for row in await city.fetch("SELECT * FROM payouts")}
        for slug in sorted(city.desks):
            await city.worker().claim(slug, 2)
        await city.pass_time(rng.choice((5.0, 1_000.0, 30_000.0)))
        await restoring.restore()
        forgotten = set(truth) - {row["reference"] for row in await city.fetch("SELECT reference FROM payouts")}
        assert forgotten & {one.reference for one in city.bookings()}, "nothing was forgotten, or nothing was paid"

        worker, statements = city.worker("after"), Statements(city.resources)
        service = restoring.recoveries(worker)
        await service.open(copied_at, actor="cli")
        await restoring.recover(worker, hours=40, step_s=1_200 if long else 600)
        assert await service.under_way() == []
        left = await service.strays.unsettled()
        assert not nobodys(left)
        city.fate = lambda slug, target: ""
        await city.drive(worker, statements, hours=2, step_s=1_200)
        await two_people_settle(restoring, truth, await service.strays.unsettled())
        await city.drive(worker, statements, hours=40, step_s=1_800)

        found = await city.audit()
        assert found.audit.clean(), found.audit
        stands = Counter(row["stage"] for row in await city.fetch("SELECT stage FROM incentives"))
        assert stands == {"paid": due, "scheduled": len(INSTALMENTS) * people - due}
        assert len(city.bookings()) == due, "one credit for each, and not one more"
        assert {fate: city.happened[fate] > 0 for fate in TROUBLES} == dict.fromkeys(TROUBLES, True)


async def test_without_the_recovery_the_audit_finds_people_paid_twice(
    postgres: EmbeddedPostgres, database: str
) -> None:
    async with open_city(database, waits=SMALL) as city, Restoring(city, postgres.dsn) as restoring:
        due = await settled(city, 4)
        await restoring.copy()
        for slug in sorted(city.desks):
            await city.worker().tick_send(slug)
        await city.pass_time(60.0)
        await restoring.restore()
        await city.drive(city.worker("after"), Statements(city.resources), hours=1, step_s=600)
        assert len(city.bookings()) > due
        assert (await city.audit()).audit.unexplained >= due, "credits that no payout has"
