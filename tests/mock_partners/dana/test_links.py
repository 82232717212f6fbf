"""DANA's page, tokens and profile query (decisions D4-D10)."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives import serialization

from mock_partners.kit.snap.signatures import asymmetric_ok
from tests.mock_partners.dana.conftest import BACK, NIK, NUMBER, PHONE, SECRETS, Dana, returned
from tests.mock_partners.signing import rsa_signature

OTHER, OTHER_NUMBER = "+6281100000002", "6281100000002"
UNBIND = "/v1.0/registration-account-unbinding.htm"


async def test_linking_and_what_the_profile_tells(dana: Dana) -> None:
    dana.account()
    told = await dana.link()
    assert told["accessTokenExpiryTime"] == "2026-01-30T12:00:00+07:00"
    assert re.fullmatch("[0-9]{20}", told["additionalInfo"]["userInfo"]["publicUserId"])
    seen = await dana.told(told["accessToken"], "KTP_NUMBER", "LOGIN_ID", "USER_KYC")
    assert seen == {"KTP_NUMBER": NIK, "LOGIN_ID": "62-81100000001", "USER_KYC": "KYC_VERIFIED"}


async def test_a_code_is_good_once_and_for_five_minutes(dana: Dana) -> None:
    dana.account()
    code = returned(await dana.consent())["authCode"]
    assert (await dana.exchange(code))["responseCode"] == "2007400"
    late = returned(await dana.consent())["authCode"]
    dana.clock.shift(300)
    refused = [await dana.exchange(one) for one in (code, late, "x")]
    assert {told["responseCode"] for told in refused} == {"4017400"}
    words = [told["responseMessage"].removeprefix("Unauthorized. ") for told in refused]
    assert words == ["Auth Code Used", "Auth Code Expired", "Invalid Auth Code"]


async def test_a_refresh_token_is_the_same_until_it_expires(dana: Dana) -> None:
    dana.account()
    first = await dana.link()
    dana.clock.shift(179 * 86_400)
    assert await dana.told(first["accessToken"], "LOGIN_ID") == "ACCESS_TOKEN_INVALID"
    again = await dana.exchange("", "REFRESH_TOKEN", first["refreshToken"])
    assert (again["responseCode"], again["refreshToken"]) == ("2007400", first["refreshToken"])
    assert await dana.told(again["accessToken"], "LOGIN_ID") == {"LOGIN_ID": "62-81100000001"}
    dana.clock.shift(86_400)
    assert (await dana.exchange("", "REFRESH_TOKEN", first["refreshToken"]))["responseCode"] == "4017402"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"partnerId": "other"}, "4011000"),
        ({"scopes": "EVERYTHING"}, "4001001"),
        ({"timestamp": "today"}, "4001001"),
        ({"externalId": ""}, "4001002"),
        ({"phone": "6281199999999"}, "4041011"),
        ({"phone": OTHER_NUMBER}, "4031018"),
        ({"phone": "62800940305"}, "4031005"),
    ],
)
async def test_refusals_come_back_in_the_redirect(dana: Dana, changes: dict[str, str], expected: str) -> None:
    dana.account()
    dana.account(OTHER, status="blocked")
    told = returned(await dana.consent(**changes))
    assert (told["responseCode"], told["state"]) == (expected, "st-0001")


async def test_ends_of_the_page(dana: Dana) -> None:
    dana.account()
    assert returned(await dana.consent(action="deny")) == {
        "st": "st-0001",
        "error": "access_denied",
        "state": "st-0001",
    }
    elsewhere = (await dana.http.get(dana.page_url(redirectUrl="http://evil.test/x"))).headers["Location"]
    assert elsewhere == "/app/error"
    assert (await dana.http.get(elsewhere)).status_code == 400
    assert BACK.startswith("http://gateway.test")


async def test_a_wrong_seamless_sign_lets_anybody_in(dana: Dana) -> None:
    """DANA ignores the data (D4): the code is of whoever typed a number, and only LOGIN_ID tells (D8)."""
    dana.account()
    dana.account(OTHER, nik_on_file="3174056209989901")
    url = await dana.consent(NUMBER, typed=OTHER_NUMBER, sign="AAAA")
    token = (await dana.exchange(returned(url)["authCode"]))["accessToken"]
    assert await dana.told(token, "LOGIN_ID") == {"LOGIN_ID": "62-81100000002"}


@pytest.mark.parametrize("named", ["mobile", "mobileNumber", "phoneNumber"])
@pytest.mark.parametrize("phone", [NUMBER, "0" + NUMBER.removeprefix("62")])
async def test_the_number_is_taken_under_each_of_danas_names_and_with_its_zero(
    dana: Dana, phone: str, named: str
) -> None:
    """DANA's acceptance tests sign `phoneNumber` as 0811..; its pages say `mobileNumber`."""
    dana.account()
    page = (await dana.http.get(dana.page_url(phone, named=named))).headers["Location"]
    assert NUMBER[-4:] in (await dana.http.get(page)).text and page.startswith("/app/authorize")


async def test_a_sign_that_is_encoded_twice_is_taken(dana: Dana) -> None:
    """As DANA's Node client writes it; its Python client encodes it once."""
    dana.account()
    data = json.dumps({"mobile": NUMBER, "externalUid": "link-1"}, separators=(",", ":"))
    page = (await dana.http.get(dana.page_url(sign=quote(rsa_signature(dana.pem, data), safe="")))).headers["Location"]
    assert 'name="phone"' not in (await dana.http.get(page)).text, "the number is known"


async def test_seamless_data_without_a_number_asks_for_one(dana: Dana) -> None:
    dana.account()
    page = (await dana.http.get(dana.page_url("", named="deviceId"))).headers["Location"]
    assert page.startswith("/app/authorize") and 'name="phone"' in (await dana.http.get(page)).text


async def test_a_second_link_leaves_the_first(dana: Dana) -> None:
    dana.account()
    tokens = [(await dana.link())["accessToken"] for _ in range(2)]
    assert tokens[0] != tokens[1]
    for token in tokens:
        assert await dana.told(token, "LOGIN_ID") == {"LOGIN_ID": "62-81100000001"}


async def unbind(dana: Dana, token: str, merchant: str = SECRETS["merchant_id"], **headers: str) -> str:
    body = {"merchantId": merchant, "additionalInfo": {"accessToken": token, "deviceId": SECRETS["device_id"]}}
    sent = {"Authorization-Customer": f"Bearer {token}", "X-DEVICE-ID": SECRETS["device_id"], **headers}
    return str((await dana.post(UNBIND, body, **sent))["responseCode"])


async def test_unbinding_names_the_merchant_or_not(dana: Dana) -> None:
    """DANA's acceptance tests leave it out, and are told that it is done."""
    dana.account()
    token = (await dana.link())["accessToken"]
    assert await unbind(dana, token, "") == "2000900"


async def test_unbinding(dana: Dana) -> None:
    dana.account()
    token = (await dana.link())["accessToken"]
    assert await unbind(dana, token, "other") == "4040908"
    assert await unbind(dana, token, **{"X-DEVICE-ID": ""}) == "4000902"
    assert [await unbind(dana, token) for _ in range(2)] == ["2000900", "4010902"]
    assert await dana.told(token, "LOGIN_ID") == "ACCESS_TOKEN_INVALID"


@pytest.mark.parametrize(
    ("changes", "states"),
    [
        ({"kyc": "basic"}, [{"USER_KYC": "KYC_NOT_VERIFIED"}]),
        ({"nik_on_file": ""}, [{"USER_KYC": "KYC_NOT_VERIFIED"}]),
        ({"behaviour": "verify:in_progress"}, [{"USER_KYC": "KYC_IN_REVIEW"}] * 2),
        ({"behaviour": "verify:unavailable_twice"}, ["SYSTEM_ERROR"] * 2),
        ({"status": "blocked"}, ["USER_STATUS_ABNORMAL"]),
    ],
)
async def test_what_there_is_no_nik_for(dana: Dana, changes: dict[str, str], states: list[Any]) -> None:
    account = dana.account()
    token = (await dana.link())["accessToken"]
    for name, value in changes.items():
        setattr(account, name, type(account.behaviour)(value) if name == "behaviour" else value)
    assert [await dana.told(token, "KTP_NUMBER", "USER_KYC") for _ in states] == states
    if "behaviour" in changes:
        assert (await dana.profile(token, "KTP_NUMBER"))["userResourceInfos"][0]["value"] == NIK


async def test_who_may_ask(dana: Dana) -> None:
    dana.account()
    token = (await dana.link())["accessToken"]
    assert await dana.told(token, "LOGIN_ID", spaced=True) == {"LOGIN_ID": "62-81100000001"}
    assert await dana.told(token, "SELFIE_PHOTO_DATA") == "RESOURCE_NOT_DEFINED"
    assert await dana.told("unknown", "LOGIN_ID") == "ACCESS_TOKEN_INVALID"
    assert await dana.told(token, "LOGIN_ID", clientSecret="other") == "AUTHENTICATION_FAIL"
    narrow = returned(await dana.consent(scopes="DEFAULT_BASIC_PROFILE"))["authCode"]
    assert await dana.told((await dana.exchange(narrow))["accessToken"], "KTP_NUMBER") == "RESOURCE_NOT_DEFINED"
    dana.pem = await _other_pem()
    assert await dana.told(token, "LOGIN_ID") == "INVALID_SIGNATURE"


async def _other_pem() -> str:
    from mock_partners.kit.keys import Key, private_pem

    return private_pem(Key.BNI)


async def test_the_answer_is_signed_with_danas_key(dana: Dana) -> None:
    dana.account()
    await dana.told((await dana.link())["accessToken"], "LOGIN_ID")
    raw = dana.last.content
    response = raw[raw.index(b'{"head"') : raw.rindex(b',"signature"')]
    key: Any = serialization.load_pem_public_key(SECRETS["dana_public_key_pem"].encode())
    assert asymmetric_ok(key, response, dana.last.json()["signature"])
    assert not asymmetric_ok(key, response + b" ", dana.last.json()["signature"])
    assert PHONE not in raw.decode()
