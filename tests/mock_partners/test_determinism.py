"""Same seed, scenario, stopped clock and bytes sent: the same bytes come back, in notices, books and log too."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC
from importlib import resources
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.mock_partners.signers import ENDPOINTS, STYLES, WORDS, Signer
from tests.mock_partners.wire import PACKAGES, Got, Mock, Sent, start

JSON = {"content-type": "application/json", "accept": "application/json"}


def basic(user: str, password: str = "") -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@dataclass
class Client:
    """One client in the middle of a run: its signers, and what it learned from the answers."""

    mock: Mock
    signers: dict[str, Signer] = field(init=False)
    customer: str = field(init=False)
    learned: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.signers = {product: Signer(self.mock, product) for name, product in WORDS if name == self.mock.partner}
        self.customer = self.mock.customer_token() if self.mock.partner != "bni" else ""

    def learn(self, got: Got) -> None:
        try:
            told = json.loads(got.body)
        except ValueError:
            return
        while isinstance(told, list) and told:
            told = told[0]
        if isinstance(told, dict):
            self.learned |= told | (told["data"] if isinstance(told.get("data"), dict) else {})
            for payout in told.get("payouts", []):
                self.learned |= payout


def iris(key: str, method: str, path: str, body: Callable[[Client], Any] | None = None) -> Callable[[Client], Sent]:
    def made(client: Client) -> Sent:
        sent = b"" if body is None else json.dumps(body(client)).encode()
        secret = client.mock.secrets[key]
        where = path.replace("*", str(client.learned.get("reference_no", "0")))
        return Sent(method, f"/iris/api/v1/{where}", headers=JSON | basic(secret), body=sent)

    return made


def one_gate(path: str, body: dict[str, Any]) -> Callable[[Client], Sent]:
    def made(client: Client) -> Sent:
        known = PACKAGES["bni"].CREDENTIALS["one_gate_payment"]
        full = {"clientId": "IDBNI" + base64.b64encode(known["app_name"].encode()).decode(), **body}
        parts = [base64.urlsafe_b64encode(raw).rstrip(b"=") for raw in (b'{"alg":"HS256"}', json.dumps(full).encode())]
        mac = hmac.digest(known["api_secret"].encode(), b".".join(parts), "sha256")
        full["signature"] = b".".join((*parts, base64.urlsafe_b64encode(mac).rstrip(b"="))).decode()
        headers = {**JSON, "x-api-key": known["api_key"]}
        token = str(client.learned.get("access_token", "none"))
        return Sent("POST", f"/H2H/v2/{path}", f"access_token={token}", headers, json.dumps(full).encode())

    return made


def oauth(client: Client) -> Sent:
    known = PACKAGES["bni"].CREDENTIALS["one_gate_payment"]
    return Sent(
        "POST", "/api/oauth/token", headers=basic(known["client_id"], known["client_secret"]),
        body=b"grant_type=client_credentials",
    )  # fmt: skip


def kong(method: str, path: str, body: Callable[[Client], Any] | None = None) -> Callable[[Client], Sent]:
    def made(client: Client) -> Sent:
        sent = b"" if body is None else json.dumps(body(client)).encode()
        date = client.mock.clock.now().astimezone(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        digest = "SHA-256=" + base64.b64encode(hashlib.sha256(sent).digest()).decode()
        text = f"date: {date}\n{method} {path} HTTP/1.1\ndigest: {digest}"
        mac = base64.b64encode(hmac.digest(client.mock.secrets["hmac_secret"].encode(), text.encode(), "sha256"))
        order = 'algorithm="hmac-sha256", headers="date request-line digest"'
        authorization = f'hmac username="{client.mock.secrets["hmac_username"]}", {order}, signature="{mac.decode()}"'
        headers = {"date": date, "digest": digest, "authorization": authorization}
        headers["access-token"] = str(client.learned.get("accessToken", "none"))
        return Sent(method, path, headers=headers, body=sent)

    return made


def cash_in(client: Client) -> dict[str, Any]:
    return {
        "token": client.customer, "amount": "000005000000", "merchantTrxID": "P1",
        "trxDate": "2026-01-02T03:04:05+00:00", "sessionID": client.learned.get("sessionID", "none"),
    }  # fmt: skip


def control(path: str, query: str = "") -> Callable[[Client], Sent]:
    return lambda client: Sent("GET", f"/__mock__/{path}", query)


DAY = {"from_date": "2026-01-15", "to_date": "2026-01-15"}
PAYOUT = {"beneficiary_name": "B", "beneficiary_account": "08215023424", "beneficiary_bank": "gopay", "notes": "N"}
OGP_PAYMENT = {
    "customerReferenceNumber": "1", "debitAccountNo": "113183203", "creditAccountNo": "115471119",
    "valueDate": "20260115120000000", "valueCurrency": "IDR", "valueAmount": 1, "chargingModelId": "OUR",
    "beneficiaryName": "B", "beneficiaryAddress1": "J", "destinationBankCode": "CENAIDJA",
}  # fmt: skip
EXTRA: dict[str, tuple[Callable[[Client], Sent], ...]] = {
    "bni": (
        oauth,
        one_gate("getbalance", {"accountNo": "113183203"}),
        one_gate("dopayment", {**OGP_PAYMENT, "paymentMethod": "0"}),
        one_gate("dopayment", {**OGP_PAYMENT, "customerReferenceNumber": "2", "paymentMethod": "2"}),
        one_gate("getpaymentstatus", {"customerReferenceNumber": "2"}),
        one_gate("getinterbankinquiry", {
            "customerReferenceNumber": "3", "accountNum": "113183203", "destinationBankCode": "014",
            "destinationAccountNum": "1",
        }),
        control("sms", "phone=%2B6281200000151"),
    ),
    "gopay": (
        iris("iris_creator_key", "POST", "payouts", lambda client: {"payouts": [{**PAYOUT, "amount": "50000"}]}),
        iris("iris_approver_key", "POST", "payouts/approve", lambda client: {
            "reference_nos": [client.learned.get("reference_no", "0")],
        }),
        iris("iris_creator_key", "GET", "payouts/*"),
        iris("iris_creator_key", "GET", "balance"),
        iris("iris_creator_key", "GET", "statements", lambda client: DAY),
        lambda client: Sent("GET", "/forward/gopay-id/identity/v1/gopay-id/token", headers={
            "x-merchant-id": "PRAKERJA", "authorization": client.customer, "request-id": "1",
        }),
        control("pending"),
    ),
    "linkaja": (
        kong("GET", "/v1/oauth/create"),
        kong("POST", "/v1/cashin/inquiry", cash_in),
        kong("POST", "/v1/cashin/confirm", cash_in),
        kong("POST", "/v1/cashin/check", lambda client: {"merchantTrxID": "P1"}),
        kong("POST", "/v1/custbind/verify/kyc", lambda client: {"token": client.customer, "nik": "3174052209989903"}),
    ),
    "ovo": (control("pending"), control("sms", "phone=%2B6281234567890")),
}  # fmt: skip
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("call"), st.integers(0, 99), st.sampled_from(STYLES)),
        st.tuples(st.just("extra"), st.integers(0, 99), st.just(STYLES[0])),
        st.tuples(st.just("token"), st.integers(0, 99), st.sampled_from(STYLES)),
        st.tuples(st.just("wait"), st.sampled_from([0, 1, 7, 90, 1_000, 86_400]), st.just(STYLES[0])),
    ),
    min_size=1,
    max_size=25,
)  # fmt: skip


async def first_run(mock: Mock, steps: list[Any]) -> tuple[list[Sent | int], list[Any]]:
    """Plays the steps, each request made from what was learned before; returns what was sent and what was seen."""
    client, sent, seen = Client(mock), list[Sent | int](), list[Any]()
    known = [endpoint for endpoint in ENDPOINTS if endpoint.partner == mock.partner]
    products = list(client.signers)
    tokens = [("token", number, STYLES[0]) for number in range(len(products))]
    for kind, number, style in (*tokens, *steps):
        if kind == "wait":
            request: Sent | int = number
        elif kind == "extra":
            request = EXTRA[mock.partner][number % len(EXTRA[mock.partner])](client)
        elif kind == "token":
            request = client.signers[products[number % len(products)]].token_call(style=style)
        else:
            endpoint = known[number % len(known)]
            bearer = {"b2b": None, "": "", "customer": client.customer}[endpoint.bearer]
            customer = client.customer if endpoint.customer else ""
            request = client.signers[endpoint.product].sign(endpoint, style, bearer=bearer, customer=customer)
        sent.append(request)
        got = await play(mock, request)
        seen.append(got)
        if isinstance(got, Got):
            client.learn(got)
            if kind == "token":
                client.signers[products[number % len(products)]].token = client.learned.get("accessToken", "")
    return sent, seen


async def play(mock: Mock, request: Sent | int) -> Got | int | str:
    if isinstance(request, Sent):
        try:
            return await mock.send(request)
        except httpx.TransportError as lost:
            return type(lost).__name__
    mock.clock.shift(request)
    return await mock.scheduler.run_due()


async def kept(mock: Mock, name: str) -> bytes:
    """The bytes of a part of the control API."""
    return (await mock.send(Sent("GET", f"/__mock__/{name}"))).body


COOKBOOK = sorted(Path(str(resources.files("mock_partners"))).glob("cookbook/*.toml"))
SCENARIOS = {
    path.stem: text for path in COOKBOOK if not re.search("delay_s|slow_answer_s|trickle_s", text := path.read_text())
}
"""Those of the cookbook in which nobody waits."""


@pytest.mark.parametrize("partner", sorted(PACKAGES))
@given(steps=STEPS, seed=st.integers(0, 3), scenario=st.sampled_from(["", *SCENARIOS]))
def test_the_same_bytes_get_the_same_bytes(partner: str, steps: list[Any], seed: int, scenario: str) -> None:
    async def both() -> None:
        one, other = (start(partner, seed, settlement_s=5, reversal_s=60) for _ in range(2))
        if scenario:
            for mock in (one, other):
                set_ = await mock.send(Sent("PUT", "/__mock__/scenario", body=SCENARIOS[scenario].encode()))
                assert set_.status == 200
        sent, seen = await first_run(one, steps)
        if partner != "bni":
            other.customer_token()
        again = [await play(other, request) for request in sent]
        assert again == seen
        assert other.notices == one.notices
        for name in ("books", "requests", "notifications", "links", "scenario", "pending"):
            assert await kept(other, name) == await kept(one, name), name

    asyncio.run(both())


@pytest.mark.parametrize("partner", sorted(PACKAGES))
def test_another_seed_gives_other_tokens(partner: str) -> None:
    """The property above compares something: what is random differs between seeds."""

    async def token(seed: int) -> str:
        return await Signer(start(partner, seed)).authenticate()

    assert asyncio.run(token(1)) == asyncio.run(token(1)) != asyncio.run(token(2))
