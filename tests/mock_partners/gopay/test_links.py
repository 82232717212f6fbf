"""Linking: the browser's part, the exchange of the code, inquiry, unlinking, and the notifications about it."""

from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from tests.mock_partners.gopay.conftest import (
    BACK,
    BASE,
    LINK_PATH,
    PHONE,
    PIN,
    SECRETS,
    Gopay,
    Post,
    code,
    other,
    query,
)

pytestmark = pytest.mark.asyncio


async def test_the_happy_way(gopay: Gopay) -> None:
    gopay.account(balance_rupiah=7_985_000)
    location = await gopay.consent()
    assert location.startswith(BACK + "&authCode=")
    assert set(query(location)) == {"st", "authCode", "state", "success"}
    assert query(location)["state"] == "st-0001"
    assert query(location)["success"] == "true"
    reply = await gopay.bind(query(location)["authCode"])
    assert set(reply.json()) == {"responseCode", "responseMessage", "referenceNo", "accessTokenInfo"}
    token = reply.json()["accessTokenInfo"]["accessToken"]
    info = (await gopay.customer_call("inquiry", {"additionalInfo": {}}, token)).json()["additionalInfo"]
    assert info["accessToken"] == token
    assert info["paymentOptions"][0]["name"] == "GOPAY_WALLET"
    assert info["paymentOptions"][0]["balance"] == {"value": 7_985_000, "currency": "IDR"}


@pytest.mark.parametrize("phone", ["+628215023424", "+628242974268"])
async def test_sandbox_numbers(gopay: Gopay, phone: str) -> None:
    page = await gopay.open_page(phone)
    await gopay.http.get(page)
    await gopay.post_form(page, agree="yes")
    await gopay.post_form(page, phone=phone)
    await gopay.post_form(page, otp="987654")
    assert "authCode=" in (await gopay.post_form(page, pin="112233")).headers["Location"]


async def test_the_page_opens_once(gopay: Gopay) -> None:
    gopay.account()
    page = await gopay.open_page()
    assert (await gopay.http.get(page)).status_code == 200
    assert (await gopay.http.get(page)).status_code == 410


async def test_the_page_expires_without_a_redirect(gopay: Gopay) -> None:
    gopay.account()
    page = await gopay.open_page()
    gopay.clock.shift(gopay.waits.link_life_s)
    assert (await gopay.http.get(page)).status_code == 410
    assert (await gopay.post_form(page, agree="yes")).status_code == 410


@pytest.mark.parametrize("double", ["seamlessData", "seamlessSign", "both"])
async def test_double_encoding_is_taken(gopay: Gopay, double: str) -> None:
    gopay.account()
    raw = dict(part.split("=", 1) for part in gopay.auth_url().partition("?")[2].split("&"))
    changes = {name: quote(raw[name], safe="") for name in ("seamlessData", "seamlessSign") if double in (name, "both")}
    reply = await gopay.http.get(gopay.auth_url(**changes))
    assert reply.headers["Location"].startswith("/app/authorize/")


async def test_redirect_url_in_capitals(gopay: Gopay) -> None:
    gopay.account()
    reply = await gopay.http.get(gopay.auth_url(redirectUrl=None, redirectURL=quote(BACK, safe="")))
    assert reply.headers["Location"].startswith("/app/authorize/")


PLAIN = f"mobileNumber={PHONE[1:]}&paymentType=gopay"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"signed": PLAIN}, "4011000"),
        ({"signed": quote_plus(PLAIN) + " "}, "4011000"),
        ({"signed": quote_plus(PLAIN.replace("789", "788"))}, "4011000"),
        ({"seamlessSign": "AAAA"}, "4011000"),
        ({"merchantId": "somebody"}, "4011000"),
        ({"state": None}, "4001002"),
        ({"state": ""}, "4001002"),
        ({"merchantId": None}, "4001002"),
        ({"seamlessData": None}, "4001002"),
        ({"seamlessSign": None}, "4001002"),
        ({"state": "s" * 33}, "4001001"),
        ({"seamlessSign": "s" * 513}, "4001001"),
        ({"scopes": "ALL"}, "4001001"),
        ({"lang": "fr"}, "4001001"),
    ],
)
async def test_get_auth_code_refusals(gopay: Gopay, changes: dict[str, Any], expected: str) -> None:
    gopay.account()
    reply = await gopay.http.get(gopay.auth_url(**changes))
    assert reply.status_code == 302
    assert reply.headers["Location"].startswith(BACK + "&")
    told = query(reply.headers["Location"])
    assert set(told) == {"st", "responseCode", "responseMessage"}
    assert told["responseCode"] == expected
    assert "+" not in reply.headers["Location"]
    assert await gopay.control("sms?phone=%2B6281234567890") == []


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("paymentType=gopay", "4001002"),
        (f"mobileNumber={PHONE[1:]}", "4001002"),
        (f"mobileNumber=0{PHONE[3:]}&paymentType=gopay", "4001001"),
        (f"mobileNumber={PHONE[1:]}&paymentType=ovo", "4001001"),
        ("mobileNumber=6289999999999&paymentType=gopay", "4041012"),
        ("mobileNumber=628271939753&paymentType=gopay", "4031018"),
    ],
)
async def test_what_the_signed_data_says(gopay: Gopay, data: str, expected: str) -> None:
    gopay.account()
    encoded = quote_plus(data)
    reply = await gopay.http.get(gopay.auth_url(signed=encoded, seamlessData=encoded))
    assert query(reply.headers["Location"])["responseCode"] == expected


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example.test/callbacks/gopay/link?st=st-0001",
        "http://gw.example.test/callbacks/gopay/link?st=st-0001",
        f"{BASE}/callbacks/gopay/link/more?st=st-0001",
        f"{BACK}#fragment",
        f"{BACK}&pad={'x' * 256}",
        "",
    ],
)
async def test_an_unregistered_redirect_is_never_followed(gopay: Gopay, url: str) -> None:
    gopay.account()
    reply = await gopay.http.get(gopay.auth_url(redirectUrl=quote(url, safe="")))
    assert reply.status_code == 302
    assert reply.headers["Location"].startswith("/app/error?responseCode=4001001")
    assert (await gopay.http.get(reply.headers["Location"])).status_code == 400


async def test_denied(gopay: Gopay) -> None:
    gopay.account()
    page = await gopay.open_page()
    reply = await gopay.http.post(page, data={"action": "deny"})
    told = query(reply.headers["Location"])
    assert told["errorCode"] == "4031005"
    assert set(told) == {"st", "errorCode", "errorDesc"}
    assert (await gopay.http.post(page, data={"action": "deny"})).status_code == 410


async def test_three_wrong_pins_lock(gopay: Gopay) -> None:
    gopay.account()
    page = await gopay.open_page()
    await gopay.http.get(page)
    await gopay.post_form(page, agree="yes")
    await gopay.post_form(page, phone=PHONE)
    await gopay.post_form(page, otp=await gopay.newest_otp())
    for _ in range(2):
        assert (await gopay.post_form(page, pin=other(PIN))).status_code == 200
    told = query((await gopay.post_form(page, pin=other(PIN))).headers["Location"])
    assert told["errorCode"] == "4031011"
    assert "state" not in told


async def test_codes_are_good_once_and_five_minutes(gopay: Gopay) -> None:
    gopay.account()
    first = query(await gopay.consent())["authCode"]
    assert code(await gopay.bind(first, merchantId="somebody")) == "4040705"
    assert code(await gopay.bind(first, grantType="refresh")) == "4000701"
    assert code(await gopay.bind("", merchantId="somebody")) == "4000702"
    assert code(await gopay.bind(first, grantType="authorization_code")) == "2000700"
    assert code(await gopay.bind(first)) == "4040711"
    second = query(await gopay.consent())["authCode"]
    gopay.clock.shift(300)
    assert code(await gopay.bind(second)) == "4040711"


async def test_relinking_gives_the_same_token(gopay: Gopay) -> None:
    gopay.account()
    gopay.account("+6281234567891")
    token = await gopay.link()
    assert await gopay.link() == token
    assert await gopay.link("+6281234567891") != token
    await gopay.scheduler.run_due()
    assert len(gopay.posts) == 2


async def test_unbinding(gopay: Gopay) -> None:
    gopay.account()
    token = await gopay.link()
    merchant = {"merchantId": SECRETS["payment_handle"]}
    assert code(await gopay.customer_call("unbinding", {"merchantId": "somebody"}, token)) == "4010900"
    assert code(await gopay.customer_call("unbinding", {}, token)) == "4000902"
    assert code(await gopay.customer_call("unbinding", merchant, "nobody")) == "4010902"
    assert code(await gopay.customer_call("unbinding", merchant, token)) == "2000900"
    assert code(await gopay.customer_call("unbinding", merchant, token)) == "4010902"
    assert code(await gopay.customer_call("inquiry", {}, token)) == "4010802"
    assert (await gopay.kyc(token)).status_code == 401
    assert await gopay.link() != token


async def test_a_blocked_account_is_inactive(gopay: Gopay) -> None:
    account = gopay.account()
    token = await gopay.link()
    account.status = "blocked"
    assert code(await gopay.customer_call("inquiry", {}, token)) == "4030818"


async def test_customer_token_without_bearer(gopay: Gopay) -> None:
    gopay.account()
    headers = {"Authorization-Customer": await gopay.link(), "X-DEVICE-ID": "d"}
    reply = await gopay.snap.post("/v1.0/registration-account-inquiry", {"additionalInfo": {}}, headers=headers)
    assert code(reply) == "2000800"


def verified(post: Post) -> dict[str, Any]:
    """The body of a link notification, whose signature must be Midtrans' over the full request path."""
    headers = post.notice.headers
    assert (post.notice.method, post.path) == ("POST", LINK_PATH)
    text = f"POST:{LINK_PATH}:{hashlib.sha256(post.notice.body).hexdigest()}:{headers['X-TIMESTAMP']}"
    key = serialization.load_pem_public_key(SECRETS["midtrans_public_key_pem"].encode())
    assert isinstance(key, RSAPublicKey)
    key.verify(base64.b64decode(headers["X-SIGNATURE"]), text.encode(), padding.PKCS1v15(), hashes.SHA256())
    assert headers["X-PARTNER-ID"] == SECRETS["snap_partner_id"]
    assert headers["X-EXTERNAL-ID"].isdecimal()
    info: dict[str, Any] = post.body["additionalInfo"]
    return info


async def test_notifications(gopay: Gopay) -> None:
    gopay.account()
    token = await gopay.link()
    await gopay.customer_call("unbinding", {"merchantId": SECRETS["payment_handle"]}, token)
    second = await gopay.link()
    for why in ("phone_changed", "unlinked"):
        url = f"/__mock__/unlink?phone=%2B6281234567890&why={why}"
        assert (await gopay.http.post(url)).status_code == (200 if why == "phone_changed" else 404)
    await gopay.scheduler.run_due()
    told = [(info["accessToken"], info["accountStatus"], info["statusMessage"]) for info in map(verified, gopay.posts)]
    assert told == [
        (token, "ENABLED", "Account linked"),
        (token, "DISABLED", "Account unlinked"),
        (second, "ENABLED", "Account linked"),
        (second, "DISABLED", "User changed phone number"),
    ]
    assert code(await gopay.customer_call("inquiry", {}, second)) == "4010802"


async def test_notification_retries(gopay: Gopay) -> None:
    gopay.account()
    gopay.statuses = [None, 500, 302, 404]
    await gopay.link()
    start_s = gopay.clock.seconds()
    await gopay.pass_time(10)
    assert [round(post.at_s - start_s, 3) for post in gopay.posts] == [0.0, 0.02, 0.06, 0.14]
    assert len({post.notice.body for post in gopay.posts}) == 1
    assert (await gopay.control("pending"))["undelivered"] == 0


async def test_links_outlive_a_restart(gopay: Gopay) -> None:
    gopay.account()
    token, code_before = await gopay.link(), query(await gopay.consent())["authCode"]
    b2b = gopay.snap.token
    gopay.connect()
    gopay.snap.token = b2b
    gopay.snap._ids = iter(range(500, 600))  # type: ignore[assignment]
    assert code(await gopay.customer_call("inquiry", {}, token)) == "2000800"
    assert (await gopay.bind(code_before)).json()["accessTokenInfo"]["accessToken"] == token


async def test_a_code_of_one_persons_page_is_good_under_anothers_state(gopay: Gopay) -> None:
    """Nothing in the answer says whose it is (decisions X10); only the token tells: it is the same at a relink (G4)."""
    gopay.account()
    gopay.account("+6281234567891", holder_name="SITI AMINAH")
    siti = await gopay.link("+6281234567891")
    stolen = (await gopay.bind(query(await gopay.consent("+6281234567891"))["authCode"])).json()
    assert stolen["accessTokenInfo"]["accessToken"] == siti
    assert "81234567891" not in str(stolen)
    assert await gopay.link() != siti
