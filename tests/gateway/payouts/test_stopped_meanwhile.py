"""What has left when its batch, its person or its entitlement is stopped: followed to its end, and no other follows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from contracts.observation import Source
from contracts.payout import PayoutState, reversed_
from gateway.storage.intake import entitlements, participants, reapprovals, stopping
from tests.gateway.payouts.fake import Bank
from tests.gateway.payouts.town import Town

S = PayoutState
Stop = Callable[[Town], Awaitable[None]]
ENTITLED = """
INSERT INTO programmes VALUES ('kp', 'c', now());
INSERT INTO plans (id, client_id, organisation, programme, name, state, content, content_root, received_at)
VALUES ('pl1', 'c', 'main', 'kp', 'n', 'approved', '', '', now());
INSERT INTO entitlements (id, plan_id, organisation, programme, participant, participant_id, state, client_id,
    created_at, changed_at) SELECT 1, 'pl1', 'main', 'kp', id, participant_id, 'finished', 'c', now(), now()
FROM participants;
INSERT INTO completions VALUES (1, 'training', '2026-01-01', 'b', 'c', now())
"""


async def batch(town: Town) -> None:
    """As `Batches.stop`."""
    async with town.database.transaction() as connection:
        await stopping.stop_batches(connection, ["b"], town.clock.now())


async def person(town: Town, participant_id: str = "P00001") -> None:
    """As `Participants.stop`."""
    async with town.database.transaction() as connection:
        found = await participants.find(connection, participant_id, lock=True)
        assert found is not None
        await stopping.stop_incentives(connection, "participant", [found.id], town.clock.now())
        assert await participants.stop(connection, found, town.clock.now())


async def entitlement(town: Town) -> None:
    """As `Entitlements.cancel`."""
    await town.execute(ENTITLED)
    async with town.database.transaction() as connection:
        for incentive in await connection.fetch("SELECT id FROM incentives"):
            await stopping.stop_incentives(connection, "id", [incentive["id"]], town.clock.now())
        await entitlements.cancel(connection, 1, town.clock.now())


STOPS = pytest.mark.parametrize("stop", [batch, person, entitlement])


async def _under_way(town: Town, *acts: str) -> tuple[Bank, int]:
    bank = town.partner()
    incentive = await town.due()
    bank.script("transfer", *acts)
    await town.worker().tick_send("fake")
    return bank, incentive


@STOPS
async def test_what_comes_to_nothing_is_not_made_again(town: Town, stop: Stop) -> None:
    bank, incentive = await _under_way(town, "pending")
    bank.script("status", *[{"act": "say", "kind": "rejected", "technical": True}] * 2)
    assert await town.states(incentive) == [S.PENDING]
    await stop(town)
    await town.drive(town.worker(), town.statements(), hours=2)
    assert await town.states(incentive) == [S.REJECTED]
    assert await town.stands(incentive) == ("cancelled", None)
    assert bank.booked == [] and await town.cases() == []


@pytest.mark.parametrize("act", ["refused_connection", "reset"])
@STOPS
async def test_what_has_not_left_after_all_does_not_leave_later(town: Town, stop: Stop, act: str) -> None:
    """Stopped in the moment in which it was to leave: no connection, or an answer lost that was never asked."""
    bank = town.partner()
    incentive = await town.due()
    bank.script("transfer", act)
    bank.script("status", *["not_found"] * 50)

    async def stopped(operation: str) -> None:
        if operation == "transfer":
            bank.before = None
            await stop(town)

    bank.before = stopped
    await town.worker().tick_send("fake")
    await town.drive(town.worker(), town.statements(), hours=60, step_s=1800)
    assert bank.seen.count("transfer") == 1 and bank.booked == []
    assert await town.states(incentive) in ([S.CANCELLED], [S.REJECTED])
    assert await town.stands(incentive) == ("cancelled", None)


@pytest.mark.parametrize("two_step", [False, True], ids=["one step", "two steps"])
@STOPS
async def test_what_is_about_to_leave_does_not(town: Town, stop: Stop, two_step: bool) -> None:
    """Its intent is committed, and nothing that moves money has left: the last look asks."""
    bank = town.partner(two_step=two_step)
    incentive = await town.due()

    async def stopped(operation: str) -> None:
        bank.before = None
        await stop(town)

    bank.before = stopped
    await town.worker().tick_send("fake")
    assert bank.seen == ["create" if two_step else "inquiry"]
    assert await town.stands(incentive) == ("paying", None), "not to be handed over again while it stands there"
    await town.drive(town.worker(), town.statements(), hours=1)
    assert "approve" not in bank.seen and "transfer" not in bank.seen and not bank.queued
    assert await town.states(incentive) == [S.CANCELLED]
    assert await town.stands(incentive) == ("cancelled", None)


@STOPS
async def test_one_more_attempt_does_not_leave_that_is_stopped_right_before_it(town: Town, stop: Stop) -> None:
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
            await stop(town)

    bank.before = stopped
    await town.drive(worker, town.statements(), hours=60, step_s=1800)
    assert bank.seen.count("inquiry") == 2, "it was about to leave"
    assert bank.seen.count("transfer") == 1 and bank.booked == []
    assert await town.states(incentive) == [S.REJECTED]
    assert await town.stands(incentive) == ("cancelled", None)


@pytest.mark.parametrize(
    ("operation", "act"),
    [("create", "lost"), ("create", "reset"), ("approve", "refused_connection"), ("approve", "reset")],
)
@STOPS
async def test_an_instruction_that_stands_is_taken_back(town: Town, stop: Stop, operation: str, act: str) -> None:
    """Approved after the stop it would pay: its create was in doubt, or its approval has not left."""
    bank = town.partner(two_step=True)
    incentive = await town.due()
    bank.script(operation, act)
    await town.worker().tick_send("fake")
    approved = bank.seen.count("approve")
    await stop(town)
    await town.drive(town.worker(), town.statements(), hours=2)
    assert bank.seen.count("approve") == approved and not bank.booked and not bank.queued
    assert await town.states(incentive) == [S.CANCELLED]
    assert await town.stands(incentive) == ("cancelled", None)


async def test_what_nobody_has_stopped_is(town: Town) -> None:
    """Its neighbour was: another person, another batch."""
    bank, incentive = await _under_way(town, "pending")
    bank.script("status", *[{"act": "say", "kind": "rejected", "technical": True}] * 2)
    await town.person()
    await person(town, "P00002")
    await town.drive(town.worker(), town.statements(), hours=2)
    assert await town.states(incentive) == [S.REJECTED, S.SUCCEEDED]


@STOPS
async def test_what_was_paid_is_paid(town: Town, stop: Stop) -> None:
    bank, incentive = await _under_way(town, "lost")
    await stop(town)
    await town.drive(town.worker(), town.statements(), hours=1)
    assert await town.stands(incentive) == ("paid", None)
    assert len(bank.booked) == 1


async def test_a_refusal_that_was_none_is_known_for_the_payment(town: Town) -> None:
    """Cancelled by then, and the partner takes it back: paid all the same, and told to staff."""
    bank, incentive = await _under_way(town, "lost")
    bank.script("status", *[{"act": "say", "kind": "rejected", "technical": True}] * 2)
    bank.script("statement", *["unavailable"] * 20)
    await batch(town)
    await town.drive(town.worker(), town.statements(), hours=24)
    (row,) = await town.fetch("SELECT payout, cancelled FROM incentives WHERE id = $1", incentive)
    assert row == {"payout": "succeeded", "cancelled": True}
    assert await town.states(incentive) == [S.SUCCEEDED] and len(bank.booked) == 1


async def test_whose_stop_was_a_mistake_is_approved_anew(town: Town) -> None:
    """Something of theirs was approved since: what was under way by then waits for two people, not for ever."""
    bank, incentive = await _under_way(town, "pending")
    bank.script("status", *[{"act": "say", "kind": "rejected", "technical": True}] * 2)
    await person(town)
    await town.execute("DELETE FROM stopped_people")
    await town.drive(town.worker(), town.statements(), hours=2)
    assert await town.states(incentive) == [S.REJECTED]
    assert await town.stands(incentive) == ("scheduled", "approval_missing")
    async with town.database.transaction() as connection:
        assert [one.incentive for one in await reapprovals.lapsed(connection, "main", 10)] == [incentive]


@STOPS
async def test_what_came_back_after_a_stop_is_not_paid_to_another_account(town: Town, stop: Stop) -> None:
    bank, incentive = await _under_way(town, "ok")
    worker = town.worker()
    payout = await town.payout(incentive)
    await stop(town)
    assert await town.stands(incentive) == ("paid", None)
    await worker.observe(None, payout.id, Source.STATEMENT, reversed_())
    await town.execute("UPDATE links SET state = 'revoked'")
    await town.execute(
        "INSERT INTO links (id, participant, client_id, partner, account_index, account_sealed, state, return_url,"
        " created_at, updated_at) SELECT 'L2', participant, client_id, partner, 'another', account_sealed, 'active',"
        " return_url, created_at, updated_at FROM links"
    )
    await town.execute("UPDATE participants SET link_id = 'L2'")
    assert (await worker.hasten(incentive))["hastened"]
    await town.drive(worker, town.statements(), hours=1)
    assert await town.stands(incentive) == ("cancelled", None) and len(bank.booked) == 1
