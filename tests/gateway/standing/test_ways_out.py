"""Whoever owns a blocker has a way out of it, and none of the ways pays twice."""

from __future__ import annotations

import random
import re
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from contracts.errors import Conflict, InvalidRequest, NotFound
from contracts.incentive import BlockerCode
from contracts.lifting import LIFTED_BY
from contracts.observation import Source
from contracts.payout import PayoutState, rejected, reversed_, succeeded
from gateway.api.app import create_app
from gateway.services.intake.incentives import Incentives
from gateway.services.payouts import settlements
from gateway.services.payouts.settlements import SettledAs, Settlements
from gateway.storage.payouts import payouts
from tests.gateway.payouts.town import Town

S, B = PayoutState, BlockerCode


def settling(town: Town) -> Settlements:
    return Settlements(town.database, town.clock, town.worker("desk"))


async def settle(town: Town, payout: int, verdict: SettledAs, reason: BlockerCode | None = None) -> None:
    service = settling(town)
    made = await service.propose(payout, verdict, reason=reason, document="letter 17", why="asked", actor="ann")
    await service.confirm(made.id, actor="bob")


def test_every_blocker_is_lifted_by_an_operation_that_exists() -> None:
    assert set(LIFTED_BY) == set(BlockerCode)
    served = set()
    for route in create_app(core=SimpleNamespace()).routes:  # type: ignore[arg-type]
        path = re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path)
        served |= {f"{method} {path}" for method in getattr(route, "methods", ())}
    assert {way for ways in LIFTED_BY.values() for way in ways} <= served


async def in_doubt(town: Town, act: str = "lost") -> int:
    """A payout whose answer was lost, after it was booked or before."""
    town.banks["fake"].script("transfer", act)
    incentive = await town.due()
    await town.worker().tick_send("fake")
    payout = await town.payout(incentive)
    assert payout.state is S.UNKNOWN
    return incentive


async def test_a_document_settles_only_by_two_persons(town: Town) -> None:
    town.partner()
    incentive = await in_doubt(town)
    await town.execute(
        "INSERT INTO clients (id, name, secret_hash, scopes, created_at) VALUES ('ann too', 'ann', '', '{}', now())"
    )
    payout, service = (await town.payout(incentive)).id, settling(town)
    made = await service.propose(payout, SettledAs.PAID, reason=None, document="letter 17", why="asked", actor="ann")
    assert await town.stands(incentive) == ("paying", "outcome_unknown"), "nothing yet"
    for ended, actor in ((False, "ann"), (False, "ann too"), (True, "bob")):  # who brought it, and who may no longer
        await town.execute("UPDATE clients SET person = 'ann' WHERE id LIKE 'ann%'")
        await town.execute("UPDATE clients SET disabled_at = CASE WHEN $1 THEN now() END WHERE id = 'ann'", ended)
        with pytest.raises(Conflict, match="cannot confirm"):
            await service.confirm(made.id, actor=actor)
    again = await service.propose(payout, SettledAs.PAID, reason=None, document="letter 18", why="asked", actor="bob")
    with pytest.raises(Conflict, match="over"):
        await service.confirm(made.id, actor="bob")
    assert (await service.confirm(again.id, actor="ann too")).state is S.SUCCEEDED
    with pytest.raises(Conflict, match="over"):
        await service.confirm(again.id, actor="cid")
    assert await town.stands(incentive) == ("paid", None)
    said = await town.fetch("SELECT source, kind FROM observations ORDER BY id DESC LIMIT 1")
    assert [tuple(row.values()) for row in said] == [("document", "succeeded")]
    audited = [(row["actor"], row["action"]) for row in await town.fetch("SELECT * FROM audit_log ORDER BY seq")]
    assert audited == [("ann", "payout.settle"), ("bob", "payout.settle"), ("ann too", "payout.settle.confirm")]
    await town.check()


async def test_what_a_document_refuses_is_paid_once_more_and_no_more(town: Town) -> None:
    bank = town.partner()
    incentive = await in_doubt(town, "reset")
    await settle(town, (await town.payout(incentive)).id, SettledAs.REFUSED)
    await town.drive(town.worker(), town.statements(), hours=1, step_s=60)
    assert await town.states(incentive) == [S.REJECTED, S.SUCCEEDED]
    assert len(bank.booked) == 1


@pytest.mark.parametrize("answered", [False, True])
async def test_a_refusal_on_paper_says_nothing_of_what_was_sent_after_it(town: Town, answered: bool) -> None:
    """Brought of the first attempt; its absence is proved meanwhile, and the second one is on its way, or lost too."""
    bank = town.partner()
    incentive = await in_doubt(town, "reset")
    bank.script("transfer", "lost")
    bank.script("status", *["not_found"] * 40)
    payout, service, worker = (await town.payout(incentive)).id, settling(town), town.worker()
    letter: dict[str, Any] = {"reason": None, "document": "letter 17", "why": "asked", "actor": "ann"}
    made = await service.propose(payout, SettledAs.REFUSED, **letter)
    refused: list[str | None] = []

    async def confirm(operation: str) -> None:
        if operation == "transfer" and not answered:
            for attempt in (
                service.confirm(made.id, actor="bob"),
                service.propose(payout, SettledAs.REFUSED, **letter),
            ):
                with pytest.raises(Conflict) as told:
                    await attempt
                refused.append(told.value.code)

    bank.before = confirm
    while (await town.payout(incentive)).attempt < 2:
        town.clock.advance(600)
        await worker.tick_lookups("fake")
        await worker.tick_send("fake")
    if answered:
        with pytest.raises(Conflict, match="sent again"):
            await service.confirm(made.id, actor="bob")
    assert refused == ([] if answered else ["on_its_way"] * 2)
    assert [await town.states(incentive), len(bank.booked)] == [[S.UNKNOWN], 1]
    again = await service.propose(payout, SettledAs.PAID, **letter)
    assert (await service.confirm(again.id, actor="bob")).state is S.SUCCEEDED
    await town.check()


async def test_a_document_may_name_the_account_and_then_nothing_follows(town: Town) -> None:
    bank = town.partner()
    incentive = await in_doubt(town, "reset")
    await settle(town, (await town.payout(incentive)).id, SettledAs.REFUSED, B.ACCOUNT_BLOCKED)
    await town.drive(town.worker(), town.statements(), hours=1, step_s=60)
    assert await town.stands(incentive) == ("scheduled", "account_blocked")
    assert bank.booked == []


@pytest.mark.parametrize("code", BlockerCode, ids=lambda code: code.value)
async def test_a_document_leaves_nobody_under_a_blocker_that_nothing_lifts(town: Town, code: BlockerCode) -> None:
    """Who types another reason is told those that there are; what is taken ends by time, or by what is named for it."""
    town.partner()
    incentive = await in_doubt(town, "reset")
    payout = (await town.payout(incentive)).id
    if code not in settlements.REFUSED_FOR:
        with pytest.raises(InvalidRequest) as refused:
            await settle(town, payout, SettledAs.REFUSED, code)
        assert (refused.value.field, await town.stands(incentive)) == ("reason", ("paying", "outcome_unknown"))
        assert all(one.value in refused.value.remedy for one in settlements.REFUSED_FOR)
        return
    await settle(town, payout, SettledAs.REFUSED, code)
    assert await town.stands(incentive) == ("scheduled", code.value)
    await town.drive(town.worker(), town.statements(), hours=32 * 24, step_s=3 * 3600)
    assert await town.states(incentive) == [S.REJECTED, S.SUCCEEDED]


async def test_a_create_whose_key_is_over_is_settled_by_a_document(town: Town) -> None:
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
    assert (payout.state, payout.next_at) == (S.PREPARING, None)
    await settle(town, payout.id, SettledAs.REFUSED)
    await town.drive(worker, town.statements(), hours=1, step_s=60)
    assert await town.stands(incentive) == ("paid", None)
    assert len(bank.booked) == 1
    assert await town.cases() == []


async def test_what_was_refused_three_times_is_cancelled_as_the_refused_document_says(town: Town) -> None:
    """`partner_rejected` names a document first, where each refusal is confirmed and none of them in doubt."""
    bank = town.partner()
    incentive = await town.due()
    bank.script("transfer", *["pending"] * 4)
    bank.script("status", *[{"act": "say", "kind": "rejected", "technical": True}] * 8)
    await town.worker().tick_send("fake")
    await town.drive(town.worker(), town.statements(), hours=0.5)
    assert await town.stands(incentive) == ("scheduled", "partner_rejected")
    letter: dict[str, Any] = {"reason": None, "document": "letter 17", "why": "asked", "actor": "ann"}
    with pytest.raises(Conflict) as refused:
        await settling(town).propose((await town.payout(incentive)).id, SettledAs.REFUSED, **letter)
    assert "is cancelled, and handed over again" in refused.value.remedy
    manifests = {slug: desk.manifest for slug, desk in town.desks.items()}
    await Incentives(town.database, town.clock, manifests).cancel(incentive, actor="ann")
    assert await town.stands(incentive) == ("cancelled", None) and await town.cases() == []


async def test_what_is_in_no_doubt_takes_no_document(town: Town) -> None:
    town.partner()
    paid, reserved = await town.due(), await town.due()
    worker, service = town.worker(), settling(town)
    await worker.tick_send("fake", 1)
    await worker.claim("fake", 1)
    for incentive, helps in ((paid, "reconcile the day"), (reserved, "Nothing has left")):
        payout = await town.payout(incentive)
        with pytest.raises(Conflict, match="in doubt") as refused:
            await service.propose(payout.id, SettledAs.PAID, reason=None, document="xxx", why="asked", actor="ann")
        assert helps in refused.value.remedy
    with pytest.raises(NotFound):
        await service.propose(1, SettledAs.PAID, reason=None, document="xxx", why="asked", actor="ann")
    with pytest.raises(InvalidRequest):
        await service.propose(1, SettledAs.PAID, reason=B.ACCOUNT_BLOCKED, document="xxx", why="asked", actor="ann")


async def test_what_came_back_is_not_paid_again_to_the_account_it_came_back_from(town: Town) -> None:
    bank = town.partner()
    incentive = await town.due()
    worker = town.worker()
    await worker.tick_send("fake")
    await worker.observe(None, (await town.payout(incentive)).id, Source.STATEMENT, reversed_())
    assert (await worker.hasten(incentive))["hastened"] is False
    await town.drive(worker, town.statements(), hours=2, step_s=300)
    assert await town.stands(incentive) == ("returned", "payment_reversed")
    assert bank.seen.count("transfer") == 1
    assert await town.fetch("SELECT 1 FROM audit_log") == []


async def test_what_came_back_and_was_credited_again_is_told_and_not_paid_elsewhere(town: Town) -> None:
    """Paid, given back and paid again by the partner itself, or paid twice and given back once: one credit stands."""
    bank = town.partner()
    incentives = [await town.due() for _ in range(2)]
    worker, statements = town.worker(), town.statements()
    await worker.tick_send("fake")
    for incentive, kinds in zip(incentives, (("reversal", "credit"), ("credit", "reversal")), strict=True):
        payout = await town.payout(incentive)
        account = next(row["account"] for row in bank.booked if row["reference"] == payout.reference)
        for kind in kinds:
            town.clock.advance(60)
            bank.book(payout.reference, payout.amount_rupiah, account, kind)
    await statements.read("fake", town.today())
    assert await town.cases() == ["contradiction"] * 2
    assert not await town.fetch("SELECT 1 FROM partner_switches WHERE paused_at IS NOT NULL"), "nothing pays twice now"
    await links_another(town)
    for given_back in (False, True):
        for incentive in incentives:
            payout = await town.payout(incentive)
            assert (await town.stands(incentive))[0] == "returned"
            async with town.database.connection() as connection:
                assert await payouts.returned(connection, incentive) == (payout.id if given_back else None)
            town.clock.advance(60)
            account = next(row["account"] for row in bank.booked if row["reference"] == payout.reference)
            bank.book(payout.reference, payout.amount_rupiah, account, "reversal")
        await statements.read("fake", town.today())


async def test_what_is_said_to_be_paid_once_more_is_not_paid_elsewhere_before_it_is_listed_as_given_back(
    town: Town,
) -> None:
    """By a notice alone, before any statement lists it: whoever has it released knows less than the partner."""
    bank = town.partner(two_step=True)
    bank.script("approve", {"act": "say", "kind": "pending"})
    incentive = await town.due()
    worker, statements = town.worker(), town.statements()
    await worker.tick_send("fake")
    payout = await town.payout(incentive)
    said = [town.clock.now() + timedelta(minutes=n) for n in range(4)]
    words = succeeded(said_at=said[0]), rejected(None, technical=True, said_at=said[1]), succeeded(said_at=said[2])
    for word in words:
        await worker.observe(None, payout.id, Source.NOTIFICATION, word)
    await links_another(town)
    assert (await town.stands(incentive))[0] == "returned"
    assert (await worker.hasten(incentive))["hastened"] is False
    for kinds, free in ((("credit", "reversal"), False), (("credit", "reversal"), True)):
        for kind in kinds:
            bank.book(payout.reference, payout.amount_rupiah, town.account("fake", 1), kind)
            town.clock.advance(60)
        await statements.read("fake", town.today())
        async with town.database.connection() as connection:
            assert await payouts.returned(connection, incentive) == (payout.id if free else None)


async def links_another(town: Town) -> None:
    """Everybody links another account."""
    await town.execute(
        "INSERT INTO links (id, participant, client_id, partner, account_index, account_sealed, state, return_url,"
        " created_at, updated_at) SELECT 'N' || id, participant, client_id, partner, 'after', '', 'revoked',"
        " return_url, created_at, updated_at FROM links"
    )
    await town.execute("UPDATE participants SET link_id = 'N' || link_id")


async def test_an_instruction_of_another_version_is_taken_back_and_made_anew(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = town.partner(two_step=True)
    incentive = await town.due()
    worker = town.worker()
    bank.script("approve", "refused_connection")
    await worker.tick_send("fake")
    assert (await town.payout(incentive)).state is S.PREPARED
    await town.execute("UPDATE payouts SET frozen_hash = 'of the version before'")
    await town.drive(worker, town.statements(), hours=1, step_s=60)
    assert await town.states(incentive) == [S.CANCELLED, S.SUCCEEDED]
    assert bank.seen.count("reject") == 1
    assert len(bank.booked) == 1


@pytest.mark.parametrize("seed", range(5))
async def test_no_way_out_pays_twice(town: Town, seed: int) -> None:
    """Random answers and random operations in between; documents say what the partner's books say."""
    dice = random.Random(seed)
    bank = town.partner(two_step=bool(seed % 2))
    worker, statements, service = town.worker(), town.statements(), settling(town)
    incentives = [await town.due() for _ in range(5)]
    acts = ["lost", "reset", "garbage", "refused_connection", {"act": "say", "kind": "rejected", "technical": True},
            {"act": "say", "kind": "rejected", "reason_may_follow": True}, "ok", "ok"]  # fmt: skip
    for _ in range(25):
        bank.script(dice.choice(["transfer", "create", "approve", "status"]), dice.choice(acts))
        incentive = dice.choice(incentives)
        rows = await town.fetch("SELECT id, reference FROM payouts WHERE incentive = $1 ORDER BY id DESC", incentive)
        if rows and dice.random() < 0.4:
            credited = bank.credits(rows[0]["reference"]) > 0
            if not credited and rows[0]["reference"] in bank.queued:
                del bank.queued[rows[0]["reference"]]  # whoever writes the document ends what stands there
            try:
                made = await service.propose(
                    rows[0]["id"], SettledAs.PAID if credited else SettledAs.REFUSED, reason=None, document="list 3",
                    why="asked", actor="ann",
                )  # fmt: skip
                await service.confirm(made.id, actor="bob")
            except Conflict:
                await worker.hasten(incentive)
        await town.drive(worker, statements, hours=0.5, step_s=300)
    for incentive in incentives:
        references = await town.fetch("SELECT reference FROM payouts WHERE incentive = $1", incentive)
        assert sum(bank.credits(row["reference"]) for row in references) <= 1
