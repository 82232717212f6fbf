"""What has left when its batch, its person or its entitlement is stopped: followed to its end, and no other follows."""

from __future__ import annotations

import pytest

from contracts.payout import PayoutState
from gateway.storage.intake import batches
from tests.gateway.payouts.fake import Bank
from tests.gateway.payouts.town import Town

S = PayoutState
BATCH = "UPDATE batches SET state = 'stopped'"
PERSON = "INSERT INTO stopped_people SELECT id, participant_id, now() FROM participants"
ENTITLEMENT = """
INSERT INTO programmes VALUES ('kp', 'c', now());
INSERT INTO plans (id, client_id, organisation, programme, name, state, content, content_root, received_at)
VALUES ('pl1', 'c', 'main', 'kp', 'n', 'approved', '', '', now());
INSERT INTO entitlements (id, plan_id, organisation, programme, participant, participant_id, state, client_id,
    created_at, changed_at) SELECT 1, 'pl1', 'main', 'kp', id, participant_id, 'cancelled', 'c', now(), now()
FROM participants;
INSERT INTO completions VALUES (1, 'training', '2026-01-01', 'b', 'c', now())
"""


async def _under_way(town: Town, *acts: str) -> tuple[Bank, int]:
    bank = town.partner()
    incentive = await town.due()
    bank.script("transfer", *acts)
    await town.worker().tick_send("fake")
    return bank, incentive


@pytest.mark.parametrize("stop", [BATCH, PERSON, ENTITLEMENT], ids=["batch", "person", "entitlement"])
async def test_what_comes_to_nothing_is_not_made_again(town: Town, stop: str) -> None:
    bank, incentive = await _under_way(town, "pending")
    bank.script("status", *[{"act": "say", "kind": "rejected", "technical": True}] * 2)
    assert await town.states(incentive) == [S.PENDING]
    await town.execute(stop)
    await town.drive(town.worker(), town.statements(), hours=2)
    assert await town.states(incentive) == [S.REJECTED]
    assert await town.stands(incentive) == ("cancelled", None)
    assert bank.booked == [] and await town.cases() == []


@pytest.mark.parametrize("act", ["refused_connection", "reset"])
@pytest.mark.parametrize("stop", [BATCH, PERSON, ENTITLEMENT], ids=["batch", "person", "entitlement"])
async def test_what_has_not_left_after_all_does_not_leave_later(town: Town, stop: str, act: str) -> None:
    """Stopped in the moment in which it was to leave: no connection, or an answer lost that was never asked."""
    bank = town.partner()
    incentive = await town.due()
    bank.script("transfer", act)
    bank.script("status", *["not_found"] * 50)

    async def stopped(operation: str) -> None:
        bank.before = None
        await town.execute(stop)

    bank.before = stopped
    await town.worker().tick_send("fake")
    await town.drive(town.worker(), town.statements(), hours=60, step_s=600)
    assert bank.seen.count("transfer") == 1 and bank.booked == []
    assert await town.states(incentive) in ([S.CANCELLED], [S.REJECTED])
    assert await town.stands(incentive) == ("cancelled", None)


@pytest.mark.parametrize("stop", [BATCH, PERSON, ENTITLEMENT], ids=["batch", "person", "entitlement"])
async def test_one_more_attempt_does_not_leave_that_is_stopped_right_before_it(town: Town, stop: str) -> None:
    """Its absence was proved and its intent is committed: the last look asks the store, though nobody tells of it."""
    bank = town.partner()
    incentive = await town.due()
    bank.script("transfer", "reset")
    bank.script("status", *["not_found"] * 50)
    worker = town.worker()
    await worker.tick_send("fake")

    async def stopped(operation: str) -> None:
        if operation == "inquiry":
            bank.before = None
            worker.stops.listens(True)
            await worker.stops.poll()
            await town.execute(stop)

    bank.before = stopped
    await town.drive(worker, town.statements(), hours=60, step_s=600)
    assert bank.seen.count("inquiry") == 2, "it was about to leave"
    assert bank.seen.count("transfer") == 1 and bank.booked == []
    assert await town.states(incentive) == [S.REJECTED]
    assert await town.stands(incentive) == ("cancelled", None)


@pytest.mark.parametrize(
    ("operation", "act"),
    [("create", "lost"), ("create", "reset"), ("approve", "refused_connection"), ("approve", "reset")],
)
@pytest.mark.parametrize("stop", [BATCH, PERSON, ENTITLEMENT], ids=["batch", "person", "entitlement"])
async def test_an_instruction_that_stands_is_taken_back(town: Town, stop: str, operation: str, act: str) -> None:
    """Approved after the stop it would pay: its create was in doubt, or its approval has not left."""
    bank = town.partner(two_step=True)
    incentive = await town.due()
    bank.script(operation, act)
    await town.worker().tick_send("fake")
    approved = bank.seen.count("approve")
    await town.execute(stop)
    await town.drive(town.worker(), town.statements(), hours=2)
    assert bank.seen.count("approve") == approved and not bank.booked and not bank.queued
    assert await town.states(incentive) == [S.CANCELLED]
    assert await town.stands(incentive) == ("cancelled", None)


@pytest.mark.parametrize(("column", "value"), [("batch_id", "b"), ("participant", 1), ("id", 1)])
async def test_what_is_stopped_while_it_is_created_is_not_approved(town: Town, column: str, value: str | int) -> None:
    """Its instruction stands the moment after, and its approval would leave at once."""
    bank = town.partner(two_step=True)
    incentive = await town.due()

    async def stopped(operation: str) -> None:
        bank.before = None
        async with town.database.transaction() as connection:
            assert await batches.stop_incentives(connection, column, value, town.clock.now()) == 0
            await connection.execute(BATCH)

    bank.before = stopped
    await town.worker().tick_send("fake")
    assert bank.seen == ["create"]
    assert await town.stands(incentive) == ("paying", None), "not to be handed over again while it stands there"
    await town.drive(town.worker(), town.statements(), hours=1)
    assert not bank.booked and not bank.queued
    assert await town.states(incentive) == [S.CANCELLED]
    assert await town.stands(incentive) == ("cancelled", None)


async def test_what_nobody_has_stopped_is(town: Town) -> None:
    """Its neighbour was: another person, another batch."""
    bank, incentive = await _under_way(town, "pending")
    bank.script("status", *[{"act": "say", "kind": "rejected", "technical": True}] * 2)
    await town.person()
    await town.execute(f"{PERSON} WHERE id <> (SELECT participant FROM incentives)")
    await town.drive(town.worker(), town.statements(), hours=2)
    assert await town.states(incentive) == [S.REJECTED, S.SUCCEEDED]


@pytest.mark.parametrize("stop", [BATCH, PERSON, ENTITLEMENT], ids=["batch", "person", "entitlement"])
async def test_what_was_paid_is_paid(town: Town, stop: str) -> None:
    bank, incentive = await _under_way(town, "lost")
    await town.execute(stop)
    await town.drive(town.worker(), town.statements(), hours=1)
    assert await town.stands(incentive) == ("paid", None)
    assert len(bank.booked) == 1


async def test_a_refusal_that_was_none_is_known_for_the_payment(town: Town) -> None:
    """Cancelled by then, and the partner takes it back: paid all the same, and told to staff."""
    bank, incentive = await _under_way(town, "lost")
    bank.script("status", *[{"act": "say", "kind": "rejected", "technical": True}] * 2)
    bank.script("statement", *["unavailable"] * 20)
    await town.execute(BATCH)
    await town.drive(town.worker(), town.statements(), hours=24)
    (row,) = await town.fetch("SELECT payout, cancelled FROM incentives WHERE id = $1", incentive)
    assert row == {"payout": "succeeded", "cancelled": True}
    assert await town.states(incentive) == [S.SUCCEEDED] and len(bank.booked) == 1
