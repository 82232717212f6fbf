"""Receivers of webhooks on loopback, each with its own manners, that verify by the specification's library."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook

Manner = Callable[["Receiver"], Awaitable[int]]


class Receiver:
    """A server that keeps each verified message in the order of arrival."""

    def __init__(self, manner: Manner | None = None) -> None:
        self._manner = manner
        self.secret = ""
        self.calls = 0
        self.taken: list[tuple[str, dict[str, Any]]] = []
        """Id and body of what was answered with 200."""
        self.ids: set[str] = set()
        """Of these."""
        self.headers: list[dict[str, str]] = []
        self.target = ""
        """Of the last call."""
        self.at_once = self.most_at_once = 0
        self.message: dict[str, Any] = {}
        self.url = ""
        self.retry_after = "0"

    async def take(self, request: web.Request) -> web.Response:
        self.calls += 1
        self.target = request.raw_path
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            body = await request.read()
            headers = {name.lower(): value for name, value in request.headers.items()}
            self.message = message = Webhook(self.secret).verify(body, headers) if self.secret else json.loads(body)
            status = 200 if self._manner is None else await self._manner(self)
            if status == 200:
                self.taken.append((headers["webhook-id"], message))
                self.ids.add(headers["webhook-id"])
                self.headers.append(headers)
            more = {302: {"Location": f"{self.url}?again"}, 503: {"Retry-After": self.retry_after}}
            return web.Response(status=status, headers=more.get(status, {}))
        finally:
            self.at_once -= 1

    def firsts(self) -> list[dict[str, Any]]:
        """What arrived, each message once, as a receiver that knows ids keeps it."""
        seen: dict[str, dict[str, Any]] = {}
        for key, message in self.taken:
            seen.setdefault(key, message)
        return list(seen.values())


@asynccontextmanager
async def receiving(manner: Manner | None = None) -> AsyncIterator[Receiver]:
    """One receiver, listening."""
    receiver = Receiver(manner)
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    receiver.url = f"http://127.0.0.1:{port}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()


async def every_second_fails(receiver: Receiver) -> int:
    """500 to every second call."""
    return 500 if receiver.calls % 2 else 200


async def slow(receiver: Receiver) -> int:
    """Takes its time."""
    await asyncio.sleep(0.05)
    return 200


async def fails(receiver: Receiver) -> int:
    """Always 500."""
    return 500
