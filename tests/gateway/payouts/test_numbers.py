"""A partner's own number that it gives again: each word goes to the payout that it is about, or to none."""

from __future__ import annotations

from datetime import timedelta

from contracts.observation import PayoutNotice
from contracts.payout import PayoutState, reversed_, succeeded
from tests.gateway.payouts.town import Town

S = PayoutState
SAME = "J000417"


async def two_in_doubt(town: Town) -> tuple[int, int]:
    """Incentives whose payouts left and were never answered, and to which the partner gave the same number."""
    town.partner().script("transfer", "reset", "reset")
    first, second = await town.due(), await town.due()
    await town.worker().tick_send("fake")
    await town.execute("UPDATE payouts SET partner_reference = $1", SAME)
    return first, second


async def test_a_notice_goes_by_our_reference_and_never_by_a_number_that_two_have(town: Town) -> None:
    first, second = await two_in_doubt(town)
    worker = town.worker()
    alone = PayoutNotice(outcome=reversed_(), partner_reference=SAME)
    assert await worker.notice("fake", alone, "n1") == "several_payouts"
    assert [await town.states(one) for one in (first, second)] == [[S.UNKNOWN], [S.UNKNOWN]]
    reference, other = (await town.payout(first)).reference, await town.payout(second)
    await town.execute("UPDATE payouts SET partner_reference = 'J000418' WHERE id = $1", other.id)
    two = PayoutNotice(outcome=succeeded(), reference=other.reference, partner_reference=SAME)
    assert await worker.notice("fake", two, "n3") == "several_payouts", "two identifiers, two payouts"
    assert await town.states(second) == [S.UNKNOWN]
    await town.execute("UPDATE payouts SET partner_reference = $1", SAME)
    named = PayoutNotice(outcome=succeeded(), reference=reference, partner_reference=SAME)
    assert await worker.notice("fake", named, "n2") == "applied"
    assert [await town.states(one) for one in (first, second)] == [[S.SUCCEEDED], [S.UNKNOWN]]
    await town.check()


async def test_a_line_without_our_reference_is_of_the_payout_that_had_left_by_its_day(town: Town) -> None:
    bank = town.partner()
    bank.script("transfer", "lost", "lost")
    worker, statements = town.worker(), town.statements()
    incentives = []
    for _ in range(2):
        incentives.append(await town.due())
        await worker.tick_send("fake")
        town.clock.advance(timedelta(days=1).total_seconds())
    for n, booking in enumerate(bank.booked):
        booking |= {"reference": f"TRF {n}", "number": SAME}
    await town.execute("UPDATE payouts SET partner_reference = $1", SAME)
    bank.script("status", *[{"act": "say", "kind": "not_found"}] * 40)
    await town.drive(worker, statements, hours=3.0)
    assert [await town.states(one) for one in incentives] == [[S.SUCCEEDED], [S.SUCCEEDED]]
    lines = await town.fetch(
        "SELECT p.incentive, count(*) AS n FROM statement_lines s JOIN payouts p ON p.id = s.payout GROUP BY 1"
    )
    assert {row["incentive"]: row["n"] for row in lines} == dict.fromkeys(incentives, 1)
    assert await town.fetch("SELECT code FROM cases WHERE code = 'contradiction'") == []
    await town.check()
