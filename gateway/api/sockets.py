"""Bounds on what a connection may hold up: how long a request's head and body may take, and how many there may be. And
one reading of each head: what a server in front may have read otherwise is refused.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import re
from collections.abc import Sequence
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import h11
from h11._receivebuffer import ReceiveBuffer
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
MOST_OF_ONE = 512
"""Of one address, unless it is a proxy that FORWARDED_ALLOW_IPS names. With one more its own oldest that waits is given
up: behind one address may be many people.
"""
CHECK_S = 1.0
HEAD_BYTES = 32_768
_BARE = re.compile(rb"(?<!\r)\n|\r(?![\n])")
_FOLDED = (b" ", b"\t")


_Standing: TypeAlias = "dict[str, dict[BoundedProtocol, None]]"
_STANDING: WeakKeyDictionary[ServerState, _Standing] = WeakKeyDictionary()
"""Of each server, its connections by address, the oldest first."""


class _Head(ReceiveBuffer):
    """Lines end with CR LF alone, none goes on in the next one, and a length is said once and as a number: h11 takes
    more, each of which some proxy reads as two requests where others see one.
    """

    def maybe_extract_lines(self) -> list[bytearray] | None:
        """A head or trailer once it is here; raises `LocalProtocolError`, which h11 makes the peer's."""
        if self._data[:2] == b"\r\n":
            self._extract(2)
            return []
        end = self._data.find(b"\r\n\r\n", self._multiple_lines_search)
        head = self._data[:end] if end >= 0 else self._data.removesuffix(b"\r")
        if len(head) > HEAD_BYTES or _BARE.search(head):
            raise h11.LocalProtocolError("a line that does not end with CR LF, or a head without end")
        if end < 0:
            self._multiple_lines_search = max(0, len(self._data) - 3)
            return None
        lines = self._extract(end + 4)[:-4].split(b"\r\n")
        lengths = [line for line in lines if line[:15].lower() == b"content-length:"]
        if lines[0].startswith(b"PRI * HTTP/2"):
            raise h11.LocalProtocolError("HTTP/2 without asking for it first")
        if any(line.startswith(_FOLDED) for line in lines) or len(lengths) > 1 or any(b"," in one for one in lengths):
            raise h11.LocalProtocolError("a folded line, or two lengths")
        return lines


@functools.lru_cache(maxsize=8)
def _proxies(said: str) -> Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    found = []
    for part in said.replace("*", "0.0.0.0/0,::/0").split(","):
        try:
            found.append(ipaddress.ip_network(part.strip(), strict=False))
        except ValueError:
            continue  # the name of a socket: no address
    return found


def _is_proxy(host: str, allowed: list[str] | str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return True  # a socket of this machine's file system
    said = allowed if isinstance(allowed, str) else ",".join(allowed)
    return any(address in network for network in _proxies(said) if network.version == address.version)


class BoundedProtocol(H11Protocol):
    """uvicorn's own bounds only the time between two requests (`timeout_keep_alive`)."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.conn._receive_buffer = _Head()
        self._waits_since: float | None = None
        """Since when the rest of a request is awaited; None: all of it is here, or none of the next one."""
        self._received = 0
        self._address = ""
        self._allowed = self.config.forwarded_allow_ips or ""
        self._watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A peer has connected."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self._address = network_of(self.client[0] if self.client else "")
        standing = _STANDING.setdefault(self.server_state, {})
        mine = standing.setdefault(self._address, {})
        crowd = len(mine) >= MOST_OF_ONE and not _is_proxy(self.client[0] if self.client else "", self._allowed)
        full = len(self.connections) > MOST_CONNECTIONS
        if (crowd and not _gives_up(mine)) or (full and not crowd and not self._takes_a_place(standing)):
            self.transport.abort()
            return
        mine[self] = None
        self._waits_since = self.loop.time()
        self._watch = self.loop.call_later(CHECK_S, self._check)

    def _takes_a_place(self, standing: _Standing) -> bool:
        """Whether the address with the most connections, which is not ours, gives up the oldest that does nothing."""
        most = max(standing, key=lambda address: len(standing[address]))
        if len(standing[most]) <= len(standing.get(self._address, ())):
            return False
        return _gives_up(standing[most])

    def data_received(self, data: bytes) -> None:
        """More of a request."""
        if self._waits_since is None and self.conn.their_state is h11.IDLE:
            self._waits_since, self._received = self.loop.time(), 0
        self._received += len(data)
        super().data_received(data)
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._waits_since = None

    def eof_received(self) -> bool:  # type: ignore[override] # asyncio asks whether to keep the other direction open
        """The peer sends no more: whose whole request is here still gets its answer (RFC 9112 section 9.6)."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete or self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            return False
        cycle.keep_alive = False
        return True

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


def _gives_up(connections: dict[BoundedProtocol, None]) -> bool:
    """Whether the oldest of these that does nothing is ended."""
    for other in connections:
        if not other.transport.is_closing() and (other.cycle is None or other.cycle.response_complete):
            other.transport.abort()
            return True
    return False
