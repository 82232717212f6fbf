"""Lists that are another day's or another account's, empty, or cut at the partner: they prove nobody absent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from contracts.payout import PayoutState
from gateway.services.payouts.absence import listed_from
from tests.gateway.payouts.fake import NOON, Bank
from tests.gateway.payouts.test_lookalikes import follow
from tests.gateway.payouts.town import Town

S = PayoutState
HOUR = 3_600.0
Lists = Callable[[Bank, dict[str, Any]], dict[str, Any]]


def empty(bank: Bank, body: dict[str, Any]) -> dict[str, Any]:
    return {"lines": [], "next": None}


def of_noon_alone(bank: Bank, body: dict[str, Any]) -> dict[str, Any]:
    """A cache keeps the first day's list for every day after."""
    body = {**body, "day": str(bank.booked[0]["at"].date())}
    listed = Bank._statement(bank, body)
    return {**listed, "lines": [line for line in listed["lines"] if line["reference"] == bank.booked[0]["reference"]]}


async def in_doubt(town: Town, bank: Bank, lists: Lists) -> int:
    """One paid at noon and one late in the evening; then one whose credit's answer is lost."""
    worker = town.worker()
    await town.due()
    await worker.tick_send("fake")
    town.clock.advance(11.7 * HOUR)
    await town.due()
    await worker.tick_send("fake")
    bank.script("transfer", "lost")
    incentive = await town.due()
    await worker.tick_send("fake")
    bank.script("status", *[{"act": "say", "kind": "not_found"}] * 400)
    bank._statement = lambda body: lists(bank, body)  # type: ignore[method-assign]
    return incentive


@pytest.mark.parametrize("lists", [empty, of_noon_alone])
async def test_beside_payments_that_are_known_and_not_listed_nothing_is_absent(town: Town, lists: Lists) -> None:
    """Also where yesterday's list is given for today's; once the lists are whole, what is on them counts."""
    bank = town.partner()
    incentive, worker, statements = await in_doubt(town, bank, lists), town.worker(), town.statements()
    await follow(town, worker, statements, 40)
    assert (await town.states(incentive), len(bank.booked)) == ([S.UNKNOWN], 3)
    assert (await town.stands(incentive))[1] == "outcome_unknown", "and somebody is told"
    del bank._statement
    await follow(town, worker, statements, 12)
    assert await town.states(incentive) == [S.SUCCEEDED]


async def test_what_is_on_no_whole_list_is_absent_and_paid(town: Town) -> None:
    """The control: once the others are listed, what is not there was never booked."""
    bank = town.partner()
    incentive, worker, statements = await in_doubt(town, bank, empty), town.worker(), town.statements()
    bank.booked.pop()
    await follow(town, worker, statements, 6)
    assert await town.states(incentive) == [S.UNKNOWN]
    del bank._statement
    await follow(town, worker, statements, 40)
    assert await town.states(incentive) == [S.REJECTED, S.SUCCEEDED]


async def test_a_lone_payment_is_not_absent_from_another_days_list(town: Town) -> None:
    """Nothing was paid beside it, and a cache gives the list of two days ago, which has somebody's payment."""
    bank = town.partner()
    bank.book("9017954964000000077", 5_000, "0000000077")
    listed = Bank._statement(bank, {"day": str(town.today()), "cursor": None})
    town.clock.advance(59.7 * HOUR)
    bank.script("transfer", "lost")
    incentive = await town.due()
    await town.worker().tick_send("fake")
    bank.script("status", *[{"act": "say", "kind": "not_found"}] * 400)
    bank._statement = lambda body: listed  # type: ignore[method-assign]
    await follow(town, town.worker(), town.statements(), 40)
    assert (await town.states(incentive), len(bank.booked)) == ([S.UNKNOWN], 2)


async def test_what_leaves_before_utcs_midnight_is_looked_for_under_the_day_before(town: Town) -> None:
    """A partner's days may be UTC's, seven hours behind; what leaves at noon is of its own day everywhere."""
    town.partner()
    for hour, behind in ((15, 1), (18.9, 1), (20, 0)):  # at three, seven and eight in the morning
        town.clock.advance(hour * HOUR - (town.clock.now() - NOON).total_seconds())
        incentive = await town.due()
        await town.worker().tick_send("fake")
        assert listed_from(await town.payout(incentive)) == town.today(-behind)


async def test_a_day_that_is_corrected_a_week_later_is_read_once_more(town: Town) -> None:
    bank = town.partner()
    incentive = await town.due()
    await town.worker().tick_send("fake")
    payout, at = await town.payout(incentive), town.clock.now()
    statements = town.statements()
    for half_day in range(18):
        if half_day == 14:
            bank.book(payout.reference, payout.amount_rupiah, "0000000001")
            bank.booked[-1]["at"] = at + timedelta(minutes=5)
        for _ in range(4):
            await statements.tick("fake")
        town.clock.advance(12 * HOUR)
    assert await town.cases() == ["contradiction"], "a second credit, posted into a day of the week before"
