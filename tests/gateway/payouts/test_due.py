"""One question wakes the loops that wait, for what is due; whatever can be leased is announced by it."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import Any

import pytest

from gateway.clock import jakarta_day
from gateway.storage.base.database import _BY_KEY
from gateway.storage.linking import verifications
from gateway.storage.ops import due, switches
from gateway.storage.ops.due import Kind
from gateway.worker import loops
from gateway.worker.due import Due
from gateway.worker.loops import Loop, Wake, run_loop
from tests.gateway.payouts.town import Town

PARTNERS = ("fake", "two")
KEYS = [(kind, slug) for kind in Kind for slug in PARTNERS]


async def check_due(town: Town, person: int) -> int:
    """A check of a person's NIK that is due now."""
    async with town.database.connection() as connection:
        link = await connection.fetchval("SELECT link_id FROM participants WHERE id = $1", person)
        return await verifications.open_for(connection, person, link, b"nik", town.clock.now())


async def announced(town: Town) -> set[tuple[Kind, str]]:
    now = town.clock.now()
    async with town.database.connection() as connection:
        return set(await due.at_partners(connection, now, jakarta_day(now), dict.fromkeys(Kind, PARTNERS)))


async def test_who_waits_is_woken_for_what_is_due_and_nobody_else(town: Town) -> None:
    for slug in PARTNERS:
        town.partner(slug)
    wakes = {key: Wake() for key in KEYS}
    watch = Due(town.database, town.clock, wakes)

    async def woken(*, awaited: bool = True) -> list[tuple[Kind, str]]:
        for wake in wakes.values():
            wake.awaited = awaited
            wake.clear()
        assert await watch.tick() == 0
        return [key for key, wake in wakes.items() if wake.is_set()]

    assert await woken() == []
    await town.due("two")
    assert await woken(awaited=False) == [], "who is at work anyway is not woken"
    assert await woken() == [(Kind.DISPATCH, "two")]
    await check_due(town, await town.person("fake"))
    assert await woken() == [(Kind.DISPATCH, "two"), (Kind.VERIFICATION, "fake")]
    async with town.database.transaction() as connection:
        await switches.pause(connection, town.clock.now(), "two", by="op", reason="a test")
    assert await woken() == [(Kind.VERIFICATION, "fake")], "of a paused partner nothing can be sent"


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_can_be_leased_was_announced(town: Town, seed: int) -> None:
    chance = random.Random(seed)
    banks = {slug: town.partner(slug) for slug in PARTNERS}
    worker = town.worker()
    leased = dict.fromkeys(Kind, 0)
    for slug in PARTNERS:
        banks[slug].script("transfer", "lost", "reset")
    for _ in range(40):
        slug = chance.choice(PARTNERS)
        act = chance.randrange(6)
        if act <= 1:
            await town.due(slug, approved=chance.random() < 0.8, due_on=town.today(chance.choice([0, 0, 2])))
        elif act == 2:
            await check_due(town, await town.person(slug))
        elif act == 3:
            banks[slug].script(chance.choice(["inquiry", "transfer"]), chance.choice(["lost", "reset"]))
        elif act == 4:
            town.clock.advance(chance.choice([1.0, 40.0, 3_600.0, 90_000.0]))
        else:
            await worker.tick_deadlines()
        told, now = await announced(town), town.clock.now()
        async with town.database.connection() as connection:
            checks = await verifications.lease(connection, now, now + timedelta(seconds=60), 2, slug)
        done = {
            Kind.LOOKUPS: await worker.tick_lookups(slug, 2),
            Kind.DISPATCH: await worker.tick_send(slug, 2),
            Kind.VERIFICATION: len(checks),
        }
        for kind, pieces in done.items():
            assert not pieces or (kind, slug) in told, f"{pieces} {kind.value} at {slug}, and nobody was told"
            leased[kind] += pieces
    assert all(leased.values()), "this seed tries nothing of some kind"


async def test_a_partner_s_checks_are_found_without_those_of_all_others(town: Town) -> None:
    for slug in PARTNERS:
        town.partner(slug)
    for slug in PARTNERS:
        number = await check_due(town, await town.person(slug))
        rows = await town.fetch("SELECT partner FROM verifications WHERE id = $1", number)
        assert rows == [{"partner": slug}], "the database writes it, whichever version asks for the check"
    asked: list[tuple[str, tuple[object, ...]]] = []

    class Ear:
        async def fetch(self, query: str, *values: object) -> list[Any]:
            asked.append((query, values))
            return []

    now = town.clock.now()
    await verifications.lease(Ear(), now, now, 5, "two")  # type: ignore[arg-type]
    query, values = asked[0]
    async with town.database.transaction() as connection:
        for name, value in _BY_KEY.items():  # as a worker's connections are
            await connection.execute(f"SET LOCAL {name} = {value}")
        plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {query}", *values))
    assert "verifications_due_at" in plan and "Index Cond: ((partner = " in plan, plan
    assert "links" not in plan, plan


async def test_a_loop_that_finds_nothing_waits_longer_and_at_once_less_when_it_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waited: list[float] = []
    stopping = asyncio.Event()
    found = iter([0, 0, 0, 0, 1, 0, 0, 0])

    async def idle(wake: Wake, stop: asyncio.Event, seconds: float) -> bool:
        waited.append(seconds)
        if len(waited) == 7:
            stop.set()
        return len(waited) == 6  # woken, before it looks again

    async def tick() -> int:
        return next(found)

    monkeypatch.setattr(loops, "idle", idle)
    await run_loop(Loop("a", tick, 1.0, 4.0), Wake(), stopping)
    assert waited == [1.0, 2.0, 4.0, 4.0, 1.0, 2.0, 1.0]


async def test_who_waits_says_so_and_is_woken_before_the_time_is_over() -> None:
    wake, stopping = Wake(), asyncio.Event()
    waiting = asyncio.create_task(loops.idle(wake, stopping, 3_600.0))
    while not wake.awaited:
        await asyncio.sleep(0)
    wake.set()
    assert await waiting is True
    assert not wake.awaited and not wake.is_set()
