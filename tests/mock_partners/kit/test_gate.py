"""The parts of the SNAP gate that only some partners use: customer tokens, other bearers, no bearer, hex, null, GET."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import pytest

from mock_partners.kit.clock import JAKARTA, Clock
from mock_partners.kit.http import MAX_BODY_BYTES, MockApp, Reply, Route, json_reply
from mock_partners.kit.keys import Key, private_key, private_pem
from mock_partners.kit.snap.gate import Asked, Gate, Profile
from mock_partners.kit.snap.tokens import Client, Tokens
from mock_partners.kit.world import World
from tests.mock_partners.signing import SnapClient, compact, hmac_signature

EMPTY_HASH = hashlib.sha256(b"").hexdigest()


@dataclass
class Stage:
    clock: Clock
    gate: Gate
    others: Tokens
    snap: SnapClient
    http: httpx.AsyncClient

    async def ask(self, path: str, body: object = None, **options: Any) -> str:
        return str((await self.snap.post(path, body if body is not None else {}, **options)).json()["responseCode"])


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    clock, world = Clock(), World("ovo")
    clock.freeze(datetime(2026, 1, 15, 12, 0, tzinfo=JAKARTA))
    profile = Profile(
        encodings=("base64", "hex"), null_is_empty=True, grant_names=("grantType", "grant_type"),
    )  # fmt: skip
    client = Client("client", "partner", b"secret", private_key(Key.WALLETS).public_key())
    gate = Gate(world, clock, client, profile=profile)
    others = Tokens(lambda: "linkage-1")

    async def echo(asked: Asked) -> Reply:
        customer = asked.customer.subject if asked.customer else None
        bearer = asked.bearer.subject if asked.bearer else None
        return gate.say(200, asked.service, body=asked.body, customer=customer, bearer=bearer)

    app = MockApp(
        [
            Route("POST", "/token", gate.b2b_token()),
            Route("POST", "/numbered", gate.b2b_token("50")),
            Route("POST", "/customer-token", gate.asymmetric("74", echo)),
            Route("POST", "/plain", gate.symmetric("07", echo)),
            Route("GET", "/plain", gate.symmetric("12", echo)),
            Route("POST", "/customer", gate.symmetric("08", echo, customer=True)),
            Route("POST", "/other", gate.symmetric("09", echo, tokens=others)),
            Route("POST", "/tokenless", gate.symmetric("07", echo, tokenless=True)),
        ],
        not_found=lambda _path, status: json_reply(
            status, {"responseCode": f"{status}0000", "responseMessage": "nowhere"}
        ),
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://ovo") as http:
        snap = SnapClient(
            http, client_key="client", partner_id="partner", secret="secret", pem=private_pem(Key.WALLETS),
            token_path="/token", now=clock.now,
        )  # fmt: skip
        await snap.authenticate()
        yield Stage(clock, gate, others, snap, http)


async def test_customer_tokens(stage: Stage) -> None:
    token = stage.gate.customer_tokens.issue(stage.clock.seconds(), 60, subject="link-1")
    headers = {"authorization_customer": f"Bearer {token.value}"}
    reply = await stage.snap.post("/customer", {"a": 1}, headers=headers)
    assert reply.json()["customer"] == "link-1"
    assert await stage.ask("/customer", headers={**headers, "authorization_customer": token.value}) == "2000800"
    assert await stage.ask("/customer") == "4010804"
    assert await stage.ask("/customer", headers={**headers, "authorization_customer": "Bearer x"}) == "4010802"
    stage.clock.shift(60)
    assert await stage.ask("/customer", headers=headers) == "4010802"


async def test_revoked_customer_tokens(stage: Stage) -> None:
    tokens = stage.gate.customer_tokens
    one, two = (tokens.issue(stage.clock.seconds(), 60, subject="link-1") for _ in range(2))
    other = tokens.issue(stage.clock.seconds(), 60, subject="link-2")
    tokens.revoke_subject("link-1")
    assert [tokens.find(token.value) is not None for token in (one, two, other)] == [False, False, True]
    tokens.revoke(other.value)
    assert tokens.find(other.value) is None


async def test_another_bearer(stage: Stage) -> None:
    linkage = stage.others.issue(stage.clock.seconds(), 60, subject="binding-1")
    reply = await stage.snap.post("/other", {}, token=linkage.value)
    assert reply.json()["bearer"] == "binding-1"
    assert await stage.ask("/other") == "4010903"
    assert await stage.ask("/plain", token=linkage.value) == "4010703"


async def test_a_tokenless_call_signs_an_empty_part_and_may_carry_a_token_too(stage: Stage) -> None:
    assert await stage.ask("/tokenless", token="", drop=("Authorization",)) == "2000700"
    assert await stage.ask("/tokenless") == "2000700"
    assert await stage.ask("/tokenless", drop=("Authorization",)) == "4010700"
    assert await stage.ask("/plain", token="", drop=("Authorization",)) == "4010703"


async def test_hex_where_it_is_agreed(stage: Stage) -> None:
    at = stage.snap.timestamp()
    signed = hmac_signature("secret", "POST", "/plain", stage.snap.token, compact({}), at)
    as_hex = base64.b64decode(signed).hex()
    assert await stage.ask("/plain", at=at, headers={"x_signature": as_hex}) == "2000700"
    assert await stage.ask("/plain", at=at, headers={"x_signature": as_hex.upper()}) == "4010700"


@pytest.mark.parametrize("hashed", [b"null", b""])
async def test_a_null_body_is_empty_where_midtrans_clients_send_it(stage: Stage, hashed: bytes) -> None:
    at = stage.snap.timestamp()
    signature = hmac_signature("secret", "POST", "/plain", stage.snap.token, hashed, at)
    reply = await stage.snap.post("/plain", {}, sent=b"null", at=at, headers={"x_signature": signature})
    assert reply.json()["body"] == {}


async def test_a_get_signs_its_query_and_the_empty_body(stage: Stage) -> None:
    at = stage.snap.timestamp()
    target = "/plain?date=2026-01-15&page=1"
    text = f"GET:{target}:{stage.snap.token}:{EMPTY_HASH}:{at}"
    signature = base64.b64encode(hmac.digest(b"secret", text.encode(), "sha512")).decode()
    for path, expected in ((target, "2001200"), ("/plain?date=2026-01-16&page=1", "4011200")):
        code = await stage.ask(
            path, sent=b"", at=at, method="GET", headers={"x_signature": signature}, drop=("Content-Type",)
        )
        assert code == expected


async def test_token_requests(stage: Stage) -> None:
    at = stage.snap.timestamp()
    headers = {
        "Content-Type": "application/json", "X-TIMESTAMP": at, "X-CLIENT-KEY": "client",
        "X-SIGNATURE": (await stage.snap.authenticate()).request.headers["X-SIGNATURE"],
    }  # fmt: skip
    expected = {
        b'{"grant_type":"client_credentials"}': "2007300",
        b'{"grantType":"password"}': "4007301",
        b"{}": "4007302",
        b"[": "4007300",
    }
    for body, code in expected.items():
        assert (await stage.http.post("/token", content=body, headers=headers)).json()["responseCode"] == code
    for body, code in ((b'{"grantType":"client_credentials"}', "2005000"), (b"{}", "4005002")):
        assert (await stage.http.post("/numbered", content=body, headers=headers)).json()["responseCode"] == code
    reply = await stage.http.post("/customer-token", content=b'{"authCode":"a"}', headers=headers)
    assert reply.json()["body"] == {"authCode": "a"}


async def test_a_partner_says_not_found_in_its_own_words_and_bodies_are_bounded(stage: Stage) -> None:
    assert (await stage.http.get("/nowhere")).json() == {"responseCode": "4040000", "responseMessage": "nowhere"}
    assert (await stage.http.post("/token", content=b" " * (MAX_BODY_BYTES + 1))).status_code == 413
