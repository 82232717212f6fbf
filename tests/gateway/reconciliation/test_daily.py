"""Finished days are compared without anybody asking; each difference is a case once, also after a restart."""

from __future__ import annotations

import asyncio
from datetime import date

import pytest

from gateway.services.reconciliation import reconcile
from gateway.services.reconciliation.daily import AGAIN_S, DAYS_BACK, MOST_TRIES, Daily
from gateway.services.reconciliation.reconcile import Reconciliations
from tests.gateway.payouts.town import Town

HOUR_S = 3_600.0


def daily(town: Town) -> Daily:
    """As a worker that has just started has it."""
    return Daily(town.resources, Reconciliations(town.resources))


async def test_a_finished_day_that_differs_twice_is_a_case_once(town: Town) -> None:
    bank = town.partner()
    for _ in range(3):
        await town.due()
    await town.worker().tick_send("fake")
    bank.booked.pop()
    assert await daily(town).tick("fake") == 0, "the day is not over"
    town.clock.advance(13 * HOUR_S)
    assert await daily(town).tick("fake") == 0, "lines are still posted into it"
    town.clock.advance(8 * HOUR_S)
    assert await daily(town).tick("fake") == 1
    assert await town.cases() == [], "a list with a hole in it is nobody's work"
    assert await daily(town).tick("fake") == 0
    town.clock.advance(AGAIN_S)
    assert await daily(town).tick("fake") == 1
    (case,) = await town.fetch("SELECT detail FROM cases")
    assert "1 missing_there" in case["detail"]
    await town.execute("UPDATE cases SET closed_at = now(), closed_by = 'operator'")
    for _ in range(3):
        assert await daily(town).tick("fake") == 0
        town.clock.advance(HOUR_S)
    assert await town.cases() == []
    rows = await town.fetch("SELECT requested_by, breaks FROM reconciliations")
    assert [(row["requested_by"], row["breaks"]) for row in rows] == [("gateway", 1)] * 2


async def test_what_a_process_found_that_died_before_it_told_is_found_again(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = town.partner()
    await town.due()
    await town.worker().tick_send("fake")
    bank.booked.clear()
    town.clock.advance(21 * HOUR_S)
    for times in range(1, MOST_TRIES + 2):
        with monkeypatch.context() as patched:
            patched.setattr(Daily, "_tell", dies)
            with pytest.raises(asyncio.CancelledError):
                await daily(town).tick("fake")
        town.clock.advance(AGAIN_S)
        (row,) = await town.fetch("SELECT count(*) AS n FROM reconciliations WHERE state = 'done'")
        assert row["n"] == times
    assert await daily(town).tick("fake") == 1
    assert await town.cases() == ["contradiction"]
    town.clock.advance(AGAIN_S)
    assert await daily(town).tick("fake") == 0, "told is told"


@pytest.mark.parametrize("known", [True, False])
async def test_days_that_nobody_got_to_are_compared_later_and_what_is_out_of_reach_is_told_once(
    town: Town, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    """Also where the first standstill came before the partner was ever compared; another partner pays nobody."""
    monkeypatch.setattr("gateway.services.reconciliation.daily.MOST_DAYS", 12)
    town.partner("another")
    town.partner()
    await town.due()
    await town.worker().tick_send("fake")
    town.clock.advance(21 * HOUR_S)
    if known:
        assert await daily(town).tick("fake") == 1
    town.clock.advance(10 * 24 * HOUR_S)
    assert await compared(town, "fake") == [town.today(-n) for n in range(11 if not known else 10, 0, -1)]
    assert len(await compared(town, "another")) == DAYS_BACK
    assert await town.cases() == []
    town.clock.advance(20 * 24 * HOUR_S)
    assert await compared(town, "fake") == [town.today(-n) for n in range(13, 0, -1)]
    assert len(await compared(town, "another")) == 13
    told = await town.fetch("SELECT partner, detail FROM cases ORDER BY partner DESC")
    assert [row["partner"] for row in told] == ["fake", "another"]
    for row in told:
        assert f"of {town.today(-20)} to {town.today(-14)} were never compared" in row["detail"]


async def compared(town: Town, partner: str) -> list[date]:
    """What a worker that has just started compares, tick by tick, until there is nothing more."""
    before = {row["id"] for row in await town.fetch("SELECT id FROM reconciliations")}
    worker = daily(town)
    while await worker.tick(partner):
        pass
    rows = await town.fetch("SELECT id, day FROM reconciliations WHERE partner = $1 ORDER BY id", partner)
    return [row["day"] for row in rows if row["id"] not in before]


async def dies(*_: object, **__: object) -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize("differs_always", [False, True])
async def test_what_no_second_comparison_bears_out_is_told_by_the_last_one_alone(
    town: Town, differs_always: bool
) -> None:
    """A list lacks a payment and is whole an hour later, or shows something else that is odd each time."""
    bank = town.partner()
    await town.due()
    await town.worker().tick_send("fake")
    whole, stranger = list(bank.booked), bank.booked[0] | {"reference": "0000000000000000077", "number": "F"}
    town.clock.advance(21 * HOUR_S)
    compared = 0
    for n in range(MOST_TRIES + 1):
        assert await town.cases() == (["contradiction"] if compared == MOST_TRIES else [])
        bank.booked[:] = [] if n % 2 == 0 else [*whole, stranger] if differs_always else whole
        compared += await daily(town).tick("fake")
        town.clock.advance(AGAIN_S)
    assert compared == (MOST_TRIES if differs_always else 2)


async def test_a_day_that_cannot_be_compared_is_tried_a_few_times_and_then_a_persons(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "AGAIN_S", 0.0)
    bank = town.partner()
    await town.due()
    await town.worker().tick_send("fake")
    town.clock.advance(21 * HOUR_S)
    bank._statement = lambda body: {"kind": "no"}  # type: ignore[method-assign]
    for _ in range(MOST_TRIES + 3):
        assert await daily(town).tick("fake") == 0
        town.clock.advance(AGAIN_S)
    (row,) = await town.fetch("SELECT count(*) AS n FROM reconciliations")
    assert row["n"] == MOST_TRIES
    assert await town.cases() == ["contradiction"]
