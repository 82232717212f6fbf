"""Feeding one partner: payouts claimed in batches, sent by as many lanes as may be in flight, at the partner's pace.

All other work goes in `lanes.py`, which claims what it has a lane for. Payouts are claimed ahead, so that a lane that
falls free finds one that is leased already.
"""

from __future__ import annotations

import asyncio

import structlog

from gateway.partners.quota import PIECE, Piece, Room
from gateway.services.payouts.driver import Payouts
from gateway.services.payouts.sending import Answer
from gateway.storage.payouts.queue import Leased
from gateway.worker.due import IDLE_S
from gateway.worker.loops import AFTER_ERROR_S, Wake, idle, pause
from gateway.worker.outage import Outage

MOST_WAIT_S = 0.5
"""So often a held partner is looked at again: another worker may have found that it is back."""
_log = structlog.get_logger(__name__)


class Dispatcher:
    """One partner's dispatch in one worker, and the gate that every attempt passes."""

    def __init__(
        self, payouts: Payouts, partner: str, *, lanes: int, room: Room | None, outage: Outage, wake: Wake
    ) -> None:
        self._payouts = payouts
        self._partner = partner
        self._lanes = lanes
        self._room = room
        self._outage = outage
        self._wake = wake
        self._batch = 2 * lanes
        self._waiting: asyncio.Queue[tuple[Leased, Piece | None] | None] = asyncio.Queue(maxsize=lanes)
        self._stopping = asyncio.Event()
        self.sent = 0

    async def run(self, stopping: asyncio.Event) -> None:
        """Feed until `stopping`, then let the lanes finish what they hold and give the rest back."""
        self._stopping = stopping
        lanes = [asyncio.create_task(self._lane()) for _ in range(self._lanes)]
        try:
            await self._feed()
        finally:
            for _ in lanes:
                await self._waiting.put(None)
            await asyncio.gather(*lanes)

    async def _feed(self) -> None:
        stopping = self._stopping
        while not stopping.is_set():
            try:
                self._wake.ready()
                wait_s = await self._outage.turn()
                if wait_s > 0.0:
                    await pause(stopping, min(wait_s, MOST_WAIT_S))
                    continue
                batch = self._batch
                if self._room is not None:
                    await self._room.wait()
                    batch = min(batch, self._room.free)
                leased = await self._payouts.claim(self._partner, 1 if self._outage.down else batch)
            except Exception as error:  # noqa: BLE001 - a lost database must not end the dispatch
                _log.error("claim_failed", partner=self._partner, error=type(error).__name__)
                self._wake.failed(error)
                await pause(stopping, AFTER_ERROR_S)
                continue
            self._wake.failure = None
            for one in leased:
                await self._waiting.put((one, None if self._room is None else self._room.enter()))
            if not leased:
                await idle(self._wake, stopping, IDLE_S)

    def admit(self) -> bool:
        """Whether one more attempt may leave now."""
        return not self._stopping.is_set() and self._outage.admit()

    def note(self, answer: Answer) -> None:
        """One attempt is over; what it told about the partner reached the outage control through the desk."""
        self.sent += 1

    async def _lane(self) -> None:
        while (waiting := await self._waiting.get()) is not None:
            leased, piece = waiting
            PIECE.set(piece)
            try:
                await self._payouts.send(leased, self)
            except Exception as error:  # noqa: BLE001 - what this one had begun is found by its lease or deadline
                _log.error("send_failed", payout=leased.payout.id, error=type(error).__name__)
                await pause(self._stopping, AFTER_ERROR_S)
            finally:
                if piece is not None:
                    piece.gone()
