"""What stands still is told within half a minute, with since when and why; what moves is never called that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from contracts.hold import HoldKind, HoldStage
from gateway.services.ops import standstill
from gateway.services.ops.holds import Holds
from gateway.services.ops.plan import Planner
from gateway.services.ops.standstill import Because, Standstill
from gateway.storage.base.clocks import ClockOff
from gateway.storage.ops import switches
from gateway.worker.dispatch import Dispatcher
from gateway.worker.failing import Failing
from gateway.worker.lanes import Lanes
from gateway.worker.loops import Loop, Wakes
from tests.gateway.payouts.fake import VirtualClock
from tests.gateway.payouts.town import Town

B = Because


def planner(town: Town) -> Planner:
    return Planner(town.database, town.clock, {slug: desk.manifest for slug, desk in town.desks.items()}, {})


async def standing_now(town: Town) -> dict[tuple[str, str], Standstill]:
    async with town.database.connection() as connection:
        found = await standstill.read(connection, town.clock.now())
    return {(one.partner, one.stage): one for one in found}


async def watched(town: Town, seconds: int = 30) -> dict[tuple[str, str], Standstill]:
    """A worker that works samples the backlog all the while, every ten seconds."""
    sampling = planner(town)
    await sampling.tick()
    for _ in range(seconds // 10):
        town.clock.advance(10)
        await sampling.tick()
    return await standing_now(town)


async def nothing(_: Town) -> None:
    """It is due, and that is all."""


async def taken_up(town: Town) -> None:
    await town.worker().claim("fake", 1)


async def unknown(town: Town) -> None:
    town.banks["fake"].script("transfer", "lost")
    await town.worker().tick_send("fake")
    await town.execute("UPDATE payouts SET next_at = $1", town.clock.now() + timedelta(hours=1))


async def held(town: Town) -> None:
    await Holds(town.database, town.clock, "w1").hold(
        "fake", HoldStage.PAYOUT, HoldKind.OUTAGE, fault="5xx", words="502", after_s=3600.0
    )


async def throttled(town: Town) -> None:
    await Holds(town.database, town.clock, "w1").hold(
        "fake", HoldStage.PAYOUT, HoldKind.THROTTLED, fault="429", words="429; from now on 2/s", after_s=1.0
    )


async def paused(town: Town) -> None:
    async with town.database.transaction() as connection:
        await switches.pause(connection, town.clock.now(), "fake", by="ann", reason="deposit")


async def recovering(town: Town) -> None:
    """Also paused, which nobody need lift before the recovery is over."""
    await paused(town)
    await town.execute(
        "INSERT INTO recoveries (partner, since, opened_at, settled_at, demanded)"
        " VALUES ('fake', $1, $1, $1, 'a copy')",
        town.clock.now(),
    )


async def refused(town: Town) -> None:
    await tells(town, "dispatch:fake", asyncpg.InsufficientPrivilegeError("payouts"))


async def refused_elsewhere(town: Town) -> None:
    await tells(town, "dispatch:other", asyncpg.InsufficientPrivilegeError("payouts"))


async def tells(town: Town, work: str, error: Exception | None, *, worker: str = "w1", off_s: float = 0.0) -> None:
    wakes, clock = Wakes("", {}), VirtualClock(town.clock.now())
    clock.advance(off_s)
    if error is not None:
        wakes.event(work).failed(error)
    await Failing(town.database, clock, wakes, worker).tick()


async def pass_by_the_stores_clock(town: Town, seconds: float) -> None:
    await town.execute("UPDATE work_fails SET told_at = told_at - make_interval(secs => $1)", seconds)


WHY: dict[Callable[[Town], Awaitable[None]], tuple[Because, str]] = {
    nothing: (B.NOT_TAKEN_UP, ""),
    taken_up: (B.UNDER_WAY, ""),
    unknown: (B.WAITS, ""),
    held: (B.HELD, "outage 5xx 502"),
    paused: (B.PAUSED, "deposit"),
    recovering: (B.RECOVERING, "a copy"),
    throttled: (B.THROTTLED, "429; from now on 2/s"),
    refused_elsewhere: (B.NOT_TAKEN_UP, ""),
}


@pytest.mark.parametrize("plant", WHY, ids=lambda plant: plant.__name__)
async def test_what_does_not_move_says_since_when_and_why(town: Town, plant: Callable[[Town], Awaitable[None]]) -> None:
    because, words = WHY[plant]
    town.partner()
    town.partner("other")
    await town.due()
    await plant(town)
    since = town.clock.now()
    found = await watched(town)
    assert found.keys() == {("fake", "payout")}, "the other partner has nothing due"
    one = found["fake", "payout"]
    assert (one.because, one.words) == (because, words)
    assert one.since is not None and abs(one.since - since) <= timedelta(seconds=10)
    if because in (B.WAITS, B.HELD):
        assert one.next_at == since + timedelta(hours=1)
    (mine,) = [one for one in (await planner(town).burn_down()).forecasts if one.stage == "payout"]
    assert mine.stands == one and mine.done_at is None, "nothing is forecast of it"
    assert mine.basis == ("held" if because in (B.HELD, B.PAUSED, B.RECOVERING) else "standing")


async def test_workers_that_fail_are_told_while_they_tell_it(town: Town) -> None:
    town.partner()
    await town.due()
    await watched(town)
    await refused(town)
    one = (await standing_now(town))["fake", "payout"]
    assert (one.because, one.words) == (B.FAILING, "InsufficientPrivilegeError")
    await tells(town, "", None)
    assert (await standing_now(town))["fake", "payout"].because is B.NOT_TAKEN_UP
    await refused(town)
    await pass_by_the_stores_clock(town, 30.0)
    assert (await standing_now(town))["fake", "payout"].because is B.NOT_TAKEN_UP, "one that tells nothing is gone"
    await tells(town, "", None, worker="w2")
    assert len(await town.fetch("SELECT FROM work_fails")) == 1
    await pass_by_the_stores_clock(town, 3_600.0)
    await tells(town, "", None, worker="w2")
    assert await town.fetch("SELECT FROM work_fails") == []


@pytest.mark.parametrize("off_s", [3_600.0, -3_600.0])
@pytest.mark.parametrize("ever", [True, False])
async def test_a_clock_that_is_off_is_told_by_the_worker_whose_it_is(town: Town, ever: bool, off_s: float) -> None:
    """It samples nothing and dates what it tells an hour from now; that is no worker that is gone."""
    town.partner()
    if ever:
        await planner(town).tick()
    await town.due()
    town.clock.advance(45)
    await tells(town, "dispatch:other", ClockOff("an hour"), off_s=off_s)
    assert [one.because for one in (await standing_now(town)).values()] == [B.NO_WORKER]
    await tells(town, "dispatch:fake", ClockOff("This machine's clock is an hour off"), off_s=off_s)
    one = (await standing_now(town))["fake", "payout"]
    assert (one.because, one.words) == (B.FAILING, "ClockOff: This machine's clock is an hour off")
    await pass_by_the_stores_clock(town, 30.0)
    assert [one.because for one in (await standing_now(town)).values()] == [B.NO_WORKER], "gone since"


async def test_what_moves_stands_not_still(town: Town) -> None:
    """The number that is due may be the same all the while: one comes as one goes."""
    town.partner()
    await town.due()
    sampling, worker = planner(town), town.worker()
    for _ in range(8):
        await sampling.tick()
        assert await standing_now(town) == {}
        town.clock.advance(10)
        await worker.tick_send("fake")
        await town.due()


@pytest.mark.parametrize("ever", [True, False])
async def test_no_worker_is_told_by_what_no_worker_tells(town: Town, ever: bool) -> None:
    """Dead, without a way to the store, or before one that takes no writes: the samples end."""
    town.partner()
    last = None
    if ever:
        await planner(town).tick()
        last = (await town.fetch("SELECT max(at) AS at FROM backlog_samples"))[0]["at"]
    await town.due()
    town.clock.advance(45)
    (one,) = (await standing_now(town)).values()
    assert (one.partner, one.stage, one.because, one.since) == ("fake", "payout", B.NO_WORKER, last)
    await planner(town).tick()
    assert await standing_now(town) == {}, "one works again"


async def test_a_worker_that_had_nothing_to_do_is_there(town: Town) -> None:
    """The first batch that there ever is comes between two samples: it is due, and nobody has left."""
    town.partner()
    await planner(town).tick()
    await town.due()
    town.clock.advance(9)
    assert await standing_now(town) == {}
    town.clock.advance(45)
    assert [one.because for one in (await standing_now(town)).values()] == [B.NO_WORKER]


class _Refused:
    """A payout service whose role lost its rights, and gets them back."""

    worker = "w1"

    def __init__(self) -> None:
        self.refuses = True
        self.asked = asyncio.Event()

    async def claim(self, *_: Any) -> list[Any]:
        self.asked.set()
        if self.refuses:
            raise asyncpg.InsufficientPrivilegeError("payouts")
        return []

    async def tick(self) -> int:
        return len(await self.claim())


@pytest.mark.parametrize("kind", ["dispatch", "lanes", "loop"])
async def test_every_kind_of_loop_knows_that_it_fails_and_that_it_works_again(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("dispatch", "lanes", "loops"):
        monkeypatch.setattr(f"gateway.worker.{module}.AFTER_ERROR_S", 0.0)
    wake, refused, stopping = Wakes("", {}).event("x"), _Refused(), asyncio.Event()
    outage: Any = type("_Up", (), {"down": False, "turn": staticmethod(lambda: asyncio.sleep(0, 0.0))})()
    if kind == "dispatch":
        running = Dispatcher(refused, "fake", lanes=1, room=None, outage=outage, wake=wake).run(stopping)  # type: ignore[arg-type]
    elif kind == "lanes":
        running = Lanes("x", refused.claim, refused.claim, room=None).run(wake, stopping)
    else:
        running = Loop("x", refused.tick).run(wake, stopping)
    task = asyncio.create_task(running)
    try:
        await asyncio.wait_for(_until(lambda: wake.failure is not None), 60)
        assert wake.failure is not None and wake.failure[0] == "InsufficientPrivilegeError"
        refused.refuses = False
        await asyncio.wait_for(_until(lambda: wake.failure is None), 60)
    finally:
        stopping.set()
        await task


async def test_lanes_whose_canary_was_taken_back_wait_and_do_not_fail() -> None:
    """One of two holds was released between the turn and the try: nothing is under way that could be waited for."""
    held: Any = type(
        "_Held", (), {"down": True, "turn": staticmethod(lambda: asyncio.sleep(0, 0.0)), "admit": lambda _: False}
    )()

    async def work(_: object) -> list[object]:
        raise AssertionError("nothing may be begun")

    wake, stopping = Wakes("", {}).event("x"), asyncio.Event()
    task = asyncio.create_task(Lanes("x", work, work, room=None, outage=held).run(wake, stopping))
    await asyncio.wait_for(_until(lambda: wake.awaited or wake.failure is not None), 60)
    assert wake.failure is None
    stopping.set()
    await task


async def _until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0.001)
