"""The town with the real adapters in front of the mock partners: in this process, on the town's own clock."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import httpx

from adapters.registry import PARTNERS
from contracts.linking import Grant
from gateway import tracing
from gateway.clock import jakarta_day
from gateway.demo.audit import Booking, Findings, audit
from gateway.demo.cohort import Cohort
from gateway.partners.desk import Desk
from gateway.partners.executor import Executor
from gateway.partners.tokens import Tokens
from gateway.partners.transport import Reply
from gateway.services.linking.links import Linking
from gateway.settings import Settings, Waits
from gateway.storage.base.database import Database
from mock_partners.kit.clock import Kind
from mock_partners.kit.http import Abort
from mock_partners.kit.notify import Notice
from mock_partners.kit.world import Account
from tests.contract.stage import credentials
from tests.gateway.payouts.fake import NOON, VirtualClock
from tests.gateway.payouts.ticks import Ticking
from tests.gateway.payouts.town import Quiet, Town, phone_of, town_settings
from tests.partners import each
from tests.sim.chance import PROFILES, Chance
from tests.sim.manners import DriftingClock, Manners
from tests.sim.partners import MOCKS, PartnerSide

_STORIES = each("story")
LATE_S = 800.0
"""A request is never on its way for longer: partners take no X-TIMESTAMP older than 900 s (decisions X6)."""
_HOST = "http://{}.mock"
_NOBODY = Cohort(incentives=Path(), world=Path(), people=(), rows=(), has_expectations=False)
Fate = Callable[[str, str], str]
"""Told the partner and the target of a request: what happens to it, one of `TROUBLES` or nothing."""
TROUBLES = ("refused", "dropped", "late", "lost")
"""Never connected; sent and never arrived; arrived after its time-out; done, and the answer lost."""


class Wire:
    """The way to one mock: `gateway.partners.executor.Transport`."""

    def __init__(self, city: City, side: PartnerSide) -> None:
        self._city, self._side = city, side

    async def send(
        self, method: str, target: str, headers: Mapping[str, str], content: bytes, timeout_s: float, limit_bytes: int
    ) -> Reply:
        city, side = self._city, self._side
        named = {name.lower(): value for name, value in headers.items()}
        fate = city.fate(side.slug, target)
        city.happened[fate] += 1

        async def arrive() -> Reply | None:
            try:
                answer = await side.answer(method, target, named, content)
            except Abort:
                return None
            told = {name.lower(): value for name, value in answer.headers.items()}
            return Reply(answer.status, told, answer.body)

        if fate == "refused":
            raise httpx.ConnectError("refused")
        if fate == "late":

            async def later() -> None:
                await arrive()

            side.scheduler.after(city.rng.uniform(timeout_s, LATE_S), Kind.SCHEDULED, later)
        reply = None if fate in ("dropped", "late") else await arrive()
        if reply is None or fate == "lost":
            raise httpx.ReadTimeout("no answer")
        return reply


class City(Town):
    """Town, and what stands at the real partners' mocks."""

    def __init__(
        self, database: Database, settings: Settings, clock: VirtualClock, *, seed: int = 1, forgets: bool = False
    ) -> None:
        super().__init__(database, settings, clock)
        self.rng = random.Random(f"city {seed}")
        self.fate: Fate = lambda slug, target: ""
        self.happened: Counter[str] = Counter()
        machine, calm = DriftingClock(clock.monotonic), Manners(Chance(seed, PROFILES["calm"]))
        self.sides = {
            slug: PartnerSide(
                slug, seed, machine, self._nap, _undelivered, calm, forgets=forgets and not partner.manifest.two_step
            )
            for slug, partner in PARTNERS.items()
        }
        for slug, partner in PARTNERS.items():
            wire = Wire(self, self.sides[slug])
            self.desks[slug] = Desk(
                partner,
                credentials=credentials(partner, MOCKS[slug].CREDENTIALS["credentials"]),
                hosts=dict.fromkeys(partner.manifest.hosts, _HOST.format(slug)),
                executor=Executor(slug, dict.fromkeys(partner.manifest.hosts, wire), clock, tracing.traced(Quiet())),
                tokens=Tokens(None, self.vault, clock),
                clock=clock,
                waits=settings.waits,
                entropy=self.rng,
            )

    def worker(self, name: str = "w1", *, grouped: bool = True) -> Ticking:
        """A worker's payout service, over the real linking service."""
        return Ticking(self.resources, Linking(self.resources), worker=name, grouped=grouped)

    def account(self, slug: str, n: int) -> str:
        """The n-th person's account, which the mock knows from now on."""
        phone, number = phone_of(n), self._number(slug, n)
        self.sides[slug].world.accounts[number] = Account(
            partner=slug, account=number, phone=phone, holder_name=f"NAME {n}", nik_on_file="", kyc="full",
            status="active",
        )  # fmt: skip
        return number

    def _number(self, slug: str, n: int) -> str:
        return phone_of(n) if PARTNERS[slug].manifest.account_is_phone else f"{7_000_000_000 + n * 618_033_989 % 10**9}"

    def grant(self, slug: str, n: int) -> Grant:
        """The n-th person's consent, as the mock would have given it after its pages."""
        world = self.sides[slug].world
        given: Grant = _STORIES[slug].grant(world, world.accounts[self._number(slug, n)], n, self.rng)
        return given

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, and what the partners have to do in it happen in its order."""
        until = self.clock.monotonic() + seconds
        for _ in range(1_000_000):
            due_s, _, side = min(
                (side.scheduler.next_due_s() or float("inf"), slug, side) for slug, side in self.sides.items()
            )
            if due_s > until:
                break
            self.clock.advance(max(0.0, due_s - self.clock.monotonic()) + 0.001)  # clocks count microseconds
            item = side.scheduler.take()
            if item is not None:
                await side.scheduler.run(item)
        else:
            raise AssertionError("the partners' schedules do not end")
        self.clock.advance(max(0.0, until - self.clock.monotonic()))

    def bookings(self) -> list[Booking]:
        """The mocks' own books."""
        return [
            Booking(slug, line.reference, line.amount_rupiah, line.kind.value, line.booked_at)
            for slug, side in self.sides.items()
            for line in side.world.books
        ]

    async def audit(self) -> Findings:
        """The demonstration's audit of the books against each other."""
        url = self.settings.database_url.reveal()
        return await audit(url, self.bookings(), _NOBODY, today=jakarta_day(self.clock.now()))

    async def check(self) -> None:
        """What must hold at every moment, at the mocks' books too."""
        await super().check()
        times = Counter((one.partner, one.reference) for one in self.bookings() if one.kind == "credit")
        assert max(times.values(), default=0) <= 1, "one reference credited twice"

    async def _nap(self, until_s: float) -> None:
        self.clock.advance(max(0.0, until_s - self.clock.monotonic()))


async def _undelivered(url: str, notice: Notice) -> int:
    """Notifications are taken and lost: look-ups and statements must do without them."""
    return 200


@asynccontextmanager
async def open_city(
    dsn: str, *, seed: int = 1, start: datetime = NOON, waits: Waits | None = None, forgets: bool = False
) -> AsyncIterator[City]:
    """A city in a fresh database."""
    database = await Database.open(dsn, size=8)
    city = City(database, town_settings(dsn, waits=waits), VirtualClock(start), seed=seed, forgets=forgets)
    try:
        yield city
    finally:
        await city.database.close()
