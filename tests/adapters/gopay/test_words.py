"""Iris refuses in words alone: which of them speak of us, and never of a person (MT error-mapping, wallets.md 2.6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from adapters.gopay import PARTNER
from contracts.errors import Hint, PartnerUnavailable
from contracts.hold import CallFault
from contracts.identity import IdentityQuery, Verdict
from contracts.incentive import BlockerCode
from contracts.partner import Context
from contracts.payout import OutcomeKind, PayoutOrder
from contracts.plan import Response
from gateway.partners.watch import LastAnswer, of_result

Drive = Callable[..., Any]
Answer = Callable[..., Response]
SHORT = ("Partner does not have sufficient balance", "Insufficient balance for the account validation")
NOBODYS = ("Something went wrong", "Cannot reach", "Bank account validation is currently unavailable")
THEIRS = ("Account does not exist", "Invalid bank account", "Account is dormant", "Account is closed")
VALIDATING = "An error occured when doing account validation"


def shapes(words: str) -> list[object]:
    """A refusal as a list by payout, as an object by number or field, and as its own message."""
    head = {"error_message": "An error occurred when creating payouts"}
    return [
        head | {"errors": [[words]]},
        head | {"errors": {"0": [words.upper()]}},
        head | {"errors": [words]},
        {"error_message": words, "errors": []},
    ]


@pytest.mark.parametrize("words", SHORT)
@pytest.mark.parametrize("plan", [PARTNER.prepare, PARTNER.approve])
def test_a_deposit_that_is_too_small_refuses_nobody(
    plan: Any, words: str, ctx: Context, order: PayoutOrder, drive: Drive, answer: Answer
) -> None:
    """A create was the person's payment refused, each a case of its own; an approval was in doubt."""
    for body in shapes(words):
        said, _ = drive(plan(ctx, order), answer(400, body, **{"retry-after": "7"}))
        assert (said.kind, said.hint, said.retry_after_s) == (OutcomeKind.NOT_ACCEPTED, Hint.FLOAT_SHORT, 7.0)
        told = of_result(said, LastAnswer(), PARTNER.manifest)
        assert (told.good, told.fault, told.words) == (False, CallFault.FLOAT_SHORT, "016"), "it holds everybody"
    said, _ = drive(plan(ctx, order), answer(403, shapes(words)[0]))
    assert (said.kind, said.hint) == (OutcomeKind.NOT_ACCEPTED, Hint.FLOAT_SHORT)
    for status in (404, 409, 422, 500, 502, 503, 504):
        try:
            said, _ = drive(plan(ctx, order), answer(status, shapes(words)[0]))
        except PartnerUnavailable:
            continue
        assert said.kind is OutcomeKind.UNKNOWN, "only where Iris refuses is nothing done"


@pytest.mark.parametrize("words", NOBODYS)
def test_words_of_what_cannot_be_reached_refuse_no_payment(
    words: str, ctx: Context, order: PayoutOrder, drive: Drive, answer: Answer
) -> None:
    for body in shapes(words):
        for plan in (PARTNER.prepare, PARTNER.approve):
            said, _ = drive(plan(ctx, order), answer(400, body))
            assert said.kind is OutcomeKind.UNKNOWN


@pytest.mark.parametrize("words", THEIRS)
def test_words_about_the_account_still_refuse(
    words: str, ctx: Context, order: PayoutOrder, drive: Drive, answer: Answer
) -> None:
    said, _ = drive(PARTNER.prepare(ctx, order), answer(400, shapes(words)[0]))
    assert (said.kind, said.reason) == (OutcomeKind.REJECTED, BlockerCode.PARTNER_REJECTED)


@pytest.mark.parametrize("content", [b"HTTP Basic: Access denied.\n", b'"HTTP Basic: Access denied"'])
def test_a_key_that_iris_does_not_know_has_done_nothing(
    content: bytes, ctx: Context, order: PayoutOrder, drive: Drive
) -> None:
    """Its server says so in plain text, which was no verdict: every create under a wrong key was in doubt."""
    for plan in (PARTNER.prepare, PARTNER.approve, PARTNER.withdraw):
        said, _ = drive(plan(ctx, order), Response(status=401, headers={}, content=content))
        assert (said.kind, said.hint) == (OutcomeKind.NOT_ACCEPTED, Hint.CREDENTIALS)
        with pytest.raises(PartnerUnavailable):
            drive(plan(ctx, order), Response(status=401, headers={}, content=b"<html>401</html>"))


def test_a_key_that_may_not_has_done_nothing(ctx: Context, order: PayoutOrder, drive: Drive, answer: Answer) -> None:
    """403 in Iris' own words was no verdict; of a firewall it is none."""
    for plan in (PARTNER.prepare, PARTNER.approve, PARTNER.withdraw):
        words = {"error_message": "You are not authorized to perform this action", "errors": []}
        said, _ = drive(plan(ctx, order), answer(403, words))
        assert (said.kind, said.hint, said.partner_code) == (OutcomeKind.NOT_ACCEPTED, Hint.CREDENTIALS, "403")
        with pytest.raises(PartnerUnavailable):
            drive(plan(ctx, order), answer(403, b"<html>Request blocked</html>"))
        key = {"error_message": "idempotency-key is not unique", "errors": "idempotency-key is not unique"}
        assert drive(plan(ctx, order), answer(403, key))[0].kind is OutcomeKind.UNKNOWN, "something stands there"


def test_a_name_that_iris_cannot_tell_leaves_no_account_unproved(
    ctx: Context, query: IdentityQuery, drive: Drive, answer: Answer
) -> None:
    """Our deposit paid for the question, or the bank was away: each person who had matched was told of as unproved."""
    ktp = {"documentNumber": query.nik.reveal(), "name": "SITI NURHALIZA"}
    data = {"status": "COMPLETED", "result": "VALID", "submissionData": {"ktp": ktp}}
    pull = answer(200, {"success": True, "data": data})
    for words in (*SHORT, *NOBODYS):
        for errors in ({"account": [words]}, {"balance": [words]}, [words]):
            for status in (400, 403):
                refusal = answer(status, {"id": "x", "error_message": VALIDATING, "errors": errors})
                with pytest.raises(PartnerUnavailable) as raised:
                    drive(PARTNER.verify_nik(ctx, query), pull, refusal)
                assert raised.value.hint is (Hint.FLOAT_SHORT if words in SHORT else Hint.NONE)
    for words in THEIRS:
        refusal = answer(400, {"id": "x", "error_message": VALIDATING, "errors": {"account": [words]}})
        found, _ = drive(PARTNER.verify_nik(ctx, query), pull, refusal)
        assert found.verdict is Verdict.ACCOUNT_UNPROVED
