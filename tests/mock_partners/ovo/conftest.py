"""A frozen clock, a scheduler driven by hand, and the OVO mock with a client and a person at its pages."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from mock_partners.kit.behaviour import Behaviour
from mock_partners.kit.clock import JAKARTA, Clock, Scheduler
from mock_partners.kit.snap.links import Links
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import Account, World
from mock_partners.ovo import CREDENTIALS, create_app
from tests.mock_partners.signing import SnapClient, code, compact, hmac_signature, rsa_signature

NOON = datetime(2026, 1, 15, 12, 0, 0, tzinfo=JAKARTA)
NIK, OTHER_NIK = "3174052209989901", "3174056209989901"
PHONE, NUMBER, PIN = "+6281100000001", "081100000001", "246810"
SECRETS = CREDENTIALS["credentials"]
GATEWAY = "http://gateway.test"
RETURN = f"{GATEWAY}/callbacks/ovo/link?st=st-0001"
SNAP = "/OVOSNAP/v2.0"
BIND, UNBIND = (
    f"{SNAP}/oauth/account/registration-account-binding",
    f"{SNAP}/oauth/account/registration-account-unbinding",
)
B2B2C = f"{SNAP}/access-token/b2b2c"
INQUIRY, TOPUP, STATUS = (f"{SNAP}/emoney/{name}" for name in ("account-inquiry", "topup", "topup-status"))
BALANCE, HISTORY = (f"/cashin/snap/v2.0/merchant/account/{name}" for name in ("balance", "history"))


class OvoClient(SnapClient):
    """The SNAP client with OVO's milliseconds and X-DEVICE-ID, and its customer token calls."""

    def timestamp(self) -> str:
        at: datetime = self.now()
        return at.isoformat(timespec="milliseconds")

    async def post(
        self, path: str, body: object, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        return await super().post(path, body, headers={"x_device_id": "device-1", **(headers or {})}, **more)

    async def get(self, target: str, **more: Any) -> httpx.Response:
        """A signed GET, which has no body."""
        at = self.timestamp()
        return await self.client.request("GET", target, headers=self.signed("GET", target, at, **more))

    def signed(self, method: str, target: str, at: str) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self.token}", "X-TIMESTAMP": at, "X-PARTNER-ID": self.partner_id,
            "X-EXTERNAL-ID": f"{next(self._ids):012d}", "X-DEVICE-ID": "device-1", "CHANNEL-ID": "95221",
            "X-SIGNATURE": hmac_signature(self.secret, method, target, self.token, b"", at),
        }  # fmt: skip

    async def customer_token(self, body: object, bearer: str = "", **headers: str) -> httpx.Response:
        """access-token/b2b2c; `bearer` is the linkageToken."""
        at = self.timestamp()
        named = {
            "Content-Type": "application/json", "X-TIMESTAMP": at, "X-CLIENT-KEY": self.client_key,
            "X-SIGNATURE": rsa_signature(self.pem, f"{self.client_key}|{at}"), **headers,
        }  # fmt: skip
        if bearer:
            named["Authorization"] = f"Bearer {bearer}"
        return await self.client.post(B2B2C, content=compact(body), headers=named)


@dataclass
class Ovo:
    """One OVO mock on a frozen clock."""

    world: World
    clock: Clock
    scheduler: Scheduler
    http: httpx.AsyncClient
    snap: OvoClient

    def account(self, phone: str = PHONE, **changes: Any) -> Account:
        """Adds an account to the world: active, full KYC, with a NIK and a PIN, unless said otherwise."""
        values: dict[str, Any] = {
            "holder_name": "BUDI SANTOSO", "nik_on_file": NIK, "kyc": "full", "status": "active", "pin": PIN, **changes,
        }  # fmt: skip
        values["behaviour"] = Behaviour(values.get("behaviour", ""))
        account = Account("ovo", phone, phone, **values)
        self.world.accounts[phone] = account
        return account

    async def bind(self, number: str = NUMBER, customer: str = "u-1", **changes: Any) -> httpx.Response:
        more = {
            "custIdMerchant": customer, "customerName": "BUDI SANTOSO", "email": "budi@example.test",
            "successRegistrationUrl": RETURN, "failedRegistrationUrl": RETURN, **changes,
        }  # fmt: skip
        body = {"phoneNo": number, "additionalInfo": more}
        return await self.snap.post(BIND, body, token="", drop=["Authorization"])

    async def walk(self, url: str, pin: str = PIN, phone: str = PHONE) -> dict[str, str]:
        """Agrees on every step of a page; the parameters that the browser comes back with."""
        assert (await self.http.get(url)).status_code == 200
        assert (await self.http.post(url, data={"agree": "yes", "action": "continue"})).status_code == 200
        otp = (await self.http.get("/__mock__/sms", params={"phone": phone})).json()[0]["code"]
        assert (await self.http.post(url, data={"otp": otp, "action": "continue"})).status_code == 200
        return returned(await self.http.post(url, data={"pin": pin, "action": "continue"}))

    async def consent(self, number: str = NUMBER, customer: str = "u-1") -> tuple[str, str]:
        """The linkageToken of a binding and the authCode that its page ended with."""
        bound = (await self.bind(number, customer)).json()
        back = await self.walk(bound["redirectUrl"], phone="+62" + number[1:])
        return bound["linkageToken"], back["authCode"]

    async def exchange(self, linkage: str, auth_code: str, grant: str = "authorization_code") -> httpx.Response:
        return await self.snap.customer_token({"grantType": grant, "authCode": auth_code}, linkage)

    async def link(self, number: str = NUMBER, customer: str = "u-1") -> dict[str, Any]:
        reply = await self.exchange(*await self.consent(number, customer))
        assert code(reply) == "2007400"
        told: dict[str, Any] = reply.json()
        return told

    def unlink_in_the_app(self, phone: str = PHONE) -> None:
        """The customer ends the link at OVO; nobody tells the programme."""
        links: Links = self.world.keep("links", pytest.fail)
        link = links.holder(self.world.accounts[phone])
        assert link is not None
        links.end(link)

    async def pay(self, reference: str = "R1", number: str = NUMBER, **changes: Any) -> str:
        return code(await self.snap.post(TOPUP, {**topup(reference, number), **changes}))

    async def status(self, reference: str = "R1") -> str:
        """The response code of a failed look-up, or the latestTransactionStatus."""
        reply = await self.snap.post(STATUS, {"originalPartnerReferenceNo": reference, "serviceCode": "38"})
        return str(reply.json().get("latestTransactionStatus") or code(reply))

    async def books(self) -> list[tuple[str, int, str]]:
        lines = [json.loads(line) for line in (await self.http.get("/__mock__/books")).text.splitlines()]
        return [(line["reference"], line["amount_rupiah"], line["kind"]) for line in lines]

    async def pending(self) -> dict[str, int]:
        counts: dict[str, int] = (await self.http.get("/__mock__/pending")).json()
        return counts


def topup(reference: str = "R1", number: str = NUMBER) -> dict[str, Any]:
    return {
        "partnerReferenceNo": reference, "customerNumber": number, "amount": {"value": "600000.00", "currency": "IDR"},
        "transactionDate": "2026-01-15T12:00:00+07:00",
    }  # fmt: skip


def returned(reply: httpx.Response) -> dict[str, str]:
    """The parameters that the partner appended to our return address."""
    assert reply.status_code == 302
    location = reply.headers["Location"]
    assert location.startswith(f"{RETURN}&")
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items() if name != "st"}


@pytest.fixture
async def ovo() -> AsyncIterator[Ovo]:
    clock = Clock()
    clock.freeze(NOON)
    scheduler = Scheduler(clock, auto=False)
    world = World("ovo")
    app = create_app(world, clock=clock, waits=Waits(), notify_base=GATEWAY, scheduler=scheduler)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://ovo") as http:
        snap = OvoClient(
            http, client_key=SECRETS["client_id"], partner_id=SECRETS["partner_id"], secret=SECRETS["client_secret"],
            pem=SECRETS["private_key_pem"], token_path="/OVOSNAP/v1.0/access-token/b2b", now=clock.now,
        )  # fmt: skip
        assert code(await snap.authenticate()) == "2007300"
        yield Ovo(world, clock, scheduler, http, snap)
