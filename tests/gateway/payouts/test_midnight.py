"""Payouts until midnight in Jakarta, at mocks that forget then which references they have booked: none is paid twice.

Resends, look-ups, bookings that land late and answers that were lost all cross 00:00; so does GoPay's purge of its
keys, at 00:00 UTC. The adapters, the mocks, PostgreSQL and the audit are the real ones; only the clock is not.
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta

from adapters.registry import PARTNERS
from gateway.clock import JAKARTA
from gateway.services.reconciliation.statements import Statements
from tests.gateway.payouts.city import TROUBLES, City, open_city
from tests.partners import each

EVENING = datetime(2026, 11, 24, 22, 8, tzinfo=JAKARTA)
"""Tokens live for a quarter of an hour: from here on they are renewed some minutes before midnight, not at it."""
MIDNIGHT = EVENING + timedelta(minutes=112)
WAVES = ((0, 20), (95, 112))
"""Minutes in which payouts are sent: early enough to be sent again on the same day, and at its very end."""
PEOPLE, PEOPLE_LONG = 40, 500
INSTALMENTS, INSTALMENTS_LONG = 5, 20
TROUBLE = 0.25
"""The part of all requests that something happens to, for four hours around midnight."""
LATE = (*TROUBLES, "late", "late", "late", "late")
"""What it is in the second wave: most of it arrives after its time-out, and much of that after midnight."""


async def due(city: City, people: int, instalments: int) -> int:
    """So many incentives, all due."""
    slugs = sorted(city.desks)
    for n in range(people):
        person = await city.person(slugs[n % len(slugs)])
        for period in range(instalments):
            await city.incentive(person, amount=10_000, period=str(period))
    return people * instalments


async def across_midnight(city: City, rng: random.Random, payouts: int) -> None:
    """From the evening until two hours after midnight."""
    worker, statements = city.worker(), Statements(city.resources)
    minutes = sum(last - first for first, last in WAVES)
    a_minute = payouts / len(city.desks) / minutes
    while (minute := (city.clock.now() - EVENING) / timedelta(minutes=1)) < 240:
        sending = any(first <= minute < last for first, last in WAVES)
        for slug in sorted(city.desks):
            limit = int(a_minute) + (rng.random() < a_minute % 1)
            if limit and sending:
                await worker.tick_send(slug, limit)
            await worker.tick_lookups(slug, 500)
            await statements.tick(slug)
        await worker.tick_deadlines()
        await city.pass_time(60.0 if sending or 110 < minute < 130 else 300.0)
    await city.check()


async def test_retries_across_midnight_pay_nobody_twice(database: str, long: bool) -> None:
    people, instalments = (PEOPLE_LONG, INSTALMENTS_LONG) if long else (PEOPLE, INSTALMENTS)
    rng = random.Random("midnight")
    async with open_city(database, start=EVENING, forgets=True) as city:
        payouts = await due(city, people, instalments)

        def fate(slug: str, target: str) -> str:
            late = city.clock.now() > EVENING + timedelta(minutes=WAVES[1][0])
            return rng.choice(LATE if late else TROUBLES) if rng.random() < TROUBLE else ""

        city.fate = fate
        await across_midnight(city, rng, payouts)
        city.fate = lambda slug, target: ""
        await city.drive(city.worker("next day"), Statements(city.resources), hours=40, step_s=3_600)

        found = await city.audit()
        assert found.audit.clean(), found.audit
        stands = Counter(row["stage"] for row in await city.fetch("SELECT stage FROM incentives"))
        assert stands == {"paid": payouts}
        assert len(city.bookings()) == payouts, "one credit for each, and nothing else"
        sent = {row["reference"]: row for row in await city.fetch("SELECT * FROM payouts")}
        met = {
            "sent again": sum(row["attempt"] > 1 for row in sent.values()),
            "sent before midnight, booked after": sum(
                sent[one.reference or ""]["sent_at"] < MIDNIGHT <= one.booked_at for one in city.bookings()
            ),
            "in doubt at midnight": sum(
                row["sent_at"] < MIDNIGHT < row["ended_at"] for row in sent.values() if row["sent_at"] is not None
            ),
            "on no statement, so paid anew": sum(row["state"] == "rejected" for row in sent.values()),
        }
        print(f"{payouts} payouts; requests: {dict(city.happened)}; payouts: {met}")
        assert all(met.values()), met


async def test_the_mocks_do_forget_at_midnight(database: str) -> None:
    """Or the night proves nothing: the same reference, sent on both sides of midnight, is booked twice."""
    stories = each("story")
    async with open_city(database, start=EVENING, forgets=True) as city:
        worker = city.worker()
        for slug, partner in PARTNERS.items():
            if partner.manifest.two_step:
                continue
            await city.due(slug, amount=10_000)
            (leased,) = await worker.claim(slug, 1)
            order, desk = worker.order(leased), city.desks[slug]
            credits_ = []
            for _ in range(3):
                await desk.run("payout", lambda context: partner.payout(context, order), subject="x")  # noqa: B023
                credits_.append(sum(one.reference == order.reference for one in city.bookings()))
                await city.pass_time(3_600.0)
            kept = getattr(stories[slug], "KEEPS_REFERENCES", False)
            assert credits_ == ([1, 1, 1] if kept else [1, 1, 2]), slug
            city.clock.go_to(city.clock.now() + timedelta(hours=21))
