"""What two people say of a credit that bears a reference of ours and that no payout has."""

from __future__ import annotations

import msgspec
import pytest

from contracts.errors import Conflict
from contracts.incentive import BlockerCode
from contracts.observation import Source
from contracts.payout import Outcome, PayoutState, Refusal, rejected
from gateway.security import places
from gateway.services.reconciliation.statements import Statements
from gateway.storage.reconciliation.strays import candidate
from tests.gateway.reconciliation.restoring import Restoring

S = PayoutState


@pytest.mark.parametrize("became", ["paid", "returned", "cancelled"])
async def test_a_credit_of_an_incentive_that_has_ended_is_settled_as_what_it_is(
    restoring: Restoring, became: str
) -> None:
    """A payment too many, where another one is known; else the payment that it was before it was cancelled. What is due
    to the same account goes on.
    """
    town = restoring.town
    bank = town.partner()
    person = await town.person()
    ended = await town.incentive(person)
    other = await town.incentive(person, period="2", due_on=town.today(1))
    worker, statements = town.worker(), town.statements()
    if became == "cancelled":
        await town.execute("UPDATE incentives SET cancelled = true WHERE id = $1", ended)
    else:
        await worker.tick_send("fake", limit=1)
    if became == "returned":
        first = await town.payout(ended)
        bank.book(first.reference, first.amount_rupiah, town.account("fake", person), kind="reversal")
    reference = f"10{9:017d}"
    bank.book(reference, 600_000, town.account("fake", person))
    await statements.tick("fake")
    service = restoring.recoveries(worker)
    await service.strays.tick()
    assert await town.stands(other) == ("scheduled", "contradiction")
    for name in ("op", "op 2"):
        await service.strays.settle(reference, ended, actor=name)
    assert [stray.reference for stray in await service.strays.unsettled()] == []
    told = [row["detail"] for row in await town.fetch("SELECT detail FROM cases WHERE closed_at IS NULL")]
    if became == "cancelled":
        assert told == []
    else:
        assert len(told) == 1 and reference in told[0] and "have that credit given back" in told[0]
    assert (await town.stands(ended))[0] == ("paid" if became == "cancelled" else became)
    town.clock.advance(24 * 3600.0)
    await worker.tick_send("fake")
    assert await town.stands(other) == ("paid", None)
    await town.check()


FAILED = rejected(None, reason_may_follow=True)
DOUBTFUL = rejected(None, technical=True, refusal=Refusal.STATEMENT_DECIDES)
REPEATED = rejected(BlockerCode.PARTNER_REJECTED, refusal=Refusal.PERHAPS_PAID)


@pytest.mark.parametrize("by", ["itself", "two people"])
@pytest.mark.parametrize("refused", [FAILED, DOUBTFUL, REPEATED], ids=["no reason yet", "doubtful", "a repeat"])
async def test_a_credit_waits_for_no_refusal_that_it_took_the_place_of(
    restoring: Restoring, refused: Outcome, by: str
) -> None:
    """What the refusal still waits for had come before that payment was made, and is forgotten with it."""
    town = restoring.town
    bank, worker = town.partner(), town.worker()
    incentive = await town.due()
    bank.script("transfer", {"act": "say", "kind": "pending"})
    await worker.tick_send("fake")
    first = await town.payout(incentive)
    account = town.account("fake", first.participant)
    reference = f"10{first.id + 9}"
    bank.book(reference, 600_000, account if by == "itself" else "")
    await town.statements().tick("fake")
    strays = restoring.recoveries(worker).strays
    await strays.tick()
    with pytest.raises(Conflict, match=f"Payout {first.id} of that incentive is pending") as on_its_way:
        await strays.settle(reference, incentive, actor="op")
    assert "gateway settlements propose" in (on_its_way.value.remedy or "")
    await worker.observe(None, first.id, Source.LOOKUP, refused)
    assert (await town.stands(incentive))[0] == "paying"
    if by == "itself":
        await strays.tick()
    else:
        for name in ("op", "op 2"):
            await strays.settle(reference, incentive, actor=name)
    assert await town.stands(incentive) == ("paid", None)
    assert await town.states(incentive) == [S.REJECTED, S.SUCCEEDED]
    assert await town.cases() == []
    await town.check()


async def test_a_refused_payout_that_was_paid_meanwhile_is_no_place_for_a_credit(restoring: Restoring) -> None:
    """It was read as refused, and is not: nothing is adopted, and whoever settles it is told."""
    town = restoring.town
    bank, worker = town.partner(), town.worker()
    incentive = await town.due()
    await worker.tick_send("fake")
    first = await town.payout(incentive)
    assert first.state is S.SUCCEEDED
    bank.book(f"10{9:017d}", 600_000, town.account("fake", first.participant))
    strays = restoring.recoveries(worker).strays
    async with town.database.transaction() as connection:
        found = await candidate(connection, incentive)
        assert found is not None and (found.open, found.refused, found.ended) == (False, False, True)
        stale = msgspec.structs.replace(found, standing=first.id, state="rejected", ended=False)
        against = await strays._replaced(connection, stale)
    assert against is not None and "is succeeded" in against.detail


async def test_a_credit_under_the_reference_of_a_payout_at_another_partner_holds_up_no_other(
    restoring: Restoring,
) -> None:
    """It is no payment that was forgotten, whatever account it went to: its reference is known."""
    town = restoring.town
    town.partner()
    bank, worker = town.partner("another"), town.worker()
    there = await town.due()
    await worker.tick_send("fake")
    taken = (await town.payout(there)).reference
    people = [await town.person("another") for _ in range(2)]
    mixed_up, forgotten = [await town.incentive(person) for person in people]
    for reference, person in ((taken, people[0]), (f"10{int(taken[2:]) + 9}", people[1])):
        bank.book(reference, 600_000, town.account("another", person))
    await town.statements().tick("another")
    strays = restoring.recoveries(worker).strays
    await strays.tick()
    assert await town.stands(forgotten) == ("paid", None)
    assert await town.stands(mixed_up) == ("scheduled", "contradiction")
    assert await town.cases() == ["contradiction"]
    await strays.settle(taken, mixed_up, actor="op")
    with pytest.raises(Conflict, match="is at fake") as refused:
        await strays.settle(taken, mixed_up, actor="op 2")
    assert "REFERENCE=none" in (refused.value.remedy or "")
    for name in ("op", "op 2"):
        await strays.settle(taken, None, actor=name)
    assert await strays.unsettled() == []
    await strays.tick()
    town.clock.advance(24 * 3600.0)
    await worker.tick_send("another")
    assert await town.stands(mixed_up) == ("paid", None)
    await town.check()


async def test_a_credit_at_another_partner_waits_for_the_change_of_account_that_was_forgotten(
    restoring: Restoring,
) -> None:
    town = restoring.town
    town.partner()
    bank = town.partner("another")
    incentive = await town.due()
    bank.book(f"10{9:017d}", 600_000, "0123456789")
    await Statements(town.resources).tick("another")
    with pytest.raises(Conflict, match="not paid at the credit's partner") as refused:
        await restoring.recoveries(town.worker()).strays.settle(f"10{9:017d}", incentive, actor="op")
    assert "change of account" in (refused.value.remedy or "")


@pytest.mark.parametrize("slug", ["fake", "another"])
@pytest.mark.parametrize("known", [False, True])
async def test_a_credit_to_another_account_is_adopted_over_the_link_that_it_went_over_and_no_other(
    restoring: Restoring, known: bool, slug: str
) -> None:
    """Or what the partner did rightly would be told to staff as money that went elsewhere. The person may have moved
    to another partner before the credit was found.
    """
    town = restoring.town
    banks = {name: town.partner(name) for name in ("fake", "another")}
    incentive, account, reference = await town.due(), "0123456789", f"10{9:017d}"
    if known:  # the person had it before, and has moved since
        index = town.vault.index(places.account_index(slug), account)
        sealed = town.vault.seal(places.link_account("BEFORE"), account)
        await town.execute(
            "INSERT INTO links (id, participant, client_id, partner, account_index, account_sealed, state, return_url,"
            " created_at, updated_at) SELECT 'BEFORE', participant, client_id, $3, $1, $2, 'unlinked', return_url,"
            " created_at, updated_at FROM links",
            index,
            sealed,
            slug,
        )
    banks[slug].book(reference, 600_000, account)
    statements = Statements(town.resources)
    await statements.tick(slug)
    strays = restoring.recoveries(town.worker()).strays
    if not known:
        with pytest.raises(Conflict, match="partner and account"):
            await strays.settle(reference, incentive, actor="op")
        return
    for name in ("op", "op 2"):
        await strays.settle(reference, incentive, actor=name)
    await statements.read(slug, town.today())
    assert (await town.payout(incentive)).link_id == "BEFORE"
    assert await town.stands(incentive) == ("paid", None)
    assert await town.cases() == []
    await town.check()
