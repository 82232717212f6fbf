"""A list that is made anew, that shows what is not booked yet, that names no payment of ours, or that is none."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from contracts.payout import PayoutState
from gateway.clock import start_of_jakarta_day
from gateway.storage.intake import erasures
from tests.gateway.payouts.fake import Bank
from tests.gateway.payouts.test_listed import paid, paused
from tests.gateway.payouts.town import Town

S = PayoutState
HOUR_S = 3_600.0


def later(at: datetime) -> datetime:
    """By the second of another clock."""
    return at + timedelta(seconds=3)


def midnight(town: Town) -> datetime:
    return start_of_jakarta_day(town.today())


@pytest.mark.parametrize("moved", ["by seconds", "to midnight", "to the next day"])
async def test_a_booking_that_a_list_made_anew_shows_elsewhere_is_the_same_one(town: Town, moved: str) -> None:
    """Another one beside it is a second credit all the same, and what is listed again counts again."""
    bank = town.partner()
    (incentive,) = await paid(town)
    await town.statements().tick("fake")
    first, began = bank.booked[-1]["at"], midnight(town)
    if moved == "to the next day":
        town.clock.advance(13 * HOUR_S)
    bank.booked[-1]["at"] = {"by seconds": later(first), "to midnight": began}.get(moved, town.clock.now())
    for _ in range(2):
        await town.statements().tick("fake")
        town.clock.advance(HOUR_S)
    assert await town.stands(incentive) == ("paid", None)
    assert await town.cases() == [] and not await paused(town)
    payout = await town.payout(incentive)
    bank.book(payout.reference, payout.amount_rupiah, "0000000001")
    bank.booked[-1]["at"] = first
    await town.statements().read("fake", first.date())
    assert await town.cases() == ["contradiction"] and await paused(town)


async def test_a_second_credit_is_told_though_the_first_ones_day_cannot_be_read_again(town: Town) -> None:
    bank = town.partner()
    (incentive,) = await paid(town)
    await town.statements().tick("fake")
    town.clock.advance(13 * HOUR_S)
    payout, statement = await town.payout(incentive), bank._statement
    bank.book(payout.reference, payout.amount_rupiah, "0000000001")

    def today_alone(body: dict[str, Any]) -> dict[str, Any]:
        return statement(body) if body["day"] == str(town.today()) else {"kind": "no"}

    bank._statement = today_alone  # type: ignore[method-assign]
    await town.statements().read("fake", town.today())
    assert await town.cases() == ["contradiction"] and await paused(town)


@pytest.mark.parametrize("number", ["ours", "theirs"])
async def test_money_back_that_names_nothing_of_ours_is_told_and_touches_nothing(town: Town, number: str) -> None:
    """Under a reference of somebody else's, and a number that the partner has given to us before."""
    bank = town.partner()
    (incentive,) = await paid(town)
    payout = await town.payout(incentive)
    await town.execute("UPDATE payouts SET partner_reference = 'ours'")
    bank.book("0000000000000000077", payout.amount_rupiah, "0000000001", kind="reversal")
    bank.booked[-1]["number"] = number
    for expected in ([], ["contradiction"]):
        await town.statements().tick("fake")
        assert await town.cases() == expected
        town.clock.advance(HOUR_S)
    assert await town.stands(incentive) == ("paid", None)


async def test_what_comes_back_twice_is_told_and_pauses_nobody(town: Town) -> None:
    bank = town.partner()
    (incentive,) = await paid(town)
    payout = await town.payout(incentive)
    for _ in range(2):
        town.clock.advance(5)
        bank.book(payout.reference, payout.amount_rupiah, "0000000001", kind="reversal")
    await town.statements().tick("fake")
    assert await town.stands(incentive) == ("returned", "payment_reversed")
    assert await town.cases() == ["contradiction"] and not await paused(town)


def in_doubt(bank: Bank) -> None:
    """Payments whose answers are lost, and of which no look-up can tell."""
    bank.script("transfer", "reset", "reset")
    bank.script("status", *["garbage"] * 10_000)


async def test_a_row_that_is_not_booked_yet_keeps_its_own_payment_from_being_absent_and_no_other(town: Town) -> None:
    bank = town.partner()
    in_doubt(bank)
    waits, absent = await paid(town, 2)
    payout = await town.payout(waits)
    bank.book(payout.reference, payout.amount_rupiah, "0000000001", kind="pending")
    await town.drive(town.worker(), town.statements(), hours=13, step_s=1800)
    assert await town.states(waits) == [S.PENDING]
    assert (await town.states(absent))[0] is S.REJECTED
    bank.booked[0]["kind"] = "credit"
    await town.statements().read("fake", town.today(-1))
    assert await town.states(waits) == [S.SUCCEEDED]


async def test_a_day_of_which_the_partner_gives_no_list_proves_nothing_absent_and_is_not_asked_for_in_a_circle(
    town: Town,
) -> None:
    bank = town.partner()
    in_doubt(bank)
    (incentive,) = await paid(town)
    bank._statement = lambda body: {"lines": [], "next": None, "proves": False}  # type: ignore[method-assign]
    await town.drive(town.worker(), town.statements(), hours=30, step_s=1800)
    assert await town.states(incentive) == [S.UNKNOWN]
    assert await town.stands(incentive) == ("paying", "outcome_unknown"), "and whose turn it is, is said"
    assert bank.seen.count("statement") < 2 * 60 + 10


async def test_of_a_refused_instalment_of_somebody_erased_a_mark_counts_once_it_turns_out_paid(town: Town) -> None:
    """The same NIK is paid it once, under whatever id it comes back."""
    bank = town.partner()
    bank.script("transfer", {"act": "rejected", "reason": "partner_rejected"})
    bank.script("status", *[{"act": "rejected", "reason": "partner_rejected"}] * 9)
    (incentive,) = await paid(town)
    (person,) = await town.fetch(
        "SELECT participant, instalment_mark(nik_index, programme, purpose, period) AS mark FROM incentives"
    )
    async with town.database.transaction() as connection:
        await erasures.ask(connection, person["participant"], "ann", town.clock.now())
        await erasures.erase(connection, person["participant"], "bob", town.clock.now())
    assert await town.fetch("SELECT mark FROM erased_and_paid") == []
    payout = await town.payout(incentive)
    bank.book(payout.reference, payout.amount_rupiah, "0000000001")
    await town.statements().read("fake", town.today())
    assert (await town.stands(incentive))[0] == "paid"
    assert await town.fetch("SELECT mark FROM erased_and_paid") == [{"mark": person["mark"]}]
