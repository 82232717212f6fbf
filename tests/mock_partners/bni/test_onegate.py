"""One Gate Payment: who is let in, the JWT in the body, three wrappers, numbers for texts (snap-bni.md 2.2)."""

from __future__ import annotations

import base64
import hmac
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from mock_partners.bni import CREDENTIALS
from mock_partners.bni.onegate import CLIENT_ID, jwt_ok
from tests.mock_partners.wire import Got, Mock, Sent, start
from tests.partners.kit import basic

KNOWN = CREDENTIALS["one_gate_payment"]
HEADER = b'{"alg":"HS256","typ":"JWT"}'


def part(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def jwt(body: dict[str, Any], *, secret: str = KNOWN["api_secret"], header: bytes = HEADER) -> str:
    text = f"{part(header)}.{part(json.dumps(body, separators=(',', ':')).encode())}"
    return f"{text}.{part(hmac.digest(secret.encode(), text.encode(), 'sha256'))}"


def payment(reference: str = "20170227000000000020", **changes: Any) -> dict[str, Any]:
    return {
        "customerReferenceNumber": reference, "paymentMethod": "0", "debitAccountNo": "113183203",
        "creditAccountNo": "115471119", "valueDate": "20170227000000000", "valueCurrency": "IDR",
        "valueAmount": "100500", "remark": "", "beneficiaryEmailAddress": "", "beneficiaryName": "",
        "beneficiaryAddress1": "", "beneficiaryAddress2": "", "destinationBankCode": "", "chargingModelId": "OUR",
        **changes,
    }  # fmt: skip


class Gate:
    """A client of the H2H calls with an OAuth token."""

    def __init__(self, mock: Mock) -> None:
        self.mock, self.token = mock, ""

    async def login(self, *, client: str = KNOWN["client_id"], secret: str = KNOWN["client_secret"]) -> Got:
        got = await self.mock.send(
            Sent("POST", "/api/oauth/token", headers=basic(client, secret), body=b"grant_type=client_credentials")
        )
        self.token = got.json.get("access_token", "")
        return got

    async def ask(
        self, operation: str, body: dict[str, Any], *, sign: Callable[[dict[str, Any]], str] = jwt,
        key: str = KNOWN["api_key"], token: str | None = None,
    ) -> Got:  # fmt: skip
        full = {"clientId": CLIENT_ID, **body}
        full["signature"] = sign(full)
        query = f"access_token={self.token if token is None else token}"
        headers = {"content-type": "application/json", "x-api-key": key}
        return await self.mock.send(Sent("POST", f"/H2H/v2/{operation}", query, headers, json.dumps(full).encode()))

    async def told(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        got = await self.ask(operation, body)
        ((wrapper, envelope),) = got.json.items()
        assert wrapper.lower() == f"{operation}response"
        assert got.status == (200 if envelope["parameters"]["responseCode"] == "0001" else 400)
        parameters: dict[str, Any] = envelope["parameters"]
        return parameters


@pytest.fixture
async def gate() -> Gate:
    made = Gate(start("bni", settlement_s=5))
    got = await made.login()
    assert got.json == {
        "access_token": made.token, "token_type": "Bearer", "expires_in": 3599, "scope": "resource.WRITE resource.READ",
    }  # fmt: skip
    return made


def test_the_published_vectors() -> None:
    """P4 and P5 (snap-bni.md 5.1)."""
    assert CLIENT_ID == "IDBNIVGVzdCBBUFA="
    signature = (
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJjbGllbnRJZCI6IklEQk5JVkdWemRDQkJVRkE9IiwiYWNjb3VudE5vIjoiMDExNTQ3NjEx"
        "NyJ9.ljWtFHL0dHhLPw97U8SVWsFV3fRIJItHlQ-HPqCRUwc"
    )
    body = {"accountNo": "0115476117", "clientId": CLIENT_ID, "signature": signature}
    assert jwt_ok(body, b"test-secret")
    assert not jwt_ok({**body, "accountNo": "0115476118"}, b"test-secret")
    assert not jwt_ok(body, b"test-secre")


@pytest.mark.parametrize(
    ("sign", "good"),
    [
        (lambda body: jwt(body, header=b'{"typ":"JWT","alg":"HS256"}'), True),
        (lambda body: jwt(dict(reversed(body.items()))), True),
        (lambda body: jwt(body, header=b'{"alg":"none"}'), False),
        (lambda body: jwt(body, secret="another"), False),
        (lambda body: jwt({**body, "accountNo": "1"}), False),
        (lambda body: jwt(body)[:-1], False),
        (lambda body: jwt(body) + ".x", False),
        (lambda body: "x", False),
    ],
)
async def test_the_jwt_is_verified_as_a_jwt(gate: Gate, sign: Callable[[dict[str, Any]], str], good: bool) -> None:
    got = await gate.ask("getbalance", {"accountNo": "113183203"}, sign=sign)
    if good:
        assert got.json["getBalanceResponse"]["parameters"]["responseCode"] == "0001"
    else:
        parameters = got.json["Response"]["parameters"]
        assert (got.status, parameters["responseCode"]) == (400, "0000")
        assert parameters["errorMessage"] == "Invalid signature"


async def test_one_changed_byte_of_the_body_is_refused(gate: Gate) -> None:
    body = {"clientId": CLIENT_ID, **payment()}
    whole = json.dumps({**body, "signature": jwt(body)}).encode()
    headers = {"content-type": "application/json", "x-api-key": KNOWN["api_key"]}
    for position in range(len(whole)):
        if whole[position : position + 1].isspace():
            continue
        changed = whole[:position] + (b"0" if whole[position : position + 1] != b"0" else b"1") + whole[position + 1 :]
        sent = Sent("POST", "/H2H/v2/dopayment", f"access_token={gate.token}", headers, changed)
        got = await gate.mock.send(sent)
        assert (got.status, list(got.json)) == (400, ["Response"]), changed
    assert not (await gate.mock.send(Sent("GET", "/__mock__/books"))).body


async def test_who_is_not_let_in(gate: Gate) -> None:
    balance = ("getbalance", {"accountNo": "115476117"})
    assert (await gate.ask(*balance)).status == 200
    for got in (await gate.ask(*balance, key="another"), await gate.ask(*balance, token="another")):
        assert (got.status, list(got.json)) == (401, ["General Error Response"])
    gate.mock.clock.shift(3_600)
    assert (await gate.ask(*balance)).status == 401
    assert (await gate.login(secret="another")).status == 401
    assert (await gate.login(client="another")).json == {"error": "invalid_client"}


async def test_payment_and_status_tell_numbers(gate: Gate) -> None:
    paid = await gate.told("dopayment", payment())
    assert paid["customerReference"] == 20170227000000000020
    assert [type(paid[name]) for name in ("debitAccountNo", "creditAccountNo", "valueAmount", "bankReference")] == [
        int
    ] * 4
    found = await gate.told("getpaymentstatus", {"customerReferenceNumber": "20170227000000000020"})
    assert (found["previousResponse"]["transactionStatus"], found["previousResponse"]["previousResponseCode"]) == (
        "Y",
        None,
    )
    assert found["bankReference"] == paid["bankReference"]
    leading_zero = await gate.told("dopayment", payment("0001", debitAccountNo="0115476117"))
    assert (leading_zero["customerReference"], leading_zero["debitAccountNo"]) == ("0001", "0115476117")


@pytest.mark.parametrize("method", ["1", "2"])
async def test_rtgs_and_clearing_settle_later(gate: Gate, method: str) -> None:
    abroad = {"beneficiaryName": "B", "beneficiaryAddress1": "J", "destinationBankCode": "CENAIDJA"}
    await gate.told("dopayment", payment(paymentMethod=method, **abroad))
    asked = {"customerReferenceNumber": "20170227000000000020"}
    before = (await gate.told("getpaymentstatus", asked))["previousResponse"]["transactionStatus"]
    gate.mock.clock.shift(5)
    await gate.mock.scheduler.run_due()
    after = (await gate.told("getpaymentstatus", asked))["previousResponse"]["transactionStatus"]
    assert (before, after) == (None, "Y")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"customerReferenceNumber": "1" * 21}, "Invalid customerReferenceNumber"),
        ({"paymentMethod": "3"}, "Invalid paymentMethod"),
        ({"valueAmount": "0"}, "Invalid valueAmount"),
        ({"valueAmount": "1.5"}, "Invalid valueAmount"),
        ({"valueAmount": True}, "Invalid valueAmount"),
        ({"valueCurrency": "USD"}, "Invalid valueCurrency"),
        ({"valueDate": "2017"}, "Invalid valueDate"),
        ({"debitAccountNo": "1"}, "Debit account not found"),
        ({"debitAccountNo": "0114754574"}, "Insufficient balance"),
        ({"creditAccountNo": "1"}, "Account not found"),
        ({"creditAccountNo": "1000287621"}, "Credit account is not active"),
        ({"paymentMethod": "1"}, "Invalid beneficiaryName"),
    ],
)
async def test_payments_that_are_refused(gate: Gate, changes: dict[str, Any], problem: str) -> None:
    told = await gate.told("dopayment", payment(**changes))
    assert (told["responseCode"], told["errorMessage"]) == ("0000", problem)
    assert not (await gate.mock.send(Sent("GET", "/__mock__/books"))).body


async def test_a_reference_works_once_and_an_inquiry_too(gate: Gate) -> None:
    assert (await gate.told("dopayment", payment()))["responseCode"] == "0001"
    assert (await gate.told("dopayment", payment()))["errorMessage"] == "Duplicate customerReferenceNumber"
    switch = {"accountNum": "113183203", "destinationBankCode": "014", "destinationAccountNum": "3333333333"}
    inquired = await gate.told("getinterbankinquiry", {**switch, "customerReferenceNumber": "1"})
    second = {
        **switch, "amount": "12007", "destinationAccountName": inquired["destinationAccountName"],
        "destinationBankName": "BCA", "retrievalReffNum": inquired["retrievalReffNum"],
    }  # fmt: skip
    other = await gate.told(
        "getinterbankpayment", {**second, "customerReferenceNumber": "2", "destinationBankCode": "008"}
    )
    assert other["errorMessage"] == "Invalid retrievalReffNum"
    assert (await gate.told("getinterbankpayment", {**second, "customerReferenceNumber": "3"}))[
        "responseCode"
    ] == "0001"
    spent = await gate.told("getinterbankpayment", {**second, "customerReferenceNumber": "4"})
    assert spent["errorMessage"] == "Invalid retrievalReffNum"
    unknown = await gate.told("getpaymentstatus", {"customerReferenceNumber": "5"})
    assert unknown["errorMessage"] == "Transaction not found"


async def test_the_payment_of_bnis_own_tests_needs_no_inquiry(gate: Gate) -> None:
    sample = {
        "customerReferenceNumber": "20180930112233005", "amount": "12007", "destinationAccountNum": "01400000",
        "destinationAccountName": "Bpk HANS", "destinationBankCode": "014", "destinationBankName": "BCA",
        "accountNum": "0316031099", "retrievalReffNum": "100000000097",
    }  # fmt: skip
    assert (await gate.told("getinterbankpayment", sample))["responseCode"] == "0001"


async def test_an_unknown_outcome(gate: Gate) -> None:
    abroad = {
        "paymentMethod": "1",
        "beneficiaryName": "B",
        "beneficiaryAddress1": "J",
        "destinationBankCode": "CENAIDJA",
    }
    got = await gate.ask("dopayment", payment(**abroad, creditAccountNo="9999950400"))
    assert (got.status, got.json["Response"]["parameters"]["responseMessage"]) == (500, "Unknown output")


async def test_the_token_in_the_query_is_logged_nowhere(gate: Gate, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await gate.ask("getbalance", {"accountNo": "113183203"})
        gate.mock.world.accounts = None  # type: ignore[assignment]  # a bug of the mock: it logs the place
        assert (await gate.ask("getbalance", {"accountNo": "1"})).status == 500
    shown = (await gate.mock.send(Sent("GET", "/__mock__/requests"))).body.decode()
    for text in (caplog.text, shown):
        assert "getbalance" in text
        assert gate.token not in text
