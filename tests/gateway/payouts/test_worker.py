"""The worker's loops on real time: grouped commits, quotas, outage, pause, and an orderly end."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from contracts.hold import Fault, HoldStage
from contracts.partner import Mark, Quota
from gateway.clock import SystemClock
from gateway.core import Core
from gateway.partners.watch import Told
from gateway.services.ops.holds import Holds
from gateway.worker import Worker
from gateway.worker.dispatch import Dispatcher
from gateway.worker.outage import CANARY_S, FAILURES, THROTTLED_S, Outage
from gateway.worker.quota import Quota as Tokens
from gateway.worker.quota import quota_of
from gateway.worker.runner import Outages, people_loops
from tests.gateway.payouts.fake import Bank, VirtualClock
from tests.gateway.payouts.town import NOON, Town

_TICKS = ("tick", "tick_expiry", "tick_health", "tick_refresh", "tick_waiting", "tick_unlinking", "tick_purge")


@asynccontextmanager
async def working(town: Town, workers: int = 1) -> Any:
    """Workers that run until the block ends; then they are stopped and must end by themselves."""
    stopping = asyncio.Event()
    tasks = []
    for n in range(workers):
        worker = Worker(town.resources, town.worker(f"w{n}", grouped=True), town.statements())
        tasks.append(asyncio.create_task(worker.run(stopping)))
    try:
        yield tasks
    finally:
        stopping.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 20)


async def until(true: Callable[[], Awaitable[bool]], *, within_s: float = 20.0) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(within_s):
        while not await true():
            await asyncio.sleep(0.02)


async def paid(town: Town) -> int:
    rows = await town.fetch("SELECT count(*) AS n FROM incentives WHERE stage = 'paid'")
    return int(rows[0]["n"])


async def test_two_workers_drain_a_backlog_without_a_double(town: Town) -> None:
    town.clock = SystemClock()  # type: ignore[assignment]
    bank = town.partner()
    for _ in range(150):
        await town.due()

    async def drained() -> bool:
        return await paid(town) == 150

    async with working(town, workers=2):
        await until(drained)
    assert len(bank.booked) == 150
    await town.check()


async def test_a_partner_that_is_down_is_left_alone_but_for_a_canary(town: Town) -> None:
    town.clock = SystemClock()  # type: ignore[assignment]
    town.settings = msgspec.structs.replace(town.settings, max_in_flight=4)
    bank = town.partner()
    bank.script("inquiry", *["refused_connection"] * 12)
    for _ in range(40):
        await town.due()

    async def tried() -> bool:
        return bank.seen.count("inquiry") >= FAILURES

    async with working(town):
        await until(tried)
        await asyncio.sleep(CANARY_S * 0.8)
        assert bank.seen.count("inquiry") <= FAILURES + 4, "feeding went on"
        bank.acts.clear()

        async def drained() -> bool:
            return await paid(town) == 40

        await until(drained)
    await town.check()


def held(bank: Bank, operation: str) -> tuple[asyncio.Event, asyncio.Event]:
    """Keeps the answers to an operation back: (set once it was asked, to be set to let the answers go)."""
    asked, answer = asyncio.Event(), asyncio.Event()

    async def hold(which: str) -> None:
        if which == operation:
            asked.set()
            await answer.wait()

    bank.before = hold
    return asked, answer


async def test_what_is_in_flight_is_finished_when_told_to_stop(town: Town) -> None:
    town.clock = SystemClock()  # type: ignore[assignment]
    bank = town.partner()
    incentive = await town.due()
    asked, answer = held(bank, "transfer")
    stopping = asyncio.Event()
    worker = Worker(town.resources, town.worker(grouped=True), town.statements())
    running = asyncio.create_task(worker.run(stopping))
    await asyncio.wait_for(asked.wait(), 10)
    later = await town.due()
    stopping.set()
    await asyncio.sleep(0.1)
    assert not running.done()
    answer.set()
    await asyncio.wait_for(running, 10)
    assert await town.stands(incentive) == ("paid", None)
    assert await town.stands(later) == ("scheduled", None)
    await town.check()


async def test_nothing_new_leaves_once_told_to_stop(town: Town) -> None:
    """Also of what was claimed already and waits for its turn; it is given back."""
    town.clock = SystemClock()  # type: ignore[assignment]
    town.settings = msgspec.structs.replace(town.settings, max_in_flight=1)
    bank = town.partner()
    for _ in range(4):
        await town.due()
    asked, answer = held(bank, "inquiry")
    stopping = asyncio.Event()
    worker = Worker(town.resources, town.worker(grouped=True), town.statements())
    running = asyncio.create_task(worker.run(stopping))
    await asyncio.wait_for(asked.wait(), 10)
    stopping.set()
    answer.set()
    await asyncio.wait_for(running, 10)
    assert bank.seen.count("inquiry") == 1
    assert await town.fetch("SELECT id FROM payouts WHERE state = 'reserved' AND lease_until IS NOT NULL") == []
    await town.check()


async def test_nothing_is_sent_before_the_quota_gives_way(town: Town) -> None:
    bank = town.partner()
    for _ in range(3):
        await town.due()
    asked: asyncio.Queue[int] = asyncio.Queue()
    gives_way, stopping, clock = asyncio.Semaphore(0), asyncio.Event(), SystemClock()
    quota = Tokens(None, "fake:payout", 1_000.0, clock)

    async def take(calls: int = 1) -> None:
        asked.put_nowait(calls)
        await gives_way.acquire()

    quota.take = take  # type: ignore[method-assign]
    dispatcher = Dispatcher(town.worker(), "fake", lanes=2, quota=quota, outage=outage_of(town), wake=asyncio.Event())
    running = asyncio.create_task(dispatcher.run(stopping))
    for sent in range(3):
        assert await asyncio.wait_for(asked.get(), 10) == len({"inquiry", "transfer"})
        assert len(bank.booked) == sent
        gives_way.release()

        async def booked(so_many: int = sent + 1) -> bool:
            return await paid(town) == so_many

        await until(booked)
    stopping.set()
    gives_way.release()
    await asyncio.wait_for(running, 10)


def outage_of(town: Town, worker: str = "w1", stage: HoldStage = HoldStage.PAYOUT) -> Outage:
    """One worker's outage control."""
    return Outage("fake", stage, Holds(town.database, town.clock, worker), town.clock, asyncio.Event())


GOOD = Told(good=True)
DOWN = Told(good=False, fault=Fault.SERVER_ERROR, words="HTTP 502")
PERSON = Told(good=False)


async def test_outage_opens_after_a_run_of_failures_and_closes_at_a_word(town: Town) -> None:
    outage = outage_of(town)
    for _ in range(FAILURES - 1):
        outage.told("payout", DOWN)
    outage.told("find_payout", DOWN)
    outage.told("payout", PERSON)
    assert outage.admit(), "a look-up is no try, and a refusal about a person is no failure"
    outage.told("payout", DOWN)
    assert not outage.admit()
    await outage.settle()
    assert await outage.turn() == CANARY_S
    town.clock.advance(CANARY_S)
    assert await outage.turn() == 0.0
    assert outage.admit(), "the canary"
    assert not outage.admit(), "one canary at a time"
    outage.told("payout", PERSON)
    await outage.settle()
    assert not outage.admit(), "a refusal about a person does not show that the partner is back"
    outage.told("payout", GOOD)
    await outage.settle()
    assert outage.admit()
    assert await outage.turn() == 0.0


async def test_what_one_worker_saw_holds_in_the_other(town: Town) -> None:
    one, two = outage_of(town, "w1"), outage_of(town, "w2")
    for _ in range(FAILURES):
        one.told("payout", DOWN)
    await one.settle()
    await two._holds.refresh()
    assert two.down
    town.clock.advance(CANARY_S)
    turns = [await one.turn(), await two.turn()]
    assert turns.count(0.0) == 1, "one canary for both"
    canary = (one, two)[turns.index(0.0)]
    canary.told("payout", GOOD)
    await canary.settle()
    await one._holds.refresh()
    await two._holds.refresh()
    assert not one.down
    assert not two.down


async def test_throttling_is_no_outage_and_its_retry_after_is_obeyed(town: Town) -> None:
    outage = outage_of(town)
    for _ in range(10 * FAILURES):
        outage.told("payout", Told(good=False, fault=Fault.THROTTLED, words="429", retry_after_s=120.0))
    await outage.settle()
    assert not outage.down
    assert await outage.turn() == 120.0
    (row,) = await town.fetch("SELECT kind, words FROM holds WHERE released_at IS NULL")
    assert (row["kind"], row["words"]) == ("throttled", "429")
    town.clock.advance(120.0)
    assert await outage.turn() == 0.0
    town.clock.advance(THROTTLED_S)
    await outage.settle()
    assert await town.fetch("SELECT kind FROM holds WHERE released_at IS NULL") == []


async def test_a_partner_that_refuses_us_is_asked_ever_more_seldom(town: Town) -> None:
    outage = outage_of(town)
    for _ in range(FAILURES):
        outage.told("payout", Told(good=False, fault=Fault.FLOAT_SHORT, words="4031714"))
    await outage.settle()
    asked, until = 0, town.clock.now() + timedelta(hours=2)
    while town.clock.now() < until:
        wait_s = await outage.turn()
        if wait_s == 0.0:
            assert outage.admit()
            asked += 1
            outage.told("payout", Told(good=False, fault=Fault.FLOAT_SHORT, words="4031714"))
        else:
            town.clock.advance(wait_s)
    assert 12 <= asked <= 20, "30 s, then doubling to ten minutes"
    (row,) = await town.fetch("SELECT kind, fault, canaries FROM holds")
    assert (row["kind"], row["fault"], row["canaries"]) == ("ours", "float_short", asked)


async def test_a_quota_is_shared_through_redis(redis_url: str) -> None:
    clock = SystemClock()
    async with Redis.from_url(redis_url) as redis:
        one, two = Tokens(redis, "fake:payout", 200.0, clock), Tokens(redis, "fake:payout", 200.0, clock)
        begun = clock.monotonic()
        await asyncio.gather(one.take(100), two.take(100))
        took_s = clock.monotonic() - begun
    assert took_s >= (200 - 20 - 2 * 10) / 200.0 * 0.9, "two workers together keep to one quota"


async def test_without_redis_a_worker_takes_its_share() -> None:
    clock = VirtualClock(NOON)

    async def sleep(seconds: float) -> None:
        clock.advance(seconds)

    async with Redis.from_url("redis://127.0.0.1:1", socket_connect_timeout=0.2) as redis:
        quota = Tokens(redis, "fake:payout", 40.0, clock, sleep=sleep)
        await quota.take(21)
    took_s = (clock.now() - NOON).total_seconds()
    assert 1.5 <= took_s <= 2.5, "a quarter of 40 a second"


async def test_checks_wait_for_the_quota_of_what_they_did(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    each = Quota(operations=("identity.",), per_s=5.0, mark=Mark.ASSUMED, source="test")
    town.partner(quotas=(each,))
    taken: list[int] = []

    async def take(self: Tokens, calls: int) -> None:
        taken.append(calls)

    monkeypatch.setattr(Tokens, "take", take)
    done = iter([3, 0])

    async def tick(most: int, partner: str) -> int:
        assert partner == "fake"
        return next(done)

    idle: Any = SimpleNamespace(**dict.fromkeys(_TICKS))
    services: dict[str, Any] = {field.name: idle for field in dataclasses.fields(Core)}
    services |= {"resources": town.resources, "verification": SimpleNamespace(tick=tick, tick_expired=None)}
    core: Any = SimpleNamespace(**services)
    outages = Outages(town.resources, "w1", asyncio.Event())
    (check,) = [loop for loop in people_loops(core, outages) if loop.name == "verification:fake"]
    assert [await check.tick(), await check.tick()] == [3, 0]
    assert taken == [3]


async def test_the_contracts_figure_goes_before_the_manifests(town: Town) -> None:
    declared = (
        Quota(operations=("payout.", "identity."), per_s=7.0, mark=Mark.ASSUMED, source="test"),
        Quota(operations=("link.",), per_s=1.0, mark=Mark.ASSUMED, source="test"),
    )
    town.partner(quotas=declared)
    manifest = town.desks["fake"].manifest
    found = quota_of(None, manifest, "payout.", None, town.clock)
    assert found is not None
    assert found.per_s == 7.0
    checks = quota_of(None, manifest, "identity.", None, town.clock)
    assert checks is not None
    assert (checks.per_s, checks.key) == (7.0, found.key), "counted together"
    agreed = quota_of(None, manifest, "payout.", 3.0, town.clock)
    assert agreed is not None
    assert agreed.per_s == 3.0
    each = tuple(
        Quota(operations=(one,), per_s=5.0, mark=Mark.ASSUMED, source="test")
        for one in ("payout.create", "payout.approve")
    )
    town.partner("two", quotas=each)
    two = town.desks["two"].manifest
    assert quota_of(None, two, "identity.", None, town.clock) is None
    found = quota_of(None, two, "payout.", None, town.clock, calls=2)
    assert found is not None
    assert found.per_s == 10.0, "five payouts a second are ten calls"
    town.partner("free")
    assert quota_of(None, town.desks["free"].manifest, "payout.", None, town.clock) is None
