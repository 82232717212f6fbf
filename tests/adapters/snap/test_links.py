"""A customer's token that is refreshed, at every partner that has such: whose refusal ends a link, whose does not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from adapters.registry import PARTNERS
from adapters.snap import codes, links
from contracts.errors import Hint, PartnerUnavailable
from contracts.incentive import BlockerCode
from contracts.linking import Grant, UnlinkOrder
from contracts.partner import Capability, Partner
from contracts.plan import Effect, Request, Response
from contracts.secret import Secret
from tests.adapters.playing import drive, snap_reply
from tests.adapters.story import PHONE, REFERENCE, TIMES, context

REFRESHED = sorted(slug for slug, one in PARTNERS.items() if Capability.GRANT_REFRESH in one.manifest.capabilities)
GRANT = Grant(
    access_token=Secret("customer-1"),
    refresh_token=Secret("refresh-1"),
    expires_at=TIMES[0] + timedelta(days=3),
    extra={"account": PHONE},
)


@pytest.fixture(params=REFRESHED)
def partner(request: pytest.FixtureRequest) -> Partner:
    return PARTNERS[request.param]


def refreshed(partner: Partner, *replies: Response) -> tuple[list[Request], Any]:
    return drive(partner.refresh_grant(context(partner, TIMES[0]), GRANT), *replies)


def test_some_partners_refresh() -> None:
    assert len(REFRESHED) > 1


def test_a_fresh_token_keeps_what_is_not_renewed(partner: Partner) -> None:
    [request], fresh = refreshed(partner, snap_reply("2007400", accessToken="customer-2", tokenExpiresIn=3600))
    assert (request.operation, request.effect) == ("link.refresh", Effect.READ)
    assert "Authorization" not in request.headers
    assert (fresh.access_token, fresh.refresh_token) == (Secret("customer-2"), GRANT.refresh_token)
    assert (fresh.expires_at, fresh.extra) == (TIMES[0] + timedelta(hours=1), GRANT.extra)
    _, fresh = refreshed(partner, snap_reply("2007400", accessToken="customer-2", refreshToken="refresh-2"))
    assert fresh.refresh_token == Secret("refresh-2")


@pytest.mark.parametrize("code", ["4017401", "4017402", "4017403", "4017404"])
def test_a_refused_refresh_token_is_a_link_that_is_gone(partner: Partner, code: str) -> None:
    requests, fresh = refreshed(partner, snap_reply(code))
    assert (len(requests), fresh) == (1, None)


def test_our_own_refused_signature_ends_no_link(partner: Partner) -> None:
    """`4017400` may speak of the refresh token as well: only another request, signed by the same key, tells."""
    look, service = ("token.snap", "73") if partner.manifest.tokens else ("payout.status", "39")
    with pytest.raises(PartnerUnavailable) as raised:
        refreshed(partner, snap_reply("4017400"), snap_reply(f"401{service}00"))
    assert raised.value.hint is Hint.CREDENTIALS
    with pytest.raises(PartnerUnavailable):
        refreshed(partner, snap_reply("4017400"), snap_reply(f"500{service}00"))
    for taken in (f"200{service}00", f"404{service}01"):
        requests, fresh = refreshed(partner, snap_reply("4017400"), snap_reply(taken, accessToken="b2b-1"))
        assert fresh is None
        assert [request.operation for request in requests] == ["link.refresh", look]
        assert {request.effect for request in requests} == {Effect.READ}


@pytest.mark.parametrize("code", ["5007400", "4297400", "5047400", "4007401"])
def test_a_refresh_that_could_not_tell(partner: Partner, code: str) -> None:
    with pytest.raises(PartnerUnavailable):
        refreshed(partner, snap_reply(code))


def test_a_grant_without_a_refresh_token_is_over_when_its_token_is(partner: Partner) -> None:
    """Nobody is asked: the participant links again."""
    grant = msgspec.structs.replace(GRANT, refresh_token=None)
    with pytest.raises(StopIteration) as stop:
        next(partner.refresh_grant(context(partner, TIMES[0]), grant))
    assert stop.value.value is None


def test_an_expired_token_does_not_pass_for_unlinked(partner: Partner) -> None:
    expired = msgspec.structs.replace(GRANT, expires_at=TIMES[0])
    order = UnlinkOrder(link_id="L1", reference=REFERENCE, account=PHONE, phone=PHONE, grant=expired)
    with pytest.raises(PartnerUnavailable) as raised:
        next(partner.unlink(context(partner, TIMES[0]), order))
    assert raised.value.hint is Hint.CUSTOMER_TOKEN


@pytest.mark.parametrize("life", [{}, {"accessTokenExpiryTime": "0001-01-01T00:00:00+07:00"}])
def test_a_grant_without_refresh_token_or_a_sensible_end_is_a_grant(life: dict[str, str]) -> None:
    """What is not needed now must not cost the participant the code, which works once."""
    for end in ("9999-12-31T23:59:59-12:00", "2020-01-01T00:00:00Z", None):
        said = {"accessTokenExpiryTime": end, "refreshToken": None, **life} if end else life
        envelope = codes.read(snap_reply("2007400", accessToken="Bearer customer-1\n", **said), "74")
        grant = links.granted(context(PARTNERS["dana"], TIMES[0]), envelope)
        assert (grant.access_token, grant.refresh_token) == (Secret("customer-1"), None)
        assert grant.expires_at == TIMES[0] + links.CUSTOMER_TOKEN_LIFE


@pytest.mark.parametrize(
    "slug", sorted(s for s, p in PARTNERS.items() if Capability.LINK_REDIRECT in p.manifest.capabilities)
)
def test_an_empty_refusal_beside_a_code_is_none(slug: str) -> None:
    """Some send every parameter in any case, and a plus in the address as it is."""
    for more in (
        {"error": "", "errorCode": "", "errorResponse": "", "error_description": ""},
        {"error": "null", "errorCode": "null", "errorResponse": "null"},
        {"error": "None", "errorCode": "0", "errCode": "000", "errorResponse": "{}"},
        {"error": "false", "errorCode": "undefined", "errorResponse": '{"code":"","message":""}'},
        {"error": "-", "errorCode": "00", "errorResponse": '{"code":null}', "result": "", "success": "1"},
        {"errorResponse": "[]", "success": "Y", "result": ""},
        {"responseCode": "2001000", "responseMessage": "Successful"},
    ):
        query = {"authCode": "ab c/d=", "success": "True", "result": "SUCCESS", **more}
        back = PARTNERS[slug].read_return(query)
        assert (back.code, back.refused) == (Secret("ab+c/d="), None)


@pytest.mark.parametrize("name", ["accessToken", "accountToken", "bankCardToken", "linkageToken", "redirectUrl"])
def test_a_refusal_that_gives_access_refuses_nobody(name: str) -> None:
    table = {"4040711": BlockerCode.CONSENT_ABANDONED}
    plain, beside = (codes.read(snap_reply("4040711", **more), "07") for more in ({}, {name: "https://x.test/1"}))
    assert links.refused(plain, table) is not None and links.refused(beside, table) is None
