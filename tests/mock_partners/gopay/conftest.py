"""A frozen clock, a scheduler driven by hand, caught notifications, and a client that signs by itself."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, quote, quote_plus, urlsplit

import httpx
import pytest_asyncio

from mock_partners.gopay import CREDENTIALS, create_app
from mock_partners.kit.behaviour import Behaviour
from mock_partners.kit.clock import JAKARTA, Clock, Scheduler
from mock_partners.kit.notify import Notice
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import Account, World
from tests.mock_partners.signing import SnapClient, code, rsa_signature

NOON = datetime(2026, 1, 15, 12, 0, 0, tzinfo=JAKARTA)
NIK = "3174012304909901"
PHONE, PIN = "+6281234567890", "246810"
SECRETS = CREDENTIALS["credentials"]
BASE = "https://gw.example.test"
BACK = f"{BASE}/callbacks/gopay/link?st=st-0001"
CORRELATION = "0b9e6d0a-0000-4000-8000-000000000001"
IRIS_PATH, LINK_PATH = "/callbacks/gopay/iris", "/callbacks/gopay/v1.0/registration-account/notify"


@dataclass
class Post:
    """One notification as the gateway got it."""

    at_s: float
    url: str
    notice: Notice

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def body(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.notice.body)
        return loaded


@dataclass
class Gopay:
    """One GoPay mock on a frozen clock; `statuses` are what the gateway answers to the next notifications."""

    world: World
    clock: Clock
    scheduler: Scheduler
    waits: Waits
    posts: list[Post] = field(default_factory=list)
    statuses: list[int | None] = field(default_factory=list)
    http: httpx.AsyncClient = field(init=False)
    snap: SnapClient = field(init=False)

    def connect(self) -> httpx.AsyncClient:
        """An app on this world, as after a restart, and a client of it."""
        app = create_app(
            self.world, clock=self.clock, waits=self.waits, notify_base=BASE, scheduler=self.scheduler,
            send=self.receive,
        )  # fmt: skip
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gopay")
        self.snap = SnapClient(
            self.http, client_key=SECRETS["snap_client_id"], partner_id=SECRETS["snap_partner_id"],
            secret=SECRETS["snap_client_secret"], pem=SECRETS["snap_private_key_pem"],
            token_path="/v1.0/access-token/b2b", now=self.clock.now,
        )  # fmt: skip
        return self.http

    async def receive(self, url: str, notice: Notice) -> int | None:
        self.posts.append(Post(self.clock.seconds(), url, notice))
        return self.statuses.pop(0) if self.statuses else 200

    def account(self, phone: str = PHONE, **changes: Any) -> Account:
        """Adds an account to the world: active, full KYC, with a NIK, unless said otherwise."""
        values: dict[str, Any] = {
            "holder_name": "BUDI SANTOSO", "nik_on_file": NIK, "kyc": "full", "status": "active", "pin": PIN, **changes,
        }  # fmt: skip
        values["behaviour"] = Behaviour(values.get("behaviour", ""))
        account = Account("gopay", phone, phone, **values)
        self.world.accounts[phone] = account
        return account

    async def pass_time(self, seconds: float) -> None:
        """Moves the clock, stopping wherever something is due."""
        end_s = self.clock.seconds() + seconds
        while (due_s := self.scheduler.next_due_s()) is not None and due_s <= end_s:
            self.clock.shift(due_s - self.clock.seconds())
            await self.scheduler.run_due()
        self.clock.shift(end_s - self.clock.seconds())

    async def control(self, name: str) -> Any:
        reply = await self.http.get(f"/__mock__/{name}")
        return [json.loads(line) for line in reply.text.splitlines()] if name == "books" else reply.json()

    # Linking

    def auth_url(self, phone: str = PHONE, *, signed: str | None = None, **changes: str | None) -> str:
        """get-auth-code as a faithful client builds it; values go into the URL as given."""
        data = quote_plus(f"mobileNumber={phone.removeprefix('+')}&paymentType=gopay")
        signature = rsa_signature(SECRETS["snap_private_key_pem"], data if signed is None else signed)
        values: dict[str, str | None] = {
            "state": "st-0001", "merchantId": SECRETS["payment_handle"], "lang": "id", "scopes": "DEFAULT",
            "redirectUrl": quote(BACK, safe=""), "seamlessData": data, "seamlessSign": quote_plus(signature), **changes,
        }  # fmt: skip
        return "/v1.0/get-auth-code?" + "&".join(
            f"{name}={value}" for name, value in values.items() if value is not None
        )

    async def open_page(self, phone: str = PHONE) -> str:
        reply = await self.http.get(self.auth_url(phone))
        assert reply.status_code == 302
        return str(reply.headers["Location"])

    async def post_form(self, page: str, **fields: str) -> httpx.Response:
        return await self.http.post(page, data={"action": "continue", **fields})

    async def newest_otp(self, phone: str = PHONE) -> str:
        reply = await self.http.get("/__mock__/sms", params={"phone": phone})
        return str(reply.json()[0]["code"])

    async def consent(self, phone: str = PHONE, pin: str = PIN) -> str:
        """Plays the person until the redirect; returns its URL."""
        page = await self.open_page(phone)
        assert 'name="agree"' in (await self.http.get(page)).text
        assert 'name="phone"' in (await self.post_form(page, agree="yes")).text
        assert 'name="otp"' in (await self.post_form(page, phone=phone)).text
        assert 'name="pin"' in (await self.post_form(page, otp=await self.newest_otp(phone))).text
        reply = await self.post_form(page, pin=pin)
        assert reply.status_code == 302
        return str(reply.headers["Location"])

    async def bind(self, code: str, **changes: Any) -> httpx.Response:
        body = {
            "merchantId": SECRETS["payment_handle"], "authCode": code, "grantType": "AUTHORIZATION_CODE", **changes,
        }  # fmt: skip
        return await self.snap.post("/v1.0/registration-account-binding", body)

    async def link(self, phone: str = PHONE, pin: str = PIN) -> str:
        """Links an account; returns the customer token."""
        code = query(await self.consent(phone, pin))["authCode"]
        reply = await self.bind(code)
        assert reply.json()["responseCode"] == "2000700"
        return str(reply.json()["accessTokenInfo"]["accessToken"])

    async def customer_call(self, name: str, body: object, token: str, **changes: Any) -> httpx.Response:
        headers = {"Authorization-Customer": f"Bearer {token}", "X-DEVICE-ID": SECRETS["device_id"]}
        return await self.snap.post(f"/v1.0/registration-account-{name}", body, headers=headers, **changes)

    async def kyc(self, token: str, **changes: str) -> httpx.Response:
        headers = {
            "x-merchant-id": SECRETS["identity_merchant_id"], "authorization": token, "correlation-id": CORRELATION,
            **changes,
        }  # fmt: skip
        return await self.http.get("/forward/gopay-id/kyc/inbound/v1/users/submissions/current", headers=headers)

    # Iris

    async def iris(
        self, method: str, path: str, body: object = None, *, key: str = "iris_creator_key", **headers: str
    ) -> httpx.Response:
        basic = base64.b64encode(f"{SECRETS[key]}:".encode()).decode()
        named = {"Authorization": f"Basic {basic}", "Accept": "application/json", "Content-Type": "application/json"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        content = b"" if body is None else json.dumps(body).encode()
        return await self.http.request(method, f"/iris/api/v1/{path}", content=content, headers=named)

    def instruction(self, phone: str = PHONE, **changes: Any) -> dict[str, Any]:
        return {
            "beneficiary_name": "Budi Santoso", "beneficiary_account": "0" + phone.removeprefix("+62"),
            "beneficiary_bank": "gopay", "beneficiary_email": "", "amount": "600000.00", "notes": "PAYOUT-0001",
            **changes,
        }  # fmt: skip

    async def create(self, reference: str = "PAYOUT-0001", phone: str = PHONE, **changes: Any) -> str:
        """Queues one payout; returns Iris' number."""
        body = {"payouts": [self.instruction(phone, notes=reference, **changes)]}
        reply = await self.iris("POST", "payouts", body, X_Idempotency_Key=reference)
        assert reply.status_code == 201, reply.text
        return str(reply.json()["payouts"][0]["reference_no"])

    async def approve(self, *numbers: str, **changes: Any) -> httpx.Response:
        return await self.iris(
            "POST", "payouts/approve", {"reference_nos": numbers, **changes}, key="iris_approver_key"
        )

    async def status(self, number: str) -> str:
        reply = await self.iris("GET", f"payouts/{number}")
        return str(reply.json()["status"]) if reply.status_code == 200 else str(reply.status_code)

    def told(self, number: str) -> list[str]:
        """The states of a payout in the order in which they were notified, with the reason."""
        bodies = [post.body for post in self.posts if post.path == IRIS_PATH]
        states = [(body["status"], body.get("error_code")) for body in bodies if body["reference_no"] == number]
        return [f"{status} {code}" if code else status for status, code in states]


def query(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def other(text: str) -> str:
    """The same digits with the first one changed."""
    assert re.fullmatch("[0-9]+", text)
    return ("1" if text[0] != "1" else "2") + text[1:]


@pytest_asyncio.fixture
async def gopay() -> AsyncIterator[Gopay]:
    clock = Clock()
    clock.freeze(NOON)
    mock = Gopay(World("gopay"), clock, Scheduler(clock, auto=False), Waits())
    async with mock.connect():
        assert code(await mock.snap.authenticate()) == "2007300"
        yield mock
