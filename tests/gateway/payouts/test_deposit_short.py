"""A payment that the partner took and failed later because our deposit was too small: that is about us, not the person,
and no staff is needed for each of them once there is money.
"""

from __future__ import annotations

from contracts.incentive import BlockerCode
from contracts.observation import PayoutNotice
from contracts.payout import PayoutState, rejected
from tests.gateway.payouts.town import Town

S = PayoutState
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
