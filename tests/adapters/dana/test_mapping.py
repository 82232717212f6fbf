"""What DANA's own acceptance tests answer (dana.md, UAT): who is refused, and for what."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from adapters.dana import PARTNER
from contracts.errors import Hint, PartnerProtocolError, PartnerUnavailable
from contracts.incentive import BlockerCode
from contracts.linking import Grant, LinkFinish, LinkRefused
from contracts.partner import Blame, Context
from contracts.payout import Outcome, OutcomeKind, PayoutOrder
from contracts.plan import Response
from contracts.secret import Secret
from tests.adapters.playing import drive, json_reply, snap_reply
from tests.adapters.story import NAME, PHONE, REFERENCE

B = BlockerCode
FROZEN, NOBODY = ({"additionalInfo": {"resultMsg": f"PAYEE_USER_{word}"}} for word in ("STATUS_DISABLE", "NOT_EXIST"))


@pytest.fixture
def order() -> PayoutOrder:
    made_at = datetime(2026, 1, 1, 20, 4, 5, tzinfo=UTC)
    return PayoutOrder(
        reference=REFERENCE, amount_rupiah=600_000, account=PHONE, phone=PHONE,
        name=NAME, created_at=made_at, grant=None,
    )  # fmt: skip


def inquired(ctx: Context, order: PayoutOrder, code: str, **fields: Any) -> Outcome:
    return drive(PARTNER.payout(ctx, order), snap_reply(code, **fields))[1]


DONE = {"customerNumber": "6281234567890", "amount": {"value": "600000.00", "currency": "IDR"}}


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, OutcomeKind.SUCCEEDED),
        ({"referenceNo": ""}, OutcomeKind.SUCCEEDED),
        ({"referenceNo": "tx-1"}, OutcomeKind.SUCCEEDED),
        ({"latestTransactionStatus": "06"}, None),
        ({"partnerReferenceNo": "1000000000000000999"}, None),
        ({"partnerReferenceNo": None}, None),
        ({"partnerReferenceNo": None, "referenceNo": "tx-1"}, OutcomeKind.SUCCEEDED),
    ],
)
def test_a_top_up_is_made_though_no_number_is_told(
    ctx: Context, order: PayoutOrder, fields: dict[str, Any], kind: OutcomeKind | None
) -> None:
    """DANA does not promise one: each such payment was in doubt, and five of them held the partner."""
    replies = (
        snap_reply("2003700", **DONE),
        snap_reply("2003800", **DONE, **{"partnerReferenceNo": REFERENCE, **fields}),
    )
    if kind is None:
        with pytest.raises(PartnerProtocolError):
            drive(PARTNER.payout(ctx, order), *replies)
        return
    assert drive(PARTNER.payout(ctx, order), *replies)[1].kind is kind


def test_who_we_are_stands_beside_a_request_for_a_token(ctx: Context) -> None:
    """DANA's document and client send both there, which the standard does not."""
    grant = Grant(access_token=Secret("a"), refresh_token=Secret("r"), extra={"account": PHONE})
    finish = LinkFinish(
        link_id="L1", reference=REFERENCE, code=Secret("c"), carry={}, redirect_uri="x", phone=PHONE, account=PHONE
    )
    for plan in (PARTNER.finish_link(ctx, finish), PARTNER.refresh_grant(ctx, grant)):
        headers = next(plan).headers
        assert headers["X-PARTNER-ID"] == headers["X-CLIENT-KEY"] == ctx.credential("client_id")
        assert headers["CHANNEL-ID"] == ctx.credential("channel_id")


@pytest.mark.parametrize(
    ("code", "fields", "reason"),
    [
        ("4033705", FROZEN, B.ACCOUNT_BLOCKED),
        ("4033705", NOBODY, B.ACCOUNT_NOT_FOUND),
        ("4033705", {"additionalInfo": {"resultMsg": "payee_user_not_exist"}}, B.ACCOUNT_NOT_FOUND),
        ("4033705", {}, B.ACCOUNT_BLOCKED),
        ("4033705", {"additionalInfo": {"resultMsg": ["PAYEE_USER_NOT_EXIST"]}}, B.ACCOUNT_BLOCKED),
        ("4033702", {"additionalInfo": {"resultMsg": "EXCEED_BALANCE_LIMIT"}}, B.BALANCE_LIMIT),
        ("4033702", NOBODY, B.BALANCE_LIMIT),
    ],
)
def test_an_inquiry_refuses_the_payee(
    ctx: Context, order: PayoutOrder, code: str, fields: dict[str, Any], reason: BlockerCode
) -> None:
    """It was "could not tell": tried again without end, and five such people stopped the partner for everybody."""
    said = inquired(ctx, order, code, **fields)
    assert (said.kind, said.reason, said.partner_code) == (OutcomeKind.REJECTED, reason, code)
    assert PARTNER.manifest.blames(code) is Blame.PERSON


@pytest.mark.parametrize(
    ("code", "fields", "kind", "reason"),
    [
        ("4033805", {}, OutcomeKind.REJECTED, B.ACCOUNT_BLOCKED),
        ("4033805", NOBODY, OutcomeKind.REJECTED, B.ACCOUNT_NOT_FOUND),
        ("4033802", {}, OutcomeKind.REJECTED, B.BALANCE_LIMIT),
        ("4033814", {}, OutcomeKind.NOT_ACCEPTED, None),
        ("4033805", {"latestTransactionStatus": "03"}, OutcomeKind.UNKNOWN, None),
        ("4043818", {}, OutcomeKind.UNKNOWN, None),
        ("5003800", {}, OutcomeKind.UNKNOWN, None),
        ("5003801", {}, OutcomeKind.UNKNOWN, None),
        ("4003802", {}, OutcomeKind.UNKNOWN, None),
    ],
)
def test_a_top_up_is_refused(
    ctx: Context, order: PayoutOrder, code: str, fields: dict[str, Any], kind: OutcomeKind, reason: BlockerCode | None
) -> None:
    asked = {"customerNumber": "6281234567890", "amount": {"value": "600000.00", "currency": "IDR"}}
    _, said = drive(PARTNER.payout(ctx, order), snap_reply("2003700", **asked), snap_reply(code, **fields))
    assert (said.kind, said.reason) == (kind, reason)


def said(code: str, message: str) -> Response:
    return json_reply({"responseCode": code, "responseMessage": message}, int(code[:3]))


@pytest.mark.parametrize("words", ["Auth Code Expired", "Auth Code Used", "Invalid Auth Code", "AUTH CODE USED"])
def test_a_code_that_is_over_is_nobodys_wrong_signature(ctx: Context, words: str) -> None:
    """DANA refuses both in one code: a participant who was slow was told of as our key refused."""
    finish = LinkFinish(
        link_id="L00000000000000001", reference=REFERENCE, code=Secret("code-0001"), carry={},
        redirect_uri="https://gateway.example/callbacks/dana/link?st=s", phone=PHONE, account=PHONE,
    )  # fmt: skip
    reply = said("4017400", f"Unauthorized. {words}")
    _, step = drive(PARTNER.finish_link(ctx, finish), reply)
    assert step == LinkRefused(code=B.CONSENT_ABANDONED, partner_code="4017400")
    for other in ("Unauthorized. Invalid Signature", "java.security.SignatureException: Signature length not correct"):
        with pytest.raises(PartnerUnavailable) as refused:
            drive(PARTNER.finish_link(ctx, finish), said("4017400", other))
        assert refused.value.hint is Hint.CREDENTIALS
