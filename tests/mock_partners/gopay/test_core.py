"""The legacy Core linking flow: states, refusals inside HTTP 2xx, its SHA512 notification, the swap to a SNAP token."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from mock_partners.gopay import CREDENTIALS
from tests.mock_partners.gopay.conftest import PHONE, PIN, SECRETS, Gopay, code

pytestmark = pytest.mark.asyncio
SERVER_KEY = CREDENTIALS["core_server_key"]
BACK = "https://shop.example.test/back?x=1"


async def core(gopay: Gopay, method: str, path: str = "", body: object = None, key: str = SERVER_KEY) -> httpx.Response:
    headers = {
        "Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode(), "Content-Type": "application/json",
    }  # fmt: skip
    content = b"" if body is None else json.dumps(body).encode()
    return await gopay.http.request(method, f"/v2/pay/account{path}", content=content, headers=headers)


def asked(phone: str = PHONE[3:], **changes: Any) -> dict[str, Any]:
    partner = {"phone_number": phone, "country_code": "62", "redirect_url": BACK, **changes}
    return {"payment_type": "gopay", "gopay_partner": partner}


async def state(gopay: Gopay, account_id: str) -> tuple[str, str]:
    told = (await core(gopay, "GET", f"/{account_id}")).json()
    return told["status_code"], told["account_status"]


async def activate(gopay: Gopay, created: dict[str, Any]) -> httpx.Response:
    """Plays the person from the activation link on; returns the last answer."""
    reply = await gopay.http.get(urlsplit(created["actions"][0]["url"]).path)
    page = reply.headers["Location"]
    await gopay.http.get(page)
    await gopay.post_form(page, agree="yes")
    await gopay.post_form(page, otp=await gopay.newest_otp())
    return await gopay.post_form(page, pin=PIN)


async def test_the_whole_life(gopay: Gopay) -> None:
    gopay.account(balance_rupiah=1_000_000)
    reply = await core(gopay, "POST", body=asked())
    created = reply.json()
    assert (reply.status_code, created["status_code"], created["account_status"]) == (201, "201", "PENDING")
    assert [action["name"] for action in created["actions"]] == ["activation-link-url", "activation-link-app"]
    account_id = created["account_id"]
    early = await core(gopay, "POST", f"/{account_id}/unbind")
    assert (early.status_code, early.json()["status_code"]) == (200, "412")
    assert (await activate(gopay, created)).headers["Location"] == BACK
    assert await state(gopay, account_id) == ("200", "ENABLED")
    options = (await core(gopay, "GET", f"/{account_id}")).json()["metadata"]["payment_options"]
    assert options[0]["balance"] == {"value": "1000000.00", "currency": "IDR"}
    swap = await gopay.snap.post("/v1.0/registration-account-inquiry", {"additionalInfo": {"accountId": account_id}})
    token = swap.json()["additionalInfo"]["accessToken"]
    assert code(await gopay.customer_call("inquiry", {}, token)) == "2000800"
    unbound = (await core(gopay, "POST", f"/{account_id}/unbind")).json()
    told = (unbound["status_code"], unbound["account_status"], unbound["channel_response_code"])
    assert told == ("204", "DISABLED", "0")
    assert code(await gopay.customer_call("inquiry", {}, token)) == "4010802"
    swap = await gopay.snap.post("/v1.0/registration-account-inquiry", {"additionalInfo": {"accountId": account_id}})
    assert code(swap) == "4030818"
    await gopay.scheduler.run_due()
    assert [post.body["account_status"] for post in gopay.posts] == ["ENABLED", "DISABLED"]
    for post in gopay.posts:
        text = account_id + post.body["account_status"] + post.body["status_code"] + SERVER_KEY
        assert post.body["signature_key"] == hashlib.sha512(text.encode()).hexdigest()
        assert post.body["merchant_id"] == SECRETS["snap_partner_id"]


async def test_pending_expires(gopay: Gopay) -> None:
    gopay.account()
    created = (await core(gopay, "POST", body=asked())).json()
    gopay.clock.shift(900)
    assert await state(gopay, created["account_id"]) == ("204", "EXPIRED")
    assert (await gopay.http.get(urlsplit(created["actions"][0]["url"]).path)).status_code == 404


async def test_denied_stays_pending(gopay: Gopay) -> None:
    gopay.account()
    created = (await core(gopay, "POST", body=asked())).json()
    page = (await gopay.http.get(urlsplit(created["actions"][1]["url"]).path)).headers["Location"]
    assert (await gopay.http.post(page, data={"action": "deny"})).headers["Location"] == BACK
    assert await state(gopay, created["account_id"]) == ("201", "PENDING")


async def test_every_other_number_can_be_linked_but_is_no_customer(gopay: Gopay) -> None:
    created = (await core(gopay, "POST", body=asked("81212345678"))).json()
    assert created["account_status"] == "PENDING"
    page = (await gopay.http.get(urlsplit(created["actions"][0]["url"]).path)).headers["Location"]
    for answer in ({"agree": "yes"}, {"otp": "987654"}, {"pin": "112233"}):
        await gopay.post_form(page, **answer)
    assert await state(gopay, created["account_id"]) == ("200", "ENABLED")
    assert gopay.world.by_phone("81212345678") == []


@pytest.mark.parametrize(
    ("body", "status", "inner"),
    [
        (asked("123450001"), 202, "105"),
        (asked("123450002"), 202, "106"),
        (asked("8271939753"), 202, "106"),
        (asked(redirect_url="gojek://x"), 202, "2903"),
        (asked("081234567890"), 400, None),
        (asked("+6281234567890"), 400, None),
        (asked(country_code="65"), 400, None),
        ({"payment_type": "gopay"}, 400, None),
        ([], 400, None),
        (None, 413, None),
    ],
)
async def test_refusals(gopay: Gopay, body: object, status: int, inner: str | None) -> None:
    reply = await core(gopay, "POST", body=body)
    assert (reply.status_code, reply.json()["status_code"]) == (status, str(status))
    assert reply.json().get("channel_response_code") == inner


async def test_keys(gopay: Gopay) -> None:
    for key in ("", SECRETS["iris_creator_key"]):
        assert (await core(gopay, "POST", body=asked(), key=key)).json()["status_code"] == "401"
    for unknown in (await core(gopay, "GET", "/nobody"), await core(gopay, "POST", "/nobody/unbind")):
        assert (unknown.status_code, unknown.json()["status_code"]) == (200, "404")
    assert (await gopay.http.get("/v2/gopay/redirect/gpar_nobody/link")).status_code == 404
    swap = await gopay.snap.post("/v1.0/registration-account-inquiry", {"additionalInfo": {"accountId": "nobody"}})
    assert code(swap) == "4040805"
