"""A database put back to an earlier moment, payouts forgotten at every step: nobody is paid twice, nobody is lost."""

from __future__ import annotations

import random
from collections import Counter
from datetime import date, timedelta

import pytest

from contracts.errors import Conflict
from contracts.incentive import BlockerCode
from contracts.payout import PayoutState
from gateway.clock import jakarta_day, start_of_jakarta_day
from gateway.services.reconciliation.statements import Statements
from gateway.storage.ops import cases
from gateway.storage.ops.cases import NewCase
from gateway.storage.reconciliation import recovery
from tests.gateway.payouts.town import Town
from tests.gateway.reconciliation.restoring import Restoring

S = PayoutState
TROUBLE = ("ok", "ok", "ok", "lost", "reset", "garbage")


async def forgotten(restoring: Restoring, *, two_step: bool = False) -> int:
    """An incentive paid after the copy that was made while it was due; the database does not know of its payout."""
    town = restoring.town
    town.partner(two_step=two_step)
    incentive = await town.due()
    await restoring.copy()
    worker = town.worker()
    await worker.tick_send("fake")
    if two_step:
        town.clock.advance(60)
        await worker.tick_lookups("fake")
    assert await town.states(incentive) == [S.SUCCEEDED]
    town.clock.advance(60)
    await restoring.restore()
    assert await town.states(incentive) == []
    return incentive


@pytest.mark.parametrize("two_step", [False, True])
async def test_a_payment_that_was_forgotten_is_adopted_and_not_made_again(restoring: Restoring, two_step: bool) -> None:
    incentive = await forgotten(restoring, two_step=two_step)
    town, worker = restoring.town, restoring.town.worker()
    reference = town.banks["fake"].booked[0]["reference"]
    await restoring.recoveries(worker).open(town.clock.now() - timedelta(minutes=5), actor="cli")
    await restoring.recover(worker)
    payout = await town.payout(incentive)
    assert (payout.reference, payout.id, payout.state) == (reference, int(reference[2:]), S.SUCCEEDED)
    assert await town.stands(incentive) == ("paid", None)
    assert len(town.banks["fake"].booked) == 1
    assert await restoring.recoveries(worker).under_way() == []
    assert [row["action"] for row in await town.fetch("SELECT action FROM audit_log ORDER BY seq")] == [
        "recovery.open",
        "stray.adopt",
        "recovery.release",
    ]
    assert await town.cases() == []
    await town.check()


async def test_without_a_recovery_it_would_be_paid_twice(restoring: Restoring) -> None:
    await forgotten(restoring)
    await restoring.town.worker().tick_send("fake")
    assert set(restoring.credits().values()) == {2}, "or the test above proves nothing"


async def test_nothing_is_sent_while_a_partner_is_held_whoever_tries(restoring: Restoring) -> None:
    town = restoring.town
    bank = town.partner()
    await town.due()
    worker = town.worker()
    (reserved,) = await worker.claim("fake", 10)
    await town.due()
    await restoring.recoveries(worker).open(town.clock.now(), actor="cli")
    assert (await worker.send(reserved)).value == "skipped", "the compare-and-set"
    assert await worker.claim("fake", 10) == [], "neither what stands nor what is due"
    town.clock.advance(120.0)
    assert await town.worker("w2").claim("fake", 10) == []
    assert await worker.tick_unpayable("fake") == 0
    assert bank.seen == []


async def test_the_hold_alone_stops_what_was_leased_before_it(restoring: Restoring) -> None:
    """As if the process that opened the recovery had died before it marked anything."""
    town = restoring.town
    bank = town.partner()
    await town.due()
    worker, now = town.worker(), town.clock.now()
    (reserved,) = await worker.claim("fake", 1)
    async with town.database.transaction() as connection:
        await recovery.begin(connection, "fake", since=now, opened_at=now, settled_at=now)
    assert (await worker.send(reserved)).value == "skipped"
    assert bank.seen == []


async def test_a_credit_that_turns_up_after_the_claim_stops_the_attempt(restoring: Restoring) -> None:
    town = restoring.town
    bank = town.partner()
    person = await town.person()
    await town.incentive(person)
    worker = town.worker()
    (reserved,) = await worker.claim("fake", 1)
    bank.book(f"10{7:017d}", 600_000, f"{person:010d}")
    await Statements(town.resources).read("fake", jakarta_day(town.clock.now()))
    assert (await worker.send(reserved)).value == "skipped"
    assert "inquiry" not in bank.seen


async def test_what_had_not_left_is_sent_once_nobody_knows_of_it(restoring: Restoring) -> None:
    town = restoring.town
    bank = town.partner()
    incentive = await town.due()
    worker = town.worker()
    await worker.claim("fake", 10)
    first = await town.payout(incentive)
    await restoring.recoveries(worker).open(town.clock.now(), actor="cli")
    await restoring.recover(worker)
    assert bank.seen.count("status") >= 2, "looked up at the opening and when it counts"
    assert bank.seen.count("transfer") == 0
    again = await town.payout(incentive)
    assert (again.reference, again.state, again.attempt, again.first_sent_at) == (first.reference, S.RESERVED, 0, None)
    await worker.tick_send("fake")
    assert await town.states(incentive) == [S.SUCCEEDED]
    await town.check()


@pytest.mark.parametrize("said", ["status", "statement"])
async def test_what_was_sent_after_the_copy_is_found_under_its_own_reference(restoring: Restoring, said: str) -> None:
    town = restoring.town
    bank = town.partner()
    incentive = await town.due()
    worker = town.worker()
    (leased,) = await worker.claim("fake", 10)
    await restoring.copy()
    await town.worker().send(leased)
    await restoring.restore()
    worker = town.worker()
    assert await town.states(incentive) == [S.RESERVED]
    if said == "statement":
        bank.script("status", *["not_found"] * 20)
    await restoring.recoveries(worker).open(town.clock.now() - timedelta(minutes=1), actor="cli")
    await restoring.recover(worker)
    assert await town.states(incentive) == [S.SUCCEEDED]
    assert await town.cases() == [], "no contradiction: it had only been forgotten"
    assert bank.seen.count("transfer") == 1
    await town.check()


async def test_what_was_sent_after_the_copy_and_is_listed_under_another_name_is_a_persons(restoring: Restoring) -> None:
    town = restoring.town
    bank = town.partner()
    incentive = await town.due()
    (leased,) = await town.worker().claim("fake", 10)
    await restoring.copy()
    await town.worker().send(leased)
    await restoring.restore()
    worker = town.worker()
    bank.script("status", *["not_found"] * 40)
    bank.booked[0] |= {"reference": bank.booked[0]["reference"][3:], "number": "J1"}
    await restoring.recoveries(worker).open(town.clock.now() - timedelta(minutes=1), actor="cli")
    await restoring.recover(worker)
    assert await restoring.recoveries(worker).under_way() == [], "it holds up nobody else"
    await worker.tick_send("fake")
    assert bank.seen.count("transfer") == 1
    assert (await town.states(incentive), await town.stands(incentive)) == ([S.UNKNOWN], ("paying", "outcome_unknown"))
    assert "outcome_unknown" in [case["code"] for case in await town.fetch("SELECT code FROM cases")]
    await town.check()


async def test_an_attempt_in_doubt_may_have_been_the_second_one(restoring: Restoring) -> None:
    """Look-ups gathered before the copy prove nothing any more, and a third attempt is never made."""
    town = restoring.town
    bank = town.partner()
    incentive = await town.due()
    worker, statements = town.worker(), Statements(town.resources)
    bank.script("transfer", "reset", "reset")
    await worker.tick_send("fake")
    await town.drive(worker, statements, hours=0.95, step_s=60)
    await restoring.copy()
    await town.drive(town.worker(), Statements(town.resources), hours=1, step_s=60)
    assert bank.seen.count("transfer") == 2
    await restoring.restore()
    worker, statements = town.worker(), Statements(town.resources)
    before = await town.payout(incentive)
    await restoring.recoveries(worker).open(town.clock.now() - timedelta(hours=1), actor="cli")
    after = await town.payout(incentive)
    assert (before.attempt, after.attempt) == (1, 2)
    assert after.sent_deadline is not None and after.sent_deadline > town.clock.now()
    await restoring.recover(worker)
    await town.drive(worker, statements, hours=3, step_s=60)
    assert await town.states(incentive) == [S.REJECTED, S.SUCCEEDED]
    assert set(restoring.credits().values()) == {1}


async def test_a_recovery_that_was_broken_off_goes_on(restoring: Restoring) -> None:
    incentive = await forgotten(restoring)
    town, worker = restoring.town, restoring.town.worker()
    await restoring.recoveries(worker).open(town.clock.now() - timedelta(minutes=5), actor="cli")
    await town.execute("UPDATE recoveries SET marked_at = NULL")
    await worker.tick_send("fake")
    assert len(town.banks["fake"].booked) == 1
    await restoring.recover(town.worker("another process"))
    assert await town.stands(incentive) == ("paid", None)
    (row,) = await town.fetch("SELECT marked_at IS NOT NULL AS marked FROM recoveries")
    assert row["marked"]


async def test_a_choice_between_incentives_is_a_persons(restoring: Restoring) -> None:
    town = restoring.town
    town.partner()
    person = await town.person()
    paid, other = await town.incentive(person), await town.incentive(person, period="2")
    await restoring.copy()
    await town.worker().tick_send("fake", limit=1)
    town.clock.advance(60)
    await restoring.restore()
    worker = town.worker()
    service = restoring.recoveries(worker)
    await service.open(town.clock.now() - timedelta(minutes=5), actor="cli")
    await restoring.recover(worker)
    assert await service.under_way() == [], "its account is known: everyone else goes on"
    await town.drive(worker, Statements(town.resources), hours=0.5)
    await service.strays.tick()
    assert [await town.stands(one) for one in (paid, other)] == [("scheduled", "contradiction")] * 2
    assert await town.cases() == ["contradiction"]
    (stray,) = await service.strays.unsettled()
    assert not (await service.strays.settle(stray.reference, paid, actor="op")).done, "one person alone decides nothing"
    with pytest.raises(Conflict):
        await service.strays.settle(stray.reference, paid, actor="op")
    assert not (await service.strays.settle(stray.reference, other, actor="op 2")).done, "they do not agree"
    for client in ("op 2", "op 3"):
        await town.execute(
            "INSERT INTO clients (id, name, secret_hash, scopes, created_at, person)"
            " VALUES ($1, $1, '', '{}', now(), 'eva')",
            client,
        )
    assert not (await service.strays.settle(stray.reference, other, actor="op 3")).done, "two clients of one person"
    await town.execute("UPDATE clients SET disabled_at = now() WHERE id = 'op 3'")
    assert not (await service.strays.settle(stray.reference, other, actor="op")).done, "by a client that was ended"
    assert (await service.strays.settle(stray.reference, other, actor="op 2")).done
    assert await town.cases() == []
    await town.drive(worker, Statements(town.resources), hours=0.5)
    assert [await town.stands(one) for one in (paid, other)] == [("paid", None)] * 2
    assert set(restoring.credits().values()) == {2}


@pytest.mark.parametrize("hours_before_midnight", [5.0, 0.1])
async def test_a_payment_booked_late_is_adopted_beside_instalments_that_fall_due_meanwhile(
    restoring: Restoring, hours_before_midnight: float
) -> None:
    """Sent before the copy was put back, booked after the statement was first read, perhaps on the next day: the next
    instalment, of the same amount, was not due when the payment was made.
    """
    town = restoring.town
    bank = town.partner()
    town.clock.go_to(start_of_jakarta_day(date(2026, 11, 25)) - timedelta(hours=hours_before_midnight))
    person, today = await town.person(), date(2026, 11, 24)
    paid = await town.incentive(person, due_on=today)
    later = [
        await town.incentive(person, due_on=today + timedelta(days=days), period=f"+{days}") for days in (1, 31, 50)
    ]
    expired = await town.incentive(person, due_on=today, deadline_on=today - timedelta(days=1), period="0")
    await restoring.copy()
    worker = town.worker()
    bank.script("transfer", "pending")
    await worker.tick_send("fake")
    (row,) = await town.fetch("SELECT reference FROM payouts")
    await restoring.restore()
    worker = town.worker()
    service = restoring.recoveries(worker)
    await service.open(town.clock.now() - timedelta(minutes=5), actor="cli")
    await service.round()
    assert await town.states(paid) == [], "nothing stands in the first reading"
    town.clock.advance(1_800.0)
    bank.book(row["reference"], 600_000, f"{person:010d}")
    await restoring.recover(worker)
    assert await service.under_way() == []
    assert await town.stands(paid) == ("paid", None)
    assert await town.states(expired) == []
    await town.drive(worker, Statements(town.resources), hours=30, step_s=1_200)
    assert [(await town.stands(one))[0] for one in later] == ["paid", "scheduled", "scheduled"]
    assert len(bank.booked) == 2 and await town.cases() == []
    await town.check()


async def test_a_credit_to_nobody_we_know_holds_everyone(restoring: Restoring) -> None:
    """The batch, or a change of account, was forgotten too: it could have paid anybody."""
    town = restoring.town
    bank = town.partner()
    incentive = await town.due()
    bank.book(f"10{1:017d}", 600_000, "0000009999")
    worker = town.worker()
    service = restoring.recoveries(worker)
    await service.open(town.clock.now(), actor="cli")
    (left,) = await restoring.recover(worker)
    assert left.settled and not left.released
    assert bank.seen.count("transfer") == 0
    await service.strays.settle(f"10{1:017d}", None, actor="op")
    (still,) = await service.round()
    assert not still.released
    await service.strays.settle(f"10{1:017d}", None, actor="op 2")
    (released,) = await service.round()
    assert released.released
    await worker.tick_send("fake")
    assert await town.stands(incentive) == ("paid", None)


async def test_a_credit_that_turns_up_later_still_holds_its_account(restoring: Restoring) -> None:
    """Booked later than anyone promised: after the release, and before the incentive was claimed again."""
    town = restoring.town
    bank = town.partner()
    worker, statements = town.worker(), Statements(town.resources)
    person = await town.person()
    bank.book(f"10{round(town.clock.now().timestamp()) * 10_000_000 + 7:017d}", 600_000, f"{person:010d}")
    await statements.tick("fake")
    incentive = await town.incentive(person)
    await worker.tick_send("fake")
    assert await town.states(incentive) == []
    await restoring.tick(worker, statements)
    assert await town.stands(incentive) == ("paid", None), "handed over again, it is the one that was paid"
    assert len(bank.booked) == 1


async def test_settling_a_credit_leaves_a_contradiction_of_an_incentives_own(restoring: Restoring) -> None:
    town = restoring.town
    town.partner()
    incentive = await town.due()
    now = town.clock.now()
    async with town.database.transaction() as connection:
        case = NewCase(code=BlockerCode.CONTRADICTION, partner="fake", incentive=incentive, detail="paid and refused")
        await cases.open_cases(connection, now, [case])
    await town.execute("UPDATE incentives SET own = 'contradiction'")
    reference = f"10{1:017d}"
    await town.execute(
        "INSERT INTO strays (partner, reference, amount_rupiah, account_index, booked_at, seen_at)"
        " SELECT 'fake', $1, 5000, account_index, $2, $2 FROM participants",
        reference,
        now,
    )
    service = restoring.recoveries(town.worker())
    for person in ("op", "op 2"):
        await service.strays.settle(reference, None, actor=person)
    assert await town.stands(incentive) == ("scheduled", "contradiction")
    assert await town.worker().tick_send("fake") == 0


async def settled_town(town: Town, people: int) -> None:
    """People at a one-step and at a two-step partner, each with instalments of different amounts."""
    town.partner("one")
    town.partner("two", two_step=True)
    for n in range(people):
        person = await town.person("one" if n % 2 else "two")
        await town.incentive(person, amount=600_000)
        await town.incentive(person, amount=50_000, period="survey")


@pytest.mark.parametrize("seed", range(3))
async def test_a_copy_from_any_moment_brings_no_double_and_loses_nobody(
    restoring: Restoring, seed: int, long: bool
) -> None:
    town, rng = restoring.town, random.Random(seed)
    people = 250 if long else 15
    await settled_town(town, people)
    for bank in town.banks.values():
        for operation in ("transfer", "approve"):
            bank.script(operation, *rng.choices(TROUBLE, k=people))

    async def work(steps: int) -> None:
        worker = town.worker()
        for _ in range(steps):
            for slug in town.desks:
                await worker.tick_send(slug, limit=rng.randint(1, max(2, people // 8)))
                await worker.tick_lookups(slug)
            await worker.tick_deadlines()
            town.clock.advance(rng.choice((1.0, 20.0, 90.0)))

    await work(rng.randint(2, 8))
    copied_at = town.clock.now()
    await restoring.copy()
    await work(rng.randint(2, 12))
    for slug in town.desks:
        await town.worker().claim(slug, 3)
    town.clock.advance(rng.choice((5.0, 1_000.0, 40_000.0)))
    await restoring.restore()
    worker, statements = town.worker("after"), Statements(town.resources)
    await restoring.recoveries(worker).open(copied_at, actor="cli")
    await restoring.recover(worker)
    assert await restoring.recoveries(worker).under_way() == []
    for bank in town.banks.values():
        bank.acts.clear()
    await town.drive(worker, statements, hours=40, step_s=900 if long else 600)
    stands = Counter(row["stage"] for row in await town.fetch("SELECT stage FROM incentives"))
    assert stands == {"paid": 2 * people}
    assert set(restoring.credits().values()) == {1} and len(restoring.credits()) == 2 * people
    await town.check()


async def test_a_list_that_is_read_before_anybody_recovers_contradicts_nothing(restoring: Restoring) -> None:
    """The store holds by itself what may be forgotten; its sweeps go on, and list what the copy has as unsent."""
    town = restoring.town
    town.partner()
    incentive = await town.due()
    (leased,) = await town.worker().claim("fake", 10)
    await restoring.copy()
    await town.worker().send(leased)
    await restoring.restore()
    now = town.clock.now()
    async with town.database.transaction() as connection:
        await recovery.begin(connection, "fake", since=now, opened_at=now, settled_at=now)
    await Statements(town.resources).read("fake", jakarta_day(now))
    assert await town.states(incentive) == [S.SUCCEEDED]
    assert await town.cases() == []
    await town.check()


@pytest.mark.parametrize(("copied_days", "idle_days"), [(1, 70), (62, 0), (62, 3)])
async def test_a_recovery_ends_however_old_the_copy_is_and_however_late_somebody_goes_on(
    restoring: Restoring, copied_days: int, idle_days: int
) -> None:
    """Only days on which something from before the opening may be booked must be read, not all until today."""
    incentive = await forgotten(restoring)
    town, worker = restoring.town, restoring.town.worker()
    await restoring.recoveries(worker).open(town.clock.now() - timedelta(days=copied_days), actor="cli")
    town.clock.advance(idle_days * 86_400.0)
    await restoring.recover(worker)
    assert await town.states(incentive) == [S.SUCCEEDED]
    assert not await restoring.recoveries(worker).under_way()
    await town.check()
