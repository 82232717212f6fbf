"""Statements of the real partners that cut our references: what was paid is called absent at none of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from contracts.payout import PayoutState
from gateway.services.reconciliation.statements import Statements
from gateway.settings import Waits
from tests.gateway.payouts.city import City, open_city
from tests.sim.partners import PartnerSide

S = PayoutState
MOVES = ("transfer-intrabank", "emoney/topup", "emoney/topup.htm", "cashin/confirm", "payouts/approve")
LOOKUPS = ("status", "cashin/check", "iris/api/v1/payouts/")
HOUR = 3_600.0


def cut(side: PartnerSide, signs: int) -> None:
    """From now on its statement shows so much of our references, and numbers that it did not tell us."""
    whole = side.world.booked_on

    def shown(day: date) -> list[Any]:
        return [
            replace(row, reference=row.reference[:signs], partner_reference=f"{n:06d}")
            for n, row in enumerate(whole(day))
        ]

    side.world.booked_on = shown  # type: ignore[method-assign]


async def test_what_a_statement_lists_under_a_cut_reference_is_not_paid_again(database: str) -> None:
    async with open_city(database, waits=Waits(absence_s=1_800.0, confirm_rejection_s=30.0)) as city:
        city.clock.advance(11.7 * HOUR)
        worker = city.worker()
        for slug in sorted(city.desks):
            await city.incentive(await city.person(slug))
        city.fate = lambda slug, target: "lost" if target.partition("?")[0].endswith(MOVES) else ""
        for slug in sorted(city.desks):
            await worker.tick_send(slug)
            await worker.tick_lookups(slug)
            await city.pass_time(5.0)
            await worker.tick_send(slug)
        booked = {slug: len(side.world.books) for slug, side in city.sides.items()}
        assert set(booked.values()) == {1}, "or nothing is shown here"
        for side in city.sides.values():
            cut(side, 14)
        city.fate = lambda slug, target: "refused" if any(word in target for word in LOOKUPS) else ""
        await followed(city, hours=54)
        assert {slug: len(side.world.books) for slug, side in city.sides.items()} == booked
        rows = await city.fetch(
            "SELECT p.partner, p.state, i.blocker FROM payouts p JOIN incentives i ON i.id = p.incentive"
        )
        assert {row["partner"]: (row["state"], row["blocker"]) for row in rows} == dict.fromkeys(
            city.desks, ("unknown", "outcome_unknown")
        )
        cases = await city.fetch(
            "SELECT partner FROM cases WHERE code = 'outcome_unknown' AND detail LIKE '%under another reference%'"
        )
        proving = {slug for slug, desk in city.desks.items() if desk.manifest.absence.by_lookup}
        assert {row["partner"] for row in cases} == proving, (
            "where nothing proves absence, nobody looks for a lookalike"
        )


async def followed(city: City, *, hours: int) -> None:
    """Everything that workers do for what has left, and what they would send."""
    worker, statements = city.worker("w2"), Statements(city.resources)
    for _ in range(hours):
        await city.pass_time(HOUR)
        await worker.tick_deadlines()
        await worker.tick_timers()
        for slug in sorted(city.desks):
            await worker.tick_lookups(slug)
            await statements.tick(slug)
            await worker.tick_send(slug)
