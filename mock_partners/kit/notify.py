"""Notifications to the gateway: posted from the scheduler, retried as the partner would, counted as undelivered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import httpx

from mock_partners.kit.clock import Kind, Scheduler
from mock_partners.kit.notice import Notice, Outcome

TIMEOUT_S = 10.0
LIMITS = httpx.Limits(max_connections=16, max_keepalive_connections=16)
"""Few, because httpcore walks through all of them at each request; and kept, because opening one costs more yet."""


Send = Callable[[str, Notice], Awaitable[int | None]]
"""Sends to a URL and returns the HTTP status, or None if no answer came."""


class HttpSender:
    """Sends over HTTP by the transport alone: a client around it would cost a mock more than its own answers do."""

    def __init__(self) -> None:
        self._transport: httpx.AsyncHTTPTransport | None = None
        self._extensions = {"timeout": httpx.Timeout(TIMEOUT_S, pool=None).as_dict()}

    async def __call__(self, url: str, notice: Notice) -> int | None:
        if self._transport is None:
            self._transport = httpx.AsyncHTTPTransport(limits=LIMITS)
        request = httpx.Request(
            notice.method, url, content=notice.body, headers=dict(notice.headers), extensions=self._extensions
        )
        try:
            reply = await self._transport.handle_async_request(request)
            await reply.aread()
        except httpx.TransportError:
            return None
        return reply.status_code


class Notifier:
    """Delivers notices to `notify_base`. `given_up` counts those that no try could deliver."""

    def __init__(self, scheduler: Scheduler, notify_base: str, send: Send | None = None) -> None:
        self._scheduler = scheduler
        self._base = notify_base.rstrip("/")
        self._send = send or HttpSender()
        self.given_up = 0

    def post(self, notice: Notice, *, after_s: float = 0.0, retries_s: Sequence[float] = ()) -> None:
        """Sends after `after_s`; while the answer is not 2xx, again after each of `retries_s`, then gives up."""
        tap = self._scheduler.tap
        if tap is None:
            self._deliver(notice, after_s=after_s, retries_s=retries_s, outcome=lambda status: None)
        else:
            tap.post(notice, after_s, retries_s, self._deliver)

    def _deliver(self, notice: Notice, *, after_s: float, retries_s: Sequence[float], outcome: Outcome) -> None:
        async def attempt() -> None:
            status = await self._send(self._base + notice.path, notice)
            outcome(status)
            if status is not None and 200 <= status < 300:
                return
            if retries_s:
                self._deliver(notice, after_s=retries_s[0], retries_s=retries_s[1:], outcome=outcome)
            else:
                self.given_up += 1

        self._scheduler.after(after_s, Kind.UNDELIVERED, attempt)
