"""BNI's plans driven by hand over the sheet's answers: what is sent, in which order, and what comes out."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from adapters.bni import PARTNER
from adapters.bni.manifest import MANIFEST
from contracts.errors import (
    Hint,
    PartnerError,
    PartnerProtocolError,
    PartnerUnavailable,
)
from contracts.incentive import BlockerCode
from contracts.observation import StatementKind, StatementPage
from contracts.partner import Capability
from contracts.payout import Outcome, OutcomeKind
from contracts.plan import Effect, Plan, Request, Response
from contracts.secret import Secret
from tests.adapters.bni import samples
from tests.adapters.bni.samples import drive, reply

ALL_PLANS: dict[str, tuple[Callable[[], Plan[Any]], tuple[Response, ...]]] = {
    "fetch_token": (
        lambda: PARTNER.fetch_token(samples.context(), "snap", None),
        (reply("2007300", {"accessToken": "t", "tokenType": "Bearer", "expiresIn": "900"}),),
    ),
    "bind": (
        lambda: PARTNER.answer_link(samples.context(), samples.link_answer({"card_no": samples.CARD})),
        (reply("2000700", samples.BOUND),),
    ),
    "otp": (
        lambda: PARTNER.answer_link(samples.context(), samples.link_answer({"otp": samples.OTP}, samples.CARRY)),
        (reply("2000400"),),
    ),
    "unlink": (
        lambda: PARTNER.unlink(samples.context(), samples.unlink_order()),
        (reply("2008100", {"chargeToken": "charge-2"}),),
    ),
    "unbind": (
        lambda: PARTNER.unlink(
            samples.context(), samples.unlink_order({"otp": samples.OTP}, {"chargeToken": "charge-2"})
        ),
        (reply("2000900"),),
    ),
    "verify_nik": (
        lambda: PARTNER.verify_nik(samples.context(), samples.query()),
        (reply("2009700", {"additionalInfo": {"identificationNoMatch": "Y"}}),),
    ),
    "payout": (
        lambda: PARTNER.payout(samples.context(), samples.order()),
        (reply("2001500", samples.INQUIRED), reply("2001700", samples.TRANSFERRED)),
    ),
    "find_payout": (lambda: PARTNER.find_payout(samples.context(), samples.order()), (samples.status_of("00"),)),
    "statement": (
        lambda: PARTNER.statement(samples.context(), date(2026, 1, 15), None),
        (samples.statement(samples.booking()),),
    ),
    "balance": (
        lambda: PARTNER.balance(samples.context()),
        (reply("2001100", {"accountInfos": [{"availableBalance": samples.amount(5_000_000)}]}),),
    ),
}

BODIES: dict[str, list[str]] = {
    "fetch_token": ['{"grantType":"client_credentials","additionalInfo":{}}'],
    "bind": [
        '{"partnerReferenceNo":"0126011510000000001","merchantId":"autopay-merchant","additionalData":'
        '{"bankAccountNo":"0115476151","bankCardNo":"2223307924402685","limit":"1.00","email":""},'
        '"additionalInfo":{"custIdMerchant":"L00000000000000001"}}'
    ],
    "otp": [
        '{"merchantId":"autopay-merchant","originalPartnerReferenceNo":"0126011510000000001",'
        '"originalReferenceNo":"BNI-INNER-1","chargeToken":"charge-1","otp":"482913","additionalInfo":{}}'
    ],
    "unlink": [
        '{"merchantId":"autopay-merchant","partnerReferenceNo":"0126011510000000001",'
        '"journeyID":"2601151000000004200","bankCardToken":"card-token-1","otpReasonCode":"09",'
        '"otpReasonMessage":"Account Unbinding","additionalInfo":{"expiredOtp":"2026-01-15T10:05:00+07:00"},'
        '"externalStoreId":""}'
    ],
    "unbind": [
        '{"merchantId":"autopay-merchant","partnerReferenceNo":"0126011510000000001","otp":"482913",'
        '"bankCardToken":"card-token-1","chargeToken":"charge-2","additionalInfo":'
        '{"custIdMerchant":"L00000000000000001"}}'
    ],
    "verify_nik": [
        '{"partnerReferenceNo":"0126011510000000001","accountNo":"0115476151","bankCardToken":"card-token-1",'
        '"identificationNo":"3374141308759921","identificationType":"02"}'
    ],
    "payout": [
        '{"partnerReferenceNo":"2601151000000004200","beneficiaryAccountNo":"0115476151"}',
        '{"partnerReferenceNo":"0126011510000000001","amount":{"value":"600000.00","currency":"IDR"},'
        '"beneficiaryAccountNo":"0115476151","beneficiaryEmail":"","currency":"IDR",'
        '"customerReference":"0126011510000000001","feeType":"OUR","remark":"0126011510000000001",'
        '"sourceAccountNo":"0115476117","transactionDate":"2026-01-15T08:02:03+07:00"}',
    ],
    "find_payout": [
        '{"originalPartnerReferenceNo":"0126011510000000001","originalReferenceNo":"","originalExternalId":"",'
        '"serviceCode":"17","transactionDate":"2026-01-15T08:02:03+07:00",'
        '"amount":{"value":"600000.00","currency":"IDR"}}'
    ],
    "statement": [
        '{"partnerReferenceNo":"2601151000000004200","accountNo":"0115476117",'
        '"fromDateTime":"2026-01-15T00:00:00+07:00","toDateTime":"2026-01-15T23:59:59+07:00",'
        '"additionalInfo":{"page":"1"}}'
    ],
    "balance": ['{"partnerReferenceNo":"2601151000000004200","accountNo":"0115476117"}'],
}
ROUTES: dict[str, list[tuple[str, str, str, Effect, float]]] = {
    "fetch_token": [("token.snap", "snap", "/snap/v1/access-token/b2b", Effect.READ, 10.0)],
    "bind": [("link.begin", "autopay", "/v1.0/registration-account-binding", Effect.WRITE, 15.0)],
    "otp": [("link.exchange", "autopay", "/v1.0/otp-verification", Effect.WRITE, 15.0)],
    "unlink": [("unlink.otp", "autopay", "/v1.0/otp", Effect.WRITE, 15.0)],
    "unbind": [("unlink", "autopay", "/v1.0/registration-account-unbinding", Effect.WRITE, 15.0)],
    "verify_nik": [("identity.verify", "snap", "/snap-service/v1/account-kyc-verification", Effect.READ, 15.0)],
    "payout": [
        ("payout.inquiry", "snap", "/snap-service/v1/account-inquiry-internal", Effect.READ, 15.0),
        ("payout.transfer", "snap", "/snap-service/v1/transfer-intrabank", Effect.WRITE, 30.0),
    ],
    "find_payout": [("payout.status", "snap", "/snap-service/v1/transfer/status", Effect.READ, 15.0)],
    "statement": [("statement", "snap", "/snap-service/v1/bank-statement", Effect.READ, 15.0)],
    "balance": [("balance", "snap", "/snap-service/v1/balance-inquiry", Effect.READ, 15.0)],
}


@pytest.mark.parametrize("name", ALL_PLANS)
def test_a_plans_requests_to_the_byte(name: str) -> None:
    start, replies = ALL_PLANS[name]
    sent, _ = drive(start(), *replies)
    assert [request.content.decode() for request in sent] == BODIES[name]
    assert [(r.operation, r.host, r.target, r.effect, r.timeout_s) for r in sent] == ROUTES[name]
    assert {request.method for request in sent} == {"POST"}


@pytest.mark.parametrize("name", ALL_PLANS)
def test_the_same_context_gives_the_same_requests(name: str) -> None:
    start, replies = ALL_PLANS[name]
    assert drive(start(), *replies) == drive(start(), *replies)


@pytest.mark.parametrize("name", ALL_PLANS)
def test_a_plan_has_at_most_one_write_and_it_is_last(name: str) -> None:
    start, replies = ALL_PLANS[name]
    sent, _ = drive(start(), *replies)
    assert all(request.effect is Effect.READ for request in sent[:-1])


@pytest.mark.parametrize("name", ALL_PLANS)
def test_every_request_has_a_number_of_its_own(name: str) -> None:
    start, replies = ALL_PLANS[name]
    sent, _ = drive(start(), *replies)
    numbers = [request.headers.get("X-EXTERNAL-ID") for request in sent]
    assert len(set(numbers)) == len(numbers), "BNI refuses a number used twice (decision X5)"


@pytest.mark.parametrize("name", ALL_PLANS)
def test_nothing_personal_shows_in_targets_or_reprs(name: str) -> None:
    start, replies = ALL_PLANS[name]
    sent, result = drive(start(), *replies)
    shown = repr((sent, result)) + "".join(request.target for request in sent)
    hidden = [samples.ACCOUNT, samples.CARD, samples.OTP, samples.NIK, "SITI", "6281234567890", "charge-", "card-token"]
    assert not [value for value in [*hidden, *samples.CREDENTIALS.values()] if len(value) > 5 and value in shown]


# --- tokens ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("named", "life_s"),
    [({"expiresIn": "840"}, 840.0), ({"expiresIn": 840}, 840.0), ({"expiresIn": "899000"}, 900.0), ({}, 900.0)],
)
def test_a_token_lives_as_long_as_the_answer_says(named: dict[str, Any], life_s: float) -> None:
    plan = PARTNER.fetch_token(samples.context(), "autopay", None)
    _, token = drive(plan, reply("2007300", {"accessToken": "t-1", **named}))
    assert (token.value.reveal(), token.life_s) == ("t-1", life_s)


@pytest.mark.parametrize("named", ["0", "-1", "", "9" * 10, "1e3", True, 0, -1, None, [], {}])
def test_a_life_that_is_none_leaves_the_documents(named: Any) -> None:
    plan = PARTNER.fetch_token(samples.context(), "snap", None)
    _, token = drive(plan, reply("2007300", {"accessToken": "t-1", "expiresIn": named}))
    assert token.life_s == 900.0


@pytest.mark.parametrize(("named", "life_s"), [("899", 899), (899, 899), ("899.0", 899), (899.5, 899.5), ("60", 60)])
def test_a_life_may_be_written_in_any_way(named: Any, life_s: float) -> None:
    plan = PARTNER.fetch_token(samples.context(), "snap", None)
    _, token = drive(plan, reply("2007300", {"accessToken": "t-1", "expiresIn": named}))
    assert token.life_s == life_s


def test_refused_credentials_are_the_operators() -> None:
    with pytest.raises(PartnerUnavailable) as raised:
        drive(PARTNER.fetch_token(samples.context(), "snap", None), reply("4017300"))
    assert raised.value.hint is Hint.CREDENTIALS


# --- payouts --------------------------------------------------------------------------------------------------------


def test_a_payout_is_an_inquiry_and_a_transfer() -> None:
    _, outcome = drive(*payout_of(reply("2001700", samples.TRANSFERRED)))
    assert outcome.kind is OutcomeKind.SUCCEEDED
    assert (outcome.amount_rupiah, outcome.partner_reference) == (600_000, "BNI-777")
    assert outcome.account == Secret(samples.ACCOUNT)


def payout_of(transfer: Response) -> tuple[Plan[Outcome], Response, Response]:
    return PARTNER.payout(samples.context(), samples.order()), reply("2001500", samples.INQUIRED), transfer


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("4001501", BlockerCode.ACCOUNT_BLOCKED),
        ("4031518", BlockerCode.ACCOUNT_BLOCKED),
        ("4031509", BlockerCode.ACCOUNT_BLOCKED),
        ("4041511", BlockerCode.ACCOUNT_NOT_FOUND),
    ],
)
def test_the_inquiry_refuses_before_any_write(code: str, reason: BlockerCode) -> None:
    sent, outcome = drive(PARTNER.payout(samples.context(), samples.order()), reply(code))
    assert [request.effect for request in sent] == [Effect.READ]
    assert (outcome.kind, outcome.reason, outcome.technical) == (OutcomeKind.REJECTED, reason, False)


@pytest.mark.parametrize(
    ("code", "hint"),
    [("4011501", Hint.OUR_TOKEN), ("4291500", Hint.THROTTLED), ("4031506", Hint.LATER), ("5001500", Hint.NONE)],
)
def test_an_inquiry_that_cannot_tell_ends_the_plan_unsent(code: str, hint: Hint) -> None:
    with pytest.raises(PartnerUnavailable) as raised:
        drive(PARTNER.payout(samples.context(), samples.order()), reply(code))
    assert raised.value.hint is hint


def test_an_inquiry_about_another_account_ends_the_plan_unsent() -> None:
    with pytest.raises(PartnerProtocolError):
        drive(
            PARTNER.payout(samples.context(), samples.order()),
            reply("2001500", {**samples.INQUIRED, "beneficiaryAccountNo": "0115476152"}),
        )


def test_a_look_up_names_the_transfer_as_it_was_sent() -> None:
    request: Request = next(PARTNER.find_payout(samples.context(), samples.order(partner_reference="BNI-777")))
    assert json.loads(request.content)["originalReferenceNo"] == "BNI-777"


# --- statement and balance ------------------------------------------------------------------------------------------


def page(answer: Response, cursor: str | None = None) -> Any:
    return drive(PARTNER.statement(samples.context(), date(2026, 1, 15), cursor), answer)[1]


def test_a_statements_lines_in_our_words() -> None:
    kinds = [
        ("TRANSFER", "DEBIT", StatementKind.CREDIT),
        ("REVERSAL", "CREDIT", StatementKind.REVERSAL),
        ("FEE", "DEBIT", StatementKind.FEE),
        ("DEPOSIT", "CREDIT", StatementKind.OTHER),
    ]
    found = page(samples.statement(*(samples.booking(kind, side) for kind, side, _ in kinds)))
    assert [line.kind for line in found.lines] == [ours for _, _, ours in kinds]
    assert found.next_cursor is None
    line = found.lines[0]
    assert (line.amount_rupiah, line.reference, line.partner_reference) == (600_000, samples.REFERENCE, "BNI-777")
    assert line.account == Secret(samples.ACCOUNT)
    assert line.booked_at == datetime(2026, 1, 15, 3, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize(("kind", "side"), [("FEE", "DEBIT"), ("DEPOSIT", "CREDIT")])
def test_the_sen_of_what_is_no_payment_spoil_no_day(kind: str, side: str) -> None:
    """Interest and fees have them; the amount of a payment has none."""
    odd = {**samples.booking(kind, side), "amount": {"value": "12345.67", "currency": "IDR"}}
    found = page(samples.statement(samples.booking(), odd))
    assert ([line.amount_rupiah for line in found.lines], found.unreadable) == ([600_000, 12_345], 0)


def test_a_statements_pages_follow_each_other() -> None:
    assert page(samples.statement(samples.booking(), more="Y")).next_cursor == "2"
    plan = PARTNER.statement(samples.context(), date(2026, 1, 15), "2")
    assert json.loads(next(plan).content)["additionalInfo"] == {"page": "2"}
    assert page(samples.statement(page="2"), "2").lines == ()


@pytest.mark.parametrize(
    ("entries", "whole"), [(1, True), ("0", True), (None, True), ({}, True), ("x", True), (2, False), ("2", False)]
)
def test_a_list_that_says_that_there_is_more_proves_nothing_absent(entries: Any, whole: bool) -> None:
    body = json.loads(samples.statement(samples.booking()).content)
    told = {"totalDebitEntries": {"numberOfEntries": entries}, "totalCreditEntries": {"numberOfEntries": "0"}}
    found = page(reply("2001400", {**body, **told}))
    assert (len(found.lines), found.proves_absence) == (1, whole)


def test_a_booking_that_names_two_payments_is_neither() -> None:
    two = samples.booking() | {"remark": "1000000000000000999"}
    found = page(samples.statement(two, samples.booking(), samples.booking() | {"remark": "TRF PRAKERJA"}))
    assert (len(found.lines), found.unreadable) == (2, 1)


@pytest.mark.parametrize(
    "answer",
    [
        samples.statement(page="2"),
        samples.statement(more="Y"),
        samples.statement(more="maybe"),
        reply("2001400"),
    ],
)
def test_a_statement_that_might_hide_a_page_is_unreadable(answer: Response) -> None:
    with pytest.raises(PartnerProtocolError):
        page(answer)


@pytest.mark.parametrize(
    "row",
    [
        samples.booking("PAYROLL"),
        samples.booking("TRANSFER", "CREDIT"),
        samples.booking("DEPOSIT", "DEBIT"),
        {**samples.booking(partnerReferenceNo=""), "remark": "TRF"},
        {**samples.booking(), "amount": {"value": "600000.50", "currency": "IDR"}},
        {**samples.booking(), "amount": {"value": "600000.00", "currency": "USD"}},
        {**samples.booking(), "transactionDate": "2026-01-15T10:00:01"},
        7,
    ],
)
def test_a_row_that_might_hide_a_payment_is_counted_and_spoils_no_other(row: Any) -> None:
    shown = page(samples.statement(samples.booking(), row, samples.booking()))
    assert (len(shown.lines), shown.unreadable) == (2, 1)


def test_the_last_page_that_would_be_followed() -> None:
    with pytest.raises(PartnerProtocolError):
        page(samples.statement(samples.booking(), page="10000", more="Y"), "10000")


def test_a_day_of_which_the_partner_has_nothing_is_empty() -> None:
    assert page(reply("4041401")) == StatementPage(lines=(), proves_absence=False)


def test_a_day_without_an_answer_is_not_an_empty_day() -> None:
    """Nor is the end of a list whose page before said that it goes on."""
    for answer, cursor in ((reply("4041401"), "2"), (reply("4041402"), None), (reply("4041401", status=200), None)):
        with pytest.raises(PartnerError):
            page(answer, cursor)


def test_the_balance_is_what_is_available() -> None:
    start, replies = ALL_PLANS["balance"]
    assert drive(start(), *replies)[1].amount_rupiah == 5_000_000
    left = {"accountInfos": [{"availableBalance": {"value": "5,000,000.37", "currency": "IDR"}}]}
    assert drive(start(), reply("2001100", left))[1].amount_rupiah == 5_000_000
    for infos in ([], [{"availableBalance": samples.amount()}] * 2, [{"availableBalance": {"value": "-1.00"}}], None):
        with pytest.raises(PartnerProtocolError):
            drive(start(), reply("2001100", {"accountInfos": infos}))


# --- what is not declared -------------------------------------------------------------------------------------------


def test_the_manifest_hangs_together() -> None:
    assert not MANIFEST.callbacks
    assert not {Capability.NOTIFY_LINK, Capability.NOTIFY_KYC, Capability.NOTIFY_PAYOUT} & MANIFEST.capabilities
    assert set(MANIFEST.first_inputs) <= set(MANIFEST.inputs)
    assert {name for names in MANIFEST.needs.values() for name in names} == set(MANIFEST.tokens) == set(MANIFEST.hosts)
    operations = {operation for routes in ROUTES.values() for operation, *_ in routes}
    limited = {o for o in operations for quota in MANIFEST.quotas if o.startswith(quota.operations)}
    assert operations - limited == {"token.snap"}
