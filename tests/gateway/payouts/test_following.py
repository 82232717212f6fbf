"""What has left is followed to its end: lost answers, absence, midnight, confirmation, the reason that never came."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from contracts.partner import Blame, Code, LookupSchedule, Mark
from contracts.payout import PayoutState
from gateway.security import places
from gateway.services.messages.retention import Retention
from gateway.services.payouts.sending import frozen_hash
from tests.gateway.payouts.fake import NOON
from tests.gateway.payouts.town import Town, open_town
from tests.gateway.program import run

S = PayoutState


async def test_a_lost_answer_is_looked_up_and_never_sent_again(town: Town) -> None:
    bank = town.partner()
    incentive = await town.due()
    worker, statements = town.worker(), town.statements()
    bank.script("transfer", "lost")
    await worker.tick_send("fake")
    payout = await town.payout(incentive)
    assert payout.state is S.UNKNOWN
    assert payout.sent_deadline == town.clock.now(), "that attempt is over: the absence clock starts here"
    assert await worker.tick_lookups("fake") == 0, "not yet"
    town.clock.advance(60.0)
    assert await worker.tick_lookups("fake") == 1
    assert await town.states(incentive) == [S.SUCCEEDED]
    await town.drive(worker, statements, hours=1, step_s=120)
    assert bank.seen.count("transfer") == 1


async def test_unreadable_answers_are_unknown(town: Town) -> None:
    bank = town.partner()
    incentive = await town.due()
    bank.script("transfer", "garbage")
    await town.worker().tick_send("fake")
    assert (await town.payout(incentive)).state is S.UNKNOWN


async def test_false_not_found_soon_after_proves_nothing(town: Town) -> None:
    bank = town.partner()
    incentive = await town.due()
    worker, statements = town.worker(), town.statements()
    bank.script("transfer", "lost")
    bank.script("status", "not_found", "not_found")
    await worker.tick_send("fake")
    await town.drive(worker, statements, hours=3, step_s=60)
    assert await town.states(incentive) == [S.SUCCEEDED]
    assert bank.seen.count("transfer") == 1


async def test_proved_absence_is_sent_again_once_with_the_same_body(town: Town) -> None:
    bank = town.partner()
    incentive = await town.due()
    worker, statements = town.worker(), town.statements()
    bank.script("transfer", "reset")
    await worker.tick_send("fake")
    first = await town.payout(incentive)
    await town.drive(worker, statements, hours=0.9, step_s=30)
    assert bank.seen.count("transfer") == 1, "an hour is not over"
    await town.drive(worker, statements, hours=1, step_s=30)
    payout = await town.payout(incentive)
    assert (payout.state, payout.attempt, payout.reference) == (S.SUCCEEDED, 2, first.reference)
    sent = [body for operation, body in bank.bodies if operation == "transfer"]
    assert len(sent) == 2
    assert sent[0] == sent[1]
    assert bank.credits(payout.reference) == 1


async def test_a_second_silence_waits_for_statements_then_pays_anew(town: Town) -> None:
    bank = town.partner()
    incentive = await town.due()
    worker, statements = town.worker(), town.statements()
    bank.script("transfer", "reset", "reset")
    await worker.tick_send("fake")
    await town.drive(worker, statements, hours=4, step_s=60)
    assert await town.states(incentive) == [S.REJECTED, S.SUCCEEDED]
    rows = await town.fetch("SELECT partner_code FROM observations WHERE source = 'statement'")
    assert [row["partner_code"] for row in rows] == ["absent_in_statement"]
    assert await town.stands(incentive) == ("paid", None)
    reads = await town.fetch("SELECT count(*) AS n FROM statement_reads WHERE day = '2026-11-24'")
    assert reads[0]["n"] >= 2


async def test_a_booking_that_shows_late_in_the_statement_is_found_there(town: Town) -> None:
    bank = town.partner()
    incentive = await town.due()
    worker, statements = town.worker(), town.statements()
    bank.script("transfer", "reset")
    bank.script("status", *["not_found"] * 40)
    await worker.tick_send("fake")
    payout = await town.payout(incentive)
    bank.book(payout.reference, payout.amount_rupiah, "0000000001")
    bank.script("transfer", "reset")
    await town.drive(worker, statements, hours=3, step_s=30)
    assert await town.states(incentive) == [S.SUCCEEDED]
    assert bank.credits(payout.reference) == 1


async def test_over_midnight_nothing_is_sent_again(database: str) -> None:
    late = datetime(2026, 11, 24, 16, 30, tzinfo=UTC)  # 23:30 in Jakarta
    async with open_town(database, start=late) as town:
        bank = town.partner()
        incentive = await town.due()
        worker, statements = town.worker(), town.statements()
        bank.script("transfer", "reset")
        await worker.tick_send("fake")
        reference = (await town.payout(incentive)).reference
        await town.drive(worker, statements, hours=4, step_s=60)
        assert await town.states(incentive) == [S.REJECTED, S.SUCCEEDED]
        transfers = [body for operation, body in bank.bodies if operation == "transfer"]
        assert sum(reference.encode() in body for body in transfers) == 1
        days = {row["day"] for row in await town.fetch("SELECT DISTINCT day FROM statement_reads")}
        assert {str(day) for day in days} >= {"2026-11-24", "2026-11-25"}


async def test_assumed_absence_is_an_operators_where_the_setting_is_off(database: str) -> None:
    async with open_town(database, act_on_assumed=False) as town:
        bank = town.partner()
        incentive = await town.due()
        worker, statements = town.worker(), town.statements()
        bank.script("transfer", "reset")
        await worker.tick_send("fake")
        await town.drive(worker, statements, hours=30, step_s=600)
        assert bank.seen.count("transfer") == 1
        assert await town.states(incentive) == [S.UNKNOWN]
        assert await town.stands(incentive) == ("paying", "outcome_unknown")
        assert await town.cases() == ["outcome_unknown"]
        payout = await town.payout(incentive)
        shown = run("payouts", "show", str(payout.id), DATABASE_URL=database)
        assert "state unknown, attempt 1" in shown and "not_found" in shown
        assert "that this proves its absence is assumed" in " ".join(shown.split()), (
            "the case is shown with its evidence"
        )
        bank.book(payout.reference, payout.amount_rupiah, "0000000001")
        await town.drive(worker, statements, hours=2, step_s=300)
        assert await town.states(incentive) == [S.SUCCEEDED]
        assert await town.cases() == [], "it has answered itself"


async def test_a_technical_rejection_is_confirmed_before_it_is_replaced(town: Town) -> None:
    bank = town.partner()
    incentive = await town.due()
    worker, statements = town.worker(), town.statements()
    bank.script("transfer", "pending")
    bank.script("status", *[{"act": "say", "kind": "rejected", "technical": True}] * 2)
    await worker.tick_send("fake")
    town.clock.advance(60.0)
    await worker.tick_lookups("fake")
    payout = await town.payout(incentive)
    assert (payout.state, payout.released_at, payout.confirmed_at) == (S.REJECTED, None, None)
    assert await town.stands(incentive) == ("paying", None)
    assert await worker.tick_send("fake") == 0
    town.clock.advance(29.0)
    assert await worker.tick_lookups("fake") == 0
    town.clock.advance(1.0)
    assert await worker.tick_lookups("fake") == 1
    assert (await town.payout(incentive)).confirmed_at is not None
    await town.drive(worker, statements, hours=0.1)
    assert await town.states(incentive) == [S.REJECTED, S.SUCCEEDED]


async def test_a_rejection_that_was_none_is_not_replaced(town: Town) -> None:
    bank = town.partner()
    incentive = await town.due()
    worker, statements = town.worker(), town.statements()
    bank.script("transfer", "lost")
    bank.script("status", {"act": "say", "kind": "rejected", "technical": True})
    bank.script("statement", *["unavailable"] * 999)
    await worker.tick_send("fake")
    await town.drive(worker, statements, hours=0.5)
    assert await town.states(incentive) == [S.SUCCEEDED]
    assert await town.stands(incentive) == ("paid", "contradiction")
    assert await town.cases() == ["contradiction"]


async def test_three_payouts_at_most_start_by_themselves(town: Town) -> None:
    bank = town.partner()
    incentive = await town.due()
    worker, statements = town.worker(), town.statements()
    bank.script("transfer", *["pending"] * 4)
    bank.script("status", *[{"act": "say", "kind": "rejected", "technical": True}] * 8)
    await worker.tick_send("fake")
    await town.drive(worker, statements, hours=0.5)
    assert await town.states(incentive) == [S.REJECTED] * 3
    assert await town.stands(incentive) == ("scheduled", "partner_rejected")
    await town.pass_time(86_400.0)
    await town.drive(worker, statements, hours=0.5)
    assert await town.states(incentive) == [S.REJECTED] * 4, "the look a day later is none of the three"
    assert await town.stands(incentive) == ("scheduled", "partner_rejected")


@pytest.mark.parametrize(
    ("said", "payouts", "ends"),
    [
        ("4010000", 6, ("paid", None)),
        ("429", 6, ("paid", None)),
        ("4030500", 3, ("scheduled", "partner_rejected")),
        ("500", 3, ("scheduled", "partner_rejected")),
    ],
)
async def test_a_partner_that_refuses_us_time_and_again_refuses_nobody_else(
    town: Town, said: str, payouts: int, ends: tuple[str, str | None]
) -> None:
    blamed = {"4010000": Blame.OURS, "4030500": Blame.AMBIGUOUS}
    bank = town.partner(
        codes={code: Code(blames=blames, mark=Mark.ASSUMED, source="test") for code, blames in blamed.items()}
    )
    incentive = await town.due()
    worker, statements = town.worker(), town.statements()
    bank.script("transfer", *[{"act": "say", "kind": "unknown", "code": said}] * 11)  # twice each
    for _ in range(payouts):
        await worker.tick_send("fake")
        await town.drive(worker, statements, hours=4, step_s=600)
    assert await town.stands(incentive) == ends
    made = len(await town.states(incentive))
    assert made >= payouts if ends[1] is None else made == payouts
    assert bank.seen.count("transfer") == min(2 * payouts, 12)


async def test_pending_is_looked_up_until_it_has_ended(town: Town) -> None:
    bank = town.partner()
    incentive = await town.due()
    worker, statements = town.worker(), town.statements()
    bank.script("transfer", "pending")
    bank.script("status", "pending", "not_found", "pending")
    await worker.tick_send("fake")
    await town.drive(worker, statements, hours=0.2)
    payout = await town.payout(incentive)
    assert payout.state is S.PENDING
    bank.book(payout.reference, payout.amount_rupiah, "0000000001")
    await town.drive(worker, statements, hours=2, step_s=60)
    assert await town.states(incentive) == [S.SUCCEEDED]


async def test_past_the_horizon_it_is_an_operators_and_looked_up_all_the_same(town: Town) -> None:
    bank = town.partner()
    incentive = await town.due()
    worker, statements = town.worker(), town.statements()
    bank.script("transfer", "pending")
    bank.script("status", *["pending"] * 60)
    bank.script("statement", *["unavailable"] * 5000)
    await worker.tick_send("fake")
    await town.drive(worker, statements, hours=25, step_s=600)
    assert await town.cases() == ["outcome_unknown"]
    assert await town.stands(incentive) == ("paying", "outcome_unknown")
    bank.acts["status"].clear()
    payout = await town.payout(incentive)
    bank.book(payout.reference, payout.amount_rupiah, "0000000001")
    await town.drive(worker, statements, hours=2, step_s=600)
    assert await town.states(incentive) == [S.SUCCEEDED]
    assert await town.cases() == []


@pytest.mark.parametrize(("weekends", "hours"), [(True, 49), (False, 97)])
async def test_a_weekend_is_no_look_up_horizon_where_nothing_settles_on_it(
    town: Town, weekends: bool, hours: int
) -> None:
    """What left on a Friday evening is settled on Monday: an operator had been asked on Sunday."""
    schedule = LookupSchedule(
        first_s=60, factor=3, max_s=3600, horizon_s=2 * 86_400, weekends=weekends, mark=Mark.ASSUMED, source="test"
    )
    bank = town.partner(lookups=schedule)
    town.clock.go_to(datetime(2026, 11, 27, 11, 0, tzinfo=UTC))
    incentive = await town.due()
    worker, statements = town.worker(), town.statements()
    bank.script("transfer", "pending")
    bank.script("status", *["pending"] * 400)
    bank.script("statement", *["unavailable"] * 9000)
    await worker.tick_send("fake")
    await town.drive(worker, statements, hours=hours - 3, step_s=1800)
    assert await town.cases() == []
    await town.drive(worker, statements, hours=5, step_s=1800)
    assert await town.cases() == ["outcome_unknown"]
    (case,) = await town.fetch("SELECT detail FROM cases")
    assert ("holidays" in case["detail"]) is not weekends, "nobody keeps a calendar here: staff are told what it may be"
    payout = await town.payout(incentive)
    bank.acts["status"].clear()
    bank.book(payout.reference, payout.amount_rupiah, "0000000001")
    await town.drive(worker, statements, hours=2, step_s=600)
    assert (await town.states(incentive), await town.cases()) == ([S.SUCCEEDED], [])


async def test_another_amount_under_our_reference_is_no_success(town: Town) -> None:
    bank = town.partner()
    incentive = await town.due(amount=50_000)
    worker, statements = town.worker(), town.statements()
    bank.script("transfer", "reset")
    await worker.tick_send("fake")
    payout = await town.payout(incentive)
    bank.book(payout.reference, 60_000, "0000000001")
    await town.drive(worker, statements, hours=5, step_s=60)
    assert await town.states(incentive) == [S.UNKNOWN]
    assert await town.stands(incentive) == ("paying", "contradiction")
    assert await town.cases() == ["contradiction"]
    assert bank.seen.count("transfer") == 1


async def test_an_answer_of_another_amount_is_not_followed_by_a_second_attempt(town: Town) -> None:
    """Whatever look-ups and statements say of it later: something was booked under our reference."""
    bank = town.partner()
    incentive = await town.due(amount=50_000)
    worker, statements = town.worker(), town.statements()
    bank.script("transfer", {"act": "say", "kind": "succeeded", "amount": 60_000})
    await worker.tick_send("fake")
    await town.drive(worker, statements, hours=5, step_s=60)
    assert bank.seen.count("transfer") == 1
    assert await town.states(incentive) == [S.UNKNOWN]
    assert await town.stands(incentive) == ("paying", "contradiction")


async def test_another_account_under_our_reference_is_no_success(town: Town) -> None:
    bank = town.partner()
    incentive = await town.due()
    worker, statements = town.worker(), town.statements()
    bank.script("transfer", "reset")
    await worker.tick_send("fake")
    payout = await town.payout(incentive)
    bank.book(payout.reference, payout.amount_rupiah, "9999999999")
    await town.drive(worker, statements, hours=3, step_s=60)
    assert await town.states(incentive) == [S.UNKNOWN]
    assert await town.cases() == ["contradiction"]


async def test_cancelled_while_in_doubt_is_followed_to_its_end(town: Town) -> None:
    bank = town.partner()
    incentive = await town.due()
    worker, statements = town.worker(), town.statements()
    bank.script("transfer", "lost")
    await worker.tick_send("fake")
    await town.execute("UPDATE incentives SET cancelled = true")
    await town.drive(worker, statements, hours=0.1)
    assert await town.stands(incentive) == ("paid", None)


async def test_the_deadline_stops_new_payouts_only(town: Town) -> None:
    bank = town.partner()
    today = NOON.date()
    incentive = await town.due(deadline_on=today)
    worker, statements = town.worker(), town.statements()
    bank.script("transfer", "pending")
    bank.script("status", *[{"act": "say", "kind": "rejected", "technical": True}] * 9)
    await worker.tick_send("fake")
    town.clock.go_to(NOON + timedelta(hours=13))
    await town.drive(worker, statements, hours=1)
    assert await town.states(incentive) == [S.REJECTED]
    assert await town.stands(incentive) == ("returned", "deadline_passed")


async def test_a_late_answer_is_kept_and_applied(town: Town) -> None:
    bank = town.partner()
    incentive = await town.due()
    other = town.worker("w2")

    async def late(operation: str) -> None:
        if operation == "transfer":
            bank.before = None
            town.clock.advance(120.0)
            await other.tick_deadlines()
            assert (await town.payout(incentive)).state is S.UNKNOWN

    bank.before = late
    await town.worker().tick_send("fake")
    assert await town.states(incentive) == [S.SUCCEEDED]
    await town.check()


async def test_a_resend_that_did_nothing_leaves_the_first_attempt_in_doubt(town: Town) -> None:
    bank = town.partner()
    incentive = await town.due()
    worker, statements = town.worker(), town.statements()
    bank.script("transfer", "reset", "refused_connection")
    await worker.tick_send("fake")
    reference = (await town.payout(incentive)).reference
    while bank.seen.count("transfer") < 2:
        town.clock.advance(60.0)
        await worker.tick_lookups("fake")
    payout = await town.payout(incentive)
    assert (payout.state, payout.attempt) == (S.UNKNOWN, 2)
    await town.drive(worker, statements, hours=3, step_s=60)
    assert await town.states(incentive) == [S.REJECTED, S.SUCCEEDED]
    sent = [body for operation, body in bank.bodies if operation == "transfer"]
    assert sum(reference.encode() in body for body in sent) == 2


async def test_what_a_look_up_could_not_deny_is_not_called_absent(town: Town) -> None:
    bank = town.partner()
    incentive = await town.due()
    worker, statements = town.worker(), town.statements()
    bank.script("transfer", "reset")
    bank.script("status", {"act": "say", "kind": "unknown", "code": "404"})
    await worker.tick_send("fake")
    await town.drive(worker, statements, hours=30, step_s=600)
    assert bank.seen.count("transfer") == 1
    assert await town.states(incentive) == [S.UNKNOWN]
    assert await town.cases() == ["outcome_unknown"]


async def test_a_refused_resend_does_not_speak_for_the_first_attempt(town: Town) -> None:
    """Absence was believed wrongly: the first attempt was booked, and is itself why the account is full now."""
    bank = town.partner()
    incentive = await town.due()
    worker, statements = town.worker(), town.statements()
    bank.script("transfer", "lost", {"act": "say", "kind": "rejected", "reason": "balance_limit"})
    bank.script("status", *["not_found"] * 8)
    await worker.tick_send("fake")
    while bank.seen.count("transfer") < 2:
        town.clock.advance(60.0)
        await worker.tick_lookups("fake")
    payout = await town.payout(incentive)
    assert (payout.state, payout.attempt) == (S.UNKNOWN, 2)
    await town.drive(worker, statements, hours=3, step_s=60)
    assert await town.states(incentive) == [S.SUCCEEDED]
    await town.check()


async def test_a_refused_resend_does_not_keep_absence_from_being_proved(town: Town) -> None:
    """The refusal is no word about the first attempt, so statements may still show that it was never booked."""
    bank = town.partner()
    incentive = await town.due()
    worker, statements = town.worker(), town.statements()
    bank.script("inquiry", "ok", {"act": "say", "kind": "rejected", "reason": "account_blocked"})
    bank.script("transfer", "reset")
    await worker.tick_send("fake")
    await town.drive(worker, statements, hours=4, step_s=60)
    assert (await town.states(incentive))[0] is S.REJECTED
    assert await town.cases() == []
    assert await town.stands(incentive) == ("paid", None)


async def test_a_resend_carries_what_the_first_attempt_carried_or_is_not_made(town: Town) -> None:
    bank = town.partner()
    incentive = await town.due()
    worker = town.worker()
    bank.script("transfer", "reset")
    await worker.tick_send("fake")
    (person,) = await town.fetch("SELECT participant_id FROM participants")
    await town.execute(
        "UPDATE participants SET name_sealed = $1",
        town.vault.seal(places.name(person["participant_id"]), "Name Corrected"),
    )
    await town.drive(worker, town.statements(), hours=2, step_s=60)
    assert bank.seen.count("transfer") == 1, "absence is proved, and the body cannot be made as it was sent"
    assert await town.states(incentive) == [S.UNKNOWN]


async def test_what_is_kept_of_a_body_is_keyed_and_what_was_not_goes_on_and_is_keyed_once_over(town: Town) -> None:
    """All of the body but the account stands in the row: whoever reads a plain hash can try accounts."""
    bank = town.partner()
    incentive = await town.due()
    worker = town.worker()
    bank.script("transfer", "reset")
    (leased,) = await worker.claim("fake", 1)
    plain = frozen_hash(town.desks["fake"], worker.order(leased))
    await worker.send(leased)
    (row,) = await town.fetch("SELECT frozen_hash FROM payouts")
    assert plain not in row["frozen_hash"]
    await town.execute("UPDATE payouts SET frozen_hash = $1", plain)
    retention = Retention(town.database, town.clock, town.vault)
    await retention.tick()
    assert (await town.fetch("SELECT frozen_hash FROM payouts"))[0]["frozen_hash"] == plain, "it is under way"
    await town.drive(worker, town.statements(), hours=2, step_s=60)
    assert (bank.seen.count("transfer"), await town.stands(incentive)) == (2, ("paid", None))
    await retention.tick()
    assert (await town.fetch("SELECT frozen_hash FROM payouts"))[0] == row


async def test_the_time_of_absence_runs_from_the_attempt_and_not_from_the_payout(town: Town) -> None:
    """One that had stood for hours before it left is no sooner absent than any other."""
    bank = town.partner()
    incentive = await town.due()
    worker = town.worker()
    await worker.give_back(await worker.claim("fake", 1))
    town.clock.advance(2 * 3_600)
    bank.script("transfer", "reset")
    await worker.tick_send("fake")
    await town.drive(worker, town.statements(), hours=0.97, step_s=60)
    assert bank.seen.count("transfer") == 1
    await town.drive(worker, town.statements(), hours=0.5, step_s=60)
    assert bank.seen.count("transfer") == 2
    assert await town.stands(incentive) == ("paid", None)
