"""A client of BNI, written from snap-bni.md alone."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mock_partners.bni import CREDENTIALS
from tests.mock_partners.wire import Sent
from tests.partners.kit import AT, JSON, RUPIAH, Endpoint, Product, basic, control, printed, section

if TYPE_CHECKING:
    from tests.mock_partners.test_determinism import Client

SLUG = "bni"
PRODUCTS = {
    "snap": Product("client_id", "api_key", "api_secret", "private_key_pem", "/snap/v1/access-token/b2b"),
    "autopay": Product(
        "autopay_client_id", "autopay_merchant_id", "autopay_client_secret", "autopay_private_key_pem",
        "/api/v1.0/access-token/b2b",
    ),
}  # fmt: skip
UNKNOWN_TOKEN = "03"
PRINTED = printed(section("snap-bni.md", "2.3") + section("snap-bni.md", "2.4"))
STRANGE_PATHS = {
    "/snap-service/v1/nothing": {"responseCode": "4040000", "responseMessage": "Not Found"},
    "/v1.0/otp/more": {"responseCode": "4040000", "responseMessage": "Not Found"},
}
PATHS = "/snap-service/v1"
_TRANSFER = {
    "partnerReferenceNo": "", "amount": RUPIAH, "beneficiaryAccountNo": "0115476151", "currency": "IDR",
    "remark": "insentif é/è", "sourceAccountNo": "0115476117", "transactionDate": AT,
}  # fmt: skip
_ABROAD = {
    **_TRANSFER, "beneficiaryAccountName": "José", "beneficiaryBankCode": "014", "beneficiaryCustomerResidence": "1",
    "beneficiaryCustomerType": "1",
}  # fmt: skip
_MERCHANT = {"merchantId": "bni-autopay-merchant-0001", "partnerReferenceNo": "é"}
ENDPOINTS = (
    Endpoint(SLUG, "POST", f"{PATHS}/balance-inquiry", "11", {"partnerReferenceNo": "é", "accountNo": "0115476117"}),
    Endpoint(SLUG, "POST", f"{PATHS}/bank-statement", "14", {
        "partnerReferenceNo": "é", "accountNo": "0115476117", "fromDateTime": AT, "toDateTime": AT,
    }),
    Endpoint(SLUG, "POST", f"{PATHS}/account-inquiry-internal", "15", {
        "partnerReferenceNo": "é", "beneficiaryAccountNo": "0115476151",
    }),
    Endpoint(SLUG, "POST", f"{PATHS}/account-inquiry-external", "16", {
        "partnerReferenceNo": "é", "beneficiaryBankCode": "014", "beneficiaryAccountNo": "0000000986",
    }),
    Endpoint(SLUG, "POST", f"{PATHS}/transfer-intrabank", "17", {**_TRANSFER, "partnerReferenceNo": "17"}),
    Endpoint(SLUG, "POST", f"{PATHS}/transfer-interbank", "18", {**_ABROAD, "partnerReferenceNo": "18"}),
    Endpoint(SLUG, "POST", f"{PATHS}/transfer-rtgs", "22", {**_ABROAD, "partnerReferenceNo": "22"}),
    Endpoint(SLUG, "POST", f"{PATHS}/transfer-skn", "23", {**_ABROAD, "partnerReferenceNo": "23"}),
    Endpoint(SLUG, "POST", f"{PATHS}/transfer/status", "36", {"originalPartnerReferenceNo": "é", "serviceCode": "17"}),
    Endpoint(SLUG, "POST", f"{PATHS}/account-kyc-verification", "97", {
        "partnerReferenceNo": "é", "accountNo": "0115476151", "bankCardToken": "x",
        "identificationNo": "3174052209989901", "identificationType": "02",
    }),
    Endpoint(SLUG, "POST", "/v1.0/registration-account-binding", "07", {
        **_MERCHANT, "additionalInfo": {"custIdMerchant": "é"},
        "additionalData": {"bankAccountNo": "0115476151", "bankCardNo": "1946340000000151", "limit": "1.00"},
    }, product="autopay"),
    Endpoint(SLUG, "POST", "/v1.0/otp-verification", "04", {
        **_MERCHANT, "originalPartnerReferenceNo": "é", "originalReferenceNo": "é", "chargeToken": "x", "otp": "123456",
    }, product="autopay"),
    Endpoint(SLUG, "POST", "/v1.0/otp", "81", {
        **_MERCHANT, "journeyID": "x", "bankCardToken": "x", "otpReasonCode": "09", "otpReasonMessage": "é",
    }, product="autopay"),
    Endpoint(SLUG, "POST", "/v1.0/registration-account-unbinding", "09", {
        **_MERCHANT, "otp": "123456", "bankCardToken": "x", "chargeToken": "x",
        "additionalInfo": {"custIdMerchant": "é"},
    }, product="autopay"),
)  # fmt: skip


def one_gate(path: str, body: dict[str, Any]) -> Callable[[Client], Sent]:
    def made(client: Client) -> Sent:
        known = CREDENTIALS["one_gate_payment"]
        full = {"clientId": "IDBNI" + base64.b64encode(known["app_name"].encode()).decode(), **body}
        parts = [base64.urlsafe_b64encode(raw).rstrip(b"=") for raw in (b'{"alg":"HS256"}', json.dumps(full).encode())]
        mac = hmac.digest(known["api_secret"].encode(), b".".join(parts), "sha256")
        full["signature"] = b".".join((*parts, base64.urlsafe_b64encode(mac).rstrip(b"="))).decode()
        headers = {**JSON, "x-api-key": known["api_key"]}
        token = str(client.learned.get("access_token", "none"))
        return Sent("POST", f"/H2H/v2/{path}", f"access_token={token}", headers, json.dumps(full).encode())

    return made


def oauth(client: Client) -> Sent:
    known = CREDENTIALS["one_gate_payment"]
    return Sent(
        "POST", "/api/oauth/token", headers=basic(known["client_id"], known["client_secret"]),
        body=b"grant_type=client_credentials",
    )  # fmt: skip


OGP_PAYMENT = {
    "customerReferenceNumber": "1", "debitAccountNo": "113183203", "creditAccountNo": "115471119",
    "valueDate": "20260115120000000", "valueCurrency": "IDR", "valueAmount": 1, "chargingModelId": "OUR",
    "beneficiaryName": "B", "beneficiaryAddress1": "J", "destinationBankCode": "CENAIDJA",
}  # fmt: skip
EXTRA = (
    oauth,
    one_gate("getbalance", {"accountNo": "113183203"}),
    one_gate("dopayment", {**OGP_PAYMENT, "paymentMethod": "0"}),
    one_gate("dopayment", {**OGP_PAYMENT, "customerReferenceNumber": "2", "paymentMethod": "2"}),
    one_gate("getpaymentstatus", {"customerReferenceNumber": "2"}),
    one_gate("getinterbankinquiry", {
        "customerReferenceNumber": "3", "accountNum": "113183203", "destinationBankCode": "014",
        "destinationAccountNum": "1",
    }),
    control("sms", "phone=%2B6281200000151"),
)  # fmt: skip
