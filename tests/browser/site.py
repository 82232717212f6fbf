"""The API on a socket, with something to see on each page; and participants who are about to link."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import msgspec
import pytest
import uvicorn

from contracts.hold import HoldKind, HoldStage
from contracts.incentive import BlockerCode
from gateway.api import examples
from gateway.api.app import create_app
from gateway.cli.serve import server_config
from gateway.clock import SystemClock
from gateway.core import build_core
from gateway.embedded import EmbeddedPostgres, EmbeddedValkey, create_database_from_template
from gateway.resources import open_resources
from gateway.services.ops.operators import Enrolled
from gateway.settings import Settings
from gateway.storage.ops import cases, holds
from gateway.storage.ops.cases import NewCase
from gateway.storage.ops.holds import NewHold
from tests.gateway.api.conftest import settings_on
from tests.gateway.api.kit import Api, as_csv, row
from tests.gateway.ops.desk import Desk

AT_A_BANK = 17
"""Participants who link by the gateway's own form, which asks no partner until it is sent in."""
PAYOUT, REFERENCE = 17959263737900001, "0117959263737900001"
"""A payout whose outcome is not known, and what the partner knows it by."""
DOWN = "ovo"
"""The partner that answers nothing."""


@dataclass(frozen=True)
class Site:
    """The API on a socket: a partner that is down, a payout in doubt, cases, a batch that waits, links to open."""

    url: str
    dsn: str
    people: dict[str, Enrolled]
    """Two operators, two approvers."""
    batch: str
    plan: str
    case: str
    connects: tuple[str, ...]
    """Challenges: the first leads to a wallet, the others to the gateway's own form."""
    withdrawals: tuple[str, ...]
    """Where participants whose account is linked withdraw."""
    pages: tuple[str, ...]
    """Every address that the gateway answers with GET, as its routes name it."""

    def execute(self, text: str, *values: object) -> None:
        """Change the store, from a thread whose loop is the browser's."""

        async def run() -> None:
            connection = await asyncpg.connect(self.dsn)
            try:
                await connection.execute(text, *values)
            finally:
                await connection.close()

        with ThreadPoolExecutor(1) as aside:
            aside.submit(lambda: asyncio.run(run())).result()


async def _links(api: Api) -> dict[str, Any]:
    """Challenges that wait to be opened, and accounts that are linked."""
    paths: dict[str, list[str]] = {"connects": [], "withdrawals": []}
    for number in (1, *range(10, 10 + AT_A_BANK)):
        link = {"participant_id": f"P{number:08d}", "return_url": "https://core.test/back"}
        started = (await api.call("POST", "/v1/links", json=link)).json()
        if number >= 10 + AT_A_BANK - 3:
            await api.fetch("UPDATE links SET state = 'active' WHERE id = $1", started["link_id"])
            offered = (await api.call("POST", f"/v1/links/{started['link_id']}/withdrawal")).json()
            paths["withdrawals"].append(urlsplit(offered["url"]).path)
        else:
            paths["connects"].append(urlsplit(started["challenge"]["url"]).path)
    return {name: tuple(found) for name, found in paths.items()}


async def _trouble(api: Api) -> None:
    """An approved batch at a partner that is down: one payout whose answer was lost, the others wait."""
    batch = (await api.submit(as_csv([row(number) for number in range(30, 34)]), key="down")).json()
    for role in ("one", "two"):
        assert (await api.decide(batch, role)).is_success
    await api.fetch(
        "UPDATE participants SET link_active = true, verified = true, verified_until = now() + '80 days',"
        " standing = NULL WHERE participant_id BETWEEN 'P00000030' AND 'P00000033'"
    )
    (first,) = await api.fetch("SELECT id, participant FROM incentives WHERE participant_id = 'P00000030'")
    await api.fetch(
        "INSERT INTO links (id, participant, client_id, partner, account_index, account_sealed, state, return_url,"
        " created_at, updated_at) SELECT 'L17959263737900030', id, $2, partner, account_index, account_sealed,"
        " 'active', '', now(), now() FROM participants WHERE id = $1",
        first["participant"], api.ids["maker"],
    )  # fmt: skip
    await api.fetch(
        "INSERT INTO payouts (id, reference, incentive, participant, link_id, partner, amount_rupiah, state, attempt,"
        " looks, sent_at, first_sent_at, sent_deadline, next_at, created_at, updated_at) VALUES ($1, $2, $3, $4,"
        " 'L17959263737900030', $5, 600000, 'unknown', 1, 3, now() - interval '1 hour', now() - interval '1 hour',"
        " now() - interval '58 minutes', now() + interval '10 minutes', now() - interval '2 hours', now())",
        PAYOUT, REFERENCE, first["id"], first["participant"], DOWN,
    )  # fmt: skip
    await api.fetch(
        "INSERT INTO ledger (payout, partner, kind, debit, credit, amount_rupiah, at)"
        " VALUES ($1, $2, 'reserve', 'reserved', 'float', 600000, now())",
        PAYOUT, DOWN,
    )  # fmt: skip
    for operation, effect in (("topup", "WRITE"), ("topup-status", "READ"), ("topup-status", "READ")):
        await api.fetch(
            "INSERT INTO exchanges (at, partner, operation, effect, subject, status, error, left_us, took_ms)"
            " VALUES (now(), $1, $2, $3, $4, 502, NULL, true, 2900)",
            DOWN, operation, effect, str(PAYOUT),
        )  # fmt: skip
    await api.fetch(
        "INSERT INTO reconciliations (id, partner, day, requested_by, started_at, finished_at, state, failure)"
        " VALUES (1, $1, current_date - 1, 'gateway', now(), now(), 'failed', 'PartnerUnavailable')",
        DOWN,
    )
    now, down = SystemClock().now(), NewHold(
        partner=DOWN, stage=HoldStage.PAYOUT, kind=HoldKind.OUTAGE, fault="5xx", words="502", opened_by="worker-1",
        next_canary_at=SystemClock().now() + timedelta(minutes=5),
    )  # fmt: skip
    async with api.core.resources.database.transaction() as connection:
        await holds.hold(connection, now, down)
        new = [
            NewCase(code=BlockerCode.OUTCOME_UNKNOWN, partner=DOWN, detail="three look-ups: 502", payout=PAYOUT),
            NewCase(code=BlockerCode.CONTRADICTION, partner="bni", detail="two credits of one"),
        ]
        await cases.open_cases(connection, now, new)
    await api.core.plan.tick()


async def prepared(settings: Settings) -> dict[str, Any]:
    """What there is to see on the pages."""
    async with open_resources(settings) as opened:
        core = build_core(opened)
        app = create_app(core=core)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:  # type: ignore[arg-type]
            api = await Api.open(core, client)
            bank = range(10, 10 + AT_A_BANK)
            rows = [row(n) for n in range(1, 6)] + [row(n, partner="bni", account=f"70000000{n}") for n in bank]
            batch = (await api.submit(as_csv(rows))).json()
            made = await _links(api)
            people = (await Desk.open(api)).people
            for role in ("operator", "approver"):
                people[f"{role}-two"] = await core.operators.enrol(f"{role}-two", (role,), actor="test")
            await _trouble(api)
            plan = await api.call("POST", "/v1/plans", json=examples.BODIES["propose_plan"], key="plan")
            (case,) = await api.fetch("SELECT id FROM cases WHERE payout = $1", PAYOUT)
    asked = [route.path_format for route in app.routes if "GET" in getattr(route, "methods", ())]
    return {
        "people": people, "batch": batch["batch_id"], "plan": plan.json()["plan_id"], "case": str(case["id"]),
        "pages": tuple(asked), **made,
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
            return settings, {"dsn": database, **await prepared(settings)}

        settings, made = aside.submit(lambda: asyncio.run(make())).result()
        server = uvicorn.Server(server_config(create_app(settings)))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield Site(url=url, **made)
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()
