"""Times, days and counts in a SNAP body: what is in bounds is read, everything else refused by the field's name."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_partners.kit.snap.fields import Fields
from mock_partners.kit.snap.refusals import Refusal

DAYS = st.dates(date(2020, 1, 1), date(2030, 12, 31))
HOURS = st.integers(0, 23)
OFFSETS = st.integers(-11, 13)


def at(day: date, hour: int, offset: int) -> str:
    return f"{day.isoformat()}T{hour:02d}:30:00{offset:+03d}:00"


def jakarta(day: date, hour: int, offset: int) -> date:
    return day + timedelta(days=(hour - offset + 7) // 24)


@given(first=DAYS, more=st.integers(-40, 40), hours=st.tuples(HOURS, HOURS), offset=OFFSETS, most=st.integers(1, 31))
def test_days_are_jakarta_s_and_bounded(first: date, more: int, hours: tuple[int, int], offset: int, most: int) -> None:
    last = first + timedelta(days=more)
    body = {"fromDateTime": at(first, hours[0], offset), "toDateTime": at(last, hours[1], offset)}
    begins, ends = jakarta(first, hours[0], offset), jakarta(last, hours[1], offset)
    count = (ends - begins).days + 1
    if 1 <= count <= most:
        assert Fields(body).days(25, most) == (begins, count)
        return
    with pytest.raises(Refusal) as refused:
        Fields(body).days(25, most)
    assert (refused.value.status, refused.value.case) == (400, "01") and "toDateTime" in refused.value.message


@given(text=st.text(max_size=8), digits=st.integers(1, 6))
def test_a_count_is_digits_or_absent(text: str, digits: int) -> None:
    good = text.isascii() and text.isdecimal() and text[0] != "0" and len(text) <= digits
    if text == "" or good:
        assert Fields({"page": text}).count("page", digits, 7) == (int(text) if text else 7)
        return
    with pytest.raises(Refusal):
        Fields({"page": text}).count("page", digits, 7)


@pytest.mark.parametrize(
    "text", ["2026-01-15", "2026-01-15T10:00:00", "yesterday", "2026-13-01T00:00:00Z", "x" * 26, 5]
)
def test_what_is_no_moment_is_refused(text: object) -> None:
    with pytest.raises(Refusal) as refused:
        Fields({"transactionDate": text}).moment("transactionDate", 25, required=False)
    assert refused.value.case == "01"


def test_a_moment_may_be_left_out_where_nobody_needs_it() -> None:
    assert Fields({}).moment("transactionDate", 25, required=False) is None
    with pytest.raises(Refusal) as refused:
        Fields({}).moment("transactionDate", 25)
    assert refused.value.case == "02"
