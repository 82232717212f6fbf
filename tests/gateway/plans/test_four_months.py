"""Four months of a plan on virtual time, with the real adapters in front of the mock partners: every right ends paid
once, or with a reason for which it is not.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

from contracts.payment_plan import Instalment, PaymentPlan
from gateway.clock import jakarta_day
from gateway.security import places
from gateway.security.clients import register
from gateway.security.sealed import seal_grant
from gateway.services.intake.batches import Decision
from gateway.services.intake.entitlements import Entitlements
from gateway.services.intake.incentives import Incentives
from gateway.services.intake.plan_items import Completion, ItemOutcome, Person
from gateway.services.intake.plans import Plans
from gateway.services.intake.programmes import Programmes
from tests.gateway.api.kit import nik
from tests.gateway.payouts.city import City, open_city
from tests.gateway.payouts.town import phone_of

START = datetime(2026, 9, 28, 2, 0, tzinfo=UTC)  # a Monday morning in Jakarta
SLUGS = ("ovo", "bni", "linkaja")
PLAN = PaymentPlan(
    programme="prakerja-2026-1",
    name="four-months",
    most_participants=1_000,
    instalments=(
        *(
            Instalment(
                purpose="training", period=n + 1, amount_rupiah=600_000, due_after_months=n, due_after_days=3,
                deadline_after_days=20,
            )
            for n in range(4)
        ),
        Instalment(purpose="survey", period=1, amount_rupiah=50_000, after="survey-1", deadline_after_days=20),
    ),
    holidays=(date(2026, 10, 1), date(2026, 12, 25)),
)  # fmt: skip


class Office:
    """The core platform's side: the plan, its people, and what they finish."""

    def __init__(self, city: City) -> None:
        manifests = {slug: desk.manifest for slug, desk in city.desks.items()}
        programmes = Programmes(city.database, city.clock)
        incentives = Incentives(city.database, city.clock, manifests)
        self.city, self.programmes = city, programmes
        self.plans = Plans(city.database, city.clock, programmes)
        self.entitlements = Entitlements(city.database, city.clock, city.vault, manifests, programmes, incentives)

    async def open(self) -> str:
        """Register who acts, and have the plan approved; its id."""
        for name, scopes in (("core", ["batches"]), ("ann", ["batches:approve"]), ("bob", ["batches:approve"])):
            await register(self.city.database, self.city.clock.now(), name=name, scopes=scopes)
        await self.programmes.register("prakerja-2026-1", ["training", "survey"], "tests")
        made = await self.plans.propose("core", PLAN)
        for approver in ("ann", "bob"):
            await self.plans.decide(approver, made.row.id, Decision.APPROVE, made.row.content_root)
        return made.row.id

    def person(self, n: int) -> Person:
        """Somebody whose account stands at a mock."""
        slug = SLUGS[n % len(SLUGS)]
        return Person(
            participant_id=f"P{n:05d}", nik=nik(n), full_name=f"NAME {n}", phone=phone_of(n), partner=slug,
            account=self.city.account(slug, n),
        )  # fmt: skip

    async def link(self, person: Person, n: int) -> None:
        """The account is linked and its NIK verified, as the partner's pages and its check would have left it."""
        city, now, link = self.city, self.city.clock.now(), f"L{n:05d}"
        await city.execute(
            "INSERT INTO links (id, participant, client_id, partner, account_index, account_sealed, state, return_url,"
            " grant_sealed, created_at, updated_at) SELECT $1, id, 'core', partner, account_index, $3, 'active',"
            " 'https://core.example/', $4, $5, $5 FROM participants WHERE participant_id = $2",
            link,
            person.participant_id,
            city.vault.seal(places.link_account(link), person.account),
            seal_grant(city.vault, link, city.grant(person.partner, n)),
            now,
        )
        await city.execute(
            "UPDATE participants SET link_id = $2, link_active = true, verified = true, verified_until = $3,"
            " standing = NULL, facts_at = $4 WHERE participant_id = $1",
            person.participant_id,
            link,
            now + timedelta(days=400),
            now,
        )


async def _a_day(city: City, worker: Any, statements: Any) -> None:
    """One morning's work, as often as there is any; then the rest of the day."""
    today = jakarta_day(city.clock.now())
    for _ in range(6):
        (there,) = await city.fetch(
            "SELECT count(*) AS is FROM incentives WHERE payout = 'open' OR payout IS NULL AND NOT past_deadline"
            " AND (stage = 'scheduled' AND due_on <= $1 OR deadline_on < $1)",
            today,
        )
        if not there["is"]:
            break
        await worker.tick_deadlines(10_000)
        await worker.tick_timers()
        busy = 0
        for slug in SLUGS:
            busy += await worker.tick_send(slug) + await worker.tick_lookups(slug)
            await worker.tick_unpayable(slug)
            await statements.tick(slug)
        await city.pass_time(90.0)
        if not busy:
            break
    await city.pass_time(86_400.0 - (city.clock.now() - START).total_seconds() % 86_400.0)


async def test_every_right_ends_paid_once_or_with_a_reason(database: str, long: bool) -> None:
    people = 1_000 if long else 40
    async with open_city(database, start=START) as city:
        office = Office(city)
        plan_id = await office.open()
        persons = [office.person(n) for n in range(people)]
        made = await office.entitlements.entitle("core", plan_id, persons)
        assert {item.outcome for item in made} == {ItemOutcome.MADE}
        for n, person in enumerate(persons):
            if n % 10 != 3:  # who never links
                await office.link(person, n)
        lucky = city.rng
        city.fate = lambda slug, target: "lost" if lucky.random() < 0.03 else ""
        worker, statements = city.worker(), city.statements()
        finished: dict[int, date] = {}
        for day in range(135):
            today = jakarta_day(city.clock.now())
            for n in [n for n in range(people) if n % 9 == day % 9 and day < 9 and n % 10 != 7]:  # 7: never finishes
                finished[n] = today
            notices = [Completion(participant_id=persons[n].participant_id, finished_on=finished[n]) for n in finished]
            if notices and day < 12:  # all of them again and again
                await office.entitlements.complete("core", plan_id, notices)
            if day == 30:
                surveys = [
                    Completion(participant_id=persons[n].participant_id, finished_on=today, notice="survey-1")
                    for n in sorted(finished)[::2]
                ]
                taken = await office.entitlements.complete("core", plan_id, surveys)
                assert {item.outcome for item in taken} == {ItemOutcome.MADE}
            await _a_day(city, worker, statements)
        rows = await city.fetch(
            "SELECT participant_id, purpose, period, stage, blocker, amount_rupiah, due_on FROM incentives"
        )
        rights = Counter((row["participant_id"], row["purpose"], row["period"]) for row in rows)
        assert set(rights.values()) == {1} and len(rights) == 4 * len(finished) + len(sorted(finished)[::2])
        ends = Counter((row["stage"], row["blocker"]) for row in rows)
        unlinked = {person.participant_id for n, person in enumerate(persons) if n % 10 == 3}
        assert set(ends) == {("paid", None), ("returned", "deadline_passed")}, ends
        assert all((row["stage"] == "paid") == (row["participant_id"] not in unlinked) for row in rows)
        booked = Counter(one.reference for one in city.bookings() if one.kind == "credit")
        assert set(booked.values()) == {1} and len(booked) == ends["paid", None]
        assert sum(one.amount_rupiah for one in city.bookings()) == sum(
            row["amount_rupiah"] for row in rows if row["stage"] == "paid"
        )
        assert all(row["due_on"].weekday() < 5 and row["due_on"] not in PLAN.holidays for row in rows)
        found = await city.audit()
        assert found.audit.clean(), found.audit
