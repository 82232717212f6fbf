"""The mock's time: a machine clock that can be shifted or frozen, Jakarta days, and work that is due later."""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import inspect
import itertools
import logging
import time
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from enum import StrEnum

from mock_partners.kit.notice import Tap
from mock_partners.kit.turn import effect, effects

JAKARTA = timezone(timedelta(hours=7), "WIB")
LOG = logging.getLogger("mock_partners")
Action = Callable[[], Awaitable[None] | None]


class Hands:
    """One layer of time: its source, shifted or frozen."""

    __slots__ = ("frozen_s", "offset_s", "source")

    def __init__(self, source: Callable[[], float], offset_s: float = 0.0) -> None:
        self.source = source
        self.offset_s = offset_s
        self.frozen_s: float | None = None

    @property
    def frozen(self) -> bool:
        return self.frozen_s is not None

    def seconds(self) -> float:
        return self.frozen_s if self.frozen_s is not None else self.source() + self.offset_s

    def shift(self, seconds: float) -> None:
        if self.frozen_s is not None:
            self.frozen_s += seconds
        else:
            self.offset_s += seconds

    def set(self, at_s: float) -> None:
        """Stands at a moment, and goes on running from there unless frozen."""
        self.shift(at_s - self.seconds())

    def freeze(self, at_s: float) -> None:
        self.frozen_s = at_s

    def thaw(self) -> None:
        """Runs on from where it stands."""
        if self.frozen_s is not None:
            self.offset_s = self.frozen_s - self.source()
            self.frozen_s = None


class Clock:
    """Tells the time of the mocked partner; `source` gives seconds since 1970 and may be a simulator's.

    `shift`, `freeze` and `thaw` move the machine's time, for tests whose client goes by the same clock. `stage` is the
    partner's own time on top of it, which QA moves: lives, days and settlements go by it, but the time stamps of
    clients are compared with `machine_seconds`, so that a real client goes on working.
    """

    def __init__(self, source: Callable[[], float] = time.time, offset_s: float = 0.0) -> None:
        self._machine = Hands(source, offset_s)
        self.stage = Hands(self._machine.seconds)

    def seconds(self) -> float:
        # Both layers in one function: it runs a dozen times a call.
        stage, machine = self.stage, self._machine
        at_s = stage.frozen_s
        if at_s is None:
            at_s = machine.frozen_s
            if at_s is None:
                at_s = machine.source() + machine.offset_s
            at_s += stage.offset_s
        staged = effects()
        return at_s + staged.get("later_s", 0.0) if staged else at_s

    def machine_seconds(self) -> float:
        """The machine's time, which the time stamps of clients must be near."""
        skew_s: float = effect("clock_skew_s", 0.0)
        return self._machine.seconds() + skew_s

    def now(self) -> datetime:
        """The moment, with Jakarta's offset: partners print their times so."""
        return datetime.fromtimestamp(self.seconds(), JAKARTA)

    def today(self) -> date:
        """The Jakarta day, which every "same day" rule of SNAP means."""
        return self.now().date()

    def shift(self, seconds: float) -> None:
        """Moves the clock, frozen or running, by so many seconds."""
        self._machine.shift(seconds)

    def freeze(self, at: datetime) -> None:
        self._machine.freeze(at.timestamp())

    def thaw(self) -> None:
        """Lets the clock run on from where it stands."""
        self._machine.thaw()


class Kind(StrEnum):
    """What an outstanding item is, in the words of `/__mock__/pending` (decisions X3); a nap is counted nowhere."""

    UNSETTLED = "unsettled"
    SCHEDULED = "scheduled"
    UNDELIVERED = "undelivered"
    NAP = "nap"


@dataclass(order=True)
class Item:
    """One thing to be done later, and what kind it counts as."""

    due_s: float
    order: int
    kind: Kind = field(compare=False)
    action: Action = field(compare=False)


class Scheduler:
    """Runs work later without blocking anyone, and knows how much is outstanding.

    `auto=True` wakes itself on the running event loop (no ASGI lifespan needed). With `auto=False` nothing runs until
    `run_due` is called, so that a simulator can drive it by a virtual clock.
    """

    def __init__(self, clock: Clock, *, auto: bool = True, limit: int = 1_000_000, concurrency: int = 64) -> None:
        self.clock = clock
        self.auto = auto
        self.failures = 0
        self.tap: Tap | None = None
        """Sees the mock's notices before they are put here."""
        self._limit = limit
        self._heap: list[Item] = []
        self._order = itertools.count()
        self._outstanding: Counter[Kind] = Counter()
        self._running: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(concurrency)
        self._timer: asyncio.TimerHandle | None = None

    def after(self, delay_s: float, kind: Kind, action: Action) -> None:
        """Runs `action` once, `delay_s` from now; it counts as outstanding until it has ended."""
        if len(self._heap) >= self._limit:
            raise OverflowError(f"the mock has {self._limit} items outstanding and takes no more")
        heapq.heappush(self._heap, Item(self.clock.seconds() + max(delay_s, 0.0), next(self._order), kind, action))
        self._outstanding[kind] += 1
        if self.auto:
            self._arm()

    async def sleep(self, delay_s: float) -> None:
        """Waits; under a virtual clock until `run_due` has passed the moment."""
        if self.auto:
            await asyncio.sleep(delay_s)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.after(delay_s, Kind.NAP, lambda: None if woken.done() else woken.set_result(None))
        await woken

    def pending(self) -> dict[str, int]:
        return {kind.value: self._outstanding[kind] for kind in Kind if kind is not Kind.NAP}

    def next_due_s(self) -> float | None:
        """When the earliest item is due, in clock seconds: where a simulator may jump to."""
        return self._heap[0].due_s if self._heap else None

    async def run_due(self, now: datetime | None = None) -> int:
        """Runs everything that is due, one after the other in due order; returns how many ran. Errors are raised."""
        limit_s = now.timestamp() if now is not None else self.clock.seconds()
        ran = 0
        while self._heap and self._heap[0].due_s <= limit_s:
            await self._run(heapq.heappop(self._heap))
            ran += 1
        return ran

    async def travel(self, at_s: float) -> None:
        """Moves the clock's stage to a moment; on the way there every due item runs at the time when it is due."""
        stage = self.clock.stage
        while self._heap and self._heap[0].due_s <= at_s:
            stage.set(max(self._heap[0].due_s, stage.seconds()))
            await self._run_apart(heapq.heappop(self._heap))
        stage.set(at_s)
        self.rearm()

    def rearm(self) -> None:
        """To be called after the clock was moved by hand."""
        if self.auto:
            self._arm()

    async def close(self) -> None:
        """Stops waking up and cancels what is running; what is not due yet stays on the list."""
        self.auto = False
        if self._timer is not None:
            self._timer.cancel()
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _run(self, item: Item) -> None:
        try:
            result = item.action()
            if inspect.isawaitable(result):
                await result
        finally:
            self._outstanding[item.kind] -= 1

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._heap:
            delay_s = max(self._heap[0].due_s - self.clock.seconds(), 0.0)
            if delay_s and self.clock.stage.frozen:
                return  # only a move of the clock brings it nearer, and that rearms
            # An empty context: what runs later is no part of the call that happened to set the timer.
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._wake, context=contextvars.Context())

    def _wake(self) -> None:
        self._timer = None
        now_s = self.clock.seconds()
        while self._heap and self._heap[0].due_s <= now_s:
            task = asyncio.get_running_loop().create_task(self._run_apart(heapq.heappop(self._heap)))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        self._arm()

    async def _run_apart(self, item: Item) -> None:
        async with self._slots:
            try:
                await self._run(item)
            except Exception as problem:  # noqa: BLE001  (whatever it is, it is counted and logged here)
                self.failures += 1
                place = "".join(traceback.format_tb(problem.__traceback__))
                LOG.error("a %s item of the mock failed: %s\n%s", item.kind, type(problem).__name__, place)
