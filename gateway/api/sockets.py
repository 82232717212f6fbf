"""Bounds on what a connection may hold up: how long a request's head and body may take, and how many there may be."""

from __future__ import annotations

import asyncio
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from gateway.security.limits import network_of

HEAD_S = 10.0
"""From the connection, or the first byte of a later request, to the end of its head."""
BODY_S = 30.0
LEAST_BYTES_PER_S = 1_000.0
"""A body may take `BODY_S`, and a second more for each so many bytes of it that are there."""
MOST_CONNECTIONS = 2_048
"""Of one process. With one more, who has the most gives one up that waits for the rest of a request; where that is the
newcomer, the newcomer.
"""
CHECK_S = 1.0


_Standing: TypeAlias = "dict[str, dict[BoundedProtocol, None]]"
_STANDING: WeakKeyDictionary[ServerState, _Standing] = WeakKeyDictionary()
"""Of each server, its connections by address, the oldest first."""


class BoundedProtocol(H11Protocol):
    """uvicorn's own bounds only the time between two requests (`timeout_keep_alive`)."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._waits_since: float | None = None
        """Since when the rest of a request is awaited; None: all of it is here, or none of the next one."""
        self._received = 0
        self._address = ""
        self._watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A peer has connected."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self._address = network_of(self.client[0] if self.client else "")
        standing = _STANDING.setdefault(self.server_state, {})
        full = len(self.connections) > MOST_CONNECTIONS
        if full and not self._takes_a_place(standing):
            self.transport.abort()
            return
        standing.setdefault(self._address, {})[self] = None
        self._waits_since = self.loop.time()
        self._watch = self.loop.call_later(CHECK_S, self._check)

    def _takes_a_place(self, standing: _Standing) -> bool:
        """Whether the address with the most connections, which is not ours, gives up the oldest that does nothing."""
        most = max(standing, key=lambda address: len(standing[address]))
        if len(standing[most]) <= len(standing.get(self._address, ())):
            return False
        for other in standing[most]:
            if not other.transport.is_closing() and (other.cycle is None or other.cycle.response_complete):
                other.transport.abort()
                return True
        return False

    def data_received(self, data: bytes) -> None:
        """More of a request."""
        if self._waits_since is None and self.conn.their_state is h11.IDLE:
            self._waits_since, self._received = self.loop.time(), 0
        self._received += len(data)
        super().data_received(data)
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._waits_since = None

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        standing = _STANDING.get(self.server_state, {})
        if (mine := standing.get(self._address)) is not None:
            mine.pop(self, None)
            if not mine:
                del standing[self._address]
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def _check(self) -> None:
        if self.transport.is_closing():
            return
        if self._waits_since is not None and not self.flow.read_paused:
            head = self.conn.their_state is h11.IDLE
            most_s = HEAD_S if head else BODY_S + self._received / LEAST_BYTES_PER_S
            if self.loop.time() - self._waits_since > most_s:
                self.transport.abort()
                return
        self._watch = self.loop.call_later(CHECK_S, self._check)
