"""No page of the gateway, for operators or for participants, has a fault that axe finds."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import uvicorn

from contracts.incentive import BlockerCode
from gateway.api.app import create_app
from gateway.cli.serve import server_config
from gateway.clock import SystemClock
from gateway.core import build_core
from gateway.embedded import EmbeddedPostgres, EmbeddedValkey, create_database_from_template
from gateway.resources import open_resources
from gateway.services.ops.operators import Enrolled
from gateway.settings import Settings
from gateway.storage.ops import cases
from gateway.storage.ops.cases import NewCase
from tests.browser.axe import faults
from tests.browser.conftest import open_page
from tests.gateway.api.conftest import settings_on
from tests.gateway.api.kit import Api, as_csv, row
from tests.gateway.ops.desk import Desk, code

PAGES = (
    "/ops", "/ops/incentives", "/ops/incentives/1", "/ops/payouts", "/ops/cases", "/ops/cases/{case}", "/ops/batches",
    "/ops/batches/{batch}", "/ops/webhooks", "/ops/reconciliations", "/ops/audit", "/ops/partners/ovo",
    "/ops/participants/P00000001", "/ops/nothing-here",
)  # fmt: skip


@dataclass(frozen=True)
class Site:
    """The API on a socket, with a batch, a case, a link to open and somebody who may sign in."""

    url: str
    person: Enrolled
    batch: str
    case: str
    connect: str


async def prepared(settings: Settings) -> dict[str, Any]:
    """What there is to see on the pages."""
    async with open_resources(settings) as opened:
        core = build_core(opened)
        transport = httpx.ASGITransport(create_app(core=core))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            api = await Api.open(core, client)
            batch = (await api.submit(as_csv([row(n) for n in range(1, 6)]))).json()
            link = {"participant_id": "P00000001", "return_url": "https://core.test/back"}
            started = (await api.call("POST", "/v1/links", json=link)).json()
            person = (await Desk.open(api)).people["operator"]
            new = NewCase(code=BlockerCode.CONTRADICTION, partner="ovo", detail="two credits of one")
            async with core.resources.database.transaction() as connection:
                await cases.open_cases(connection, SystemClock().now(), [new])
            (case,) = await api.fetch("SELECT id FROM cases")
    return {
        "person": person, "batch": batch["batch_id"], "case": str(case["id"]),
        "connect": "/connect" + started["challenge"]["url"].partition("/connect")[2],
    }  # fmt: skip


@pytest.fixture(scope="module")
def site(postgres: EmbeddedPostgres, template: str, valkey: EmbeddedValkey) -> Iterator[Site]:
    """Prepared in a thread of its own: the browser's event loop runs in this one."""

    async def make() -> tuple[Settings, dict[str, Any]]:
        database = await create_database_from_template(postgres.dsn, template, "test_axe")
        settings = settings_on(database, valkey.url)
        return settings, await prepared(settings)

    with ThreadPoolExecutor(1) as aside:
        settings, made = aside.submit(lambda: asyncio.run(make())).result()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(server_config(create_app(settings)))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield Site(url=f"http://127.0.0.1:{listening.getsockname()[1]}", **made)
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    yield from open_page(browser)


def test_the_operators_pages(page: Any, site: Site) -> None:
    page.goto(f"{site.url}/ops/sign-in")
    found = {"sign-in": faults(page)}
    page.fill("[name=name]", "operator-one")
    page.fill("[name=password]", site.person.password)
    page.fill("[name=code]", code(site.person, SystemClock().now().timestamp()))
    page.click("main button")
    page.wait_for_url("**/ops")
    for path in PAGES:
        page.goto(site.url + path.format(case=site.case, batch=site.batch))
        found[path] = faults(page)
    broken = [f"{name}: {one}" for name, told in found.items() for one in told]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("path", ["", "/start", "/connect/nothing-that-exists", "/docs"])
def test_the_participants_pages(page: Any, site: Site, path: str) -> None:
    page.goto(site.url + (path or site.connect))
    assert not (found := faults(page)), "\n".join(found)
