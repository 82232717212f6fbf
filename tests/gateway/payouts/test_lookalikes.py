"""A credit whose reference the statement changed: the payout in doubt that it may be is called absent by nobody."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from contracts.payout import PayoutState
from gateway.clock import jakarta_day
from gateway.services.reconciliation.statements import Statements
from gateway.services.reconciliation.strays import Strays
from gateway.storage.reconciliation import lookalikes
from tests.gateway.payouts.fake import Bank
from tests.gateway.payouts.ticks import Ticking
from tests.gateway.payouts.town import Town

S = PayoutState
HOUR = 3_600.0


async def in_doubt_over_midnight(town: Town, bank: Bank, act: str) -> tuple[int, Ticking, Statements]:
    """An incentive whose payout left just before midnight, and whose end look-ups never tell."""
    bank.script("transfer", act)
    worker, statements = town.worker(), town.statements()
    incentive = await town.due()
    town.clock.advance(11.9 * HOUR)
    await worker.tick_send("fake")
    bank.script("status", *[{"act": "say", "kind": "not_found"}] * 400)
    return incentive, worker, statements


async def follow(town: Town, worker: Ticking, statements: Statements, hours: int) -> None:
    for _ in range(hours):
        town.clock.advance(HOUR)
        await worker.tick_deadlines()
        await worker.tick_lookups("fake")
        await statements.tick("fake")
        await worker.tick_send("fake")


@pytest.mark.parametrize(
    "changes",
    [
        {"reference": "TRF 20261124", "number": "J1"},
        {"number": "J1", "reference": "cut:16"},
        {"number": "J1", "reference": None, "account": None},
        {"number": "J1", "reference": "cut:12", "account": None},
        {"number": "J1", "reference": "digit", "account": None},
    ],
    ids=["another", "cut", "nothing told", "cut, no account", "of our form, no account"],
)
async def test_a_credit_of_its_amount_and_account_keeps_a_payout_in_doubt(town: Town, changes: dict[str, Any]) -> None:
    bank = town.partner()
    incentive, worker, statements = await in_doubt_over_midnight(town, bank, "lost")
    (booked,) = bank.booked
    whole = booked["reference"]
    cut = changes["reference"] or ""
    booked |= changes | ({"reference": whole[: int(cut[4:])]} if cut.startswith("cut:") else {})
    if cut == "digit":
        booked["reference"] = f"{int(whole) + 3}"
    await follow(town, worker, statements, 40)
    assert (await town.states(incentive), await town.stands(incentive)) == ([S.UNKNOWN], ("paying", "outcome_unknown"))
    assert len(bank.booked) == 1, "nobody pays again what may be paid"
    cases = await town.fetch("SELECT detail FROM cases WHERE code = 'outcome_unknown' AND closed_at IS NULL")
    assert ["under another reference" in case["detail"] for case in cases] == [True]


@pytest.mark.parametrize(
    "changes",
    [
        {"account": "0000000077"},
        {"amount": 600_001},
        {"account": None, "reference": "PAYROLL-7"},
        {"account": None, "reference": "1011111111111111111"},
    ],
    ids=["another account", "another amount", "a name that is nothing like ours", "of our form, of another year"],
)
async def test_a_strangers_credit_holds_nobody_up(town: Town, changes: dict[str, Any]) -> None:
    bank = town.partner()
    incentive, worker, statements = await in_doubt_over_midnight(town, bank, "reset")
    account = json.loads(bank.bodies[-1][1])["account"]
    bank.book("TRF 1", 600_000, account)
    bank.booked[0] |= {"number": "J1"} | changes
    await follow(town, worker, statements, 40)
    assert await town.states(incentive) == [S.REJECTED, S.SUCCEEDED]
    assert await town.stands(incentive) == ("paid", None)


async def test_nor_is_a_refusal_that_only_statements_decide_about_believed(town: Town) -> None:
    bank = town.partner()
    town.clock.advance(11.9 * HOUR)
    incentive = await town.due()
    worker, statements = town.worker(), town.statements()
    bank.script("transfer", {"act": "rejected", "technical": True, "refusal": "statement_decides"})
    await worker.tick_send("fake")
    account = json.loads(bank.bodies[-1][1])["account"]
    bank.book("TRF 1", 600_000, account)
    bank.booked[0] |= {"number": "J1"}
    bank.script("status", *[{"act": "say", "kind": "not_found"}] * 400)
    await follow(town, worker, statements, 80)
    assert (await town.states(incentive), len(bank.booked)) == ([S.REJECTED], 1)
    assert (await town.stands(incentive))[1] == "outcome_unknown"
    cases = await town.fetch("SELECT detail FROM cases WHERE code = 'outcome_unknown' AND closed_at IS NULL")
    assert any("under another reference" in case["detail"] for case in cases)


@pytest.mark.parametrize("earlier", ["the stray", "the other"])
async def test_whose_one_such_credit_is_says_nothing_of_the_other(town: Town, earlier: str) -> None:
    """Two credits may be the payout. Two people know whose the one is; a worker that was started anew weighs again."""
    bank = town.partner()
    incentive, worker, statements = await in_doubt_over_midnight(town, bank, "lost")
    (booked,) = bank.booked
    stray, before = f"{int(booked['reference']) + 3}", timedelta(seconds=-60 if earlier == "the stray" else 60)
    bank.booked.insert(0, booked | {"reference": stray, "number": "J0", "account": None, "at": booked["at"] + before})
    booked |= {"reference": None, "number": "J1", "account": None}
    await follow(town, worker, statements, 40)
    await follow(town, worker, town.statements(), 2)
    strays = Strays(town.resources)
    for actor in ("ann", "bob"):
        settled = await strays.settle(stray, None, actor=actor)
    assert settled.done
    for _ in range(2):
        await follow(town, worker, town.statements(), 2)
    assert (await town.states(incentive), await town.stands(incentive)) == ([S.UNKNOWN], ("paying", "outcome_unknown"))
    assert len(bank.booked) == 2, "nobody pays again what may be paid"


async def test_where_credits_have_no_names_some_of_them_are_kept(town: Town) -> None:
    """Thousands of them, against each of thousands in doubt, would be millions of rows."""
    bank = town.partner()
    await in_doubt_over_midnight(town, bank, "lost")
    (payout,) = await town.fetch("SELECT * FROM payouts")
    day = jakarta_day(payout["first_sent_at"])
    nobodys = [
        lookalikes.Credit(None, payout["amount_rupiah"], None, payout["first_sent_at"] + timedelta(seconds=n))
        for n in range(5 * lookalikes.MOST)
    ]
    async with town.resources.database.transaction() as connection:
        for _ in range(2):
            await lookalikes.keep(connection, town.clock.now(), payout["partner"], day, nobodys)
    (kept,) = await town.fetch("SELECT count(*) AS n, max(booked_at) AS last FROM lookalikes")
    assert (kept["n"], kept["last"]) == (lookalikes.MOST, nobodys[lookalikes.MOST - 1].booked_at)
