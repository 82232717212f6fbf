"""Whose words an answer is in before anything in it is believed: the partner's, the front's, or nobody's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import answers
from contracts.errors import Hint, PartnerError, PartnerProtocolError, PartnerUnavailable
from contracts.money import parse_decimal_string
from contracts.plan import Response

PAGE = b"<html>nginx</html>"


def told(status: int, content: bytes = PAGE, **headers: str) -> PartnerError:
    """What is raised for an answer that is no JSON object."""
    with pytest.raises(PartnerError) as raised:
        answers.json_object(Response(status=status, headers=headers, content=content), Hint.CREDENTIALS)
    return raised.value


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (401, Hint.CREDENTIALS),
        (403, Hint.NONE),
        (429, Hint.THROTTLED),
        *((status, Hint.NONE) for status in (301, 302, 307, 500, 502, 503, 504, 520)),
    ],
)
@pytest.mark.parametrize("content", [PAGE, b"", b'["ok"]'])
def test_what_stands_in_front_speaks_by_its_status_alone(status: int, hint: Hint, content: bytes) -> None:
    """A 401 is about whatever token was shown, and each of them may ask to wait."""
    error = told(status, content, **{"retry-after": "7"})
    assert isinstance(error, PartnerUnavailable)
    assert (error.hint, error.partner_code, error.retry_after_s) == (hint, str(status), 7.0)


@pytest.mark.parametrize("status", [200, 201, 400, 404, 409, 422])
def test_what_only_the_partner_can_say_is_unreadable_without_its_words(status: int) -> None:
    error = told(status)
    assert isinstance(error, PartnerProtocolError)
    assert error.hint is Hint.NONE


@pytest.mark.parametrize(
    "content",
    [
        b'{"a":1}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":1,"a":1}',
        b' {"b":"\\ud800","a":1} ',
        b'{"a":1,"b":2,"b":3}',
        b'{"b":%b,"a":1}' % (b"9" * 5_000),
    ],
)
def test_what_nobody_needs_vetoes_nothing(content: bytes) -> None:
    assert answers.json_object(Response(status=200, headers={}, content=content))["a"] == 1


@pytest.mark.parametrize("content", [b'{"a":1,"a":2}', b'{"a":1,"a":true}', b'{"a":1,"a":1.0}', b'{"a":"1","a":1}'])
def test_a_key_with_two_values_has_none(content: bytes) -> None:
    assert answers.json_object(Response(status=200, headers={}, content=content))["a"] is answers.AMBIGUOUS


@pytest.mark.parametrize("ours_off_s", [0, -7_200, 7_200])
@pytest.mark.parametrize(("asked_s", "waited_s"), [(90, 90.0), (1, 1.0), (-5, None), (86_400, 3_600.0)])
def test_a_date_to_wait_for_is_reckoned_by_the_clock_that_names_it(
    ours_off_s: int, asked_s: int, waited_s: float | None
) -> None:
    theirs = datetime(2026, 11, 24, 5, 0, tzinfo=UTC) + timedelta(seconds=ours_off_s)
    headers = {
        "date": format_datetime(theirs, usegmt=True),
        "retry-after": format_datetime(theirs + timedelta(seconds=asked_s), usegmt=True),
    }
    assert answers.retry_after_s(Response(status=503, headers=headers, content=PAGE)) == waited_s


NONE_AT_ALL = [(text, None) for text in ("null", "None", "-", "N/A", " undefined ", "A" * 65, "a b")]


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (123456789012345678901, "123456789012345678901"),
        (" A-1 ", "A-1"),
        (1.5, None),
        (1e30, None),
        (True, None),
        *NONE_AT_ALL,
    ],
)
def test_a_number_of_theirs_is_never_a_rounded_one(value: object, number: str | None) -> None:
    assert answers.number(value) == number


def test_a_flag_is_a_yes_or_a_no_and_nothing_else() -> None:
    assert [answers.flag(each) for each in (True, "Y", "yes", 1, "1", "T", "TRUE")] == [True] * 7
    assert [answers.flag(each) for each in (False, "n", "No", 0, "0", "F", "false")] == [False] * 7
    assert [answers.flag(each) for each in (2, "", None, "10", [], "maybe", 0.5)] == [None] * 7


def test_a_code_counts_by_its_value_and_a_word_in_any_letters() -> None:
    assert {answers.digits(code, 2) for code in (0, 0.0, "0", " 00 ", "00")} == {"00"}
    assert (answers.digits("000", 2), answers.digits(None, 2), answers.digits(False, 2)) == ("000", "", "")
    table = {"MATCH": 1, "NOT_MATCH": 2}
    assert [answers.listed(word, table) for word in ("match", " Not_Match", "MATCHED", "", None, ["MATCH"])] == [
        1, 2, None, None, None, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("50000", 50_000), ("50000.0", 50_000), ("50000.0000", 50_000), ("0", 0), ("50,000.00", 50_000),
        ("50.000,00", 50_000), ("1,600,000", 1_600_000), ("1.600.000", 1_600_000), ("5E+4", 50_000), ("1.2e5", 120_000),
        ("50.000", None), ("50,000", None), ("50000.001", None), ("5,0000.00", None), ("1.25E1", None), ("5E-4", None),
        ("1,600.000", None), ("-50000", None), ("5E99", None), ("", None), ("1,600,00.00", None),
    ],
)  # fmt: skip
def test_an_amount_counts_where_it_can_mean_one_thing(text: str, amount: int | None) -> None:
    if amount is not None:
        assert parse_decimal_string(text) == amount
        return
    with pytest.raises(ValueError):
        parse_decimal_string(text)


@given(
    rupiah=st.integers(0, 10**14),
    sen=st.integers(0, 99),
    style=st.sampled_from(["{}.{:02d}", "{:,}.{:02d}", "{:_},{:02d}"]),
)
def test_sen_are_left_out_where_they_may_stand(rupiah: int, sen: int, style: str) -> None:
    text = style.format(rupiah, sen).replace("_", ".")
    if "," in text and rupiah < 1_000:
        return  # "12,34" is in no form that is read
    assert answers.whole(text, "amount", sen=True) == rupiah
    if sen:
        with pytest.raises(PartnerProtocolError):
            answers.whole(text, "amount")


@pytest.mark.parametrize("text", ["12.345", "12,345", "-1.50", "", "x.50", "1.2.3"])
def test_what_can_mean_two_things_is_no_amount_with_sen_either(text: str) -> None:
    with pytest.raises(PartnerProtocolError):
        answers.whole(text, "amount", sen=True)


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2026-01-15T12:00:00+07:00[Asia/Jakarta]", "2026-01-15T12:00:00+07:00"),
        ("2026-01-15T12:00:00.123456789+07:00", "2026-01-15T12:00:00.123456+07:00"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59+00:00"),
        ("2026-01-15T11:59:60.250+0700", "2026-01-15T11:59:59.250+07:00"),
        ("2026-01-15T12:00:00 07:00", "2026-01-15T12:00:00+07:00"),
        ("2026-01-15T12:00:00 -0300", "2026-01-15T12:00:00-03:00"),
        ("2026-01-15t05:00:00z", "2026-01-15T05:00:00+00:00"),
        ("2026-01-15 12:00:00+07", "2026-01-15T12:00:00+07:00"),
        ("2026-01-15 12:00", "2026-01-15T12:00:00"),
        ("2026-01-14T24:00:00+07:00", "2026-01-15T00:00:00+07:00"),
        ("2026-12-31 24:00:00.000", "2027-01-01T00:00:00"),
        ("2026-01-14T24:00Z", "2026-01-15T00:00:00+00:00"),
        ("2026-01-14T24:00:01+07:00", None),
        ("2026-01-14T24:30:00+07:00", None),
        ("2026-01-15T12:00:61Z", None),
        ("2026-01-15 12:00:00 WIB", None),
        ("2026-01-15T12:00:00+07:00[", None),
    ],
)
def test_a_time_counts_in_every_form_of_one_moment(text: str, iso: str | None) -> None:
    found = answers.time(text)
    assert (found and found.isoformat()) == (iso and datetime.fromisoformat(iso).isoformat())


OURS, OTHER = "1017954964000000001", "1017954964000000002"


@pytest.mark.parametrize(
    "value", [OURS, int(OURS), f" {OURS[:7]}\r\n{OURS[7:]}", f"EREF+{OURS} SVWZ+{OURS}", f"TRF/{OURS}"]
)
def test_our_reference_is_found_in_what_a_list_makes_of_it(value: object) -> None:
    assert answers.reference(value) == OURS


@pytest.mark.parametrize("value", [f"{OURS} {OTHER}", f"{OURS}7", OURS[:18], f"1 {OURS[1:]} 7", None, ["1"]])
def test_what_may_be_another_reference_is_not_ours(value: object) -> None:
    assert answers.within(value) is None


def test_a_browser_brings_its_query_in_any_spelling_and_nothing_that_is_said_twice() -> None:
    brought = answers.brought(
        [("amp;auth_code", "C"), ("STATE", "S"), ("error", ""), ("st", "A"), ("st", "B"), ("x_y", "1")]
    )
    assert brought == {"authCode": "C", "state": "S", "error": "", "x_y": "1"}
    assert answers.brought([("authCode", "C"), ("authcode", "C")]) == {"authCode": "C"}


@pytest.mark.parametrize(
    ("age", "stale"),
    [("7200", True), ("61, 0", True), ("60", False), ("0", False), ("-9", False), ("", False), ("old", False)],
)
def test_an_answer_out_of_a_cache_says_its_age(age: str, stale: bool) -> None:
    assert answers.stale(Response(status=200, headers={"age": age}, content=b"")) is stale
