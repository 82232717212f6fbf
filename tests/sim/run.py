"""One seed, from its setup to its verdict."""

from __future__ import annotations

import time
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from unittest.mock import patch

import asyncpg
import httpx
import msgspec
import structlog

from contracts.errors import GatewayError
from gateway.services.reconciliation import recovery
from gateway.storage.intake import programmes
from tests.sim import bounds, brake, people, restore, rules
from tests.sim import crowd as crowds
from tests.sim.baton import Actor, Crash
from tests.sim.chance import PROFILES, Chance
from tests.sim.cohort import SPREAD_DAYS, make, make_crowd
from tests.sim.consumer import compare
from tests.sim.crowd import CROWDED, Around
from tests.sim.fate import happen, plan
from tests.sim.manners import SPARSE
from tests.sim.process import Process
from tests.sim.store import Store
from tests.sim.town import SWEEP_S, Town
from tests.sim.work import NEVER_S, Chore, Idle, chores

MOST_ACTORS = 4
_IDLE_S = (1.0, 5.0, 30.0, 120.0, 600.0, 1_800.0)


class Result(msgspec.Struct, kw_only=True):
    """What came of one seed."""

    seed: int
    profile: str
    violations: list[str]
    fingerprint: str
    events: int
    faults: list[str]
    incentives: int
    paid: int
    days: float
    seconds: float
    trace: list[str] = []

    @property
    def ok(self) -> bool:
        return not self.violations


def profile_of(seed: int) -> str:
    """Which profile a seed has by itself."""
    names = list(PROFILES)
    return names[(seed * 7 + seed // 4) % len(names)]


async def run(
    seed: int, store: Store, *, profile: str | None = None, only: frozenset[str] | None = None, keep: bool = False
) -> Result:
    """Play one seed; `only`: of the faults drawn no others happen; `keep`: return the trace even if all is well. As
    `profile` also a crowd of equal answers (`CROWDED`).
    """
    began = time.perf_counter()
    crowd = crowds.drawn(seed) if profile == CROWDED.name else None
    chosen = CROWDED if crowd is not None else PROFILES[profile or profile_of(seed)]
    await store.empty()
    observer = await store.connection()
    town = Town(seed, Chance(seed, chosen, only), store, observer, crowd)
    structlog.configure(processors=[_listener(town)], cache_logger_on_first_use=False)
    client = people.client_of(town)
    start_s = town.now_s
    try:
        with patch.object(recovery, "LOOKUPS_AT_ONCE", 1):  # one baton an actor: tasks of its own have no order
            await _Run(town, client, observer).play()
    except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to this seed
        place = traceback.extract_tb(error.__traceback__)[-1]
        town.bad(f"{type(error).__name__} {error} at {Path(place.filename).name}:{place.lineno}")
    finally:
        await town.baton.close()
        await client.aclose()
        structlog.reset_defaults()
        store.give_back(observer)
    return Result(
        seed=seed,
        profile=chosen.name,
        violations=town.violations,
        fingerprint=town.fingerprint,
        events=len(town.lines),
        faults=town.chance.drawn,
        incentives=len(town.state.incentives),
        paid=sum(i.stage == "paid" for i in town.state.incentives),
        days=round((town.now_s - start_s) / 86_400, 2),
        seconds=time.perf_counter() - began,
        trace=town.lines if keep or town.violations else [],
    )


def _listener(town: Town) -> Callable[..., object]:
    """A row that a tick gave up on is a finding, unless the simulated infrastructure broke under it."""
    expected = {error.__name__ for error in _all(asyncpg.PostgresConnectionError)}

    def listen(_logger: object, _method: str, event: structlog.typing.EventDict) -> str:
        forgotten = event.get("error") == "NotFound" and town.baton.actor in town.survivors
        if event.get("event") == "tick_row_failed" and event.get("error") not in expected and not forgotten:
            town.bad(f"tick {event.get('tick')} gave up on a row: {event.get('error')}")
        raise structlog.DropEvent

    return listen


def _all(kind: type[BaseException]) -> set[type[BaseException]]:
    found = {kind}
    for below in kind.__subclasses__():
        found |= _all(below)
    return found


class _Run:
    """The scheduler: who goes on, what begins, when time passes."""

    def __init__(self, town: Town, client: httpx.AsyncClient, observer: asyncpg.Connection[asyncpg.Record]) -> None:
        self._town, self._client, self._observer = town, client, observer
        self._idle: dict[str, Idle] = {}
        """Chores that found nothing to do."""
        self._faulty_days, self._days = bounds.days(town)
        self._slept_s = 0.0
        self._around = None if town.crowd is None else Around(town, town.crowd)
        self._chores: list[Chore] = []
        self._chores_for: tuple[object, ...] = ()

    async def play(self) -> None:
        town = self._town
        await self._set_up()
        planned = plan(town)
        last = max(planned, default=0)
        while not town.violations:
            town.turns += 1
            if town.turns in planned and not town.chance.over:
                name, rng = planned.pop(town.turns)
                actor = happen(town, name, rng)
                if actor is not None:
                    town.baton.add(actor)
            if self._around is not None and (actor := self._around.turn(rests=self._rests())) is not None:
                town.baton.add(actor)
            calm = town.chance.over
            enough = len(town.lines) > bounds.FAULTS_UNTIL or town.now_s - self._start_s > self._faulty_days * 86_400
            if not calm and self._may_calm(enough=enough, planned=town.turns <= last):
                await self._calm_down()
            elif calm and self._rests():
                if not self._settle_doubts():
                    break
            elif calm and not town.baton.actors:
                self._slept_s += bounds.sleep_till_due(town)
            lived_s = town.now_s - self._start_s - self._slept_s
            if len(town.lines) > bounds.most_events(town, lived_s):
                town.bad(f"not at rest after {len(town.lines)} events: {self._restless()}")
            elif not await self._step():
                town.bad(f"nothing is due and not at rest: {self._restless()}")
            elif lived_s > self._days * 86_400:
                town.bad(f"not at rest after {self._days} days: {self._restless()}")
        if not town.violations:
            for what in [*rules.verdict(town), *brake.verdict(town), *await compare(town, self._observer)]:
                town.bad(what)

    def _may_calm(self, *, enough: bool, planned: bool) -> bool:
        """Whether nothing more is to go wrong."""
        if self._town.crowd is not None:
            return brake.is_over(self._town)
        return enough or (not planned and self._rests())

    async def _set_up(self) -> None:
        town = self._town
        self._start_s = town.now_s
        now = town.local()
        await self._observer.executemany(
            "INSERT INTO clients (id, name, secret_hash, scopes, return_urls, created_at)"
            " VALUES ($1, $1, '', '{}', $2, $3)",
            [(name, [people.HOME], now) for name in (people.CORE, *people.APPROVERS)],
        )
        await programmes.register(self._observer, "sim", ["training", "survey"], people.CORE, now)
        setup = town.chance.stream("people")
        spread = SPREAD_DAYS if SPARSE in town.manners else 2
        if town.crowd is not None:
            town.people, accounts = make_crowd(setup, town.crowd.size, town.crowd.partner, now.date())
        else:
            town.people, accounts = make(setup, sorted(town.sides), now.date(), spread)
        for account in accounts:
            town.sides[account.partner].world.accounts[account.account] = account
        town.baton.add(Actor("batch", lambda: people.hand_over(town)))

    def _settle_doubts(self) -> bool:
        """What nothing can find out any more, operators settle by documents; False: there is nothing of the kind."""
        doubts = rules.doubtful(self._town)
        for payout in doubts:
            self._town.baton.add(Actor(f"settle {payout.id}", lambda payout=payout: people.settle(self._town, payout)))
        return bool(doubts)

    def _rests(self) -> bool:
        town = self._town
        if town.baton.actors or not rules.at_rest(town):
            return False
        return not brake.restless(town, documents=bool(rules.doubtful(town)))

    def _restless(self) -> str:
        town = self._town
        rows = [f"{i.id} {i.stage} {i.blocker}" for i in rules.restless(town)] + brake.restless(town)
        return f"{rows}, {len(town.baton.actors)} under way, {len(town.state.notes)} notifications"

    async def _calm_down(self) -> None:
        """From here on nothing goes wrong any more, and everyone does what is theirs to do."""
        town = self._town
        town.chance.over = True
        if town.crowd is None:
            town.sweep_s = SWEEP_S  # a sparse run's rare sweeps would leave the end no events
        town.trace("the faults are over")
        town.cache.down = False
        for actor in town.baton.actors:
            actor.due_s = min(actor.due_s, town.now_s) if actor.stalled else actor.due_s
        for side in town.sides.values():
            side.down_until_s = 0.0
            side.world.deposit_rupiah = 10**12
        for person in town.people:
            person.visits, person.next_visit_s = 0, town.now_s
        town.baton.add(Actor("put up", lambda: people.put_up_lapsed(town)))  # whatever kept core from it before
        for paused in town.state.paused:
            if paused.by == "operator":
                town.baton.add(Actor("resume", lambda slug=paused.partner: people.resume(town, slug)))

    async def _step(self) -> bool:
        """One turn of one actor, or time passes; False: nothing is left to wait for."""
        town = self._town
        if town.doomed:
            actor = town.doomed.pop()
            if actor in town.baton.actors and actor.gate is not None:
                await self._turn(actor, Crash())
            return True
        ready = [actor for actor in town.baton.actors if actor.due_s <= town.now_s]
        waiting = self._beginnings()
        startable = [] if len(town.baton.actors) >= MOST_ACTORS else [w for w in waiting if w[0] <= town.now_s]
        if ready and (not startable or town.chance.order.random() < 0.6):
            await self._turn(town.chance.pick(ready))
            return True
        if startable:
            _, name, work = town.chance.pick(startable)
            actor = Actor(name, work)
            town.baton.add(actor)
            await self._turn(actor)
            return True
        dues = [actor.due_s for actor in town.baton.actors] + [due_s for due_s, _, _ in waiting]
        dues.append(brake.ends_s(town))
        next_s = min((due_s for due_s in dues if due_s > town.now_s), default=float("inf"))
        if next_s == float("inf"):
            return False
        town.now_s = round(next_s + 0.002, 3)
        return True

    async def _turn(self, actor: Actor, error: BaseException | None = None) -> None:
        town = self._town
        try:
            await town.baton.turn(actor, error)
        except Crash:
            return
        except town.accidents as problem:
            town.trace(f"{actor.name} ended with {type(problem).__name__}")
        except GatewayError as problem:
            what = f"{actor.name} ended with {type(problem).__name__}: {problem.detail}"
            town.trace(what) if actor in town.survivors else town.bad(what)
        await town.look()

    def _beginnings(self) -> list[tuple[float, str, Callable[[], Awaitable[None]]]]:
        """What could begin: workers' ticks, partners' own work, approvals, people."""
        town = self._town
        found: list[tuple[float, str, Callable[[], Awaitable[None]]]] = []
        for side in town.sides.values():
            due_s = side.scheduler.next_due_s()
            if due_s is not None:
                found.append((due_s, f"partner {side.slug}", lambda side=side: self._partner(side)))
        for batch in town.state.batches:
            if batch.state == "awaiting_approval":
                for approver in people.APPROVERS:
                    found.append(
                        self._held(
                            f"approve {approver}", 0.0, lambda a=approver, b=batch.id: people.approve(town, b, a)
                        )
                    )
        found += self._visits()
        for paused in town.state.paused:
            if town.chance.over and paused.by == "gateway":  # an operator has read the case
                name, slug = f"resume {paused.partner}", paused.partner
                found.append(self._held(name, 0.0, lambda slug=slug: people.resume(town, slug)))
        if town.restore.recovered and any(stray.told for stray in town.state.strays):  # one that turned up later
            found.append(self._held("settle strays", 0.0, lambda: restore.settle_late(town)))
        if town.free():
            found += [
                self._held(
                    chore.name,
                    chore.due_s,
                    lambda chore=chore: self._chore(chore),
                    chore.idle_most_s,
                    chore.once_changed_s,
                )
                for chore in self._due()
            ]
        return found

    def _due(self) -> list[Chore]:
        town = self._town
        key = (town.text, town.local().date(), *town.statements_s.values(), *town.tried_s.values(), brake.ends_s(town))
        if key != self._chores_for:
            self._chores_for = key
            self._chores = [chore for chore in chores(town) if chore.due_s < NEVER_S]
        return self._chores

    def _held(
        self,
        name: str,
        due_s: float,
        work: Callable[[], Awaitable[None]],
        idle_most_s: float = NEVER_S,
        once_changed_s: float = NEVER_S,
    ) -> tuple[float, str, Callable[[], Awaitable[None]]]:
        """Not so soon again if it found nothing to do the last time."""
        idle = self._idle.get(name)
        if idle is None:
            return due_s, name, self._minded(name, work, idle_most_s)
        wait_s = idle.wait_s
        if wait_s > once_changed_s and idle.found != self._to_go_by():
            wait_s = once_changed_s
        return max(due_s, idle.since_s + wait_s), name, self._minded(name, work, idle_most_s)

    def _to_go_by(self) -> tuple[object, ...]:
        """What tells whether there may be something to do."""
        return self._town.text, self._town.local().date(), brake.ends_s(self._town)

    def _minded(self, name: str, work: Callable[[], Awaitable[None]], most_s: float) -> Callable[[], Awaitable[None]]:
        async def minded() -> None:
            town, before = self._town, self._town.text
            times = self._idle[name].times if name in self._idle else 0
            self._idle[name] = Idle(town.now_s, 0.5, times, self._to_go_by())
            try:
                await work()
            finally:
                await town.look()
                times = 0 if town.text != before else times + 1
                wait_s = min(most_s, _IDLE_S[min(times - 1, len(_IDLE_S) - 1)]) if times else 0.0
                self._idle[name] = Idle(town.now_s, wait_s, times, self._to_go_by())

        return minded

    async def _partner(self, side: object) -> None:
        scheduler = side.scheduler  # type: ignore[attr-defined]
        item = scheduler.take()
        if item is not None:
            await scheduler.run(item)

    async def _chore(self, chore: Chore) -> None:
        town, actor = self._town, self._town.baton.actor
        assert actor is not None
        free = town.free()
        if not free:
            return
        process: Process = town.chance.pick(free)
        process.busy, actor.process, actor.within = True, process, True
        try:
            await chore.tick(process.services)
        except Crash:
            town.trace(f"crash {process.name}")
            process.restart()
            raise
        finally:
            process.busy, actor.process = False, None

    def _visits(self) -> list[tuple[float, str, Callable[[], Awaitable[None]]]]:
        town = self._town
        rows = {row.participant_id: row for row in town.state.participants}
        standing = {link.id: link.state for link in town.state.links}
        found = []
        for person in town.people:
            row = rows.get(person.participant_id)
            if row is None or person.visiting or not rules.may_come(person.visits, person.case):
                continue
            challenged = row.link_id is not None and standing.get(row.link_id) == "challenged"
            comes = row.standing is None or row.standing in rules.COMES_BACK or challenged
            if row.link_active or not (comes or brake.comes_again(town, person, row.standing, row.id)):
                continue
            found.append((person.next_visit_s, f"person {person.participant_id}", self._visit(person)))
        return found

    def _visit(self, person: people.Person) -> Callable[[], Awaitable[None]]:
        async def visit() -> None:
            person.visiting = True
            await people.Visit(self._town, person, self._client).run()

        return visit
