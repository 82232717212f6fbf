"""BNI's payments to other banks: the switch at once, RTGS and SKN later and with a notification (snap-bni.md 1.11)."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from mock_partners.bni import CREDENTIALS
from mock_partners.kit.notify import Notice
from tests.mock_partners.signers import ENDPOINTS, Signer
from tests.mock_partners.wire import Mock, Sent, start

BY_SERVICE = {endpoint.service: endpoint for endpoint in ENDPOINTS if endpoint.partner == "bni"}
TRANSFERS = {"18": "transfer-interbank", "22": "transfer-rtgs", "23": "transfer-skn"}


class Bank:
    """A mock with a client that is logged in."""

    def __init__(self, mock: Mock) -> None:
        self.mock, self.signer = mock, Signer(mock)

    async def ask(self, service: str, **changes: Any) -> dict[str, Any]:
        endpoint = BY_SERVICE[service]
        if not self.signer.token:
            await self.signer.authenticate()
        body = {**endpoint.body, **changes}
        sent = self.signer.sign(endpoint, sent=json.dumps(body).encode(), hashed=_compact(body))
        return (await self.mock.send(sent)).json

    async def status(self, service: str, reference: str = "R1") -> str:
        told = await self.ask("36", originalPartnerReferenceNo=reference, serviceCode=service)
        return str(told.get("latestTransactionStatus") or told["responseCode"])

    async def pass_time(self, seconds: float) -> None:
        self.mock.clock.shift(seconds)
        await self.mock.scheduler.run_due()

    async def books(self) -> list[dict[str, Any]]:
        lines = (await self.mock.send(Sent("GET", "/__mock__/books"))).body.splitlines()
        return [json.loads(line) for line in lines]


def _compact(body: dict[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


@pytest.fixture
def bank() -> Bank:
    return Bank(start("bni", settlement_s=5, reversal_s=60))


def verified(notice: Notice) -> bool:
    """Whether a notification bears BNI's signature of type 2 over the consumer's own path (1.7, 1.13)."""
    key = load_pem_public_key(CREDENTIALS["notification_public_key_pem"].encode())
    assert isinstance(key, RSAPublicKey)
    digest = hashlib.sha256(notice.body).hexdigest()
    text = f"POST:{notice.path}:{digest}:{notice.headers['X-TIMESTAMP']}"
    key.verify(base64.b64decode(notice.headers["X-SIGNATURE"]), text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return True


async def test_interbank_is_synchronous(bank: Bank) -> None:
    told = await bank.ask("18", partnerReferenceNo="R1", amount={"value": "20000", "currency": "IDR"})
    assert (told["responseCode"], told["beneficiaryBankCode"]) == ("2001800", "014")
    assert (told["amount"]["value"], len(told["traceNo"])) == ("20000.00", 12)
    assert await bank.status("18") == "00"
    assert [await bank.status(other) for other in ("17", "22", "23")] == ["4043601"] * 3
    assert not bank.mock.notices


async def test_skn_takes_what_bnis_own_python_tests_send(bank: Bank) -> None:
    """A clearing code, and an amount without decimals, which RTGS refuses."""
    changes = {"amount": {"value": "1000000000", "currency": "IDR"}, "beneficiaryBankCode": "0140397"}
    told = await bank.ask("23", partnerReferenceNo="R1", **changes)
    assert (told["responseCode"], told["amount"]["value"]) == ("2002300", "1000000000.00")
    assert (await bank.ask("22", partnerReferenceNo="R2", **changes))["responseCode"] == "4002201"
    unknown = await bank.ask("23", partnerReferenceNo="R3", **{**changes, "beneficiaryBankCode": "9990397"})
    assert unknown["responseCode"] == "4042303"


@pytest.mark.parametrize("service", ["22", "23"])
async def test_rtgs_and_skn_settle_later_and_notify(bank: Bank, service: str) -> None:
    told = await bank.ask(service, partnerReferenceNo="R1")
    assert (told["responseCode"], told["transactionStatus"]) == (f"200{service}00", "03")
    assert await bank.status(service) == "03"
    assert (await bank.ask(service, partnerReferenceNo="R1"))["responseCode"] == f"202{service}00"
    assert not await bank.books()
    await bank.pass_time(5)
    assert await bank.status(service) == "00"
    assert (await bank.ask(service, partnerReferenceNo="R1"))["responseCode"] == f"409{service}01"
    assert [row["amount_rupiah"] for row in await bank.books()] == [50_000]
    notice = bank.mock.notices.pop()
    assert notice.path == f"/callbacks/bni/v1.0/{TRANSFERS[service]}/notify"
    assert verified(notice)
    body = json.loads(notice.body)
    assert (body["originalPartnerReferenceNo"], body["latestTransactionStatus"]) == ("R1", "00")
    rows = (await bank.ask("14"))["detailData"]
    assert [(row["remark"], row["additionalInfo"]["kind"]) for row in rows] == [("insentif é/è", "TRANSFER")]


@pytest.mark.parametrize("service", ["22", "23"])
@pytest.mark.parametrize(("number", "ends"), [("9999900006", ["06"]), ("9999900004", ["00", "04"])])
async def test_rtgs_and_skn_that_end_badly(bank: Bank, service: str, number: str, ends: list[str]) -> None:
    deposit = bank.mock.world.deposit_rupiah
    assert (await bank.ask(service, partnerReferenceNo="R1", beneficiaryAccountNo=number))["responseCode"][:3] == "200"
    seen = []
    for seconds in (5, 60)[: len(ends)]:
        await bank.pass_time(seconds)
        seen.append(await bank.status(service))
    assert seen == ends
    assert bank.mock.world.deposit_rupiah == deposit
    assert [json.loads(notice.body)["latestTransactionStatus"] for notice in bank.mock.notices] == ends
    again = (await bank.ask(service, partnerReferenceNo="R1", beneficiaryAccountNo=number))["responseCode"]
    assert again == (f"200{service}00" if ends == ["06"] else f"409{service}01")


@pytest.mark.parametrize("service", ["18", "22", "23"])
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"beneficiaryBankCode": "999"}, "404..03"),
        ({"beneficiaryBankCode": ""}, "400..01"),
        ({"beneficiaryAccountName": ""}, "400..01"),
        ({"sourceAccountNo": "0317709144"}, "403..14"),
        ({"sourceAccountNo": "0000000001"}, "403..15"),
        ({"amount": {"value": "1000000000001.00", "currency": "IDR"}}, "403..14"),
        ({"amount": {"value": "1.00", "currency": "USD"}}, "400..01"),
        ({"transactionDate": "today"}, "400..01"),
    ],
)
async def test_refusals(bank: Bank, service: str, changes: dict[str, Any], expected: str) -> None:
    told = await bank.ask(service, partnerReferenceNo="R1", **changes)
    assert told["responseCode"] == expected.replace("..", service)
    assert await bank.status(service) == "4043601"
    assert not await bank.books()


@pytest.mark.parametrize(("number", "ends"), [("9999900003", "00"), ("9999900006", "06")])
async def test_a_pending_interbank_transfer_settles_at_a_look_up(bank: Bank, number: str, ends: str) -> None:
    paid = {"partnerReferenceNo": "R1", "beneficiaryAccountNo": number}
    assert (await bank.ask("18", **paid))["responseCode"] == "2021800"
    assert [await bank.status("18") for _ in range(2)] == ["03", "03"]
    await bank.pass_time(5)
    assert await bank.status("18") == ends


async def test_the_same_account_has_the_same_holder(bank: Bank) -> None:
    asked = {"beneficiaryBankCode": "CENAIDJA", "beneficiaryAccountNo": "0000000986"}
    told = [await bank.ask("16", **asked), await bank.ask("16", **asked)]
    assert told[0]["beneficiaryAccountName"] == told[1]["beneficiaryAccountName"] != ""
    assert told[0]["beneficiaryBankName"] == "BANK CENTRAL ASIA"
