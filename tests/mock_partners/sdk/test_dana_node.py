"""DANA's own Node client links, pays and looks up at the mock: it names its channel and signs its page in ways of its
own.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.mock_partners.sdk.conftest import Driver, Served
from tests.mock_partners.sdk.test_dana_python import PAYING, REFERENCE, consented, person, rupiah


def test_it_pays_and_looks_up(dana: Served, dana_node: Driver) -> None:
    about = {"partnerReferenceNo": REFERENCE, "customerNumber": person(dana)["phone"], "additionalInfo": PAYING}

    def asked(method: str, **params: Any) -> Any:
        told = dana_node.ask(family="disbursement", method=method, params=params)
        return told.get("value") or told["error"]

    found = asked("danaAccountInquiry", **about, amount=rupiah("50000.00"))
    assert (found["responseCode"], found["customerName"]) == ("2003700", person(dana)["holder_name"])
    money = {"amount": rupiah("50000.00"), "feeAmount": rupiah("1.00")}
    paid = [asked("transferToDana", **about, **money) for _ in range(2)]
    assert [each["responseCode"] for each in paid] == ["2003800"] * 2
    looked = asked("transferToDanaInquiryStatus", originalPartnerReferenceNo=REFERENCE, serviceCode="38")
    assert looked["latestTransactionStatus"] == "00"
    assert "4043901" in asked("transferToDanaInquiryStatus", originalPartnerReferenceNo="nobody", serviceCode="38")
    assert [each.amount_rupiah for each in dana.world.books] == [50_000]


def test_it_links(dana: Served, dana_node: Driver) -> None:
    phone, merchant = person(dana)["phone"], dana.credentials["credentials"]["merchant_id"]

    def asked(method: str, **params: Any) -> Any:
        told = dana_node.ask(family="widget", method=method, params=params)
        return told.get("value") or told["error"]

    url = urlsplit(
        asked(
            "oauthUrl", externalId="L1", merchantId=merchant, state="st-0001", seamlessData={"mobileNumber": phone},
            redirectUrl="http://merchant.example.test/callbacks/dana/link",
            scopes=["DEFAULT_BASIC_PROFILE", "MINI_DANA"],
        )
    )  # fmt: skip
    [code] = parse_qs(urlsplit(consented(dana, f"{dana.url}{url.path}?{url.query}")).query)["authCode"]
    grant = {"grantType": "AUTHORIZATION_CODE", "authCode": code, "additionalInfo": {}}
    given = asked("applyToken", **grant)
    assert given["responseCode"] == "2007400"
    assert "Auth Code Used" in asked("applyToken", **grant)
    profile = asked("queryUserProfile", userResources=["KTP_NUMBER", "LOGIN_ID"], accessToken=given["accessToken"])
    rows = {row["resourceType"]: row["value"] for row in profile["response"]["body"]["userResourceInfos"]}
    assert rows["KTP_NUMBER"] == person(dana)["nik_on_file"]
    about = {"accessToken": given["accessToken"], "deviceId": "device-1"}
    assert asked("accountUnbinding", merchantId=merchant, additionalInfo=about)["responseCode"] == "2000900"
