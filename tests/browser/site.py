"""The API on a socket, with something to see on each page; and participants who are about to link."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec
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
from tests.gateway.api.conftest import settings_on
from tests.gateway.api.kit import Api, as_csv, row
from tests.gateway.ops.desk import Desk

AT_A_BANK = 6
"""Participants who link by the gateway's own form, which asks no partner until it is sent in."""


@dataclass(frozen=True)
class Site:
    """The API on a socket, with a batch, a case, a link to open and somebody who may sign in."""

    url: str
    person: Enrolled
    batch: str
    case: str
    connects: tuple[str, ...]
    """Challenges: the first leads to a wallet, the others to the gateway's own form."""


async def prepared(settings: Settings) -> dict[str, Any]:
    """What there is to see on the pages."""
    async with open_resources(settings) as opened:
        core = build_core(opened)
        transport = httpx.ASGITransport(create_app(core=core))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            api = await Api.open(core, client)
            bank = range(10, 10 + AT_A_BANK)
            rows = [row(n) for n in range(1, 6)] + [row(n, partner="bni", account=f"70000000{n}") for n in bank]
            batch = (await api.submit(as_csv(rows))).json()
            connects = []
            for number in (1, *bank):
                link = {"participant_id": f"P{number:08d}", "return_url": "https://core.test/back"}
                started = (await api.call("POST", "/v1/links", json=link)).json()
                connects.append("/connect" + started["challenge"]["url"].partition("/connect")[2])
            person = (await Desk.open(api)).people["operator"]
            new = NewCase(code=BlockerCode.CONTRADICTION, partner="ovo", detail="two credits of one")
            async with core.resources.database.transaction() as connection:
                await cases.open_cases(connection, SystemClock().now(), [new])
            (case,) = await api.fetch("SELECT id FROM cases")
    return {
        "person": person, "batch": batch["batch_id"], "case": str(case["id"]),
        "connects": tuple(connects),
    }  # fmt: skip


@pytest.fixture(scope="module")
def site(
    request: pytest.FixtureRequest, postgres: EmbeddedPostgres, template: str, valkey: EmbeddedValkey
) -> Iterator[Site]:
    """Prepared in a thread of its own: the browser's event loop runs in this one."""

    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as aside:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"

        async def make() -> tuple[Settings, dict[str, Any]]:
            name = f"site_{request.module.__name__.rpartition('.')[2]}"
            database = await create_database_from_template(postgres.dsn, template, name)
            # Forms are taken from pages of this address only.
            settings = msgspec.structs.replace(settings_on(database, valkey.url), public_url=url)
            return settings, await prepared(settings)

        settings, made = aside.submit(lambda: asyncio.run(make())).result()
        server = uvicorn.Server(server_config(create_app(settings)))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield Site(url=url, **made)
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()
