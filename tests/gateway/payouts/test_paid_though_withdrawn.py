"""A payout that was withdrawn, and then the partner calls it paid: it counts, and nothing else is paid in its place."""

from __future__ import annotations

from datetime import timedelta

import pytest

from contracts.observation import Source
from contracts.payout import PayoutState, rejected, succeeded
from gateway.services.payouts.words import ABSENT
from gateway.storage.ops import switches
from tests.gateway.payouts.ticks import Ticking
from tests.gateway.payouts.town import Town

S = PayoutState


@pytest.fixture
def worker(town: Town) -> Ticking:
    """Of a partner that pays in one step."""
    town.partner()
    return town.worker()


async def withdrawn(town: Town, worker: Ticking) -> tuple[int, int]:
    """An incentive whose payout was withdrawn before it was sent, and which may be paid again; that payout."""
    incentive = await town.due()
    (leased,) = await worker.claim("fake", 2)
    await worker.give_back([leased])
    await town.execute("UPDATE participants SET verified = false")
    assert await worker.tick_unpayable("fake") == 1
    assert await town.states(incentive) == [S.CANCELLED]
    await town.execute("UPDATE participants SET verified = true")
    return incentive, leased.payout.id


async def turns_out_paid(town: Town, worker: Ticking, payout: int) -> None:
    """The partner is paused, and operators let it go on."""
    await worker.observe(None, payout, Source.STATEMENT, succeeded(), "late")
    (switch,) = await town.fetch("SELECT paused_at, paused_by FROM partner_switches")
    assert switch["paused_by"] == "gateway" and switch["paused_at"] is not None
    assert "contradiction" in await town.cases()
    await town.execute("UPDATE partner_switches SET paused_at = NULL")


async def test_it_counts_as_paid(town: Town, worker: Ticking) -> None:
    incentive, first = await withdrawn(town, worker)
    await turns_out_paid(town, worker, first)
    assert await town.stands(incentive) == ("paid", "contradiction")
    await town.drive(worker, town.statements(), hours=0.2)
    assert await town.states(incentive) == [S.SUCCEEDED]
    await town.check()


async def test_a_replacement_that_has_not_left_is_withdrawn(town: Town, worker: Ticking) -> None:
    incentive, first = await withdrawn(town, worker)
    (leased,) = await worker.claim("fake", 2)
    await turns_out_paid(town, worker, first)
    await worker.send(leased)
    await town.drive(worker, town.statements(), hours=0.2)
    assert town.banks["fake"].booked == []
    assert await town.states(incentive) == [S.SUCCEEDED, S.CANCELLED]
    assert await town.stands(incentive) == ("paid", "contradiction")
    await town.check()


async def test_a_replacement_that_has_left_and_is_refused_gets_no_other(town: Town, worker: Ticking) -> None:
    incentive, first = await withdrawn(town, worker)
    town.banks["fake"].script("transfer", "reset")
    assert await worker.tick_send("fake") == 1
    second = await town.payout(incentive)
    assert second.state is S.UNKNOWN
    await turns_out_paid(town, worker, first)
    absent = rejected(None, technical=True, partner_code=ABSENT)
    await worker.observe(None, second.id, Source.STATEMENT, absent, "absent")
    await town.drive(worker, town.statements(), hours=0.2)
    assert town.banks["fake"].booked == []
    assert await town.states(incentive) == [S.SUCCEEDED, S.REJECTED]
    assert await town.stands(incentive) == ("paid", "contradiction")
    await town.check()


async def test_the_same_instalment_handed_over_again_is_not_paid(town: Town, worker: Ticking) -> None:
    incentive, first = await withdrawn(town, worker)
    await town.execute("UPDATE incentives SET cancelled = true")
    again = await town.incentive((await town.payout(incentive)).participant)
    await turns_out_paid(town, worker, first)
    await town.drive(worker, town.statements(), hours=0.2)
    assert town.banks["fake"].booked == []
    assert await town.stands(again) == ("scheduled", "contradiction")
    await town.check()


async def test_where_completed_can_fail_it_counts_as_given_back(town: Town) -> None:
    """Iris says of what we withdrew that it was completed, and failed after that: the later word came first."""
    bank = town.partner(two_step=True)
    worker, incentive = town.worker(), await town.due()
    bank.script("approve", {"act": "say", "kind": "not_accepted", "hint": "later"})
    await worker.tick_send("fake")
    await town.execute("UPDATE participants SET verified = false")
    await town.drive(worker, town.statements(), hours=0.1)
    assert await town.states(incentive) == [S.CANCELLED]
    await town.execute("UPDATE participants SET verified = true")
    payout, now = (await town.payout(incentive)).id, town.clock.now()
    failed = rejected(None, technical=True, said_at=now)
    await worker.observe(None, payout, Source.NOTIFICATION, failed, "failed")
    assert await town.states(incentive) == [S.CANCELLED]
    paid = succeeded(said_at=now - timedelta(seconds=5))
    await worker.observe(None, payout, Source.NOTIFICATION, paid, "completed")
    assert await town.states(incentive) == [S.REVERSED]
    await town.drive(worker, town.statements(), hours=0.2)
    assert bank.booked == []
    assert await town.stands(incentive) == ("returned", "payment_reversed")
    await town.check()


async def test_why_the_gateway_would_pause_is_told_to_whoever_has_paused_for_something_else(
    town: Town, worker: Ticking
) -> None:
    """Paused for the night by somebody who resumes in the morning; meanwhile the partner pays what was withdrawn."""
    _, payout = await withdrawn(town, worker)
    async with town.database.transaction() as connection:
        assert await switches.pause(connection, town.clock.now(), "fake", by="ann", reason="maintenance")
    await worker.observe(None, payout, Source.STATEMENT, succeeded(), "late")
    for reason in ("credited twice", "credited twice"):
        async with town.database.transaction() as connection:
            assert not await switches.pause(connection, town.clock.now(), "fake", by="gateway", reason=reason)
    (switch,) = await town.fetch("SELECT paused_by, reason FROM partner_switches")
    found = [f"payout {payout} was paid after it had been withdrawn", "credited twice"]
    assert (switch["paused_by"], switch["reason"]) == ("ann", "; also: ".join(["maintenance", *found]))
    async with town.database.transaction() as connection:
        assert await switches.resume(connection, town.clock.now(), "fake", by="ann")
        assert await switches.pause(connection, town.clock.now(), "fake", by="gateway", reason="anew")
    (switch,) = await town.fetch("SELECT paused_by, reason FROM partner_switches")
    assert tuple(switch.values()) == ("gateway", "anew")
