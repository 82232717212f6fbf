"""The plans, driven by hand with the sample exchanges of docs/partners/wallets.md 12."""

from __future__ import annotations

from datetime import UTC, date, datetime

import msgspec
import pytest

from adapters.gopay import PARTNER
from contracts.errors import Hint, NotSupported, PartnerError, PartnerProtocolError, PartnerUnavailable
from contracts.identity import Verdict
from contracts.incentive import BlockerCode
from contracts.linking import Grant, LinkGranted, LinkHealth, LinkRefused, Unlinked
from contracts.observation import StatementKind
from contracts.payout import OutcomeKind
from contracts.plan import Effect
from contracts.secret import Secret

NUMBER = "1d4f8423393005"
CREATE_BODY = (
    b'{"payouts":[{"beneficiary_name":"Siti Nurhaliza N","beneficiary_account":"081234567890",'
    b'"beneficiary_bank":"gopay","amount":"600000.00","notes":"0100000000000000042"}]}'
)
UNREADABLE = [b"", b"<html>", b"null", b"[]", b"{}", b'{"status":1}', b'{"payouts":[]}']


def kind_of(outcome) -> str:
    """How an outcome reads in a table below."""
    reason = outcome.reason.value if outcome.reason else None
    return f"{outcome.kind.value} {reason} {outcome.technical}"


# --- our token and linking ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("life", "wanted"), [("900", 900.0), (600, 600.0), (None, None)])
def test_token(life, wanted, ctx, drive, answer):
    body = {"responseCode": "2007300", "responseMessage": "Successful", "accessToken": "jwt", "tokenType": "Bearer"}
    body |= {} if life is None else {"expiresIn": life}
    token, requests = drive(PARTNER.fetch_token(ctx, "snap", None), answer(200, body))
    assert token.value == Secret("jwt")
    assert token.life_s == (wanted or 900.0)
    assert [(r.operation, r.effect, r.host, r.timeout_s) for r in requests] == [
        ("token.snap", Effect.READ, "snap", 10.0)
    ]


@pytest.mark.parametrize("life", ["soon", "", True, -1, "0", [900], "9" * 10])
def test_a_token_with_an_unreadable_life_has_the_documents(life, ctx, drive, answer):
    body = {"responseCode": "2007300", "accessToken": "jwt", "expiresIn": life}
    token, _ = drive(PARTNER.fetch_token(ctx, "snap", None), answer(200, body))
    assert token.life_s == 900.0


def test_a_token_that_cannot_stand_in_a_header(ctx, drive, answer):
    with pytest.raises(PartnerProtocolError):
        drive(PARTNER.fetch_token(ctx, "snap", None), answer(200, {"responseCode": "2007300", "accessToken": "a\nb"}))


def test_token_refused(ctx, drive, answer):
    with pytest.raises(PartnerUnavailable) as raised:
        drive(PARTNER.fetch_token(ctx, "snap", None), answer(401, {"responseCode": "4017300"}))
    assert raised.value.hint is Hint.CREDENTIALS
    with pytest.raises(KeyError):
        drive(PARTNER.fetch_token(ctx, "iris", None))


def test_binding(ctx, finish, drive, answer):
    body = {
        "responseCode": "2000700",
        "responseMessage": "Request has been processed successfully",
        "referenceNo": "r",
        "accessTokenInfo": {"accessToken": "cust-token-0001"},
    }
    step, requests = drive(PARTNER.finish_link(ctx, finish), answer(200, body))
    assert step == LinkGranted(grant=Grant(access_token=Secret("cust-token-0001")))
    assert [(r.operation, r.effect) for r in requests] == [("link.exchange", Effect.WRITE)]
    step, _ = drive(PARTNER.finish_link(ctx, finish), answer(404, {"responseCode": "4040711"}))
    assert step == LinkRefused(code=BlockerCode.CONSENT_ABANDONED, partner_code="4040711")


@pytest.mark.parametrize(
    ("status", "code", "hint"),
    [
        (401, "4010700", Hint.CREDENTIALS),
        (401, "4010701", Hint.OUR_TOKEN),
        (404, "4040705", Hint.NONE),
        (400, "4000702", Hint.NONE),
        (500, "5000701", Hint.NONE),
        (504, "5040700", Hint.NONE),
        (202, "2020700", Hint.NONE),
    ],
)
def test_binding_that_could_not_tell(status, code, hint, ctx, finish, drive, answer):
    with pytest.raises(PartnerUnavailable) as raised:
        drive(PARTNER.finish_link(ctx, finish), answer(status, {"responseCode": code}))
    assert (raised.value.hint, raised.value.partner_code) == (hint, code)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"responseCode": "2000700"}),
        (200, {"responseCode": "2000700", "accessTokenInfo": {"accessToken": ""}}),
        (200, {"responseCode": "2000700", "accessTokenInfo": {"accessToken": "x" * 8193}}),
        (200, {"responseCode": "2000800", "accessTokenInfo": {"accessToken": "t"}}),
        (200, {"responseCode": 2000800, "accessTokenInfo": {"accessToken": "t"}}),
        (200, {"responseCode": "4040711"}),
        (200, b'{"x":' * 100_000),
    ],
)
def test_binding_that_contradicts_itself(status, body, ctx, finish, drive, answer):
    with pytest.raises(PartnerError):
        drive(PARTNER.finish_link(ctx, finish), answer(status, body))


@pytest.mark.parametrize(
    ("status", "code", "health"),
    [
        (200, "2000800", LinkHealth.ACTIVE),
        (401, "4010802", LinkHealth.REVOKED),
        (403, "4030818", LinkHealth.BLOCKED),
    ],
)
def test_link_health(status, code, health, ctx, grant, drive, answer):
    found, requests = drive(PARTNER.link_health(ctx, grant), answer(status, {"responseCode": code}))
    assert found is health
    assert [(r.operation, r.effect) for r in requests] == [("link.health", Effect.READ)]


@pytest.mark.parametrize(("status", "code"), [(401, "4010801"), (404, "4040805"), (500, "5000801"), (504, "5040800")])
def test_link_health_that_could_not_tell(status, code, ctx, grant, drive, answer):
    with pytest.raises(PartnerUnavailable):
        drive(PARTNER.link_health(ctx, grant), answer(status, {"responseCode": code}))


def test_unlink(ctx, unlink_order, drive, answer):
    for status, code in ((200, "2000900"), (401, "4010902")):
        step, requests = drive(PARTNER.unlink(ctx, unlink_order), answer(status, {"responseCode": code}))
        assert step == Unlinked(partner_code=code)
        assert [(r.operation, r.effect) for r in requests] == [("unlink", Effect.WRITE)]
    for status, code in ((401, "4010900"), (401, "4010901"), (404, "4040905"), (500, "5000901")):
        with pytest.raises(PartnerUnavailable):
            drive(PARTNER.unlink(ctx, unlink_order), answer(status, {"responseCode": code}))


# --- identity ----------------------------------------------------------------------------------------------------


def kyc(status, result=None, number=None):
    """A pull's answer."""
    data = {"status": status, "submissionId": "s-1"} | ({} if result is None else {"result": result})
    if number is not None:
        data["submissionData"] = {"ktp": {"documentNumber": number, "name": "SITI", "dob": "1990-04-23"}}
    return {"success": True, "data": data}


def refusal(code):
    """The identity host's error envelope."""
    return {"success": False, "errors": [{"code": code, "entity": "FLOW_MANAGER", "cause": "X"}]}


def test_kyc_request(ctx, query):
    request = next(PARTNER.verify_nik(ctx, query))
    assert (request.operation, request.effect, request.host, request.method, request.target, request.content) == (
        "identity.verify",
        Effect.READ,
        "identity",
        "GET",
        "/forward/gopay-id/kyc/inbound/v1/users/submissions/current",
        b"",
    )
    assert request.headers == {
        "Accept": "application/json",
        "x-merchant-id": "prakerja",
        "authorization": "cust-token-0001",
        "correlation-id": "77c20a44-7a2c-535e-a382-8b26fd8ccc53",
    }
    assert "3174012304909901" not in str(request.headers)


@pytest.mark.parametrize(
    ("status", "body", "verdict", "code"),
    [
        (200, kyc("COMPLETED", "VALID", "3174012304909901"), Verdict.MATCH, "COMPLETED.VALID"),
        (200, kyc("COMPLETED", "VALID", "3174012304909902"), Verdict.MISMATCH, "COMPLETED.VALID"),
        (200, kyc("COMPLETED", "VALID", "3174012304909901") | {"errors": [7]}, Verdict.MATCH, "COMPLETED.VALID"),
        (200, kyc("COMPLETED", "INVALID"), Verdict.KYC_INCOMPLETE, "COMPLETED.INVALID"),
        (200, kyc("COMPLETED", "INVALID", "3174012304909901"), Verdict.KYC_INCOMPLETE, "COMPLETED.INVALID"),
        (200, kyc("IN_PROGRESS"), Verdict.PENDING, "IN_PROGRESS"),
        (200, kyc("INITIATED"), Verdict.PENDING, "INITIATED"),
        (404, refusal("1519"), Verdict.KYC_INCOMPLETE, "1519"),
    ],
)
def test_kyc_verdicts(status, body, verdict, code, ctx, query, drive, answer):
    replies = [answer(status, body)] + ([registered(answer, "SITI")] if verdict is Verdict.MATCH else [])
    found, _ = drive(PARTNER.verify_nik(ctx, query), *replies)
    assert (found.verdict, found.partner_code) == (verdict, code)


def registered(answer, name):
    """Iris' answer to the name inquiry."""
    return answer(200, {"id": "1", "account_name": name, "account_no": "081234567890", "bank_name": "gopay"})


def test_a_match_is_one_only_if_the_declared_account_bears_the_name(ctx, query, drive, answer):
    pull = answer(200, kyc("COMPLETED", "VALID", "3174012304909901"))
    found, requests = drive(PARTNER.verify_nik(ctx, query), pull, registered(answer, "Hj. Siti, S.Kom."))
    assert found.verdict is Verdict.MATCH
    assert (requests[1].operation, requests[1].effect, requests[1].method) == ("identity.name", Effect.READ, "GET")
    assert requests[1].target == "/iris/api/v1/account_validation?bank=gopay&account=081234567890"
    for reply in (
        registered(answer, "BUDI"),
        answer(400, {"error_message": "An error occured", "errors": {"account": ["Account does not exist"]}}),
    ):
        found, _ = drive(PARTNER.verify_nik(ctx, query), pull, reply)
        assert found.verdict is Verdict.ACCOUNT_UNPROVED
    nameless = kyc("COMPLETED", "VALID", "3174012304909901")
    del nameless["data"]["submissionData"]["ktp"]["name"]
    found, _ = drive(PARTNER.verify_nik(ctx, query), answer(200, nameless), registered(answer, "SITI"))
    assert found.verdict is Verdict.ACCOUNT_UNPROVED


@pytest.mark.parametrize("name", [True, 7, ["SITI"], {"first": "SITI"}])
def test_a_name_of_another_type_is_asked_for_again(name, ctx, query, drive, answer):
    """Damaged on its way, it would have left the account unproved until two people bring a document."""
    damaged = kyc("COMPLETED", "VALID", "3174012304909901")
    damaged["data"]["submissionData"]["ktp"]["name"] = name
    with pytest.raises(PartnerProtocolError, match="the name beside a NIK"):
        drive(PARTNER.verify_nik(ctx, query), answer(200, damaged), registered(answer, "SITI"))


@pytest.mark.parametrize("status", [401, 404, 429, 500, 503])
def test_a_name_that_could_not_be_asked_for_is_no_verdict(status, ctx, query, drive, answer):
    pull = answer(200, kyc("COMPLETED", "VALID", "3174012304909901"))
    with pytest.raises(PartnerError):
        drive(PARTNER.verify_nik(ctx, query), pull, answer(status, {"error_message": "x", "errors": {}}))


@pytest.mark.parametrize(
    ("status", "body", "error", "hint"),
    [
        (404, refusal("1520"), PartnerUnavailable, Hint.NONE),
        (404, b"not here", PartnerProtocolError, Hint.NONE),
        (200, refusal("1519"), PartnerProtocolError, Hint.NONE),
        (404, {"success": True, "errors": [{"code": "1519"}]}, PartnerProtocolError, Hint.NONE),
        (429, b"slow down", PartnerUnavailable, Hint.THROTTLED),
        (500, refusal("1519"), PartnerUnavailable, Hint.NONE),
        (503, b"", PartnerUnavailable, Hint.NONE),
        (201, kyc("COMPLETED", "VALID", "3174012304909901"), PartnerProtocolError, Hint.NONE),
        (200, kyc("ERROR"), PartnerUnavailable, Hint.NONE),
        (200, kyc("COMPLETED"), PartnerUnavailable, Hint.NONE),
        (200, kyc("COMPLETED", "VALID"), PartnerProtocolError, Hint.NONE),
        (200, kyc("COMPLETED", "VALID", "317401230490990"), PartnerProtocolError, Hint.NONE),
        (200, kyc("COMPLETED", "VALID", "3174XXXXXXXX9901"), PartnerProtocolError, Hint.NONE),
        (200, kyc("COMPLETED", "VALID", 317401230490990), PartnerProtocolError, Hint.NONE),
    ],
)
def test_kyc_that_is_no_verdict(status, body, error, hint, ctx, query, drive, answer):
    with pytest.raises(error) as raised:
        drive(PARTNER.verify_nik(ctx, query), answer(status, body))
    assert raised.value.hint is hint
    assert "3174" not in str(raised.value)


# --- payouts -----------------------------------------------------------------------------------------------------


def test_prepare_bytes(ctx, order):
    request = next(PARTNER.prepare(ctx, order))
    assert request.content == PARTNER.frozen_body(ctx, order) == CREATE_BODY
    assert (request.operation, request.effect, request.host, request.method, request.target, request.timeout_s) == (
        "payout.create",
        Effect.WRITE,
        "iris",
        "POST",
        "/iris/api/v1/payouts",
        30.0,
    )
    assert request.headers["X-Idempotency-Key"] == order.reference
    later = msgspec.structs.replace(ctx, now=datetime(2026, 1, 3, tzinfo=UTC), serial="01767297845000002")
    assert next(PARTNER.prepare(later, order)) == request, "every attempt sends the same key and bytes"


def test_prepare_queued(ctx, order, drive, answer):
    body = {"payouts": [{"status": "queued", "reference_no": NUMBER}]}
    outcome, _ = drive(PARTNER.prepare(ctx, order), answer(201, body))
    assert (outcome.kind, outcome.partner_reference) == (OutcomeKind.QUEUED, NUMBER)


INVALID = {"error_message": "An error occurred when creating payouts", "errors": [["Amount is not a number"]]}
KEY_REUSED = {"error_message": "idempotency-key is not unique", "errors": "idempotency-key is not unique"}
NOT_FOUND = {"error_message": "An error occurred when approving payouts", "errors": ["Payouts not found."]}
UNAUTHORIZED = {"error_message": "You are not authorized to perform this action", "errors": []}


@pytest.mark.parametrize(
    ("status", "body", "wanted"),
    [
        (400, INVALID, "rejected partner_rejected False"),
        (400, INVALID | {"errors": {"0": ["Amount is not a number"]}}, "rejected partner_rejected False"),
        (400, INVALID | {"errors": []}, "unknown None False"),
        (400, KEY_REUSED, "unknown None False"),
        (400, KEY_REUSED | {"errors": ["idempotency-key is not unique"]}, "unknown None False"),
        (401, UNAUTHORIZED, "not_accepted None False"),
        (422, INVALID, "unknown None False"),
        (429, {}, "unknown None False"),
        (500, {"error_message": "x"}, "unknown None False"),
        (504, {"error_message": "Timeout"}, "unknown None False"),
        (200, {"payouts": [{"status": "queued", "reference_no": NUMBER}]}, "unknown None False"),
        (201, {"payouts": [{"status": "approved", "reference_no": NUMBER}]}, "unknown None False"),
        (201, {"payouts": [{"status": "queued", "reference_no": "a"}] * 2}, "unknown None False"),
    ],
)
def test_prepare_otherwise(status, body, wanted, ctx, order, drive, answer):
    outcome, requests = drive(PARTNER.prepare(ctx, order), answer(status, body))
    assert kind_of(outcome) == wanted
    assert [r.effect for r in requests] == [Effect.WRITE]


def test_approve(ctx, order, drive, answer):
    outcome, requests = drive(PARTNER.approve(ctx, order), answer(202, {"status": "ok"}))
    assert (outcome.kind, outcome.partner_reference) == (OutcomeKind.PENDING, NUMBER)
    assert [(r.operation, r.effect, r.method, r.target, r.content) for r in requests] == [
        (
            "payout.approve",
            Effect.WRITE,
            "POST",
            "/iris/api/v1/payouts/approve",
            b'{"reference_nos":["1d4f8423393005"]}',
        )
    ]


@pytest.mark.parametrize("operation", [PARTNER.approve, PARTNER.withdraw])
@pytest.mark.parametrize(
    ("status", "body", "wanted"),
    [
        (400, NOT_FOUND, "unknown None False"),
        (401, UNAUTHORIZED, "not_accepted None False"),
        (200, {"status": "ok"}, "unknown None False"),
        (202, {"status": "failed"}, "unknown None False"),
        (404, {"error_message": "Payout not found", "errors": []}, "unknown None False"),
        (429, {"error_message": "x"}, "unknown None False"),
        (500, {"status": "ok"}, "unknown None False"),
        (504, {"error_message": "Timeout"}, "unknown None False"),
    ],
)
def test_approve_and_withdraw_otherwise(operation, status, body, wanted, ctx, order, drive, answer):
    outcome, _ = drive(operation(ctx, order), answer(status, body))
    assert kind_of(outcome) == wanted
    if outcome.kind is OutcomeKind.NOT_ACCEPTED:
        assert outcome.hint is Hint.CREDENTIALS


def test_withdraw(ctx, order, drive, answer):
    outcome, requests = drive(PARTNER.withdraw(ctx, order), answer(202, {"status": "ok"}))
    assert kind_of(outcome) == "rejected None True"
    assert [(r.operation, r.effect, r.target, r.content) for r in requests] == [
        (
            "payout.reject",
            Effect.WRITE,
            "/iris/api/v1/payouts/reject",
            b'{"reference_nos":["1d4f8423393005"],"reject_reason":"withdrawn by the creator"}',
        )
    ]


@pytest.mark.parametrize("content", UNREADABLE)
@pytest.mark.parametrize(
    ("operation", "status"), [(PARTNER.prepare, 201), (PARTNER.approve, 202), (PARTNER.withdraw, 202)]
)
def test_damaged_answers_to_a_write_are_no_verdict(operation, status, content, ctx, order, drive, answer):
    try:
        outcome, _ = drive(operation(ctx, order), answer(status, content))
    except PartnerProtocolError:
        return
    assert outcome.kind is OutcomeKind.UNKNOWN


@pytest.mark.parametrize("operation", [PARTNER.approve, PARTNER.withdraw])
def test_without_a_number_nothing_leaves(operation, ctx, order):
    with pytest.raises(ValueError):
        next(operation(ctx, msgspec.structs.replace(order, partner_reference=None)))
    with pytest.raises(PartnerProtocolError):
        next(operation(ctx, msgspec.structs.replace(order, partner_reference="..")))


def status_body(status, **changes):
    """Iris' answer about the order."""
    return {
        "amount": "600000.00",
        "beneficiary_name": "Siti",
        "beneficiary_account": "081234567890",
        "bank": "gopay",
        "reference_no": NUMBER,
        "notes": "0100000000000000042",
        "status": status,
        "updated_at": "2026-01-02T03:05:00Z",
    } | changes


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        ("queued", "queued None False"),
        ("approved", "pending None False"),
        ("processed", "pending None False"),
        ("completed", "succeeded None False"),
        ("failed", "rejected None False"),
        ("rejected", "rejected partner_rejected False"),
    ],
)
def test_find_payout(status, wanted, ctx, order, drive, answer):
    outcome, requests = drive(PARTNER.find_payout(ctx, order), answer(200, status_body(status)))
    assert kind_of(outcome) == wanted
    assert outcome.reason_may_follow is (status == "failed")
    assert [(r.operation, r.effect, r.method, r.target, r.timeout_s) for r in requests] == [
        ("payout.status", Effect.READ, "GET", f"/iris/api/v1/payouts/{NUMBER}", 15.0)
    ]
    if status == "completed":
        assert (outcome.amount_rupiah, outcome.account) == (600_000, Secret("+6281234567890"))
        assert outcome.partner_reference == NUMBER


def test_find_payout_tells_what_was_booked_not_what_was_ordered(ctx, order, drive, answer):
    body = status_body("completed", amount="60000000.00", beneficiary_account="6281299999999")
    outcome, _ = drive(PARTNER.find_payout(ctx, order), answer(200, body))
    assert (outcome.amount_rupiah, outcome.account) == (60_000_000, Secret("+6281299999999"))


def test_find_payout_never_proves_absence(ctx, order, drive, answer):
    body = {"error_message": "Payout not found", "errors": []}
    outcome, _ = drive(PARTNER.find_payout(ctx, order), answer(404, body))
    assert outcome.kind is OutcomeKind.UNKNOWN
    assert PARTNER.manifest.absence.by_lookup is False
    outcome, requests = drive(PARTNER.find_payout(ctx, msgspec.structs.replace(order, partner_reference=None)))
    assert (outcome.kind, requests) == (OutcomeKind.UNKNOWN, [])


@pytest.mark.parametrize(
    ("status", "body", "error", "hint"),
    [
        (401, UNAUTHORIZED, PartnerUnavailable, Hint.CREDENTIALS),
        (429, b"", PartnerUnavailable, Hint.THROTTLED),
        (500, status_body("completed"), PartnerUnavailable, Hint.NONE),
        (404, b"<html>", PartnerProtocolError, Hint.NONE),
        (200, status_body("paid"), PartnerProtocolError, Hint.NONE),
        (200, status_body("completed", reference_no="other"), PartnerProtocolError, Hint.NONE),
        (200, status_body("completed", amount="600000.50"), PartnerProtocolError, Hint.NONE),
        (200, status_body("completed", amount=600000.5), PartnerProtocolError, Hint.NONE),
        (200, status_body("completed", beneficiary_account="BCA"), PartnerProtocolError, Hint.NONE),
        (200, b"{}", PartnerProtocolError, Hint.NONE),
    ],
)
def test_find_payout_that_could_not_tell(status, body, error, hint, ctx, order, drive, answer):
    with pytest.raises(error) as raised:
        drive(PARTNER.find_payout(ctx, order), answer(status, body))
    assert raised.value.hint is hint


def test_retry_after_is_passed_on(ctx, order, drive, answer):
    with pytest.raises(PartnerUnavailable) as raised:
        drive(PARTNER.find_payout(ctx, order), answer(429, b"", **{"retry-after": "30"}))
    assert raised.value.retry_after_s == 30.0


# --- statement and balance ---------------------------------------------------------------------------------------


def row(**changes):
    """One booking."""
    return {
        "reference_no": NUMBER,
        "beneficiary_name": "Siti",
        "beneficiary_account": "081234567890",
        "account": "gopay",
        "type": "Payout",
        "amount": "600000.00",
        "status": "debit",
        "created_at": "2026-01-01T20:00:00Z",
        "notes": "0100000000000000042",
    } | changes


def test_statement(ctx, drive, answer):
    rows = [
        row(),
        row(type="Refund", status="credit"),
        row(type="Payout fee", amount="2500.50", notes="fee"),
        {"type": "Topup", "status": "credit", "amount": "1000000000.00", "created_at": "2026-01-01T20:00:00Z"},
        row(beneficiary_account="1234567890", notes="rent"),
    ]
    page, requests = drive(PARTNER.statement(ctx, date(2026, 1, 2), None), answer(200, rows))
    assert [(r.method, r.target, r.content, r.effect) for r in requests] == [
        ("GET", "/iris/api/v1/statements", b'{"from_date":"2026-01-02","to_date":"2026-01-02"}', Effect.READ)
    ]
    assert page.next_cursor is None
    assert [line.kind for line in page.lines] == [
        StatementKind.CREDIT,
        StatementKind.REVERSAL,
        StatementKind.FEE,
        StatementKind.OTHER,
        StatementKind.CREDIT,
    ]
    first, foreign = page.lines[0], page.lines[4]
    assert (first.reference, first.partner_reference, first.amount_rupiah, first.account, first.booked_at) == (
        "0100000000000000042",
        NUMBER,
        600_000,
        Secret("+6281234567890"),
        datetime(2026, 1, 1, 20, tzinfo=UTC),
    )
    assert (foreign.reference, foreign.account) == (None, Secret("1234567890"))
    assert page.lines[3].amount_rupiah == 1_000_000_000 and page.lines[2].amount_rupiah == 2_500


@pytest.mark.parametrize(
    ("kind", "side", "ours"),
    [
        ("Payout fee", "debit", StatementKind.FEE),
        ("Fee", "debit", StatementKind.FEE),
        ("Account validation fee", "debit", StatementKind.OTHER),
        ("Topup reversal", "debit", StatementKind.OTHER),
        ("Manual", "credit", StatementKind.OTHER),
        ("Manual", "debit", None),
        ("Account validation fee", "credit", None),
        ("Payout reversal", "credit", None),
    ],
)
def test_a_day_is_whole_with_the_bookings_that_midtrans_documents(kind, side, ours, ctx, drive, answer):
    """Each check of a name costs a fee: every day had a line that could not be read, and no day proved anything."""
    rows = [
        row(),
        {"account": "BANK", "type": kind, "amount": "3000.0", "status": side, "created_at": "2026-01-02T03:00:00Z"},
    ]
    page, _ = drive(PARTNER.statement(ctx, date(2026, 1, 2), None), answer(200, rows))
    assert [line.kind for line in page.lines] == [StatementKind.CREDIT, *([ours] if ours else [])]
    assert page.unreadable == (ours is None)


@pytest.mark.parametrize(
    "broken",
    [
        row(type="Disbursement"),
        row(status="credit"),
        row(amount="1.5"),
        row(created_at="2026-01-01T20:00:00"),
        row(created_at="yesterday"),
        row(reference_no=None),
        {},
        "x",
    ],
)
def test_a_statement_with_one_unreadable_line_proves_nothing(broken, ctx, drive, answer):
    page, _ = drive(PARTNER.statement(ctx, date(2026, 1, 2), None), answer(200, [row(), broken, row()]))
    assert (len(page.lines), page.unreadable) == (2, 1)


def test_statement_and_balance_that_could_not_tell(ctx, drive, answer):
    for plan in (lambda: PARTNER.statement(ctx, date(2026, 1, 2), None), lambda: PARTNER.balance(ctx)):
        for status, hint in ((401, Hint.CREDENTIALS), (404, Hint.NONE), (500, Hint.NONE)):
            with pytest.raises(PartnerError) as raised:
                drive(plan(), answer(status, []))
            assert raised.value.hint is hint


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b'{"balance":"100000.00"}', 100_000),
        (b'{"balance":100000}', 100_000),
        (b'{"balance": 100000.0 }', 100_000),
        (b'{"balance":"0"}', 0),
        (b'{"balance":"100000.37"}', 100_000),
    ],
)
def test_balance(content, wanted, ctx, drive, answer):
    found, _ = drive(PARTNER.balance(ctx), answer(200, content))
    assert found.amount_rupiah == wanted


@pytest.mark.parametrize(
    "content",
    [b'{"balance":1.512}', b'{"balance":null}', b'{"balance":"-1"}', b'{"balance":1e999}', b"{}", b'{"balance":"'],
)
def test_unreadable_balance(content, ctx, drive, answer):
    with pytest.raises(PartnerProtocolError):
        drive(PARTNER.balance(ctx), answer(200, content))


# --- for all of them ---------------------------------------------------------------------------------------------


def test_same_context_same_bytes(ctx, order, query, grant, start, finish, unlink_order):
    plans = [
        lambda: PARTNER.fetch_token(ctx, "snap", None),
        lambda: PARTNER.finish_link(ctx, finish),
        lambda: PARTNER.link_health(ctx, grant),
        lambda: PARTNER.unlink(ctx, unlink_order),
        lambda: PARTNER.verify_nik(ctx, query),
        lambda: PARTNER.prepare(ctx, order),
        lambda: PARTNER.approve(ctx, order),
        lambda: PARTNER.withdraw(ctx, order),
        lambda: PARTNER.find_payout(ctx, order),
        lambda: PARTNER.statement(ctx, date(2026, 1, 2), None),
        lambda: PARTNER.balance(ctx),
    ]
    for plan in plans:
        assert next(plan()) == next(plan())
        assert next(plan()).host in PARTNER.manifest.hosts
    assert PARTNER.begin_link(ctx, start).gi_frame is not None


def test_calls_take_only_the_tokens_they_declare(ctx, order, query, grant, finish, unlink_order):
    bare = msgspec.structs.replace(ctx, tokens={})
    free = [
        PARTNER.fetch_token(bare, "snap", None),
        PARTNER.verify_nik(bare, query),
        PARTNER.prepare(bare, order),
        PARTNER.approve(bare, order),
        PARTNER.withdraw(bare, order),
        PARTNER.find_payout(bare, order),
        PARTNER.statement(bare, date(2026, 1, 2), None),
        PARTNER.balance(bare),
    ]
    for plan in free:
        next(plan)
    needing = {
        "finish_link": PARTNER.finish_link(bare, finish),
        "link_health": PARTNER.link_health(bare, grant),
        "unlink": PARTNER.unlink(bare, unlink_order),
    }
    assert {*needing, "verify_nik"} == set(PARTNER.manifest.needs), "the NIK check shows one only after a 401"
    for plan in needing.values():
        with pytest.raises(KeyError):
            next(plan)


def test_a_second_page_of_a_statement_does_not_exist(ctx):
    with pytest.raises(NotSupported):
        next(PARTNER.statement(ctx, date(2026, 1, 2), "2"))


def test_manifest_facts_that_others_rely_on():
    manifest = PARTNER.manifest
    assert manifest.two_step
    assert manifest.completed_can_fail
    assert manifest.payout_needs_live_link
    assert not manifest.payout_proves_link
    assert not manifest.link_exclusive
    assert (manifest.confirm_rejection_s, manifest.reason_wait_s) == (60.0, 600.0)
    assert manifest.lifetimes.create_key_s == 86_400.0
    assert {(route.method, route.path) for route in manifest.callbacks} == {
        ("POST", "/v1.0/registration-account/notify"),
        ("POST", "/iris"),
        ("PUT", "/v1/callback/partner"),
    }


@pytest.mark.parametrize(
    "body", [refusal("1401"), {}, b"<html>401</html>", kyc("COMPLETED", "VALID", "3174012304909901")]
)
@pytest.mark.parametrize(
    ("health", "hint"),
    [
        ("4010802", Hint.CUSTOMER_TOKEN),
        ("2000800", Hint.CREDENTIALS),
        ("4030818", Hint.CREDENTIALS),
        ("4010801", Hint.OUR_TOKEN),
        ("5000800", Hint.NONE),
    ],
)
def test_a_401_of_the_kyc_pull_ends_a_link_only_if_the_inquiry_agrees(body, health, hint, ctx, query, drive, answer):
    said = answer(int(health[:3]), {"responseCode": health})
    with pytest.raises(PartnerUnavailable) as raised:
        drive(PARTNER.verify_nik(ctx, query), answer(401, body), said)
    assert raised.value.hint is hint


@pytest.mark.parametrize("shown", ["3174.0123.0490.9901", "3174 0123 0490 9901", "3174-0123-0490-9901"])
def test_a_nik_with_separators_is_its_digits(shown, ctx, query, drive, answer):
    said = kyc("COMPLETED", "VALID", shown) if query.nik.same_as("3174012304909901") else None
    plan = PARTNER.verify_nik(ctx, query)
    next(plan)
    request = plan.send(answer(200, said))
    assert request.operation == "identity.name", "it matches, and the name is asked for"


def test_the_words_of_a_refused_create_are_kept_without_the_person(ctx, order, drive, answer):
    errors = {"0": [f"Beneficiary name '{order.name.reveal()}' of 081234567890 is invalid"]}
    body = {"error_message": "An error occurred when creating payouts", "errors": errors}
    outcome, _ = drive(PARTNER.prepare(ctx, order), answer(400, body))
    assert (outcome.kind, outcome.partner_code) == (OutcomeKind.REJECTED, "400")
    assert outcome.detail == "An error occurred when creating payouts; Beneficiary name '***' of *** is invalid"
