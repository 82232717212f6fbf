"""LinkAja's words on linking, one by one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from adapters.linkaja import PARTNER, mapping, sign
from adapters.snap import links
from contracts.errors import Hint, PartnerProtocolError, PartnerUnavailable
from contracts.incentive import BlockerCode
from contracts.linking import LinkGranted, LinkHeld, LinkRedirect, LinkRefused, Unlinked
from contracts.partner import Context
from contracts.plan import Response
from contracts.secret import Secret

Say = Callable[..., Response]


def test_binding(snap_say: Say) -> None:
    assert mapping.bound(snap_say("2000700", redirectUrl="https://lj.test/pin?x=1")) == LinkRedirect(
        url="https://lj.test/pin?x=1"
    )
    assert mapping.bound(snap_say("4040711")) == LinkRefused(code=BlockerCode.ACCOUNT_NOT_FOUND, partner_code="4040711")
    assert mapping.bound(snap_say("4030718")) == LinkRefused(code=BlockerCode.ACCOUNT_BLOCKED, partner_code="4030718")
    assert mapping.bound(snap_say("4030768")) == LinkHeld(partner_code="4030768")
    with pytest.raises(PartnerUnavailable) as raised:
        mapping.bound(snap_say("4010701"))
    assert raised.value.hint is Hint.OUR_TOKEN
    with pytest.raises(PartnerProtocolError):
        mapping.bound(snap_say("2000700", redirectUrl="javascript:alert(1)"))


def test_exchange(ctx: Context, snap_say: Say) -> None:
    ends = "2026-01-17T10:04:05+07:00"
    reply = snap_say("2007400", accessToken="cust-1", refreshToken="refresh-1", accessTokenExpiryTime=ends)
    step = mapping.exchanged(ctx, reply)
    assert isinstance(step, LinkGranted)
    assert (step.grant.access_token, step.grant.refresh_token) == (Secret("cust-1"), Secret("refresh-1"))
    assert step.grant.expires_at == ctx.now + timedelta(days=15)
    unnamed = mapping.exchanged(ctx, snap_say("2007400", accessToken="cust-1", refreshToken="refresh-1"))
    assert isinstance(unnamed, LinkGranted)
    assert unnamed.grant.expires_at == ctx.now + timedelta(days=15)
    assert mapping.exchanged(ctx, snap_say("4037468")) == LinkHeld(partner_code="4037468")


@pytest.mark.parametrize(
    "damage",
    [
        {"accessToken": "a\nb"},
        {"accessToken": 1},
        {"refreshToken": "b c"},
    ],
)
def test_a_damaged_grant_is_none(ctx: Context, snap_say: Say, damage: dict[str, object]) -> None:
    with pytest.raises(PartnerProtocolError):
        mapping.exchanged(ctx, snap_say("2007400", **{"accessToken": "a", "refreshToken": "b", **damage}))


def test_way_back() -> None:
    back = PARTNER.read_return({"authCode": "auth-lj-1", "state": "st-0001"})
    assert (back.code, back.refused, back.state) == (Secret("auth-lj-1"), None, "st-0001")
    for error in ("access_denied", "pin_blocked"):
        back = PARTNER.read_return({"error": error, "state": "st-0001"})
        assert (back.code, back.refused, back.state) == (None, BlockerCode.CONSENT_DENIED, "st-0001")
        assert back.partner_code == error


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"authCode": ""},
        {"authCode": "a\nb"},
        {"authCode": "null"},
        {"authCode": "x" * 4097},
        {"authCode": "a", "error": "server_error"},
        {"error": "<script>"},
        {"error": ""},
    ],
)
def test_a_way_back_with_neither_is_not_finished(query: dict[str, str]) -> None:
    back = PARTNER.read_return(query)
    assert (back.code, back.refused) == (None, BlockerCode.CONSENT_ABANDONED)
    assert back.partner_code in (None, "server_error")


@pytest.mark.parametrize("code", ["2000900", "4010902", "4010904"])
def test_unbound(snap_say: Say, code: str) -> None:
    assert links.unbound(sign.UNBIND, snap_say(code), mapping.UNBOUND) == Unlinked(partner_code=code)


@pytest.mark.parametrize("code", ["4010900", "4010901", "5000900", "4030918"])
def test_an_unbinding_that_could_not_tell(snap_say: Say, code: str) -> None:
    with pytest.raises(PartnerUnavailable):
        links.unbound(sign.UNBIND, snap_say(code), mapping.UNBOUND)
