"""What people are told of whatever waits for a partner: one rule for each incentive, the funnel and the metrics."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta

import pytest

from contracts.hold import HoldKind, HoldStage
from contracts.incentive import Owner
from gateway.services.intake.incentives import Incentives, IncentiveView
from gateway.services.ops.holds import Holds
from gateway.services.ops.partners import Partners
from gateway.storage.intake.incentives import IncentiveFilter
from gateway.storage.ops import funnel, switches
from gateway.storage.ops import moving as moves
from tests.gateway.payouts.town import Town

K, S = HoldKind, HoldStage


def incentives(town: Town) -> Incentives:
    return Incentives(town.database, town.clock, {slug: desk.manifest for slug, desk in town.desks.items()})


async def shown(town: Town, incentive: int) -> tuple[str, str | None]:
    view = await incentives(town).get(incentive)
    return view.stage.value, None if view.blocker is None else view.blocker.code.value


async def hold(town: Town, stage: HoldStage = S.PAYOUT, kind: HoldKind = K.OUTAGE, fault: str = "5xx") -> Holds:
    holds = Holds(town.database, town.clock, "w1")
    await holds.hold("fake", stage, kind, fault=fault, words="502", after_s=3.0)
    return holds


async def test_what_is_due_at_a_partner_that_is_down_says_so_with_its_next_time(town: Town) -> None:
    town.partner()
    due, later = await town.due(), await town.due(due_on=town.today(3))
    waiting_for_approval = await town.due(approved=False)
    holds = await hold(town)
    town.clock.advance(1.0)
    view = await incentives(town).get(due)
    assert view.blocker is not None
    assert (view.blocker.code.value, view.blocker.owner) == ("partner_unavailable", Owner.PARTNER)
    assert view.blocker.next_attempt_at == town.clock.now() + timedelta(seconds=2)
    assert view.blocker.since == town.clock.now() - timedelta(seconds=1)
    assert await shown(town, later) == ("scheduled", None), "it waits for its day, not for the partner"
    assert await shown(town, waiting_for_approval) == ("scheduled", "approval_missing")
    await holds.release("fake", S.PAYOUT, [K.OUTAGE])
    assert await shown(town, due) == ("scheduled", None)


async def test_throttling_keeps_nobody_waiting_and_our_empty_deposit_is_called_that(town: Town) -> None:
    town.partner()
    due = await town.due()
    await hold(town, kind=K.THROTTLED, fault="429")
    assert await shown(town, due) == ("scheduled", None)
    await hold(town, kind=K.OURS, fault="float_short")
    assert await shown(town, due) == ("scheduled", "partner_float_short")


async def test_paying_means_that_something_left(town: Town) -> None:
    bank = town.partner()
    incentive = await town.due()
    worker = town.worker()
    await worker.claim("fake", 1)
    assert await town.stands(incentive) == ("paying", None)
    assert await shown(town, incentive) == ("scheduled", None), "it is set aside, no more"
    town.clock.advance(60)
    bank.script("inquiry", "refused_connection")
    await worker.tick_send("fake")
    assert await shown(town, incentive) == ("scheduled", "partner_unavailable"), "tried, and tried again later"
    view = await incentives(town).get(incentive)
    assert view.blocker is not None
    assert view.blocker.next_attempt_at == (await town.payout(incentive)).next_at
    town.clock.advance(60)
    bank.script("transfer", "lost")
    await worker.tick_send("fake")
    assert await shown(town, incentive) == ("paying", "outcome_unknown")


async def test_who_waits_for_a_check_at_a_partner_that_is_down_is_told(town: Town) -> None:
    town.partner()
    incentive = await town.due()
    await town.execute("UPDATE participants SET verified = false, verified_until = NULL")
    assert await shown(town, incentive) == ("awaiting_verification", None)
    await hold(town, stage=S.VERIFY)
    assert await shown(town, incentive) == ("awaiting_verification", "partner_unavailable")
    assert await shown(town, await town.due()) == ("scheduled", None), "payouts go on"


async def test_a_check_that_got_no_answer_is_tried_again_with_the_next_canary(town: Town) -> None:
    """The check's own next try is over or far away; while its partner is held neither is when it goes on."""
    town.partner()
    incentive = await town.due()
    await town.execute(
        "UPDATE participants SET verified = false, verified_until = NULL, standing = 'partner_unavailable'"
    )
    await town.execute(
        "INSERT INTO verifications (id, participant, link_id, nik_index, state, created_at, next_attempt_at)"
        " SELECT 1, participant, id, '', 'open', $1, $1 FROM links",
        town.clock.now(),
    )
    town.clock.advance(60)
    before = await incentives(town).get(incentive)
    holds = await hold(town, stage=S.VERIFY)
    at = town.clock.now()
    town.clock.advance(1)
    view = await incentives(town).get(incentive)
    assert before.blocker is not None and view.blocker is not None
    assert before.blocker.code.value == view.blocker.code.value == "partner_unavailable"
    assert before.blocker.next_attempt_at == at - timedelta(seconds=60), "no hold: its own"
    assert (view.blocker.since, view.blocker.next_attempt_at) == (at, at + timedelta(seconds=3))
    await holds.release("fake", S.VERIFY, [K.OUTAGE])
    again = await incentives(town).get(incentive)
    assert again.blocker is not None and again.blocker.next_attempt_at == before.blocker.next_attempt_at


async def counted(town: Town) -> Counter[tuple[str, str, str | None, bool]]:
    async with town.database.connection() as connection:
        rows = await funnel.counts(connection, None, incentives(town).moment())
    found: Counter[tuple[str, str, str | None, bool]] = Counter()
    for row in rows:
        assert row.incentives > 0
        code = row.blocker.value if row.blocker else None
        found[row.partner, row.stage.value, code, row.given_up] = row.incentives
    return found


def key(view: IncentiveView) -> tuple[str, str, str | None, bool]:
    blocker = view.blocker
    code = None if blocker is None else blocker.code.value
    return view.partner, view.stage.value, code, code == "outcome_unknown" and blocker.owner is Owner.OPERATOR


@pytest.mark.parametrize("seed", range(6))
async def test_funnel_lists_and_each_incentive_agree_whatever_happened(town: Town, seed: int) -> None:
    """Random partners' answers, holds, pauses and days; after each step all three say the same."""
    dice = random.Random(seed)
    banks = {"fake": town.partner(two_step=bool(seed % 2)), "other": town.partner("other")}
    workers = town.worker()
    for _ in range(14):
        slug = dice.choice(["fake", "other"])
        await town.due(slug, due_on=town.today(dice.choice([0, 0, 0, 2])), approved=dice.random() < 0.9)
    acts = ["refused_connection", "lost", "garbage", "not_accepted", {"act": "say", "kind": "pending"},
            {"act": "say", "kind": "rejected", "reason": "account_blocked"}, "ok"]  # fmt: skip
    for _ in range(12):
        bank = banks[dice.choice(["fake", "other"])]
        bank.script(dice.choice(["transfer", "inquiry", "create", "approve"]), dice.choice(acts))
        step = dice.randrange(7)
        if step < 3:
            await workers.tick_send(dice.choice(["fake", "other"]), dice.randint(1, 4))
        elif step == 3:
            await hold(
                town, stage=dice.choice([S.PAYOUT, S.VERIFY]), kind=dice.choice([K.OUTAGE, K.BRAKE, K.THROTTLED])
            )
        elif step == 4:
            await Holds(town.database, town.clock, "w2").release("fake", S.PAYOUT, list(K))
        elif step == 5:
            async with town.database.transaction() as connection:
                await switches.pause(connection, town.clock.now(), "other", by="ops", reason="a test")
        else:
            await workers.tick_lookups(dice.choice(["fake", "other"]))
        if dice.random() < 0.2:
            await town.execute(
                "UPDATE participants SET verified = false, verified_until = NULL WHERE id = $1", dice.randint(1, 14)
            )
        town.clock.advance(dice.choice([1, 30, 4_000, 90_000]))
        views = await incentives(town).find(IncentiveFilter(), 0, 100)
        expected = Counter(key(view) for view in views)
        assert await counted(town) == expected
        for view in dice.sample(views, 3):
            code = None if view.blocker is None else view.blocker.code
            wanted = IncentiveFilter(partner=view.partner, stage=view.stage, blocker=code)
            ids = {one.incentive_id for one in await incentives(town).find(wanted, 0, 100)}
            same = {one.incentive_id for one in views if key(one)[:3] == key(view)[:3]}
            assert ids >= same if code is None else ids == same


async def test_a_held_partner_shows_why_and_what_waits(town: Town) -> None:
    town.partner()
    for _ in range(3):
        await town.due()
    await town.due(due_on=town.today(1))
    manifests = {slug: desk.manifest for slug, desk in town.desks.items()}
    partners = Partners(town.database, town.clock, manifests, {})
    (view,) = await partners.all()
    assert view.holds == ()
    assert view.load is None
    await hold(town)
    await town.worker().claim("fake", 1)
    (view,) = await partners.all()
    (one,) = view.holds
    assert (one.kind, one.fault, one.words) == (K.OUTAGE, "5xx", "502")
    assert view.load is not None
    assert (view.load.backlog, view.load.in_flight, view.load.amount_rupiah) == (3, 0, 3 * 600_000)
    released = await partners.release(int(one.hold_id), "their word by phone", actor="ops")
    assert released.holds == ()
    assert [row["action"] for row in await town.fetch("SELECT action FROM audit_log")] == ["partner.release"]


async def test_what_waits_for_a_paused_partner_does_not_move_and_what_has_left_does(town: Town) -> None:
    bank = town.partner()
    town.partner("other")

    async def moving() -> tuple[int, int]:
        async with town.database.transaction() as connection:
            found = await moves.moving(
                connection, None, today=town.today(), until=town.clock.now() + timedelta(seconds=60), waiting=()
            )
        return found.incentives, found.payouts_unknown

    bank.script("transfer", "lost")
    await town.due()
    await town.worker().tick_send("fake")
    await town.due()
    await town.worker().claim("fake", 1)
    await town.due()
    await town.due("other")
    assert await moving() == (3, 1)
    async with town.database.transaction() as connection:
        await switches.pause(connection, town.clock.now(), "fake", by="op", reason="x")
    assert await moving() == (1, 1)
