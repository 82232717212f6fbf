"""The worker's main: all loops of all partners, until told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import structlog

from contracts.hold import HoldStage
from gateway.core import Core, build_core
from gateway.partners.quota import Room
from gateway.resources import Resources, open_resources
from gateway.services.messages.delivery import Deliverer
from gateway.services.messages.post import Post
from gateway.services.messages.retention import Retention
from gateway.services.ops import silence
from gateway.services.ops.holds import REFRESH_S
from gateway.services.payouts import stops
from gateway.services.payouts.driver import Payouts
from gateway.services.reconciliation.daily import Daily
from gateway.services.reconciliation.statements import Statements
from gateway.settings import Settings
from gateway.storage.ops.due import Kind
from gateway.worker.dispatch import Dispatcher
from gateway.worker.due import ASK_S, Due
from gateway.worker.failing import TELL_S, Failing
from gateway.worker.lanes import Lanes
from gateway.worker.loops import Loop, Wake, Wakes
from gateway.worker.outage import Outages

POOL_SIZE = 16
DRAIN_S = 60.0
"""What is in flight when the worker is told to stop has ended by then, or is found by its deadline."""
SLOW_S, SLOWEST_S = 1.0, 4.0
"""How soon what is seldom due is looked for again, and how late where it was not found for a while."""
DAILY_S = 30.0
JUDGE_S = 30.0
"""How often batches are looked through for those most of whose people are refused."""
HOLDS = "holds"
"""The loop over the holds, and what wakes it (`storage.ops.holds.CHANNEL_NAME`)."""
STOPS, FAILING = "stops", "failing"
WHATEVER_THE_CLOCK = (STOPS, FAILING)
"""The loops that judge nothing by the time."""
LANES_A_SEAT = 2
"""Lanes for each payout that may be in flight: some are always waiting for a commit."""
_log = structlog.get_logger(__name__)


class Worker:
    """Everything one worker process runs."""

    def __init__(
        self,
        resources: Resources,
        payouts: Payouts,
        statements: Statements,
        others: Callable[[Outages], Sequence[Loop | Lanes[Any]]] = lambda _: (),
    ) -> None:
        settings = resources.settings
        self._on_time = resources.on_time
        self._wakes = Wakes(settings.database_url.reveal(), {stops.CHANNEL: payouts.stops})
        outages = Outages(resources, payouts.worker, self._wakes.event(HOLDS))
        self._loops: list[Loop | Lanes[Any]] = [
            Loop(STOPS, payouts.stops.poll, stops.POLL_S),
            Loop("deadlines", payouts.tick_deadlines, SLOW_S),
            Loop("timers", payouts.tick_timers, SLOW_S, SLOWEST_S),
            Loop(HOLDS, outages.tick, REFRESH_S),
            *others(outages),
        ]
        wakes = {(kind, slug): self._wakes.event(f"{kind.value}:{slug}") for slug in resources.desks for kind in Kind}
        self._loops.append(Loop("due", Due(resources.database, resources.clock, wakes).tick, ASK_S))
        failing = Failing(resources.database, resources.clock, self._wakes, payouts.worker)
        self._loops.append(Loop(FAILING, failing.tick, TELL_S))
        self._dispatchers: list[Dispatcher] = []
        for slug in resources.desks:
            self._loops += _partner_loops(
                payouts, statements, slug, _room(resources, slug, "payout.status"), settings.waits.statement_sweep_s
            )
            self._dispatchers.append(
                Dispatcher(
                    payouts,
                    slug,
                    lanes=LANES_A_SEAT * settings.max_in_flight,
                    room=_room(resources, slug, "payout."),
                    outage=outages.of(slug, HoldStage.PAYOUT),
                    wake=wakes[Kind.DISPATCH, slug],
                )
            )

    @property
    def sent(self) -> int:
        """Payouts taken to a partner so far."""
        return sum(dispatcher.sent for dispatcher in self._dispatchers)

    async def run(self, stopping: asyncio.Event) -> None:
        """Run until `stopping`; then finish what is in flight, within its time-outs."""
        wakes = self._asking()
        listening = asyncio.create_task(self._wakes.listen(stopping))
        tasks: list[asyncio.Task[None]] = [
            asyncio.create_task(loop.run(wakes[loop.name], stopping), name=loop.name) for loop in self._loops
        ]
        tasks += [asyncio.create_task(dispatcher.run(stopping)) for dispatcher in self._dispatchers]
        stop = asyncio.create_task(_until(stopping))
        # A loop ends only when told to: one that ends by itself is a bug, and the process must not seem alive.
        done, _ = await asyncio.wait([stop, *tasks], return_when=asyncio.FIRST_COMPLETED)
        stopping.set()
        ended, left = await asyncio.wait(tasks, timeout=DRAIN_S)
        for task in left:
            task.cancel()
        await asyncio.gather(listening, stop, *left, return_exceptions=True)
        for task in (*done, *ended):
            task.result()

    def _asking(self) -> dict[str, Wake]:
        """What wakes each loop; all but two ask whether the clocks agree before they take anything up."""
        found = {loop.name: self._wakes.event(loop.name) for loop in self._loops}
        for name, wake in self._wakes.all():
            if name not in WHATEVER_THE_CLOCK:
                wake.ready = self._on_time
        return found


async def _until(stopping: asyncio.Event) -> None:
    await stopping.wait()


def _room(resources: Resources, slug: str, family: str) -> Room | None:
    """Where work that calls such operations waits for its first turn; None: nothing paces this partner (tests)."""
    quotas = resources.quotas.get(slug)
    return None if quotas is None else quotas.room(family)


def _partner_loops(
    payouts: Payouts, statements: Statements, slug: str, room: Room | None, sweep_s: float
) -> list[Loop | Lanes[Any]]:
    return [
        Lanes(f"lookups:{slug}", partial(payouts.claim_followed, slug), payouts.follow, room=room),
        Loop(f"unpayable:{slug}", lambda: payouts.tick_unpayable(slug), SLOW_S),
        Loop(f"statements:{slug}", lambda: statements.tick(slug), SLOW_S, min(SLOWEST_S, sweep_s)),
    ]


def people_loops(core: Core, outages: Outages) -> list[Loop | Lanes[Any]]:
    """The ticks of linking, verification, the inbox of notifications, and credits that no payout has."""
    slow: dict[str, Callable[[], Awaitable[int]]] = {
        "link_expiry": core.linking.tick_expiry,
        "link_health": core.linking.tick_health,
        "link_refresh": core.linking.tick_refresh,
        "link_waiting": core.linking.tick_waiting,
        "unlinking": core.linking.tick_unlinking,
        "verification_expiry": core.verification.tick_expired,
        "batch_expiry": core.batches.tick_expiry,
        "plan_expiry": core.plans.tick_expiry,
        "corrections": core.corrections.tick_forget,
        "retention": Retention(core.resources.database, core.resources.clock, core.resources.vault).tick,
        "strays": core.strays.tick,
        "brake": core.brake.tick,
        "second_looks": core.brake.tick_looks,
        "refusals_purge": core.brake.tick_purge,
        "audit": core.sealing.tick,
    }
    resources = core.resources
    verifying: list[Loop | Lanes[Any]] = [
        Lanes(
            f"verification:{slug}",
            partial(core.verification.claim, slug),
            core.verification.check,
            room=_room(resources, slug, "identity."),
            outage=outages.of(slug, HoldStage.VERIFY),
        )
        for slug in resources.desks
    ]
    daily = Daily(resources, core.reconciliations)
    return [
        *verifying,
        Loop("inbox", core.inbox.tick),
        Loop("approvals", core.batches.tick_marking, SLOW_S, SLOWEST_S),
        *(Loop(f"daily:{slug}", partial(daily.tick, slug), DAILY_S) for slug in resources.desks),
        Loop("bad_batches", core.brake.tick_batches, JUDGE_S),
        Loop("silence", core.guard.tick, silence.TICK_S),
        Loop("backlog", core.plan.tick),  # right at its moment: a sample that came seconds late would falsify the pace
        *(Loop(name, tick, SLOW_S, SLOWEST_S) for name, tick in slow.items()),
    ]


async def run_worker(settings: Settings, stopping: asyncio.Event | None = None) -> None:
    """One worker process: until SIGTERM, SIGINT or `stopping`."""
    stopping = stopping or asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with open_resources(settings, pool_size=POOL_SIZE, by_key=True) as resources:
        core = build_core(resources)
        deliverer = Deliverer(
            resources.database, resources.clock, resources.vault, Post(settings.networks()), name=core.payouts.worker
        )
        webhooks = Loop("webhooks", deliverer.tick)
        worker = Worker(
            resources, core.payouts, Statements(resources), lambda outages: [*people_loops(core, outages), webhooks]
        )
        _log.info("worker_started", worker=core.payouts.worker)
        try:
            await worker.run(stopping)
        finally:
            await deliverer.close()
        _log.info("worker_stopped", worker=core.payouts.worker, sent=worker.sent)
