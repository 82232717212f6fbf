"""The sheet's LinkAja vectors, computed here once more and admitted by the mock as they are printed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from mock_partners.kit.clock import Clock, Scheduler
from mock_partners.kit.snap.links import Link
from mock_partners.kit.snap.tokens import Tokens
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import World
from mock_partners.linkaja import CREDENTIALS, create_app
from tests.mock_partners.linkaja.conftest import authorization, code, digest_of, kong_signature
from tests.mock_partners.signing import hmac_signature

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "linkaja" / "mock.json").read_text())
SNAP = VECTORS["snap"]
CODES = {"V13 create": "00", "V13 inquiry": "00", "V18 session": "40", "V18 confirm": "40", "V18 check": "25"}
"""What each printed request comes to on a fresh mock: no session was opened, nothing was confirmed."""


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """A LinkAja mock whose tokens are the sheet's, on the sheet's clock."""
    world, clock = World("linkaja"), Clock()
    clock.freeze(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    for name in ("snap.b2b2c", "legacy.access"):
        world.keep(name, lambda: Tokens(lambda: "cust-token-0001"))
    app = create_app(
        world, clock=clock, waits=Waits(), notify_base="https://gw.example.test", scheduler=Scheduler(clock, auto=False)
    )
    link = Link(world.accounts["+6281234567890"], "st-0001", "r")
    world.keep("snap.b2b2c", pytest.fail).issue(clock.seconds(), 900, link)
    world.keep("legacy.access", pytest.fail).issue(clock.seconds(), 900)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://linkaja") as client:
        yield client


@pytest.mark.parametrize("vector", VECTORS["kong"], ids=lambda vector: vector["name"])
async def test_kong_vectors(http: httpx.AsyncClient, vector: dict[str, str]) -> None:
    raw, date = vector["body"].encode(), VECTORS["kong_date"]
    assert digest_of(raw) == vector["digest"]
    method, target = vector["method"], vector["target"]
    assert kong_signature(VECTORS["kong_secret"], method, target, date, vector["digest"]) == vector["signature"]
    headers = {
        "Date": date, "Digest": vector["digest"], "Access-Token": "cust-token-0001",
        "Authorization": authorization(VECTORS["kong_user"], vector["signature"]),
    }  # fmt: skip
    reply = await http.request(method, target, content=raw, headers=headers)
    assert reply.status_code == 200
    told = reply.json()
    inside = told if "responseCode" in told or "status" in told else told["data"]
    assert (inside.get("status") or inside["responseCode"]) == CODES[vector["name"]]
    reply = await http.request(method, target, content=raw + b" ", headers=headers)
    assert reply.status_code == 401


async def test_the_snap_vector() -> None:
    raw = SNAP["body"].encode()
    assert hashlib.sha256(raw).hexdigest() == SNAP["body_sha256"]
    again = hmac_signature(SNAP["secret"], SNAP["method"], SNAP["target"], SNAP["token"], raw, SNAP["timestamp"])
    assert again == SNAP["signature"]
    world, clock = World("linkaja"), Clock()
    clock.freeze(datetime.fromisoformat(SNAP["timestamp"]))
    world.keep("snap.b2b", lambda: Tokens(lambda: str(SNAP["token"]))).issue(clock.seconds(), 900)
    app = create_app(
        world, clock=clock, waits=Waits(), notify_base="https://gw.example.test", scheduler=Scheduler(clock, auto=False)
    )
    headers = {
        "Content-Type": "application/json", "X-TIMESTAMP": SNAP["timestamp"], "X-SIGNATURE": SNAP["signature"],
        "X-PARTNER-ID": CREDENTIALS["credentials"]["partner_id"], "X-EXTERNAL-ID": "1", "CHANNEL-ID": "95221",
        "Authorization": f"Bearer {SNAP['token']}",
    }  # fmt: skip
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://linkaja") as client:
        reply = await client.post(SNAP["target"], content=raw, headers=headers)
        assert code(reply) == "4000701", "its return address is not the registered one; the signature was right"
        reply = await client.post(SNAP["target"], content=raw[:-1] + b",}", headers={**headers, "X-EXTERNAL-ID": "2"})
        assert code(reply) == "4010700"
