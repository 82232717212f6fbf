"""A frozen clock, a scheduler driven by hand, and the LinkAja mock with a client for each of its two APIs."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from mock_partners.kit.behaviour import Behaviour
from mock_partners.kit.clock import JAKARTA, Clock, Scheduler
from mock_partners.kit.snap.links import Links
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import Account, World
from mock_partners.linkaja import CREDENTIALS, create_app
from tests.mock_partners.signing import SnapClient, code, compact, rsa_signature

NOON = datetime(2026, 1, 15, 12, 0, 0, tzinfo=JAKARTA)
NIK, OTHER_NIK = "3174052209989901", "3174056209989901"
PHONE, NUMBER, PIN = "+6281100000001", "6281100000001", "246810"
SECRETS = CREDENTIALS["credentials"]
GATEWAY = "http://gateway.test"
RETURN = f"{GATEWAY}/callbacks/linkaja/link?st=st-0001"
SNAP = "/bi/v1.0"
BIND, ACCOUNT, UNBIND = (f"{SNAP}/registration-account-{name}" for name in ("binding", "inquiry", "unbinding"))
BALANCE, B2B2C = f"{SNAP}/balance-inquiry", f"{SNAP}/access-token/b2b2c"
INQUIRY, CONFIRM, CHECK, REPORT = (f"/v1/cashin/{name}" for name in ("inquiry", "confirm", "check", "report"))
KYC, SESSION = "/v1/custbind/verify/kyc", "/v1/custbind/verify/sessionid"


def kong_signature(secret: str, method: str, target: str, date: str, digest: str) -> str:
    """Kong's hmac-auth over date, request-line and digest, written from wallets.md 4.2 alone."""
    text = f"date: {date}\n{method} {target} HTTP/1.1\ndigest: {digest}"
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()).decode()


def digest_of(body: bytes) -> str:
    return "SHA-256=" + base64.b64encode(hashlib.sha256(body).digest()).decode()


def authorization(user: str, signature: str) -> str:
    return (
        f'hmac username="{user}", algorithm="hmac-sha256", headers="date request-line digest", signature="{signature}"'
    )


class LegacyClient:
    """Calls `/v1`; every header can be overridden, or dropped by None, to send what a faulty client would."""

    def __init__(self, client: httpx.AsyncClient, clock: Clock) -> None:
        self.client, self.clock, self.access_token = client, clock, ""

    def date(self, zone: str = "UTC") -> str:
        return f"{self.clock.now().astimezone(UTC):%a, %d %b %Y %H:%M:%S} {zone}"

    async def call(
        self, method: str, target: str, body: object = None, *, sent: bytes | None = None, signed: str = "",
        **changes: str | None,
    ) -> httpx.Response:  # fmt: skip
        raw = b"" if body is None else compact(body)
        date, digest = changes.get("date") or self.date(), digest_of(raw)
        signature = kong_signature(SECRETS["hmac_secret"], method, signed or target, date, digest)
        headers: dict[str, str | None] = {
            "Date": date, "Digest": digest, "Authorization": authorization(SECRETS["hmac_username"], signature),
            "Access-Token": self.access_token or None,
        }  # fmt: skip
        headers |= {name.replace("_", "-").title(): value for name, value in changes.items()}
        named = {name: value for name, value in headers.items() if value is not None}
        return await self.client.request(method, target, content=raw if sent is None else sent, headers=named)

    async def post(self, path: str, body: object, **changes: Any) -> dict[str, Any]:
        """The JSON of an answer that came with HTTP 200."""
        reply = await self.call("POST", path, body, **changes)
        assert reply.status_code == 200
        told: dict[str, Any] = reply.json()
        return told

    async def authenticate(self) -> dict[str, str]:
        told = (await self.call("GET", "/v1/oauth/create", access_token=None)).json()
        assert told["status"] == "00"
        self.access_token = told["data"]["accessToken"]
        data: dict[str, str] = told["data"]
        return data


@dataclass
class LinkAja:
    """One LinkAja mock on a frozen clock."""

    world: World
    clock: Clock
    scheduler: Scheduler
    http: httpx.AsyncClient
    snap: SnapClient
    legacy: LegacyClient

    def account(self, phone: str = PHONE, **changes: Any) -> Account:
        """Adds an account to the world: active, full service, with a NIK and a PIN, unless said otherwise."""
        values: dict[str, Any] = {
            "holder_name": "Budi Santoso", "nik_on_file": NIK, "kyc": "full", "status": "active", "pin": PIN, **changes,
        }  # fmt: skip
        values["behaviour"] = Behaviour(values.get("behaviour", ""))
        account = Account("linkaja", phone, phone, **values)
        self.world.accounts[phone] = account
        return account

    async def later(self, seconds: float) -> None:
        """Moves the clock and fetches fresh programme tokens."""
        self.clock.shift(seconds)
        await self.snap.authenticate()
        await self.legacy.authenticate()

    async def bind(self, number: str = NUMBER, state: str = "st-0001", **changes: Any) -> httpx.Response:
        more = {"partnerRedirectUrl": RETURN, "state": state, "scope": "DIRECT_DEBIT_TRANSACTION"}
        body = {"merchantId": SECRETS["merchant_id"], "msisdn": number, "additionalInfo": more}
        for name, value in changes.items():
            (more if name in more else body)[name] = value
        return await self.snap.post(BIND, body)

    async def walk(self, url: str, pin: str = PIN) -> dict[str, str]:
        """Agrees and types the PIN; the parameters that the browser comes back with."""
        assert (await self.http.get(url)).status_code == 200
        assert (await self.http.post(url, data={"agree": "yes", "action": "continue"})).status_code == 200
        return returned(await self.http.post(url, data={"pin": pin, "action": "continue"}))

    async def consent(self, number: str = NUMBER, state: str = "st-0001") -> str:
        return (await self.walk((await self.bind(number, state)).json()["redirectUrl"]))["authCode"]

    async def customer_token(self, body: object, **headers: str) -> httpx.Response:
        at = self.snap.timestamp()
        named = {
            "Content-Type": "application/json", "X-TIMESTAMP": at, "X-CLIENT-KEY": SECRETS["client_id"],
            "X-SIGNATURE": rsa_signature(SECRETS["private_key_pem"], f"{SECRETS['client_id']}|{at}"), **headers,
        }  # fmt: skip
        return await self.http.post(B2B2C, content=compact(body), headers=named)

    async def exchange(self, auth_code: str, grant: str = "AUTHORIZATION_CODE") -> httpx.Response:
        return await self.customer_token({"grantType": grant, "authCode": auth_code})

    async def link(self, number: str = NUMBER) -> dict[str, Any]:
        reply = await self.exchange(await self.consent(number))
        assert code(reply) == "2007400"
        told: dict[str, Any] = reply.json()
        return told

    async def token(self, number: str = NUMBER) -> str:
        return str((await self.link(number))["accessToken"])

    async def customer(self, path: str, token: str, body: object = None) -> httpx.Response:
        """A SNAP call under a customer's token."""
        body = {"merchantId": SECRETS["merchant_id"]} if body is None else body
        return await self.snap.post(path, body, headers={"authorization_customer": f"Bearer {token}"})

    def unlink_in_the_app(self, phone: str = PHONE) -> None:
        """The customer ends the link at LinkAja; nobody tells the programme."""
        links: Links = self.world.keep("links", pytest.fail)
        link = links.holder(self.world.accounts[phone])
        assert link is not None
        links.end(link)

    async def inquire(self, token: str, reference: str = "R1", /, **changes: Any) -> dict[str, Any]:
        return await self.legacy.post(INQUIRY, {**cashin(token, reference), **changes})

    async def session(self, token: str, reference: str = "R1", /, **changes: Any) -> str:
        told = await self.inquire(token, reference, **changes)
        assert told["responseCode"] == "00"
        return str(told["sessionID"])

    async def confirm(self, token: str, session: str, reference: str = "R1", /, **changes: Any) -> dict[str, Any]:
        body = {**cashin(token, reference), "sessionID": session, **changes}
        told = await self.legacy.post(CONFIRM, body)
        assert set(told) == {"data"}
        data: dict[str, Any] = told["data"]
        return data

    async def pay(self, token: str, reference: str = "R1", /, **changes: Any) -> str:
        """Inquires and confirms; the code of the confirm."""
        session = await self.session(token, reference, **changes)
        return str((await self.confirm(token, session, reference, **changes))["responseCode"])

    async def check(self, reference: str = "R1") -> str:
        """The status of a cash-in, or the code if there is none."""
        told = (await self.legacy.post(CHECK, {"merchantTrxID": reference}))["data"]
        return str(told.get("status") or told["responseCode"])

    async def report(self, query: str = "date=2026-01-15") -> dict[str, Any]:
        reply = await self.legacy.call("GET", f"{REPORT}?{query}")
        assert reply.status_code == 200
        told: dict[str, Any] = reply.json()
        return told

    async def books(self) -> list[tuple[str, int, str]]:
        lines = [json.loads(line) for line in (await self.http.get("/__mock__/books")).text.splitlines()]
        return [(line["reference"], line["amount_rupiah"], line["kind"]) for line in lines]

    async def pending(self) -> dict[str, int]:
        counts: dict[str, int] = (await self.http.get("/__mock__/pending")).json()
        return counts


def cashin(token: str, reference: str = "R1") -> dict[str, Any]:
    return {
        "token": token, "amount": "000060000000", "merchantTrxID": reference, "trxDate": "2026-01-15T05:00:00+00:00",
    }  # fmt: skip


def returned(reply: httpx.Response) -> dict[str, str]:
    """The parameters that the partner appended to our return address."""
    assert reply.status_code == 302
    location = reply.headers["Location"]
    assert location.startswith(f"{RETURN}&")
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items() if name != "st"}


@pytest.fixture
async def linkaja() -> AsyncIterator[LinkAja]:
    clock = Clock()
    clock.freeze(NOON)
    scheduler = Scheduler(clock, auto=False)
    world = World("linkaja")
    app = create_app(world, clock=clock, waits=Waits(), notify_base=GATEWAY, scheduler=scheduler)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://linkaja") as http:
        snap = SnapClient(
            http, client_key=SECRETS["client_id"], partner_id=SECRETS["partner_id"], secret=SECRETS["client_secret"],
            pem=SECRETS["private_key_pem"], token_path=f"{SNAP}/access-token/b2b", now=clock.now,
        )  # fmt: skip
        assert code(await snap.authenticate()) == "2007300"
        legacy = LegacyClient(http, clock)
        await legacy.authenticate()
        yield LinkAja(world, clock, scheduler, http, snap, legacy)
