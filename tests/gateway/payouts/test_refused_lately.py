"""What was refused may still be paid hours later: whoever links again, moves or is handed over again waits for a second
look, however the blocker came to be lifted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from contracts.incentive import BlockerCode
from contracts.observation import Source
from contracts.payout import PayoutState, rejected, succeeded
from gateway.services.payouts.ends import LIFTED_BY_ACCOUNT, LIFTED_BY_LINK
from gateway.storage.intake import incentive_timers
from tests.gateway.payouts.ticks import Ticking
from tests.gateway.payouts.town import Town

S, B = PayoutState, BlockerCode
DAY_S = 86_400.0


async def refused(town: Town, reason: BlockerCode) -> tuple[Ticking, int, int]:
    """A worker, a person, and their incentive whose payment the partner refused."""
    town.partner().script("transfer", {"act": "say", "kind": "rejected", "reason": reason.value})
    worker, person = town.worker(), await town.person("fake")
    incentive = await town.incentive(person)
    assert await worker.tick_send("fake") == 1
    assert await town.states(incentive) == [S.REJECTED]
    return worker, person, incentive


async def linked_again(town: Town, person: int) -> None:
    """The same account, by a new grant."""
    async with town.database.connection() as connection:
        await incentive_timers.lift(connection, town.clock.now(), person, LIFTED_BY_LINK)


async def moved(town: Town, person: int) -> None:
    """To another account, which is linked and verified by now."""
    async with town.database.connection() as connection:
        await incentive_timers.lift(connection, town.clock.now(), person, LIFTED_BY_ACCOUNT)


async def look(town: Town, worker: Ticking, incentive: int, *, seconds: float = 0.0) -> None:
    """Time passes, and a look-up of the first payout says refused again."""
    town.clock.advance(seconds)
    (first,) = await town.fetch("SELECT id, reason FROM payouts WHERE incentive = $1 ORDER BY id LIMIT 1", incentive)
    said = rejected(BlockerCode(first["reason"]))
    await worker.observe(None, first["id"], Source.LOOKUP, said)
    await worker.tick_timers()


@pytest.mark.parametrize(
    ("reason", "act"),
    [
        (B.ACCOUNT_BLOCKED, linked_again),
        (B.ACCOUNT_NOT_FOUND, moved),
        (B.BALANCE_LIMIT, moved),
        (B.MONTHLY_LIMIT, moved),
    ],
)
async def test_nothing_takes_its_place_before_a_second_look(
    town: Town, reason: BlockerCode, act: Callable[[Town, int], Awaitable[None]]
) -> None:
    worker, person, incentive = await refused(town, reason)
    town.clock.advance(300.0)
    await act(town, person)
    await worker.tick_timers()
    assert await worker.tick_send("fake") == 0
    assert await town.stands(incentive) == ("scheduled", reason.value)
    (waits,) = await town.fetch("SELECT own_next_at FROM incentives WHERE id = $1", incentive)
    assert waits["own_next_at"] is not None, "it says until when"
    await look(town, worker, incentive, seconds=3_600.0)
    assert await worker.tick_send("fake") == 0, "an hour is too soon to believe it"
    await look(town, worker, incentive, seconds=DAY_S)
    assert await worker.tick_send("fake") == 1
    assert await town.stands(incentive) == ("paid", None)
    await town.check()


@pytest.mark.parametrize("moves", [False, True])
async def test_room_in_an_account_says_nothing_of_another_one(town: Town, moves: bool) -> None:
    """When the time of the look comes and the partner cannot be asked, who has moved still waits; who has not, and of
    whom core says that there is room, does not.
    """
    worker, person, incentive = await refused(town, B.BALANCE_LIMIT)
    if moves:
        await moved(town, person)
        await town.execute("UPDATE participants SET account_index = 'after' WHERE id = $1", person)
        town.clock.advance(2 * DAY_S)
    else:
        await worker.hasten(incentive)
    await worker.tick_timers()
    assert (await worker.tick_send("fake"), len(await town.states(incentive))) == ((0, 1) if moves else (1, 2))


async def test_what_is_paid_after_all_is_not_paid_again_to_who_linked_again(town: Town) -> None:
    worker, person, incentive = await refused(town, B.ACCOUNT_BLOCKED)
    await linked_again(town, person)
    town.clock.advance(5 * 3_600.0)
    await worker.tick_timers()
    await worker.tick_send("fake")
    first = await town.payout(incentive)
    await worker.observe(None, first.id, Source.NOTIFICATION, succeeded(), "late")
    assert await town.states(incentive) == [S.SUCCEEDED]
    assert (await town.stands(incentive))[0] == "paid"
    town.clock.advance(2 * DAY_S)
    await worker.tick_timers()
    assert await worker.tick_send("fake") == 0


async def test_an_instalment_handed_over_again_waits_and_says_for_what(town: Town) -> None:
    worker, person, first = await refused(town, B.ACCOUNT_BLOCKED)
    await town.execute("UPDATE incentives SET cancelled = true WHERE id = $1", first)
    again, other = await town.incentive(person), await town.incentive(person, period="2")
    assert await worker.tick_send("fake") == 1, "another instalment of the same person does not wait"
    assert await town.stands(other) == ("paid", None)
    assert await town.states(again) == []
    await worker.tick_timers()
    assert await town.stands(again) == ("scheduled", "outcome_unknown")
    await look(town, worker, first, seconds=DAY_S + 60.0)
    await worker.tick_timers()
    assert await worker.tick_send("fake") == 1
    assert await town.stands(again) == ("paid", None)
    await town.check()


async def test_one_that_was_paid_after_all_is_not_paid_under_the_new_incentive(town: Town) -> None:
    worker, person, first = await refused(town, B.PARTNER_REJECTED)
    await town.execute("UPDATE incentives SET cancelled = true WHERE id = $1", first)
    again = await town.incentive(person)
    assert await worker.tick_send("fake") == 0
    await worker.observe(None, (await town.payout(first)).id, Source.NOTIFICATION, succeeded(), "late")
    await worker.tick_timers()
    town.clock.advance(2 * DAY_S)
    await worker.tick_timers()
    assert await worker.tick_send("fake") == 0
    assert await town.states(again) == []
    assert await town.stands(again) == ("scheduled", "contradiction")
