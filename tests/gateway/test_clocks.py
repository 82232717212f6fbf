"""A process whose clock is not the database's takes nothing up: what it would judge another one has dated."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from gateway.core import build_core
from gateway.services.reconciliation.recovery import Recoveries
from gateway.services.reconciliation.statements import Statements
from gateway.storage.base.clocks import TOLERANCE_S, ClockOff, Clocks
from gateway.worker.dispatch import Dispatcher
from gateway.worker.lanes import Lanes
from gateway.worker.loops import Loop, Wake
from gateway.worker.runner import WHATEVER_THE_CLOCK, Worker, people_loops
from tests.sim.chance import PROFILES, Chance
from tests.sim.town import Town

NOON = datetime(2026, 1, 5, 5, tzinfo=UTC)


class Two:
    """Our wall clock, our monotonic clock and the database's, each of which goes as it is told."""

    def __init__(self) -> None:
        self.wall, self.monotonic_s, self.theirs, self.answer_s = NOON, 71.0, NOON, 0.0

    def pass_s(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.theirs += timedelta(seconds=seconds)
        self.monotonic_s += seconds

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.monotonic_s

    async def fetchval(self, statement: str) -> datetime:
        self.pass_s(self.answer_s / 2)
        at = self.theirs
        self.pass_s(self.answer_s / 2)
        return at


async def asked(two: Two) -> Clocks:
    clocks = Clocks(two)  # type: ignore[arg-type]
    await clocks.ask(two)  # type: ignore[arg-type]
    return clocks


@pytest.mark.parametrize("off_s", [3_600.0, -3_600.0, TOLERANCE_S + 1.0])
@pytest.mark.parametrize("whose", ["ours", "theirs"])
async def test_a_clock_that_jumps_is_seen_whosever_it_is(whose: str, off_s: float) -> None:
    two = Two()
    clocks = await asked(two)
    clocks.agree()
    two.pass_s(86_400.0)
    clocks.agree()
    if whose == "ours":
        two.wall += timedelta(seconds=off_s)  # at once: nobody need have asked
    else:
        two.theirs += timedelta(seconds=off_s)
        await clocks.ask(two)  # type: ignore[arg-type]
    with pytest.raises(ClockOff, match=re.escape(f"{off_s if whose == 'ours' else -off_s:+.0f} s")):
        clocks.agree()
    two.wall = two.theirs
    await clocks.ask(two)  # type: ignore[arg-type]
    clocks.agree()


@pytest.mark.parametrize("off_s", [0.0, TOLERANCE_S - 1.0, 1.0 - TOLERANCE_S])
async def test_what_ntp_leaves_is_borne(off_s: float) -> None:
    two = Two()
    two.wall += timedelta(seconds=off_s)
    (await asked(two)).agree()


async def test_an_answer_that_took_long_tells_nothing() -> None:
    two = Two()
    clocks = await asked(two)
    two.answer_s, two.theirs = TOLERANCE_S, two.theirs + timedelta(hours=1)
    await clocks.ask(two)  # type: ignore[arg-type]
    clocks.agree()  # of before
    two.answer_s = 2.0
    await clocks.ask(two)  # type: ignore[arg-type]
    with pytest.raises(ClockOff):
        clocks.agree()


def refusing() -> Wake:
    wake = Wake()
    wake.ready = Mock(side_effect=ClockOff("an hour"))
    return wake


async def once(running: Any, wake: Wake, stopping: asyncio.Event) -> None:
    """Until it was refused once."""
    task = asyncio.create_task(running)
    for _ in range(200):  # turns of the loop, whatever they take
        if wake.failure is None:
            await asyncio.sleep(0)
    stopping.set()
    await task
    assert wake.failure is not None and wake.failure[0] == "ClockOff: an hour"


async def test_nothing_is_taken_up_and_it_is_told() -> None:
    work, stopping, wake = AsyncMock(return_value=0), asyncio.Event(), refusing()
    await once(Loop("deadlines", work).run(wake, stopping), wake, stopping)
    stopping, wake = asyncio.Event(), refusing()
    await once(Lanes("lookups:bni", work, work, room=None).run(wake, stopping), wake, stopping)
    stopping, wake = asyncio.Event(), refusing()
    payouts = SimpleNamespace(claim=work)
    outage: Any = SimpleNamespace(turn=AsyncMock(return_value=0.0), down=False)
    dispatcher = Dispatcher(payouts, "bni", lanes=1, room=None, outage=outage, wake=wake)  # type: ignore[arg-type]
    await once(dispatcher.run(stopping), wake, stopping)
    work.assert_not_awaited()
    outage.turn.assert_not_awaited()


async def test_each_loop_but_two_asks_and_so_does_a_recovery() -> None:
    on_time = Mock(side_effect=ClockOff("an hour"))
    town = Town(1, Chance(1, PROFILES["calm"]), Mock(), Mock())
    resources = dataclasses.replace(town.processes[0].services.resources, on_time=on_time)
    core = build_core(resources)
    worker = Worker(resources, core.payouts, Statements(resources), lambda outages: people_loops(core, outages))
    wakes = worker._asking()
    asking = {name for name, wake in worker._wakes.all() if wake.ready is on_time}
    assert {name for name, _ in worker._wakes.all()} - asking == set(WHATEVER_THE_CLOCK)
    assert wakes.keys() == {loop.name for loop in worker._loops}
    assert wakes.keys() <= asking | set(WHATEVER_THE_CLOCK)
    recoveries = Recoveries(resources, core.payouts, Statements(resources))
    for work in (recoveries.round(), recoveries.open(NOON, actor="cli")):
        with pytest.raises(ClockOff):
            await work
