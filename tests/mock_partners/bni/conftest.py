"""A frozen clock, a scheduler driven by hand, and the BNI mock with a client for each of its two products."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import pytest

from mock_partners.bni import CREDENTIALS, create_app
from mock_partners.kit.behaviour import Behaviour
from mock_partners.kit.clock import JAKARTA, Clock, Scheduler
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import Account, World
from tests.mock_partners.signing import SnapClient, code

NOON = datetime(2026, 1, 15, 12, 0, 0, tzinfo=JAKARTA)
NIK, OTHER_NIK = "3174052209989901", "3174056209989901"
CARD = "1946340000009901"
SECRETS = CREDENTIALS["credentials"]


@dataclass
class Bni:
    """One BNI mock on a frozen clock."""

    world: World
    clock: Clock
    scheduler: Scheduler
    http: httpx.AsyncClient
    snap: SnapClient
    autopay: SnapClient

    def account(self, number: str = "7000000001", **changes: Any) -> Account:
        """Adds an account to the world: active, full KYC, with a NIK, unless said otherwise."""
        values: dict[str, Any] = {
            "phone": "+6281100000001", "holder_name": "BUDI SANTOSO", "nik_on_file": NIK, "kyc": "full",
            "status": "active", "card_no": CARD, **changes,
        }  # fmt: skip
        values["behaviour"] = Behaviour(values.get("behaviour", ""))
        account = Account("bni", number, **values)
        self.world.accounts[number] = account
        return account

    def transfer(self, reference: str = "R1", account: str = "7000000001", **changes: Any) -> dict[str, Any]:
        return {
            "partnerReferenceNo": reference, "amount": {"value": "600000.00", "currency": "IDR"},
            "beneficiaryAccountNo": account, "beneficiaryEmail": "", "currency": "IDR",
            "customerReference": reference, "feeType": "OUR", "remark": "insentif",
            "sourceAccountNo": SECRETS["source_account"], "transactionDate": "2026-01-15T12:00:00+07:00", **changes,
        }  # fmt: skip

    async def pay(self, reference: str = "R1", account: str = "7000000001", **changes: Any) -> str:
        body = self.transfer(reference, account, **changes)
        return code(await self.snap.post("/snap-service/v1/transfer-intrabank", body))

    async def status(self, reference: str = "R1") -> str:
        """The response code of a failed look-up, or the latestTransactionStatus."""
        body = {
            "originalPartnerReferenceNo": reference, "originalReferenceNo": "", "originalExternalId": "",
            "serviceCode": "17", "transactionDate": "",
        }  # fmt: skip
        reply = await self.snap.post("/snap-service/v1/transfer/status", body)
        return str(reply.json().get("latestTransactionStatus") or code(reply))

    async def bind(self, reference: str = "B1", account: str = "7000000001", card: str = CARD) -> httpx.Response:
        body = {
            "partnerReferenceNo": reference, "merchantId": SECRETS["autopay_merchant_id"],
            "additionalData": {"bankAccountNo": account, "bankCardNo": card, "limit": "1.00", "email": ""},
            "additionalInfo": {"custIdMerchant": "link-0001"},
        }  # fmt: skip
        return await self.autopay.post("/v1.0/registration-account-binding", body)

    async def verify_otp(self, bound: dict[str, Any], otp: str) -> str:
        body = {
            "merchantId": SECRETS["autopay_merchant_id"], "originalPartnerReferenceNo": bound["partnerReferenceNo"],
            "originalReferenceNo": bound["additionalInfo"]["referenceNo"], "chargeToken": bound["chargeToken"],
            "otp": otp, "additionalInfo": {},
        }  # fmt: skip
        return code(await self.autopay.post("/v1.0/otp-verification", body))

    async def newest_otp(self, phone: str = "+6281100000001") -> str:
        reply = await self.http.get("/__mock__/sms", params={"phone": phone})
        return str(reply.json()[0]["code"])

    async def link(self, reference: str = "B1", account: str = "7000000001") -> str:
        """Binds and confirms an account; returns the bankCardToken."""
        bound = (await self.bind(reference, account)).json()
        assert await self.verify_otp(bound, await self.newest_otp()) == "2000400"
        return str(bound["bankCardToken"])


@pytest.fixture
async def bni() -> AsyncIterator[Bni]:
    clock = Clock()
    clock.freeze(NOON)
    scheduler = Scheduler(clock, auto=False)
    world = World("bni")
    app = create_app(world, clock=clock, waits=Waits(), notify_base="http://none", scheduler=scheduler)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bni") as http:
        snap = SnapClient(
            http, client_key=SECRETS["client_id"], partner_id=SECRETS["api_key"], secret=SECRETS["api_secret"],
            pem=SECRETS["private_key_pem"], token_path="/snap/v1/access-token/b2b", now=clock.now,
        )  # fmt: skip
        autopay = SnapClient(
            http, client_key=SECRETS["autopay_client_id"], partner_id=SECRETS["autopay_merchant_id"],
            secret=SECRETS["autopay_client_secret"], pem=SECRETS["autopay_private_key_pem"],
            token_path="/api/v1.0/access-token/b2b", now=clock.now,
        )  # fmt: skip
        for client in (snap, autopay):
            assert code(await client.authenticate()) == "2007300"
        yield Bni(world, clock, scheduler, http, snap, autopay)
