"""Holds: one table that all processes share."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from contracts.hold import STAGE_OF, HoldKind, HoldStage
from contracts.partner import Partner
from gateway.services.ops.holds import KEPT, Holds
from tests.gateway.payouts.town import Town

K, S = HoldKind, HoldStage


def of(town: Town, by: str = "w1") -> Holds:
    return Holds(town.database, town.clock, by)


async def outage(holds: Holds, stage: HoldStage = S.PAYOUT, kind: HoldKind = K.OUTAGE, partner: str = "fake") -> None:
    await holds.hold(partner, stage, kind, fault="5xx", words="502", after_s=3.0)


def test_every_operation_that_a_stage_names_is_one_of_the_partners() -> None:
    assert set(STAGE_OF) <= set(dir(Partner))


async def test_a_hold_made_by_one_process_is_read_by_another_and_told_once(town: Town) -> None:
    one, two = of(town), of(town, "w2")
    await outage(one)
    await outage(two)
    (kept,) = await town.fetch("SELECT opened_by FROM holds")
    assert kept["opened_by"] == "w1", "one hold for one reason, whoever saw it"
    told = [row["type"] for row in await town.fetch("SELECT type FROM events")]
    assert told == ["partner.held"]
    fresh = of(town, "w3")
    await fresh.refresh()
    held = fresh.stopping("fake", {S.PAYOUT})
    assert held is not None
    assert held.words == "502"
    assert fresh.stopping("fake", {S.VERIFY}) is None
    assert fresh.stopping("other", {S.PAYOUT}) is None


async def test_one_canary_at_a_time_whatever_the_number_of_workers(town: Town) -> None:
    workers = [of(town, f"w{n}") for n in range(5)]
    await outage(workers[0])
    await asyncio.gather(*(one.refresh() for one in workers))
    held = [one.stopping("fake", {S.PAYOUT}) for one in workers]

    async def ask() -> list[bool]:
        return await asyncio.gather(
            *(one.canary(hold, 3.0) for one, hold in zip(workers, held, strict=True) if hold is not None)
        )

    assert sum(await ask()) == 0, "not before its time"
    town.clock.advance(3.0)
    assert sum(await ask()) == 1
    town.clock.advance(2.9)
    assert sum(await ask()) == 0
    town.clock.advance(0.1)
    assert sum(await ask()) == 1


async def test_each_hold_is_released_for_its_own_reason_only(town: Town) -> None:
    town.partner()
    incentive = await town.due()
    worker, holds = town.worker(), of(town)
    town.banks["fake"].script("transfer", "refused_connection")
    await worker.tick_send("fake")
    await town.execute("UPDATE payouts SET next_at = $1", town.clock.now() + timedelta(hours=1))
    await outage(holds)
    await outage(holds, kind=K.BRAKE)
    await holds.release("fake", S.PAYOUT, [K.OUTAGE])
    assert holds.stopping("fake", {S.PAYOUT}) is not None
    assert (await town.payout(incentive)).next_at == town.clock.now() + timedelta(hours=1), "the brake holds it still"
    await holds.release("fake", S.PAYOUT, [K.BRAKE])
    assert holds.stopping("fake", {S.PAYOUT}) is None
    assert (await town.payout(incentive)).next_at == town.clock.now(), "due at once"


async def test_a_return_makes_due_what_waited_however_it_waited(town: Town) -> None:
    """A payout that backs off, and an incentive whose payout was given up; not a limit that only time lifts."""
    bank = town.partner()
    backs_off, given_up = await town.due(), await town.due()
    worker, holds = town.worker(), of(town)
    bank.script("transfer", *["refused_connection"] * 1_000)
    for _ in range(8):
        await worker.tick_send("fake")
        if (await town.stands(given_up))[1] is not None:
            break
        town.clock.advance(40)
    assert await town.stands(given_up) == ("scheduled", "partner_unavailable")
    await town.execute("UPDATE incentives SET own = NULL, own_next_at = NULL WHERE id = $1", backs_off)
    await worker.tick_send("fake")
    assert (await town.payout(backs_off)).next_at > town.clock.now()
    await town.execute("UPDATE payouts SET next_at = $1 WHERE state = 'reserved'", town.clock.now() + timedelta(days=1))
    limited = await town.due()
    await town.execute(
        "UPDATE incentives SET own = 'monthly_limit', own_next_at = $1 WHERE id = $2",
        town.clock.now() + timedelta(days=9),
        limited,
    )
    await outage(holds)
    bank.acts.clear()
    await holds.release("fake", S.PAYOUT, [K.OUTAGE])
    await worker.tick_send("fake")
    assert await town.stands(backs_off) == ("paid", None)
    assert await town.stands(given_up) == ("paid", None)
    assert (await town.stands(limited))[1] == "monthly_limit", "which no partner's return lifts"


async def test_a_canary_brings_forward_one_that_waits_and_no_more(town: Town) -> None:
    bank = town.partner()
    for _ in range(3):
        await town.due()
    worker, holds = town.worker(), of(town)
    bank.script("inquiry", *["refused_connection"] * 3)
    await worker.tick_send("fake")
    await town.execute("UPDATE payouts SET next_at = $1", town.clock.now() + timedelta(hours=1))
    await outage(holds)
    town.clock.advance(3.0)
    held = holds.stopping("fake", {S.PAYOUT})
    assert held is not None
    assert await holds.canary(held, 3.0)
    assert len(await worker.claim("fake", 10)) == 1


async def test_released_holds_are_forgotten_after_a_time_and_open_ones_never(town: Town) -> None:
    holds = of(town)
    await outage(holds)
    await outage(holds, stage=S.VERIFY)
    await holds.release("fake", S.PAYOUT, [K.OUTAGE])
    town.clock.advance((KEPT + timedelta(seconds=1)).total_seconds())
    assert await holds.tick_purge() == 1
    assert [row["stage"] for row in await town.fetch("SELECT stage FROM holds")] == ["verify"]
