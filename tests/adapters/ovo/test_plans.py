"""OVO's plans driven by hand: which requests, in which order, and what comes out."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from adapters.ovo import PARTNER
from contracts.errors import (
    Hint,
    PartnerError,
    PartnerUnavailable,
)
from contracts.identity import IdentityQuery, Verdict
from contracts.linking import Grant, LinkFinish, LinkGranted, LinkRedirect, LinkStart, Unlinked, UnlinkOrder
from contracts.partner import AccessToken, Context
from contracts.payout import OutcomeKind, PayoutOrder
from contracts.plan import Effect, Request, Response
from contracts.secret import Secret

Say = Callable[..., Response]
Run = Callable[..., tuple[list[Request], Any]]

INQUIRED = {"customerNumber": "081234567890", "customerName": "BUDI", "feeAmount": {"value": "0.00", "currency": "IDR"}}
BOOKED = {
    "referenceNo": "ovo-tx-1",
    "partnerReferenceNo": "0112345678901234567",
    "customerNumber": "081234567890",
    "amount": {"value": "600000.00", "currency": "IDR"},
}


def test_token(ctx: Context, say: Say, run: Run) -> None:
    issued = say("2007300", accessToken="b2b-1", tokenType="Bearer", expiresIn="900")
    [request], token = run(PARTNER.fetch_token(ctx, "snap", None), issued)
    assert (request.operation, request.effect) == ("token.snap", Effect.READ)
    assert token == AccessToken(value=Secret("b2b-1"), life_s=900.0)
    _, unnamed = run(PARTNER.fetch_token(ctx, "snap", token), say("2007300", accessToken="b2b-2"))
    assert unnamed.life_s == 900.0
    with pytest.raises(PartnerUnavailable) as raised:
        run(PARTNER.fetch_token(ctx, "snap", None), say("4017300"))
    assert raised.value.hint is Hint.CREDENTIALS


def test_a_token_unknown_here_is_refused(ctx: Context) -> None:
    with pytest.raises(KeyError):
        next(PARTNER.fetch_token(ctx, "legacy", None))


def test_linking(ctx: Context, start: LinkStart, finish: LinkFinish, say: Say, run: Run) -> None:
    bound = say("2000700", referenceNo="ovo-ref-1", linkageToken="linkage-0001", redirectUrl="https://ovo.test/linkage")
    [begin], step = run(PARTNER.begin_link(ctx, start), bound)
    assert begin.operation == "link.begin"
    assert "Authorization" not in begin.headers
    assert isinstance(step, LinkRedirect)
    assert step.carry == finish.carry
    granted = say("2007400", accessToken="cust-1", refreshToken="refresh-1", tokenExpiresIn=1_296_000, ilp="p-1")
    [exchange], step = run(PARTNER.finish_link(ctx, finish), granted)
    assert (exchange.operation, exchange.effect) == ("link.exchange", Effect.WRITE)
    assert isinstance(step, LinkGranted)
    assert step.grant.expires_at == ctx.now + timedelta(days=15)


def test_unlinking_takes_two_calls(ctx: Context, unlink_order: UnlinkOrder, say: Say, run: Run) -> None:
    begun, ended = say("2000900", accessToken="unbind-0001"), say("2000900")
    requests, step = run(PARTNER.unlink(ctx, unlink_order), begun, ended)
    assert [request.effect for request in requests] == [Effect.READ, Effect.WRITE]
    assert [request.headers["Authorization"] for request in requests] == [
        "Bearer cust-token-0001",
        "Bearer unbind-0001",
    ]
    assert step == Unlinked(partner_code="2000900")


@pytest.mark.parametrize("code", ["4010901", "4010902", "4010904"])
def test_already_unlinked(ctx: Context, unlink_order: UnlinkOrder, say: Say, run: Run, code: str) -> None:
    requests, step = run(PARTNER.unlink(ctx, unlink_order), say(code))
    assert (len(requests), step) == (1, Unlinked(partner_code=code))


@pytest.mark.parametrize("code", ["4010900", "5000900", "4000902"])
def test_unlinking_that_could_not_begin(ctx: Context, unlink_order: UnlinkOrder, say: Say, run: Run, code: str) -> None:
    with pytest.raises(PartnerUnavailable):
        run(PARTNER.unlink(ctx, unlink_order), say(code))
    with pytest.raises(PartnerUnavailable):
        run(PARTNER.unlink(ctx, unlink_order), say("2000900", accessToken="unbind-0001"), say(code))


def test_verification(ctx: Context, query: IdentityQuery, say: Say, run: Run) -> None:
    reply = say("2003700", **INQUIRED, additionalInfo={"identificationMatch": "MATCH", "customerLevel": "OVO_PREMIER"})
    [request], answer = run(PARTNER.verify_nik(ctx, query), reply)
    assert (request.operation, request.effect) == ("identity.verify", Effect.READ)
    assert request.headers["Authorization-Customer"] == "Bearer cust-token-0001"
    assert answer.verdict is Verdict.MATCH


def test_payout(ctx: Context, order: PayoutOrder, say: Say, run: Run) -> None:
    requests, outcome = run(PARTNER.payout(ctx, order), say("2003700", **INQUIRED), say("2003800", **BOOKED))
    assert [(request.operation, request.effect) for request in requests] == [
        ("payout.inquiry", Effect.READ),
        ("payout.transfer", Effect.WRITE),
    ]
    inquiry, topup = requests
    assert inquiry.headers["Authorization-Customer"] == "Bearer cust-token-0001"
    assert "Authorization-Customer" not in topup.headers
    assert topup.content == PARTNER.frozen_body(ctx, order)
    assert (topup.frozen, topup.timeout_s) == (None, 30.0)
    assert inquiry.headers["X-EXTERNAL-ID"] != topup.headers["X-EXTERNAL-ID"]
    assert outcome.kind is OutcomeKind.SUCCEEDED


def test_attempts_differ_in_their_signature_alone(ctx: Context, order: PayoutOrder, say: Say, run: Run) -> None:
    later = msgspec.structs.replace(
        ctx, now=ctx.now + timedelta(hours=2), serial="76543210987654321", tokens={"snap": Secret("b2b-2")}
    )
    refreshed = msgspec.structs.replace(order, grant=Grant(access_token=Secret("cust-2")))
    replies = (say("2003700", **INQUIRED), say("2003800", **BOOKED))
    [_, first], _ = run(PARTNER.payout(ctx, order), *replies)
    [_, second], _ = run(PARTNER.payout(later, refreshed), *replies)
    assert first.content == second.content == PARTNER.frozen_body(ctx, refreshed)
    differing = {name for name in first.headers if first.headers[name] != second.headers[name]}
    assert differing == {"X-TIMESTAMP", "X-SIGNATURE", "X-EXTERNAL-ID", "Authorization"}


def test_an_account_over_its_cap_is_not_paid(ctx: Context, order: PayoutOrder, say: Say, run: Run) -> None:
    requests, outcome = run(PARTNER.payout(ctx, order), say("4033702"))
    assert (len(requests), outcome.kind) == (1, OutcomeKind.REJECTED)


def test_a_dead_customer_token_stops_the_payout(ctx: Context, order: PayoutOrder, say: Say, run: Run) -> None:
    with pytest.raises(PartnerUnavailable) as raised:
        run(PARTNER.payout(ctx, order), say("4013702"))
    assert raised.value.hint is Hint.CUSTOMER_TOKEN


@pytest.mark.parametrize("content", [b"", b"<html>502</html>", b"null", b"[]", b'{"responseCode":2003800}'])
@pytest.mark.parametrize("status", [200, 401, 403, 500, 502, 504])
def test_an_unreadable_answer_to_the_top_up_is_no_verdict(
    ctx: Context, order: PayoutOrder, say: Say, run: Run, status: int, content: bytes
) -> None:
    damaged = Response(status=status, headers={}, content=content)
    with pytest.raises(PartnerError):
        run(PARTNER.payout(ctx, order), say("2003700", **INQUIRED), damaged)


def test_a_payout_without_a_grant_is_a_bug(ctx: Context, order: PayoutOrder) -> None:
    with pytest.raises(ValueError):
        next(PARTNER.payout(ctx, msgspec.structs.replace(order, grant=None)))


def test_find_payout(ctx: Context, order: PayoutOrder, say: Say, run: Run) -> None:
    plan = PARTNER.find_payout(ctx, msgspec.structs.replace(order, grant=None))
    [request], outcome = run(plan, say("2003900", latestTransactionStatus="03"))
    assert (request.operation, request.effect) == ("payout.status", Effect.READ)
    assert json.loads(request.content) == {"originalPartnerReferenceNo": order.reference, "serviceCode": "38"}
    assert outcome.kind is OutcomeKind.PENDING


def test_statement_and_balance(ctx: Context, say: Say, run: Run) -> None:
    page = say("2001200", detailData=[], additionalInfo={"page": "3", "hasMore": "N"})
    [request], result = run(PARTNER.statement(ctx, ctx.now.date(), "3"), page)
    assert (request.operation, request.method) == ("statement", "GET")
    assert result.lines == ()
    deposit = {"balanceType": "DEPOSIT", "availableBalance": {"value": "5.00", "currency": "IDR"}}
    [request], left = run(PARTNER.balance(ctx), say("2001100", accountInfos=[deposit]))
    assert (request.operation, left.amount_rupiah) == ("balance", 5)
