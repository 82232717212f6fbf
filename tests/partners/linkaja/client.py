"""A client of LinkAja, written from wallets.md 4 alone."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC
from typing import TYPE_CHECKING, Any

from tests.mock_partners.wire import Sent
from tests.partners.kit import BACK, Endpoint, Product, printed, section

if TYPE_CHECKING:
    from tests.mock_partners.test_determinism import Client

SLUG = "linkaja"
PATHS = "/bi/v1.0"
PRODUCTS = {
    "snap": Product(
        "client_id", "partner_id", "client_secret", "private_key_pem", f"{PATHS}/access-token/b2b",
        customer_path=f"{PATHS}/access-token/b2b2c",
    ),
}  # fmt: skip
UNKNOWN_TOKEN = "03"
PRINTED = printed(section("wallets.md", "4.4") + section("wallets.md", "4.5"))
STRANGE_PATHS = {
    f"{PATHS}/nothing": {"responseCode": "4040000", "responseMessage": "Not Found"},
    "/v1/cashin/nothing": {"message": "no Route matched with those values"},
}
_BINDING = {"partnerRedirectUrl": BACK.format(SLUG), "state": "é", "scope": "DIRECT_DEBIT_TRANSACTION"}
ENDPOINTS = (
    Endpoint(SLUG, "POST", f"{PATHS}/registration-account-binding", "07", {
        "merchantId": "506300000000000", "msisdn": "6281234567803", "additionalInfo": _BINDING,
    }),
    Endpoint(SLUG, "POST", f"{PATHS}/registration-account-inquiry", "08", {
        "merchantId": "506300000000000",
    }, customer=True),
    Endpoint(SLUG, "POST", f"{PATHS}/balance-inquiry", "11", {"note": "é/"}, customer=True),
    Endpoint(SLUG, "POST", f"{PATHS}/registration-account-unbinding", "09", {"note": "é/"}, customer=True),
)  # fmt: skip


def kong(method: str, path: str, body: Callable[[Client], Any] | None = None) -> Callable[[Client], Sent]:
    def made(client: Client) -> Sent:
        sent = b"" if body is None else json.dumps(body(client)).encode()
        date = client.mock.clock.now().astimezone(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        digest = "SHA-256=" + base64.b64encode(hashlib.sha256(sent).digest()).decode()
        text = f"date: {date}\n{method} {path} HTTP/1.1\ndigest: {digest}"
        mac = base64.b64encode(hmac.digest(client.mock.secrets["hmac_secret"].encode(), text.encode(), "sha256"))
        order = 'algorithm="hmac-sha256", headers="date request-line digest"'
        authorization = f'hmac username="{client.mock.secrets["hmac_username"]}", {order}, signature="{mac.decode()}"'
        headers = {"date": date, "digest": digest, "authorization": authorization}
        headers["access-token"] = str(client.learned.get("accessToken", "none"))
        return Sent(method, path, headers=headers, body=sent)

    return made


def cash_in(client: Client) -> dict[str, Any]:
    return {
        "token": client.customer, "amount": "000005000000", "merchantTrxID": "P1",
        "trxDate": "2026-01-02T03:04:05+00:00", "sessionID": client.learned.get("sessionID", "none"),
    }  # fmt: skip


EXTRA = (
    kong("GET", "/v1/oauth/create"),
    kong("POST", "/v1/cashin/inquiry", cash_in),
    kong("POST", "/v1/cashin/confirm", cash_in),
    kong("POST", "/v1/cashin/check", lambda client: {"merchantTrxID": "P1"}),
    kong("POST", "/v1/custbind/verify/kyc", lambda client: {"token": client.customer, "nik": "3174052209989903"}),
)  # fmt: skip
