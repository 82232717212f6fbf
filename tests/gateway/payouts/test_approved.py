"""What is paid is what two people approved: the row, the person, the account, at the moment money leaves."""

from __future__ import annotations

from datetime import timedelta

import asyncpg
import pytest

from contracts.observation import Source
from contracts.payout import PayoutState, reversed_
from contracts.secret import Secret
from gateway.security import approval, places
from gateway.security.vault import Vault
from gateway.services.intake.batches import Batches, Decision
from gateway.services.intake.corrections import Corrections
from gateway.services.intake.programmes import Programmes
from gateway.services.payouts.sending import Answer
from tests.gateway.payouts import town as kit
from tests.gateway.payouts.town import Town

S = PayoutState
OTHER = "0123456789"

TAMPERED = {
    "amount": "UPDATE incentives SET amount_rupiah = amount_rupiah + 1",
    "programme": "UPDATE incentives SET programme = 'other'",
    "purpose": "UPDATE incentives SET purpose = 'survey'",
    "period": "UPDATE incentives SET period = '2'",
    "due": "UPDATE incentives SET due_on = due_on - 1",
    "deadline": "UPDATE incentives SET deadline_on = deadline_on + 365",
    "participant's id": "UPDATE incentives SET participant_id = 'P99999'",
    "NIK of the row": "UPDATE incentives SET nik_index = '\\x01'",
    "NIK of the person": "UPDATE participants SET nik_index = '\\x01'",
    "account of the person": "UPDATE participants SET account_index = '\\x01'",
    "account of the link": "UPDATE links SET account_index = '\\x01'",
    "partner of the person": "UPDATE participants SET partner = 'other'",
    "no digest": "UPDATE incentives SET digest = NULL",
    "another row's digest": "UPDATE incentives SET digest = (SELECT digest FROM incentives ORDER BY id DESC LIMIT 1)",
}


@pytest.mark.parametrize("how", list(TAMPERED))
@pytest.mark.parametrize("two_step", [False, True])
async def test_a_row_that_was_changed_in_the_database_is_not_paid(town: Town, how: str, two_step: bool) -> None:
    bank = town.partner(two_step=two_step)
    incentive = await town.due()
    await town.due(due_on=town.today(1))  # another person's, approved for tomorrow
    table = TAMPERED[how].split()[1]
    await town.execute(f"{TAMPERED[how]} WHERE id = (SELECT min(id) FROM {table})")
    worker = town.worker()
    (leased,) = [one for one in await worker.claim("fake", 9) if one.payout.incentive == incentive]
    assert await worker.send(leased) is Answer.SKIPPED
    assert bank.seen == []
    assert await town.states(incentive) == [S.CANCELLED]
    assert await town.cases() == ["approval_mismatch"]
    (row,) = await town.fetch("SELECT own, approved, lapsed_at FROM incentives WHERE id = $1", incentive)
    assert row["own"] == "approval_mismatch" and not row["approved"] and row["lapsed_at"] is not None
    assert await town.stands(incentive) == ("scheduled", "approval_mismatch")
    assert [e["type"] for e in await town.fetch("SELECT type FROM events WHERE type = 'approval.lapsed'")] != []
    town.clock.advance(600)
    await worker.tick_timers()
    assert await worker.tick_send("fake") == 0
    await town.check()


@pytest.mark.parametrize(
    "then", ["UPDATE incentives SET amount_rupiah = 1", "UPDATE incentives SET deadline_on = deadline_on + 1"]
)
async def test_what_changes_after_the_claim_counts_too(town: Town, then: str) -> None:
    bank = town.partner()
    await town.due()
    worker = town.worker()
    (leased,) = await worker.claim("fake", 1)
    await town.execute(then)
    assert await worker.send(leased) is Answer.SKIPPED
    assert bank.seen == [] and await town.cases() == ["approval_mismatch"]


async def test_an_amount_put_back_after_the_claim_does_not_hide_what_is_paid(town: Town) -> None:
    bank = town.partner()
    await town.due()
    worker = town.worker()
    await town.execute("UPDATE incentives SET amount_rupiah = 9000000")
    (leased,) = await worker.claim("fake", 1)
    await town.execute("UPDATE incentives SET amount_rupiah = 600000")
    await worker.send(leased)
    assert bank.booked == [] and await town.cases() == ["approval_mismatch"]


async def test_the_account_that_counts_is_the_one_that_is_paid(town: Town) -> None:
    """Sealed anew by somebody who has the key of one process, and left as it was beside it."""
    bank = town.partner()
    await town.due()
    worker = town.worker()
    (leased,) = await worker.claim("fake", 1)
    leased.account_sealed = town.vault.seal(places.link_account(leased.payout.link_id), OTHER)
    await worker.send(leased)
    assert bank.booked == [] and await town.cases() == ["approval_mismatch"]


async def test_an_approval_under_another_key_is_none(town: Town) -> None:
    bank = town.partner()
    incentive = await town.due()
    vault, town.vault = town.vault, Vault(b"\x01" * 32)
    (index,) = await town.fetch("SELECT account_index FROM participants")
    row = approval.approved_row(
        "kp", "training", "1", "P00001", b"fake1", "fake", 600_000, town.today(), town.today(60)
    )
    assert approval.digest(vault, row, index["account_index"]) != approval.digest(
        town.vault, row, index["account_index"]
    )
    await town.approve(incentive)
    town.vault = vault
    await town.worker().tick_send("fake")
    assert bank.booked == []


async def test_the_third_row_that_differs_pauses_its_partner_alone(town: Town) -> None:
    banks = {slug: town.partner(slug) for slug in ("fake", "other")}
    for slug in ("fake", "fake", "other", "fake", "other"):
        await town.due(slug)
    await town.execute(
        "UPDATE incentives SET amount_rupiah = 1 WHERE partner = 'fake' OR id = (SELECT max(id) FROM incentives)"
    )
    worker = town.worker()
    for expected in ([], [], ["fake"]):
        assert await worker.tick_send("fake", 1) == 1
        paused = await town.fetch("SELECT partner FROM partner_switches WHERE paused_at IS NOT NULL")
        assert [row["partner"] for row in paused] == expected
    await worker.tick_send("other")
    assert banks["fake"].booked == [] and len(banks["other"].booked) == 1
    assert len(await town.fetch("SELECT FROM partner_switches")) == 1


async def test_an_instruction_whose_row_was_changed_is_withdrawn(town: Town) -> None:
    bank = town.partner(two_step=True)
    incentive = await town.due()
    worker = town.worker()
    bank.script("approve", "refused_connection")
    await worker.tick_send("fake")
    await town.execute("UPDATE incentives SET amount_rupiah = 1")
    town.clock.advance(10)
    await worker.tick_send("fake")
    assert await town.states(incentive) == [S.PREPARED] and bank.seen.count("approve") == 1
    town.clock.advance(10)
    assert await worker.tick_unpayable("fake") == 1
    assert await town.states(incentive) == [S.CANCELLED]
    assert await town.stands(incentive) == ("scheduled", "approval_mismatch")
    await town.check()


async def _clients(town: Town, *names: str) -> None:
    for name in names:
        await town.execute(
            "INSERT INTO clients (id, name, secret_hash, scopes, created_at) VALUES ($1, $1, '', '{}', now())", name
        )


def _batches(town: Town) -> Batches:
    manifests = {slug: desk.manifest for slug, desk in town.desks.items()}
    return Batches(town.database, town.clock, town.vault, manifests, Programmes(town.database, town.clock))


async def _approved_anew(town: Town) -> str:
    batches = _batches(town)
    batch = (await batches.reapprove("core")).batch
    for name in ("one", "two"):
        await batches.decide(name, batch.id, Decision.APPROVE, batch.content_root)
    return batch.id


async def _linked_anew(town: Town, person: int) -> None:
    """The participant consents to the new account, and its NIK matches."""
    name = (await town.fetch("SELECT participant_id FROM participants WHERE id = $1", person))[0]["participant_id"]
    index = town.vault.index(places.account_index("fake"), OTHER)
    link = f"{name}-2"
    await town.execute("UPDATE links SET state = 'unlinked' WHERE participant = $1 AND state <> 'unlinked'", person)
    await town.execute(
        "INSERT INTO links (id, participant, client_id, partner, account_index, account_sealed, state, return_url,"
        " created_at, updated_at) VALUES ($1, $2, 'c', 'fake', $3, $4, 'active', '', $5, $5)",
        link,
        person,
        index,
        town.vault.seal(places.link_account(link), OTHER),
        town.clock.now(),
    )
    await town.execute(
        "UPDATE participants SET link_id = $2, link_active = true, verified = true, verified_until = $3,"
        " standing = NULL WHERE id = $1",
        person,
        link,
        town.clock.now() + timedelta(days=90),
    )


async def test_another_account_is_paid_once_two_people_have_approved_it(town: Town) -> None:
    """Many instalments of one person, some of another: each lapses, all come back in one batch, nothing is lost."""
    bank = town.partner()
    person, other = await town.person(), await town.person()
    first, later = await town.incentive(person), await town.incentive(person, period="2", due_on=town.today(1))
    paid = await town.incentive(person, period="0")
    await town.incentive(other)
    await _clients(town, "core", "one", "two")
    worker = town.worker()
    await town.execute("UPDATE incentives SET due_on = due_on + 1 WHERE id = $1", first)
    await town.approve(first)
    await worker.tick_send("fake")
    assert await town.states(paid) == [S.SUCCEEDED] and len(bank.booked) == 2
    service = Corrections(town.resources)
    await service.correct("P00001", {"partner": Secret("fake"), "account": Secret(OTHER)}, "core")
    lapsed = await town.fetch("SELECT id FROM incentives WHERE lapsed_at IS NOT NULL ORDER BY id")
    assert [row["id"] for row in lapsed] == [first, later]
    told = await town.fetch("SELECT subject FROM events WHERE type = 'approval.lapsed' ORDER BY seq")
    assert [row["subject"] for row in told] == [str(first), str(later)]
    await _linked_anew(town, person)
    town.clock.advance(86_400)
    assert await worker.tick_send("fake") == 0
    assert await town.stands(first) == ("scheduled", "approval_missing")
    batch = await _approved_anew(town)
    assert await worker.tick_send("fake") == 2
    assert sorted(b["account"] for b in bank.booked) == sorted([OTHER, OTHER, "0000000001", "0000000002"])
    results = await _batches(town).results(batch, None, 0, 10)
    assert [(r.line, r.incentive_id, r.stage) for r in results] == [(1, first, "paid"), (2, later, "paid")]
    assert await town.cases() == []
    await town.check()


async def test_an_account_that_changes_again_lapses_again(town: Town) -> None:
    """Approved by one, changed, approved by the other: what stands there now has nobody's approval."""
    town.partner()
    person = await town.person()
    incentive = await town.incentive(person)
    await _clients(town, "core", "one", "two")
    service, batches = Corrections(town.resources), _batches(town)
    await service.correct("P00001", {"partner": Secret("fake"), "account": Secret(OTHER)}, "core")
    batch = (await batches.reapprove("core")).batch
    await batches.decide("one", batch.id, Decision.APPROVE, batch.content_root)
    town.clock.advance(1)
    await service.correct("P00001", {"account": Secret("0987654321")}, "core")
    await batches.decide("two", batch.id, Decision.APPROVE, batch.content_root)
    (row,) = await town.fetch("SELECT approved, lapsed_at FROM incentives WHERE id = $1", incentive)
    assert not row["approved"] and row["lapsed_at"] is not None
    assert (await batches.reapprove("core")).batch.rows_accepted == 1


async def test_what_waits_for_approval_as_it_was_keeps_nothing_from_being_put_up_as_it_is(town: Town) -> None:
    """Nobody has decided yet when the account changes once more: a batch that can no longer approve it is in no way."""
    town.partner()
    incentive = await town.incentive(await town.person())
    await _clients(town, "core", "one", "two")
    service, batches = Corrections(town.resources), _batches(town)
    for account in (OTHER, "0987654321"):
        await service.correct("P00001", {"partner": Secret("fake"), "account": Secret(account)}, "core")
        batch = (await batches.reapprove("core")).batch
        assert batch.rows_accepted == 1, account
        town.clock.advance(1)
    assert (await town.fetch("SELECT count(*) AS n FROM reapprovals WHERE incentive = $1", incentive))[0]["n"] == 2


async def test_a_row_that_differed_is_paid_as_it_stands_once_approved(town: Town) -> None:
    """The remedy of the blocker leads somewhere."""
    bank = town.partner()
    incentive = await town.due()
    await _clients(town, "core", "one", "two")
    await town.execute("UPDATE incentives SET amount_rupiah = 500000")
    worker = town.worker()
    await worker.tick_send("fake")
    await _approved_anew(town)
    assert await town.cases() == [] and await town.stands(incentive) == ("scheduled", None)
    await worker.tick_send("fake")
    assert [b["amount"] for b in bank.booked] == [500_000]


async def test_a_rejected_batch_of_lapsed_rows_cancels_nothing(town: Town) -> None:
    town.partner()
    incentive = await town.due()
    await _clients(town, "core", "one", "two")
    await town.execute("UPDATE incentives SET amount_rupiah = 1")
    await town.worker().tick_send("fake")
    batches = _batches(town)
    batch = (await batches.reapprove("core")).batch
    await batches.decide("one", batch.id, Decision.REJECT, batch.content_root)
    assert await town.stands(incentive) == ("scheduled", "approval_mismatch")
    assert (await batches.reapprove("core")).batch.id != batch.id


@pytest.mark.parametrize("disabled", ["one", "two"])
async def test_approvals_count_from_clients_that_are_enabled(town: Town, disabled: str) -> None:
    town.partner()
    incentive = await town.due()
    await _clients(town, "core", "one", "two", "three", "four")
    await town.execute("UPDATE incentives SET amount_rupiah = 1")
    await town.worker().tick_send("fake")
    batches = _batches(town)
    batch = (await batches.reapprove("core")).batch
    await batches.decide(disabled, batch.id, Decision.APPROVE, batch.content_root)
    await town.execute("UPDATE clients SET disabled_at = now() WHERE id = $1", disabled)
    for name, approved in (("three", False), ("four", True)):
        await batches.decide(name, batch.id, Decision.APPROVE, batch.content_root)
        (row,) = await town.fetch("SELECT approved FROM incentives WHERE id = $1", incentive)
        assert row["approved"] is approved, name


@pytest.mark.parametrize("table", ["approvals", "reapprovals", "audit_log", "events", "observations"])
async def test_what_was_decided_heard_and_told_stays(town: Town, table: str) -> None:
    town.partner()
    await town.due()
    await _clients(town, "core", "one", "two")
    await town.execute("UPDATE incentives SET amount_rupiah = 1")
    worker = town.worker()
    await worker.tick_send("fake")
    await _approved_anew(town)
    await worker.tick_send("fake")
    column = {"approvals": "at", "reapprovals": "line", "audit_log": "at", "events": "at", "observations": "at"}[table]
    for statement in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}"):
        with pytest.raises(asyncpg.RestrictViolationError, match="not allowed"):
            await town.execute(statement)


FORGED = {
    "nobody": [],
    "one": [("ann", "approve")],
    "one, twice": [("ann", "approve"), ("ann", "approve")],
    "the maker is one of them": [("ann", "approve"), ("c", "approve")],
    "one has taken it back": [("ann", "approve"), ("bob", "approve"), ("bob", "withdraw")],
    "one person's two clients": [("ann", "approve"), ("ann too", "approve")],
    "of another content": [("ann", "approve"), ("bob", "approve of before")],
}


@pytest.mark.parametrize("by", list(FORGED))
async def test_a_row_that_is_marked_approved_and_was_not_is_not_paid(
    town: Town, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its digest says that it came through the intake; who approved it stands in the approvals of its batch."""

    async def nobody(*_: object) -> None:
        return

    monkeypatch.setattr(kit, "approve_batch", nobody)
    bank = town.partner()
    incentive = await town.due()
    await _clients(town, "ann", "ann too", "bob")
    await town.execute("UPDATE clients SET person = 'ann' WHERE id LIKE 'ann%'")
    approval_of = (
        "INSERT INTO approvals (batch_id, client_id, decision, content_root, at) VALUES ('b', $1, $2, $3, now())"
    )
    for client, decision in FORGED[by]:
        await town.execute(approval_of, client, decision.split()[0], b"\x02" if decision.endswith("before") else b"")
    await town.worker().tick_send("fake")
    assert bank.seen == [] and await town.stands(incentive) == ("scheduled", "approval_mismatch")
    for client in ("ann", "bob"):
        await town.execute(approval_of, client, "approve", b"")
    await town.approve(incentive)
    await town.execute("UPDATE incentives SET own = NULL")
    await town.worker("w2").tick_send("fake")
    assert await town.stands(incentive) == ("paid", None), "or the test proves nothing"


async def test_the_digest_of_a_reapproval_that_one_person_gave_pays_nothing(town: Town) -> None:
    bank = town.partner()
    person = await town.person()
    incentive = await town.incentive(person)
    await _clients(town, "core", "one", "two")
    await Corrections(town.resources).correct("P00001", {"account": Secret(OTHER)}, "core")
    await _linked_anew(town, person)
    batches = _batches(town)
    batch = (await batches.reapprove("core")).batch
    await batches.decide("one", batch.id, Decision.APPROVE, batch.content_root)
    await town.execute(
        "UPDATE incentives i SET approved = true, lapsed_at = NULL, digest = r.digest FROM reapprovals r"
        " WHERE r.incentive = i.id"
    )
    await town.worker().tick_send("fake")
    assert bank.seen == [] and await town.stands(incentive) == ("scheduled", "approval_mismatch")


async def test_what_came_back_is_paid_to_another_account_that_two_people_approved(town: Town) -> None:
    bank = town.partner()
    person = await town.person()
    incentive = await town.incentive(person)
    await _clients(town, "core", "one", "two")
    worker = town.worker()
    await worker.tick_send("fake")
    await worker.observe(None, (await town.payout(incentive)).id, Source.STATEMENT, reversed_())
    await Corrections(town.resources).correct("P00001", {"account": Secret(OTHER)}, "core")
    await _linked_anew(town, person)
    assert (await worker.hasten(incentive))["hastened"]
    town.clock.advance(60)
    assert await worker.tick_send("fake") == 0, "another account, which nobody has approved"
    await _approved_anew(town)
    await town.drive(worker, town.statements(), hours=1, step_s=60)
    assert await town.states(incentive) == [S.REVERSED, S.SUCCEEDED]
    assert [b["account"] for b in bank.booked if b["kind"] == "credit"] == ["0000000001", OTHER]
