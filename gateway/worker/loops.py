"""A loop calls one tick until nothing is left, then waits for a wake-up or a while."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, Protocol

import asyncpg
import structlog

from gateway.storage.base.clocks import ClockOff
from gateway.storage.base.database import connect

CHANNEL = "gateway"
AFTER_ERROR_S = 1.0
RECONNECT_S = 2.0
_log = structlog.get_logger(__name__)


class Wake(asyncio.Event):
    """What wakes one loop, whether that loop waits for it now, and what it fails with."""

    def __init__(self) -> None:
        super().__init__()
        self.awaited = False
        self.ready: Callable[[], None] = lambda: None
        """Raises where nothing may be taken up now."""
        self.failure: tuple[str, float] | None = None
        """The class of the last try's error (of `ClockOff` with its words), and since when (the event loop's time) each
        try ends with one.
        """

    def failed(self, error: Exception) -> None:
        """A try ended with an error."""
        since = self.failure[1] if self.failure else asyncio.get_running_loop().time()
        name = type(error).__name__  # alone: the text may quote data
        self.failure = f"{name}: {error}" if isinstance(error, ClockOff) else name, since


class Loop(NamedTuple):
    """A tick and how long its loop waits when there was nothing to do. `name` is also the wake-up's payload."""

    name: str
    tick: Callable[[], Awaitable[int]]
    idle_s: float = 0.25
    most_s: float = 0.0
    """Where nothing is to do again and again it waits twice as long each time, up to this."""

    async def run(self, wake: Wake, stopping: asyncio.Event) -> None:
        """Tick until `stopping`."""
        await run_loop(self, wake, stopping)


class Ear(Protocol):
    """Who is told more than to wake up, and whether it is being told."""

    def heard(self, name: str) -> None:
        """What the database told."""

    def listens(self, up: bool) -> None:
        """Whether it can tell anything."""


class Wakes:
    """Wake-ups by name: PostgreSQL's NOTIFY on one channel, payload = name. Lost ones cost a poll interval.

    `ears` are those who are told what comes on other channels, by channel.
    """

    def __init__(self, dsn: str, ears: Mapping[str, Ear]) -> None:
        self._dsn = dsn
        self._ears = ears
        self._events: dict[str, Wake] = {}

    def event(self, name: str) -> Wake:
        """Set when somebody named `name`, or its part before a colon."""
        return self._events.setdefault(name, Wake())

    def all(self) -> list[tuple[str, Wake]]:
        """Each by its name."""
        return list(self._events.items())

    async def listen(self, stopping: asyncio.Event) -> None:
        """Pass wake-ups on until `stopping`; connects again when the connection is lost."""
        while not stopping.is_set():
            try:
                await self._listen_once(stopping)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
                _log.warning("wake_ups_lost", error=type(error).__name__)
                await pause(stopping, RECONNECT_S)

    async def _listen_once(self, stopping: asyncio.Event) -> None:
        lost = asyncio.Event()
        connection = await connect(self._dsn, timeout=10)
        try:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(CHANNEL, lambda _c, _p, _n, payload: self._wake(str(payload)))
            for channel, ear in self._ears.items():
                await connection.add_listener(
                    channel,
                    lambda _c, _p, _n, payload, ear=ear: ear.heard(str(payload)),
                )
                ear.listens(True)
            waits = [asyncio.create_task(stopping.wait()), asyncio.create_task(lost.wait())]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
        finally:
            for ear in self._ears.values():
                ear.listens(False)
            connection.terminate()

    def _wake(self, payload: str) -> None:
        for name, event in self._events.items():
            if name == payload or name.startswith(f"{payload}:"):
                event.set()


async def pause(stopping: asyncio.Event, seconds: float) -> None:
    """Wait, but not beyond `stopping`."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)


async def run_loop(loop: Loop, wake: Wake, stopping: asyncio.Event) -> None:
    """Tick until `stopping`. An error is logged by its class (its text may quote data) and tried again."""
    wait_s = loop.idle_s
    while not stopping.is_set():
        try:
            wake.ready()
            done = await loop.tick()
        except Exception as error:  # noqa: BLE001 - a loop must outlive a lost database or a bug in one row
            _log.error("tick_failed", loop=loop.name, error=type(error).__name__)
            wake.failed(error)
            await pause(stopping, AFTER_ERROR_S)
            continue
        wake.failure = None
        if done or await idle(wake, stopping, wait_s):
            wait_s = loop.idle_s
        else:
            wait_s = max(loop.idle_s, min(2 * wait_s, loop.most_s))


async def idle(wake: Wake, stopping: asyncio.Event, seconds: float) -> bool:
    """Wait for a wake-up, for `stopping`, or so long; whether it was woken."""
    waits = [asyncio.create_task(wake.wait()), asyncio.create_task(stopping.wait())]
    wake.awaited = True
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        wake.awaited = False
        for wait in waits:
            wait.cancel()
    woken = wake.is_set()
    wake.clear()
    return woken
