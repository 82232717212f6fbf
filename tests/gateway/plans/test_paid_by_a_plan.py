"""What leaves under a plan is what its two people approved, looked at when the money leaves."""

from __future__ import annotations

import pytest

from contracts.payment_plan import Instalment, PaymentPlan
from gateway.clock import jakarta_day
from gateway.security import places
from gateway.security.clients import register
from gateway.security.sealed import seal_grant
from gateway.services.intake.batches import Decision
from gateway.services.intake.entitlements import Entitlements
from gateway.services.intake.incentives import Incentives
from gateway.services.intake.plan_items import Completion, Person
from gateway.services.intake.plans import Plans
from gateway.services.intake.programmes import Programmes
from gateway.services.payouts.sending import Answer
from gateway.storage.intake import plans as stored
from tests.gateway.api.kit import nik
from tests.gateway.payouts.conftest import town
from tests.gateway.payouts.fake import Bank
from tests.gateway.payouts.town import Town, phone_of

__all__ = ["town"]

ONE = Instalment(purpose="training", period=1, amount_rupiah=600_000, deadline_after_days=30)
UNGUARDED = (
    "ALTER TABLE plans DISABLE TRIGGER plans_stay; ALTER TABLE plan_approvals DISABLE TRIGGER plan_approvals_stay"
)
_DEARER = "convert_to(replace(convert_from(content, 'UTF8'), '600000', '900000'), 'UTF8')"

TAMPERED = {
    "an amount of the plan": f"UPDATE plans SET content = {_DEARER}",
    "the plan and its root": f"UPDATE plans SET content = {_DEARER}, content_root = sha256({_DEARER})",
    "the amount of the row": "UPDATE incentives SET amount_rupiah = 900000",
    "one approval less": "DELETE FROM plan_approvals WHERE client_id = 'bob'",
    "two clients of one person": "UPDATE clients SET person = 'ann' WHERE id = 'bob'",
    "approved by who made it": "UPDATE clients SET person = 'core' WHERE id = 'bob'",
    "approved by who sent the notice": "UPDATE clients SET person = 'clerk' WHERE id = 'bob'",
    "under another approved plan": "UPDATE batches SET plan_id = (SELECT max(id) FROM plans) WHERE plan_id IS NOT NULL",
    "another organisation's plan": "ALTER TABLE plans DISABLE TRIGGER USER; UPDATE plans SET organisation = 'other'",
    "under no plan": "UPDATE batches SET plan_id = NULL",
}


async def _due(town: Town) -> Bank:
    """One person whose training is finished, linked and due today; the bank."""
    bank = town.partner()
    manifests = {slug: desk.manifest for slug, desk in town.desks.items()}
    programmes = Programmes(town.database, town.clock)
    incentives = Incentives(town.database, town.clock, manifests)
    plans = Plans(town.database, town.clock, programmes)
    entitlements = Entitlements(town.database, town.clock, town.vault, manifests, programmes, incentives)
    now, today = town.clock.now(), jakarta_day(town.clock.now())
    roles = {"core": "batches", "clerk": "incentives", "ann": "batches:approve", "bob": "batches:approve"}
    for name, scope in roles.items():
        organisation = "prakerja" if scope != "batches:approve" else None
        await register(town.database, now, name=name, scopes=[scope], organisation=organisation)
    await programmes.register("prakerja-2026-1", ["training"], "tests")
    ids = []
    for name, amount in (("first", 600_000), ("second", 900_000)):
        plan = PaymentPlan(
            programme="prakerja-2026-1", name=name, most_participants=1, weekends=True,
            instalments=(Instalment(purpose="training", period=1, amount_rupiah=amount, deadline_after_days=30),),
        )  # fmt: skip
        made = await plans.propose("core", plan)
        for approver in ("ann", "bob"):
            await plans.decide(approver, made.row.id, Decision.APPROVE, made.row.content_root)
        ids.append(made.row.id)
        town.clock.advance(1)
    person = Person(
        participant_id="P1", nik=nik(1), full_name="NAME 1", phone=phone_of(1), partner="fake",
        account=town.account("fake", 1),
    )  # fmt: skip
    await entitlements.entitle("clerk", ids[0], [person])
    await entitlements.complete("clerk", ids[0], [Completion(participant_id="P1", finished_on=today)])
    await town.execute(
        "INSERT INTO links (id, participant, client_id, partner, account_index, account_sealed, state, return_url,"
        " grant_sealed, created_at, updated_at) SELECT 'L1', id, 'core', partner, account_index, $1, 'active',"
        " 'https://core.example/', $2, $3, $3 FROM participants",
        town.vault.seal(places.link_account("L1"), person.account),
        seal_grant(town.vault, "L1", town.grant("fake", 1)),
        now,
    )
    await town.execute(
        "UPDATE participants SET link_id = 'L1', link_active = true, verified = true,"
        " verified_until = $1::timestamptz + interval '30 days', standing = NULL",
        now,
    )
    return bank


async def test_what_was_approved_is_paid(town: Town) -> None:
    bank = await _due(town)
    worker = town.worker()
    (leased,) = await worker.claim("fake", 9)
    assert await worker.send(leased) is Answer.SPOKE
    assert len(bank.booked) == 1
    assert await town.cases() == []


@pytest.mark.parametrize("how", list(TAMPERED))
async def test_what_was_changed_after_the_approval_is_not(town: Town, how: str) -> None:
    bank = await _due(town)
    await town.execute(UNGUARDED)
    await town.execute(TAMPERED[how])
    worker = town.worker()
    for leased in await worker.claim("fake", 9):
        assert await worker.send(leased) is Answer.SKIPPED
    assert bank.seen == []
    assert await town.cases() == ["approval_mismatch"]


async def test_nothing_leaves_once_the_plan_was_stopped(town: Town) -> None:
    """Not even what a worker has in its hands."""
    bank = await _due(town)
    worker = town.worker()
    (leased,) = await worker.claim("fake", 9)
    plan_id = (await town.fetch("SELECT plan_id FROM batches"))[0]["plan_id"]
    await Plans(town.database, town.clock, Programmes(town.database, town.clock)).stop("ann", plan_id)
    assert await worker.send(leased) is Answer.SKIPPED
    assert (bank.seen, await town.cases()) == ([], [])
    assert await worker.tick_unpayable("fake") == 1
    assert [row["stage"] for row in await town.fetch("SELECT stage FROM incentives")] == ["cancelled"]


async def test_what_had_left_before_the_plan_was_stopped_is_followed_to_its_end(town: Town) -> None:
    bank = await _due(town)
    bank.script("transfer", "lost")
    worker = town.worker()
    (leased,) = await worker.claim("fake", 9)
    await worker.send(leased)
    plan_id = (await town.fetch("SELECT plan_id FROM batches"))[0]["plan_id"]
    await Plans(town.database, town.clock, Programmes(town.database, town.clock)).stop("ann", plan_id)
    (batch,) = await town.fetch("SELECT id FROM batches")
    async with town.database.connection() as connection:  # as a process asks that has just begun
        assert [one.batch_id for one in await stored.vouched(connection, [batch["id"]])] == [batch["id"]]
        assert not await stored.stands(connection, plan_id, "clerk")
    for _ in range(3):
        town.clock.advance(600)
        await worker.tick_lookups("fake")
    assert [row["stage"] for row in await town.fetch("SELECT stage FROM incentives")] == ["paid"]
    assert (len(bank.booked), await town.cases()) == (1, [])


async def test_a_row_of_a_file_is_not_paid_by_a_plans_approval(town: Town) -> None:
    bank = await _due(town)
    digest = "(SELECT digest FROM incentives ORDER BY id LIMIT 1)"
    (row,) = await town.fetch("SELECT id FROM incentives")
    await town.approve(row["id"])  # as a file's row would have it: the key's digest, without any plan
    assert await town.fetch(f"SELECT {digest} AS digest") != []
    worker = town.worker()
    (leased,) = await worker.claim("fake", 9)
    assert await worker.send(leased) is Answer.SKIPPED
    assert bank.seen == [] and await town.cases() == ["approval_mismatch"]
