"""An instalment refused, cancelled and handed over again, whose first payout then turns out paid, is not paid twice."""

from __future__ import annotations

from contracts.incentive import BlockerCode
from contracts.observation import Source
from contracts.payout import PayoutState, rejected, succeeded
from tests.gateway.payouts.ticks import Ticking
from tests.gateway.payouts.town import Town

S = PayoutState


async def refused_and_cancelled(town: Town) -> tuple[Ticking, int, int, int]:
    """A worker, a person, their cancelled incentive, its refused payout."""
    town.partner().script("transfer", {"act": "say", "kind": "rejected", "reason": "partner_rejected"})
    worker, person = town.worker(), await town.person("fake")
    first = await town.incentive(person)
    assert await worker.tick_send("fake") == 1
    payout = await town.payout(first)
    assert payout.state is S.REJECTED
    assert payout.released_at is not None
    await town.execute("UPDATE incentives SET cancelled = true WHERE id = $1", first)
    return worker, person, first, payout.id


async def said_again(town: Town, worker: Ticking, payout: int) -> None:
    """A day later the partner still calls it refused, so that another may take its place."""
    town.clock.advance(86_460.0)
    await worker.observe(None, payout, Source.LOOKUP, rejected(BlockerCode.PARTNER_REJECTED))


async def turns_out_paid(worker: Ticking, payout: int) -> None:
    await worker.observe(None, payout, Source.STATEMENT, succeeded(), "late")


async def test_what_was_paid_before_gets_no_payout(town: Town) -> None:
    worker, person, _, refused = await refused_and_cancelled(town)
    again = await town.incentive(person)
    await turns_out_paid(worker, refused)
    assert await worker.tick_send("fake") == 0
    assert await town.states(again) == []
    await worker.tick_timers()
    assert await town.stands(again) == ("scheduled", "contradiction")
    assert "contradiction" in await town.cases()
    assert await worker.tick_timers() == 0
    await town.check()


async def test_what_was_paid_before_is_not_sent_and_is_withdrawn(town: Town) -> None:
    worker, person, _, refused = await refused_and_cancelled(town)
    again = await town.incentive(person)
    await said_again(town, worker, refused)
    (leased,) = await worker.claim("fake", 1)
    await turns_out_paid(worker, refused)
    asked = len(town.banks["fake"].seen)
    await worker.send(leased)
    assert len(town.banks["fake"].seen) == asked
    await worker.tick_timers()
    await worker.tick_unpayable("fake")
    assert await town.states(again) == [S.CANCELLED]
    assert await town.stands(again) == ("scheduled", "contradiction")
    await town.check()


async def test_a_second_payment_that_has_left_pauses_the_partner(town: Town) -> None:
    worker, person, _, refused = await refused_and_cancelled(town)
    again = await town.incentive(person)
    await said_again(town, worker, refused)
    assert await worker.tick_send("fake") == 1
    assert await town.stands(again) == ("paid", None)
    await turns_out_paid(worker, refused)
    await worker.tick_timers()
    assert await town.stands(again) == ("paid", "contradiction")
    (switch,) = await town.fetch("SELECT partner, reason FROM partner_switches WHERE paused_at IS NOT NULL")
    assert str(again) in switch["reason"]
    (case,) = await town.fetch("SELECT payout FROM cases WHERE incentive = $1", again)
    assert case["payout"] == (await town.payout(again)).id
    await town.check()


async def test_what_stayed_refused_may_be_paid_under_the_new_incentive(town: Town) -> None:
    worker, person, first, refused = await refused_and_cancelled(town)
    again = await town.incentive(person)
    await said_again(town, worker, refused)
    await worker.tick_timers()
    assert await worker.tick_send("fake") == 1
    assert await town.stands(again) == ("paid", None)
    assert await town.stands(first) == ("cancelled", None)
