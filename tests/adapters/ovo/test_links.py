"""OVO's words on linking, one by one."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from adapters.ovo import PARTNER, mapping
from adapters.snap import links
from contracts.errors import PartnerProtocolError, PartnerUnavailable
from contracts.incentive import BlockerCode
from contracts.linking import LinkGranted, LinkHeld, LinkRedirect, LinkRefused
from contracts.partner import Context
from contracts.plan import Response
from contracts.secret import Secret

Say = Callable[..., Response]


def test_binding(say: Say) -> None:
    step = mapping.bound(say("2000700", redirectUrl="https://ovo.test/linkage?x=1", linkageToken="linkage-0001"))
    assert isinstance(step, LinkRedirect)
    assert step.url == "https://ovo.test/linkage?x=1"
    assert step.carry == {"linkage_token": Secret("linkage-0001")}
    assert mapping.bound(say("4040711")) == LinkRefused(code=BlockerCode.ACCOUNT_NOT_FOUND, partner_code="4040711")
    assert mapping.bound(say("4030707")) == LinkRefused(code=BlockerCode.ACCOUNT_BLOCKED, partner_code="4030707")
    assert mapping.bound(say("4030705", additionalInfo={"reason": "ALREADY_LINKED"})) == LinkHeld(
        partner_code="4030705"
    )
    assert mapping.bound(say("4030718")) == LinkRefused(code=BlockerCode.ACCOUNT_BLOCKED, partner_code="4030718")
    with pytest.raises(PartnerUnavailable):
        mapping.bound(say("4030705", additionalInfo={"reason": "OTHER"}))


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "https://ovo.test/a b", "//ovo.test", "https://o\r\nSet-Cookie:"]
)
def test_only_web_addresses_are_opened(say: Say, url: str) -> None:
    with pytest.raises(PartnerProtocolError):
        mapping.bound(say("2000700", redirectUrl=url, linkageToken="linkage-0001"))


def test_exchange(ctx: Context, say: Say) -> None:
    tokens = {"accessToken": "cust-1", "refreshToken": "refresh-1"}
    step = mapping.exchanged(ctx, "link-1", say("2007400", **tokens, tokenExpiresIn=1_000, ilp="x"))
    assert isinstance(step, LinkGranted)
    assert step.grant.access_token == Secret("cust-1")
    assert step.grant.refresh_token == Secret("refresh-1")
    assert step.grant.expires_at == ctx.now + timedelta(seconds=1_000)
    assert mapping.exchanged(ctx, "link-1", say("4037405", additionalInfo={"reason": "ALREADY_LINKED"})) == LinkHeld(
        partner_code="4037405"
    )
    assert mapping.exchanged(ctx, "link-1", say("4047401")) == LinkRefused(
        code=BlockerCode.CONSENT_ABANDONED, partner_code="4047401"
    )


@pytest.mark.parametrize(
    ("life", "life_s"),
    [
        ({}, 1_296_000),
        ({"tokenExpiresIn": "900"}, 900),
        ({"accessTokenExpiryTime": "2026-01-02T04:04:05+07:00"}, 3_600),
    ],
)
def test_the_customers_token_life(ctx: Context, say: Say, life: dict[str, object], life_s: int) -> None:
    step = mapping.exchanged(ctx, "link-1", say("2007400", accessToken="a", refreshToken="b", **life))
    assert isinstance(step, LinkGranted)
    assert step.grant.expires_at == ctx.now + timedelta(seconds=life_s)


@pytest.mark.parametrize(
    "damage",
    [
        {"accessToken": "a\nb"},
        {"accessToken": ""},
        {"refreshToken": "b c"},
    ],
)
def test_a_damaged_grant_is_none(ctx: Context, say: Say, damage: dict[str, object]) -> None:
    fields = {"accessToken": "a", "refreshToken": "b", "tokenExpiresIn": 900, **damage}
    with pytest.raises(PartnerProtocolError):
        mapping.exchanged(ctx, "link-1", say("2007400", **fields))


@pytest.mark.parametrize(
    ("named", "life_s"),
    [
        ({"tokenExpiresIn": -1}, links.CUSTOMER_TOKEN_LIFE.total_seconds()),
        ({"tokenExpiresIn": True, "accessTokenExpiryTime": "soon"}, links.CUSTOMER_TOKEN_LIFE.total_seconds()),
        ({"tokenExpiresIn": "899.0"}, 899.0),
        ({"tokenExpiresIn": None, "accessTokenExpiryTime": "2026-01-02T04:04:05"}, 3600.0),  # of Jakarta
    ],
)
def test_an_end_in_any_form_vetoes_nothing(ctx: Context, say: Say, named: dict[str, object], life_s: float) -> None:
    step = mapping.exchanged(ctx, "link-1", say("2007400", accessToken="a", refreshToken="b", **named))
    assert isinstance(step, LinkGranted) and step.grant.expires_at is not None
    assert (step.grant.expires_at - ctx.now).total_seconds() == life_s


def test_way_back() -> None:
    back = PARTNER.read_return({"authCode": "auth-ovo-1", "state": "1234", "displayMessage": "SUCCESS"})
    assert (back.code, back.refused, back.state) == (Secret("auth-ovo-1"), None, None)
    for code in ("OV00006", "OV00007"):
        back = PARTNER.read_return({"errorResponse": json.dumps({"code": code, "state": "1234"})})
        assert (back.code, back.refused, back.partner_code) == (None, BlockerCode.CONSENT_DENIED, code)


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"authCode": ""},
        {"authCode": "a\nb"},
        {"authCode": "null"},
        {"authCode": "x" * 4097},
        {"errorResponse": "{"},
        {"errorResponse": "[]"},
        {"errorResponse": '{"code":7}'},
        {"errorResponse": "[" * 2000},
        {"errorResponse": "\ud800"},
        {"errorResponse": '{"code":"OV00099"}', "authCode": "auth-ovo-1"},
    ],
)
def test_a_way_back_with_neither_is_not_finished(query: dict[str, str]) -> None:
    back = PARTNER.read_return(query)
    assert (back.code, back.refused) == (None, BlockerCode.CONSENT_ABANDONED)
