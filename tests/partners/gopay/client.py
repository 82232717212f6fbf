"""A client of GoPay, written from wallets.md 2 alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.mock_partners.wire import Sent
from tests.partners.kit import JSON, RUPIAH, Endpoint, Product, basic, control, printed, section

if TYPE_CHECKING:
    from tests.mock_partners.test_determinism import Client

SLUG = "gopay"
PRODUCTS = {
    "snap": Product(
        "snap_client_id", "snap_partner_id", "snap_client_secret", "snap_private_key_pem", "/v1.0/access-token/b2b"
    ),
}
UNKNOWN_TOKEN = "01"
"""Midtrans documents one code for all dead ones."""
PRINTED = printed("".join(section("wallets.md", number) for number in ("2.2", "2.3", "2.7")))
STRANGE_PATHS = {
    "/v1.0/nothing": {"responseCode": "4040000", "responseMessage": "Not Found"},
    "/iris/api/v1/nothing/at/all": {"error_message": "Not Found", "errors": []},
    "/forward/gopay-id/nothing": {
        "success": False, "errors": [{"code": "1404", "entity": "FLOW_MANAGER", "cause": "NOT_FOUND"}],
    },
}  # fmt: skip
PATHS = "/v1.0"
_TOPUP = {"customerNumber": "08215023424", "amount": RUPIAH, "additionalInfo": {"beneficiaryProvider": "gopay"}}
ENDPOINTS = (
    Endpoint(SLUG, "POST", f"{PATHS}/registration-account-binding", "07", {
        "merchantId": "303b4f89-0000-4000-8000-62a8ffaefaf3", "authCode": "é", "grantType": "AUTHORIZATION_CODE",
    }),
    Endpoint(SLUG, "POST", f"{PATHS}/registration-account-inquiry", "08", {
        "additionalInfo": {"note": "é/"},
    }, customer=True),
    Endpoint(SLUG, "POST", f"{PATHS}/registration-account-unbinding", "09", {
        "merchantId": "303b4f89-0000-4000-8000-62a8ffaefaf3",
    }, customer=True, needs_fields=True),
    Endpoint(SLUG, "POST", f"{PATHS}/emoney/account-inquiry", "37", _TOPUP),
    Endpoint(SLUG, "POST", f"{PATHS}/emoney/topup", "38", {
        **_TOPUP, "partnerReferenceNo": "38", "customerName": "José", "notes": "insentif 1",
    }),
    Endpoint(SLUG, "POST", f"{PATHS}/transfer/status", "36", {
        "originalPartnerReferenceNo": "é", "serviceCode": "38",
    }),
)  # fmt: skip


def iris(key: str, method: str, path: str, body: Callable[[Client], Any] | None = None) -> Callable[[Client], Sent]:
    def made(client: Client) -> Sent:
        sent = b"" if body is None else json.dumps(body(client)).encode()
        secret = client.mock.secrets[key]
        where = path.replace("*", str(client.learned.get("reference_no", "0")))
        return Sent(method, f"/iris/api/v1/{where}", headers=JSON | basic(secret), body=sent)

    return made


DAY = {"from_date": "2026-01-15", "to_date": "2026-01-15"}
PAYOUT = {"beneficiary_name": "B", "beneficiary_account": "08215023424", "beneficiary_bank": "gopay", "notes": "N"}
EXTRA = (
    iris("iris_creator_key", "POST", "payouts", lambda client: {"payouts": [{**PAYOUT, "amount": "50000"}]}),
    iris("iris_approver_key", "POST", "payouts/approve", lambda client: {
        "reference_nos": [client.learned.get("reference_no", "0")],
    }),
    iris("iris_creator_key", "GET", "payouts/*"),
    iris("iris_creator_key", "GET", "balance"),
    iris("iris_creator_key", "GET", "statements", lambda client: DAY),
    lambda client: Sent("GET", "/forward/gopay-id/identity/v1/gopay-id/token", headers={
        "x-merchant-id": "PRAKERJA", "authorization": client.customer, "request-id": "1",
    }),
    control("pending"),
)  # fmt: skip
