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
    InvalidRequest,
    NotSupported,
    PartnerProtocolError,
    PartnerUnavailable,
    SignatureInvalid,
)
from contracts.identity import Verdict
from contracts.incentive import BlockerCode
from contracts.linking import LinkFinish, LinkGranted, LinkInputs, LinkRefused, Unlinked
from contracts.observation import StatementKind
from contracts.partner import Capability, Notification
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
def test_nothing_personal_shows_in_targets_or_reprs(name: str) -> None:
    start, replies = ALL_PLANS[name]
    sent, result = drive(start(), *replies)
    shown = repr((sent, result)) + "".join(request.target for request in sent)
    hidden = [samples.ACCOUNT, samples.CARD, samples.OTP, samples.NIK, "SITI", "6281234567890", "charge-", "card-token"]
    assert not [value for value in [*hidden, *samples.CREDENTIALS.values()] if len(value) > 5 and value in shown]


# --- tokens ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("named", "life_s"), [({"expiresIn": "840"}, 840.0), ({"expiresIn": 840}, 840.0), ({}, 900.0)])
def test_a_token_lives_as_long_as_the_answer_says(named: dict[str, Any], life_s: float) -> None:
    plan = PARTNER.fetch_token(samples.context(), "autopay", None)
    _, token = drive(plan, reply("2007300", {"accessToken": "t-1", **named}))
    assert (token.value.reveal(), token.life_s) == ("t-1", life_s)


@pytest.mark.parametrize("named", ["0", "-1", "", "9" * 7, "1e3", True, 9.5, 0, -1])
def test_a_life_that_is_none_is_unreadable(named: Any) -> None:
    plan = PARTNER.fetch_token(samples.context(), "snap", None)
    with pytest.raises(PartnerProtocolError):
        drive(plan, reply("2007300", {"accessToken": "t-1", "expiresIn": named}))


def test_refused_credentials_are_the_operators() -> None:
    with pytest.raises(PartnerUnavailable) as raised:
        drive(PARTNER.fetch_token(samples.context(), "snap", None), reply("4017300"))
    assert raised.value.hint is Hint.CREDENTIALS


# --- linking --------------------------------------------------------------------------------------------------------


def test_linking_begins_with_the_card_number_and_no_call() -> None:
    assert drive(PARTNER.begin_link(samples.context(), samples.link_start())) == ([], LinkInputs(names=("card_no",)))


def bind(answer: Response) -> Any:
    return drive(PARTNER.answer_link(samples.context(), samples.link_answer({"card_no": samples.CARD})), answer)[1]


def verify_otp(answer: Response) -> Any:
    start = samples.link_answer({"otp": samples.OTP}, samples.CARRY)
    return drive(PARTNER.answer_link(samples.context(), start), answer)[1]


def test_a_bind_asks_for_the_otp_and_keeps_what_it_needs() -> None:
    assert bind(reply("2000700", samples.BOUND)) == LinkInputs(names=("otp",), carry=samples.secrets(samples.CARRY))


@pytest.mark.parametrize(
    ("code", "step"),
    [
        ("4000701", LinkInputs(names=("card_no",), again=True)),
        ("4040711", LinkRefused(code=BlockerCode.ACCOUNT_NOT_FOUND, partner_code="4040711")),
        ("4030718", LinkRefused(code=BlockerCode.ACCOUNT_BLOCKED, partner_code="4030718")),
    ],
)
def test_a_bind_that_is_refused(code: str, step: Any) -> None:
    assert bind(reply(code)) == step


@pytest.mark.parametrize(
    ("code", "step"),
    [
        ("2000400", LinkGranted(grant=samples.GRANT)),
        ("4040415", LinkInputs(names=("otp",), carry=samples.secrets(samples.CARRY), again=True)),
        ("4030411", LinkRefused(code=BlockerCode.CONSENT_DENIED, partner_code="4030411")),
        ("4030412", LinkRefused(code=BlockerCode.CONSENT_ABANDONED, partner_code="4030412")),
    ],
)
def test_the_otp_decides(code: str, step: Any) -> None:
    assert verify_otp(reply(code)) == step


def test_a_card_token_and_expiry_in_the_otps_answer_hold() -> None:
    step = verify_otp(
        reply("2000400", {"bankCardToken": "card-token-2", "tokenExpiryTime": "2027-01-15T10:00:00+07:00"})
    )
    assert step.grant.access_token.reveal() == "card-token-2"
    assert step.grant.expires_at == datetime(2027, 1, 15, 3, tzinfo=UTC)


@pytest.mark.parametrize("expiry", ["soon", "2027-01-15T10:00:00", "2027-13-15T10:00:00+07:00"])
def test_an_expiry_that_is_no_time_is_unreadable(expiry: str) -> None:
    with pytest.raises(PartnerProtocolError):
        verify_otp(reply("2000400", {"tokenExpiryTime": expiry}))


@pytest.mark.parametrize(
    "missing", ["bankCardToken", "chargeToken", "additionalInfo"], ids=lambda name: f"without {name}"
)
@pytest.mark.parametrize("blank", [True, False])
def test_a_bind_without_its_tokens_is_unreadable(missing: str, blank: bool) -> None:
    body: dict[str, Any] = {name: value for name, value in samples.BOUND.items() if name != missing}
    if blank:
        body[missing] = {"referenceNo": ""} if missing == "additionalInfo" else ""
    with pytest.raises(PartnerProtocolError):
        bind(reply("2000700", body))


@pytest.mark.parametrize(("ask", "service"), [(bind, "07"), (verify_otp, "04")])
def test_our_own_refused_token_is_told_apart_while_linking(ask: Callable[[Response], Any], service: str) -> None:
    with pytest.raises(PartnerUnavailable) as raised:
        ask(reply(f"401{service}01"))
    assert raised.value.hint is Hint.OUR_TOKEN
    for code in (f"500{service}00", f"504{service}00", f"409{service}01", f"202{service}00"):
        with pytest.raises(PartnerProtocolError):
            ask(reply(code))


@pytest.mark.parametrize(
    ("inputs", "carry"),
    [
        ({}, {}),
        ({"card_no": "222330792440268"}, {}),
        ({"card_no": "２２２３３０７９２４４０２６８５"}, {}),
        ({"otp": samples.OTP}, {}),
        ({"card_no": samples.CARD}, samples.CARRY),
        ({"otp": "48291"}, samples.CARRY),
        ({"otp": "482913\n"}, samples.CARRY),
    ],
)
def test_an_input_out_of_form_is_refused_before_any_call(inputs: dict[str, str], carry: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest) as raised:
        next(PARTNER.answer_link(samples.context(), samples.link_answer(inputs, carry)))
    assert raised.value.field == ("otp" if carry else "card_no")
    assert not [value for value in inputs.values() if value in str(raised.value)]


# --- unlinking ------------------------------------------------------------------------------------------------------


def send_otp(answer: Response) -> Any:
    return drive(PARTNER.unlink(samples.context(), samples.unlink_order()), answer)[1]


def unbind(answer: Response) -> Any:
    start = samples.unlink_order({"otp": samples.OTP}, {"chargeToken": "charge-2"})
    return drive(PARTNER.unlink(samples.context(), start), answer)[1]


def test_unlinking_takes_an_otp() -> None:
    plan = PARTNER.unlink(samples.context(), samples.unlink_order())
    request = next(plan)
    assert json.loads(request.content)["journeyID"] == request.headers["X-EXTERNAL-ID"]
    asked = LinkInputs(names=("otp",), carry=samples.secrets({"chargeToken": "charge-2"}))
    assert send_otp(reply("2008100", {"chargeToken": "charge-2"})) == asked
    assert unbind(reply("2000900")) == Unlinked(partner_code="2000900")
    assert unbind(reply("4040915")) == LinkInputs(names=("otp",), carry=asked.carry, again=True)


def test_a_link_already_gone_is_unlinked() -> None:
    assert send_otp(reply("4048111")) == Unlinked(partner_code="4048111")
    assert unbind(reply("4040911")) == Unlinked(partner_code="4040911")


@pytest.mark.parametrize("code", ["4030911", "4030912"])
def test_a_used_up_otp_starts_the_unlinking_again(code: str) -> None:
    with pytest.raises(PartnerUnavailable) as raised:
        unbind(reply(code))
    assert raised.value.hint is Hint.SESSION


@pytest.mark.parametrize("ask", [send_otp, unbind])
def test_noise_never_unlinks(ask: Callable[[Response], Any]) -> None:
    for answer in (reply("5008100"), reply("5000900"), reply("2000900", status=500), reply("2000700")):
        with pytest.raises(PartnerProtocolError):
            ask(answer)


# --- NIK ------------------------------------------------------------------------------------------------------------


def verify(answer: Response) -> Any:
    return drive(PARTNER.verify_nik(samples.context(), samples.query()), answer)[1]


def matched(letter: object, **more: object) -> Response:
    return reply("2009700", {"additionalInfo": {"identificationNoMatch": letter}, **more})


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (matched("Y", partnerReferenceNo=samples.REFERENCE), Verdict.MATCH),
        (matched("N"), Verdict.MISMATCH),
        (matched("U"), Verdict.KYC_INCOMPLETE),
        (matched("P"), Verdict.PENDING),
        (reply("4049711"), Verdict.ACCOUNT_NOT_FOUND),
        (reply("4039718"), Verdict.ACCOUNT_BLOCKED),
    ],
)
def test_the_nik_check_has_six_answers(answer: Response, verdict: Verdict) -> None:
    assert verify(answer).verdict is verdict


@pytest.mark.parametrize(
    "answer",
    [
        matched("y"),
        matched(""),
        matched(True),
        matched(None),
        matched("Y", partnerReferenceNo="9999999999999999999"),
        reply("2009700"),
        reply("2009700", {"additionalInfo": {"identificationNoMatch": "N"}}, status=500),
        reply("2001500", {"additionalInfo": {"identificationNoMatch": "Y"}}),
    ],
)
def test_an_unclear_nik_answer_is_no_verdict(answer: Response) -> None:
    with pytest.raises(PartnerProtocolError):
        verify(answer)


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("5009700", Hint.NONE),
        ("5049700", Hint.NONE),
        ("4019702", Hint.CUSTOMER_TOKEN),
        ("4019701", Hint.OUR_TOKEN),
        ("4299700", Hint.THROTTLED),
        ("4009701", Hint.NONE),
        ("2029700", Hint.NONE),
    ],
)
def test_a_technical_failure_is_never_a_mismatch(code: str, hint: Hint) -> None:
    with pytest.raises(PartnerUnavailable) as raised:
        verify(reply(code))
    assert raised.value.hint is hint


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


def test_a_statements_pages_follow_each_other() -> None:
    assert page(samples.statement(samples.booking(), more="Y")).next_cursor == "2"
    plan = PARTNER.statement(samples.context(), date(2026, 1, 15), "2")
    assert json.loads(next(plan).content)["additionalInfo"] == {"page": "2"}
    assert page(samples.statement(page="2"), "2").lines == ()


@pytest.mark.parametrize(
    "answer",
    [
        samples.statement(samples.booking("PAYROLL")),
        samples.statement(samples.booking("TRANSFER", "CREDIT")),
        samples.statement(samples.booking("DEPOSIT", "DEBIT")),
        samples.statement(samples.booking(partnerReferenceNo="")),
        samples.statement({**samples.booking(), "amount": {"value": "600000.50", "currency": "IDR"}}),
        samples.statement({**samples.booking(), "amount": {"value": "600000.00", "currency": "USD"}}),
        samples.statement({**samples.booking(), "transactionDate": "2026-01-15T10:00:01"}),
        samples.statement(page="2"),
        samples.statement(more="Y"),
        samples.statement(more="maybe"),
        samples.statement(*[samples.booking()] * 1001),
        reply("2001400"),
    ],
)
def test_a_statement_that_might_hide_a_payment_is_unreadable(answer: Response) -> None:
    with pytest.raises(PartnerProtocolError):
        page(answer)


def test_the_last_page_that_would_be_followed() -> None:
    with pytest.raises(PartnerProtocolError):
        page(samples.statement(samples.booking(), page="10000", more="Y"), "10000")


def test_a_day_without_an_answer_is_not_an_empty_day() -> None:
    with pytest.raises(PartnerUnavailable):
        page(reply("4041401"))


def test_the_balance_is_what_is_available() -> None:
    start, replies = ALL_PLANS["balance"]
    assert drive(start(), *replies)[1].amount_rupiah == 5_000_000
    for infos in ([], [{"availableBalance": samples.amount()}] * 2, [{"availableBalance": {"value": "-1.00"}}], None):
        with pytest.raises(PartnerProtocolError):
            drive(start(), reply("2001100", {"accountInfos": infos}))


# --- what is not declared -------------------------------------------------------------------------------------------


def test_what_the_manifest_does_not_declare_is_refused_when_called() -> None:
    ctx, order = samples.context(), samples.order()
    finish = LinkFinish(
        link_id="L1",
        reference="1",
        code=Secret("c"),
        carry={},
        redirect_uri="",
        phone=Secret("p"),
        account=Secret("a"),
    )
    note = Notification(kind="payout", method="POST", target="/", headers={}, body=b"{}")
    undeclared: list[Callable[[], object]] = [
        lambda: PARTNER.read_return({}),
        lambda: PARTNER.finish_link(ctx, finish),
        lambda: PARTNER.link_health(ctx, samples.GRANT),
        lambda: PARTNER.refresh_grant(ctx, samples.GRANT),
        lambda: PARTNER.prepare(ctx, order),
        lambda: PARTNER.approve(ctx, order),
        lambda: PARTNER.withdraw(ctx, order),
        lambda: PARTNER.callbacks.dedupe_key(note),
        lambda: PARTNER.callbacks.read(note),
        lambda: PARTNER.callbacks.reply(note),
    ]
    for call in undeclared:
        with pytest.raises(NotSupported):
            call()
    with pytest.raises(SignatureInvalid):
        PARTNER.callbacks.verify(ctx, note)


def test_the_manifest_hangs_together() -> None:
    assert not MANIFEST.callbacks
    assert not {Capability.NOTIFY_LINK, Capability.NOTIFY_KYC, Capability.NOTIFY_PAYOUT} & MANIFEST.capabilities
    assert set(MANIFEST.first_inputs) <= set(MANIFEST.inputs)
    assert {name for names in MANIFEST.needs.values() for name in names} == set(MANIFEST.tokens) == set(MANIFEST.hosts)
    operations = {operation for routes in ROUTES.values() for operation, *_ in routes}
    limited = {o for o in operations for quota in MANIFEST.quotas if o.startswith(quota.operations)}
    assert operations - limited == {"token.snap"}
