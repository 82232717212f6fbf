"""What is weighed together, for how long, and what ends a hold of the brake's and what does not."""

from __future__ import annotations

import asyncio

from contracts.brake import RING_LIFE_S
from contracts.hold import HoldKind, HoldStage
from gateway.services.brake.brake import GOOD_ENOUGH, Brake
from gateway.services.ops.holds import Holds
from gateway.storage.ops import holds
from gateway.worker.outage import BRAKE_CANARY_MAX_S, BRAKE_CANARY_S, Outage
from tests.gateway.payouts.fake import Bank
from tests.gateway.payouts.test_worker import GOOD
from tests.gateway.payouts.town import Town

NOBODY = {"act": "rejected", "reason": "account_not_found"}


async def held(town: Town) -> list[tuple[str, HoldKind]]:
    async with town.database.connection() as connection:
        return [(one.partner, one.kind) for one in await holds.open_holds(connection)]


async def refuse(town: Town, bank: Bank, n: int, slug: str = "fake") -> list[int]:
    """So many people, each refused at the inquiry of a first payout; their incentives."""
    incentives = [await town.due(slug) for _ in range(n)]
    bank.script("inquiry", *([NOBODY] * n))
    for _ in range(n):
        await town.worker().tick_send(slug, 1)
    return incentives


async def test_an_outages_end_leaves_the_brakes_hold(town: Town) -> None:
    bank = town.partner()
    await refuse(town, bank, 6)
    assert await held(town) == [("fake", HoldKind.BRAKE)]
    outage = Outage("fake", HoldStage.PAYOUT, Holds(town.database, town.clock, "w1"), town.clock, asyncio.Event())
    await outage._holds.refresh()
    assert outage.down
    outage.told("payout", GOOD)
    await outage.settle()
    assert outage.down
    assert await held(town) == [("fake", HoldKind.BRAKE)]


async def test_its_canaries_come_at_their_own_pace(town: Town) -> None:
    bank = town.partner()
    await refuse(town, bank, 6)
    outage = Outage("fake", HoldStage.PAYOUT, Holds(town.database, town.clock, "w1"), town.clock, asyncio.Event())
    await outage._holds.refresh()
    town.clock.advance(await outage.turn())
    assert await outage.turn() == 0.0
    assert outage.admit()
    for n in range(1, 6):
        assert await outage.turn() == min(BRAKE_CANARY_S * 2.0 ** (n - 1), BRAKE_CANARY_MAX_S)
        town.clock.advance(await outage.turn())
        assert await outage.turn() == 0.0
        assert outage.admit()


async def test_what_a_released_hold_was_made_of_weighs_no_more(town: Town) -> None:
    bank, watch = town.partner(), Brake(town.database, town.clock)
    await refuse(town, bank, 6)
    await town.due()
    await town.worker().tick_send("fake", GOOD_ENOUGH)
    for _ in range(GOOD_ENOUGH):
        await watch.tick()
        await town.worker().tick_send("fake", GOOD_ENOUGH)
        town.clock.advance(121.0)
    await watch.tick()
    assert await held(town) == []
    await refuse(town, bank, 1)
    assert await held(town) == [], "one alone"


async def test_a_run_is_asked_again_once(town: Town) -> None:
    bank, watch = town.partner(), Brake(town.database, town.clock)
    incentives = await refuse(town, bank, 4)
    async with town.database.transaction() as connection:
        now = town.clock.now()
        await holds.release(connection, now, "fake", HoldStage.PAYOUT, [HoldKind.BRAKE], by="an operator")
    town.clock.advance(1.0)
    await watch.tick()
    bank.script("inquiry", NOBODY)
    await town.worker().tick_send("fake")
    assert [(await town.stands(one))[0] for one in incentives].count("paid") == 3
    await watch.tick()
    await town.worker().tick_send("fake")
    assert [(await town.stands(one))[0] for one in incentives].count("paid") == 3, "refused once more: it is theirs"


async def test_partners_are_weighed_apart(town: Town) -> None:
    one, other = town.partner("one"), town.partner("other")
    for _ in range(2):
        await refuse(town, one, 1, "one")
        await refuse(town, other, 1, "other")
    assert await held(town) == []
    await refuse(town, one, 4, "one")
    assert await held(town) == [("one", HoldKind.BRAKE)]


async def test_what_was_said_hours_ago_weighs_no_more(town: Town) -> None:
    bank = town.partner()
    await refuse(town, bank, 2)
    town.clock.advance(RING_LIFE_S + 1.0)
    await refuse(town, bank, 2)
    assert await held(town) == []
    await refuse(town, bank, 2)
    assert await held(town) == [("fake", HoldKind.BRAKE)]
