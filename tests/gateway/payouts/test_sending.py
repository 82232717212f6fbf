"""From a due incentive to the partner's answer: every transition that sending can make."""

from __future__ import annotations

from datetime import timedelta

from contracts.payout import PayoutState
from gateway.clock import jakarta_day
from tests.gateway.payouts.town import Town

S = PayoutState


async def test_a_due_incentive_is_paid_once(town: Town) -> None:
    bank = town.partner()
    incentive = await town.due()
    worker = town.worker()
    assert await worker.tick_send("fake") == 1
    assert await town.stands(incentive) == ("paid", None)
    payout = await town.payout(incentive)
    assert payout.state is S.SUCCEEDED
    assert payout.reference == f"10{payout.id:017d}"
    assert bank.credits(payout.reference) == 1
    assert await worker.tick_send("fake") == 0
    assert bank.seen == ["inquiry", "transfer"]
    await town.check()


async def test_what_may_not_be_paid_is_not_claimed(town: Town) -> None:
    town.partner()
    today = jakarta_day(town.clock.now())
    await town.due(due_on=today + timedelta(days=1))
    await town.due(approved=False)
    await town.due(due_on=today - timedelta(days=9), deadline_on=today - timedelta(days=1))
    unlinked = await town.due()
    await town.execute(
        "UPDATE participants SET link_active = false, verified = false"
        " WHERE id = (SELECT participant FROM incentives WHERE id = $1)",
        unlinked,
    )
    expired = await town.due()
    await town.execute(
        "UPDATE participants SET verified_until = $2 WHERE id = (SELECT participant FROM incentives WHERE id = $1)",
        expired,
        town.clock.now(),
    )
    assert await town.worker().tick_send("fake") == 0
    assert await town.fetch("SELECT * FROM payouts") == []


async def test_two_workers_never_claim_the_same(town: Town) -> None:
    bank = town.partner()
    for _ in range(9):
        await town.due()
    first, second = town.worker("w1"), town.worker("w2")
    a, b = await first.claim("fake", 5), await second.claim("fake", 5)
    assert {x.payout.id for x in a}.isdisjoint(x.payout.id for x in b)
    assert len(a) + len(b) == 9
    for one in a:
        await second.send(one)  # w2 holds no lease on these
    assert bank.seen == []
    for one in a:
        await first.send(one)
    for one in b:
        await second.send(one)
    assert len(bank.booked) == 9
    await town.check()
