"""OVO's gate: one flipped byte, the order of checks, time and tokens; and the published vectors, byte for byte."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from mock_partners.kit.clock import Clock, Scheduler
from mock_partners.kit.snap.tokens import Tokens
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import World
from mock_partners.ovo import create_app
from tests.mock_partners.ovo.conftest import BALANCE, BIND, HISTORY, SECRETS, STATUS, Ovo, code
from tests.mock_partners.signing import compact, hmac_signature

BODY = {"originalPartnerReferenceNo": "R1", "serviceCode": "38"}
VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "ovo" / "mock.json").read_text())
RESULTS = {"V12": "2003800", "V16": "4000701", "V17": "4043901"}
"""What each vector's request comes to: V16's return address is not the registered one, V17's payout is unknown."""


async def test_one_flipped_byte_of_body_or_signature_is_refused(ovo: Ovo) -> None:
    assert code(await ovo.snap.post(STATUS, BODY)) == "4043901"
    raw = compact(BODY)
    for at in range(len(raw)):
        sent = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        assert code(await ovo.snap.post(STATUS, BODY, sent=sent)) == "4013900"
    now = ovo.snap.timestamp()
    right = hmac_signature(SECRETS["client_secret"], "POST", STATUS, ovo.snap.token, raw, now)
    for at in (0, 43, 85):
        wrong = right[:at] + ("A" if right[at] != "A" else "B") + right[at + 1 :]
        assert code(await ovo.snap.post(STATUS, BODY, at=now, headers={"x_signature": wrong})) == "4013900"


async def test_whitespace_outside_strings_is_not_signed(ovo: Ovo) -> None:
    assert code(await ovo.snap.post(STATUS, BODY, sent=json.dumps(BODY, indent=2).encode())) == "4043901"


async def test_the_query_of_a_get_is_signed(ovo: Ovo) -> None:
    at = ovo.snap.timestamp()
    headers = ovo.snap.signed("GET", HISTORY, at)
    reply = await ovo.http.get(f"{HISTORY}?date=2026-01-15", headers=headers)
    assert code(reply) == "4011200"
    assert code(await ovo.snap.get(f"{HISTORY}?date=2026-01-15&page=1")) == "2001200"
    assert code(await ovo.snap.get(BALANCE)) == "2001100"


@pytest.mark.parametrize(
    ("at", "fine"),
    [
        ("2026-01-15T12:00:00.123+07:00", True),
        ("2026-01-15T12:00:00+07:00", True),
        ("2026-01-15T05:00:00Z", True),
        ("2026-01-15T12:15:00.000+07:00", True),
        ("2026-01-15T12:15:01.000+07:00", False),
        ("2026-01-15T11:44:59.000+07:00", False),
        ("2026-01-15T12:00:00.000", False),
        ("2026-01-15 12:00:00.000+07:00", False),
    ],
)
async def test_timestamps(ovo: Ovo, at: str, fine: bool) -> None:
    assert code(await ovo.snap.post(STATUS, BODY, at=at)) == ("4043901" if fine else "4013900")
    assert code(await ovo.snap.authenticate(at=at)) == ("2007300" if fine else "4017300")


async def test_the_order_of_checks(ovo: Ovo) -> None:
    """Headers, time, client, token, signature, X-EXTERNAL-ID, JSON, fields; a refused call uses its id up (X5)."""
    late, wrong = "2026-01-15T11:00:00.000+07:00", {"x_signature": "x", "x_external_id": "one"}
    post = ovo.snap.post
    assert code(await post(STATUS, BODY, drop=["X-DEVICE-ID"], at=late)) == "4003902"
    assert code(await post(STATUS, BODY, at=late, headers={"x_partner_id": "other"})) == "4013900"
    assert code(await post(STATUS, BODY, headers={"x_partner_id": "other"}, token="x")) == "4013900"
    assert code(await post(STATUS, BODY, token="x", headers=wrong)) == "4013903"
    assert code(await post(STATUS, BODY, headers=wrong)) == "4013900"
    assert code(await post(STATUS, [], headers={"x_external_id": "one"})) == "4003900"
    assert code(await post(STATUS, BODY, headers={"x_external_id": "one"})) == "4093900"
    assert code(await post(STATUS, {"serviceCode": "17"}, headers={"x_external_id": "two"})) == "4003902"
    assert code(await post(STATUS, {**BODY, "serviceCode": "17"})) == "4003901"
    ovo.clock.shift(43_200)
    await ovo.snap.authenticate()
    assert code(await post(STATUS, BODY, headers={"x_external_id": "one"})) == "4043901"


@pytest.mark.parametrize(
    "name", ["X-TIMESTAMP", "X-SIGNATURE", "X-PARTNER-ID", "X-EXTERNAL-ID", "X-DEVICE-ID", "CHANNEL-ID", "Content-Type"]
)
async def test_every_header_is_needed(ovo: Ovo, name: str) -> None:
    assert code(await ovo.snap.post(STATUS, BODY, drop=[name])) == "4003902"


async def test_programme_tokens_live_fifteen_minutes(ovo: Ovo) -> None:
    ovo.clock.shift(899)
    assert code(await ovo.snap.post(STATUS, BODY)) == "4043901"
    ovo.clock.shift(1)
    assert code(await ovo.snap.post(STATUS, BODY)) == "4013901"
    assert code(await ovo.snap.post(STATUS, BODY, drop=["Authorization"])) == "4013903"


async def test_only_binding_goes_without_a_token(ovo: Ovo) -> None:
    ovo.account()
    assert code(await ovo.bind()) == "2000700"
    assert code(await ovo.snap.post(BIND, {}, token="", drop=["Authorization"])) == "4000702"
    assert code(await ovo.snap.post(STATUS, BODY, token="", drop=["Authorization"])) == "4013903"
    assert code(await ovo.snap.post(BIND, {}, token="x")) == "4010703"


@pytest.mark.parametrize("vector", VECTORS["snap"], ids=lambda vector: vector["name"])
async def test_the_vectors_of_the_sheet_are_admitted_as_printed(vector: dict[str, Any]) -> None:
    raw = vector["body"].encode()
    assert hashlib.sha256(raw).hexdigest() == vector["body_sha256"]
    again = hmac_signature(
        vector["secret"], vector["method"], vector["target"], vector["token"], raw, vector["timestamp"]
    )
    assert again == vector["signature"]
    world, clock = World("ovo"), Clock()
    clock.freeze(datetime.fromisoformat(vector["timestamp"]))
    tokens = world.keep("snap.b2b", lambda: Tokens(lambda: str(vector["token"])))
    tokens.issue(clock.seconds(), 900)
    app = create_app(
        world, clock=clock, waits=Waits(), notify_base="https://gw.example.test", scheduler=Scheduler(clock, auto=False)
    )
    headers = {
        "Content-Type": "application/json", "X-TIMESTAMP": vector["timestamp"], "X-PARTNER-ID": SECRETS["partner_id"],
        "X-EXTERNAL-ID": "1", "X-DEVICE-ID": "d", "CHANNEL-ID": "95221", "X-SIGNATURE": vector["signature"],
    }  # fmt: skip
    if vector["token"]:
        headers["Authorization"] = f"Bearer {vector['token']}"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://ovo") as http:
        reply = await http.post(vector["target"], content=raw, headers=headers)
        assert code(reply) == RESULTS[vector["name"]]
        reply = await http.post(vector["target"], content=raw[:-1] + b",}", headers={**headers, "X-EXTERNAL-ID": "2"})
    assert code(reply) == f"401{RESULTS[vector['name']][3:5]}00"
