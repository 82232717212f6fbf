"""A credit is ours by each instance that this store has ever used, and another installation's by its own."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from contracts.errors import InvalidRequest
from gateway.services.reconciliation.reconcile import Reconciliations
from tests.gateway.payouts.town import Town
from tests.gateway.reconciliation.restoring import Restoring


def renamed(town: Town, instance: str) -> None:
    """Another GATEWAY_INSTANCE is rolled out: for whoever is started from now on."""
    town.settings = msgspec.structs.replace(town.settings, instance=instance)


async def paid_under(town: Town, instance: str) -> int:
    renamed(town, instance)
    incentive = await town.due()
    await town.worker().tick_send("fake")
    assert (await town.payout(incentive)).reference.startswith(instance)
    town.clock.advance(60)
    return incentive


async def test_each_instance_that_was_ever_used_is_known_in_the_store(town: Town) -> None:
    bank = town.partner()
    began = town.clock.now()
    for instance in ("10", "20", "20"):
        await paid_under(town, instance)
    town.clock.advance(7_200)
    await paid_under(town, "20")
    rows = await town.fetch("SELECT instance, until - since AS used, since FROM instances ORDER BY since")
    assert [(row["instance"], row["used"]) for row in rows] == [("10", timedelta()), ("20", timedelta(seconds=7_320))]
    assert rows[0]["since"] == began
    for n, instance in enumerate(("10", "20", "30")):
        bank.book(f"{instance}{n:017d}", 1_000, "0123456789")
    await town.statements().tick("fake")
    kept = await town.fetch("SELECT reference FROM strays ORDER BY reference")
    assert [row["reference"][:2] for row in kept] == ["10", "20"], "30 is another installation's"
    town.clock.advance(86_400)
    compared = Reconciliations(town.resources)
    done = await compared.run("fake", town.today(-1), actor="op")
    assert await compared.by_class(done.id) == {"missing_here": 2, "unknown_reference": 1}


@pytest.mark.parametrize("times", [1, 2], ids=["changed once", "changed twice"])
async def test_payments_that_were_forgotten_are_ours_under_the_instance_of_before_and_of_since(
    restoring: Restoring, times: int
) -> None:
    """What a copy cannot know, of two changes since, a person says; another installation's stays another's."""
    town = restoring.town
    bank = town.partner()
    known = await paid_under(town, "10")
    await restoring.copy()
    await restoring.restore()
    people = [await town.person() for _ in range(2)]  # as core hands them over again
    incentives = [await town.incentive(person) for person in people]
    await restoring.recoveries(town.worker()).open(town.clock.now() - timedelta(minutes=5), actor="cli")
    made = int((await town.payout(known)).reference[2:])
    for n, (person, instance) in enumerate(zip(people, ("10", "20"), strict=True)):
        bank.book(f"{instance}{made + 1 + n:017d}", 600_000, town.account("fake", person))
    bank.book(f"77{made + 9:017d}", 600_000, town.account("fake", people[0]))
    renamed(town, "20" if times == 1 else "30")
    service = restoring.recoveries(town.worker())
    if times == 2:
        with pytest.raises(InvalidRequest):
            await service.used("02", actor="cli")
        await service.used("20", actor="cli")
    await restoring.recover(town.worker())
    assert await service.under_way() == []
    assert [await town.stands(one) for one in incentives] == [("paid", None)] * 2
    assert bank.seen.count("transfer") == 1, "nobody is paid again"
    assert [row["reference"][:2] for row in await town.fetch("SELECT reference FROM strays ORDER BY 1")] == ["10", "20"]
    await town.check()
