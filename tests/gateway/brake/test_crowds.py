"""A crowd refused alike is held, told, and asked again; one person refused is refused."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from contracts.brake import LOOKS_S, RING, Level, Table, weigh
from contracts.hold import HoldKind, HoldStage
from contracts.identity import IdentityAnswer, Verdict
from contracts.incentive import BlockerCode
from gateway.services.brake import brake
from gateway.services.brake.brake import ASK_EVERY, EDGE, GOOD_ENOUGH, Brake
from gateway.storage.brake import refusals
from gateway.storage.ops import holds
from tests.gateway.linking.fake import granted
from tests.gateway.linking.world import World
from tests.gateway.payouts.town import Town

NOBODY = {"act": "rejected", "reason": "account_not_found"}


async def held(town: Town) -> list[HoldKind]:
    async with town.database.connection() as connection:
        return [one.kind for one in await holds.open_holds(connection)]


async def test_five_minutes_in_which_the_partner_knows_nobody(town: Town) -> None:
    bank, worker, watch = town.partner(), town.worker(), Brake(town.database, town.clock)
    incentives = [await town.due() for _ in range(12)]
    bank.script("inquiry", *([NOBODY] * 6))
    for _ in range(6):
        await worker.tick_send("fake", 1)
        await town.pass_time(1)
    assert await held(town) == [HoldKind.BRAKE]
    assert await town.cases() == ["partner_unavailable"]
    stages = [await town.stands(one) for one in incentives]
    assert stages.count(("scheduled", "account_not_found")) == 6
    await watch.tick()
    assert await held(town) == [HoldKind.BRAKE], "nothing good was said yet"
    await worker.tick_send("fake", GOOD_ENOUGH)
    await watch.tick()
    assert await held(town) == []
    assert await town.cases() == []
    for _ in range(3):
        await worker.tick_send("fake")
    assert [await town.stands(one) for one in incentives] == [("paid", None)] * 12
    assert len(bank.booked) == 12
    await town.check()


async def test_whoever_releases_it_the_run_is_asked_again(town: Town) -> None:
    bank, worker, watch = town.partner(), town.worker(), Brake(town.database, town.clock)
    incentives = [await town.due() for _ in range(4)]
    bank.script("inquiry", *([NOBODY] * 4))
    await worker.tick_send("fake")
    async with town.database.transaction() as connection:
        now = town.clock.now()
        await holds.release(connection, now, "fake", HoldStage.PAYOUT, [HoldKind.BRAKE], by="an operator")
    await town.pass_time(1)
    for _ in range(2):
        await watch.tick()
        await worker.tick_send("fake")
    assert [await town.stands(one) for one in incentives] == [("paid", None)] * 4
    assert await town.cases() == []


async def test_one_person_who_is_refused_stays_refused_and_holds_nobody(town: Town) -> None:
    bank, worker, watch = town.partner(), town.worker(), Brake(town.database, town.clock)
    incentives = [await town.due() for _ in range(6)]
    bank.script("inquiry", NOBODY, "ok", "ok", "ok", "ok", "ok")
    await worker.tick_send("fake")
    await watch.tick()
    assert await held(town) == []
    assert [await town.stands(one) for one in incentives].count(("scheduled", "account_not_found")) == 1
    async with town.database.transaction() as connection:
        ring = await refusals.ring(connection, town.clock.now(), "fake", HoldStage.PAYOUT, known=True)
    assert sum(ring) == 1


async def test_who_was_refused_comes_back_when_there_is_nobody_else_to_ask(town: Town) -> None:
    bank, worker, watch = town.partner(), town.worker(), Brake(town.database, town.clock)
    incentives = [await town.due() for _ in range(4)]
    bank.script("inquiry", *([NOBODY] * 4))
    await worker.tick_send("fake")
    assert await held(town) == [HoldKind.BRAKE]
    for _ in range(3):
        await town.pass_time(ASK_EVERY.total_seconds() + 1)
        await watch.tick()
        await worker.tick_send("fake")
    assert await held(town) == []
    assert [await town.stands(one) for one in incentives] == [("paid", None)] * 4
    await town.check()


async def test_our_own_limit_and_limits_of_a_person_are_no_crowd(town: Town) -> None:
    bank, worker = town.partner(), town.worker()
    for _ in range(8):
        await town.due()
    bank.script("inquiry", *([{"act": "rejected", "reason": "balance_limit"}] * 8))
    await worker.tick_send("fake")
    assert await held(town) == []


async def test_an_operator_asks_again_by_time_and_code_long_afterwards(town: Town) -> None:
    bank, worker, watch = town.partner(), town.worker(), Brake(town.database, town.clock)
    first, second = await town.due(), await town.due()
    bank.script("inquiry", NOBODY)
    await worker.tick_send("fake", 1)
    await town.pass_time(3_600)
    bank.script("inquiry", {"act": "rejected", "reason": "account_blocked"})
    await worker.tick_send("fake", 1)
    await town.pass_time(20 * 3_600)
    since = town.clock.now() - timedelta(days=2)
    for code, n in (("account_shared", 0), ("account_not_found", 1), ("account_not_found", 0)):
        asked = await watch.ask_again("fake", HoldStage.PAYOUT, since=since, until=None, code=code, actor="test")
        assert asked == n, code
    for _ in range(3):
        await worker.tick_send("fake")
    found = {await town.stands(first), await town.stands(second)}
    assert found == {("paid", None), ("scheduled", "account_blocked")}
    await town.check()


async def test_refusals_at_the_edges_of_an_outage_are_asked_again(town: Town) -> None:
    """Four people refused one after the other; the outage lies between the second and the third."""
    bank, worker, watch = town.partner(), town.worker(), Brake(town.database, town.clock)
    edge_s = EDGE.total_seconds()
    incentives = [await town.due() for _ in range(4)]
    bank.script("inquiry", *([NOBODY] * 4))

    async def refused(n: int) -> None:
        await worker.tick_send("fake", 1)
        assert [await town.stands(one) for one in incentives].count(("scheduled", "account_not_found")) == n

    await refused(1)
    await town.pass_time(60)
    await refused(2)
    await town.pass_time(edge_s - 30)
    async with town.database.transaction() as connection:
        new = holds.NewHold(
            partner="fake", stage=HoldStage.VERIFY, kind=HoldKind.OUTAGE, fault="5xx", words="HTTP 502",
            opened_by="test", next_canary_at=town.clock.now(),
        )  # fmt: skip
        await holds.hold(connection, town.clock.now(), new)
    await town.pass_time(300)
    async with town.database.transaction() as connection:
        await holds.release(connection, town.clock.now(), "fake", HoldStage.VERIFY, [HoldKind.OUTAGE], by="test")
    await town.pass_time(edge_s - 1)
    await town.execute("UPDATE refusals SET weighed = false")  # these are no crowd
    await refused(3)
    await watch.tick()
    assert len(bank.booked) == 0, "it is not over before ten minutes after it"
    await town.pass_time(2)
    await refused(4)
    await watch.tick()
    for _ in range(3):
        await worker.tick_send("fake")
    stands = [await town.stands(one) for one in incentives]
    assert stands.count(("paid", None)) == 2, "not the first, who was refused too long before, nor the last"
    await watch.tick()
    await town.check()


async def test_a_crowd_of_mismatches_gives_back_no_account_and_is_asked_again(world: World) -> None:
    pids = []
    for n in range(12):
        pids.append(await world.person("sole", account=f"+62812000001{n:02d}", nik=f"110101010190{9910 + n}"))
        await world.linked(pids[-1], granted(f"token-{n}"))
    mismatch = IdentityAnswer(verdict=Verdict.MISMATCH, partner_code="N")
    world.banks["sole"].always["verify"] = mismatch
    for _ in range(9):
        await world.verification.tick(1)
    links = await world.all("SELECT state, count(*) AS n FROM links GROUP BY state")
    assert {one["state"]: one["n"] for one in links} == {"active": 12}, "it may be the partner"
    (hold,) = await world.all("SELECT kind, stage FROM holds WHERE released_at IS NULL")
    assert (hold["kind"], hold["stage"]) == ("brake", "verify")
    world.banks["sole"].always["verify"] = IdentityAnswer(verdict=Verdict.MATCH, partner_code="Y")
    await world.verification.tick(GOOD_ENOUGH)
    await Brake(world.database, world.clock).tick()
    while await world.verification.tick():
        pass
    facts = [await world.facts(pid) for pid in pids]
    assert [one[1] for one in facts].count(True) == 12


MISMATCH = IdentityAnswer(verdict=Verdict.KYC_INCOMPLETE, partner_code="P")


async def pass_and_look(world: World, seconds: float) -> int:
    """How often the partner was asked for it."""
    bank = world.banks["bank"]
    asked = bank.calls("verify")
    world.clock.forward(seconds)
    await Brake(world.database, world.clock).tick_looks()
    while await world.verification.tick():
        pass
    return bank.calls("verify") - asked


async def test_two_refused_by_a_slip_are_asked_about_again_by_themselves(world: World) -> None:
    pids = [await world.person("bank", account=f"00112233{n:02d}", nik=f"110101010190{9910 + n}") for n in range(2)]
    for n, pid in enumerate(pids):
        await world.linked(pid, granted(f"token-{n}"))
    world.banks["bank"].always["verify"] = MISMATCH
    assert await pass_and_look(world, 0) == 2
    assert [(await world.facts(pid))[1] for pid in pids] == [False] * 2
    assert await pass_and_look(world, LOOKS_S[0] - 1) == 0
    before = await world.all("SELECT type FROM events")
    assert await pass_and_look(world, 1) == 2
    after = await world.all("SELECT type FROM events")
    assert {one["type"] for one in after[len(before) :]} == {"verification.completed"}, "what stands, stands meanwhile"
    world.banks["bank"].always["verify"] = IdentityAnswer(verdict=Verdict.MATCH, partner_code="Y")
    assert await pass_and_look(world, LOOKS_S[0]) == 0, "the second look comes later"
    assert await pass_and_look(world, LOOKS_S[1]) == 2
    assert [(await world.facts(pid))[1] for pid in pids] == [True] * 2
    assert await pass_and_look(world, 90 * 86_400.0) == 0


async def test_looks_end_weigh_nothing_and_wait_for_a_held_stage(world: World) -> None:
    await world.linked(pid := await world.person("bank"), granted("token"))
    world.banks["bank"].always["verify"] = MISMATCH
    await pass_and_look(world, 0)
    for n, wait_s in enumerate(LOOKS_S):
        if n == 1:
            async with world.database.transaction() as connection:
                new = holds.NewHold(
                    partner="bank", stage=HoldStage.VERIFY, kind=HoldKind.OPERATOR, fault=None, words="a call",
                    opened_by="test", next_canary_at=None, good_before=None,
                )  # fmt: skip
                await holds.hold(connection, world.clock.now(), new)
            assert await pass_and_look(world, wait_s) == 0
            async with world.database.transaction() as connection:
                now = world.clock.now()
                await holds.release(connection, now, "bank", HoldStage.VERIFY, [HoldKind.OPERATOR], by="test")
            wait_s = 0.0
        assert await pass_and_look(world, wait_s) == 1, n
    assert await pass_and_look(world, 40 * 86_400.0) == 0, "after the last one it is for the person to come back"
    weighed = await world.all("SELECT weighed FROM refusals ORDER BY id")
    assert [one["weighed"] for one in weighed] == [True] + [False] * len(LOOKS_S)
    assert (await world.facts(pid))[1] is False


@pytest.mark.parametrize("seed", range(4))
async def test_the_stream_in_the_store_is_the_one_that_was_said(town: Town, seed: int) -> None:
    """Refusals of accounts that differ and good answers in groups, in any order: the ring is the list of them."""
    rolls, said = random.Random(seed), list[bool]()
    people = [await town.person() for _ in range(40)]
    for n, person in enumerate(people):
        good = rolls.randint(0, 3)
        async with town.database.transaction() as connection:
            if good:
                await refusals.good(connection, "fake", HoldStage.PAYOUT, known=True, answers=good)
                said += [False] * good
            one = refusals.NewRefusal(
                partner="fake", stage=HoldStage.PAYOUT, known=True, participant=person,
                account_index=f"account {n}".encode(), code=BlockerCode.ACCOUNT_BLOCKED, partner_code=None,
            )  # fmt: skip
            level = (await brake.refused(connection, town.clock.now(), one, LOOKS_S)).level
            said.append(True)
            again = (await brake.refused(connection, town.clock.now(), one, LOOKS_S)).level
            ring = await refusals.ring(connection, town.clock.now(), "fake", HoldStage.PAYOUT, known=True)
        first = said.index(True) if True in said else 0
        assert ring == said[first:][-RING:] or ring == said[-RING:]
        assert level == again == weigh(ring, Table.KNOWN), "the same account counts once"
    assert level is Level.HOLD


@pytest.mark.parametrize("known", [True, False])
async def test_those_known_good_and_those_who_are_new_are_weighed_apart(town: Town, known: bool) -> None:
    """What is usual among new people would hold the stage if it counted against those known good."""
    async with town.database.transaction() as connection:
        for n in range(3):
            for stream in (True, False):
                one = refusals.NewRefusal(
                    partner="fake", stage=HoldStage.PAYOUT, known=stream, participant=await town.person(),
                    account_index=f"{stream} {n}".encode(), code=BlockerCode.ACCOUNT_BLOCKED, partner_code=None,
                )  # fmt: skip
                await refusals.lock_stage(connection, "fake", HoldStage.PAYOUT)
                await refusals.add(connection, town.clock.now(), one, LOOKS_S)
                await refusals.good(connection, "fake", HoldStage.PAYOUT, known=stream, answers=1 + stream)
        ring = await refusals.ring(connection, town.clock.now(), "fake", HoldStage.PAYOUT, known=known)
    assert ring == [True, *[False] * (1 + known)] * 3


async def test_one_answer_for_everybody_is_the_partners_and_is_asked_again(world: World) -> None:
    """A cache in front of the partner shows one person's account to all: nobody's account is proved."""
    pids = []
    for n in range(12):
        pids.append(await world.person("bank", account=f"00112233{n:02d}", nik=f"110101010190{9910 + n}"))
        await world.linked(pids[-1], granted(f"token-{n}"))
    world.banks["bank"].always["verify"] = IdentityAnswer(verdict=Verdict.ACCOUNT_UNPROVED)
    for _ in range(9):
        await world.verification.tick(1)
    assert {(hold["kind"], hold["stage"]) for hold in await world.all("SELECT kind, stage FROM holds")} == {
        ("brake", "verify")
    }
    world.banks["bank"].always["verify"] = IdentityAnswer(verdict=Verdict.MATCH)
    await world.verification.tick(GOOD_ENOUGH)
    await Brake(world.database, world.clock).tick()
    while await world.verification.tick():
        pass
    assert [(await world.facts(pid))[1:] for pid in pids] == [(True, None)] * 12


async def test_a_match_that_counts_for_nothing_is_no_refusal_of_the_partners(world: World) -> None:
    """Its token turned up under another account, which we found out ourselves."""
    first = await world.person("bank", account="0011223301", nik="1101010101909901")
    await world.linked(first, granted("one token"))
    await world.verification.tick()
    other = await world.person("bank", account="0011223302", nik="1101010101909902")
    await world.linked(other, granted("one token"))
    await world.verification.request(first)
    await world.verification.tick()
    assert (await world.facts(first))[1:] == (False, "account_unproved")
    (told,) = await world.all("SELECT verdict FROM verifications ORDER BY id DESC LIMIT 1")
    assert told["verdict"] == "account_unproved"
    assert await world.all("SELECT FROM refusals") == []


async def test_one_who_is_said_to_have_another_account_is_asked_about_again(world: World) -> None:
    await world.linked(pid := await world.person("bank"), granted("token"))
    world.banks["bank"].always["verify"] = IdentityAnswer(verdict=Verdict.ACCOUNT_UNPROVED)
    assert await pass_and_look(world, 0) == 1
    assert (await world.facts(pid))[1:] == (False, "account_unproved")
    world.banks["bank"].always["verify"] = IdentityAnswer(verdict=Verdict.MATCH)
    assert await pass_and_look(world, LOOKS_S[0]) == 1
    assert (await world.facts(pid))[1:] == (True, None)
