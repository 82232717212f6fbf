"""OVO's tables: each listed code has its word, and nothing else is ever a verdict."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.ovo import PARTNER, mapping
from adapters.snap import codes
from contracts.errors import Hint, PartnerError, PartnerProtocolError, PartnerUnavailable
from contracts.identity import IdentityQuery, Verdict
from contracts.incentive import BlockerCode
from contracts.observation import StatementKind
from contracts.payout import OutcomeKind, PayoutOrder
from contracts.plan import Response
from tests.adapters.playing import NOISE

Say = Callable[..., Response]
FINAL = {OutcomeKind.SUCCEEDED, OutcomeKind.REJECTED, OutcomeKind.REVERSED, OutcomeKind.NOT_ACCEPTED}

DONE = {
    "referenceNo": "ovo-tx-1",
    "partnerReferenceNo": "0112345678901234567",
    "customerNumber": "081234567890",
    "amount": {"value": "600000.00", "currency": "IDR"},
}


def test_topup_booked(order: PayoutOrder, say: Say) -> None:
    outcome = mapping.PAYOUTS.transferred(order, say("2003800", **DONE))
    assert outcome.kind is OutcomeKind.SUCCEEDED
    assert (outcome.amount_rupiah, outcome.account) == (600_000, order.account)
    assert (outcome.partner_reference, outcome.partner_code) == ("ovo-tx-1", "2003800")


@pytest.mark.parametrize(
    "damage",
    [
        {"referenceNo": None},
        {"customerNumber": "unknown"},
        {"amount": "600000.00"},
        {"amount": {"value": "600000.50", "currency": "IDR"}},
        {"amount": {"value": "600000.00", "currency": "USD"}},
        {"amount": {"value": 600000.5, "currency": "IDR"}},
    ],
)
def test_a_damaged_success_is_no_verdict(order: PayoutOrder, say: Say, damage: dict[str, Any]) -> None:
    with pytest.raises(PartnerProtocolError):
        mapping.PAYOUTS.transferred(order, say("2003800", **{**DONE, **damage}))


def test_topup_in_progress(order: PayoutOrder, say: Say) -> None:
    assert mapping.PAYOUTS.transferred(order, say("2023800")).kind is OutcomeKind.PENDING


@pytest.mark.parametrize(("code", "reason"), sorted(mapping.TOPUP_REFUSALS.items()))
def test_topup_refusals(order: PayoutOrder, say: Say, code: str, reason: BlockerCode) -> None:
    outcome = mapping.PAYOUTS.transferred(order, say(code))
    assert (outcome.kind, outcome.reason, outcome.technical) == (OutcomeKind.REJECTED, reason, False)


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("4013800", Hint.CREDENTIALS),
        ("4013801", Hint.OUR_TOKEN),
        ("4013803", Hint.OUR_TOKEN),
        ("4033806", Hint.LATER),
        ("4033814", Hint.FLOAT_SHORT),
        ("4293800", Hint.THROTTLED),
    ],
)
def test_topup_not_accepted(order: PayoutOrder, say: Say, code: str, hint: Hint) -> None:
    outcome = mapping.PAYOUTS.transferred(order, say(code))
    assert (outcome.kind, outcome.hint) == (OutcomeKind.NOT_ACCEPTED, hint)


@pytest.mark.parametrize(
    "code",
    [
        "4093800",
        "4093801",
        "4043818",
        "4003801",
        "4013802",
        "4033816",
        "4043808",
        "5003800",
        "5003801",
        "5043800",
        "2003899",
        "2023801",
    ],
)
def test_topup_without_a_verdict(order: PayoutOrder, say: Say, code: str) -> None:
    assert mapping.PAYOUTS.transferred(order, say(code)).kind is OutcomeKind.UNKNOWN


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("00", OutcomeKind.SUCCEEDED),
        ("01", OutcomeKind.PENDING),
        ("02", OutcomeKind.PENDING),
        ("03", OutcomeKind.PENDING),
        ("04", OutcomeKind.REVERSED),
        ("05", OutcomeKind.REJECTED),
        ("06", OutcomeKind.REJECTED),
        ("07", OutcomeKind.NOT_FOUND),
    ],
)
def test_status(order: PayoutOrder, say: Say, status: str, kind: OutcomeKind) -> None:
    outcome = mapping.PAYOUTS.found(
        order,
        say(
            "2003900",
            originalPartnerReferenceNo=order.reference,
            serviceCode="38",
            latestTransactionStatus=status,
            amount={"value": "600000.00", "currency": "IDR"},
        ),
    )
    assert outcome.kind is kind
    assert (outcome.reason, outcome.technical) == (None, kind is OutcomeKind.REJECTED)
    assert outcome.amount_rupiah == (600_000 if kind in (OutcomeKind.SUCCEEDED, OutcomeKind.REVERSED) else None)


def test_status_of_an_unknown_reference(order: PayoutOrder, say: Say) -> None:
    assert mapping.PAYOUTS.found(order, say("4043901")).kind is OutcomeKind.NOT_FOUND


@pytest.mark.parametrize("status", ["08", "0 0", "", None, 0.5, True])
def test_an_unlisted_status_is_no_verdict(order: PayoutOrder, say: Say, status: object) -> None:
    with pytest.raises(PartnerProtocolError):
        mapping.PAYOUTS.found(order, say("2003900", latestTransactionStatus=status))


def test_a_status_of_another_payout_is_no_verdict(order: PayoutOrder, say: Say) -> None:
    with pytest.raises(PartnerProtocolError):
        mapping.PAYOUTS.found(order, say("2003900", customerNumber="081299999999", latestTransactionStatus="06"))


@pytest.mark.parametrize("code", ["4013901", "4293900", "5003900", "5043900", "4043911", "4093900"])
def test_a_failed_look_up_raises(order: PayoutOrder, say: Say, code: str) -> None:
    with pytest.raises(PartnerUnavailable) as raised:
        mapping.PAYOUTS.found(order, say(code))
    assert raised.value.partner_code == code


@pytest.mark.parametrize(("code", "reason"), sorted(mapping.INQUIRY_REFUSALS.items()))
def test_inquiry_refusals(order: PayoutOrder, say: Say, code: str, reason: BlockerCode) -> None:
    outcome = mapping.PAYOUTS.inquired(order, say(code))
    assert outcome is not None
    assert (outcome.kind, outcome.reason) == (OutcomeKind.REJECTED, reason)


def test_inquiry_of_another_account_stops_the_payout(order: PayoutOrder, say: Say) -> None:
    assert mapping.PAYOUTS.inquired(order, say("2003700", customerNumber="081234567890")) is None
    with pytest.raises(PartnerProtocolError) as raised:
        mapping.PAYOUTS.inquired(order, say("2003700", customerNumber="081234567891"))
    assert "0812" not in str(raised.value)


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("4013700", Hint.CUSTOMER_TOKEN),
        ("4013701", Hint.OUR_TOKEN),
        ("4013702", Hint.CUSTOMER_TOKEN),
        ("4013704", Hint.CUSTOMER_TOKEN),
        ("4033705", Hint.CUSTOMER_TOKEN),
        ("4033706", Hint.LATER),
        ("4033714", Hint.FLOAT_SHORT),
        ("4293700", Hint.THROTTLED),
        ("4003701", Hint.NONE),
        ("5043700", Hint.NONE),
        ("2023700", Hint.NONE),
    ],
)
def test_inquiry_that_could_not_tell(order: PayoutOrder, query: IdentityQuery, say: Say, code: str, hint: Hint) -> None:
    for ask in (
        lambda reply: mapping.PAYOUTS.inquired(order, reply),
        lambda reply: mapping.identity(query, reply),
    ):
        with pytest.raises(PartnerUnavailable) as raised:
            ask(say(code))
        assert (raised.value.hint, raised.value.partner_code) == (hint, code)


@pytest.mark.parametrize("code", ["4093701", "4043718"])
def test_a_reference_known_at_the_inquiry_is_looked_up(order: PayoutOrder, say: Say, code: str) -> None:
    outcome = mapping.PAYOUTS.inquired(order, say(code))
    assert outcome is not None
    assert outcome.kind is OutcomeKind.UNKNOWN


@pytest.mark.parametrize(
    ("match", "verdict"),
    [
        ("MATCH", Verdict.MATCH),
        ("NOT_MATCH", Verdict.MISMATCH),
        ("NOT_AVAILABLE", Verdict.KYC_INCOMPLETE),
        ("IN_PROGRESS", Verdict.PENDING),
    ],
)
def test_identity(query: IdentityQuery, say: Say, match: str, verdict: Verdict) -> None:
    more = {"customerName": "OTHER NAME", "additionalInfo": {"identificationMatch": match}}
    mine, other = "0" + query.account.reveal()[3:], "081299999999"
    assert mapping.identity(query, say("2003700", customerNumber=mine, **more)).verdict is verdict
    assert mapping.identity(query, say("2003700", customerNumber=other, **more)).verdict is Verdict.ACCOUNT_UNPROVED
    with pytest.raises(PartnerProtocolError):
        mapping.identity(query, say("2003700", **more))


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("4043711", Verdict.ACCOUNT_NOT_FOUND),
        ("4033707", Verdict.ACCOUNT_BLOCKED),
        ("4033718", Verdict.ACCOUNT_BLOCKED),
    ],
)
def test_identity_of_an_unusable_account(query: IdentityQuery, say: Say, code: str, verdict: Verdict) -> None:
    assert mapping.identity(query, say(code)).verdict is verdict


@pytest.mark.parametrize("info", [None, {}, {"identificationMatch": "match"}, {"identificationMatch": True}, "MATCH"])
def test_an_inquiry_without_a_known_answer_is_no_verdict(query: IdentityQuery, say: Say, info: object) -> None:
    with pytest.raises(PartnerProtocolError):
        mapping.identity(query, say("2003700", additionalInfo=info))


ROW = {
    "partnerReferenceNo": "0112345678901234567",
    "referenceNo": "ovo-tx-1",
    "customerNumber": "081234567890",
    "dateTime": "2026-01-02T03:04:05.000+07:00",
    "amount": {"value": "600000.00", "currency": "IDR"},
    "type": "TOPUP",
}
DEPOSIT = {"dateTime": "2026-01-02T00:00:00Z", "amount": {"value": "1.00", "currency": "IDR"}, "type": "DEPOSIT"}


def test_history(say: Say, order: PayoutOrder) -> None:
    more = {"page": "1", "hasMore": "Y"}
    page = mapping.HISTORY.read(1, say("2001200", detailData=[ROW, DEPOSIT], additionalInfo=more))
    assert page.next_cursor == "2"
    credit, deposit = page.lines
    assert (credit.kind, credit.amount_rupiah, credit.reference) == (
        StatementKind.CREDIT,
        600_000,
        "0112345678901234567",
    )
    assert credit.account == order.account
    assert (deposit.kind, deposit.reference, deposit.account) == (StatementKind.OTHER, None, None)
    empty = mapping.HISTORY.read(2, say("2001200", detailData=[], additionalInfo={"page": "2", "hasMore": "N"}))
    assert (empty.lines, empty.next_cursor) == ((), None)


@pytest.mark.parametrize(
    "damage",
    [
        {"detailData": {}},
        {"additionalInfo": {"page": "2", "hasMore": "N"}},
        {"additionalInfo": {"page": "1", "hasMore": "?"}},
        {"additionalInfo": {}},
    ],
)
def test_a_damaged_page_is_none(say: Say, damage: dict[str, object]) -> None:
    fields = {"detailData": [ROW], "additionalInfo": {"page": "1", "hasMore": "N"}, **damage}
    with pytest.raises(PartnerProtocolError) as raised:
        mapping.HISTORY.read(1, say("2001200", **fields))
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    "change",
    [{"type": "OTHER"}, {"amount": {"value": "1.5", "currency": "IDR"}}, {"amount": None}, {"dateTime": "2026-01-02"}],
)
def test_an_unreadable_row_is_counted_and_spoils_no_other(say: Say, change: dict[str, object]) -> None:
    info = {"page": "1", "hasMore": "N"}
    shown = mapping.HISTORY.read(1, say("2001200", detailData=[ROW, {**ROW, **change}, ROW], additionalInfo=info))
    assert (len(shown.lines), shown.unreadable) == (2, 1)


@pytest.mark.parametrize(
    ("theirs", "same"),
    [
        ("081234567890", True), ("6281234567890", True), ("81234567890", True), (81234567890, True),
        ("XXXXXXXX7890", True), ("0812****7890", True), ("62812*****890", True), ("XXXXXXXXX1857", False),
        ("0812****7891", False), ("081234567891", False), ("0813****7890", False),
    ],
)  # fmt: skip
def test_an_account_that_comes_back_changed(order: PayoutOrder, say: Say, theirs: object, same: bool) -> None:
    """What is another account is told as another one: a contradiction, and no failure to read."""
    outcome = mapping.PAYOUTS.transferred(order, say("2003800", **{**DONE, "customerNumber": theirs}))
    assert outcome.kind is OutcomeKind.SUCCEEDED
    assert (outcome.account == order.account) is same


def test_an_account_that_is_all_masked_says_nothing(order: PayoutOrder, say: Say) -> None:
    outcome = mapping.PAYOUTS.transferred(order, say("2003800", **{**DONE, "customerNumber": "XXXXXXXXXXXX"}))
    assert (outcome.kind, outcome.account) == (OutcomeKind.SUCCEEDED, None)


def test_balance(say: Say) -> None:
    deposit = {"balanceType": "DEPOSIT", "availableBalance": {"value": "1000000000000.00", "currency": "IDR"}}
    assert mapping.balance(say("2001100", accountInfos=[deposit])).amount_rupiah == 10**12
    for infos in ([], [deposit, deposit], None):
        with pytest.raises(PartnerProtocolError):
            mapping.balance(say("2001100", accountInfos=infos))


ANY = st.one_of(
    NOISE,
    st.builds(  # a plausible code under a status that is not its own
        lambda code, status: Response(
            status=status if status != int(code[:3]) else 599,
            headers={},
            content=json.dumps({"responseCode": code, "latestTransactionStatus": "00", **DONE}).encode(),
        ),
        st.sampled_from([*mapping.TOPUP_REFUSALS, "2003800", "4013801", "2003900", "4043901", "4033702"]),
        st.integers(200, 599),
    ),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(reply=ANY)
def test_noise_is_never_a_verdict(order: PayoutOrder, query: IdentityQuery, reply: Response) -> None:
    for read in (
        lambda: mapping.PAYOUTS.transferred(order, reply).kind,
        lambda: mapping.PAYOUTS.found(order, reply).kind,
        lambda: mapping.PAYOUTS.inquired(order, reply),
        lambda: mapping.identity(query, reply).verdict,
    ):
        with pytest.raises(PartnerError):
            read()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cut=st.integers(0, 400), flip=st.integers(0, 255), http=st.sampled_from([200, 202, 400, 401, 403, 404, 500, 504])
)
def test_a_damaged_answer_is_never_another_verdict(order: PayoutOrder, cut: int, flip: int, http: int) -> None:
    """One byte of a booked top-up's answer changed: still exactly that booking, or no verdict at all."""
    whole = json.dumps({"responseCode": "2003800", "responseMessage": "Successful", **DONE}).encode()
    at = cut % len(whole)
    content = whole[:at] + bytes([flip]) + whole[at + 1 :]
    try:
        outcome = mapping.PAYOUTS.transferred(order, Response(status=http, headers={}, content=content))
    except PartnerError:
        return
    assert outcome.kind in {OutcomeKind.SUCCEEDED, OutcomeKind.PENDING, OutcomeKind.UNKNOWN}
    assert outcome.kind is not OutcomeKind.SUCCEEDED or http == 200


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(http=st.integers(200, 599), case=st.integers(0, 99))
def test_only_listed_codes_are_verdicts(order: PayoutOrder, http: int, case: int) -> None:
    code = f"{http:03d}38{case:02d}"
    body = json.dumps({"responseCode": code, **DONE}).encode()
    outcome = mapping.PAYOUTS.transferred(order, Response(status=http, headers={}, content=body))
    listed = code in mapping.TOPUP_REFUSALS or code == "2003800" or code[:3] + code[5:] in codes.NOT_ACCEPTED
    assert (outcome.kind in FINAL) == listed
    if http >= 500:
        assert outcome.kind is OutcomeKind.UNKNOWN


def test_every_assumption_is_shown() -> None:
    shown = " ".join(fact.source for fact in PARTNER.manifest.facts)
    for line in ("O1", "O3", "O4", "O5", "O7", "O8", "O9", "O10", "O12"):
        assert line in shown
    assert PARTNER.manifest.max_amount_rupiah == 10_000_000
    assert msgspec.structs.asdict(PARTNER.manifest)["slug"] == "ovo"
