"""A payment that the partner took and failed later because our deposit was too small: that is about us, not the person,
and no staff is needed for each of them once there is money.
"""

from __future__ import annotations

import asyncio

import pytest

from contracts.hold import HoldStage
from contracts.incentive import BlockerCode
from contracts.observation import PayoutNotice
from contracts.payout import PayoutState, rejected
from gateway.partners.watch import Told
from gateway.services.ops.holds import OURS_CANARY_S, Holds
from gateway.worker.outage import Outage
from tests.gateway.payouts.town import Town

S = PayoutState
GOOD = Told(good=True)
SHORT = BlockerCode.PARTNER_FLOAT_SHORT


async def test_failed_for_our_deposit_is_paid_anew_by_itself_once_a_look_a_day_later_confirms_it(town: Town) -> None:
    bank = town.partner(two_step=True)
    incentive = await town.due()
    worker, statements = town.worker(), town.statements()
    bank.script("approve", {"act": "say", "kind": "pending"})
    await worker.tick_send("fake")
    first = await town.payout(incentive)
    bank.script("status", {"act": "say", "kind": "rejected", "reason_may_follow": True})
    told = rejected(SHORT, partner_code="016")
    await worker.notice("fake", PayoutNotice(outcome=told, partner_reference=first.partner_reference), "n1")
    assert await town.stands(incentive) == ("scheduled", "partner_float_short")
    await town.drive(worker, statements, hours=20)
    assert await town.states(incentive) == [S.REJECTED], "partners pay hours after a *failed*"
    await town.drive(worker, statements, hours=10)
    assert await town.states(incentive) == [S.REJECTED, S.SUCCEEDED]
    assert bank.credits(first.reference) == 0


async def test_the_same_of_a_partner_that_is_polled(town: Town) -> None:
    bank = town.partner()
    incentive = await town.due()
    worker, statements = town.worker(), town.statements()
    short = {"act": "say", "kind": "rejected", "reason": "partner_float_short"}
    bank.script("transfer", {"act": "say", "kind": "pending"})
    bank.script("status", short, short)
    await town.drive(worker, statements, hours=1)
    assert (await town.states(incentive), await town.stands(incentive)) == (
        [S.REJECTED],
        ("scheduled", "partner_float_short"),
    )
    await town.drive(worker, statements, hours=30)
    assert await town.states(incentive) == [S.REJECTED, S.SUCCEEDED]


async def held(town: Town) -> list[tuple[str, str, str]]:
    rows = await town.fetch("SELECT fault, words, opened_by FROM holds WHERE released_at IS NULL")
    return [(row["fault"], row["words"], row["opened_by"]) for row in rows]


async def fail_one(town: Town, *, two_step: bool) -> None:
    """A payment is taken and fails later for the deposit; the partner is polled, or tells it."""
    bank, worker, statements = town.partner(two_step=two_step), town.worker(), town.statements()
    incentive = await town.due()
    bank.script("approve" if two_step else "transfer", {"act": "say", "kind": "pending"})
    bank.script("status", {"act": "say", "kind": "rejected", "reason": "partner_float_short", "code": "016"})
    if not two_step:
        await town.drive(worker, statements, hours=1)
        return
    await worker.tick_send("fake")
    number = (await town.payout(incentive)).partner_reference
    told = PayoutNotice(outcome=rejected(SHORT, partner_code="016"), partner_reference=number)
    await worker.notice("fake", told, "n1")


@pytest.mark.parametrize("two_step", [True, False])
async def test_it_holds_all_others_until_a_try_is_taken_and_not_by_what_was_under_way(
    town: Town, two_step: bool
) -> None:
    await fail_one(town, two_step=two_step)
    words = "016" if two_step else "failed for our deposit"
    assert await held(town) == [("float_short", words, "settlement")]
    operation, holds = "approve" if two_step else "payout", Holds(town.database, town.clock, "w1")
    outage = Outage("fake", HoldStage.PAYOUT, holds, town.clock, asyncio.Event())
    await holds.refresh()
    assert not outage.admit(), "each would fail in its turn"
    outage.told(operation, GOOD)  # it left before: taken, as the one that failed was
    await outage.settle()
    assert outage.down
    town.clock.advance(OURS_CANARY_S + 1)
    assert await outage.turn() == 0.0
    assert [outage.admit(), outage.admit()] == [True, False]
    outage.told(operation, GOOD)
    await outage.settle()
    assert not outage.down
    assert await held(town) == []
