"""A partner's own words about a refusal are kept where staff read them, and the case ends with what it is about."""

from __future__ import annotations

import pytest

from contracts.observation import Source
from contracts.payout import DETAIL_MAX, succeeded
from tests.gateway.payouts.town import Town, open_town
from tests.gateway.program import run

WORDS = 'Beneficiary name is [/invalid] "at" <bank>'


async def refused(town: Town, detail: str | None = WORDS) -> int:
    """An incentive whose payout the partner refused for a reason that only its own words tell."""
    town.partner().script(
        "transfer", {"act": "say", "kind": "rejected", "reason": "partner_rejected", "detail": detail}
    )
    incentive = await town.due()
    await town.worker().tick_send("fake")
    assert await town.stands(incentive) == ("scheduled", "partner_rejected")
    return incentive


async def test_a_partners_own_words_are_kept_where_staff_read_them(database: str) -> None:
    async with open_town(database) as town:
        payout = await town.payout(await refused(town))
        (case,) = await town.fetch("SELECT code, payout, detail FROM cases")
        assert (case["code"], case["payout"]) == ("partner_rejected", payout.id)
        assert WORDS in case["detail"]
        (heard,) = await town.fetch("SELECT detail FROM observations WHERE kind = 'rejected'")
        assert heard["detail"] == WORDS
        shown = run("payouts", "show", str(payout.id), DATABASE_URL=database, COLUMNS="300")
        assert shown.count(WORDS) == 2, "what it said, and the case"


async def test_what_an_adapter_lets_through_is_cut_and_without_numbers(town: Town) -> None:
    await refused(town, "0812345678901\x00 " + "x" * 1_000)
    (heard,) = await town.fetch("SELECT detail FROM observations WHERE kind = 'rejected'")
    assert heard["detail"].startswith("*** xxx") and len(heard["detail"]) == DETAIL_MAX


async def test_a_refusal_without_words_is_a_case_too(town: Town) -> None:
    await refused(town, None)
    assert await town.fetch("SELECT detail FROM cases") == [{"detail": "the partner refused it"}]


@pytest.mark.parametrize("answer", ["cancelled = true", "own = NULL"])
async def test_a_refusals_case_is_over_once_it_stands_in_no_ones_way(town: Town, answer: str) -> None:
    incentive = await refused(town)
    assert await town.cases() == ["partner_rejected"]
    await town.execute(f"UPDATE incentives SET {answer}, facts_at = $2 WHERE id = $1", incentive, town.clock.now())
    assert await town.cases() == []


async def test_a_refusals_case_stays_while_it_is_refused(town: Town) -> None:
    incentive = await refused(town)
    await town.execute("UPDATE incentives SET facts_at = $2, own = own WHERE id = $1", incentive, town.clock.now())
    assert await town.cases() == ["partner_rejected"]


async def test_a_refused_payout_that_is_paid_after_all_answers_its_case(town: Town) -> None:
    incentive = await refused(town)
    payout = (await town.payout(incentive)).id
    await town.worker().observe(None, payout, Source.NOTIFICATION, succeeded(), "late")
    assert "partner_rejected" not in await town.cases()
