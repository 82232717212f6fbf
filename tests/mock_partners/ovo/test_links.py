"""OVO's binding without a bearer, its pages, the customer's token, exclusive linking, and unbinding in two steps."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.mock_partners.ovo.conftest import (
    GATEWAY,
    INQUIRY,
    NUMBER,
    PHONE,
    PIN,
    RETURN,
    UNBIND,
    Ovo,
    code,
    returned,
    topup,
)


async def alive(ovo: Ovo, token: str) -> bool:
    """Whether a customer token still opens an inquiry."""
    told = code(await ovo.snap.post(INQUIRY, topup(), headers={"authorization_customer": f"Bearer {token}"}))
    assert told in ("2003700", "4013702")
    return told == "2003700"


async def test_a_person_links_and_the_token_lives_fifteen_days(ovo: Ovo) -> None:
    ovo.account()
    reply = await ovo.bind()
    assert code(reply) == "2000700"
    bound = reply.json()
    assert set(bound) == {"responseCode", "responseMessage", "referenceNo", "linkageToken", "redirectUrl"}
    assert bound["linkageToken"].count(".") == 2
    assert bound["redirectUrl"].startswith("http://ovo/linkage/")
    back = await ovo.walk(bound["redirectUrl"])
    assert set(back) == {"authCode", "state", "displayMessage"}
    assert back["displayMessage"] == "SUCCESS"
    reply = await ovo.exchange(bound["linkageToken"], back["authCode"])
    assert code(reply) == "2007400"
    told = reply.json()
    assert told["tokenExpiresIn"] == 1_296_000
    assert set(told) == {"responseCode", "responseMessage", "accessToken", "refreshToken", "tokenExpiresIn", "ilp"}
    assert await alive(ovo, told["accessToken"])
    ovo.clock.shift(1_296_000)
    await ovo.snap.authenticate()
    assert not await alive(ovo, told["accessToken"])


@pytest.mark.parametrize("grant", ["authorization_code", "AUTHORIZATION_CODE"])
async def test_an_auth_code_belongs_to_its_linkage_token_and_works_once(ovo: Ovo, grant: str) -> None:
    ovo.account()
    other = (await ovo.bind()).json()["linkageToken"]
    linkage, auth_code = await ovo.consent()
    assert code(await ovo.exchange("", auth_code, grant)) == "4017403"
    assert code(await ovo.exchange("x", auth_code, grant)) == "4017403"
    assert code(await ovo.exchange(ovo.snap.token, auth_code, grant)) == "4017403"
    assert code(await ovo.exchange(other, auth_code, grant)) == "4047411"
    assert code(await ovo.exchange(linkage, "x", grant)) == "4047411"
    assert code(await ovo.exchange(linkage, auth_code, grant)) == "2007400"
    assert code(await ovo.exchange(linkage, auth_code, grant)) == "4017403"


async def test_an_auth_code_lives_five_minutes(ovo: Ovo) -> None:
    ovo.account()
    linkage, auth_code = await ovo.consent()
    ovo.clock.shift(300)
    assert code(await ovo.exchange(linkage, auth_code)) == "4047411"


async def test_a_linkage_token_outlives_its_page_only_by_the_code(ovo: Ovo) -> None:
    ovo.account()
    bound = (await ovo.bind()).json()
    ovo.clock.shift(1_200)
    assert code(await ovo.exchange(bound["linkageToken"], "x")) == "4017401"


@pytest.mark.parametrize(("status", "expected"), [(None, "4040711"), ("blocked", "4030707")])
async def test_accounts_that_cannot_be_linked(ovo: Ovo, status: str | None, expected: str) -> None:
    if status is not None:
        ovo.account(status=status)
    assert code(await ovo.bind()) == expected


async def test_one_account_belongs_to_one_customer_from_the_bind_on(ovo: Ovo) -> None:
    ovo.account()
    await ovo.link()
    for customer in ("u-2", "u-1"):
        reply = await ovo.bind(customer=customer)
        assert code(reply) == "4030705"
        assert reply.json()["additionalInfo"] == {"reason": "ALREADY_LINKED"}


async def test_of_two_consents_the_second_is_refused_at_the_exchange_and_not_by_the_page(ovo: Ovo) -> None:
    ovo.account()
    first, second = await ovo.consent(customer="u-1"), await ovo.consent(customer="u-2")
    token = (await ovo.exchange(*first)).json()["accessToken"]
    reply = await ovo.exchange(*second)
    assert code(reply) == "4037405"
    assert reply.json()["additionalInfo"] == {"reason": "ALREADY_LINKED"}
    assert await alive(ovo, token)


async def test_a_page_that_was_open_already_goes_on_after_another_linked_the_account(ovo: Ovo) -> None:
    ovo.account()
    bound = (await ovo.bind(customer="u-2")).json()
    await ovo.link(customer="u-1")
    back = await ovo.walk(bound["redirectUrl"])
    assert code(await ovo.exchange(bound["linkageToken"], back["authCode"])) == "4037405"


async def test_an_account_blocked_since_the_page_is_refused_at_the_exchange(ovo: Ovo) -> None:
    account = ovo.account()
    consent = await ovo.consent()
    account.status = "blocked"
    assert code(await ovo.exchange(*consent)) == "4037407"


async def test_denying_comes_back_as_an_error_and_the_page_is_spent(ovo: Ovo) -> None:
    ovo.account()
    url = (await ovo.bind()).json()["redirectUrl"]
    back = returned(await ovo.http.post(url, data={"action": "deny"}))
    error = json.loads(back.pop("errorResponse"))
    assert back == {}
    assert error["code"] == "OV00006"
    assert set(error) == {"code", "state"}
    assert (await ovo.http.get(url)).status_code == 410


async def test_three_wrong_pins_lock_the_page(ovo: Ovo) -> None:
    ovo.account()
    url = (await ovo.bind()).json()["redirectUrl"]
    await ovo.http.post(url, data={"agree": "yes", "action": "continue"})
    otp = (await ovo.http.get("/__mock__/sms", params={"phone": PHONE})).json()[0]["code"]
    await ovo.http.post(url, data={"otp": otp, "action": "continue"})
    wrong = {"pin": PIN[::-1], "action": "continue"}
    assert [(await ovo.http.post(url, data=wrong)).status_code for _ in range(2)] == [200, 200]
    back = returned(await ovo.http.post(url, data=wrong))
    assert json.loads(back["errorResponse"])["code"] == "OV00007"


async def test_an_expired_page_sends_nobody_back(ovo: Ovo) -> None:
    ovo.account()
    url = (await ovo.bind()).json()["redirectUrl"]
    ovo.clock.shift(900)
    assert (await ovo.http.get(url)).status_code == 410
    assert (await ovo.http.post(url, data={"action": "deny"})).status_code == 410


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"successRegistrationUrl": "http://elsewhere.test/callbacks/ovo/link?st=st-0001"}, "4000701"),
        ({"successRegistrationUrl": f"https{RETURN[4:]}"}, "4000701"),
        ({"failedRegistrationUrl": f"{GATEWAY}/callbacks/gopay/link"}, "4000701"),
        ({"failedRegistrationUrl": f"{RETURN}#part"}, "4000701"),
        ({"failedRegistrationUrl": "http://[x"}, "4000701"),
        ({"failedRegistrationUrl": ""}, "4000702"),
        ({"custIdMerchant": ""}, "4000702"),
        ({"email": "nobody"}, "4000701"),
        ({"email": "", "customerName": ""}, "2000700"),
        ({"number": "+6281100000001"}, "4000701"),
        ({"number": "6281100000001"}, "4000701"),
        ({"number": ""}, "4000702"),
    ],
)
async def test_bind_fields(ovo: Ovo, changes: dict[str, Any], expected: str) -> None:
    ovo.account()
    assert code(await ovo.bind(**changes)) == expected


async def test_refreshing_gives_another_token_until_the_link_ends(ovo: Ovo) -> None:
    ovo.account()
    linked = await ovo.link()
    body = {"grantType": "refresh_token", "refreshToken": linked["refreshToken"]}
    ovo.clock.shift(86_400 * 400)
    await ovo.snap.authenticate()
    reply = await ovo.snap.customer_token(body)
    assert code(reply) == "2007400"
    fresh = reply.json()
    assert fresh["ilp"] == linked["ilp"]
    assert fresh["refreshToken"] == linked["refreshToken"]
    assert await alive(ovo, fresh["accessToken"])
    ovo.unlink_in_the_app()
    assert code(await ovo.snap.customer_token(body)) == "4017402"
    assert not await alive(ovo, fresh["accessToken"])


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"grantType": "refresh_token", "refreshToken": "x"}, "4017402"),
        ({"grantType": "refresh_token"}, "4007402"),
        ({"grantType": "authorization_code"}, "4007402"),
        ({"grantType": "client_credentials"}, "4007401"),
        ({}, "4007402"),
    ],
)
async def test_customer_token_fields(ovo: Ovo, body: dict[str, str], expected: str) -> None:
    assert code(await ovo.snap.customer_token(body)) == expected


async def test_the_customer_token_call_is_signed_with_the_private_key(ovo: Ovo) -> None:
    body = {"grantType": "refresh_token", "refreshToken": "x"}
    assert code(await ovo.snap.customer_token(body, **{"X-SIGNATURE": "A" * 344})) == "4017400"
    assert code(await ovo.snap.customer_token(body, **{"X-CLIENT-KEY": "other"})) == "4017400"


async def test_unbinding_takes_two_calls(ovo: Ovo) -> None:
    ovo.account()
    token = (await ovo.link())["accessToken"]
    assert code(await ovo.snap.post(UNBIND, {})) == "4010903"
    first = await ovo.snap.post(UNBIND, {}, token=token)
    assert code(first) == "2000900"
    assert await alive(ovo, token)
    step = first.json()["accessToken"]
    assert code(await ovo.snap.post(UNBIND, {}, token=step, headers={"x_signature": "x"})) == "4010900"
    second = await ovo.snap.post(UNBIND, {}, token=step)
    assert code(second) == "2000900"
    assert "accessToken" not in second.json()
    assert not await alive(ovo, token)
    for dead in (token, step):
        assert code(await ovo.snap.post(UNBIND, {}, token=dead)) == "4010903"
    await ovo.link(customer="u-2")


async def test_the_way_back_of_who_lost_the_answer_to_the_exchange(ovo: Ovo) -> None:
    """The wallet has linked and the programme knows no token: bind again is refused, unbinding by customer helps."""
    account = ovo.account()
    linkage, auth_code = await ovo.consent()
    await ovo.exchange(linkage, auth_code)  # whose answer nobody reads
    again = await ovo.bind()
    assert (code(again), again.json()["additionalInfo"]) == ("4030705", {"reason": "ALREADY_LINKED"})

    async def unbind(customer: str) -> str:
        return code(await ovo.snap.post(UNBIND, {"additionalInfo": {"custIdMerchant": customer}}))

    assert [await unbind("u-2"), await unbind("u-1"), await unbind("u-1")] == ["4040911", "2000900", "4040911"]
    assert code(await ovo.bind()) == "2000700"
    assert account.active


async def test_phone_look_up(ovo: Ovo) -> None:
    async def status(number: str) -> str:
        reply = await ovo.snap.get(f"/user/v2/account/lookup?phone={number}")
        assert code(reply) == "2000000"
        return str(reply.json()["status"])

    ovo.account()
    ovo.account("+6281100000002", status="blocked")
    ovo.account("+6281100000003", pin="")
    assert [await status(f"08110000000{n}") for n in range(5)] == [
        "CAN_REGISTER", "ACTIVE", "BLOCKED_MSISDN", "ACTIVE_NO_PIN", "CAN_REGISTER",
    ]  # fmt: skip
    await ovo.link()
    assert await status(NUMBER) == "LINKED"
    assert code(await ovo.snap.get("/user/v2/account/lookup")) == "4000002"


@pytest.mark.parametrize(("said", "scheme"), [("https", "https"), ("http", "http"), ("ftp", "http")])
async def test_the_page_is_where_whoever_stands_in_front_of_the_mock_says(ovo: Ovo, said: str, scheme: str) -> None:
    """A mock behind a tunnel or a proxy that ends TLS: a page on plain http is none of a partner's on https."""
    ovo.account()
    ovo.http.headers["X-Forwarded-Proto"] = said
    assert (await ovo.bind()).json()["redirectUrl"].startswith(f"{scheme}://ovo/linkage/")
