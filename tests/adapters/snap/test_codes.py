"""SNAP's envelope: an answer that contradicts itself is never read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import answers
from adapters.snap import codes
from adapters.snap.calls import Call
from contracts.errors import Hint, PartnerError, PartnerProtocolError, PartnerUnavailable
from contracts.identity import Verdict
from contracts.plan import Effect, Response


def answer(status: int, body: object, **headers: str) -> Response:
    return Response(status=status, headers=headers, content=json.dumps(body).encode())


def test_an_agreeing_envelope_is_read() -> None:
    envelope = codes.read(answer(409, {"responseCode": "4091701", "a": {"b": "c"}}), "17")
    assert (envelope.code, envelope.case) == ("4091701", "40901")
    assert envelope.text("a", "b") == "c"
    assert envelope.optional_text("a", "missing") is None
    with pytest.raises(PartnerProtocolError):
        envelope.text("a")
    assert envelope.optional_text("a") is None, "in another form it is as good as missing"
    with pytest.raises(PartnerProtocolError):
        envelope.echo("c", "a")
    with pytest.raises(PartnerProtocolError):
        envelope.echo("x", "a", "b")
    envelope.echo("c", "a", "b")
    envelope.echo("c", "a", "missing")


def test_an_envelope_does_not_print_what_it_holds() -> None:
    envelope = codes.read(answer(200, {"responseCode": "2001500", "beneficiaryAccountName": "SITI"}), "15")
    assert "SITI" not in repr(envelope)


@given(
    status=st.integers(100, 599),
    http=st.integers(200, 599),
    service=st.integers(0, 99),
    case=st.integers(0, 99),
    asked=st.integers(0, 99),
)
def test_a_code_counts_only_where_it_agrees(status: int, http: int, service: int, case: int, asked: int) -> None:
    code = f"{http}{service:02d}{case:02d}"
    reply = answer(status, {"responseCode": code})
    if status == http and service == asked:
        assert codes.read(reply, f"{asked:02d}").code == code
    else:
        with pytest.raises(PartnerError):
            codes.read(reply, f"{asked:02d}")


@given(status=st.integers(200, 599).filter(lambda status: status != 200), service=st.integers(0, 99))
def test_a_success_under_another_status_is_never_accepted(status: int, service: int) -> None:
    with pytest.raises(PartnerError):
        codes.read(answer(status, {"responseCode": f"200{service:02d}00"}), f"{service:02d}")


@pytest.mark.parametrize(
    "code", [200170, None, "", "200170", "20017000", "２００１７００", "2001 700", "200170O", ["2001700"], True]
)
def test_a_code_that_is_not_seven_digits_is_refused(code: Any) -> None:
    with pytest.raises(PartnerProtocolError):
        codes.read(answer(200, {"responseCode": code}), "17")


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>502</html>", b"[]", b'"2001700"', b"null", b"\xff\xfe", b'{"responseCode":"2001700"', b"[" * 200_000],
    ids=["empty", "html", "array", "string", "null", "not utf-8", "cut", "deep"],
)
def test_what_is_no_json_object_is_refused(content: bytes) -> None:
    with pytest.raises(PartnerProtocolError):
        codes.read(Response(status=200, headers={}, content=content), "17")


@given(status=st.integers(100, 599), content=st.binary(max_size=300))
def test_noise_is_no_envelope(status: int, content: bytes) -> None:
    with pytest.raises(PartnerError):
        codes.read(Response(status=status, headers={}, content=content), "17")


@pytest.mark.parametrize("case", ["05", "07", "09", "18"])
def test_an_account_that_cannot_be_used_is_refused_but_where_a_code_means_a_thing_of_its_own(case: str) -> None:
    """05 is *account or user status is abnormal*; OVO says it of a consent that is missing."""
    code = f"40337{case}"
    reply = answer(403, {"responseCode": code})
    assert codes.read(reply, "37").unusable is Verdict.ACCOUNT_BLOCKED
    own = codes.read(reply, "37", hints={code: Hint.CUSTOMER_TOKEN})
    assert (own.unusable, own.unusable_because) == (None, None)
    other = codes.read(reply, "37", hints={"4013700": Hint.CREDENTIALS})
    assert other.unusable is Verdict.ACCOUNT_BLOCKED


@pytest.mark.parametrize(("case", "hint"), sorted(codes.HINTS.items()))
def test_a_hint_goes_with_its_case(case: str, hint: Hint) -> None:
    code = f"{case[:3]}15{case[3:]}"
    reply = answer(int(case[:3]), {"responseCode": code}, **{"retry-after": "7"})
    call = Call("asked", Effect.READ, "/x", "15")
    error = call.unavailable(call.read(reply))
    assert (error.hint, error.partner_code, error.retry_after_s) == (hint, code, 7.0)
    for status in (200, 500):  # some answer with one status whatever they say: no verdict, and the hint all the same
        with pytest.raises(PartnerUnavailable) as raised:
            call.read(answer(status, {"responseCode": code}))
        assert (raised.value.hint, raised.value.partner_code) == (hint, code)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", None),
        ("90", 90.0),
        ("99999999", 3600.0),
        ("9" * 400, 3600.0),
        ("", None),
        ("-1", None),
        ("1.5", 1.5),
        ("120, 60", 120.0),
        ("120, soon", None),
        ("٣", None),
    ],
)
def test_retry_after_is_a_plain_number_within_an_hour(value: str, seconds: float | None) -> None:
    assert answers.retry_after_s(answer(429, {}, **{"retry-after": value})) == seconds


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("4010000", Hint.OUR_TOKEN),  # refused before the service was known (decision X11)
        ("4010001", Hint.OUR_TOKEN),
        ("4017301", Hint.OUR_TOKEN),
        ("4010002", Hint.CUSTOMER_TOKEN),
    ],
)
def test_a_token_refused_before_the_service_was_known_is_a_token_refused(code: str, hint: Hint) -> None:
    with pytest.raises(PartnerUnavailable) as raised:
        codes.read(answer(401, {"responseCode": code}), "38")
    assert (raised.value.hint, raised.value.partner_code) == (hint, code)
