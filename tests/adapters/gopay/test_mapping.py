"""Midtrans' answers in our words; noise is never a verdict."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import accounts, answers
from adapters.gopay import PARTNER, mapping, wire
from contracts.errors import Hint, PartnerError, PartnerProtocolError
from contracts.incentive import BlockerCode
from contracts.linking import LinkReturn
from contracts.observation import IdentityNotice, LinkNotice, NoNotice, PayoutNotice
from contracts.partner import Notification
from contracts.payout import OutcomeKind, Refusal
from contracts.plan import Response
from contracts.secret import Secret

B = BlockerCode

# --- what the browser brings back --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        (
            {"authCode": "auth-0001", "state": "st-0001", "success": "true"},
            LinkReturn(code=Secret("auth-0001"), state="st-0001"),
        ),
        (
            {"authCode": "auth-0001", "state": "st-0001", "result": "success"},
            LinkReturn(code=Secret("auth-0001"), state="st-0001"),
        ),
        ({"errorCode": "4031005", "errorDesc": "x"}, LinkReturn(refused=B.CONSENT_DENIED, partner_code="4031005")),
        ({"errCode": "4031011", "errDesc": "x"}, LinkReturn(refused=B.CONSENT_DENIED, partner_code="4031011")),
        (
            {"responseCode": "4041012", "responseMessage": "x"},
            LinkReturn(refused=B.ACCOUNT_NOT_FOUND, partner_code="4041012"),
        ),
        ({"responseCode": "4031018"}, LinkReturn(refused=B.ACCOUNT_BLOCKED, partner_code="4031018")),
        (
            {"authCode": "null", "state": "st-0001", "result": "abort"},
            LinkReturn(refused=B.CONSENT_ABANDONED, state="st-0001", partner_code="abort"),
        ),
        (
            {"authCode": "real", "state": "st-0001", "result": "failure"},
            LinkReturn(refused=B.CONSENT_ABANDONED, state="st-0001", partner_code="failure"),
        ),
        (
            {"authCode": "real", "success": "true", "errorCode": "4031005"},
            LinkReturn(refused=B.CONSENT_DENIED, partner_code="4031005"),
        ),
    ],
)
def test_returns(query, wanted):
    assert PARTNER.read_return(query) == wanted


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"responseCode": "4001002"}, "4001002"),
        ({"responseCode": "5041000"}, "5041000"),
        ({"errorCode": "4031099", "authCode": "real", "success": "true"}, "4031099"),
        ({"errCode": "<script>"}, None),
    ],
)
def test_a_code_that_no_table_lists_ends_the_link_and_is_kept(query, code):
    returned = PARTNER.read_return(query)
    assert (returned.code, returned.refused, returned.partner_code) == (None, B.LINK_REQUIRED, code)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({}, None),
        ({"authCode": "real", "state": "st-0001"}, None),
        ({"authCode": "real", "success": "false"}, None),
        ({"authCode": "null", "success": "true"}, "success"),
        ({"success": "true"}, "success"),
        ({"authCode": "x" * 4097, "success": "true"}, "success"),
    ],
)
def test_returns_that_say_nothing_end_the_link(query, code):
    """Nobody could get further by loading the address again."""
    back = PARTNER.read_return(query)
    assert (back.code, back.refused, back.partner_code) == (None, B.CONSENT_ABANDONED, code)


# --- Iris' tables ------------------------------------------------------------------------------------------------

REASONS = {
    "002": B.ACCOUNT_NOT_FOUND,
    "009": B.PARTNER_FLOAT_SHORT,
    "012": B.ACCOUNT_BLOCKED,
    "014": B.MONTHLY_LIMIT,
    "015": B.BALANCE_LIMIT,
    "016": B.PARTNER_FLOAT_SHORT,
}
TECHNICAL = {"004", "005", "018", "021", "022", "023", "024"}


@pytest.mark.parametrize("number", range(1, 27))
def test_every_error_code_has_its_meaning(number):
    code = f"{number:03d}"
    assert code in mapping.FAILURES
    outcome = mapping.failed(code)
    assert outcome.kind is OutcomeKind.REJECTED
    assert outcome.technical is (code in TECHNICAL)
    assert outcome.reason is (None if code in TECHNICAL else REASONS.get(code, B.PARTNER_REJECTED))
    assert outcome.partner_code == code
    assert outcome.reason_may_follow is False
    doubts = {"005": Refusal.STATEMENT_DECIDES, "006": Refusal.PERHAPS_PAID, "007": Refusal.PERHAPS_PAID}
    assert outcome.refusal is doubts.get(code)


@pytest.mark.parametrize("code", ["015", "15", 15])
@pytest.mark.parametrize("message", ["limit exceeded", 7, None, ["x"], {}])
def test_a_code_counts_by_its_value_and_what_nobody_needs_drops_no_notification(code, message):
    said = {"status": "failed", "reference_no": "n1", "error_code": code, "error_message": message, "amount": {}}
    body = json.dumps(said).encode()
    notice = PARTNER.callbacks.read(Notification(kind="payout", method="POST", target="/iris", headers={}, body=body))
    assert notice.partner_reference == "n1"
    assert (notice.outcome.reason, notice.outcome.partner_code) == (B.BALANCE_LIMIT, "015")
    if isinstance(message, str):
        assert notice.outcome.detail == message, "for staff to read"


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-24T05:00:01Z", datetime(2026, 11, 24, 5, 0, 1, tzinfo=UTC)),
        ("2026-11-24T12:00:01+07:00", datetime(2026, 11, 24, 5, 0, 1, tzinfo=UTC)),
        ("2026-11-24 12:00:01", None),
        ("yesterday", None),
        (1_764_000_000, None),
        (None, None),
    ],
)
def test_a_time_that_cannot_order_words_is_none_and_vetoes_nothing(text, at):
    for status in ("completed", "failed", "rejected"):
        said = {"status": status, "reference_no": "n1", "amount": "1.00", "updated_at": text}
        for shape, more in ((wire.IrisPayout, {}), (wire.IrisNotice, {"error_code": "018"})):
            assert mapping.payout(answers.typed(said | more, shape, "it"), "n1").said_at == at


def test_an_unlisted_error_code_is_for_staff():
    assert mapping.failed("099").reason is B.PARTNER_REJECTED
    assert mapping.failed("a code <b>").partner_code == "failed"


@pytest.mark.parametrize("code", [None, ""])
def test_failed_without_a_code_waits_for_the_reason(code):
    outcome = mapping.failed(code)
    assert (outcome.reason, outcome.technical, outcome.reason_may_follow) == (None, False, True)


def test_every_status_has_its_outcome():
    kinds = {
        "queued": OutcomeKind.QUEUED,
        "approved": OutcomeKind.PENDING,
        "processed": OutcomeKind.PENDING,
        "completed": OutcomeKind.SUCCEEDED,
        "failed": OutcomeKind.REJECTED,
        "rejected": OutcomeKind.REJECTED,
    }
    for status, kind in kinds.items():
        assert mapping.payout(wire.IrisPayout(reference_no="n1", status=status, amount="1.00"), "n1").kind is kind
    with pytest.raises(PartnerProtocolError):
        mapping.payout(wire.IrisPayout(reference_no="n1", status="settled", amount="1.00"), "n1")


def test_only_a_notification_has_a_reason(order, answer):
    """A look-up's `error_code` is no field of Iris' documents: nobody knows what it would mean."""
    said = {"reference_no": "1d4f8423393005", "status": "failed", "error_code": "018"}
    looked = mapping.found_payout(answer(200, said), "1d4f8423393005", order)
    assert (looked.reason_may_follow, looked.technical) == (True, False)


def test_a_stranger_no_at_iris_starts_no_new_payout_and_ours_blames_no_one(order, answer):
    seen, own = mapping.refused_by_approver(), mapping.withdrawal(answer(202, {"status": "ok"}), order)
    assert (seen.reason, seen.technical, seen.reason_may_follow) == (B.PARTNER_REJECTED, False, False)
    assert (own.reason, own.technical, own.reason_may_follow) == (None, True, False)


# --- forms -------------------------------------------------------------------------------------------------------


def test_phone_forms():
    account = Secret("+6281234567890")
    assert accounts.msisdn(account) == Secret("6281234567890")
    assert accounts.local(account) == Secret("081234567890")
    for theirs in ("081234567890", "6281234567890", "+6281234567890"):
        assert accounts.mobile(theirs) == account
    for other in ("", "12345678", "0812", "0812345678901234", "00621234567890", "٠٨١٢٣٤٥٦٧٨٩٠", "081234567890\n"):
        assert accounts.mobile(other) is None
    with pytest.raises(ValueError):
        accounts.local(Secret("+14155550123"))


@pytest.mark.parametrize("text", ["", "1.50", "-1", "1e-3", "Rp 1", "1,000", "1.000", None])
def test_amounts_that_are_not_whole_rupiah(text):
    with pytest.raises(PartnerProtocolError):
        answers.whole(text, "amount")


def test_a_decoder_never_quotes_what_it_read():
    for shape, body in (
        (wire.GopayIdReply, b'{"success":true,"data":["3174012304909901"]}'),
        (wire.IrisValidation, b'{"account_name":3174012304909901}'),
        (wire.IrisNotice, b"3174012304909901"),
        (wire.IrisNotice, b'{"x":' * 100_000),
        (wire.IrisErrorReply, b'{"errors":' + b"[" * 100_000),
        (list[wire.IrisStatementRow], b'{"3174012304909901":1}'),
    ):
        with pytest.raises(PartnerProtocolError) as raised:
            decode(body, shape)
        assert "3174" not in str(raised.value)
        assert raised.value.__suppress_context__


def test_shapes_with_personal_data_are_masked():
    ktp = {"documentNumber": "3174012304909901", "name": "SITI"}
    data = {"status": "COMPLETED", "result": "VALID", "submissionData": {"ktp": ktp}}
    body = json.dumps({"success": True, "data": data}).encode()
    found = decode(body, wire.GopayIdReply)
    assert "3174" not in repr(found)
    assert "SITI" not in repr(found)
    assert "3174" not in repr(decode(b'{"error_message":"3174012304909901","errors":"x"}', wire.IrisErrorReply))


# --- notifications -----------------------------------------------------------------------------------------------


def read(notice, kind, body, **headers):
    return PARTNER.callbacks.read(notice(kind, body, **headers))


def test_payout_notices(vector, notice):
    failed, completed = (
        PARTNER.callbacks.read(notice("payout", sample["body"].encode())) for sample in vector("iris")["notices"]
    )
    assert isinstance(failed, PayoutNotice)
    assert failed.partner_reference == completed.partner_reference == "21b6d59f9414b2636b"
    assert failed.reference is None
    assert (failed.outcome.kind, failed.outcome.reason) == (OutcomeKind.REJECTED, B.ACCOUNT_NOT_FOUND)
    assert (completed.outcome.kind, completed.outcome.amount_rupiah) == (OutcomeKind.SUCCEEDED, 10_000)


def test_other_payout_notices(notice):
    topup = {"transaction_id": "t", "order_id": "o", "gross_amount": "1.00", "status": "topup", "transaction_time": "x"}
    assert read(notice, "payout", topup) == NoNotice()
    said = {"reference_no": "n1", "amount": "10000.00", "updated_at": "2026-01-02T03:05:00Z"}
    assert read(notice, "payout", said | {"status": "processed"}).outcome.kind is OutcomeKind.PENDING
    assert read(notice, "payout", said | {"status": "failed"}).outcome.reason_may_follow
    for told, ours in (("1017954964000000001", "1017954964000000001"), ("A-1", None), (None, None), ([], None)):
        named = read(notice, "payout", said | {"status": "processed", "partner_reference_no": told})
        assert (named.reference, named.partner_reference) == (ours, "n1")
    for broken in (
        said,
        said | {"status": "settled"},
        {"status": "completed", "amount": "10000.00"},
        said | {"status": "completed", "reference_no": ".."},
        said | {"status": "completed", "reference_no": "a b"},
        said | {"status": "completed", "amount": "10000.50"},
        said | {"status": "completed", "amount": [10000]},
        b"{}",
        b"",
        b"null",
    ):
        with pytest.raises(PartnerProtocolError):
            read(notice, "payout", broken)


def test_link_and_identity_notices_are_hints(vector, notice):
    link = PARTNER.callbacks.read(notice("link", vector("rsa")["link_notice"]["body"].encode()))
    assert link == LinkNotice(access_token=Secret("cust-token-0001"))
    changed = {"additionalInfo": {"accessToken": "t", "statusMessage": "User changed phone number"}}
    assert read(notice, "link", changed) == LinkNotice(access_token=Secret("t"), account_changed=True)
    body = {"submissionId": "s-1", "partnerSessionId": "p-1", "status": "ERROR", "result": None, "reasonCode": "x"}
    wanted = IdentityNotice(access_token=Secret("cust-token-0001"))
    assert read(notice, "identity", body, authorization="cust-token-0001") == wanted
    assert read(notice, "identity", body, authorization="Bearer cust-token-0001") == wanted
    with pytest.raises(PartnerProtocolError):
        read(notice, "identity", body)
    with pytest.raises(PartnerProtocolError):
        read(notice, "identity", {}, authorization="cust-token-0001")
    with pytest.raises(PartnerProtocolError):
        read(notice, "link", {"additionalInfo": {"accountStatus": "ENABLED"}})


def test_replies(notice):
    assert PARTNER.callbacks.reply(notice("link", {})) == (
        200,
        b'{"responseCode":"2008800","responseMessage":"Success"}',
    )
    assert PARTNER.callbacks.reply(notice("payout", {})) == (200, b"{}")
    assert PARTNER.callbacks.reply(notice("identity", {})) == (200, b"{}")


def test_dedupe_keys(notice):
    key = PARTNER.callbacks.dedupe_key
    body = {"reference_no": "n1", "status": "failed", "amount": "1.00", "updated_at": "2026-01-02T03:05:00Z"}
    first = key(notice("payout", body, iris_signature="a"))
    assert first == key(notice("payout", json.dumps(body, indent=1).encode(), iris_signature="b"))
    assert first != key(notice("payout", body | {"error_code": "018"}))
    assert first != key(notice("payout", body | {"updated_at": "2026-01-02T03:06:00Z"}))

    link = {"additionalInfo": {"accessToken": "cust-token-0001", "accountStatus": "ENABLED"}}
    once = key(notice("link", link, x_external_id="1", x_timestamp="a"))
    assert once == key(notice("link", link, x_external_id="1", x_timestamp="b"))
    assert once != key(notice("link", link, x_external_id="2", x_timestamp="a"))

    kyc = {"submissionId": "s-1", "status": "COMPLETED"}
    mine = key(notice("identity", kyc, authorization="cust-token-0001"))
    assert mine == key(notice("identity", kyc, authorization="cust-token-0001"))
    assert mine != key(notice("identity", kyc, authorization="cust-token-0002"))
    for one in (first, once, mine):
        assert re.fullmatch(r"(payout|link|identity):[0-9a-f]{64}", one)


# --- noise -------------------------------------------------------------------------------------------------------

ENDED = {
    OutcomeKind.SUCCEEDED,
    OutcomeKind.REJECTED,
    OutcomeKind.REVERSED,
    OutcomeKind.QUEUED,
    OutcomeKind.PENDING,
    OutcomeKind.NOT_ACCEPTED,
}
STATUSES = st.sampled_from([200, 201, 202, 204, 301, 400, 401, 403, 404, 409, 422, 429, 500, 502, 503, 504])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["success", "data", "errors", "payouts", "status", "responseCode", "reference_no", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
NOISE = st.builds(
    Response,
    status=STATUSES | st.integers(100, 599),
    headers=st.just({}),
    content=st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()),
)


@given(reply=NOISE)
def test_noise_is_never_a_verdict_on_a_payout(reply, ctx, order):
    for operation in (PARTNER.prepare, PARTNER.approve, PARTNER.withdraw, PARTNER.find_payout):
        plan = operation(ctx, order)
        next(plan)
        try:
            plan.send(reply)
        except StopIteration as stop:
            assert stop.value.kind not in ENDED
        except PartnerError:
            continue


def again(plan, reply):
    """The same answer to all that is asked: a refused KYC pull is looked at once more."""
    for _ in range(3):
        plan.send(reply)


@given(reply=NOISE)
def test_noise_is_never_a_verdict_on_a_person_or_link(reply, ctx, query, grant, finish, unlink_order):
    for plan in (
        PARTNER.verify_nik(ctx, query),
        PARTNER.link_health(ctx, grant),
        PARTNER.finish_link(ctx, finish),
        PARTNER.unlink(ctx, unlink_order),
        PARTNER.fetch_token(ctx, "snap", None),
    ):
        next(plan)
        with pytest.raises(PartnerError) as raised:
            again(plan, reply)
        assert raised.value.hint is not Hint.CUSTOMER_TOKEN


@given(body=st.binary(max_size=80) | JSON.map(lambda value: json.dumps(value).encode()))
def test_noise_is_never_a_notice(body, notice):
    for kind in ("link", "payout", "identity"):
        note = notice(kind, body)
        assert len(PARTNER.callbacks.dedupe_key(note)) <= 128
        with pytest.raises(PartnerProtocolError):
            PARTNER.callbacks.read(note)


@given(
    query=st.dictionaries(
        st.sampled_from(["authCode", "state", "success", "result", "errorCode", "errCode", "responseCode", "x"]),
        st.text(max_size=8),
    )
)
def test_a_random_return_never_carries_a_code(query):
    try:
        back = PARTNER.read_return(query)
    except PartnerError:
        return
    assert back.code is None


def decode(body, shape):
    return answers.typed(answers.decoded(body), shape, "it")


@pytest.mark.parametrize("odd", [b"\xff\xfe", b"caf\xe9", b"two\nlines", b"\x00"])
def test_an_odd_text_costs_only_itself(odd: bytes) -> None:
    """Another charset or a raw line break in words that nobody acts on vetoes nothing; in what is needed it is none."""
    whole = b'{"error_message":"x","elsewhere":"y"}'
    assert decode(whole.replace(b"y", odd), wire.IrisErrorReply).error_message == "x"
    assert answers.number(answers.decoded(b'{"n":"1' + odd + b'2"}')["n"]) is None
