"""A DANA mock with a client of its own, which signs as dana.md and decisions D2-D7 say."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import httpx
import pytest

from mock_partners.dana import CREDENTIALS, create_app
from mock_partners.kit.clock import JAKARTA, Clock, Scheduler
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import Account, World
from tests.mock_partners.signing import rsa_signature

SECRETS: dict[str, str] = CREDENTIALS["credentials"]
PHONE, NUMBER, PIN = "+6281100000001", "6281100000001", "123456"
NIK = "3174052209989901"
GATEWAY = "http://gateway.test"
BACK = f"{GATEWAY}/callbacks/dana/link?st=st-0001"
NOON = datetime(2026, 1, 15, 12, 0, tzinfo=JAKARTA)
PROFILE = "/dana/member/query/queryUserProfile.htm"


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


@dataclass
class Dana:
    """The mock, and a programme's client of it."""

    world: World
    clock: Clock
    scheduler: Scheduler
    http: httpx.AsyncClient
    pem: str = SECRETS["private_key_pem"]
    ids: Any = field(default_factory=lambda: itertools.count(1))

    def now(self) -> str:
        return self.clock.now().isoformat(timespec="seconds")

    def account(self, phone: str = PHONE, **changes: Any) -> Account:
        row = {"holder_name": "BUDI SANTOSO", "nik_on_file": NIK, "kyc": "full", "status": "active", "pin": PIN}
        made = Account(partner="dana", account=phone, phone=phone, **{**row, **changes})
        self.world.accounts[phone] = made
        return made

    async def post(self, path: str, body: Any, **headers: str) -> dict[str, Any]:
        raw, at = compact(body), self.now()
        text = f"POST:{path}:{hashlib.sha256(raw).hexdigest()}:{at}"
        sent = {
            "Content-Type": "application/json", "X-TIMESTAMP": at, "X-SIGNATURE": rsa_signature(self.pem, text),
            "X-PARTNER-ID": SECRETS["client_id"], "X-EXTERNAL-ID": f"sdk-{next(self.ids)}", "CHANNEL-ID": "95221",
            **headers,
        }  # fmt: skip
        reply = await self.http.post(path, content=raw, headers=sent)
        told: dict[str, Any] = reply.json()
        assert told["responseCode"].startswith(str(reply.status_code))
        return told

    def page_url(self, phone: str = NUMBER, *, sign: str = "", named: str = "mobile", **changes: str) -> str:
        data = json.dumps({named: phone, "externalUid": "link-1"}, separators=(",", ":"))
        query = {
            "partnerId": SECRETS["client_id"], "timestamp": self.now(), "externalId": "link-1", "channelId": "95221",
            "merchantId": SECRETS["merchant_id"], "scopes": "DEFAULT_BASIC_PROFILE,MINI_DANA", "redirectUrl": BACK,
            "state": "st-0001", "isSnapBI": "true", "lang": "id", "allowRegistration": "false", "seamlessData": data,
            "seamlessSign": sign or rsa_signature(self.pem, data), **changes,
        }  # fmt: skip
        return "/v1.0/get-auth-code?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())

    async def consent(self, phone: str = NUMBER, typed: str = "", action: str = "continue", **changes: str) -> str:
        """Plays the person until the redirect; returns its URL. `typed`: the number entered where one is asked for."""
        page = (await self.http.get(self.page_url(phone, **changes))).headers["Location"]
        if not page.startswith("/app/authorize"):
            return page
        step = await self.http.get(page)
        for _ in range(4):
            otp = self.world.sms.newest_first(f"+{typed or phone}")
            fields = {
                "agree": "yes",
                "phone": typed,
                "otp": otp[0]["code"] if otp else "",
                "pin": PIN,
                "action": action,
            }
            step = await self.http.post(page, data=fields)
            if step.status_code == 302:
                break
        assert step.status_code == 302, step.text
        return str(step.headers["Location"])

    async def exchange(self, code: str, grant: str = "AUTHORIZATION_CODE", refresh: str = "") -> dict[str, Any]:
        at = self.now()
        headers = {
            "Content-Type": "application/json", "X-TIMESTAMP": at, "X-CLIENT-KEY": SECRETS["client_id"],
            "X-SIGNATURE": rsa_signature(self.pem, f"{SECRETS['client_id']}|{at}"),
        }  # fmt: skip
        body = {"grantType": grant, "authCode": code, "refreshToken": refresh, "additionalInfo": {}}
        reply = await self.http.post("/v1.0/access-token/b2b2c.htm", content=compact(body), headers=headers)
        told: dict[str, Any] = reply.json()
        return told

    async def link(self, phone: str = NUMBER) -> dict[str, Any]:
        told = await self.exchange(returned(await self.consent(phone))["authCode"])
        assert told["responseCode"] == "2007400"
        return told

    async def profile(self, token: str, *resources: str, spaced: bool = False, **head: str) -> dict[str, Any]:
        request = {
            "head": {
                "version": "2.0", "function": "dana.member.query.queryUserProfile", "clientId": SECRETS["client_id"],
                "clientSecret": SECRETS["client_secret"], "reqTime": self.now(), "reqMsgId": "m-1",
                "accessToken": token, "reserve": "{}", **head,
            },
            "body": {"userResources": list(resources)},
        }  # fmt: skip
        text = json.dumps(request) if spaced else compact(request).decode()
        raw = f'{{"request":{text},"signature":"{rsa_signature(self.pem, text)}"}}'
        reply = await self.http.post(PROFILE, content=raw.encode(), headers={"Content-Type": "application/json"})
        assert reply.status_code == 200
        self.last = reply
        told: dict[str, Any] = reply.json()["response"]["body"]
        return told

    async def told(self, token: str, *resources: str, **more: Any) -> str | dict[str, str]:
        """The resultCode of a failure, or what was told."""
        body = await self.profile(token, *resources, **more)
        code = str(body["resultInfo"]["resultCode"])
        return {one["resourceType"]: one["value"] for one in body["userResourceInfos"]} if code == "SUCCESS" else code

    def payout(self, reference: str = "R1", number: str = NUMBER, value: str = "600000.00") -> dict[str, Any]:
        money = {"currency": "IDR"}
        return {
            "partnerReferenceNo": reference, "customerNumber": number, "amount": {"value": value, **money},
            "feeAmount": {"value": "0.00", **money}, "transactionDate": self.now(), "notes": "insentif",
            "additionalInfo": {"fundType": "AGENT_TOPUP_FOR_USER_SETTLE"},
        }  # fmt: skip

    async def pay(self, *about: str) -> str:
        return str((await self.post("/rest/v1.0/emoney/topup", self.payout(*about)))["responseCode"])

    async def status(self, reference: str = "R1") -> str:
        body = {"originalPartnerReferenceNo": reference, "serviceCode": "38"}
        told = await self.post("/rest/v1.0/emoney/topup-status", body)
        return str(told.get("latestTransactionStatus") or told["responseCode"])

    async def history(self, page: str = "1") -> list[tuple[str, str]]:
        body = {
            "fromDateTime": "2026-01-15T00:00:00+07:00", "toDateTime": "2026-01-15T23:59:59+07:00", "pageSize": "1000",
            "pageNumber": page,
        }  # fmt: skip
        told = await self.post("/v1.0/transaction-history-list.htm", body)
        return [(row["additionalInfo"]["partnerReferenceNo"], row["type"]) for row in told["detailData"]]


def returned(url: str) -> dict[str, str]:
    assert url.startswith(BACK), url
    return dict(parse_qsl(urlsplit(url).query))


@pytest.fixture
async def dana() -> AsyncIterator[Dana]:
    clock, world = Clock(), World("dana")
    clock.freeze(NOON)
    scheduler = Scheduler(clock, auto=False)
    app = create_app(world, clock=clock, waits=Waits(), notify_base=GATEWAY, scheduler=scheduler)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://dana") as http:
        yield Dana(world, clock, scheduler, http)
