"""DANA's own Python SDK against the DANA mock: linking, the profile query, and payouts as its acceptance tests send
them.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.mock_partners.sdk.conftest import ANSWER_S, Driver, Served

REFERENCE = "1020260115000000001"
PAYING = {"fundType": "AGENT_TOPUP_FOR_USER_SETTLE"}


def rupiah(value: str) -> dict[str, str]:
    return {"value": value, "currency": "IDR"}


def person(dana: Served) -> dict[str, str]:
    found: dict[str, str] = dana.credentials["test_accounts"][0]
    return found | {"phone": found["account"].removeprefix("+")}


def asked(sdk: Driver, family: str, method: str, model: str, **params: Any) -> Any:
    told = sdk.ask(family=family, method=method, model=model, params=params)
    return told.get("value") or told["error"]


def test_a_payout(dana: Served, dana_sdk: Driver) -> None:
    about = {"partnerReferenceNo": REFERENCE, "customerNumber": person(dana)["phone"], "additionalInfo": PAYING}

    def pay(value: str) -> Any:
        model = "TransferToDanaRequest"
        body = about | {"amount": rupiah(value), "feeAmount": rupiah("1.00")}
        return asked(dana_sdk, "disbursement", "transfer_to_dana", model, **body)

    def status(reference: str) -> Any:
        model, body = "TransferToDanaInquiryStatusRequest", {"originalPartnerReferenceNo": reference}
        found = asked(dana_sdk, "disbursement", "transfer_to_dana_inquiry_status", model, **body, serviceCode="38")
        return found if isinstance(found, str) else found["latestTransactionStatus"]

    model = "DanaAccountInquiryRequest"
    found = asked(dana_sdk, "disbursement", "dana_account_inquiry", model, **about, amount=rupiah("50000.00"))
    assert (found["responseCode"], found["customerName"]) == ("2003700", person(dana)["holder_name"])
    paid, again = pay("50000.00"), pay("50000.00")
    assert (paid["responseCode"], paid["partnerReferenceNo"]) == ("2003800", REFERENCE)
    assert (again["responseCode"], again["referenceNo"]) == ("2003800", paid["referenceNo"])
    assert "4043818" in pay("50001.00")
    assert status(REFERENCE) == "00" and "4043901" in status("nobody")
    assert [each.amount_rupiah for each in dana.world.books] == [50_000]


def test_linking_and_the_profile(dana: Served, dana_sdk: Driver) -> None:
    phone, merchant = person(dana)["phone"], dana.credentials["credentials"]["merchant_id"]
    url = asked(
        dana_sdk, "widget", "oauth_url", "Oauth2UrlData", externalId="L1", merchantId=merchant, state="st-0001",
        redirectUrl="http://merchant.example.test/callbacks/dana/link", seamlessData={"mobileNumber": phone},
        scopes=["DEFAULT_BASIC_PROFILE", "MINI_DANA"],
    )  # fmt: skip
    parts = urlsplit(url)
    back = urlsplit(consented(dana, f"{dana.url}{parts.path}?{parts.query}"))
    assert parse_qs(back.query)["state"] == ["st-0001"]
    [code] = parse_qs(back.query)["authCode"]
    grant = {"grantType": "AUTHORIZATION_CODE", "authCode": code, "additionalInfo": {}}
    given = asked(dana_sdk, "widget", "apply_token", "ApplyTokenAuthorizationCodeRequest", **grant)
    assert given["responseCode"] == "2007400"
    assert "Auth Code Used" in asked(dana_sdk, "widget", "apply_token", "ApplyTokenAuthorizationCodeRequest", **grant)

    def told(token: str) -> Any:
        wanted = ["USER_KYC", "KTP_NUMBER", "LOGIN_ID"]
        model = "QueryUserProfileRequest"
        body = asked(dana_sdk, "widget", "query_user_profile", model, userResources=wanted, accessToken=token)
        rows = body["response"]["body"].get("userResourceInfos", [])
        return {row["resourceType"]: row["value"] for row in rows}

    known = told(given["accessToken"])
    assert (known["USER_KYC"], known["KTP_NUMBER"]) == ("KYC_VERIFIED", person(dana)["nik_on_file"])
    assert known["LOGIN_ID"] == f"62-{phone.removeprefix('62')}"
    renew = {"grantType": "REFRESH_TOKEN", "refreshToken": given["refreshToken"], "authCode": "", "additionalInfo": {}}
    renewed = asked(dana_sdk, "widget", "apply_token", "ApplyTokenRefreshTokenRequest", **renew)
    about = {"accessToken": renewed["accessToken"], "deviceId": "device-1"}
    unbinding = {"merchantId": merchant, "additionalInfo": about}
    ended = asked(dana_sdk, "widget", "account_unbinding", "AccountUnbindingRequest", **unbinding)
    assert ended["responseCode"] == "2000900"
    assert told(renewed["accessToken"]) == {}


def consented(dana: Served, url: str) -> str:
    """Walks through DANA's page as the holder; returns where the browser is sent."""
    holder = person(dana)
    with httpx.Client(follow_redirects=True, timeout=ANSWER_S) as browser:
        page = str(browser.get(url).url)
    with httpx.Client(timeout=ANSWER_S) as browser:
        for _ in range(5):
            sent = dana.get("/__mock__/sms", phone=f"+{holder['phone']}").json()
            otp = sent[0]["code"] if sent else ""
            filled = {"agree": "yes", "otp": otp, "pin": holder["pin"], "action": "continue"}
            reply = browser.post(page, data=filled)
            if reply.is_redirect:
                return reply.headers["location"]
    raise AssertionError("the page has no end")
