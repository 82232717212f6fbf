"""What somebody is asked ends: by itself where the gateway can know it, else by whoever settled it, and nothing is paid
by that.
"""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

import msgspec
import pytest

from contracts.errors import Conflict, InvalidRequest, NotFound
from contracts.incentive import BlockerCode
from contracts.lifting import CLOSED_BY_HAND
from contracts.observation import Source
from contracts.payout import Outcome, PayoutState, Refusal, rejected, reversed_, succeeded
from gateway.services.ops.cases import Cases
from gateway.services.payouts.settlements import SettledAs, Settlements
from gateway.services.reconciliation.strays import Strays
from gateway.storage.ops import cases
from gateway.storage.ops.cases import NewCase
from gateway.storage.payouts import payouts
from tests.gateway.payouts.town import Town
from tests.gateway.standing.test_ways_out import in_doubt, links_another

S, B = PayoutState, BlockerCode
WHY = "agreed with the partner, letter 17"


def desk(town: Town) -> Cases:
    return Cases(town.database, town.clock)


async def opened(town: Town, code: BlockerCode) -> int:
    """The only open case with this code."""
    (row,) = await town.fetch("SELECT id FROM cases WHERE code = $1 AND closed_at IS NULL", code.value)
    number: int = row["id"]
    return number


async def settle(town: Town, payout: int, verdict: SettledAs, reason: BlockerCode | None = None) -> None:
    service = Settlements(town.database, town.clock, town.worker("desk"))
    made = await service.propose(payout, verdict, reason=reason, document="letter 17", why="asked", actor="ann")
    await service.confirm(made.id, actor="bob")


@pytest.mark.parametrize("code", BlockerCode, ids=lambda code: code.value)
async def test_a_person_closes_what_nothing_else_closes_and_no_other(town: Town, code: BlockerCode) -> None:
    async with town.database.transaction() as connection:
        await cases.open_cases(connection, town.clock.now(), [NewCase(code=code, partner="fake", detail="evidence")])
    case, service = await opened(town, code), desk(town)
    with pytest.raises(InvalidRequest):
        await service.close(case, "the phone is 0812-3456-7890", actor="ann")
    if code not in CLOSED_BY_HAND:
        with pytest.raises(Conflict, match="closes by itself"):
            await service.close(case, WHY, actor="ann")
        assert await town.cases() == [code.value]
        return
    for _ in range(2):  # who says it again hears the same
        closed = await service.close(case, WHY, actor="ann")
        assert (closed.closed_at, closed.closed_by) == (town.clock.now(), "ann")
    (record,) = await town.fetch("SELECT actor, action, subject, data FROM audit_log")
    assert tuple(record.values()) == ("ann", "case.close", str(case), {"code": code.value, "reason": WHY})
    told_of = await town.fetch("SELECT type, data->>'closed_by' AS by FROM events WHERE type = 'case.closed'")
    assert [row["by"] for row in told_of] == ["ann"]
    with pytest.raises(NotFound):
        await service.close(case + 1, WHY, actor="ann")


async def test_a_contradiction_is_closed_once_its_payout_has_ended_and_the_paid_are_blocked_no_more(town: Town) -> None:
    """The partner shows another amount under our reference, so that nothing ends it; then its document does."""
    bank = town.partner()
    incentive = await in_doubt(town)
    bank.script("status", *[{"act": "say", "kind": "succeeded", "amount": 1}] * 3)
    town.clock.advance(60)
    await town.worker().tick_lookups("fake")
    assert await town.stands(incentive) == ("paying", "contradiction")
    case = await opened(town, B.CONTRADICTION)
    with pytest.raises(Conflict, match="what became of it"):
        await desk(town).close(case, WHY, actor="ann")
    await settle(town, (await town.payout(incentive)).id, SettledAs.PAID)
    assert await town.stands(incentive) == ("paid", "contradiction")
    await desk(town).close(case, WHY, actor="ann")
    assert await town.stands(incentive) == ("paid", None)
    assert await town.cases() == []
    await town.check()


async def test_what_is_refused_and_contradicted_waits_for_a_cancellation(town: Town) -> None:
    bank = town.partner()
    incentive = await in_doubt(town, "reset")
    bank.script("status", *[{"act": "say", "kind": "succeeded", "amount": 1}] * 3)
    town.clock.advance(60)
    await town.worker().tick_lookups("fake")
    await settle(town, (await town.payout(incentive)).id, SettledAs.REFUSED, B.ACCOUNT_BLOCKED)
    assert (await town.stands(incentive))[1] == "contradiction"
    case = await opened(town, B.CONTRADICTION)
    with pytest.raises(Conflict, match="waits for this"):
        await desk(town).close(case, WHY, actor="ann")
    await town.execute("UPDATE incentives SET cancelled = true")
    assert (await desk(town).close(case, WHY, actor="ann")).closed_at is not None
    await town.drive(town.worker(), town.statements(), hours=2, step_s=600)
    assert bank.booked == []
    await town.check()


async def test_closing_a_contradiction_frees_no_payment_that_came_back(town: Town) -> None:
    """Paid, failed, paid once more by notices alone: the word of whoever closes the case is no statement."""
    bank = town.partner(two_step=True)
    bank.script("approve", {"act": "say", "kind": "pending"})
    incentive = await town.due()
    worker = town.worker()
    await worker.tick_send("fake")
    payout = await town.payout(incentive)
    said = [town.clock.now() + timedelta(minutes=n) for n in range(3)]
    words = succeeded(said_at=said[0]), rejected(None, technical=True, said_at=said[1]), succeeded(said_at=said[2])
    for word in words:
        await worker.observe(None, payout.id, Source.NOTIFICATION, word)
    await links_another(town)
    await desk(town).close(await opened(town, B.CONTRADICTION), WHY, actor="ann")
    assert (await worker.hasten(incentive))["hastened"] is False
    async with town.database.connection() as connection:
        assert await payouts.returned(connection, incentive) is None
    assert (await town.stands(incentive))[0] == "returned"


async def test_a_credit_that_belongs_to_no_payout_is_settled_before_its_case_is_closed(town: Town) -> None:
    bank = town.partner()
    person = await town.person()
    reference = f"10{9:017d}"
    bank.book(reference, 600_000, town.account("fake", person))
    await town.statements().read("fake", town.today())
    strays = Strays(town.resources)
    await strays.tick()
    case = await opened(town, B.CONTRADICTION)
    with pytest.raises(Conflict, match=reference):
        await desk(town).close(case, WHY, actor="ann")
    for actor in ("ann", "bob"):
        await strays.settle(reference, None, actor=actor)
    assert await town.cases() == []


REFUSALS: tuple[Outcome, ...] = (
    rejected(None, technical=True, refusal=Refusal.STATEMENT_DECIDES),
    rejected(B.PARTNER_REJECTED, refusal=Refusal.PERHAPS_PAID),
    rejected(B.ACCOUNT_BLOCKED),
    rejected(None, reason_may_follow=True),
)


@pytest.mark.parametrize("seed", range(12))
async def test_a_document_answers_whatever_was_asked_of_a_refusal(town: Town, seed: int) -> None:
    """Nothing that can be read confirms it for days; whatever the document says then, nobody is asked any more."""
    rng = random.Random(seed)
    bank = town.partner()
    bank.script("status", *["garbage"] * 10_000)
    bank.script("statement", *["garbage"] * 10_000)
    incentive = await in_doubt(town, "reset")
    worker, refusal = town.worker(), REFUSALS[seed % len(REFUSALS)]
    payout = (await town.payout(incentive)).id
    await worker.observe(None, payout, Source.NOTIFICATION, refusal, "n1")
    await town.drive(worker, town.statements(), hours=120, step_s=7200)
    asked = await town.cases()
    assert asked, refusal
    verdict = rng.choice([SettledAs.PAID, SettledAs.REFUSED])
    await settle(
        town, payout, verdict, rng.choice([None, B.ACCOUNT_NOT_FOUND]) if verdict is SettledAs.REFUSED else None
    )
    left = set(await town.cases())
    assert left <= ({"contradiction"} if verdict is SettledAs.PAID else set()), (refusal, asked)
    await town.check()


async def test_an_instruction_that_the_partner_took_back_leaves_no_question(town: Town) -> None:
    """Its create was in doubt past its key's life; staff had it rejected at the partner, which says so."""
    bank = town.partner(two_step=True)
    bank.script("create", "reset")
    incentive = await town.due()
    worker = town.worker()
    await worker.tick_send("fake")
    await town.execute(
        "UPDATE payouts SET first_sent_at = first_sent_at - interval '9 days', next_at = $1", town.clock.now()
    )
    await worker.tick_lookups("fake")
    payout = await town.payout(incentive)
    assert (payout.state, await town.cases()) == (S.PREPARING, ["outcome_unknown"])
    taken_back = rejected(B.PARTNER_REJECTED, refusal=Refusal.WITHDRAWN)
    await worker.observe(None, payout.id, Source.NOTIFICATION, taken_back, "n1")
    assert (await town.payout(incentive)).state is S.CANCELLED
    assert "outcome_unknown" not in await town.cases()


async def test_a_payment_given_back_answers_what_was_asked_of_it(town: Town) -> None:
    town.partner(two_step=True)
    incentive = await in_doubt_two_step(town)
    payout = (await town.payout(incentive)).id
    async with town.database.transaction() as connection:
        new = [
            NewCase(code=code, partner="fake", detail="?", payout=payout)
            for code in (B.PARTNER_REJECTED, B.OUTCOME_UNKNOWN)
        ]
        await cases.open_cases(connection, town.clock.now(), new)
    await town.worker().observe(None, payout, Source.STATEMENT, reversed_())
    assert await town.cases() == []


async def in_doubt_two_step(town: Town) -> int:
    town.banks["fake"].script("approve", "lost")
    incentive = await town.due()
    await town.worker().tick_send("fake")
    return incentive


async def evidence(town: Town) -> str:
    (case,) = await town.fetch("SELECT detail FROM cases WHERE code = 'contradiction' AND closed_at IS NULL")
    return str(case["detail"])


async def test_a_credit_in_excess_is_told_beside_what_the_partner_contradicted_before(town: Town) -> None:
    """A finding is told once: where the payout's open case kept it out, whoever closed that one never heard of it."""
    bank, worker, statements = town.partner(), town.worker(), town.statements()
    incentive = await town.due()
    await worker.tick_send("fake")
    payout = await town.payout(incentive)
    await worker.observe(None, payout.id, Source.NOTIFICATION, rejected(None, technical=True, detail="no"), "n1")
    before = await evidence(town)
    assert before.startswith("refused and paid")
    for word in ("never", "not at all"):
        said = rejected(None, technical=True, detail=word)
        await worker.observe(None, payout.id, Source.NOTIFICATION, said, word)
    assert await evidence(town) == before, "the same in other words"
    for kind in ("reversal", "credit"):
        town.clock.advance(1_800)
        bank.book(payout.reference, payout.amount_rupiah, town.account("fake", 1), kind=kind)
        await statements.tick("fake")
    told = await evidence(town)
    assert told.startswith(before) and "have that credit given back" in told
    town.clock.advance(1_800)
    await statements.tick("fake")
    assert await evidence(town) == told, "each is told once"
    assert await town.cases() == ["contradiction"]


async def test_what_contradicts_a_payout_while_its_case_is_being_closed_is_a_case(town: Town) -> None:
    town.partner()
    incentive = await town.due()
    await town.worker().tick_send("fake")
    first = NewCase(code=B.CONTRADICTION, partner="fake", payout=(await town.payout(incentive)).id, detail="one thing")

    async def found(case: NewCase) -> int:
        async with town.database.transaction() as connection:
            return await cases.open_cases(connection, town.clock.now(), [case])

    assert [await found(first), await found(first)] == [1, 0]
    async with town.database.transaction() as connection:
        case = await cases.lock(connection, await opened(town, B.CONTRADICTION))
        assert case is not None
        await cases.close(connection, town.clock.now(), case, by="ann")
        another = asyncio.create_task(found(msgspec.structs.replace(first, detail="another thing")))
        await asyncio.sleep(0.2)
        assert not another.done()
    assert await another == 1
    assert await evidence(town) == "another thing"
