"""A partner's own number that it gives again: each word goes to the payout that it is about, or to none."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from contracts.observation import PayoutNotice, Source
from contracts.payout import PayoutState, reversed_, succeeded
from gateway.services.payouts.apply import apply
from gateway.services.payouts.ends import Terms
from gateway.services.payouts.words import OTHER_NUMBER, Word
from tests.gateway.payouts.town import Town

S = PayoutState
SAME = "J000417"


async def two_in_doubt(town: Town) -> tuple[int, int]:
    """Incentives whose payouts left and were never answered, and to which the partner gave the same number."""
    town.partner().script("transfer", "reset", "reset")
    first, second = await town.due(), await town.due()
    await town.worker().tick_send("fake")
    await town.execute("UPDATE payouts SET partner_reference = $1", SAME)
    return first, second


async def test_a_notice_goes_by_our_reference_and_never_by_a_number_that_two_have(town: Town) -> None:
    first, second = await two_in_doubt(town)
    worker = town.worker()
    alone = PayoutNotice(outcome=reversed_(), partner_reference=SAME)
    assert await worker.notice("fake", alone, "n1") == "several_payouts"
    assert [await town.states(one) for one in (first, second)] == [[S.UNKNOWN], [S.UNKNOWN]]
    reference, other = (await town.payout(first)).reference, await town.payout(second)
    await town.execute("UPDATE payouts SET partner_reference = 'J000418' WHERE id = $1", other.id)
    two = PayoutNotice(outcome=succeeded(), reference=other.reference, partner_reference=SAME)
    assert await worker.notice("fake", two, "n3") == "several_payouts", "two identifiers, two payouts"
    assert await town.states(second) == [S.UNKNOWN]
    await town.execute("UPDATE payouts SET partner_reference = $1", SAME)
    named = PayoutNotice(outcome=succeeded(), reference=reference, partner_reference=SAME)
    assert await worker.notice("fake", named, "n2") == "applied"
    assert [await town.states(one) for one in (first, second)] == [[S.SUCCEEDED], [S.UNKNOWN]]
    await town.check()


async def test_a_line_without_our_reference_is_of_the_payout_that_had_left_by_its_day(town: Town) -> None:
    bank = town.partner()
    bank.script("transfer", "lost", "lost")
    worker, statements = town.worker(), town.statements()
    incentives = []
    for _ in range(2):
        incentives.append(await town.due())
        await worker.tick_send("fake")
        town.clock.advance(timedelta(days=1).total_seconds())
    for n, booking in enumerate(bank.booked):
        booking |= {"reference": f"TRF {n}", "number": SAME}
    await town.execute("UPDATE payouts SET partner_reference = $1", SAME)
    bank.script("status", *[{"act": "say", "kind": "not_found"}] * 40)
    await town.drive(worker, statements, hours=3.0)
    assert [await town.states(one) for one in incentives] == [[S.SUCCEEDED], [S.SUCCEEDED]]
    lines = await town.fetch(
        "SELECT p.incentive, count(*) AS n FROM statement_lines s JOIN payouts p ON p.id = s.payout GROUP BY 1"
    )
    assert {row["incentive"]: row["n"] for row in lines} == dict.fromkeys(incentives, 1)
    assert await town.fetch("SELECT code FROM cases WHERE code = 'contradiction'") == []
    await town.check()


@pytest.mark.parametrize(("other_day", "state"), [(False, S.UNKNOWN), (True, S.SUCCEEDED)])
async def test_a_reply_with_another_payouts_number_is_looked_up(town: Town, other_day: bool, state: S) -> None:
    """All are answered with what the first one was: only that one is booked, which a look-up tells."""
    bank, worker = town.partner(), town.worker()
    bank.script("transfer", *[{"act": "say", "kind": "succeeded", "amount": 600_000, "number": SAME}] * 3)
    first = await town.due()
    await worker.tick_send("fake")
    assert (await town.states(first), (await town.payout(first)).partner_reference) == ([S.SUCCEEDED], SAME)
    if other_day:
        await town.pass_time(86_400)
    second = await town.due()
    await worker.tick_send("fake")
    assert await town.states(second) == [state], "the same number may come again on another day"
    assert (await town.payout(second)).partner_reference == (SAME if other_day else None)
    if other_day:
        return
    (heard,) = await town.fetch("SELECT partner_code FROM observations ORDER BY id DESC LIMIT 1")
    assert heard["partner_code"] == OTHER_NUMBER
    bank.script("status", *[{"act": "say", "kind": "not_found"}] * 2)
    await town.pass_time(60)
    await worker.tick_lookups("fake")
    assert await town.states(second) == [S.UNKNOWN], "not paid for an answer that was another's"
    payout = await town.payout(second)
    bank.book(payout.reference, payout.amount_rupiah, town.account("fake", 2))
    await town.drive(worker, town.statements(), hours=1.0)
    assert await town.states(second) == [S.SUCCEEDED]


async def test_of_two_answers_at_once_with_one_number_neither_counts(town: Town) -> None:
    """Whose it is nobody can say yet; who is answered with a number of their own is paid."""
    payouts = [await town.payout(one) for one in await two_in_doubt(town)]
    await town.execute("UPDATE payouts SET partner_reference = NULL")
    terms = {"fake": Terms(manifest=town.desks["fake"].manifest, pace=town.desks["fake"].pace)}
    for numbers, states in (((SAME, SAME), [S.UNKNOWN] * 2), ((SAME, "J000418"), [S.SUCCEEDED] * 2)):
        words = [
            Word(payout=one.id, source=Source.REPLY, outcome=succeeded(partner_reference=number))
            for one, number in zip(payouts, numbers, strict=True)
        ]
        async with town.database.transaction() as connection:
            applied = await apply(connection, town.clock.now(), terms, words)
        assert [one.payout.state for one in applied] == states, numbers


async def test_an_instruction_under_anothers_number_is_never_approved(town: Town) -> None:
    """Else the other one's would be moved a second time, and this one be looked up under it; on whatever day."""
    bank, worker = town.partner(two_step=True), town.worker()
    first = await town.due()
    await worker.tick_send("fake")
    number = (await town.payout(first)).partner_reference
    await town.drive(worker, town.statements(), hours=0.2)
    assert await town.states(first) == [S.SUCCEEDED]
    await town.pass_time(86_400)
    bank.script("create", {"act": "say", "kind": "queued", "number": number})
    second = await town.due()
    await worker.tick_send("fake")
    assert ((await town.payout(second)).state, (await town.payout(second)).partner_reference) == (S.PREPARING, None)
    assert [json.loads(body)["number"] for operation, body in bank.bodies if operation == "approve"] == [number]
    await town.drive(worker, town.statements(), hours=0.2)
    assert [await town.states(one) for one in (first, second)] == [[S.SUCCEEDED]] * 2
    assert (await town.payout(second)).partner_reference != number
    assert len(bank.booked) == 2
    await town.check()


@pytest.mark.parametrize("told", [True, False])
async def test_a_line_without_our_reference_is_not_an_old_payouts_because_the_number_came_again(
    town: Town, told: bool
) -> None:
    """The answer with its own number was lost: nobody but the statement tells of it, under a number of last month's."""
    bank, worker, statements = town.partner(), town.worker(), town.statements()
    bank.script("transfer", {"act": "say", "kind": "succeeded", "amount": 600_000, "number": SAME})
    old = await town.due()
    await worker.tick_send("fake")
    bank.book((await town.payout(old)).reference, 600_000, town.account("fake", 1))
    await statements.read("fake", town.today())
    await town.pass_time(30 * 86_400)
    bank.script("transfer", "lost")
    new = await town.due()
    await worker.tick_send("fake")
    bank.booked[-1] |= {"reference": "TRF 417", "number": SAME}
    if not told:
        bank.booked[-1]["account"] = ""
    bank.script("status", *[{"act": "say", "kind": "not_found"}] * 400)
    await town.drive(worker, statements, hours=2.0, step_s=600.0)
    await town.drive(worker, statements, hours=26.0, step_s=3_600.0)
    assert len([b for b in bank.booked if b["kind"] == "credit"]) == 2, "paid once more for want of its own reference"
    assert await town.states(old) == [S.SUCCEEDED]
    assert await town.states(new) == [S.UNKNOWN]
    told_of = await town.fetch("SELECT payout FROM cases WHERE closed_at IS NULL AND payout IS NOT NULL")
    assert {row["payout"] for row in told_of} == {(await town.payout(new)).id}, "and nothing is said of the old one"
