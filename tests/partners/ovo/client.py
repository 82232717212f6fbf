"""A client of OVO, written from wallets.md 3 alone."""

from __future__ import annotations

from tests.partners.kit import BACK, RUPIAH, Endpoint, Product, control, printed, section

SLUG = "ovo"
PATHS = "/OVOSNAP/v2.0"
PRODUCTS = {
    "snap": Product(
        "client_id", "partner_id", "client_secret", "private_key_pem", "/OVOSNAP/v1.0/access-token/b2b",
        customer_path=f"{PATHS}/access-token/b2b2c",
    ),
}  # fmt: skip
UNKNOWN_TOKEN = "03"
NOT_SERVED = {"4035414"}
"""Insufficient funds of OVO's debit (54), a call that the mock does not have (its README)."""
PRINTED = printed("".join(section("wallets.md", number) for number in ("3.2", "3.3", "3.5", "3.6"))) - NOT_SERVED
STRANGE_PATHS = {"/OVOSNAP/v3.0/emoney/topup": {"responseCode": "4040000", "responseMessage": "Not Found"}}
_BINDING = {
    "custIdMerchant": "u/é", "customerName": "É", "successRegistrationUrl": BACK.format(SLUG),
    "failedRegistrationUrl": BACK.format(SLUG),
}  # fmt: skip
ENDPOINTS = (
    Endpoint(SLUG, "GET", "/user/v2/account/lookup", "00", query="phone=081234567890"),
    Endpoint(SLUG, "POST", f"{PATHS}/oauth/account/registration-account-binding", "07", {
        "phoneNo": "081234567803", "additionalInfo": _BINDING,
    }, bearer=""),
    Endpoint(SLUG, "POST", f"{PATHS}/oauth/account/registration-account-unbinding", "09", {
        "note": "é/",
    }, bearer="customer"),
    Endpoint(SLUG, "POST", f"{PATHS}/emoney/account-inquiry", "37", {
        "customerNumber": "081234567890", "amount": RUPIAH, "additionalInfo": {"note": "é/"},
    }),
    Endpoint(SLUG, "POST", f"{PATHS}/emoney/topup", "38", {
        "partnerReferenceNo": "38", "customerNumber": "081234567890", "amount": RUPIAH, "notes": "é/",
    }),
    Endpoint(SLUG, "POST", f"{PATHS}/emoney/topup-status", "39", {
        "originalPartnerReferenceNo": "é", "serviceCode": "38",
    }),
    Endpoint(SLUG, "GET", "/cashin/snap/v2.0/merchant/account/balance", "11"),
    Endpoint(SLUG, "GET", "/cashin/snap/v2.0/merchant/account/history", "12", query="date=2026-01-15&page=1"),
)  # fmt: skip
EXTRA = (control("pending"), control("sms", "phone=%2B6281234567890"))
