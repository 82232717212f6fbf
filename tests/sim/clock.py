"""The gateway's clock under a seed: time passes when the simulator says so."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.sim.town import Town


class VirtualClock:
    """The gateway's clock."""

    def __init__(self, town: Town) -> None:
        self._town = town

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._town.now_s, UTC)

    def monotonic(self) -> float:
        return self._town.now_s

    def timeout(self, seconds: float) -> AbstractAsyncContextManager[object]:
        """Of a process that stood still past it, either what it waited for or the timer goes first: the seed says."""
        return _Timer(self._town, seconds)

    async def sleep(self, seconds: float) -> None:
        await self._town.baton.rest(self._town.now_s + seconds)


class _Timer:
    """`asyncio.timeout` under the virtual clock."""

    def __init__(self, town: Town, seconds: float) -> None:
        self.until_s = town.now_s + seconds
        self.fired = False

    async def __aenter__(self) -> None:
        self._token = TIMERS.set((*TIMERS.get(), self))

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        TIMERS.reset(self._token)
        if self.fired and kind is asyncio.CancelledError:
            raise TimeoutError from error


TIMERS: ContextVar[tuple[_Timer, ...]] = ContextVar("timers", default=())
