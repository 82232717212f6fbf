"""One thing at a time: actors hand a baton on at every commit, send and receive, and the seed says who gets it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any


class Crash(BaseException):
    """A process dies here: the exception unwinds it, and everything that it held in memory is gone."""


class Actor:
    """Something under way: a worker's tick, a person at a page, a partner's notification."""

    def __init__(self, name: str, work: Callable[[], Awaitable[Any]]) -> None:
        self.name = name
        self.work = work
        self.due_s = 0.0
        """Stands still until then."""
        self.process: object | None = None
        """The gateway process that works for it now."""
        self.within = False
        """Whether it happens within one process, and so dies with it, side by side tasks included."""
        self.dead = False
        self.stalled = False
        """Stands still because the seed wants it so, and for nothing else."""
        self.task: asyncio.Task[Any] | None = None
        self.gate: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return f"<Actor {self.name}>"


TURN_S = 120.0
"""A turn that takes so long by the clock never ends: an actor waits for what no turn brings; two tasks of its own at
once for the one baton, say.
"""


class Baton:
    """Runs one actor at a time."""

    def __init__(self) -> None:
        self.actors: list[Actor] = []
        self._current: ContextVar[Actor | None] = ContextVar("actor", default=None)
        self._handed: asyncio.Future[None] | None = None
        self._closing = False

    @property
    def actor(self) -> Actor | None:
        """Whose turn it is."""
        return self._current.get()

    def add(self, actor: Actor) -> None:
        self.actors.append(actor)

    async def turn(self, actor: Actor, error: BaseException | None = None) -> None:
        """Let an actor go on until it hands the baton back or has ended; with `error`, that is what it meets. Raises
        `TimeoutError` where it does neither.
        """
        loop = asyncio.get_running_loop()
        self._handed = loop.create_future()
        if actor.task is None:
            reset = self._current.set(actor)
            actor.task = loop.create_task(_run(actor))
            self._current.reset(reset)
            actor.task.add_done_callback(lambda _: self._hand_back())
        else:
            assert actor.gate is not None
            gate, actor.gate = actor.gate, None
            actor.dead = actor.dead or (error is not None and actor.within)
            gate.set_exception(error) if error is not None else gate.set_result(None)
        async with asyncio.timeout(TURN_S):
            await self._handed
        if actor.task.done():
            self.actors.remove(actor)
            actor.task.result()

    async def rest(self, until_s: float = 0.0) -> None:
        """Hand the baton on; it comes back at `until_s` or later."""
        actor = self.actor
        assert actor is not None, "only actors hand the baton on"
        if self._closing:  # nobody would hand it back to one that puts its things away
            raise asyncio.CancelledError
        actor.due_s = until_s
        actor.gate = asyncio.get_running_loop().create_future()
        gate = actor.gate
        self._hand_back()
        await gate

    def _hand_back(self) -> None:
        if self._handed is not None and not self._handed.done():
            self._handed.set_result(None)

    async def close(self) -> None:
        """End whoever is still under way."""
        self._closing = True
        for actor in self.actors:
            if actor.task is not None:
                actor.task.cancel()
        tasks = [actor.task for actor in self.actors if actor.task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)
        self.actors.clear()


async def _run(actor: Actor) -> None:
    await actor.work()
