"""BNI Autopay's binding by card and OTP, unbinding, and the assumed NIK check."""

from __future__ import annotations

from typing import Any

import pytest

from tests.mock_partners.bni.conftest import CARD, NIK, OTHER_NIK, SECRETS, Bni, code

MERCHANT = SECRETS["autopay_merchant_id"]
WRONG = "not-it"


async def kyc(bni: Bni, token: str, nik: str = NIK, account: str = "7000000001", **changes: Any) -> str:
    """identificationNoMatch, or the response code of a refusal."""
    body = {
        "partnerReferenceNo": "K", "accountNo": account, "bankCardToken": token, "identificationNo": nik,
        "identificationType": "02", **changes,
    }  # fmt: skip
    reply = await bni.snap.post("/snap-service/v1/account-kyc-verification", body)
    told = code(reply)
    assert NIK not in reply.text
    assert OTHER_NIK not in reply.text
    return str(reply.json()["additionalInfo"]["identificationNoMatch"]) if told == "2009700" else told


async def wrong_otp(bni: Bni) -> str:
    right = await bni.newest_otp()
    return ("1" if right[0] != "1" else "2") + right[1:]


async def test_bind_answers_and_sends_an_otp(bni: Bni) -> None:
    bni.account()
    told = (await bni.bind()).json()
    assert told["responseCode"] == "2000700"
    assert told["partnerReferenceNo"] == "B1"
    assert len(told["bankCardToken"]) == 128
    assert len(told["chargeToken"]) == 30
    assert told["referenceNo"] != told["additionalInfo"]["referenceNo"]
    sent = (await bni.http.get("/__mock__/sms?phone=+6281100000001")).json()
    assert [set(sms) for sms in sent] == [{"code", "sent_at"}]
    assert len(sent[0]["code"]) == 6
    assert sent[0]["sent_at"] == "2026-01-15T12:00:00+07:00"


@pytest.mark.parametrize(
    ("account", "card", "expected"),
    [
        ("7999999999", CARD, "4040711"),
        ("7000000009", CARD, "4030718"),
        ("7000000001", "1" * 16, "4000701"),
        ("7000000001", "1" * 15, "4000701"),
        ("123", CARD, "4000701"),
    ],
)
async def test_bind_refusals_leave_the_reference_free(bni: Bni, account: str, card: str, expected: str) -> None:
    bni.account()
    bni.account("7000000009", status="blocked")
    assert code(await bni.bind(account=account, card=card)) == expected
    assert (await bni.http.get("/__mock__/sms?phone=+6281100000001")).json() == []
    assert code(await bni.bind()) == "2000700"
    assert code(await bni.bind()) == "4090701"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"merchantId": "somebody"}, "4040708"),
        ({"merchantId": ""}, "4000701"),
        ({"additionalInfo": {"custIdMerchant": "x" * 19}}, "4000701"),
        ({"additionalInfo": {}}, "2000700"),
        ({"additionalInfo": {"custIdMerchant": ""}}, "2000700"),
        ({"additionalData": None}, "4000701"),
        ({"limit": "0.00"}, "4000701"),
        ({"limit": "1"}, "4000701"),
        ({"email": "nobody"}, "4000701"),
        ({"email": "a@b.test"}, "2000700"),
    ],
)
async def test_bind_fields(bni: Bni, changes: dict[str, Any], expected: str) -> None:
    bni.account()
    data = {"bankAccountNo": "7000000001", "bankCardNo": CARD, "limit": "250000.00", "email": ""}
    body: dict[str, Any] = {
        "partnerReferenceNo": "B1", "merchantId": MERCHANT, "additionalData": data,
        "additionalInfo": {"custIdMerchant": "link-0001"},
    }  # fmt: skip
    for name, value in changes.items():
        (data if name in data else body)[name] = value
    assert code(await bni.autopay.post("/v1.0/registration-account-binding", body)) == expected


async def test_the_right_otp_makes_the_link_good_once(bni: Bni) -> None:
    bni.account()
    bound = (await bni.bind()).json()
    assert await kyc(bni, bound["bankCardToken"]) == "4049711"
    otp = await bni.newest_otp()
    assert await bni.verify_otp(bound, otp) == "2000400"
    assert await kyc(bni, bound["bankCardToken"]) == "Y"
    assert await bni.verify_otp(bound, otp) == "4040406"


async def test_three_wrong_otps_block(bni: Bni) -> None:
    bni.account()
    bound = (await bni.bind()).json()
    wrong = await wrong_otp(bni)
    assert [await bni.verify_otp(bound, wrong) for _ in range(4)] == ["4040415", "4040415", "4030411", "4030411"]
    assert await bni.verify_otp(bound, await bni.newest_otp()) == "4030411"
    again = (await bni.bind("B2")).json()
    assert await bni.verify_otp(again, await bni.newest_otp()) == "2000400"


async def test_two_wrong_otps_may_be_corrected_and_a_malformed_one_is_not_counted(bni: Bni) -> None:
    bni.account()
    bound = (await bni.bind()).json()
    wrong = await wrong_otp(bni)
    told = [await bni.verify_otp(bound, otp) for otp in (wrong, "12345", "abcdef", wrong, await bni.newest_otp())]
    assert told == ["4040415", "4000401", "4000401", "4040415", "2000400"]


async def test_an_otp_lives_five_minutes(bni: Bni) -> None:
    bni.account()
    bound = (await bni.bind()).json()
    bni.clock.shift(299)
    other = (await bni.bind("B2")).json()
    bni.clock.shift(1)
    sent = (await bni.http.get("/__mock__/sms?phone=%2B6281100000001")).json()
    assert await bni.verify_otp(bound, sent[1]["code"]) == "4030412"
    assert await bni.verify_otp(other, sent[0]["code"]) == "2000400"


async def test_otp_verification_wants_its_own_references(bni: Bni) -> None:
    bni.account()
    bound = (await bni.bind()).json()
    otp = await bni.newest_otp()
    outer = {**bound, "additionalInfo": {"referenceNo": bound["referenceNo"]}}
    assert await bni.verify_otp(outer, otp) == "4040401"
    assert await bni.verify_otp({**bound, "partnerReferenceNo": "B9"}, otp) == "4040401"
    assert await bni.verify_otp({**bound, "chargeToken": "x" * 30}, otp) == "4040407"
    assert await bni.verify_otp(bound, otp) == "2000400"


async def test_a_second_bind_gives_another_token_and_both_are_good(bni: Bni) -> None:
    bni.account()
    first, second = await bni.link("B1"), await bni.link("B2")
    assert first != second
    assert [await kyc(bni, token) for token in (first, second)] == ["Y", "Y"]


async def send_otp(bni: Bni, token: str, sent_id: str = "900", **changes: Any) -> dict[str, Any]:
    body = {
        "merchantId": MERCHANT, "partnerReferenceNo": "U1", "journeyID": "900", "bankCardToken": token,
        "otpReasonCode": "09", "otpReasonMessage": "Account Unbinding",
        "additionalInfo": {"expiredOtp": "2026-01-15T12:05:00+07:00"}, "externalStoreId": "", **changes,
    }  # fmt: skip
    reply = await bni.autopay.post("/v1.0/otp", body, headers={"x_external_id": sent_id})
    code(reply)
    told: dict[str, Any] = reply.json()
    return told


async def unbind(bni: Bni, token: str, charge: str, otp: str, customer: str = "link-0001") -> str:
    body = {
        "merchantId": MERCHANT, "partnerReferenceNo": "U2", "otp": otp, "bankCardToken": token, "chargeToken": charge,
        "additionalInfo": {"custIdMerchant": customer},
    }  # fmt: skip
    return code(await bni.autopay.post("/v1.0/registration-account-unbinding", body))


async def test_unbinding_needs_an_otp_and_ends_the_token(bni: Bni) -> None:
    bni.account()
    token, other = await bni.link("B1"), await bni.link("B2")
    asked = await send_otp(bni, token)
    assert asked["responseCode"] == "2008100"
    assert await unbind(bni, token, asked["chargeToken"], await wrong_otp(bni)) == "4040915"
    assert await unbind(bni, token, asked["chargeToken"], await bni.newest_otp(), "somebody") == "4040911"
    assert await unbind(bni, other, asked["chargeToken"], await bni.newest_otp()) == "4040907"
    assert await unbind(bni, token, asked["chargeToken"], await bni.newest_otp()) == "2000900"
    assert await kyc(bni, token) == "4049711"
    assert await kyc(bni, other) == "Y"
    assert await unbind(bni, token, asked["chargeToken"], "123456") == "4040911"
    assert (await send_otp(bni, token, journeyID="901", sent_id="901"))["responseCode"] == "4048111"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"journeyID": "901"}, "4008101"),
        ({"otpReasonCode": "99"}, "4008101"),
        ({"otpReasonMessage": "x" * 31}, "4008101"),
        ({"additionalInfo": {"expiredOtp": "soon"}}, "4008101"),
        ({"bankCardToken": "x" * 128}, "4048111"),
        ({"merchantId": "somebody"}, "4048108"),
    ],
)
async def test_otp_refusals(bni: Bni, changes: dict[str, Any], expected: str) -> None:
    bni.account()
    assert (await send_otp(bni, await bni.link(), **changes))["responseCode"] == expected


async def test_an_otp_for_another_purpose_does_not_unbind(bni: Bni) -> None:
    bni.account()
    token = await bni.link()
    asked = await send_otp(bni, token, otpReasonCode="54")
    assert await unbind(bni, token, asked["chargeToken"], await bni.newest_otp()) == "4040907"


async def test_nik_check(bni: Bni) -> None:
    account = bni.account()
    bni.account("7000000002")
    token = await bni.link()
    assert await kyc(bni, token) == "Y"
    assert await kyc(bni, token, OTHER_NIK) == "N"
    assert await kyc(bni, token, account="7000000002") == "4049711"
    assert await kyc(bni, token, account="7999999999") == "4049711"
    assert await kyc(bni, "x" * 128) == "4049711"
    assert await kyc(bni, token, nik="317405220998990") == "4009701"
    assert await kyc(bni, token, identificationType="01") == "4009701"
    account.status = "blocked"
    assert await kyc(bni, token) == "4039718"


async def test_an_account_without_a_nik_is_not_a_mismatch(bni: Bni) -> None:
    bni.account(nik_on_file="", kyc="basic")
    assert await kyc(bni, await bni.link()) == "U"


@pytest.mark.parametrize(
    ("behaviour", "trouble"), [("verify:unavailable_twice", "5009700"), ("verify:in_progress", "P")]
)
async def test_troubled_checks(bni: Bni, behaviour: str, trouble: str) -> None:
    bni.account(behaviour=behaviour)
    token = await bni.link()
    assert [await kyc(bni, token) for _ in range(4)] == [trouble, trouble, "Y", "Y"]


async def test_link_behaviours_are_the_players_and_ignored(bni: Bni) -> None:
    bni.account(behaviour="link:deny")
    assert await kyc(bni, await bni.link()) == "Y"
    assert await bni.pay() == "2001700"
