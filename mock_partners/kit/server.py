"""Real sockets: several mocks in one process on one loop, with connections that can be reset in mid-request."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import struct
from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mock_partners.kit.http import CLOSE, RESET

App = Callable[[Any, Any, Any], Awaitable[None]]
MAX_HEAD_BYTES = 65_536
HEAD_END = re.compile(rb"\r?\n\r?\n")
UPGRADE = re.compile(rb"^upgrade:[^\r\n]*\r\n", re.IGNORECASE | re.MULTILINE)
NO_LINGER = struct.pack("ii", 1, 0)


class ResettableProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with two more ASGI extensions: one resets the connection, one closes it.

    It does not know what `Upgrade` means, as a server may (RFC 9110, 7.8): to each POST over plain HTTP Java's client
    adds `Upgrade: h2c`, and uvicorn's parser would take the body after it for another protocol.
    """

    _head, _in_body = b"", False

    def data_received(self, data: bytes) -> None:
        """Hands a request's head on when it has come whole, without `Upgrade`; what is none (TLS, to this plain port)
        at once, as its end would never come.
        """
        if self._in_body:
            super().data_received(data)
            return
        self._head += data
        found = HEAD_END.search(self._head)
        if found is None and len(self._head) <= MAX_HEAD_BYTES and self._head.lstrip(b"\r\n")[:1].isalpha():
            return
        whole, self._head, end = self._head, b"", found.start() + 2 if found else 0
        super().data_received(UPGRADE.sub(b"", whole[:end]) + whole[end:])

    def on_headers_complete(self) -> None:
        self._in_body = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]
        scope["extensions"] = {RESET: self.reset, CLOSE: self.close}

    def reset(self) -> None:
        """Closes with SO_LINGER 0, so that the kernel answers with RST instead of FIN."""
        fileno = self.transport.get_extra_info("socket").fileno()
        with socket.socket(fileno=os.dup(fileno)) as same:
            same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self.transport.abort()

    def close(self) -> None:
        """Closes with FIN once everything that was written has gone."""
        self.transport.close()


@dataclass(frozen=True)
class Listener:
    """One mock and the bound socket it will answer on."""

    name: str
    app: App
    sock: socket.socket

    @property
    def url(self) -> str:
        host, port = self.sock.getsockname()[:2]
        return f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to `serve`, since several share the process."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._on_ready()


def bind(port: int, host: str = "127.0.0.1") -> socket.socket:
    """Binds 127.0.0.1 unless told otherwise (a container): a mock is no public server. Port 0 takes a free one."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def config(app: App) -> uvicorn.Config:
    """How every mock is served: fast parser, no log of requests, no lifespan."""
    return uvicorn.Config(
        app,
        http=ResettableProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        backlog=2048,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
    )


async def serve(listeners: Sequence[Listener], on_ready: Callable[[Listener], None]) -> None:
    """Serves until SIGTERM or SIGINT, then lets running requests end."""
    servers: list[_Server] = []
    for listener in listeners:
        servers.append(_Server(config(listener.app), lambda ready=listener: on_ready(ready)))  # type: ignore[misc]

    def stop() -> None:
        for server in servers:
            server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    await asyncio.gather(
        *(server.serve(sockets=[listener.sock]) for server, listener in zip(servers, listeners, strict=True))
    )
