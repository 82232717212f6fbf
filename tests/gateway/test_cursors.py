"""Cursors: what goes in comes out, in its own list alone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import InvalidRequest
from gateway.cursors import ByTime, cursor_of, numbers_of

LINKS, PLANS = ByTime("links/", "L"), ByTime("plans/", "pl")


@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)), st.integers(1, 10**18 - 1))  # noqa: DTZ001
def test_a_page_goes_on_behind_the_last_row_shown(at: datetime, number: int) -> None:
    assert LINKS.before(LINKS.after(at, f"L{number}")) == (at, f"L{number}")
    assert PLANS.before(PLANS.after(at, f"pl{number}")) == (at, f"pl{number}")
    with pytest.raises(InvalidRequest):
        PLANS.before(LINKS.after(at, f"L{number}"))


def test_the_first_page_needs_no_cursor() -> None:
    assert LINKS.before(None) is None
    assert LINKS.before("") is None


def test_a_time_that_no_calendar_has_is_no_cursor() -> None:
    with pytest.raises(InvalidRequest):
        LINKS.before(cursor_of(10**18 - 1, 1, of="links/"))


@given(st.text(max_size=30))
def test_any_text_is_a_place_or_refused(text: str) -> None:
    try:
        numbers = numbers_of(text, 2)
    except InvalidRequest:
        return
    assert numbers == (0, 0) or numbers_of(cursor_of(*numbers), 2) == numbers
