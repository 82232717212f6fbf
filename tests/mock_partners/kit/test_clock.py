"""The clock, the waits table, and work that is due later: by hand and by itself."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, timedelta

import pytest

from mock_partners.kit.clock import JAKARTA, Clock, Kind, Scheduler
from mock_partners.kit.turn import CURRENT, Turn, effect
from mock_partners.kit.waits import GATEWAY_WAITS, Waits, parse_waits


def test_a_clock_can_be_shifted_frozen_and_thawed() -> None:
    seconds = 1_000.0
    clock = Clock(lambda: seconds)
    assert clock.seconds() == 1_000.0
    clock.shift(5)
    assert clock.seconds() == 1_005.0
    clock.freeze(datetime(2026, 1, 1, 0, 0, tzinfo=JAKARTA))
    seconds += 50
    assert clock.now() == datetime(2026, 1, 1, tzinfo=JAKARTA)
    clock.shift(-1)
    assert clock.today() == date(2025, 12, 31)
    clock.thaw()
    seconds += 2
    assert clock.now() == datetime(2026, 1, 1, 0, 0, 1, tzinfo=JAKARTA)


def test_the_day_is_jakartas() -> None:
    clock = Clock(lambda: datetime.fromisoformat("2026-01-15T17:00:00+00:00").timestamp())
    assert clock.today() == date(2026, 1, 16)
    assert clock.now().isoformat() == "2026-01-16T00:00:00+07:00"


def test_waits() -> None:
    assert parse_waits("") == Waits(link_life_s=900, settlement_s=5, reversal_s=60)
    text = "link_life_s=45, settlement_s=0.5," + ",".join(f"{name}=1" for name in GATEWAY_WAITS)
    assert parse_waits(text) == Waits(link_life_s=45, settlement_s=0.5, reversal_s=60)


@pytest.mark.parametrize(
    "text", ["settlment_s=1", "settlement_s", "settlement_s=soon", "reversal_s=-1", "reversal_s=nan"]
)
def test_bad_waits_are_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match=text.partition("=")[0]):
        parse_waits(text)


def test_an_unknown_wait_names_the_allowed_ones() -> None:
    with pytest.raises(ValueError, match="link_life_s, settlement_s, reversal_s, absence_s"):
        parse_waits("x_s=1")


def by_hand() -> tuple[Clock, Scheduler]:
    clock = Clock(lambda: 0.0)
    clock.freeze(datetime(2026, 1, 15, 12, 0, tzinfo=JAKARTA))
    return clock, Scheduler(clock, auto=False)


async def test_by_hand_work_runs_in_due_order_and_counts_until_it_has_ended() -> None:
    clock, scheduler = by_hand()
    ran: list[str] = []

    async def deliver() -> None:
        assert scheduler.pending()["undelivered"] == 1
        ran.append("delivered")
        scheduler.after(0, Kind.SCHEDULED, lambda: ran.append("chained"))

    scheduler.after(2, Kind.UNDELIVERED, deliver)
    scheduler.after(1, Kind.UNSETTLED, lambda: ran.append("settled"))
    assert scheduler.pending() == {"unsettled": 1, "scheduled": 0, "undelivered": 1}
    assert scheduler.next_due_s() == clock.seconds() + 1
    assert await scheduler.run_due() == 0
    assert await scheduler.run_due(clock.now() + timedelta(seconds=1)) == 1
    clock.shift(2)
    assert await scheduler.run_due() == 2
    assert ran == ["settled", "delivered", "chained"]
    assert scheduler.pending() == {"unsettled": 0, "scheduled": 0, "undelivered": 0}
    assert scheduler.next_due_s() is None


async def test_by_hand_an_error_is_raised() -> None:
    _, scheduler = by_hand()
    scheduler.after(0, Kind.SCHEDULED, lambda: [][0])
    with pytest.raises(IndexError):
        await scheduler.run_due()
    assert scheduler.pending()["scheduled"] == 0


async def test_the_list_is_bounded() -> None:
    scheduler = Scheduler(Clock(), auto=False, limit=1)
    scheduler.after(1, Kind.SCHEDULED, lambda: None)
    with pytest.raises(OverflowError):
        scheduler.after(1, Kind.SCHEDULED, lambda: None)


async def test_a_nap_under_a_virtual_clock_ends_when_it_is_driven_and_is_not_pending() -> None:
    clock, scheduler = by_hand()
    nap = asyncio.create_task(scheduler.sleep(3))
    await asyncio.sleep(0)
    assert scheduler.pending() == {"unsettled": 0, "scheduled": 0, "undelivered": 0}
    clock.shift(3)
    assert not nap.done()
    await scheduler.run_due()
    await nap


async def test_by_itself_work_runs_without_being_asked_and_one_slow_item_holds_up_nobody() -> None:
    scheduler = Scheduler(Clock())
    release, quick = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        await release.wait()

    scheduler.after(0, Kind.UNDELIVERED, slow)
    scheduler.after(0.01, Kind.UNSETTLED, quick.set)
    async with asyncio.timeout(5):
        await quick.wait()
    assert scheduler.pending() == {"unsettled": 0, "scheduled": 0, "undelivered": 1}
    release.set()
    await scheduler.close()
    assert scheduler.pending()["undelivered"] == 0


async def test_by_itself_a_failure_is_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    scheduler = Scheduler(Clock())
    done = asyncio.Event()
    scheduler.after(0, Kind.SCHEDULED, lambda: [][0])
    scheduler.after(0.01, Kind.SCHEDULED, done.set)
    async with asyncio.timeout(5):
        await done.wait()
    assert scheduler.failures == 1
    assert "IndexError" in caplog.text
    await scheduler.close()


def test_the_stage_moves_apart_from_the_machine() -> None:
    seconds = 1_000.0
    clock = Clock(lambda: seconds)
    clock.stage.shift(60)
    assert (clock.seconds(), clock.machine_seconds()) == (1_060.0, 1_000.0)
    clock.stage.freeze(5_000.0)
    seconds += 10
    clock.shift(1)
    assert (clock.seconds(), clock.machine_seconds()) == (5_000.0, 1_011.0)
    clock.stage.thaw()
    seconds += 1
    assert (clock.seconds(), clock.machine_seconds()) == (5_001.0, 1_012.0)
    clock.stage.set(1_012.0)
    assert clock.seconds() == clock.machine_seconds()


async def test_travel_runs_what_is_due_at_its_own_time_and_what_that_schedules() -> None:
    clock, scheduler = by_hand()
    start_s, seen = clock.seconds(), list[float]()

    def note() -> None:
        seen.append(clock.seconds() - start_s)
        if len(seen) < 3:
            scheduler.after(10, Kind.SCHEDULED, note)

    scheduler.after(5, Kind.SCHEDULED, note)
    await scheduler.travel(start_s + 20)
    assert (seen, clock.seconds() - start_s) == ([5.0, 15.0], 20.0)
    await scheduler.travel(start_s + 1)
    assert (len(seen), clock.seconds() - start_s) == (2, 1.0)


async def test_travel_goes_on_after_work_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    clock, scheduler = by_hand()
    ran: list[int] = []
    scheduler.after(1, Kind.SCHEDULED, lambda: ran[9])
    scheduler.after(2, Kind.SCHEDULED, lambda: ran.append(1))
    await scheduler.travel(clock.seconds() + 3)
    assert (ran, scheduler.failures) == ([1], 1)
    assert "IndexError" in caplog.text


async def test_a_stopped_stage_neither_wakes_the_scheduler_nor_loses_its_work() -> None:
    asked = 0

    def source() -> float:
        nonlocal asked
        asked += 1
        return 1_000.0 + asked * 1e-9

    clock = Clock(source)
    scheduler = Scheduler(clock)
    clock.stage.freeze(2_000.0)
    done = asyncio.Event()
    scheduler.after(1e-5, Kind.SCHEDULED, done.set)
    before = asked
    await asyncio.sleep(0.05)
    assert (asked - before < 5, done.is_set()) == (True, False)
    clock.stage.shift(1)
    scheduler.rearm()
    await asyncio.wait_for(done.wait(), 5)
    await scheduler.close()


async def test_what_runs_later_is_no_part_of_the_call_that_planned_it() -> None:
    turn = Turn()
    turn.effects = {"book_twice": True}
    token = CURRENT.set(turn)
    scheduler, seen, done = Scheduler(Clock()), list[object](), asyncio.Event()

    def later() -> None:
        seen.append(effect("book_twice"))
        done.set()

    scheduler.after(0.0, Kind.SCHEDULED, later)
    assert effect("book_twice") is True
    await asyncio.wait_for(done.wait(), 5)
    assert seen == [None]
    CURRENT.reset(token)
    await scheduler.close()
