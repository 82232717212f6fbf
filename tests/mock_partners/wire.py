"""The mocks in process, called with exact bytes: no client library between a test and the application."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import unquote

import pytest

from mock_partners.kit.clock import JAKARTA, Clock, Scheduler
from mock_partners.kit.host import package
from mock_partners.kit.http import TO_WRITE, MockApp
from mock_partners.kit.notify import Notice
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import World
from mock_partners.registry import PARTNERS
from tests.partners import each

PACKAGES = {name: package(name) for name in PARTNERS}
NOON = datetime(2026, 1, 15, 12, 0, 0, tzinfo=JAKARTA)
NOTIFY_BASE = "http://gw.example.test"


@dataclass(frozen=True)
class Sent:
    """One request, byte for byte; header names in lower case."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def with_header(self, name: str, value: str) -> Sent:
        return replace(self, headers={**self.headers, name: value})


@dataclass(frozen=True)
class Got:
    """One answer, byte for byte."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.body)
        return told

    @property
    def code(self) -> str:
        """The SNAP response code; it must agree with the HTTP status."""
        told = str(self.json["responseCode"])
        assert told[:3] == str(self.status)
        return told


def must_be_written(answer: bytes) -> None:
    """Ends the test with what a mock's blank says is to be written."""
    if answer.startswith(TO_WRITE.encode()):
        pytest.fail(answer.decode(), pytrace=False)


@dataclass
class Mock:
    """One mock on a frozen clock and a scheduler driven by hand."""

    partner: str
    world: World
    clock: Clock
    scheduler: Scheduler
    app: MockApp
    notices: list[Notice] = field(default_factory=list)

    @property
    def secrets(self) -> dict[str, str]:
        known: dict[str, str] = PACKAGES[self.partner].CREDENTIALS["credentials"]
        return known

    async def send(self, sent: Sent) -> Got:
        told: list[dict[str, Any]] = []
        messages = [{"type": "http.request", "body": sent.body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            return messages.pop() if messages else {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            told.append(message)

        headers = {"host": "mock", **sent.headers}
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": sent.method, "scheme": "http",
            "path": unquote(sent.path), "raw_path": sent.path.encode("latin-1"), "root_path": "",
            "query_string": sent.query.encode("latin-1"), "client": ("127.0.0.1", 1), "server": ("mock", 80),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
        }  # fmt: skip
        await self.app(scope, receive, send)
        start = next(message for message in told if message["type"] == "http.response.start")
        body = b"".join(message.get("body", b"") for message in told if message["type"] == "http.response.body")
        must_be_written(body)
        return Got(start["status"], tuple(sorted(map(tuple, start["headers"]))), body)

    def customer_token(self) -> str:
        """A token of the linked sandbox customer, made behind the counter; empty where none is shown."""
        account = next(account for account in self.world.accounts.values() if account.active)
        return str(each("story")[self.partner].customer_token(self.world, account))


def start(partner: str, seed: int = 0, **waits: float) -> Mock:
    """A new mock on a new world."""
    clock, world, notices = Clock(), World(partner, seed=seed), list[Notice]()
    clock.freeze(NOON)
    scheduler = Scheduler(clock, auto=False)

    async def receive(_url: str, notice: Notice) -> int:
        notices.append(notice)
        return 200

    app = PACKAGES[partner].create_app(
        world, clock=clock, scheduler=scheduler, waits=Waits(**waits), notify_base=NOTIFY_BASE, send=receive
    )
    return Mock(partner, world, clock, scheduler, app, notices)
