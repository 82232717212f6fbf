"""Byte for byte what BNI's Python SDK 0.8.9 sends, for machines that cannot run it (it needs Python 3.12).

Header names in their order and spelling, empty headers, spaced and escaped JSON, a compact text to sign, a 19-digit
X-EXTERNAL-ID: noted from the SDK's calls to a socket. Only references, times and signatures are filled in here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from typing import Any

import pytest

from mock_partners.bni import CREDENTIALS
from tests.mock_partners.signing import rsa_signature
from tests.mock_partners.wire import Got, Mock, Sent, start

SNAP, OGP = CREDENTIALS["credentials"], CREDENTIALS["one_gate_payment"]
AT = "2026-01-15T12:00:00+07:00"
COMMON = {"accept-encoding": "gzip, deflate", "accept": "*/*", "connection": "keep-alive"}
REQUESTS, OWN = {"user-agent": "python-requests/2.34.2", **COMMON}, {"user-agent": "bni-python/0.1.0", **COMMON}
TOKEN_BODY = b'{"grantType": "client_credentials", "additionalInfo": {}}'
BALANCE_BODY = '{"partnerReferenceNo": "2023062601000000000509", "accountNo": "0115476117"}'
TRANSFER_BODY = (
    '{"partnerReferenceNo": "20260115000000000010", "amount": {"value": "55000.00", "currency": "IDR"}, '
    '"beneficiaryAccountNo": "0115476151", "beneficiaryEmail": "", "currency": "IDR", '
    '"customerReference": "20260115000000000010", "feeType": "OUR", "remark": "insentif \\u00e9", '
    '"sourceAccountNo": "0115476117", "transactionDate": "2026-01-15T12:00:00+07:00", '
    '"additionalInfo": {"deviceId": "", "channel": ""}}'
)
OGP_BALANCE = '{"accountNo": "113183203", "clientId": "IDBNIVGVzdCBBUFA=", "signature": "%s"}'
OGP_PAYMENT = (
    '{"clientId": "IDBNIVGVzdCBBUFA=", "customerReferenceNumber": "20260115000000000011", "paymentMethod": "0", '
    '"debitAccountNo": "113183203", "creditAccountNo": "115471119", "valueDate": "20170227000000000", '
    '"valueCurrency": "IDR", "valueAmount": 100500, "remark": "?", "beneficiaryEmailAddress": "", '
    '"beneficiaryName": "Mr.X", "beneficiaryAddress1": "Jakarta", "beneficiaryAddress2": "", '
    '"destinationBankCode": "CENAIDJAXXX", "chargingModelId": "OUR", "signature": "%s"}'
)


def compact(text: str) -> str:
    return json.dumps(json.loads(text), separators=(",", ":"))


async def snap_token(mock: Mock) -> str:
    client = SNAP["client_id"]
    headers = {
        **REQUESTS, "content-type": "application/json", "x-timestamp": AT, "x-client-key": client,
        "x-signature": rsa_signature(SNAP["private_key_pem"], f"{client}|{AT}"),
    }  # fmt: skip
    got = await mock.send(Sent("POST", "/snap/v1/access-token/b2b", headers=headers, body=TOKEN_BODY))
    assert got.code == "2007300"
    return str(got.json["accessToken"])


def snap(path: str, token: str, body: str, external_id: str) -> Sent:
    path = f"/snap-service/v1/{path}"
    text = f"POST:{path}:{token}:{hashlib.sha256(compact(body).encode()).hexdigest()}:{AT}"
    headers = {
        **OWN, "content-type": "application/json", "authorization": f"Bearer {token}",
        "x-signature": base64.b64encode(hmac.digest(SNAP["api_secret"].encode(), text.encode(), "sha512")).decode(),
        "x-timestamp": AT, "x-partner-id": SNAP["api_key"], "x-ip-address": "", "x-device-id": "bni-python/0.1.0",
        "x-external-id": external_id, "channel-id": "95221", "x-latitude": "", "x-longitude": "",
    }  # fmt: skip
    return Sent("POST", path, headers=headers, body=body.encode())


async def ogp_token(mock: Mock) -> str:
    pair = base64.b64encode(f"{OGP['client_id']}:{OGP['client_secret']}".encode()).decode()
    headers = {**OWN, "authorization": f"Basic {pair}", "content-type": "application/x-www-form-urlencoded"}
    got = await mock.send(Sent("POST", "/api/oauth/token", headers=headers, body=b"grant_type=client_credentials"))
    return str(got.json["access_token"])


def ogp(operation: str, token: str, template: str) -> Sent:
    def part(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    signed = json.loads(template)
    del signed["signature"]
    text = part(b'{"alg":"HS256","typ":"JWT"}') + "." + part(json.dumps(signed, separators=(",", ":")).encode())
    jwt = f"{text}.{part(hmac.digest(OGP['api_secret'].encode(), text.encode(), 'sha256'))}"
    headers = {**OWN, "x-api-key": OGP["api_key"], "content-type": "application/json"}
    return Sent("POST", f"/H2H/v2/{operation}", f"access_token={token}", headers, (template % jwt).encode())


@pytest.mark.parametrize(
    ("path", "body", "service"), [("balance-inquiry", BALANCE_BODY, "11"), ("transfer-intrabank", TRANSFER_BODY, "17")]
)
async def test_snap_takes_the_sdks_bytes_and_no_others(path: str, body: str, service: str) -> None:
    mock = start("bni")
    token = await snap_token(mock)
    sent = snap(path, token, body, "3026301261795512174")
    changed = replace(sent, body=sent.body.replace(b"0115476117", b"0115476118"))
    assert (await mock.send(changed)).code == f"401{service}00"
    assert (await mock.send(sent)).code == f"200{service}00"
    assert (await mock.send(sent)).code == f"409{service}00"
    if service == "17":
        again = snap(path, token, body, "8595035181795512174")
        assert (await mock.send(again)).code == "4091701"
        assert [booking.amount_rupiah for booking in mock.world.books] == [55_000]


def envelope(got: Got) -> tuple[int, str, dict[str, Any]]:
    ((wrapper, told),) = got.json.items()
    return got.status, wrapper, told["parameters"]


@pytest.mark.parametrize(
    ("operation", "template", "wrapper"),
    [("getbalance", OGP_BALANCE, "getBalanceResponse"), ("dopayment", OGP_PAYMENT, "doPaymentResponse")],
)
async def test_one_gate_payment_takes_the_sdks_bytes_and_no_others(operation: str, template: str, wrapper: str) -> None:
    mock = start("bni")
    sent = ogp(operation, await ogp_token(mock), template)
    changed = replace(sent, body=sent.body.replace(b"113183203", b"113183204"))
    assert envelope(await mock.send(changed))[:2] == (400, "Response")
    status, name, told = envelope(await mock.send(sent))
    assert (status, name, told["responseCode"]) == (200, wrapper, "0001")
    assert len(mock.world.books) == (operation == "dopayment")
