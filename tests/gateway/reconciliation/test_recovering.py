"""A recovery goes on where one row, one day or one partner cannot be done: nothing else waits for it."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from contracts.errors import Conflict, InvalidRequest, PartnerUnavailable
from contracts.payout import PayoutState
from contracts.secret import Secret
from gateway.services.intake.corrections import Corrections
from gateway.services.intake.incentives import Incentives
from gateway.services.payouts import apply as apply_
from gateway.services.payouts.ends import Effects, Standing
from gateway.services.payouts.words import Finding, What, WordOrFinding
from gateway.services.reconciliation.statements import Statements
from gateway.storage.reconciliation import recovery, strays
from tests.gateway.payouts.test_stopped_meanwhile import Stop, batch, entitlement, person
from tests.gateway.reconciliation.restoring import Restoring
from tests.gateway.reconciliation.test_restore import forgotten

S = PayoutState
OTHER = "0987654321"


async def test_what_the_store_demands_is_begun_however_old_it_is(restoring: Restoring) -> None:
    """Nobody looked for three months, or the copy is that old: no other command would ever let the partners go."""
    incentive = await forgotten(restoring)
    town, worker = restoring.town, restoring.town.worker()
    await town.execute(
        "INSERT INTO recoveries (partner, since, opened_at, settled_at, demanded)"
        " VALUES ('fake', $1::timestamptz - interval '90 days', $1, $1, 'a copy')",
        town.clock.now(),
    )
    await restoring.recover(worker)
    assert await town.states(incentive) == [S.SUCCEEDED]
    assert not await restoring.recoveries(worker).under_way()
    with pytest.raises(InvalidRequest, match="year"):
        await restoring.recoveries(worker).open(town.clock.now() - timedelta(days=366), actor="cli")
    await town.check()


async def test_a_row_that_cannot_be_marked_keeps_its_own_partner_held_and_no_other(
    restoring: Restoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = restoring.town
    for slug in ("fake", "other"):
        town.partner(slug).script("transfer", *["reset"] * 2)
    people = {slug: [await town.due(slug) for _ in range(2)] for slug in town.desks}
    worker = town.worker()
    for slug in town.desks:
        await worker.tick_send(slug)
    broken = await town.payout(people["fake"][0])
    decide = apply_.decide

    def failing(terms: Any, standing: Standing, heard: Any, item: WordOrFinding, now: datetime) -> Effects:
        if isinstance(item, Finding) and item.what is What.RESTORED and item.payout == broken.id:
            raise ValueError("a row that cannot be done")
        return decide(terms, standing, heard, item, now)

    monkeypatch.setattr(apply_, "decide", failing)
    service = restoring.recoveries(worker)
    await service.open(town.clock.now(), actor="cli")
    rows = await town.fetch("SELECT id FROM payouts WHERE attempt < 2")
    assert [row["id"] for row in rows] == [broken.id], "all others are marked"
    await restoring.recover(worker)
    assert [one.partner for one in await service.under_way()] == ["fake"]
    assert await worker.claim("fake", 10) == []
    monkeypatch.setattr(apply_, "decide", decide)
    await restoring.recover(worker)
    assert await service.under_way() == []
    await town.check()


async def test_what_is_held_anew_while_it_is_marked_is_marked_anew(
    restoring: Restoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else runs it too, or the store went back once more: these marks are of the earlier hold."""
    town = restoring.town
    town.partner()
    service, distrust = restoring.recoveries(town.worker()), recovery.distrust_links

    async def held_anew(connection: Any, partner: str) -> None:
        await distrust(connection, partner)
        at = town.clock.now() + timedelta(seconds=1)
        async with town.database.transaction() as other:
            await recovery.begin(other, partner, since=at, opened_at=at, settled_at=at)

    with monkeypatch.context() as patched:
        patched.setattr(recovery, "distrust_links", held_anew)
        await service.open(town.clock.now(), actor="cli")
    assert [one.marked_at for one in await service.under_way()] == [None]
    await restoring.recover(town.worker())
    assert not await service.under_way()


async def test_a_credit_that_cannot_be_adopted_keeps_no_other_from_it(
    restoring: Restoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = restoring.town
    town.partner()
    incentives = [await town.due() for _ in range(3)]
    await restoring.copy()
    await town.worker().tick_send("fake")
    town.clock.advance(60)
    await restoring.restore()
    worker = town.worker("after")
    service = restoring.recoveries(worker)
    await service.open(town.clock.now() - timedelta(minutes=5), actor="cli")
    settle = strays.settle

    async def failing(connection: Any, now: datetime, stray: Any, **more: Any) -> None:
        if stray.reference == town.banks["fake"].booked[0]["reference"]:
            raise ValueError("a row that cannot be done")
        await settle(connection, now, stray, **more)

    monkeypatch.setattr(strays, "settle", failing)
    await service.round()
    assert sorted(map(len, [await town.states(one) for one in incentives])) == [0, 1, 1]
    await town.check()
    monkeypatch.setattr(strays, "settle", settle)
    await restoring.recover(worker)
    assert [await town.states(one) for one in incentives] == [[S.SUCCEEDED]] * 3
    assert set(restoring.credits().values()) == {1}
    await town.check()


@pytest.mark.parametrize("gone", [1, 5])
async def test_days_that_the_partner_gives_no_more_hold_up_none_that_it_gives(
    restoring: Restoring, monkeypatch: pytest.MonkeyPatch, gone: int
) -> None:
    """What is forgotten is adopted all the same; the partner stays held, as those days may have had more."""
    incentive = await forgotten(restoring)
    town, worker = restoring.town, restoring.town.worker()
    read, oldest = Statements.read, town.today(-6)

    async def refusing(self: Statements, partner: str, day: date) -> Any:
        if day < oldest + timedelta(days=gone):
            raise PartnerUnavailable("the day is too old")
        return await read(self, partner, day)

    monkeypatch.setattr(Statements, "read", refusing)
    service = restoring.recoveries(worker)
    await service.open(town.clock.now() - timedelta(days=6), actor="cli")
    await service.round()  # no worker is there to read anything beside it
    assert await town.states(incentive) == [S.SUCCEEDED]
    await restoring.recover(worker)
    assert [one.partner for one in await service.under_way()] == ["fake"]
    await town.check()


async def test_nobody_leaves_a_partner_that_may_have_paid_them_for_one_that_is_let_go_sooner(
    restoring: Restoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The payment at the first is forgotten, its statements come a day later; the second one would make it again."""
    town = restoring.town
    town.partner("another")
    incentive = await forgotten(restoring)
    worker, read, silent = town.worker(), Statements.read, True

    async def refusing(self: Statements, partner: str, day: date) -> Any:
        if partner == "fake" and silent:
            raise PartnerUnavailable("no statements today")
        return await read(self, partner, day)

    monkeypatch.setattr(Statements, "read", refusing)
    corrections, moves = Corrections(town.resources), {"partner": Secret("another"), "account": Secret(OTHER)}
    service = restoring.recoveries(worker)
    await service.open(town.clock.now() - timedelta(minutes=5), actor="cli")
    for _ in range(2):  # both are held; the second one is free
        with pytest.raises(Conflict) as caught:
            await corrections.correct("P00001", moves, "core")
        assert caught.value.code == "recovery_holds"
        await restoring.recover(worker)
        assert [one.partner for one in await service.under_way()] == ["fake"]
    assert (await corrections.correct("P00001", {"phone": Secret("+6281234509999")}, "core")) is not None
    silent = False
    await restoring.recover(worker)
    assert await town.stands(incentive) == ("paid", None)
    await corrections.correct("P00001", moves, "core")
    await town.drive(worker, town.statements(), hours=2, step_s=60)
    assert [len(bank.booked) for bank in town.banks.values()].count(1) == 1 and await town.cases() == []
    await town.check()


async def test_a_change_of_account_that_was_forgotten_is_made_again_where_a_credit_tells_of_it(
    restoring: Restoring,
) -> None:
    """Or nobody could be matched with that credit, and every partner would stay held."""
    town = restoring.town
    bank = town.partner("another")
    await forgotten(restoring)
    worker, corrections = town.worker(), Corrections(town.resources)
    service = restoring.recoveries(worker)
    await service.open(town.clock.now() - timedelta(minutes=5), actor="cli")
    moves = {"partner": Secret("another"), "account": Secret(OTHER)}
    bank.book(f"10{round(town.clock.now().timestamp()) * 10_000_000 + 7:017d}", 600_000, OTHER)
    await service.round()
    elsewhere = {"partner": Secret("another"), "account": Secret("0987654322")}
    with pytest.raises(Conflict, match="A recovery holds fake"):
        await corrections.correct("P00001", elsewhere, "core")
    await corrections.correct("P00001", moves, "core")
    person = await town.fetch("SELECT partner FROM participants")
    assert [one["partner"] for one in person] == ["another"]


@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("stop", [batch, person, entitlement])
async def test_what_is_stopped_in_a_recovery_is_free_once_it_is_known_what_became_of_it(
    restoring: Restoring, stop: Stop, left: bool
) -> None:
    """It is only reserved in the copy, and may have been paid since: handed over again it would be paid twice."""
    town = restoring.town
    bank = town.partner()
    incentive = await town.due()
    (leased,) = await town.worker().claim("fake", 1)
    await restoring.copy()
    if left:
        await town.worker().send(leased)
    town.clock.advance(60)
    await restoring.restore()
    worker = town.worker("after")
    await restoring.recoveries(worker).open(town.clock.now() - timedelta(minutes=5), actor="cli")
    incentives = Incentives(town.database, town.clock, {"fake": town.desks["fake"].manifest})
    with pytest.raises(Conflict) as caught:
        await incentives.cancel(incentive, actor="test")
    assert caught.value.code == "payout_open"
    await stop(town)
    assert await town.fetch("SELECT cancelled, approved FROM incentives") == [{"cancelled": False, "approved": False}]
    await restoring.recover(worker)
    await town.drive(worker, town.statements(), hours=2, step_s=60)
    assert await town.stands(incentive) == (("paid", None) if left else ("cancelled", None))
    assert len(bank.booked) == left
