"""BNI's answers to a transfer and to a look-up: every listed code, and noise that must never become a verdict."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.bni import identity, mapping, sign
from adapters.snap import codes, values
from contracts.errors import Hint, PartnerError, PartnerProtocolError, PartnerUnavailable
from contracts.incentive import BlockerCode
from contracts.payout import Outcome, OutcomeKind
from contracts.plan import Response
from contracts.secret import Secret
from tests.adapters.bni import samples
from tests.adapters.bni.samples import reply, status_of

VERDICTS = {OutcomeKind.SUCCEEDED, OutcomeKind.REJECTED, OutcomeKind.REVERSED}


def transferred(answer: Response) -> Outcome:
    return mapping.PAYOUTS.transferred(samples.order(), answer)


def found(answer: Response) -> Outcome:
    return mapping.PAYOUTS.found(samples.order(), answer)


@pytest.mark.parametrize(("code", "reason"), sorted(mapping.TRANSFER_REFUSALS.items()))
def test_a_listed_refusal_is_final(code: str, reason: BlockerCode) -> None:
    outcome = transferred(reply(code))
    assert (outcome.kind, outcome.reason, outcome.partner_code) == (OutcomeKind.REJECTED, reason, code)
    assert not outcome.technical


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("4011700", Hint.CREDENTIALS),
        ("4011701", Hint.OUR_TOKEN),
        ("4011703", Hint.OUR_TOKEN),
        ("4031706", Hint.LATER),
        ("4031714", Hint.FLOAT_SHORT),
        ("4291700", Hint.THROTTLED),
    ],
)
def test_what_was_not_done_goes_back_to_where_it_was(code: str, hint: Hint) -> None:
    outcome = transferred(reply(code, headers={"retry-after": "5"}))
    assert (outcome.kind, outcome.hint, outcome.partner_code) == (OutcomeKind.NOT_ACCEPTED, hint, code)
    assert outcome.retry_after_s == 5.0


def test_the_list_of_what_was_not_done_is_complete_here() -> None:
    assert {"40100", "40101", "40103", "40306", "40314", "42900"} == codes.NOT_ACCEPTED


def test_in_progress_is_pending() -> None:
    assert transferred(reply("2021700", {"referenceNo": "BNI-1"})).kind is OutcomeKind.PENDING
    assert transferred(reply("2021700")).partner_reference is None


@given(http=st.integers(200, 599), case=st.integers(0, 99))
def test_every_code_that_no_table_lists_is_unknown(http: int, case: int) -> None:
    code = f"{http}17{case:02d}"
    listed = {*mapping.TRANSFER_REFUSALS, "2001700", "2021700"}
    if code in listed or f"{http}{case:02d}" in codes.NOT_ACCEPTED:
        return
    assert transferred(reply(code, samples.TRANSFERRED)).kind is OutcomeKind.UNKNOWN


@pytest.mark.parametrize(
    "code",
    ["4091700", "4091701", "4041718", "4031716", "5001700", "5001701", "5001702", "5041700", "4001701", "4011702"],
)
def test_the_codes_that_look_like_an_end_and_are_none(code: str) -> None:
    assert transferred(reply(code)).kind is OutcomeKind.UNKNOWN


@pytest.mark.parametrize("status", [200, 201, 202, 400, 404, 500, 502, 504])
@pytest.mark.parametrize("code", ["2001700", "4041711", "4031714", "2021700"])
def test_an_answer_that_contradicts_its_status_is_no_verdict(status: int, code: str) -> None:
    if status == int(code[:3]):
        return
    with pytest.raises(PartnerError):
        transferred(reply(code, samples.TRANSFERRED, status=status))


@pytest.mark.parametrize("currency", ["idr", "Rp", "RP.", "Rupiah", 360, "360", "", None])
def test_rupiah_by_any_of_its_names_is_rupiah(currency: object) -> None:
    amount = {"value": "600000.00", "currency": currency}
    assert transferred(reply("2001700", samples.TRANSFERRED | {"amount": amount})).kind is OutcomeKind.SUCCEEDED


@pytest.mark.parametrize(
    "changes",
    [
        {"referenceNo": ""},
        {"referenceNo": 777.5},
        {"referenceNo": True},
        {"referenceNo": ["x"]},
        {"beneficiaryAccountNo": ""},
        {"beneficiaryAccountNo": None},
        {"beneficiaryAccountNo": {"no": "0115476151"}},
        {"amount": {"value": "600000.50", "currency": "IDR"}},
        {"amount": {"value": 600000.5, "currency": "IDR"}},
        {"amount": {"value": "600000.00", "currency": "USD"}},
        {"amount": {"value": "6e-5", "currency": "IDR"}},
        {"amount": {"value": "600.000", "currency": "IDR"}},
        {"amount": "600000.00"},
    ],
)
def test_a_success_with_a_damaged_field_is_no_verdict(changes: dict[str, Any]) -> None:
    with pytest.raises(PartnerProtocolError) as raised:
        transferred(reply("2001700", {**samples.TRANSFERRED, **changes}))
    assert samples.ACCOUNT not in str(raised.value)
    assert "600000" not in str(raised.value)


def test_another_amount_or_account_is_passed_on_for_the_comparison() -> None:
    body = {**samples.TRANSFERRED, "amount": samples.amount(1), "beneficiaryAccountNo": "0000000000"}
    outcome = transferred(reply("2001700", body))
    assert (outcome.amount_rupiah, outcome.account) == (1, Secret("0000000000"))


STATUSES = {
    "00": OutcomeKind.SUCCEEDED,
    "01": OutcomeKind.PENDING,
    "02": OutcomeKind.PENDING,
    "03": OutcomeKind.PENDING,
    "04": OutcomeKind.REVERSED,
    "05": OutcomeKind.REJECTED,
    "06": OutcomeKind.REJECTED,
    "07": OutcomeKind.NOT_FOUND,
}


@pytest.mark.parametrize(("status", "kind"), STATUSES.items())
def test_a_look_up_in_our_words(status: str, kind: OutcomeKind) -> None:
    outcome = found(status_of(status))
    assert outcome.kind is kind
    if kind is OutcomeKind.SUCCEEDED:
        assert (outcome.amount_rupiah, outcome.account) == (600_000, Secret(samples.ACCOUNT))
        assert outcome.partner_reference == "BNI-777"
    if kind is OutcomeKind.REJECTED:
        assert (outcome.reason, outcome.technical) == (None, True)


def test_a_failure_whose_reason_is_named_keeps_it() -> None:
    outcome = found(status_of("06", previousResponseCode="4041711"))
    assert (outcome.reason, outcome.technical) == (BlockerCode.ACCOUNT_NOT_FOUND, False)
    assert outcome.partner_code == "4041711"
    assert found(status_of("06", previousResponseCode="4041511")).technical


@pytest.mark.parametrize("status", ["05", "06"])
def test_a_failure_for_our_deposit_is_none_of_the_persons(status: str) -> None:
    """As a technical one it would be made three times while there is no money, and then be a case for each person."""
    outcome = found(status_of(status, previousResponseCode="4031714"))
    assert (outcome.reason, outcome.technical) == (BlockerCode.PARTNER_FLOAT_SHORT, False)
    assert found(status_of(status, previousResponseCode="4033814")).technical, "of another service"


def test_an_unknown_reference_is_not_found_either_way() -> None:
    assert found(reply("4043601")).kind is OutcomeKind.NOT_FOUND
    bare = reply("2003600", {"latestTransactionStatus": "07", "beneficiaryAccountNo": "", "amount": None})
    assert found(bare).kind is OutcomeKind.NOT_FOUND


@pytest.mark.parametrize("code", ["4013601", "4293600", "5003600", "5043600", "2023600", "4043611", "4003601"])
def test_a_look_up_that_failed_says_nothing(code: str) -> None:
    with pytest.raises(PartnerUnavailable):
        found(reply(code))


@pytest.mark.parametrize(
    "answer",
    [
        status_of("08"),
        status_of(""),
        status_of("000"),
        status_of("00", beneficiaryAccountNo=""),
        status_of("00", beneficiaryAccountNo=None),
        status_of("06", beneficiaryAccountNo="0115476152"),
        status_of("00", serviceCode="18"),
        status_of("00", amount={"value": "1.5", "currency": "IDR"}),
        reply("2003600"),
        reply("2001700", samples.TRANSFERRED),
        reply("4043601", status=200),
    ],
)
def test_an_unclear_look_up_is_no_verdict(answer: Response) -> None:
    with pytest.raises(PartnerProtocolError):
        found(answer)


NOISE = st.builds(Response, status=st.integers(100, 599), headers=st.just({}), content=st.binary(max_size=200))
SCALARS: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just([]) | st.just({})
)


@given(answer=NOISE)
def test_noise_is_never_a_verdict(answer: Response) -> None:
    asks: list[Any] = [
        transferred,
        found,
        lambda a: mapping.PAYOUTS.inquired(samples.order(), a),
        lambda a: mapping.bound(a, "1"),
        lambda a: mapping.otp_sent(a),
        lambda a: values.b2b_token(sign.TOKENS["snap"][1], a, 900.0),
        lambda a: mapping.statement_page(a, 1, Secret("8000000001")),
        lambda a: mapping.balance(a, Secret("8000000001")),
        lambda a: identity.verdict(a, samples.query()),
    ]
    for ask in asks:
        with pytest.raises(PartnerError):
            ask(answer)


@given(cut=st.integers(0, 400), flip=st.integers(1, 255), status=st.sampled_from([200, 500]))
def test_a_damaged_success_never_books_something_else(cut: int, flip: int, status: int) -> None:
    whole = reply("2001700", samples.TRANSFERRED).content
    at = cut % len(whole)
    for content in (whole[:at], whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :]):
        try:
            outcome = transferred(Response(status=status, headers={}, content=content))
        except PartnerError:
            continue
        if outcome.kind in VERDICTS:
            assert status == 200
            assert outcome.kind is OutcomeKind.SUCCEEDED, "a flipped byte must not turn a payment into a refusal"


@given(field=st.sampled_from(sorted(json.loads(status_of("00").content))), value=SCALARS)
def test_a_look_up_with_a_strange_field_is_right_or_unreadable(field: str, value: Any) -> None:
    body = {**json.loads(status_of("00").content), field: value}
    try:
        outcome = found(Response(status=200, headers={}, content=json.dumps(body).encode()))
    except PartnerError:
        return
    if field != "latestTransactionStatus":
        assert outcome.kind is OutcomeKind.SUCCEEDED
    else:
        assert outcome.kind is STATUSES[f"{value}".strip().zfill(2)]
