"""OVO's legacy push-to-pay: OVO's printed sample, the signature with and without the body, and giving money back."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import httpx
import pytest

from mock_partners.kit.http import MockApp, Route
from mock_partners.ovo.credentials import PUSH_APP_KEY
from mock_partners.ovo.push import Push
from tests.mock_partners.ovo.conftest import NUMBER, Ovo
from tests.mock_partners.ovo.test_admission import VECTORS
from tests.mock_partners.signing import compact

RANDOM = "1468914526"


def sign(random: str, body: bytes = b"") -> str:
    return hmac.new(PUSH_APP_KEY.encode(), b"hypermart" + random.encode() + body, hashlib.sha256).hexdigest()


def message(kind: str = "0200", code: str = "040000", number: str = NUMBER, **changes: Any) -> dict[str, Any]:
    data = {"batchNo": "260115", "phone": number, "merchantInvoice": "INV-0001"}
    return {
        "type": kind, "processingCode": code, "amount": 12_500, "date": "2026-01-15 12:00:00.000",
        "referenceNumber": "000001", "tid": "55501100", "mid": "000001", "merchantId": "205", "storeCode": "H001",
        "appSource": "POS", "transactionRequestData": data, **changes,
    }  # fmt: skip


async def send(ovo: Ovo, body: object, **headers: str) -> str:
    """The responseCode, or an empty text for the empty 404."""
    named = {"app-id": "hypermart", "random": RANDOM, "hmac": sign(RANDOM), **headers}
    reply = await ovo.http.post("/pos", content=compact(body), headers=named)
    if reply.status_code == 404:
        assert reply.content == b""
        return ""
    assert reply.status_code == 200
    return str(reply.json()["responseCode"])


@pytest.mark.parametrize("vector", VECTORS["push"], ids=lambda vector: vector["name"])
async def test_the_vectors_of_the_sheet(ovo: Ovo, vector: dict[str, str]) -> None:
    raw = vector["body"].encode()
    assert sign(vector["random"], raw) == vector["hmac"]
    ovo.account("+6281234567890", balance_rupiah=12_500)
    app = MockApp([Route("POST", "/pos", Push(ovo.world, ovo.clock, include_body=bool(raw)).handle)])
    headers = {"app-id": vector["app_id"], "random": vector["random"], "hmac": vector["hmac"]}
    sent = raw or compact(message(number="081234567890"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://ovo") as http:
        told = (await http.post("/pos", content=sent, headers=headers)).json()
        assert {"type": "0210", "amount": 12_500, "responseCode": "00"}.items() <= told.items()
        other = await http.post("/pos", content=sent.replace(b"000001", b"000002"), headers=headers)
    assert other.json()["responseCode"] == ("63" if raw else "25")


@pytest.mark.parametrize(
    "headers", [{"app-id": "other"}, {"random": "1468914527"}, {"random": "x"}, {"hmac": sign(RANDOM)[:-1] + "x"}]
)
async def test_other_signatures_are_refused(ovo: Ovo, headers: dict[str, str]) -> None:
    ovo.account(balance_rupiah=12_500)
    assert await send(ovo, message(), **headers) == "63"


async def test_paying_and_giving_back(ovo: Ovo) -> None:
    account = ovo.account(balance_rupiah=20_000)
    reverse, void, status = message("0400"), message("0200", "020040"), message("0100")
    assert [await send(ovo, body) for body in (status, reverse, void)] == ["", "", ""]
    assert [await send(ovo, body) for body in (message(), message(), status)] == ["00", "58", "00"]
    assert account.balance_rupiah == 7_500
    assert await send(ovo, {**reverse, "amount": 1}) == "30"
    assert [await send(ovo, body) for body in (reverse, reverse, void, status)] == ["00", "00", "44", ""]
    assert account.balance_rupiah == 20_000
    data = {**message()["transactionRequestData"], "merchantInvoice": "INV-0002"}
    other = {"referenceNumber": "000002", "transactionRequestData": data}
    codes = [await send(ovo, {**body, **other}) for body in (message(), void, message("0100", "020040"))]
    assert codes == ["00", "00", "00"]
    assert (account.balance_rupiah, await ovo.books(), ovo.world.deposit_rupiah) == (20_000, [], 10**12)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"amount": 0}, "13"),
        ({"amount": 12_501}, "51"),
        ({"amount": "12500"}, "30"),
        ({"number": "081199999999"}, "14"),
        ({"number": "6281100000001"}, "14"),
        ({"number": "081100000009"}, "64"),
        ({"kind": "0900"}, "30"),
        ({"code": "990000"}, "30"),
        ({"referenceNumber": "1"}, "30"),
        ({"kind": "0100", "code": "050000"}, "00"),
        ({"kind": "0100", "code": "050000", "number": "081199999999"}, "14"),
        ({"kind": "0100", "code": "050000", "number": "081100000009"}, "64"),
    ],
)
async def test_refusals(ovo: Ovo, changes: dict[str, Any], expected: str) -> None:
    ovo.account(balance_rupiah=12_500)
    ovo.account("+6281100000009", status="blocked", balance_rupiah=12_500)
    assert await send(ovo, message(**changes)) == expected


async def test_an_invoice_is_paid_once(ovo: Ovo) -> None:
    """Also under another reference number, and after it was given back (decisions O14)."""
    account = ovo.account(balance_rupiah=40_000)
    again = {"referenceNumber": "000002"}
    assert [await send(ovo, body) for body in (message(), message(**again), message("0400"))] == ["00", "25", "00"]
    assert await send(ovo, message(**again)) == "25"
    other = message(**again)
    other["transactionRequestData"]["merchantInvoice"] = "INV-0002"
    assert (await send(ovo, other), account.balance_rupiah) == ("00", 27_500)


async def test_the_fields_of_an_answer(ovo: Ovo) -> None:
    ovo.account(balance_rupiah=40_000)
    named = {"app-id": "hypermart", "random": RANDOM, "hmac": sign(RANDOM)}
    told = (await ovo.http.post("/pos", content=compact(message()), headers=named)).json()
    assert told == {
        "type": "0210", "processingCode": "040000", "amount": 12_500, "date": "2026-01-15 12:00:00.000",
        "referenceNumber": "000001", "responseCode": "00", "tid": "55501100", "mid": "000001", "merchantId": "205",
        "storeCode": "H001", "appSource": "POS", "merchantInvoice": "INV-0001", "hostDate": "2026-01-15",
        "hostTime": "12:00:00", "approvalCode": "000001", "traceNumber": "000001",
        "transactionResponseData": {"fullName": "BUDI SANTOSO", "storeAddress1": "", "ovoid": "+6281100000001"},
    }  # fmt: skip
    status = (await ovo.http.post("/pos", content=compact(message("0100")), headers=named)).json()
    assert (status["approvalCode"], status["type"]) == ("000001", "0110")


async def test_bodies_that_are_no_message(ovo: Ovo) -> None:
    for body in ([], {}, json.loads("null")):
        assert await send(ovo, body) == "30"
