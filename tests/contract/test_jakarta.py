"""Days that do not count: how long ago something began where nothing is done on Saturdays and Sundays."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.jakarta import JAKARTA, long_before

MONDAY = datetime(2026, 11, 30, tzinfo=JAKARTA)


def worked(since: datetime, until: datetime) -> timedelta:
    """The time between on other days than Saturdays and Sundays, day by day."""
    total, day = timedelta(), MONDAY - timedelta(days=7 * 60)
    while day < until:
        begins, ends = max(day, since), min(day + timedelta(days=1), until)
        if day.weekday() not in (5, 6) and begins < ends:
            total += ends - begins
        day += timedelta(days=1)
    return total


@given(st.integers(-20 * 86_400, 20 * 86_400), st.integers(0, 20 * 86_400))
def test_as_much_was_worked_since_as_was_asked_for(at_s: int, seconds: int) -> None:
    now = MONDAY + timedelta(seconds=at_s)
    since = long_before(now, seconds, weekends=False)
    assert worked(since, now) == timedelta(seconds=seconds)
    assert since <= long_before(now, seconds, weekends=True) == now - timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("now", "since"),
    [
        (MONDAY + timedelta(hours=12), MONDAY - timedelta(days=3, hours=12)),
        (MONDAY, MONDAY - timedelta(days=4)),
        (MONDAY - timedelta(days=2), MONDAY - timedelta(days=4)),
        (MONDAY - timedelta(days=1, hours=5), MONDAY - timedelta(days=4)),
        (MONDAY + timedelta(days=3), MONDAY + timedelta(days=1)),
    ],
)
def test_two_days_over_a_weekend(now: datetime, since: datetime) -> None:
    assert long_before(now, 2 * 86_400.0, weekends=False) == since
