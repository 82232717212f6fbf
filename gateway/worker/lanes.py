"""Work of one kind at one partner, in lanes: as many pieces at once as the quota and the partner's delay need.

A piece that is done makes room for the next one; nobody waits for the slowest of a group.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import structlog

from gateway.partners.quota import PIECE, Piece, Room
from gateway.services.each import each
from gateway.worker.due import IDLE_S
from gateway.worker.loops import AFTER_ERROR_S, Wake, idle, pause
from gateway.worker.outage import Outage

T = TypeVar("T")
MOST = 256
"""Pieces at once: at 200 calls a second a partner may take a second and more for each."""
FULL_S = 0.25
"""So often lanes that are all taken are looked at again."""
MOST_WAIT_S = 0.5
"""So often a held partner is looked at again: another worker may have found that it is back."""
_log = structlog.get_logger(__name__)


class Lanes(Generic[T]):
    """`claim` leases up to so many pieces that are due, `work` does one. `room`: None, only `most` bounds them.
    `outage`: None, nothing holds them.
    """

    def __init__(
        self,
        name: str,
        claim: Callable[[int], Awaitable[Sequence[T]]],
        work: Callable[[T], Awaitable[object]],
        *,
        room: Room | None,
        outage: Outage | None = None,
        most: int = MOST,
    ) -> None:
        self.name = name
        self._claim = claim
        self._work = work
        self._room = room
        self._outage = outage
        self._most = most
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self, wake: Wake, stopping: asyncio.Event) -> None:
        """Work until `stopping`; then end what was begun."""
        try:
            while not stopping.is_set():
                try:
                    wake.ready()
                    wait_s = await self._step()
                except Exception as error:  # noqa: BLE001 - a lost database must not end the lanes
                    _log.error("claim_failed", lanes=self.name, error=type(error).__name__)
                    wake.failed(error)
                    await pause(stopping, AFTER_ERROR_S)
                    continue
                wake.failure = None
                if wait_s > 0.0:
                    await idle(wake, stopping, wait_s)
        finally:
            if self._under_way:
                await asyncio.wait(self._under_way)

    async def _step(self) -> float:
        """Begin what may begin; returns how long to wait where there was nothing."""
        places = self._most - len(self._under_way)
        if self._outage is not None:
            wait_s = await self._outage.turn()
            if wait_s > 0.0:
                return min(wait_s, MOST_WAIT_S)
            if self._outage.down:
                places = 1 if self._outage.admit() else 0
        if places == 0 and not self._under_way:
            return FULL_S  # the canary was taken back: another hold stays
        if places == 0:
            await asyncio.wait(self._under_way, timeout=FULL_S, return_when=asyncio.FIRST_COMPLETED)
            return 0.0
        if self._room is not None:
            await self._room.wait()
            places = min(places, self._room.free)
        claimed = await self._claim(places)
        for one in claimed:
            piece = None if self._room is None else self._room.enter()
            task = asyncio.create_task(self._do(one, piece), name=self.name)
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return 0.0 if claimed else IDLE_S

    async def _do(self, one: T, piece: Piece | None) -> None:
        PIECE.set(piece)
        try:
            await each(self.name, [one], self._work)
        finally:
            if piece is not None:
                piece.gone()
