"""DANA's profile query: nothing counts that DANA did not sign for us, and only the declared account does (D7-D9)."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from adapters import rsa
from adapters.dana import PARTNER
from contracts.errors import Hint, PartnerProtocolError, PartnerUnavailable
from contracts.identity import IdentityQuery, Verdict
from contracts.linking import Grant, LinkHealth
from contracts.partner import Context
from contracts.plan import Plan, Response
from contracts.secret import Secret
from tests.adapters.story import NIK, PEM, PHONE, REFERENCE

GRANT = Grant(access_token=Secret("token-1"), extra={"account": PHONE})
QUERY = IdentityQuery(reference=REFERENCE, nik=NIK, account=PHONE, phone=PHONE, grant=GRANT)
LOGIN = ("LOGIN_ID", "62-81234567890")
OTHER = ("LOGIN_ID", "62-81234567891")
VERIFIED = (LOGIN, ("USER_KYC", "KYC_VERIFIED"), ("KTP_NUMBER", NIK.reveal()))


def answer(ctx: Context, *rows: tuple[str, Any], code: str = "S SUCCESS", alone: bool = False, **head: str) -> Response:
    status, name = code.split()
    info = {"resultStatus": status, "resultCodeId": "0", "resultCode": name, "resultMsg": "m"}
    told: Any = [{"resourceType": kind, "value": value} for kind, value in rows]
    told = told[0] if alone else told
    said = {"head": {"reqMsgId": ctx.external_id(0), **head}, "body": {"resultInfo": info, "userResourceInfos": told}}
    text = json.dumps(said, indent=1)
    signature = rsa.sign(PEM, text)
    return Response(status=200, headers={}, content=f'{{"response" : {text},"signature":"{signature}"}}'.encode())


def outcome(plan: Plan[Any], reply: Response) -> Any:
    next(plan)
    with pytest.raises(StopIteration) as stopped:
        plan.send(reply)
    return stopped.value.value


def verdict(ctx: Context, reply: Response) -> Verdict:
    found: Verdict = outcome(PARTNER.verify_nik(ctx, QUERY), reply).verdict
    return found


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (VERIFIED, Verdict.MATCH),
        ((LOGIN, ("USER_KYC", "KYC_VERIFIED"), ("KTP_NUMBER", "3374141308759922")), Verdict.MISMATCH),
        ((LOGIN, ("USER_KYC", "KYC_NOT_VERIFIED")), Verdict.KYC_INCOMPLETE),
        ((LOGIN, ("USER_KYC", "KYC_IN_REVIEW")), Verdict.PENDING),
        ((OTHER, *VERIFIED[1:]), Verdict.ACCOUNT_UNPROVED),
        ((OTHER,), Verdict.ACCOUNT_UNPROVED),
    ],
)
def test_verdicts(ctx: Context, rows: tuple[tuple[str, str], ...], expected: Verdict) -> None:
    assert verdict(ctx, answer(ctx, *rows)) is expected


@pytest.mark.parametrize(
    "rows",
    [
        VERIFIED[1:], (("LOGIN_ID", "62-8123***7890"), *VERIFIED[1:]), (LOGIN, OTHER, *VERIFIED[1:]),
        (OTHER, LOGIN, *VERIFIED[1:]), VERIFIED[:2], (*VERIFIED, ("KTP_NUMBER", "3374141308759922")),
        (*VERIFIED[:2], ("KTP_NUMBER", 337414130875992.5)), (LOGIN, ("USER_KYC", "YES"), VERIFIED[2]),
        (LOGIN, ("USER_KYC", ["KYC_VERIFIED"]), VERIFIED[2]),
    ],
)  # fmt: skip
def test_what_does_not_say_it_whole_is_no_verdict(ctx: Context, rows: tuple[tuple[str, Any], ...]) -> None:
    with pytest.raises(PartnerProtocolError):
        verdict(ctx, answer(ctx, *rows))


def test_a_result_counts_in_any_letters(ctx: Context) -> None:
    assert verdict(ctx, answer(ctx, *VERIFIED, code="s Success")) is Verdict.MATCH
    assert verdict(ctx, answer(ctx, code="f User_Status_Abnormal")) is Verdict.ACCOUNT_BLOCKED
    with pytest.raises(PartnerUnavailable):
        verdict(ctx, answer(ctx, *VERIFIED, code="S SUCCESSFUL"))


def test_one_resource_may_stand_without_its_list(ctx: Context) -> None:
    assert outcome(PARTNER.link_health(ctx, GRANT), answer(ctx, LOGIN, alone=True)) is LinkHealth.ACTIVE
    assert outcome(PARTNER.link_health(ctx, GRANT), answer(ctx, OTHER, alone=True)) is LinkHealth.BLOCKED


@pytest.mark.parametrize(
    "head",
    [
        {"clientId": "another-merchant"},
        {"reqMsgId": "", "clientId": "another-merchant"},
        {"reqMsgId": "7"},
        {"reqMsgId": "", "respTime": "2020-01-01T12:00:00+07:00"},
    ],
)
def test_what_dana_signed_for_another_merchant_request_or_day_is_no_verdict(ctx: Context, head: dict[str, str]) -> None:
    with pytest.raises(PartnerProtocolError):
        verdict(ctx, answer(ctx, *VERIFIED, **head))


def test_what_names_neither_request_nor_time_is_taken(ctx: Context) -> None:
    for head in ({"reqMsgId": ""}, {"reqMsgId": "", "respTime": ctx.now.isoformat()}, {"respTime": "2020-01-01"}):
        assert verdict(ctx, answer(ctx, *VERIFIED, **head)) is Verdict.MATCH


def test_a_changed_answer_is_no_verdict(ctx: Context) -> None:
    """Every byte of what is signed counts, white space too."""
    content = answer(ctx, *VERIFIED).content
    for old, new in ((b"SUCCESS", b"SUCCESs"), (b"{\n", b"{\r\n"), (NIK.reveal().encode(), b"3374141308759922")):
        assert old in content
        with pytest.raises(PartnerProtocolError):
            verdict(ctx, Response(status=200, headers={}, content=content.replace(old, new, 1)))
    told = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
    for signature in (b'""', b'"x"', json.dumps(rsa.sign(PEM, "another text")).encode()):
        forged = b'{"response":' + bytes(told["response"]) + b',"signature":' + signature + b"}"
        with pytest.raises(PartnerProtocolError):
            verdict(ctx, Response(status=200, headers={}, content=forged))


def test_an_answer_to_another_query_is_no_verdict(ctx: Context) -> None:
    with pytest.raises(PartnerProtocolError):
        verdict(ctx, answer(ctx, *VERIFIED, reqMsgId=ctx.external_id(1)))


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("F ACCESS_TOKEN_INVALID", Hint.CUSTOMER_TOKEN), ("F RESOURCE_NOT_DEFINED", Hint.CREDENTIALS),
        ("F INVALID_SIGNATURE", Hint.CREDENTIALS), ("F AUTHENTICATION_FAIL", Hint.CREDENTIALS),
        ("U SYSTEM_ERROR", Hint.NONE), ("U SUCCESS", Hint.NONE), ("F SUCCESS", Hint.NONE),
        ("S PROCESS_FAIL", Hint.NONE),
        ("U ACCESS_TOKEN_INVALID", Hint.NONE), ("U USER_STATUS_ABNORMAL", Hint.NONE),
    ],
)  # fmt: skip
def test_what_could_not_be_told(ctx: Context, code: str, hint: Hint) -> None:
    with pytest.raises(PartnerUnavailable) as raised:
        verdict(ctx, answer(ctx, *VERIFIED, code=code))
    assert raised.value.hint is hint


@pytest.mark.parametrize(
    ("code", "login", "expected"),
    [
        ("S SUCCESS", LOGIN, LinkHealth.ACTIVE), ("S SUCCESS", OTHER, LinkHealth.BLOCKED),
        ("F USER_STATUS_ABNORMAL", LOGIN, LinkHealth.BLOCKED), ("F ACCESS_TOKEN_INVALID", LOGIN, LinkHealth.REVOKED),
    ],
)  # fmt: skip
def test_a_link_stands_while_its_holder_has_the_declared_number(
    ctx: Context, code: str, login: tuple[str, str], expected: LinkHealth
) -> None:
    assert outcome(PARTNER.link_health(ctx, GRANT), answer(ctx, login, code=code)) is expected
