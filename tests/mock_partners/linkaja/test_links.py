"""LinkAja's SNAP binding and PIN page, exclusive linking, tokens, the legacy session, and the assumed NIK check."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from tests.mock_partners.linkaja.conftest import (
    ACCOUNT,
    BALANCE,
    BIND,
    GATEWAY,
    KYC,
    NIK,
    NUMBER,
    OTHER_NIK,
    PHONE,
    PIN,
    RETURN,
    SECRETS,
    SESSION,
    UNBIND,
    LinkAja,
    code,
    returned,
)


async def nik_match(linkaja: LinkAja, token: str, nik: str = NIK) -> str:
    """nikMatch, or the status of a refusal."""
    reply = await linkaja.legacy.call("POST", KYC, {"token": token, "nik": nik})
    assert NIK not in reply.text
    assert OTHER_NIK not in reply.text
    told = reply.json()
    assert reply.status_code == (500 if told["status"] == "96" else 200)
    return str(told["data"]["nikMatch"] if told["status"] == "00" else told["status"])


async def test_a_person_links_and_the_token_lives_fifteen_days(linkaja: LinkAja) -> None:
    account = linkaja.account(balance_rupiah=7)
    reply = await linkaja.bind()
    assert code(reply) == "2000700"
    assert set(reply.json()) == {"responseCode", "responseMessage", "referenceNo", "redirectUrl"}
    assert reply.json()["redirectUrl"].startswith("http://linkaja/consent/")
    back = await linkaja.walk(reply.json()["redirectUrl"])
    assert set(back) == {"authCode", "state"}
    assert back["state"] == "st-0001"
    reply = await linkaja.exchange(back["authCode"])
    assert code(reply) == "2007400"
    told = reply.json()
    assert told["accessTokenExpiryTime"] == "2026-01-30T12:00:00+07:00"
    assert told["tokenType"] == "Bearer"
    token = told["accessToken"]
    reply = await linkaja.customer(ACCOUNT, token)
    assert code(reply) == "2000800"
    assert reply.json()["additionalInfo"] == {"msisdn": NUMBER, "accountStatus": "ACTIVE"}
    reply = await linkaja.customer(BALANCE, token, {})
    assert code(reply) == "2001100"
    assert reply.json()["accountInfos"][0]["availableBalance"]["value"] == f"{account.balance_rupiah}.00"
    await linkaja.later(1_296_000)
    assert code(await linkaja.customer(ACCOUNT, token)) == "4010802"
    assert await nik_match(linkaja, token) == "14"


async def test_the_number_may_also_be_called_phone_no(linkaja: LinkAja) -> None:
    linkaja.account()
    assert code(await linkaja.bind(msisdn=None, phoneNo=NUMBER)) == "2000700"
    assert code(await linkaja.bind(msisdn=None)) == "4000702"


@pytest.mark.parametrize("grant", ["AUTHORIZATION_CODE", "authorization_code"])
async def test_an_auth_code_works_once_and_five_minutes(linkaja: LinkAja, grant: str) -> None:
    linkaja.account()
    late = await linkaja.consent()
    linkaja.clock.shift(300)
    assert code(await linkaja.exchange(late, grant)) == "4047411"
    auth_code = await linkaja.consent()
    assert code(await linkaja.exchange("x", grant)) == "4047411"
    assert code(await linkaja.exchange(auth_code, grant)) == "2007400"
    assert code(await linkaja.exchange(auth_code, grant)) == "4047411"


@pytest.mark.parametrize(("status", "expected"), [(None, "4040711"), ("blocked", "4030718")])
async def test_accounts_that_cannot_be_linked(linkaja: LinkAja, status: str | None, expected: str) -> None:
    if status is not None:
        linkaja.account(status=status)
    assert code(await linkaja.bind()) == expected


async def test_an_account_is_linked_to_one_customer_at_bind_and_at_the_exchange(linkaja: LinkAja) -> None:
    linkaja.account()
    first, second = await linkaja.consent(state="one"), await linkaja.consent(state="two")
    open_page = (await linkaja.bind(state="three")).json()["redirectUrl"]
    token = (await linkaja.exchange(first)).json()["accessToken"]
    assert code(await linkaja.exchange(second)) == "4037468"
    assert code(await linkaja.bind()) == "4030768"
    third = (await linkaja.walk(open_page))["authCode"]
    assert code(await linkaja.exchange(third)) == "4037468"
    assert code(await linkaja.customer(ACCOUNT, token)) == "2000800"


async def test_an_account_blocked_since_the_page_is_refused_at_the_exchange(linkaja: LinkAja) -> None:
    account = linkaja.account()
    auth_code = await linkaja.consent()
    account.status = "blocked"
    assert code(await linkaja.exchange(auth_code)) == "4037418"


async def test_denying_and_locking_come_back_with_our_state(linkaja: LinkAja) -> None:
    linkaja.account()
    url = (await linkaja.bind(state="mine")).json()["redirectUrl"]
    assert returned(await linkaja.http.post(url, data={"action": "deny"})) == {
        "error": "access_denied", "state": "mine",
    }  # fmt: skip
    assert (await linkaja.http.get(url)).status_code == 410
    url = (await linkaja.bind(state="again")).json()["redirectUrl"]
    await linkaja.http.post(url, data={"agree": "yes", "action": "continue"})
    wrong = {"pin": PIN[::-1], "action": "continue"}
    assert [(await linkaja.http.post(url, data=wrong)).status_code for _ in range(2)] == [200, 200]
    assert returned(await linkaja.http.post(url, data=wrong)) == {"error": "pin_blocked", "state": "again"}


async def test_an_expired_page_sends_nobody_back(linkaja: LinkAja) -> None:
    linkaja.account()
    url = (await linkaja.bind()).json()["redirectUrl"]
    linkaja.clock.shift(900)
    assert (await linkaja.http.get(url)).status_code == 410


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"partnerRedirectUrl": "http://elsewhere.test/callbacks/linkaja/link"}, "4000701"),
        ({"partnerRedirectUrl": f"{GATEWAY}/callbacks/ovo/link"}, "4000701"),
        ({"partnerRedirectUrl": ""}, "4000702"),
        ({"state": ""}, "4000702"),
        ({"state": "x" * 33}, "4000701"),
        ({"scope": "PAYMENT_GATEWAY"}, "4000701"),
        ({"msisdn": "081100000001"}, "4000701"),
        ({"msisdn": "+6281100000001"}, "4000701"),
        ({"merchantId": "1"}, "4000701"),
        ({"merchantId": "506300000000001"}, "4040708"),
        ({"merchantId": ""}, "4000702"),
        ({"additionalInfo": None}, "4000702"),
    ],
)
async def test_bind_fields(linkaja: LinkAja, changes: dict[str, Any], expected: str) -> None:
    linkaja.account()
    assert code(await linkaja.bind(**changes)) == expected


async def test_refreshing_gives_another_token_until_the_link_ends(linkaja: LinkAja) -> None:
    linkaja.account()
    linked = await linkaja.link()
    body = {"grantType": "REFRESH_TOKEN", "refreshToken": linked["refreshToken"]}
    await linkaja.later(86_400 * 400)
    reply = await linkaja.customer_token(body)
    assert code(reply) == "2007400"
    assert await nik_match(linkaja, reply.json()["accessToken"]) == "Y"
    linkaja.unlink_in_the_app()
    assert code(await linkaja.customer_token(body)) == "4017402"
    assert await nik_match(linkaja, reply.json()["accessToken"]) == "14"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"grantType": "REFRESH_TOKEN", "refreshToken": "x"}, "4017402"),
        ({"grantType": "REFRESH_TOKEN"}, "4007402"),
        ({"grantType": "AUTHORIZATION_CODE"}, "4007402"),
        ({"grantType": "client_credentials"}, "4007401"),
        ({}, "4007402"),
    ],
)
async def test_customer_token_fields(linkaja: LinkAja, body: dict[str, str], expected: str) -> None:
    assert code(await linkaja.customer_token(body)) == expected
    assert code(await linkaja.customer_token(body, **{"X-SIGNATURE": "A" * 344})) == "4017400"


async def test_unbinding_frees_the_account(linkaja: LinkAja) -> None:
    linkaja.account()
    token = await linkaja.token()
    assert code(await linkaja.customer(UNBIND, token, {"merchantId": "506300000000001"})) == "4040908"
    assert code(await linkaja.snap.post(UNBIND, {})) == "4010904"
    assert code(await linkaja.customer(UNBIND, token)) == "2000900"
    assert code(await linkaja.customer(UNBIND, token)) == "4010902"
    assert await nik_match(linkaja, token) == "14"
    assert await linkaja.token() != token


async def test_a_blocked_account_may_still_be_unlinked(linkaja: LinkAja) -> None:
    account = linkaja.account()
    token = await linkaja.token()
    account.status = "blocked"
    assert code(await linkaja.customer(ACCOUNT, token)) == "4030818"
    assert code(await linkaja.customer(BALANCE, token)) == "4031118"
    assert await nik_match(linkaja, token) == "62"
    assert code(await linkaja.customer(UNBIND, token)) == "2000900"


async def test_the_snap_side_is_signed_and_ordered(linkaja: LinkAja) -> None:
    linkaja.account()
    body = {"merchantId": SECRETS["merchant_id"]}
    post = linkaja.snap.post
    assert code(await post(BIND, body, drop=["X-PARTNER-ID"])) == "4000702"
    assert code(await post(BIND, body, headers={"x_external_id": "abc"})) == "4000701"
    assert code(await post(BIND, body, at="2026-01-15T11:44:59+07:00")) == "4010700"
    assert code(await post(BIND, body, at="2026-01-15T11:45:00.000+07:00")) == "4000702"
    assert code(await post(BIND, body, headers={"x_partner_id": "other"})) == "4010700"
    assert code(await post(BIND, body, token="x")) == "4010703"
    assert code(await post(BIND, body, sent=b'{"merchantId":"506300000000001"}')) == "4010700"
    assert code(await post(BIND, body, headers={"x_signature": "0" * 128})) == "4010700"
    assert code(await post(BIND, [], headers={"x_external_id": "77"})) == "4000700"
    assert code(await post(BIND, body, headers={"x_external_id": "77"})) == "4090700"
    linkaja.clock.shift(900)
    assert code(await post(BIND, body)) == "4010701"


async def test_the_nik_check_compares_and_never_tells(linkaja: LinkAja) -> None:
    account = linkaja.account()
    token = await linkaja.token()
    reply = await linkaja.legacy.post(KYC, {"token": token, "nik": NIK})
    assert reply == {"status": "00", "data": {"customerNumber": NUMBER, "serviceLevel": "FULL", "nikMatch": "Y"}}
    assert await nik_match(linkaja, token, OTHER_NIK) == "N"
    assert await nik_match(linkaja, token, "31740522") == "30"
    assert await nik_match(linkaja, "x") == "14"
    assert await nik_match(linkaja, linkaja.snap.token) == "14"
    account.nik_on_file = ""
    assert await nik_match(linkaja, token) == "U"
    account.nik_on_file, account.kyc = NIK, "basic"
    assert await nik_match(linkaja, token) == "U"


@pytest.mark.parametrize(("behaviour", "first"), [("verify:unavailable_twice", "96"), ("verify:in_progress", "P")])
async def test_troubled_nik_checks_are_two(linkaja: LinkAja, behaviour: str, first: str) -> None:
    linkaja.account(behaviour=behaviour)
    token = await linkaja.token()
    assert [await nik_match(linkaja, token) for _ in range(3)] == [first, first, "Y"]


def authorize(**changes: str) -> str:
    values = {"username": SECRETS["hmac_username"], "redirectUrl": RETURN, "state": "st-0001", "msisdn": NUMBER}
    return f"/custbind/authorize?{urlencode({**values, **changes})}"


async def test_a_session_id_is_swapped_once_for_a_customer_token(linkaja: LinkAja) -> None:
    linkaja.account()
    page = await linkaja.http.get(authorize())
    assert page.status_code == 302
    back = await linkaja.walk(page.headers["Location"])
    assert set(back) == {"sessionID", "state"}
    body = {"sessionID": back["sessionID"]}
    assert code(await linkaja.exchange(back["sessionID"])) == "4047411"
    told = await linkaja.legacy.post(SESSION, body)
    assert told["status"] == "00"
    assert set(told["data"]) == {"customerNumber", "customerAccessToken"}
    assert told["data"]["customerNumber"] == NUMBER
    assert await nik_match(linkaja, told["data"]["customerAccessToken"]) == "Y"
    assert (await linkaja.legacy.post(SESSION, body))["status"] == "40"
    assert (await linkaja.legacy.post(SESSION, {}))["status"] == "30"
    assert (await linkaja.http.get(authorize())).json()["status"] == "68"


async def test_a_session_id_of_an_account_linked_meanwhile_is_refused(linkaja: LinkAja) -> None:
    linkaja.account()
    back = await linkaja.walk((await linkaja.http.get(authorize())).headers["Location"])
    auth_code = await linkaja.consent()
    assert (await linkaja.legacy.post(SESSION, {"sessionID": auth_code}))["status"] == "40"
    assert code(await linkaja.exchange(auth_code)) == "2007400"
    assert (await linkaja.legacy.post(SESSION, {"sessionID": back["sessionID"]}))["status"] == "68"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"username": "other"}, "30"),
        ({"redirectUrl": "http://elsewhere.test/"}, "30"),
        ({"state": ""}, "30"),
        ({"msisdn": "6281199999999"}, "14"),
        ({"msisdn": "6281100000009"}, "62"),
    ],
)
async def test_the_legacy_page_opens_only_for_what_is_registered(
    linkaja: LinkAja, changes: dict[str, str], expected: str
) -> None:
    linkaja.account()
    linkaja.account("+6281100000009", status="blocked")
    reply = await linkaja.http.get(authorize(**changes))
    assert (reply.status_code, reply.json()["status"]) == (400, expected)


async def test_the_pin_is_the_accounts(linkaja: LinkAja) -> None:
    linkaja.account(pin="")
    url = (await linkaja.bind()).json()["redirectUrl"]
    await linkaja.http.post(url, data={"agree": "yes", "action": "continue"})
    assert (await linkaja.http.post(url, data={"pin": "", "action": "continue"})).status_code == 200
    assert linkaja.world.accounts[PHONE].pin == ""
