"""Independent SNAP clients in several styles, each written from snap-bni.md 1.3-1.7 alone: what real ones send."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import hmac as openssl

from tests.mock_partners.signing import rsa_signature
from tests.mock_partners.wire import Mock, Sent

NUMBERS = itertools.count(1)


def _compact(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def _ascii(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def _backwards(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _backwards(value[key]) for key in reversed(value)}
    return value


def _by_hashlib(secret: str, text: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha512).digest()).decode()


def _by_openssl(secret: str, text: str) -> str:
    mac = openssl.HMAC(secret.encode(), hashes.SHA512())
    mac.update(text.encode())
    return base64.b64encode(mac.finalize()).decode()


@dataclass(frozen=True)
class Style:
    """How one client writes: the bytes it sends, the bytes it hashes, its clock's spelling, its HMAC."""

    name: str
    write: Callable[[Any], bytes]
    hashed: Callable[[Any], bytes]
    clock: Callable[[datetime], str]
    mac: Callable[[str, str], str] = _by_hashlib


def _plus_seven(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S+07:00")


def _plus_seven_ms(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.196+07:00")


def _zulu(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _zulu_ms(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.024Z")


STYLES = (
    Style("careful: one text, hashed and sent", _compact, _compact, _plus_seven),
    Style("Python: json.dumps sent, compact hashed, ASCII", lambda body: json.dumps(body).encode(), _ascii, _zulu),
    Style("JavaScript: JSON.stringify, toISOString", _compact, _compact, _zulu_ms, _by_openssl),
    Style(
        "Java: pretty-printed, raw UTF-8, milliseconds",
        lambda body: json.dumps(body, indent=2, ensure_ascii=False).encode(), _compact, _plus_seven_ms, _by_openssl,
    ),
    Style(
        "PHP: json_encode escapes slashes and letters",
        lambda body: _ascii(body).replace(b"/", rb"\/"), lambda body: _ascii(body).replace(b"/", rb"\/"), _plus_seven,
    ),
    Style("Go: fields in another order", lambda body: _compact(_backwards(body)),
          lambda body: _compact(_backwards(body)), _zulu),
    Style(
        "Windows: tabs and CR LF",
        lambda body: json.dumps(body, indent="\t", ensure_ascii=False).replace("\n", "\r\n").encode(), _compact,
        _zulu_ms,
    ),
)  # fmt: skip
CAREFUL = STYLES[0]


@dataclass(frozen=True)
class Endpoint:
    """One SNAP call: its service code, what is sent to it, and whose tokens it wants."""

    partner: str
    method: str
    path: str
    service: str
    body: Any = None
    query: str = ""
    product: str = "snap"
    customer: bool = False
    bearer: str = "b2b"

    @property
    def id(self) -> str:
        return f"{self.partner} {self.service} {self.path}"


WORDS = {
    ("bni", "snap"): ("client_id", "api_key", "api_secret", "private_key_pem", "/snap/v1/access-token/b2b"),
    ("bni", "autopay"): (
        "autopay_client_id", "autopay_merchant_id", "autopay_client_secret", "autopay_private_key_pem",
        "/api/v1.0/access-token/b2b",
    ),
    ("gopay", "snap"): (
        "snap_client_id", "snap_partner_id", "snap_client_secret", "snap_private_key_pem", "/v1.0/access-token/b2b",
    ),
    ("linkaja", "snap"): ("client_id", "partner_id", "client_secret", "private_key_pem", "/bi/v1.0/access-token/b2b"),
    ("ovo", "snap"): ("client_id", "partner_id", "client_secret", "private_key_pem", "/OVOSNAP/v1.0/access-token/b2b"),
}  # fmt: skip
"""What each product calls client key, X-PARTNER-ID, HMAC key and RSA key; and its token path."""


class Signer:
    """One client of one product of one mock."""

    def __init__(self, mock: Mock, product: str = "snap") -> None:
        key, partner, secret, pem, self.token_path = WORDS[mock.partner, product]
        given = mock.secrets
        self.mock, self.client_key, self.partner_id = mock, given[key], given[partner]
        self.secret, self.pem, self.token = given[secret], given[pem], ""

    def token_call(self, path: str = "", body: Any = None, style: Style = CAREFUL, bearer: str = "") -> Sent:
        """A call signed with RSA over client|timestamp; without arguments the B2B token's."""
        at = style.clock(self.mock.clock.now())
        headers = {
            "content-type": "application/json", "x-timestamp": at, "x-client-key": self.client_key,
            "x-signature": rsa_signature(self.pem, f"{self.client_key}|{at}"),
        }  # fmt: skip
        if bearer:
            headers["authorization"] = f"Bearer {bearer}"
        sent = style.write(body if body is not None else {"grantType": "client_credentials"})
        return Sent("POST", path or self.token_path, headers=headers, body=sent)

    async def authenticate(self, style: Style = CAREFUL) -> str:
        got = await self.mock.send(self.token_call(style=style))
        assert got.code == "2007300", (style.name, got.body)
        self.token = got.json["accessToken"]
        return self.token

    def sign(
        self, endpoint: Endpoint, style: Style = CAREFUL, *, bearer: str | None = None, customer: str = "",
        sent: bytes | None = None, hashed: bytes | None = None,
    ) -> Sent:  # fmt: skip
        """A transaction call; `sent` and `hashed` stand in for the style's own bytes."""
        empty = endpoint.body is None
        sent = (b"" if empty else style.write(endpoint.body)) if sent is None else sent
        hashed = (b"" if empty else style.hashed(endpoint.body)) if hashed is None else hashed
        token = self.token if bearer is None else bearer
        target = endpoint.path + (f"?{endpoint.query}" if endpoint.query else "")
        at = style.clock(self.mock.clock.now())
        text = ":".join((endpoint.method, target, token, hashlib.sha256(hashed).hexdigest(), at))
        headers = {
            "x-timestamp": at, "x-signature": style.mac(self.secret, text), "x-partner-id": self.partner_id,
            "x-external-id": f"{next(NUMBERS):018d}", "channel-id": "95221", "x-device-id": "device-1",
        }  # fmt: skip
        if sent:
            headers["content-type"] = "application/json"
        if token:
            headers["authorization"] = f"Bearer {token}"
        if customer:
            headers["authorization-customer"] = f"Bearer {customer}"
        return Sent(endpoint.method, endpoint.path, endpoint.query, headers, sent)


RUPIAH = {"value": "50000.00", "currency": "IDR"}
AT = "2026-01-15T12:00:00+07:00"
BACK = "http://gw.example.test/callbacks/{}/link?st=s1"
BNI, GOPAY, LINKAJA, OVO = "/snap-service/v1", "/v1.0", "/bi/v1.0", "/OVOSNAP/v2.0"
_TRANSFER = {
    "partnerReferenceNo": "", "amount": RUPIAH, "beneficiaryAccountNo": "0115476151", "currency": "IDR",
    "remark": "insentif é/è", "sourceAccountNo": "0115476117", "transactionDate": AT,
}  # fmt: skip
_ABROAD = {
    **_TRANSFER, "beneficiaryAccountName": "José", "beneficiaryBankCode": "014", "beneficiaryCustomerResidence": "1",
    "beneficiaryCustomerType": "1",
}  # fmt: skip
_MERCHANT = {"merchantId": "bni-autopay-merchant-0001", "partnerReferenceNo": "é"}
_TOPUP = {"customerNumber": "08215023424", "amount": RUPIAH, "additionalInfo": {"beneficiaryProvider": "gopay"}}
_OVO_BINDING = {
    "custIdMerchant": "u/é", "customerName": "É", "successRegistrationUrl": BACK.format("ovo"),
    "failedRegistrationUrl": BACK.format("ovo"),
}  # fmt: skip
_LINKAJA_BINDING = {
    "partnerRedirectUrl": BACK.format("linkaja"), "state": "é", "scope": "DIRECT_DEBIT_TRANSACTION",
}  # fmt: skip
ENDPOINTS = (
    Endpoint("bni", "POST", f"{BNI}/balance-inquiry", "11", {"partnerReferenceNo": "é", "accountNo": "0115476117"}),
    Endpoint("bni", "POST", f"{BNI}/bank-statement", "14", {
        "partnerReferenceNo": "é", "accountNo": "0115476117", "fromDateTime": AT, "toDateTime": AT,
    }),
    Endpoint("bni", "POST", f"{BNI}/account-inquiry-internal", "15", {
        "partnerReferenceNo": "é", "beneficiaryAccountNo": "0115476151",
    }),
    Endpoint("bni", "POST", f"{BNI}/account-inquiry-external", "16", {
        "partnerReferenceNo": "é", "beneficiaryBankCode": "014", "beneficiaryAccountNo": "0000000986",
    }),
    Endpoint("bni", "POST", f"{BNI}/transfer-intrabank", "17", {**_TRANSFER, "partnerReferenceNo": "17"}),
    Endpoint("bni", "POST", f"{BNI}/transfer-interbank", "18", {**_ABROAD, "partnerReferenceNo": "18"}),
    Endpoint("bni", "POST", f"{BNI}/transfer-rtgs", "22", {**_ABROAD, "partnerReferenceNo": "22"}),
    Endpoint("bni", "POST", f"{BNI}/transfer-skn", "23", {**_ABROAD, "partnerReferenceNo": "23"}),
    Endpoint("bni", "POST", f"{BNI}/transfer/status", "36", {"originalPartnerReferenceNo": "é", "serviceCode": "17"}),
    Endpoint("bni", "POST", f"{BNI}/account-kyc-verification", "97", {
        "partnerReferenceNo": "é", "accountNo": "0115476151", "bankCardToken": "x",
        "identificationNo": "3174052209989901", "identificationType": "02",
    }),
    Endpoint("bni", "POST", "/v1.0/registration-account-binding", "07", {
        **_MERCHANT, "additionalInfo": {"custIdMerchant": "é"},
        "additionalData": {"bankAccountNo": "0115476151", "bankCardNo": "1946340000000151", "limit": "1.00"},
    }, product="autopay"),
    Endpoint("bni", "POST", "/v1.0/otp-verification", "04", {
        **_MERCHANT, "originalPartnerReferenceNo": "é", "originalReferenceNo": "é", "chargeToken": "x", "otp": "123456",
    }, product="autopay"),
    Endpoint("bni", "POST", "/v1.0/otp", "81", {
        **_MERCHANT, "journeyID": "x", "bankCardToken": "x", "otpReasonCode": "09", "otpReasonMessage": "é",
    }, product="autopay"),
    Endpoint("bni", "POST", "/v1.0/registration-account-unbinding", "09", {
        **_MERCHANT, "otp": "123456", "bankCardToken": "x", "chargeToken": "x",
        "additionalInfo": {"custIdMerchant": "é"},
    }, product="autopay"),
    Endpoint("gopay", "POST", f"{GOPAY}/registration-account-binding", "07", {
        "merchantId": "303b4f89-0000-4000-8000-62a8ffaefaf3", "authCode": "é", "grantType": "AUTHORIZATION_CODE",
    }),
    Endpoint("gopay", "POST", f"{GOPAY}/registration-account-inquiry", "08", {
        "additionalInfo": {"note": "é/"},
    }, customer=True),
    Endpoint("gopay", "POST", f"{GOPAY}/registration-account-unbinding", "09", {
        "merchantId": "303b4f89-0000-4000-8000-62a8ffaefaf3",
    }, customer=True),
    Endpoint("gopay", "POST", f"{GOPAY}/emoney/account-inquiry", "37", _TOPUP),
    Endpoint("gopay", "POST", f"{GOPAY}/emoney/topup", "38", {
        **_TOPUP, "partnerReferenceNo": "38", "customerName": "José",
    }),
    Endpoint("gopay", "POST", f"{GOPAY}/transfer/status", "36", {
        "originalPartnerReferenceNo": "é", "serviceCode": "38",
    }),
    Endpoint("linkaja", "POST", f"{LINKAJA}/registration-account-binding", "07", {
        "merchantId": "506300000000000", "msisdn": "6281234567803", "additionalInfo": _LINKAJA_BINDING,
    }),
    Endpoint("linkaja", "POST", f"{LINKAJA}/registration-account-inquiry", "08", {
        "merchantId": "506300000000000",
    }, customer=True),
    Endpoint("linkaja", "POST", f"{LINKAJA}/balance-inquiry", "11", {"note": "é/"}, customer=True),
    Endpoint("linkaja", "POST", f"{LINKAJA}/registration-account-unbinding", "09", {"note": "é/"}, customer=True),
    Endpoint("ovo", "GET", "/user/v2/account/lookup", "00", query="phone=081234567890"),
    Endpoint("ovo", "POST", f"{OVO}/oauth/account/registration-account-binding", "07", {
        "phoneNo": "081234567803", "additionalInfo": _OVO_BINDING,
    }, bearer=""),
    Endpoint("ovo", "POST", f"{OVO}/oauth/account/registration-account-unbinding", "09", {
        "note": "é/",
    }, bearer="customer"),
    Endpoint("ovo", "POST", f"{OVO}/emoney/account-inquiry", "37", {
        "customerNumber": "081234567890", "amount": RUPIAH, "additionalInfo": {"note": "é/"},
    }),
    Endpoint("ovo", "POST", f"{OVO}/emoney/topup", "38", {
        "partnerReferenceNo": "38", "customerNumber": "081234567890", "amount": RUPIAH, "notes": "é/",
    }),
    Endpoint("ovo", "POST", f"{OVO}/emoney/topup-status", "39", {
        "originalPartnerReferenceNo": "é", "serviceCode": "38",
    }),
    Endpoint("ovo", "GET", "/cashin/snap/v2.0/merchant/account/balance", "11"),
    Endpoint("ovo", "GET", "/cashin/snap/v2.0/merchant/account/history", "12", query="date=2026-01-15&page=1"),
)  # fmt: skip
"""Every SNAP call of every mock but the token calls."""
