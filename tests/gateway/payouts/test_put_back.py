"""Rows of money that are put back as they were before a payment: whoever can write them cannot write the ledger."""

from __future__ import annotations

import pytest

from contracts.payout import PayoutState
from tests.gateway.payouts.town import Town

S = PayoutState
INCENTIVE = "UPDATE incentives SET payout = NULL, payouts = 0, own = NULL, own_next_at = NULL WHERE id = $1"
PAYOUTS = {
    "withdrawn": "state = 'cancelled', attempt = 0, ended_at = $2",
    "refused": "state = 'rejected', technical = true, confirmed_at = $2, released_at = $2, next_at = NULL",
    "given back": "state = 'reversed', released_at = $2",
}


@pytest.mark.parametrize("two_step", [False, True])
@pytest.mark.parametrize("put_back", list(PAYOUTS))
async def test_what_the_ledger_has_paid_is_not_paid_again(town: Town, put_back: str, two_step: bool) -> None:
    slug = "two" if two_step else "fake"
    bank = town.partner(slug, two_step=two_step)
    paid, worker = await town.due(slug), town.worker()
    for _ in range(3):
        await worker.tick_send(slug)
        await worker.tick_lookups(slug)
        await town.pass_time(60)
    assert await town.stands(paid) == ("paid", None)
    async with town.database.transaction() as connection:
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(INCENTIVE, paid)
        now = town.clock.now()
        await connection.execute(f"UPDATE payouts SET {PAYOUTS[put_back]} WHERE incentive = $1", paid, now)
    other = await town.due(slug)
    for _ in range(5):
        await worker.tick_send(slug)
        await worker.tick_lookups(slug)
        await town.pass_time(60)
    assert len([one for one in bank.booked if one["kind"] == "credit"]) == 2, "one for each of them"
    assert await town.stands(other) == ("paid", None)
    assert (await town.stands(paid))[1] == "approval_mismatch"
    (told,) = await town.fetch("SELECT detail FROM cases WHERE code = 'approval_mismatch'")
    assert "put back" in told["detail"]
    assert (await town.states(paid))[-1] is S.CANCELLED


@pytest.mark.parametrize("was", ["paid", "in doubt"])
async def test_an_incentive_put_back_alone_is_what_its_payout_says_and_keeps_nobody_waiting(
    town: Town, was: str
) -> None:
    bank, worker = town.partner(), town.worker()
    if was == "in doubt":
        bank.script("transfer", "lost")
    first = await town.due()
    await worker.tick_send("fake")
    await town.execute(INCENTIVE, first)
    other = await town.due()
    for _ in range(3):
        await worker.tick_send("fake")
    assert (await town.stands(first))[0] == ("paid" if was == "paid" else "paying")
    assert await town.stands(other) == ("paid", None)
    assert len(await town.states(first)) == 1
    (told,) = await town.fetch("SELECT detail FROM cases WHERE code = 'contradiction'")
    assert "put back" in told["detail"]
    await town.drive(worker, town.statements(), hours=30)
    assert (await town.stands(first))[0] == "paid"
    assert {bank.credits(one["reference"]) for one in bank.booked} == {1}
