"""pytest plug-in: a partner's mock in process or as a server, with a world, a scenario, and assertions on its log."""

from __future__ import annotations

import asyncio
import csv
import io
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import uvicorn

from mock_partners.kit.host import Mock, package, read_scenario
from mock_partners.kit.notice import Notice
from mock_partners.kit.notify import Send
from mock_partners.kit.scenario import Scenario
from mock_partners.kit.server import bind, config
from mock_partners.kit.verify import Asked, Count, Expected, problems
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import COLUMNS, DEFAULT_DEPOSIT_RUPIAH, World, parse_worlds
from mock_partners.registry import PARTNERS

__all__ = ["Count", "Expected", "PartnerInProcess", "PartnerServer", "mock_partner", "mock_server"]

Rows = str | Path | Sequence[Mapping[str, Any]]
"""A world: a world.csv's path or text, or rows; columns that a row leaves out are filled in."""
USUAL = {
    "holder_name": "BUDI SANTOSO", "nik_on_file": "3174052209989901", "kyc": "full", "status": "active",
    "pin": "123456", "card_no": "", "balance_rupiah": 0, "monthly_in_rupiah": 0, "behaviour": "",
}  # fmt: skip
STOP_S = 10.0


class PartnerInProcess:
    """A mock on the test's own event loop. `http` talks to it; notifications are collected in `notices`."""

    def __init__(
        self, name: str, world: Rows, *, scenario: str | Path | None, waits: Waits, notify_base: str, seed: int,
        deposit_rupiah: int, send: Send | None,
    ) -> None:  # fmt: skip
        self.notices: list[Notice] = []
        self.mock = Mock(
            world_of(name, world, seed=seed, deposit_rupiah=deposit_rupiah), waits=waits, notify_base=notify_base,
            send=send or self._collect, scenario=_scenario(scenario),
        )  # fmt: skip
        self.credentials: dict[str, Any] = package(name).CREDENTIALS["credentials"]
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(self.mock), base_url=f"http://{name}")

    async def _collect(self, _url: str, notice: Notice) -> int:
        self.notices.append(notice)
        return 200

    @property
    def world(self) -> World:
        """Accounts, deposit, books and SMS as the partner has them now."""
        return self.mock.world

    def set_scenario(self, scenario: str | Path | None) -> None:
        """Begins the scenario in a text or file, or ends the one there is."""
        self.mock.set_scenario(_scenario(scenario))

    def freeze(self, at: datetime | None = None) -> None:
        """Stops the partner's clock, at a moment if one is given."""
        stage = self.mock.clock.stage
        stage.freeze(at.timestamp() if at is not None else stage.seconds())

    async def advance(self, seconds: float) -> None:
        """Moves the partner's clock on; what falls due on the way happens."""
        await self.mock.scheduler.travel(self.mock.clock.seconds() + seconds)

    async def reset(self, world: Rows | None = None) -> None:
        """Starts anew, on another world if one is given; the scenario stays, with fresh counts."""
        await self.mock.reset(csv_of(self.mock.name, world) if world is not None else None)

    def requests(self) -> list[dict[str, Any]]:
        """The log, secrets masked."""
        return [exchange.as_json() for exchange in self.mock.backstage.log.calls]

    def verify(self, *expect: Expected, in_order: bool = False, nothing_else: bool = False, since: int = 0) -> None:
        """Fails the test unless the log is as expected."""
        asked = Asked(list(expect), in_order, nothing_else, since)
        backstage = self.mock.backstage
        _complain(problems(asked, backstage.log, self.world, backstage.operations))


class PartnerServer:
    """A mock on a free port of 127.0.0.1, in a thread; steered through its control API, as any client could."""

    def __init__(self, mock: Mock) -> None:
        self._mock = mock
        self._sock = bind(0)
        self.url = f"http://127.0.0.1:{self._sock.getsockname()[1]}"
        self.credentials: dict[str, Any] = package(mock.name).CREDENTIALS["credentials"]
        self._server = uvicorn.Server(config(mock))
        self._thread = threading.Thread(target=self._run, name=f"{mock.name} mock", daemon=True)
        self._sock.listen()
        self._thread.start()
        self._control = httpx.Client(base_url=self.url, trust_env=False, timeout=30.0)

    def _run(self) -> None:
        async def serve() -> None:
            await self._server.serve(sockets=[self._sock])
            await self._mock.scheduler.close()

        asyncio.run(serve())

    def close(self) -> None:
        self._control.close()
        self._server.should_exit = True
        self._thread.join(STOP_S)
        if self._thread.is_alive():
            raise RuntimeError(f"the {self._mock.name} mock did not stop within {STOP_S} s")

    def set_scenario(self, scenario: str | Path | None) -> None:
        """Begins the scenario in a text or file, or ends the one there is."""
        if scenario is None:
            self._ask("DELETE", "scenario")
        else:
            self._ask("PUT", "scenario", content=_text(scenario).encode())

    def move_clock(self, **order: Any) -> dict[str, Any]:
        """`set`, `advance_s`, `freeze`, `thaw` of `/__mock__/clock`; returns what the clock shows then."""
        told: dict[str, Any] = self._ask("POST", "clock", content=msgspec.json.encode(order)).json()
        return told

    def reset(self, world: Rows | None = None) -> None:
        """Starts anew, on another world if one is given; the scenario stays, with fresh counts."""
        self._ask("POST", "reset", content=b"" if world is None else csv_of(self._mock.name, world).encode())

    def requests(self) -> list[dict[str, Any]]:
        """The log, secrets masked."""
        told: list[dict[str, Any]] = self._ask("GET", "requests").json()["requests"]
        return told

    def books(self) -> list[dict[str, Any]]:
        """Every booking."""
        return [msgspec.json.decode(line) for line in self._ask("GET", "books").content.splitlines()]

    def verify(self, *expect: Expected, in_order: bool = False, nothing_else: bool = False, since: int = 0) -> None:
        """Fails the test unless the log is as expected."""
        asked = msgspec.json.encode(Asked(list(expect), in_order, nothing_else, since))
        reply = self._control.post("/__mock__/verify", content=asked)
        told = reply.json()
        _complain(told["problems"] if "problems" in told else [told["error"]])

    def _ask(self, method: str, name: str, *, content: bytes = b"") -> httpx.Response:
        reply = self._control.request(method, f"/__mock__/{name}", content=content)
        if reply.is_error:
            told = reply.json()
            raise ValueError("\n".join([told["error"], *told.get("problems", [])]))
        return reply


@pytest.fixture
def mock_partner() -> Callable[..., PartnerInProcess]:
    """Makes mocks in process: `mock_partner("bni", world=[{"account": ..}], scenario="..", frozen_at=..)`."""

    def make(
        name: str, world: Rows = (), *, scenario: str | Path | None = None, waits: Waits | None = None,
        notify_base: str = "http://gateway.test", seed: int = 0, deposit_rupiah: int = DEFAULT_DEPOSIT_RUPIAH,
        send: Send | None = None, frozen_at: datetime | None = None,
    ) -> PartnerInProcess:  # fmt: skip
        made = PartnerInProcess(
            _known(name), world, scenario=scenario, waits=waits or Waits(), notify_base=notify_base, seed=seed,
            deposit_rupiah=deposit_rupiah, send=send,
        )  # fmt: skip
        if frozen_at is not None:
            made.freeze(frozen_at)
        return made

    return make


@pytest.fixture
def mock_server() -> Iterator[Callable[..., PartnerServer]]:
    """Makes mocks as servers, each on a free port: the same arguments, but notifications go to `notify_base`."""
    servers: list[PartnerServer] = []

    def make(
        name: str, world: Rows = (), *, scenario: str | Path | None = None, waits: Waits | None = None,
        notify_base: str = "http://127.0.0.1:9", seed: int = 0, deposit_rupiah: int = DEFAULT_DEPOSIT_RUPIAH,
    ) -> PartnerServer:  # fmt: skip
        made = world_of(_known(name), world, seed=seed, deposit_rupiah=deposit_rupiah)
        mock = Mock(made, waits=waits or Waits(), notify_base=notify_base, scenario=_scenario(scenario))
        servers.append(PartnerServer(mock))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


def world_of(name: str, world: Rows, *, seed: int = 0, deposit_rupiah: int = DEFAULT_DEPOSIT_RUPIAH) -> World:
    """One partner's world out of a file, a text or rows; refused like any world.csv."""
    return parse_worlds(csv_of(name, world), "world", deposits={name: deposit_rupiah}, seed=seed)[name]


def csv_of(name: str, world: Rows) -> str:
    """The text of a world.csv."""
    if isinstance(world, str | Path):
        return _text(world)
    lines = io.StringIO(newline="")
    writer = csv.DictWriter(lines, COLUMNS)
    writer.writeheader()
    for row in world:
        account = str(row["account"])
        phone = account if account.startswith("+") else f"+628{account[-9:]}"
        writer.writerow({"partner": name, "phone": phone, **USUAL, **row})
    return lines.getvalue()


def _known(name: str) -> str:
    if name not in PARTNERS:
        raise ValueError(f"unknown partner {name!r}; choose out of: {', '.join(PARTNERS)}")
    return name


def _scenario(scenario: str | Path | None) -> Scenario | None:
    if scenario is None:
        return None
    return read_scenario(_text(scenario), scenario.name if isinstance(scenario, Path) else "scenario")


def _text(source: str | Path) -> str:
    return source.read_text("utf-8") if isinstance(source, Path) else source


def _complain(found: Sequence[str]) -> None:
    if found:
        raise AssertionError("the mock saw something else:\n" + "\n".join(f"- {problem}" for problem in found))
