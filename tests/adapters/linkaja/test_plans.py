"""LinkAja's plans driven by hand: which requests, in which order, and what comes out."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from adapters.linkaja import PARTNER
from contracts.errors import Hint, NotSupported, PartnerProtocolError, PartnerUnavailable
from contracts.identity import IdentityQuery, Verdict
from contracts.linking import Grant, LinkFinish, LinkGranted, LinkRedirect, LinkStart, Unlinked, UnlinkOrder
from contracts.partner import AccessToken, Context
from contracts.payout import OutcomeKind, PayoutOrder
from contracts.plan import Effect, Request, Response
from contracts.secret import Secret

Say = Callable[..., Response]
Run = Callable[..., tuple[list[Request], Any]]

INQUIRED = {
    "responseCode": "00",
    "custName": "BUDI SANTOSO",
    "msisdn": "6281234567890",
    "amount": "50000",
    "merchantTrxID": "PAYOUT-0001",
    "sessionID": "PD5I-0001",
}
CONFIRMED = {"data": {"responseCode": "00", "linkRefNum": "LJ0001", "merchantTrxID": "PAYOUT-0001"}}
ISSUED = {"status": "00", "data": {"accessToken": "a1", "refreshToken": "r1"}}
HELD = AccessToken(value=Secret("a0"), life_s=3_600.0, refresh=Secret("r0"))
NEW = AccessToken(value=Secret("a1"), life_s=3_600.0, refresh=Secret("r1"))


def test_snap_token(ctx: Context, snap_say: Say, run: Run) -> None:
    issued = snap_say("2007300", accessToken="b2b-1", expiresIn=600)
    [request], token = run(PARTNER.fetch_token(ctx, "snap", None), issued)
    assert (request.operation, request.effect, request.target) == (
        "token.snap",
        Effect.READ,
        "/bi/v1.0/access-token/b2b",
    )
    assert token == AccessToken(value=Secret("b2b-1"), life_s=600.0)


def test_legacy_token_is_created_where_none_is_held(ctx: Context, say: Say, run: Run) -> None:
    [request], token = run(PARTNER.fetch_token(ctx, "legacy", None), say(ISSUED))
    assert (request.operation, request.method, request.target) == ("token.legacy", "GET", "/v1/oauth/create")
    assert token == NEW


def test_legacy_token_is_refreshed(ctx: Context, say: Say, run: Run) -> None:
    [request], token = run(PARTNER.fetch_token(ctx, "legacy", HELD), say(ISSUED))
    assert (request.target, request.headers["Access-Token"]) == ("/v1/oauth/refresh", "a0")
    assert json.loads(request.content) == {"accessToken": "a0", "refreshToken": "r0"}
    assert token == NEW


@pytest.mark.parametrize(
    ("body", "status"), [({"status": "14"}, 200), ({"status": "401"}, 401), ({"message": "x"}, 401)]
)
def test_a_refused_refresh_starts_over(ctx: Context, say: Say, run: Run, body: object, status: int) -> None:
    requests, token = run(PARTNER.fetch_token(ctx, "legacy", HELD), say(body, status), say(ISSUED))
    assert [request.target for request in requests] == ["/v1/oauth/refresh", "/v1/oauth/create"]
    assert {request.effect for request in requests} == {Effect.READ}
    assert token == NEW


@pytest.mark.parametrize("body", [{"status": "401"}, {"message": "HMAC signature cannot be verified"}])
def test_a_401_for_a_new_token_speaks_of_our_credentials(ctx: Context, say: Say, run: Run, body: object) -> None:
    with pytest.raises(PartnerUnavailable) as raised:
        run(PARTNER.fetch_token(ctx, "legacy", None), say(body, 401))
    assert raised.value.hint is Hint.CREDENTIALS


def test_an_outage_is_no_reason_to_start_over(ctx: Context, say: Say, run: Run) -> None:
    with pytest.raises(PartnerUnavailable):
        run(PARTNER.fetch_token(ctx, "legacy", HELD), say({}, 503))


def test_a_token_unknown_here_is_refused(ctx: Context) -> None:
    with pytest.raises(NotSupported):
        next(PARTNER.fetch_token(ctx, "iris", None))


def test_linking(ctx: Context, start: LinkStart, finish: LinkFinish, snap_say: Say, run: Run) -> None:
    [begin], step = run(PARTNER.begin_link(ctx, start), snap_say("2000700", redirectUrl="https://lj.test/pin"))
    assert (begin.operation, begin.headers["Authorization"]) == ("link.begin", "Bearer lj-b2b-token-0001")
    assert step == LinkRedirect(url="https://lj.test/pin")
    granted = snap_say("2007400", accessToken="cust-1", refreshToken="refresh-1")
    [exchange], step = run(PARTNER.finish_link(ctx, finish), granted)
    assert (exchange.operation, exchange.effect) == ("link.exchange", Effect.WRITE)
    assert isinstance(step, LinkGranted)
    assert step.grant.access_token == Secret("cust-1")


def test_unlinking(ctx: Context, unlink_order: UnlinkOrder, snap_say: Say, run: Run) -> None:
    [request], step = run(PARTNER.unlink(ctx, unlink_order), snap_say("2000900", unlinkResult="success"))
    assert (request.operation, request.effect) == ("unlink", Effect.WRITE)
    assert step == Unlinked(partner_code="2000900")


def test_verification(ctx: Context, query: IdentityQuery, say: Say, run: Run) -> None:
    data = {"customerNumber": "6281234567890", "serviceLevel": "FULL", "nikMatch": "N"}
    [request], answer = run(PARTNER.verify_nik(ctx, query), say({"status": "00", "data": data}))
    assert (request.operation, request.effect, request.target) == (
        "identity.verify",
        Effect.READ,
        "/v1/custbind/verify/kyc",
    )
    assert answer.verdict is Verdict.MISMATCH


def test_payout(ctx: Context, order: PayoutOrder, say: Say, run: Run) -> None:
    [inquiry, confirm], outcome = run(PARTNER.payout(ctx, order), say(INQUIRED), say(CONFIRMED))
    assert (inquiry.operation, inquiry.effect) == ("payout.inquiry", Effect.READ)
    assert (confirm.operation, confirm.effect, confirm.timeout_s) == ("payout.transfer", Effect.WRITE, 30.0)
    assert confirm.content == (
        b'{"token":"cust-token-0001","amount":"000005000000","merchantTrxID":"PAYOUT-0001",'
        b'"trxDate":"2026-01-02T03:04:05+00:00","sessionID":"PD5I-0001"}'
    )
    assert confirm.frozen == PARTNER.frozen_body(ctx, order)
    assert (outcome.kind, outcome.partner_reference) == (OutcomeKind.SUCCEEDED, "LJ0001")


def test_what_is_frozen_stands_in_every_attempt(ctx: Context, order: PayoutOrder, say: Say, run: Run) -> None:
    """Another day's attempt under a refreshed customer token and another session."""
    later = msgspec.structs.replace(ctx, now=ctx.now + timedelta(hours=2), serial="76543210987654321")
    refreshed = msgspec.structs.replace(order, grant=Grant(access_token=Secret("cust-token-0002")))
    [_, first], _ = run(PARTNER.payout(ctx, order), say(INQUIRED), say(CONFIRMED))
    [_, second], _ = run(PARTNER.payout(later, refreshed), say({**INQUIRED, "sessionID": "PD5I-2"}), say(CONFIRMED))
    assert first.frozen is not None
    assert first.frozen == second.frozen == PARTNER.frozen_body(ctx, refreshed)
    changing = {"token", "sessionID"}
    for request in (first, second):
        body = json.loads(request.content)
        assert json.loads(first.frozen) == {name: body[name] for name in body if name not in changing}
    other = msgspec.structs.replace(order, amount_rupiah=50_001)
    assert PARTNER.frozen_body(ctx, other) != first.frozen


@pytest.mark.parametrize("code", ["15", "62"])
def test_a_refused_inquiry_ends_the_payout(ctx: Context, order: PayoutOrder, say: Say, run: Run, code: str) -> None:
    requests, outcome = run(PARTNER.payout(ctx, order), say({"responseCode": code}))
    assert (len(requests), outcome.kind) == (1, OutcomeKind.REJECTED)


def test_a_dead_customer_token_stops_the_payout(ctx: Context, order: PayoutOrder, say: Say, run: Run) -> None:
    with pytest.raises(PartnerUnavailable) as raised:
        run(PARTNER.payout(ctx, order), say({"responseCode": "14"}))
    assert raised.value.hint is Hint.CUSTOMER_TOKEN


def test_our_dead_token_at_either_step(ctx: Context, order: PayoutOrder, say: Say, run: Run) -> None:
    with pytest.raises(PartnerUnavailable) as raised:
        run(PARTNER.payout(ctx, order), say({"status": "401"}, 401))
    assert raised.value.hint is Hint.OUR_TOKEN
    _, outcome = run(PARTNER.payout(ctx, order), say(INQUIRED), say({"status": "401"}, 401))
    assert (outcome.kind, outcome.hint) == (OutcomeKind.NOT_ACCEPTED, Hint.OUR_TOKEN)


@pytest.mark.parametrize("content", [b"", b"<html>", b"null", b"[]", b"{}", b'{"data":{"responseCode":0}}'])
def test_an_unreadable_answer_to_the_confirm_is_no_verdict(
    ctx: Context, order: PayoutOrder, say: Say, run: Run, content: bytes
) -> None:
    with pytest.raises(PartnerProtocolError):
        run(PARTNER.payout(ctx, order), say(INQUIRED), Response(status=200, headers={}, content=content))


def test_a_payout_without_a_grant_is_a_bug(ctx: Context, order: PayoutOrder) -> None:
    with pytest.raises(ValueError):
        next(PARTNER.payout(ctx, msgspec.structs.replace(order, grant=None)))


def test_find_payout(ctx: Context, order: PayoutOrder, say: Say, run: Run) -> None:
    plan = PARTNER.find_payout(ctx, msgspec.structs.replace(order, grant=None))
    [request], outcome = run(plan, say({"data": {"responseCode": "25"}}))
    assert (request.operation, request.effect) == ("payout.status", Effect.READ)
    assert outcome.kind is OutcomeKind.NOT_FOUND


def test_statement(ctx: Context, say: Say, run: Run) -> None:
    page = say({"status": "00", "data": {"rows": [], "page": 2, "pages": 2}})
    [request], result = run(PARTNER.statement(ctx, ctx.now.date(), "2"), page)
    assert (request.operation, request.target) == ("statement", "/v1/cashin/report?date=2026-01-02&page=2")
    assert result.next_cursor is None


def test_each_operation_needs_one_token_at_most() -> None:
    """So that a hint at our token says which one."""
    assert all(len(tokens) == 1 for tokens in PARTNER.manifest.needs.values())
