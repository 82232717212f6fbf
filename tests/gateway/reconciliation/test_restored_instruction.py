"""After a restore an instruction may stand at a two-step partner that nobody here remembers: no second one is made."""

from __future__ import annotations

from datetime import timedelta

import pytest

from contracts.payout import PayoutState
from gateway.services.reconciliation import recovery
from tests.gateway.reconciliation.restoring import Restoring

S = PayoutState
HOUR_S = 3_600.0


async def instructed(restoring: Restoring) -> int:
    """An incentive whose instruction was made and not approved after the copy, in which it is only reserved."""
    town = restoring.town
    bank = town.partner(two_step=True)
    incentive = await town.due()
    (leased,) = await town.worker().claim("fake", 1)
    await restoring.copy()
    bank.script("approve", "refused_connection")
    await town.worker().send(leased)
    assert await town.states(incentive) == [S.PREPARED] and bank.seen.count("create") == 1
    return incentive


async def test_within_the_keys_life_it_is_asked_for_under_its_key(restoring: Restoring) -> None:
    incentive = await instructed(restoring)
    town, bank = restoring.town, restoring.town.banks["fake"]
    town.clock.advance(60)
    await restoring.restore()
    bank.script("status", *["not_found"] * 1_000)  # it is known by the partner's own number alone
    worker = town.worker("after")
    await restoring.recoveries(worker).open(town.clock.now() - timedelta(minutes=5), actor="cli")
    await restoring.recover(worker, hours=12)
    assert {body for operation, body in bank.bodies if operation == "create"} == {
        next(body for operation, body in bank.bodies if operation == "create")
    }, "the same create, byte for byte"
    bank.acts["status"].clear()
    await town.drive(worker, town.statements(), hours=2, step_s=60)
    assert await town.stands(incentive) == ("paid", None)
    assert len(bank.booked) == 1 and not bank.queued


@pytest.mark.parametrize("late_by_s", [-30.0, 30.0 * HOUR_S])
async def test_once_its_key_may_be_over_nothing_is_created_and_a_person_is_told(
    restoring: Restoring, late_by_s: float
) -> None:
    """Its answer would come after the key's life, or that was over long ago: the partner would make a second one."""
    incentive = await instructed(restoring)
    town, bank = restoring.town, restoring.town.banks["fake"]
    key_s = town.desks["fake"].manifest.lifetimes.create_key_s
    assert key_s is not None
    town.clock.advance(key_s + late_by_s)
    await restoring.restore()
    bank.script("status", *["not_found"] * 1_000)
    worker = town.worker("after")
    await restoring.recoveries(worker).open(town.clock.now() - timedelta(hours=80), actor="cli")
    await restoring.recover(worker, hours=60, step_s=1_800)
    await town.drive(worker, town.statements(), hours=4, step_s=600)
    assert bank.seen.count("create") == 1 and len(bank.queued) == 1
    assert await town.states(incentive) == [S.PREPARING]
    assert await town.cases() == ["outcome_unknown"]


async def test_a_link_that_may_have_been_revoked_since_the_copy_is_proved_anew(restoring: Restoring) -> None:
    town = restoring.town
    bank = town.partner(payout_needs_live_link=True, payout_proves_link=False)
    person = await town.person(proved_at=town.clock.now())
    await restoring.copy()
    await restoring.restore()
    worker = town.worker()
    await restoring.recoveries(worker).open(town.clock.now() - timedelta(minutes=5), actor="cli")
    await restoring.recover(worker)

    async def revoked(link_id: str) -> None:
        await town.execute("UPDATE links SET state = 'revoked' WHERE id = $1", link_id)

    town.links.on_prove = revoked
    await town.incentive(person)
    await worker.tick_send("fake")
    assert town.links.proved and bank.booked == []


@pytest.mark.parametrize("hint", ["float_short", "credentials"])
async def test_what_its_key_is_refused_takes_nothing_back_that_may_stand(restoring: Restoring, hint: str) -> None:
    """Only this asking did nothing. Made anew, or by another payout, it could be approved beside the forgotten one."""
    incentive = await instructed(restoring)
    town, bank = restoring.town, restoring.town.banks["fake"]
    town.clock.advance(60)
    await restoring.restore()
    bank.script("status", *["not_found"] * 1_000)
    bank.script("create", {"act": "say", "kind": "not_accepted", "hint": hint})
    worker = town.worker("after")
    service = restoring.recoveries(worker)
    await service.open(town.clock.now() - timedelta(minutes=5), actor="cli")
    await service.round()
    assert await town.states(incentive) == [S.PREPARING] and bank.seen.count("create") == 2
    town.clock.advance(30 * HOUR_S)
    await restoring.recover(worker, hours=12)
    await town.drive(worker, town.statements(), hours=4, step_s=600)
    assert bank.seen.count("create") == 2 and len(bank.queued) == 1
    assert await town.states(incentive) == [S.PREPARING]
    assert await town.cases() == ["outcome_unknown"]


async def test_one_whose_key_is_over_keeps_no_other_from_being_asked_under_its_own(
    restoring: Restoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody ever hears of it: more of them than a round takes would stand before all others until these are over."""
    town = restoring.town
    bank = town.partner(two_step=True)
    for made in (1, 2):
        await town.due()
        assert len(await town.worker().claim("fake", made)) == made
        town.clock.advance(20 * HOUR_S)
    monkeypatch.setattr(recovery, "LOOKUPS_A_ROUND", 1)
    service = restoring.recoveries(town.worker())
    await service.open(town.clock.now(), actor="cli")
    await service.round()
    assert bank.seen.count("create") == 1
    assert sorted(row["state"] for row in await town.fetch("SELECT state FROM payouts")) == ["prepared", "preparing"]
