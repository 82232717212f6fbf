"""Two-step partners: an instruction stands before it is approved, and is withdrawn where it may no longer be."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from contracts.incentive import BlockerCode
from contracts.observation import PayoutNotice
from contracts.payout import PayoutState, Refusal, pending, queued, rejected, succeeded
from gateway.partners.transport import Reply
from tests.gateway.payouts.fake import Bank
from tests.gateway.payouts.town import Town

S = PayoutState


@pytest.fixture
def bank(town: Town) -> Bank:
    """A two-step partner whose completed payouts can fail."""
    return town.partner(two_step=True)


async def number(town: Town, incentive: int) -> str:
    found = (await town.payout(incentive)).partner_reference
    assert found is not None
    return found


async def test_created_approved_and_paid_by_notification(town: Town, bank: Bank) -> None:
    incentive = await town.due()
    worker = town.worker()
    await worker.tick_send("fake")
    payout = await town.payout(incentive)
    assert (payout.state, payout.attempt) == (S.PENDING, 1)
    notice = PayoutNotice(outcome=succeeded(), partner_reference=payout.partner_reference)
    assert await worker.notice("fake", notice, "n1") == "applied"
    assert await worker.notice("fake", notice, "n1") == "applied"
    assert await town.stands(incentive) == ("paid", None)
    (seen,) = await town.fetch("SELECT count(*) AS n FROM observations WHERE source = 'notification'")
    assert seen["n"] == 1
    assert await worker.notice("fake", PayoutNotice(outcome=succeeded(), partner_reference="?"), "n2") == (
        "no_such_payout"
    )
    await town.check()


async def test_a_create_in_doubt_is_sent_again_with_the_same_key(town: Town, bank: Bank) -> None:
    incentive = await town.due()
    worker = town.worker()
    bank.script("create", "lost")
    await worker.tick_send("fake")
    assert (await town.payout(incentive)).state is S.PREPARING
    await town.drive(worker, town.statements(), hours=0.2)
    assert await town.states(incentive) == [S.SUCCEEDED]
    created = [body for operation, body in bank.bodies if operation == "create"]
    assert len(created) == 2
    assert created[0] == created[1]
    assert bank.credits((await town.payout(incentive)).reference) == 1


async def test_a_worker_killed_while_creating(town: Town, bank: Bank) -> None:
    incentive = await town.due()

    class Killed(BaseException):
        pass

    async def kill(operation: str) -> None:
        raise Killed

    worker = town.worker()
    (leased,) = await worker.claim("fake", 1)
    bank.before = kill
    with pytest.raises(Killed):
        await worker.send(leased)
    bank.before = None
    assert (await town.payout(incentive)).state is S.PREPARING
    await town.drive(town.worker("w2"), town.statements(), hours=0.2)
    assert await town.states(incentive) == [S.SUCCEEDED]


async def test_past_the_keys_life_a_create_in_doubt_is_an_operators(town: Town, bank: Bank) -> None:
    incentive = await town.due()
    worker = town.worker()
    bank.script("create", "lost", *["reset"] * 500)
    await worker.tick_send("fake")
    await town.drive(worker, town.statements(), hours=25, step_s=600)
    assert await town.states(incentive) == [S.PREPARING]
    assert await town.cases() == ["outcome_unknown"]
    assert await town.stands(incentive) == ("paying", "outcome_unknown")
    sent = bank.seen.count("create")
    await town.drive(worker, town.statements(), hours=5, step_s=600)
    assert bank.seen.count("create") == sent
    (last,) = await town.fetch("SELECT max(sent_at) - min(first_sent_at) AS life FROM payouts")
    assert last["life"] <= timedelta(days=1) - timedelta(seconds=35)
    assert await worker.tick_deadlines() == 0, "nothing more comes to its end"
    assert await worker.tick_lookups("fake") == 0


async def test_an_approval_that_did_nothing_is_approved_again(town: Town, bank: Bank) -> None:
    incentive = await town.due()
    worker = town.worker()
    bank.script("approve", "reset")
    await worker.tick_send("fake")
    assert (await town.payout(incentive)).state is S.UNKNOWN
    town.clock.advance(60.0)
    await worker.tick_lookups("fake")
    payout = await town.payout(incentive)
    assert (payout.state, payout.attempt) == (S.PREPARED, 1)
    await town.drive(worker, town.statements(), hours=0.1)
    payout = await town.payout(incentive)
    assert (payout.state, payout.attempt) == (S.SUCCEEDED, 2)
    assert bank.seen.count("create") == 1
    assert bank.credits(payout.reference) == 1


async def test_an_approval_whose_answer_was_lost_is_found(town: Town, bank: Bank) -> None:
    incentive = await town.due()
    worker = town.worker()
    bank.script("approve", "lost")
    bank.script("statement", *["unavailable"] * 99)
    await worker.tick_send("fake")
    await town.drive(worker, town.statements(), hours=0.1)
    assert await town.states(incentive) == [S.SUCCEEDED]
    assert bank.seen.count("approve") == 1


async def test_a_word_about_an_approval_we_gave_up_counts(town: Town, bank: Bank) -> None:
    incentive = await town.due()
    worker = town.worker()
    bank.script("approve", "reset")
    await worker.tick_send("fake")
    town.clock.advance(60.0)
    await worker.tick_lookups("fake")
    assert (await town.payout(incentive)).state is S.PREPARED
    name = await number(town, incentive)
    await worker.notice("fake", PayoutNotice(outcome=pending(), partner_reference=name), "a")
    assert (await town.payout(incentive)).state is S.PENDING
    await worker.notice("fake", PayoutNotice(outcome=succeeded(), partner_reference=name), "b")
    assert await town.stands(incentive) == ("paid", None)
    await town.check()


async def test_a_listed_create_refusal_is_final(town: Town, bank: Bank) -> None:
    incentive = await town.due()
    bank.script("create", {"act": "say", "kind": "rejected", "reason": "partner_rejected"})
    await town.worker().tick_send("fake")
    assert await town.states(incentive) == [S.REJECTED]
    assert await town.stands(incentive) == ("scheduled", "partner_rejected")
    await town.check()


async def test_a_create_that_was_not_accepted_goes_back(town: Town, bank: Bank) -> None:
    incentive = await town.due()
    worker = town.worker()
    bank.script("create", {"act": "say", "kind": "not_accepted", "hint": "credentials"}, "refused_connection")
    await worker.tick_send("fake")
    assert (await town.payout(incentive)).state is S.RESERVED
    town.clock.advance(60.0)
    await worker.tick_send("fake")
    payout = await town.payout(incentive)
    assert (payout.state, payout.refusals) == (S.RESERVED, 2)
    bank.script("approve", {"act": "say", "kind": "not_accepted", "hint": "credentials"})
    town.clock.advance(60.0)
    await worker.tick_send("fake")
    payout = await town.payout(incentive)
    assert (payout.state, payout.attempt) == (S.PREPARED, 0)
    town.clock.advance(60.0)
    await worker.tick_send("fake")
    assert (await town.payout(incentive)).state is S.PENDING
    assert bank.seen.count("create") == 3
    await town.check()


async def test_a_create_refused_for_our_deposit_is_not_asked_again_under_its_key(town: Town, bank: Bank) -> None:
    """A key keeps its answer for a day: what was refused for want of money might stay refused once there is some."""
    incentive = await town.due()
    worker = town.worker()
    bank.script("create", {"act": "say", "kind": "not_accepted", "hint": "float_short"})
    await worker.tick_send("fake")
    assert await town.states(incentive) == [S.CANCELLED]
    assert await town.stands(incentive) == ("scheduled", "partner_float_short")
    await town.drive(worker, town.statements(), hours=0.5)
    assert await town.states(incentive) == [S.CANCELLED, S.SUCCEEDED]
    created = [body for operation, body in bank.bodies if operation == "create"]
    assert len(created) == 2 and created[0] != created[1]
    await town.check()


async def test_a_create_is_refused_for_our_deposit_ever_more_seldom(town: Town, bank: Bank) -> None:
    """Each time is a payout that ends unsent."""
    incentive = await town.due()
    bank.script("create", *[{"act": "say", "kind": "not_accepted", "hint": "float_short"}] * 99)
    await town.drive(town.worker(), town.statements(), hours=4)
    assert 5 <= len(await town.states(incentive)) <= 8, "after 5, 10, 20, 40 and then each 60 minutes"


async def test_a_create_in_doubt_that_is_refused_for_our_deposit_is_an_operators(town: Town, bank: Bank) -> None:
    """Each further answer of its key would have held the partner for everybody, for as long as the key lives."""
    incentive = await town.due()
    worker = town.worker()
    bank.script("create", "lost", *[{"act": "say", "kind": "not_accepted", "hint": "float_short"}] * 9)
    await worker.tick_send("fake")
    await town.drive(worker, town.statements(), hours=1.0)
    assert await town.states(incentive) == [S.PREPARING]
    assert await town.stands(incentive) == ("paying", "outcome_unknown")
    assert await town.cases() == ["outcome_unknown"]
    assert bank.seen.count("create") == 2


async def test_an_approval_refused_for_our_deposit_stands(town: Town, bank: Bank) -> None:
    """It has no key: what is queued is approved once there is money."""
    incentive = await town.due()
    worker = town.worker()
    bank.script("approve", {"act": "say", "kind": "not_accepted", "hint": "float_short"})
    await worker.tick_send("fake")
    payout = await town.payout(incentive)
    assert (payout.state, payout.refusals) == (S.PREPARED, 1)
    await town.drive(worker, town.statements(), hours=0.5)
    assert await town.states(incentive) == [S.SUCCEEDED]
    assert bank.seen.count("create") == 1
    await town.check()


async def test_what_may_no_longer_be_paid_is_withdrawn_at_the_partner(town: Town, bank: Bank) -> None:
    incentive = await town.due()
    worker = town.worker()
    bank.script("approve", {"act": "say", "kind": "not_accepted", "hint": "later"})
    bank.script("reject", "reset")
    await worker.tick_send("fake")
    reference = (await town.payout(incentive)).reference
    await town.execute("UPDATE incentives SET cancelled = true")
    assert reference in bank.queued
    await town.drive(worker, town.statements(), hours=0.1)
    assert await town.states(incentive) == [S.CANCELLED]
    assert await town.stands(incentive) == ("cancelled", None)
    assert bank.queued == {}
    assert bank.booked == []
    assert bank.seen.count("reject") == 2


@pytest.mark.parametrize("answer", ["ok", "lost"])
async def test_the_notification_of_our_own_withdrawal_blames_nobody(town: Town, bank: Bank, answer: str) -> None:
    """Iris notifies of what we rejected as of what a person rejects, and may do so before we have its answer."""
    incentive = await town.due()
    worker = town.worker()
    bank.script("approve", {"act": "say", "kind": "not_accepted", "hint": "later"})
    await worker.tick_send("fake")
    name = await number(town, incentive)

    async def notify(operation: str) -> None:
        if operation == "reject":
            refused = rejected(BlockerCode.PARTNER_REJECTED, refusal=Refusal.WITHDRAWN)
            await worker.notice("fake", PayoutNotice(outcome=refused, partner_reference=name), "r")

    bank.before = notify
    bank.script("reject", answer)
    await town.execute("UPDATE incentives SET approved = false")
    town.clock.advance(60.0)
    await worker.tick_unpayable("fake")
    assert await town.states(incentive) == [S.CANCELLED]
    await town.execute("UPDATE incentives SET approved = true")
    await town.drive(worker, town.statements(), hours=0.1)
    assert await town.states(incentive) == [S.CANCELLED, S.SUCCEEDED]
    assert await town.stands(incentive) == ("paid", None)


async def test_a_persons_no_at_the_partner_is_read_by_staff(town: Town, bank: Bank) -> None:
    incentive = await town.due()
    worker = town.worker()
    bank.script("approve", {"act": "say", "kind": "not_accepted", "hint": "later"})
    await worker.tick_send("fake")
    name = await number(town, incentive)
    refused = rejected(BlockerCode.PARTNER_REJECTED, refusal=Refusal.WITHDRAWN)
    await worker.notice("fake", PayoutNotice(outcome=refused, partner_reference=name), "r")
    assert await town.states(incentive) == [S.CANCELLED]
    assert await town.stands(incentive) == ("scheduled", "partner_rejected")
    await town.check()


async def test_failed_without_a_code_waits_for_the_reason(town: Town, bank: Bank) -> None:
    incentive = await town.due()
    worker, statements = town.worker(), town.statements()
    bank.script("approve", {"act": "say", "kind": "pending"})
    await worker.tick_send("fake")
    name = await number(town, incentive)
    failed = {"act": "say", "kind": "rejected", "reason_may_follow": True}
    bank.script("status", *[failed] * 50)
    town.clock.advance(60.0)
    await worker.tick_lookups("fake")
    assert await town.stands(incentive) == ("paying", None)
    await town.drive(worker, statements, hours=0.15)
    assert await town.states(incentive) == [S.REJECTED], "it starts nothing by itself"
    notice = PayoutNotice(outcome=rejected(BlockerCode.BALANCE_LIMIT), partner_reference=name)
    await worker.notice("fake", notice, "late")
    assert await town.stands(incentive) == ("scheduled", "balance_limit")
    await town.check()


async def test_a_reason_that_never_comes_is_an_operators(town: Town, bank: Bank) -> None:
    incentive = await town.due()
    worker, statements = town.worker(), town.statements()
    bank.script("approve", {"act": "say", "kind": "pending"})
    bank.script("status", *[{"act": "say", "kind": "rejected", "reason_may_follow": True}] * 2)
    await worker.tick_send("fake")
    name = await number(town, incentive)
    await town.drive(worker, statements, hours=0.5)
    assert await town.stands(incentive) == ("paying", "reason_missing")
    assert await town.cases() == ["reason_missing"]
    technical = PayoutNotice(outcome=rejected(None, technical=True), partner_reference=name)
    await worker.notice("fake", technical, "at last")
    assert await town.cases() == []
    assert await town.stands(incentive) == ("paying", None), "confirmed by the gateway; nobody else has to act"
    await town.drive(worker, statements, hours=0.5)
    assert await town.states(incentive) == [S.REJECTED, S.SUCCEEDED]
    assert await town.stands(incentive) == ("paid", None)


async def test_completed_then_failed_is_given_back(town: Town, bank: Bank) -> None:
    incentive = await town.due()
    worker = town.worker()
    await worker.tick_send("fake")
    name = await number(town, incentive)
    now = town.clock.now()
    paid = succeeded(said_at=now)
    failed = rejected(None, technical=True, said_at=now + timedelta(seconds=1))
    for key, outcome in (("1", failed), ("2", paid)):
        await worker.notice("fake", PayoutNotice(outcome=outcome, partner_reference=name), key)
    assert await town.states(incentive) == [S.REVERSED]
    assert await town.stands(incentive) == ("returned", "payment_reversed")
    assert await worker.tick_send("fake") == 0
    await town.check()


async def test_queued_in_a_notification_moves_nothing(town: Town, bank: Bank) -> None:
    incentive = await town.due()
    worker = town.worker()
    bank.script("approve", "reset")
    await worker.tick_send("fake")
    name = await number(town, incentive)
    await worker.notice("fake", PayoutNotice(outcome=queued(name), partner_reference=name), "q")
    assert (await town.payout(incentive)).state is S.UNKNOWN


async def test_a_repeated_create_that_did_nothing_leaves_the_first_in_doubt(town: Town, bank: Bank) -> None:
    incentive = await town.due()
    worker = town.worker()
    bank.script("create", "lost", "refused_connection", {"act": "say", "kind": "not_accepted", "hint": "later"})
    await worker.tick_send("fake")
    for _ in range(2):
        town.clock.advance(300.0)
        await worker.tick_lookups("fake")
        assert (await town.payout(incentive)).state is S.PREPARING, "an instruction may stand at the partner"
    await town.execute("UPDATE incentives SET cancelled = true")
    await town.drive(worker, town.statements(), hours=0.5)
    assert await town.states(incentive) == [S.CANCELLED]
    assert bank.queued == {}, "found by its key, and withdrawn"


async def test_a_withdrawal_does_not_leave_after_a_standstill(town: Town, bank: Bank) -> None:
    """What stood there when it was looked up may have been approved, or rejected, since."""
    incentive = await town.due()
    worker = town.worker()
    bank.script("approve", {"act": "say", "kind": "not_accepted", "hint": "later"})
    await worker.tick_send("fake")

    async def stand_still(operation: str) -> None:
        if operation == "status":
            town.clock.advance(3600.0)

    bank.before = stand_still
    await town.execute("UPDATE incentives SET cancelled = true")
    town.clock.advance(60.0)
    await worker.tick_unpayable("fake")
    assert bank.seen.count("reject") == 0
    assert await town.states(incentive) == [S.PREPARED]
    bank.before = None
    await town.drive(worker, town.statements(), hours=0.2)
    assert bank.seen.count("reject") == 1
    assert await town.states(incentive) == [S.CANCELLED]


async def test_failed_after_a_queue_that_came_back_counts_as_a_payout(town: Town, bank: Bank) -> None:
    """The approval was lost, a look-up said queued, and then it failed: it is one of three, not one that never was."""
    incentive = await town.due()
    worker, statements = town.worker(), town.statements()
    approve = bank._answer

    def answer(operation: str, act: dict[str, Any], body: dict[str, Any]) -> Reply:
        if operation == "approve":
            raise httpx.ReadError("ReadError")
        if operation == "status" and bank.seen.count("status") % 2 == 0:
            act = {"act": "say", "kind": "rejected", "technical": True}
        return approve(operation, act, body)

    bank._answer = answer  # type: ignore[method-assign]
    await town.drive(worker, statements, hours=6, step_s=30)
    states = await town.states(incentive)
    assert states == [S.REJECTED] * 3, states
    assert await town.stands(incentive) == ("scheduled", "partner_rejected")
    await town.check()
