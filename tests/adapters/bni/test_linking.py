"""BNI's linking, unlinking and NIK check: each answer the decisions list, and what is no answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from adapters.bni import PARTNER
from contracts.errors import Hint, InvalidRequest, PartnerError, PartnerProtocolError, PartnerUnavailable
from contracts.identity import Verdict
from contracts.incentive import BlockerCode
from contracts.linking import LinkGranted, LinkInputs, LinkRefused, Unlinked
from contracts.plan import Response
from tests.adapters.bni import samples
from tests.adapters.bni.samples import drive, reply

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


@pytest.mark.parametrize("expiry", ["soon", "", 7, None, {}, "2027-13-15T10:00:00+07:00"])
def test_an_expiry_that_is_no_time_vetoes_nothing(expiry: object) -> None:
    step = verify_otp(reply("2000400", {"tokenExpiryTime": expiry}))
    assert isinstance(step, LinkGranted) and step.grant.expires_at is None


def test_an_expiry_without_an_offset_is_of_jakarta() -> None:
    step = verify_otp(reply("2000400", {"tokenExpiryTime": "2027-01-15T10:00:00"}))
    assert isinstance(step, LinkGranted)
    assert step.grant.expires_at == datetime.fromisoformat("2027-01-15T10:00:00+07:00")


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
        with pytest.raises(PartnerError):
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
        with pytest.raises(PartnerError):
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


@pytest.mark.parametrize("letter", "YNUP")
def test_a_check_of_another_account_proves_nothing_of_this_one(letter: str) -> None:
    assert verify(matched(letter, accountNo="9000000001")).verdict is Verdict.ACCOUNT_UNPROVED


@pytest.mark.parametrize(
    "answer",
    [
        matched("YES"),
        matched("Y Y"),
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
    with pytest.raises(PartnerError):
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
