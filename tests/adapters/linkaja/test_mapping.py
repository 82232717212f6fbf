"""LinkAja's tables: each listed code has its word, and nothing else is ever a verdict."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.linkaja import PARTNER, mapping
from contracts.errors import Hint, PartnerError, PartnerProtocolError, PartnerUnavailable
from contracts.identity import IdentityQuery, Verdict
from contracts.incentive import BlockerCode
from contracts.observation import StatementKind
from contracts.payout import OutcomeKind, PayoutOrder
from contracts.plan import Response
from contracts.secret import Secret
from tests.adapters.playing import NOISE

Say = Callable[..., Response]
FINAL = {OutcomeKind.SUCCEEDED, OutcomeKind.REJECTED, OutcomeKind.REVERSED, OutcomeKind.NOT_ACCEPTED}

INQUIRED = {
    "responseCode": "00",
    "responseMessage": "Success",
    "custName": "BUDI SANTOSO",
    "msisdn": "6281234567890",
    "amount": "50000",
    "cashInLimit": "8193514",
    "merchantTrxID": "PAYOUT-0001",
    "sessionID": "PD5I-0001",
}
CONFIRMED = {"responseCode": "00", "responseMessage": "Success", "linkRefNum": "LJ0001", "merchantTrxID": "PAYOUT-0001"}


@pytest.mark.parametrize(
    "wrap", [lambda body: body, lambda body: {"data": body}, lambda body: {"status": "00", "data": body}]
)
def test_answers_are_read_wherever_they_stand(order: PayoutOrder, say: Say, wrap: Callable[[object], object]) -> None:
    assert mapping.inquired(order, say(wrap(INQUIRED))) == "PD5I-0001"
    outcome = mapping.confirmed(order, say(wrap(CONFIRMED)))
    assert (outcome.kind, outcome.partner_reference) == (OutcomeKind.SUCCEEDED, "LJ0001")


@pytest.mark.parametrize(
    "body",
    [
        {"responseCode": "00", "data": {**CONFIRMED, "responseCode": "15"}},
        {"status": "89", "data": CONFIRMED},
        {"status": "00", "data": []},
        {"data": {**CONFIRMED, "responseCode": False}},
        {"data": {**CONFIRMED, "responseCode": "0 0"}},
        {"data": {**CONFIRMED, "responseCode": None}},
        {"data": {"status": "00", "linkRefNum": "LJ0001"}},
        {"data": {**CONFIRMED, "linkRefNum": None}},
        {"data": {**CONFIRMED, "amount": "50000.5"}},
        {"data": {**CONFIRMED, "msisdn": "unknown"}},
        {"data": {**CONFIRMED, "msisdn": ["6281234567890"]}},
    ],
)
def test_a_damaged_success_is_no_verdict(order: PayoutOrder, say: Say, body: object) -> None:
    with pytest.raises(PartnerProtocolError):
        mapping.confirmed(order, say(body))


@pytest.mark.parametrize(
    ("code", "kind", "reason", "hint"),
    [
        ("26", OutcomeKind.PENDING, None, Hint.NONE),
        ("15", OutcomeKind.REJECTED, BlockerCode.BALANCE_LIMIT, Hint.NONE),
        ("40", OutcomeKind.NOT_ACCEPTED, None, Hint.SESSION),
        ("51", OutcomeKind.NOT_ACCEPTED, None, Hint.FLOAT_SHORT),
        ("89", OutcomeKind.UNKNOWN, None, Hint.NONE),
        ("94", OutcomeKind.UNKNOWN, None, Hint.NONE),
        ("62", OutcomeKind.UNKNOWN, None, Hint.NONE),
        ("14", OutcomeKind.UNKNOWN, None, Hint.NONE),
        ("96", OutcomeKind.UNKNOWN, None, Hint.NONE),
        ("401", OutcomeKind.UNKNOWN, None, Hint.NONE),
    ],
)
def test_confirm(
    order: PayoutOrder, say: Say, code: str, kind: OutcomeKind, reason: BlockerCode | None, hint: Hint
) -> None:
    outcome = mapping.confirmed(order, say({"data": {"responseCode": code}}))
    assert (outcome.kind, outcome.reason, outcome.hint, outcome.technical) == (kind, reason, hint, False)
    assert outcome.partner_code == code


def test_our_own_dead_token_at_confirm(order: PayoutOrder, say: Say) -> None:
    outcome = mapping.confirmed(order, say({"status": "401"}, 401))
    assert (outcome.kind, outcome.hint) == (OutcomeKind.NOT_ACCEPTED, Hint.OUR_TOKEN)


@pytest.mark.parametrize("status", [201, 202, 400, 403, 404, 409, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("body", [{"data": CONFIRMED}, {"data": {"responseCode": "15"}}, {"status": "401"}, "html"])
def test_any_other_http_status_at_confirm_is_no_verdict(
    order: PayoutOrder, say: Say, status: int, body: object
) -> None:
    with pytest.raises(PartnerError):
        mapping.confirmed(order, say(body, status))


@pytest.mark.parametrize("body", [{"message": "HMAC signature does not match"}, "text", None])
def test_a_401_without_a_code_at_confirm_is_no_verdict(order: PayoutOrder, say: Say, body: object) -> None:
    with pytest.raises(PartnerUnavailable):
        mapping.confirmed(order, say(body, 401))


@pytest.mark.parametrize(
    ("code", "kind", "reason"),
    [
        ("15", OutcomeKind.REJECTED, BlockerCode.BALANCE_LIMIT),
        ("62", OutcomeKind.REJECTED, BlockerCode.ACCOUNT_BLOCKED),
        ("26", OutcomeKind.PENDING, None),
        ("94", OutcomeKind.UNKNOWN, None),
    ],
)
def test_what_ends_a_payout_at_its_inquiry(
    order: PayoutOrder, say: Say, code: str, kind: OutcomeKind, reason: BlockerCode | None
) -> None:
    outcome = mapping.inquired(order, say({"responseCode": code}))
    assert not isinstance(outcome, str)
    assert (outcome.kind, outcome.reason) == (kind, reason)


@pytest.mark.parametrize(
    ("status", "body", "hint"),
    [
        (200, {"responseCode": "14"}, Hint.CUSTOMER_TOKEN),
        (200, {"status": "401"}, Hint.OUR_TOKEN),
        (200, {"responseCode": "51"}, Hint.FLOAT_SHORT),
        (200, {"responseCode": "89"}, Hint.NONE),
        (200, {"responseCode": "96"}, Hint.NONE),
        (200, {"responseCode": "40"}, Hint.NONE),
        (401, {"status": "401"}, Hint.OUR_TOKEN),
        (401, {"message": "HMAC signature cannot be verified"}, Hint.OUR_TOKEN),
        (429, {"message": "API rate limit exceeded"}, Hint.THROTTLED),
        (500, {"responseCode": "00"}, Hint.NONE),
        (503, None, Hint.NONE),
    ],
)
def test_reads_that_could_not_tell(
    order: PayoutOrder, query: IdentityQuery, say: Say, status: int, body: object, hint: Hint
) -> None:
    asked: tuple[Callable[[Response], object], ...] = (
        lambda reply: mapping.inquired(order, reply),
        lambda reply: mapping.identity(query, reply),
    )
    for ask in asked:
        with pytest.raises(PartnerUnavailable) as raised:
            ask(say(body, status))
        assert raised.value.hint is hint


def test_a_401_with_another_code_is_unreadable(order: PayoutOrder, say: Say) -> None:
    for ask in (mapping.inquired, mapping.confirmed, mapping.checked):
        reply = say({"responseCode": "00", "sessionID": "s", "linkRefNum": "LJ0001", "status": "COMPLETED"}, 401)
        with pytest.raises(PartnerUnavailable) as raised:
            ask(order, reply)
        assert raised.value.hint is Hint.OUR_TOKEN


@pytest.mark.parametrize(
    "damage",
    [
        {"msisdn": "6281234567891"},
        {"amount": "5000000"},
        {"amount": "000005000100"},
        {"sessionID": None},
        {"sessionID": "a b"},
        {"sessionID": "x" * 129},
    ],
)
def test_an_inquiry_of_something_else_stops_the_payout(order: PayoutOrder, say: Say, damage: dict[str, Any]) -> None:
    with pytest.raises(PartnerProtocolError) as raised:
        mapping.inquired(order, say({**INQUIRED, **damage}))
    assert "62812" not in str(raised.value)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"data": {"responseCode": "00", "status": "COMPLETED", "linkRefNum": "LJ0001"}}, OutcomeKind.SUCCEEDED),
        ({"responseCode": "00", "status": "COMPLETED", "linkRefNum": "LJ0001"}, OutcomeKind.SUCCEEDED),
        ({"data": {"responseCode": "00", "status": "PENDING"}}, OutcomeKind.PENDING),
        ({"data": {"responseCode": "26"}}, OutcomeKind.PENDING),
        ({"data": {"responseCode": "00", "status": "FAILED"}}, OutcomeKind.REJECTED),
        ({"data": {"responseCode": "25"}}, OutcomeKind.NOT_FOUND),
    ],
)
def test_check(order: PayoutOrder, say: Say, body: object, kind: OutcomeKind) -> None:
    outcome = mapping.checked(order, say(body))
    assert (outcome.kind, outcome.reason) == (kind, None)
    assert outcome.technical == (kind is OutcomeKind.REJECTED)


def test_a_check_tells_what_was_booked(order: PayoutOrder, say: Say) -> None:
    booked = {"responseCode": "00", "status": "COMPLETED", "amount": "60000", "msisdn": "6281234567899"}
    outcome = mapping.checked(order, say({"data": booked}))
    assert (outcome.amount_rupiah, outcome.account) == (60_000, Secret("+6281234567899"))


@pytest.mark.parametrize(
    "body",
    [
        {"responseCode": "00"},
        {"responseCode": "00", "status": "REVERSED"},
        {"responseCode": "00", "status": "FAILED", "msisdn": "6281299999999"},
    ],
)
def test_an_unlisted_status_is_no_verdict(order: PayoutOrder, say: Say, body: object) -> None:
    with pytest.raises(PartnerProtocolError):
        mapping.checked(order, say({"data": body}))


@pytest.mark.parametrize("code", ["89", "96", "14", "15", "94"])
def test_a_failed_look_up_raises(order: PayoutOrder, say: Say, code: str) -> None:
    with pytest.raises(PartnerUnavailable):
        mapping.checked(order, say({"data": {"responseCode": code}}))


@pytest.mark.parametrize(
    ("match", "verdict"),
    [("Y", Verdict.MATCH), ("N", Verdict.MISMATCH), ("U", Verdict.KYC_INCOMPLETE), ("P", Verdict.PENDING)],
)
def test_identity(query: IdentityQuery, say: Say, match: str, verdict: Verdict) -> None:
    data = {"customerNumber": "6281234567890", "serviceLevel": "FULL", "nikMatch": match}
    assert mapping.identity(query, say({"status": "00", "data": data})).verdict is verdict


def test_identity_of_a_blocked_account(query: IdentityQuery, say: Say) -> None:
    assert mapping.identity(query, say({"status": "62"})).verdict is Verdict.ACCOUNT_BLOCKED


@pytest.mark.parametrize(
    "data", [{}, {"nikMatch": "y"}, {"nikMatch": True}, {"nikMatch": "Y"}, {"nikMatch": "Y", "customerNumber": "x"}]
)
def test_a_damaged_identity_is_no_verdict(query: IdentityQuery, say: Say, data: object) -> None:
    with pytest.raises(PartnerProtocolError):
        mapping.identity(query, say({"status": "00", "data": data}))


@pytest.mark.parametrize("match", "YNUP")
def test_a_check_of_another_account_proves_nothing_of_this_one(query: IdentityQuery, say: Say, match: str) -> None:
    data = {"customerNumber": "6281234567891", "nikMatch": match}
    assert mapping.identity(query, say({"status": "00", "data": data})).verdict is Verdict.ACCOUNT_UNPROVED


ROW = {
    "merchantTrxID": "PAYOUT-0001",
    "linkRefNum": "LJ0001",
    "msisdn": "6281234567890",
    "amount": "50000",
    "type": "CASHIN",
    "trxDate": "2026-01-02T03:04:05+00:00",
}


def test_report(say: Say, order: PayoutOrder) -> None:
    rows = [
        ROW,
        {**ROW, "type": "REVERSAL"},
        {**ROW, "type": "FEE", "merchantTrxID": "", "msisdn": None, "amount": "2.5"},
    ]
    page = mapping.report(1, say({"status": "00", "data": {"rows": rows, "page": 1, "pages": 3}}))
    assert page.next_cursor == "2"
    assert [line.kind for line in page.lines] == [StatementKind.CREDIT, StatementKind.REVERSAL, StatementKind.FEE]
    assert (page.lines[0].amount_rupiah, page.lines[0].account) == (50_000, order.account)
    assert (page.lines[2].reference, page.lines[2].account, page.lines[2].amount_rupiah) == (None, None, 2)
    for pages in (0, 1):
        empty = mapping.report(1, say({"status": "00", "data": {"rows": [], "page": 1, "pages": pages}}))
        assert (empty.lines, empty.next_cursor) == ((), None)


@pytest.mark.parametrize(
    "damage",
    [
        {"rows": {}},
        {"page": 2},
        {"page": True},
        {"pages": -1},
        {"pages": 10**6},
    ],
)
def test_a_damaged_page_is_none(say: Say, damage: dict[str, object]) -> None:
    with pytest.raises(PartnerProtocolError) as raised:
        mapping.report(1, say({"status": "00", "data": {"rows": [ROW], "page": 1, "pages": 1, **damage}}))
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("change", [{"type": "OTHER"}, {"amount": "x"}, {"trxDate": "20260102"}, {"trxDate": None}])
def test_an_unreadable_row_is_counted_and_spoils_no_other(say: Say, change: dict[str, object]) -> None:
    data = {"rows": [ROW, {**ROW, **change}, ROW], "page": 1, "pages": 1}
    shown = mapping.report(1, say({"status": "00", "data": data}))
    assert (len(shown.lines), shown.unreadable) == (2, 1)


ANY = st.one_of(
    NOISE,
    st.just(Response(status=200, headers={}, content=b"[" * 200_000)),
    st.builds(  # a whole answer under an HTTP status that is not its own
        lambda status, code: Response(
            status=status,
            headers={},
            content=json.dumps(
                {"data": {**CONFIRMED, **INQUIRED, "status": "COMPLETED", "responseCode": code}}
            ).encode(),
        ),
        st.integers(201, 599),
        st.sampled_from(["00", "15", "40", "51", "62", "25", "14"]),
    ),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(reply=ANY)
def test_noise_is_never_a_verdict(order: PayoutOrder, query: IdentityQuery, reply: Response) -> None:
    for read in (
        lambda: mapping.checked(order, reply).kind,
        lambda: mapping.inquired(order, reply),
        lambda: mapping.identity(query, reply).verdict,
    ):
        with pytest.raises(PartnerError):
            read()
    try:
        outcome = mapping.confirmed(order, reply)
    except PartnerError:
        return
    assert outcome.kind is OutcomeKind.UNKNOWN


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 400), flip=st.integers(0, 255), http=st.sampled_from([200, 202, 400, 401, 403, 500, 504]))
def test_a_damaged_answer_is_never_another_verdict(order: PayoutOrder, cut: int, flip: int, http: int) -> None:
    """One byte of a booked cash-in's answer changed: that booking, what another code in it says, or no verdict."""
    whole = json.dumps({"data": {**CONFIRMED, "msisdn": "6281234567890", "amount": "50000"}}).encode()
    at = cut % len(whole)
    content = whole[:at] + bytes([flip]) + whole[at + 1 :]
    try:
        outcome = mapping.confirmed(order, Response(status=http, headers={}, content=content))
    except PartnerError:
        return
    if outcome.kind not in {OutcomeKind.SUCCEEDED, OutcomeKind.UNKNOWN}:
        assert f'"responseCode": "{outcome.partner_code}"'.encode() in content
        assert outcome.partner_code != "00"
    assert http == 200 or outcome.kind is OutcomeKind.UNKNOWN


@pytest.mark.parametrize("code", [f"{n:02d}" for n in range(100)])
def test_only_listed_codes_are_verdicts(order: PayoutOrder, say: Say, code: str) -> None:
    outcome = mapping.confirmed(order, say({"data": {**CONFIRMED, "responseCode": code}}))
    assert (outcome.kind in FINAL) == (code in {"00", "15", "40", "51"})


def test_every_assumption_is_shown() -> None:
    shown = " ".join(fact.source for fact in PARTNER.manifest.facts)
    for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14):
        assert f"L{n}" in shown
