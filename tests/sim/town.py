"""One seed's whole world: clock, store, partners, gateway processes, people, and the trace of what they did."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime

import asyncpg
import msgspec

from adapters.registry import PARTNERS
from contracts.secret import Secret
from gateway.clock import JAKARTA
from gateway.partners.desk import Desk
from gateway.partners.executor import Executor
from gateway.partners.tokens import Tokens
from gateway.resources import Resources
from gateway.security import places
from gateway.security.vault import Vault
from gateway.settings import Settings, Waits
from gateway.storage.base.database import Connection
from gateway.storage.base.timeline import Timeline
from mock_partners.gopay.credentials import NEXT_MERCHANT_KEY
from tests.gateway.cache import Cache
from tests.gateway.payouts.town import Quiet
from tests.sim import snapshot
from tests.sim.baton import Actor, Baton, Crash
from tests.sim.chance import Chance, Profile
from tests.sim.clock import TIMERS, VirtualClock
from tests.sim.cohort import Person
from tests.sim.crowd import Crowd
from tests.sim.manners import SPARSE, Manners
from tests.sim.partners import MOCKS, PUBLIC, PartnerSide
from tests.sim.process import Process, Services
from tests.sim.restore import Forgotten, Restore
from tests.sim.snapshot import Incentive, Snapshot
from tests.sim.store import FaultyDatabase, Store
from tests.sim.wire import Line, Post

PROCESSES = ("worker-1", "worker-2", "web-1", "web-2")
SWEEP_S = 43_200.0
MASTER_KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="  # protects nothing
STALLS_S = (1.0, 8.0, 40.0, 200.0, 1_000.0, 6_000.0, 40_000.0)
COMMIT_FAULTS = {"fails": 2, "unheard": 2, "dies before": 3, "dies after": 3}
STATEMENT_FAULTS = {"unheard": 2, "dies after": 3}
"""Where a statement commits by itself there is nothing between it and its commit."""


class Town:
    """Everything of one seed."""

    accidents = (asyncpg.PostgresConnectionError,)
    """What the simulated infrastructure raises, and services may let through."""

    def __init__(
        self,
        seed: int,
        chance: Chance,
        store: Store,
        observer: asyncpg.Connection[asyncpg.Record],
        crowd: Crowd | None = None,
    ) -> None:
        self.seed, self.chance, self.store, self.crowd = seed, chance, store, crowd
        self.profile: Profile = chance.profile
        self.manners = Manners(chance)
        self.observer = observer
        setup = chance.stream("setup")
        self.quiet = random.Random(0)
        hour = setup.choice([21.0, 22.5, 23.0, 23.5, 23.9, setup.uniform(0, 24)])
        start = datetime(2026, setup.randrange(1, 13), setup.randrange(1, 29), tzinfo=JAKARTA)
        self.now_s = round(start.timestamp() + hour * 3600, 3)
        self.resends = setup.random() < 0.6
        """Whether this installation has acted all the time on absence that is only assumed."""
        self.forgets = setup.random() < 0.3
        self.baton = Baton()
        self.cache = Cache()
        self.notices_lost = self.notices_late = self.deposit_was_short = False
        self.lists_damaged = 0
        self.settled: set[int] = set()
        """Payouts about which two people brought and confirmed the partner's document."""
        self.cancelled: set[int] = set()
        self.revoked: set[str] = set()
        """Who ended a link in the partner's own app."""
        self.left: set[tuple[int, str, float | None]] = set()
        """Requests that have left, by payout, kind and attempt."""
        self.restore = Restore()
        self.forgotten: dict[tuple[str, str], Forgotten] = {}
        """By partner and reference, payouts that were made before the store was put back."""
        self.loose: set[str] = set()
        """References and numbers under which something may still be on its way from before."""
        self.survivors: set[Actor] = set()
        """Actors that were under way then, and live on."""
        self.doomed: list[Actor] = []
        """Actors whose process has died while they waited."""
        self.tried_s: dict[tuple[str, str], float] = {}
        """When a partner's stage was last fed, or its brake looked after."""
        self.resumed_s: dict[str, float] = {}
        """When an operator let a partner be fed again."""
        self.moved_s = 0.0
        """When anything but a hold changed in the store."""
        self.waits_s: dict[str, float] = {}
        """Since when somebody waits at a partner who could be paid."""
        self.statements_s: dict[str, float] = {}
        """When each partner's statements were last asked for."""
        self.sweep_s = 4 * 86_400.0 if SPARSE in self.manners or crowd is not None else SWEEP_S
        self.violations: list[str] = []
        self.lines: list[str] = []
        self._hash = hashlib.sha256()
        self.text = ""
        self.dirty = True
        self._reader = snapshot.Reader()
        self.state = Snapshot()
        self.restless: list[Incentive] = []
        self.restless_for: tuple[object, ...] = ()
        """Kept by `rules.restless`, and what it was found for."""
        self.turns = 0
        self.people: list[Person] = []
        self._vault = Vault(Secret(MASTER_KEY).reveal().encode()[:32])
        self._clock = VirtualClock(self)
        post = Post(self)
        self.sides = {
            slug: PartnerSide(
                slug, seed, self.manners.clock(lambda: self.now_s), self.baton.rest, post, self.manners,
                forgets=self.forgets,
            )
            for slug in MOCKS
        }  # fmt: skip
        self._settings = _settings(resends=self.resends)
        self.instances = {self._settings.instance}
        """All that processes were ever started with."""
        if crowd is not None:
            crowd.set_up(self)
        names = PROCESSES if crowd is None else PROCESSES[: crowd.processes]
        self.processes = [Process(self, name) for name in names]

    # --- gateway -------------------------------------------------------------------------------------------------

    def resources(self, process: Process) -> Resources:
        """What a process is built on: a cache and a store that it shares, and memory of its own."""
        entropy = self.chance.stream(f"entropy {process.name} {process.lives}")
        process.timeline = Timeline(sorted(PARTNERS))
        database = FaultyDatabase(
            self.store,
            before=lambda: self._before(process),
            commit=lambda *, alone: self._commit(process, COMMIT_FAULTS if alone else STATEMENT_FAULTS),
            after=lambda wrote: self._after(process, wrote),
            compare=lambda connection: self.compare(process, connection),
        )
        tokens = Tokens(self.cache, self._vault, self._clock)  # type: ignore[arg-type]
        desks = {
            slug: Desk(
                partner,
                credentials=self._settings.partners[slug],
                hosts=self._settings.hosts[slug],
                executor=Executor(
                    slug, dict.fromkeys(partner.manifest.hosts, Line(self, self.sides[slug])), self._clock, Quiet()
                ),
                tokens=tokens,
                clock=self._clock,
                waits=self._settings.waits,
                entropy=entropy,
            )
            for slug, partner in PARTNERS.items()
        }
        return Resources(
            settings=self._settings,
            clock=self._clock,
            database=database,
            redis=self.cache,  # type: ignore[arg-type]
            vault=self._vault,
            desks=desks,
            entropy=entropy,
        )

    def configure(self, rng: random.Random) -> str:
        """Change the installation's settings, for whoever is started from now on; which of them."""
        now = self._settings
        what = rng.choice(("instance", "resend_on_assumed_absence", "verdict_life_s", "waits"))
        changed: dict[str, object] = {
            "instance": f"{(int(now.instance) + 1) % 100:02d}",
            "resend_on_assumed_absence": not now.resend_on_assumed_absence,
            "verdict_life_s": rng.choice((3 * 86_400.0, 90 * 86_400.0)),
            "waits": msgspec.structs.replace(
                now.waits,
                lookup_first_s=rng.choice((None, 20.0, 90.0)),
                confirm_rejection_s=rng.choice((None, 60.0)),
                verification_retry_s=rng.choice((None, 15.0)),
                link_life_s=rng.choice((300.0, 900.0)),
            ),
        }
        self._settings = msgspec.structs.replace(now, **{what: changed[what]})
        self.instances.add(self._settings.instance)
        self.resends = self.resends and self._settings.resend_on_assumed_absence
        return what

    def account_index(self, partner: str, account: str) -> str:
        """What the store has in place of an account."""
        return self._vault.index(places.account_index(partner), account).hex()

    def trouble_until_s(self, slug: str) -> float:
        """Until when a partner is down, or wrong about many people."""
        wrong = self.crowd.until_s if self.crowd is not None and self.crowd.partner == slug else None
        return max(self.sides[slug].down_until_s, wrong or 0.0)

    def free(self) -> list[Process]:
        """Processes that nobody works in: each does one thing at a time."""
        return [process for process in self.processes if not process.busy]

    @asynccontextmanager
    async def request(self) -> AsyncIterator[Services]:
        """One of the processes, for the time of a request; raises `Crash` when it dies under it."""
        actor = self.baton.actor
        assert actor is not None
        while not self.free():
            await self.baton.rest(self.now_s + 0.05)
        process = self.chance.pick(self.free())
        process.busy, actor.process = True, process
        try:
            yield process.services
        except Crash:
            self.trace(f"crash {process.name}")
            process.restart()
            raise
        finally:
            process.busy, actor.process = False, None

    def _death(self) -> Crash:
        """The process that the actor is in dies."""
        actor = self.baton.actor
        assert actor is not None
        actor.dead = actor.within
        return Crash()

    async def _before(self, process: Process) -> None:
        await self.point("begin")
        if self.chance.fault("begin", self.profile.commit / 4, {"no database": 1}) is not None:
            self.trace(f"no database for {process.name}")
            raise asyncpg.ConnectionDoesNotExistError("the database cannot be reached")

    async def _commit(self, process: Process, kinds: dict[str, int]) -> str | None:
        fault = self.chance.fault("commit", self.profile.commit, kinds)
        kind = fault[0] if fault is not None else None
        if kind or kinds is COMMIT_FAULTS:
            self.trace(f"commit {process.name}" + (f" fault: {kind}" if kind else ""))
        if kind == "dies before":
            raise self._death()
        process.dies_after_commit = kind == "dies after"
        return kind

    async def _after(self, process: Process, wrote: bool) -> None:
        if wrote:
            self.dirty = True
            await self.look()
        if process.dies_after_commit:
            raise self._death()
        await self.point("committed")

    async def compare(self, process: Process, connection: Connection) -> None:
        """A process compares the store with what it remembers, and with what the cache does."""
        await process.timeline.compare(connection)
        await process.timeline.remember(self.cache, connection)  # type: ignore[arg-type]
        self.dirty = True
        self.store.stale |= snapshot.SHOWN

    def cache_knows(self) -> bool:
        """Whether a process that begins anew would hear that more was committed than the store knows."""
        return not self.cache.down and any(name.startswith("timeline:") for name in self.cache.values)

    async def point(self, name: str) -> None:
        """Here others may go on first, the process may stand still, or die."""
        actor = self.baton.actor
        if actor is None:
            return
        if actor.dead:
            raise Crash
        profile = self.profile
        if name.startswith(("send ", "receive ", "committed")) and actor.process is not None:
            chances = {"crash": profile.crash, "stall": profile.stall}
            fault = self.chance.fault(
                f"{actor.name} {name}", sum(chances.values()), {k: round(v * 1000) for k, v in chances.items()}
            )
            if fault is not None:
                kind, rng = fault
                self.trace(f"  {kind} at {name}")
                if kind == "crash":
                    raise self._death()
                actor.stalled = True
                await self.baton.rest(self.now_s + rng.choice(STALLS_S))
                actor.stalled = False
                self._ring(name)
                return
        if len(self.baton.actors) > 1 and self.chance.order.random() < profile.switch:
            await self.baton.rest()

    def _ring(self, name: str) -> None:
        """The process goes on after a standstill: a timer that is over may go first."""
        for timer in TIMERS.get():
            over = self.now_s > timer.until_s and not timer.fired
            if over and self.chance.fault(f"timer at {name}", 0.6, {"the timer goes first": 1}) is not None:
                self.trace(f"  a timer goes first at {name}")
                timer.fired = True
                raise asyncio.CancelledError

    # --- time and trace --------------------------------------------------------------------------------------------

    def pass_s(self, seconds: float) -> None:
        """Time goes by."""
        self.now_s = round(self.now_s + seconds, 3)

    def local(self) -> datetime:
        """The moment in Jakarta."""
        return datetime.fromtimestamp(self.now_s, JAKARTA)

    def trace(self, line: str, *content: str | bytes) -> None:
        """One event; `content` goes into its fingerprint only."""
        actor = self.baton.actor
        digest = hashlib.sha256()
        for part in content:
            digest.update(part.encode() if isinstance(part, str) else part)
        mark = f" {digest.hexdigest()[:8]}" if content else ""
        text = f"{self.local():%d %H:%M:%S.%f} {actor.name if actor else '-'}: {line}{mark}"
        self.lines.append(text)
        self._hash.update(text.encode() + b"\n")

    @property
    def fingerprint(self) -> str:
        """Of the whole trace."""
        return self._hash.hexdigest()

    def bad(self, what: str) -> None:
        """A rule is broken."""
        self.violations.append(what)
        self.trace(f"BAD {what}")

    async def look(self) -> None:
        """Read the store if it may have changed; what did goes into the trace, and the rules are checked."""
        if not self.dirty:
            return
        self.dirty = False
        stale, self.store.stale = self.store.stale, set()
        text, state = await self._reader.read(self.observer, stale)
        if text == self.text:
            return
        for line in snapshot.changes(self.state, state):
            self.trace(f"  {line}")
        self.trace("state", text)
        fed = {one.partner for one in self.state.paused} - {one.partner for one in state.paused}
        self.resumed_s |= dict.fromkeys(fed, self.now_s)
        if snapshot.moved(self.state, state):
            self.moved_s = self.now_s
        self.text, self.state = text, state
        from tests.sim.rules import broken

        for what in broken(self):
            self.bad(what)

    def books(self) -> Iterable[tuple[str, str, int, str, str]]:
        """Every booking of every partner: partner, our reference, rupiah, kind, account."""
        for slug, side in self.sides.items():
            for line in side.world.books:
                yield slug, line.reference, line.amount_rupiah, line.kind.value, line.account


def _settings(*, resends: bool) -> Settings:
    credentials = {}
    for slug, partner in PARTNERS.items():
        given = MOCKS[slug].CREDENTIALS["credentials"]
        credentials[slug] = {
            name: Secret(given.get(name, credential.default))
            for name, credential in partner.manifest.credentials.items()
        }
    both = " ".join((credentials["gopay"]["iris_merchant_key"].reveal(), NEXT_MERCHANT_KEY))
    credentials["gopay"]["iris_merchant_key"] = Secret(both)  # Midtrans is changing over
    return Settings(
        database_url=Secret("unused"),
        redis_url=Secret("unused"),
        master_key=Secret(MASTER_KEY),
        public_url=PUBLIC,
        resend_on_assumed_absence=resends,
        waits=Waits(statement_sweep_s=SWEEP_S),
        partners=credentials,
        hosts={
            slug: dict.fromkeys(partner.manifest.hosts, f"http://{slug}.mock") for slug, partner in PARTNERS.items()
        },
    )
