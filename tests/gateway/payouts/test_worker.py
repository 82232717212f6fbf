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

from contracts.hold import CallFault, HoldStage
from gateway.clock import SystemClock, jakarta_day, start_of_jakarta_day
from gateway.core import Core
from gateway.partners.quota import Quotas
from gateway.partners.watch import Told
from gateway.services.ops.holds import Holds
from gateway.worker import Worker
from gateway.worker.dispatch import Dispatcher
from gateway.worker.loops import Wake
from gateway.worker.outage import CANARY_S, FAILURES, THROTTLED_S, Outage, Outages
from gateway.worker.runner import people_loops
from tests.gateway.payouts.fake import Bank
from tests.gateway.payouts.town import Town


class Idle:
    """A service whose ticks nobody calls."""

    def __getattr__(self, name: str) -> None:
        return None


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
    stopping.set()
    later = await town.due()
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


async def test_no_more_is_begun_than_leaves_soon_and_its_turn_is_waited_for(town: Town) -> None:
    """A slow quota: what waits for its turn is still nothing that was sent, and few of them stand there."""
    town.clock = SystemClock()  # type: ignore[assignment]
    bank = town.partner()
    for _ in range(12):
        await town.due()
    quotas = Quotas(None, town.desks["fake"].manifest, 16.0, town.clock)
    town.desks["fake"]._executor._quotas = quotas
    room, stopping, begun = quotas.room("payout."), asyncio.Event(), asyncio.get_running_loop().time()
    dispatcher = Dispatcher(town.worker(), "fake", lanes=12, room=room, outage=outage_of(town), wake=Wake())
    running = asyncio.create_task(dispatcher.run(stopping))

    async def drained() -> bool:
        took_s = asyncio.get_running_loop().time() - begun
        assert len(bank.seen) <= 4 * (took_s + 1.0), "one of four workers' share of 16"
        rows = await town.fetch("SELECT count(*) AS n FROM payouts WHERE state <> 'succeeded'")
        assert rows[0]["n"] <= 10, "a quarter of a second's, and those between their two calls: not all twelve"
        return await paid(town) == 12

    await until(drained)
    stopping.set()
    await asyncio.wait_for(running, 10)
    assert len(bank.seen) == 2 * 12


def outage_of(town: Town, worker: str = "w1", stage: HoldStage = HoldStage.PAYOUT) -> Outage:
    """One worker's outage control."""
    return Outage("fake", stage, Holds(town.database, town.clock, worker), town.clock, asyncio.Event())


GOOD = Told(good=True)
DOWN = Told(good=False, fault=CallFault.SERVER_ERROR, words="HTTP 502")
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
        outage.told("payout", Told(good=False, fault=CallFault.THROTTLED, words="429", retry_after_s=120.0))
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
    outage, began = outage_of(town), town.clock.now()
    outage.told("payout", Told(good=False, fault=CallFault.FLOAT_SHORT, words="4031714"))
    assert not outage.admit(), "the first word of it is enough"
    await outage.settle()
    asked, until = list[float](), began + timedelta(days=1)
    while town.clock.now() < until:
        wait_s = await outage.turn()
        if wait_s == 0.0:
            assert outage.admit()
            asked.append((town.clock.now() - began).total_seconds() / 60)
            outage.told("payout", Told(good=False, fault=CallFault.FLOAT_SHORT, words="4031714"))
        else:
            town.clock.advance(wait_s)
    assert asked[:5] == [10, 30, 70, 130, 190], "ten minutes, then doubling to an hour"
    midnight = start_of_jakarta_day(jakarta_day(began) + timedelta(days=1))
    assert (midnight - began).total_seconds() / 60 + 5 in asked, "a limit of the day may be over"
    (row,) = await town.fetch("SELECT kind, fault, canaries FROM holds")
    assert (row["kind"], row["fault"], row["canaries"]) == ("ours", "float_short", len(asked))


async def test_checks_wait_for_nobody_but_their_own_answer(town: Town) -> None:
    """One partner's people are checked in lanes: the slowest holds up nobody, and as many are asked as may leave."""
    town.partner()
    asked: list[int] = []
    slow, stopping = asyncio.Event(), asyncio.Event()
    waiting = list(range(300))

    async def claim(partner: str, limit: int) -> list[int]:
        assert partner == "fake"
        taken, waiting[:limit] = waiting[:limit], []
        return taken

    async def check(one: int) -> None:
        asked.append(one)
        if one == 3:
            raise ValueError("a bug in one row")
        if one % 100 == 0:
            await slow.wait()

    services: dict[str, Any] = {field.name: Idle() for field in dataclasses.fields(Core)}
    verification = SimpleNamespace(claim=claim, check=check, tick_expired=None)
    services |= {"resources": town.resources, "verification": verification}
    core: Any = SimpleNamespace(**services)
    outages = Outages(town.resources, "w1", asyncio.Event())
    (checks,) = [loop for loop in people_loops(core, outages) if loop.name == "verification:fake"]
    running = asyncio.create_task(checks.run(Wake(), stopping))

    async def all_asked() -> bool:
        return len(asked) == 300

    await until(all_asked)
    stopping.set()
    await asyncio.sleep(0.05)
    assert not running.done(), "what was begun is ended"
    slow.set()
    await asyncio.wait_for(running, 10)
    assert sorted(asked) == list(range(300))
