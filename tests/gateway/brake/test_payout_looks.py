"""A payout that was refused is tried again by itself, as a new one, once the refusal cannot have been a payment."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from contracts.brake import LOOKS_S, next_look
from contracts.payout import PayoutState
from gateway.clock import start_of_jakarta_day
from gateway.services.payouts.ends import LIFTED_BY_ACCOUNT, LIFTED_BY_LINK
from gateway.services.payouts.refusing import LAST_LOOK
from gateway.services.payouts.settlements import SettledAs, Settlements
from gateway.storage.intake import incentive_timers
from tests.gateway.payouts.ticks import Ticking
from tests.gateway.payouts.town import Town

NOBODY = {"act": "say", "kind": "rejected", "reason": "account_not_found", "code": "4041511"}
FAILED = {"act": "say", "kind": "rejected", "technical": True}
S = PayoutState
CONFIRM_S = 30.0


async def work(town: Town, worker: Ticking) -> None:
    """What the worker's loops do, until nothing is due."""
    for _ in range(3):
        await worker.tick_timers()
        await worker.tick_send("fake")
        await worker.tick_lookups("fake")


async def next_at(town: Town, incentive: int) -> datetime | None:
    (row,) = await town.fetch("SELECT own_next_at FROM incentives WHERE id = $1", incentive)
    at: datetime | None = row["own_next_at"]
    return at


@pytest.mark.parametrize("call", ["inquiry", "transfer"])
async def test_it_is_tried_after_half_an_hour_a_day_a_week_and_a_month(town: Town, call: str) -> None:
    bank, worker = town.partner(), town.worker()
    incentive = await town.due(deadline_on=town.today(300))
    bank.script(call, *[NOBODY] * 5)
    bank.script("status", *[NOBODY] * 5)
    await work(town, worker)
    made = 1
    for wait_s in LOOKS_S if call == "inquiry" else LOOKS_S[1:]:  # where money may have left, not before a day
        assert await town.stands(incentive) == ("scheduled", "account_not_found")
        due = await next_at(town, incentive)
        assert due == town.clock.now() + timedelta(seconds=wait_s)
        await town.pass_time(wait_s - 1)
        await work(town, worker)
        assert len(await town.states(incentive)) == made, "not before"
        await town.pass_time(1)
        await work(town, worker)
        made += 1
        assert len(await town.states(incentive)) == made
    if call == "transfer":
        references = await town.fetch("SELECT reference FROM payouts")
        assert len({row["reference"] for row in references}) == made
    (row,) = await town.fetch("SELECT deadline_on FROM incentives")
    assert await next_at(town, incentive) == start_of_jakarta_day(row["deadline_on"]) + LAST_LOOK
    await town.pass_time(300 * 86_400.0)
    await worker.tick_timers()
    assert await town.stands(incentive) == ("returned", "deadline_passed")
    await town.check()


async def test_whoever_is_known_again_is_paid_once(town: Town) -> None:
    bank, worker = town.partner(), town.worker()
    incentive = await town.due()
    bank.script("transfer", NOBODY)
    bank.script("status", NOBODY)
    await work(town, worker)
    await town.pass_time(LOOKS_S[1] - 1)
    await work(town, worker)
    assert await town.states(incentive) == [S.REJECTED], "partners pay hours after a refusal"
    await town.pass_time(1)
    await work(town, worker)
    assert await town.stands(incentive) == ("paid", None)
    assert await town.states(incentive) == [S.REJECTED, S.SUCCEEDED]
    assert len(bank.booked) == 1
    await town.check()


@pytest.mark.parametrize("ask", ["looks", "core"])
async def test_no_new_payout_follows_a_refusal_that_is_not_confirmed(town: Town, ask: str) -> None:
    """The partner said refused, and its look-ups never say it again: it may have been paid."""
    bank, worker = town.partner(), town.worker()
    incentive = await town.due()
    bank.script("transfer", NOBODY)
    bank.script("status", *[{"act": "say", "kind": "pending"}] * 40)
    await work(town, worker)
    for _ in range(5):
        await town.pass_time(LOOKS_S[1] / 5)
        await work(town, worker)
    for _ in range(20):
        if ask == "core":
            await worker.hasten(incentive)
        await town.pass_time(120.0)
        await work(town, worker)
    assert await town.states(incentive) == [S.REJECTED]
    assert bank.seen.count("transfer") == 1


async def drive_days(town: Town, worker: Ticking, days: int) -> None:
    """Let days go by, statements read, in steps of six hours."""
    statements = town.statements()
    for _ in range(4 * days):
        await worker.tick_timers()
        await worker.tick_send("fake")
        await worker.tick_lookups("fake")
        await statements.tick("fake")
        await town.pass_time(21_600.0)


@pytest.mark.parametrize("word", [NOBODY, FAILED])
async def test_a_refusal_that_no_look_up_finds_is_tried_again_once_no_statement_lists_it(
    town: Town, word: dict[str, object]
) -> None:
    bank, worker = town.partner(), town.worker()
    incentive = await town.due()
    bank.script("transfer", word)
    await drive_days(town, worker, 1)
    assert await town.states(incentive) == [S.REJECTED], "a partner may book it under the next day"
    await drive_days(town, worker, 2)
    assert await town.states(incentive) == [S.REJECTED, S.SUCCEEDED]
    assert len(bank.booked) == 1 and await town.cases() == []
    await town.check()


@pytest.mark.parametrize(("word", "hours"), [(NOBODY, 1), (FAILED, 23), (NOBODY, 30)])
async def test_a_refusal_that_a_statement_lists_gets_no_other(town: Town, word: dict[str, object], hours: int) -> None:
    """The partner paid hours after its refusal, and its look-ups do not know of it."""
    bank, worker = town.partner(), town.worker()
    incentive = await town.due()
    bank.script("transfer", word)
    bank.script("status", *[{"act": "not_found"}] * 500)
    await work(town, worker)
    paid = await town.payout(incentive)
    await town.pass_time(hours * 3_600.0)
    bank.book(paid.reference, paid.amount_rupiah, town.account("fake", 1))
    await drive_days(town, worker, 3)
    assert await town.states(incentive) == [S.SUCCEEDED]
    assert bank.seen.count("transfer") == 1


@pytest.mark.parametrize("reason", ["account_not_found", "monthly_limit", "balance_limit", "partner_float_short"])
async def test_what_nothing_confirms_is_somebodys_and_goes_on_by_a_document(town: Town, reason: str) -> None:
    """The partner refused it, said a day later that it is on its way, and then knows nothing of it: statements that do
    not list it prove nothing, and only the partner's paper tells; a month that begins, or room in an account, does not.
    """
    bank, worker = town.partner(), town.worker()
    incentive = await town.due(deadline_on=town.today(300))
    bank.script("transfer", NOBODY | {"reason": reason})
    bank.script("status", {"act": "say", "kind": "pending"})
    await drive_days(town, worker, 4)
    assert await town.stands(incentive) == ("scheduled", "outcome_unknown")
    assert await town.cases() == ["outcome_unknown"]
    asked = bank.seen.count("status")
    await worker.hasten(incentive)
    (row,) = await town.fetch("SELECT participant FROM incentives")
    async with town.database.transaction() as connection:
        await incentive_timers.lift(connection, town.clock.now(), row["participant"], LIFTED_BY_ACCOUNT)
    await drive_days(town, worker, 9)
    assert (bank.seen.count("transfer"), bank.seen.count("status")) == (1, asked)
    payout = await town.payout(incentive)
    settling = Settlements(town.database, town.clock, worker)
    made = await settling.propose(payout.id, SettledAs.REFUSED, reason=None, document="L-1", why="asked", actor="ann")
    await settling.confirm(made.id, actor="bob")
    assert await town.stands(incentive) == ("scheduled", reason)
    assert await town.cases() == []
    await work(town, worker)
    assert await town.states(incentive) == [S.REJECTED, S.SUCCEEDED]
    await town.check()


async def test_a_refusal_that_turns_out_paid_gets_no_other(town: Town) -> None:
    bank, worker = town.partner(), town.worker()
    incentive = await town.due()
    bank.script("transfer", NOBODY)
    bank.script("status", {"act": "say", "kind": "succeeded"})
    await work(town, worker)
    for wait_s in (CONFIRM_S, *LOOKS_S):
        await town.pass_time(wait_s)
        await work(town, worker)
    assert await town.states(incentive) == [S.SUCCEEDED]
    assert bank.seen.count("transfer") == 1


async def test_a_payout_made_for_a_look_is_none_of_the_three(town: Town) -> None:
    """Refused, then failed twice for nobody's fault: the third new one still follows by itself."""
    bank, worker = town.partner(), town.worker()
    incentive = await town.due()
    bank.script("transfer", NOBODY, FAILED, FAILED)
    bank.script("status", NOBODY, FAILED, FAILED)
    await work(town, worker)
    for wait_s in (LOOKS_S[1], CONFIRM_S, CONFIRM_S, CONFIRM_S):
        await town.pass_time(wait_s)
        await work(town, worker)
    assert await town.states(incentive) == [S.REJECTED, S.REJECTED, S.REJECTED, S.SUCCEEDED]
    await town.check()


async def test_a_month_that_begins_lifts_nothing_that_nobody_has_confirmed(town: Town) -> None:
    bank, worker = town.partner(), town.worker()
    tomorrow = town.today(1).replace(day=1) + timedelta(days=32)
    begins = start_of_jakarta_day(tomorrow.replace(day=1))
    await town.pass_time((begins - town.clock.now()).total_seconds() - 6 * 3_600.0)
    incentive = await town.due(deadline_on=town.today(200))
    bank.script("transfer", NOBODY | {"reason": "monthly_limit"})
    bank.script("status", *[{"act": "say", "kind": "pending"}] * 40)
    await work(town, worker)
    assert await town.stands(incentive) == ("scheduled", "monthly_limit")
    await town.pass_time(8 * 3_600.0)
    await work(town, worker)
    assert await town.stands(incentive) == ("scheduled", "monthly_limit"), "it may be paid, and says so no less"
    assert bank.seen.count("transfer") == 1


async def test_three_failures_that_nobody_explains_are_tried_again_too(town: Town) -> None:
    bank, worker = town.partner(), town.worker()
    incentive = await town.due()
    bank.script("transfer", *[FAILED] * 3)
    bank.script("status", *[FAILED] * 3)
    await work(town, worker)
    for _ in range(3):
        await town.pass_time(CONFIRM_S)
        await work(town, worker)
    assert await town.stands(incentive) == ("scheduled", "partner_rejected")
    assert await town.cases() == ["partner_rejected"]
    await town.pass_time(LOOKS_S[1])
    await work(town, worker)
    assert await town.stands(incentive) == ("paid", None)
    assert await town.cases() == []
    await town.check()


async def test_another_account_begins_anew(town: Town) -> None:
    bank, worker = town.partner(), town.worker()
    incentive = await town.due(deadline_on=town.today(300))
    bank.script("inquiry", *[NOBODY] * 2)
    await work(town, worker)
    await town.pass_time(LOOKS_S[0])
    await work(town, worker)
    (row,) = await town.fetch("SELECT participant, looks FROM incentives")
    assert row["looks"] == 2
    async with town.database.transaction() as connection:
        await incentive_timers.lift(connection, town.clock.now(), row["participant"], LIFTED_BY_LINK)
    (row,) = await town.fetch("SELECT looks FROM incentives")
    assert row["looks"] == 0
    await work(town, worker)
    assert await town.stands(incentive) == ("paid", None)


def test_the_last_look_is_on_the_last_day() -> None:
    now = datetime.fromisoformat("2026-01-02T03:00:00+00:00")
    last_at = now + timedelta(days=3)
    assert next_look(now, 0, LOOKS_S, last_at) == now + timedelta(seconds=LOOKS_S[0])
    assert next_look(now, 2, LOOKS_S, last_at) == last_at, "a week is too late"
    assert next_look(now, 4, LOOKS_S, last_at) == last_at
    assert next_look(last_at, 4, LOOKS_S, last_at) is None
    assert next_look(last_at, 0, LOOKS_S, last_at) == last_at + timedelta(seconds=LOOKS_S[0])
    assert next_look(last_at, 1, LOOKS_S, last_at) is None, "that is after its last day"


@pytest.mark.parametrize("reason", ["monthly_limit", "balance_limit"])
async def test_a_limit_is_tried_again_once_a_look_up_says_it_still(town: Town, reason: str) -> None:
    """A partner's wrong hour of a month's limit must not keep anybody waiting for the next month."""
    bank, worker = town.partner(), town.worker()
    full = {"act": "say", "kind": "rejected", "reason": reason, "code": "4033802"}
    incentive = await town.due(deadline_on=town.today(300))
    bank.script("transfer", full)
    bank.script("status", *[full] * 5)
    await work(town, worker)
    await town.pass_time(LOOKS_S[1])
    await work(town, worker)
    assert await town.stands(incentive) == ("scheduled", reason), "confirmed only now"
    await town.pass_time(LOOKS_S[1])
    await work(town, worker)
    assert await town.stands(incentive) == ("paid", None)
    assert len(bank.booked) == 1
    await town.check()
