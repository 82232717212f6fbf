"""A client of DANA, written from dana.md and the decisions on it alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.mock_partners.signing import rsa_signature
from tests.mock_partners.wire import Sent
from tests.partners.kit import AT, JSON, RUPIAH, SHEETS, Endpoint, Product, control, printed

if TYPE_CHECKING:
    from tests.mock_partners.test_determinism import Client

SLUG = "dana"
PRODUCTS = {
    "snap": Product(
        "client_id", "client_id", "", "private_key_pem", "", customer_path="/v1.0/access-token/b2b2c.htm"
    ),
}  # fmt: skip
UNKNOWN_TOKEN = ""
"""No bearer of ours is shown."""
_DECIDED = (SHEETS / "decisions.md").read_text("utf-8").partition("\n## DANA\n")[2].partition("\n## ")[0]
PRINTED = {code for code in printed(_DECIDED) if code[3:5] != "10"}
"""Those of service 10 come on the way back of the page: its tests are the mock's own."""
STRANGE_PATHS = {
    "/v1.0/nothing": {"responseCode": "4040000", "responseMessage": "Not Found"},
    "/rest/v1.0/emoney/nothing": {"responseCode": "4040000", "responseMessage": "Not Found"},
}
_INQUIRY = {
    "partnerReferenceNo": "é", "customerNumber": "628128000000", "amount": RUPIAH, "transactionDate": AT,
    "additionalInfo": {"fundType": "AGENT_TOPUP_FOR_USER_SETTLE"},
}  # fmt: skip
ENDPOINTS = (
    Endpoint(SLUG, "POST", "/rest/v1.0/emoney/account-inquiry", "37", _INQUIRY, bearer=""),
    Endpoint(SLUG, "POST", "/rest/v1.0/emoney/topup", "38", {
        **_INQUIRY, "partnerReferenceNo": "38", "feeAmount": {"value": "0.00", "currency": "IDR"}, "notes": "é/",
    }, bearer=""),
    Endpoint(SLUG, "POST", "/rest/v1.0/emoney/topup-status", "39", {
        "originalPartnerReferenceNo": "é", "serviceCode": "38",
    }, bearer=""),
    Endpoint(SLUG, "POST", "/v1.0/registration-account-unbinding.htm", "09", {
        "merchantId": "é", "additionalInfo": {"accessToken": "x", "deviceId": "device-1"},
    }, bearer="", customer=True),
    Endpoint(SLUG, "POST", "/v1.0/transaction-history-list.htm", "12", {
        "partnerReferenceNo": "é", "fromDateTime": AT, "toDateTime": AT, "pageSize": "1000", "pageNumber": "1",
    }, bearer=""),
)  # fmt: skip


def profile(*resources: str) -> Callable[[Client], Sent]:
    """The query that is not SNAP's: signed is the text of `request` as it stands."""

    def made(client: Client) -> Sent:
        given = client.mock.secrets
        head = {
            "version": "2.0", "function": "dana.member.query.queryUserProfile", "clientId": given["client_id"],
            "clientSecret": given["client_secret"], "reqTime": AT, "reqMsgId": "1", "accessToken": client.customer,
            "reserve": "{}",
        }  # fmt: skip
        asked = json.dumps({"head": head, "body": {"userResources": list(resources)}})
        sign = rsa_signature(given["private_key_pem"], asked)
        body = f'{{"request": {asked}, "signature": "{sign}"}}'
        return Sent("POST", "/dana/member/query/queryUserProfile.htm", headers=JSON, body=body.encode())

    return made


EXTRA = (
    profile("LOGIN_ID"),
    profile("KTP_NUMBER", "LOGIN_ID", "USER_KYC"),
    profile("SELFIE_PHOTO_DATA"),
    control("pending"),
)
