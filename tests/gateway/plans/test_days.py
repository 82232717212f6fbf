"""Days of a plan's instalments: counted in months, off holidays, within their month."""

from __future__ import annotations

import calendar
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.payment_plan import Instalment, PaymentPlan, days_of, working_day


def _plan(*holidays: date, weekends: bool = False) -> PaymentPlan:
    return PaymentPlan(
        programme="p", name="n", most_participants=1, instalments=(_counted(),), holidays=holidays, weekends=weekends
    )


def _counted(months: int = 0, days: int = 0) -> Instalment:
    return Instalment(
        purpose="training", period=1, amount_rupiah=1, due_after_months=months, due_after_days=days,
        deadline_after_days=60,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("noticed", "months", "holidays", "due"),
    [
        (date(2026, 11, 24), 0, (), date(2026, 11, 24)),
        (date(2026, 11, 28), 0, (), date(2026, 11, 30)),  # a Saturday: the Monday after
        (date(2026, 10, 31), 0, (), date(2026, 10, 30)),  # where that is November: the Friday before
        (date(2026, 11, 24), 1, (date(2026, 12, 24), date(2026, 12, 25)), date(2026, 12, 28)),
        (date(2026, 11, 30), 1, (date(2026, 12, 30), date(2026, 12, 31)), date(2026, 12, 29)),
        (date(2027, 1, 31), 1, (), date(2027, 2, 26)),  # the 28th is a Sunday
        (date(2026, 12, 31), 12, (), date(2027, 12, 31)),
    ],
)
def test_examples(noticed: date, months: int, holidays: tuple[date, ...], due: date) -> None:
    assert days_of(_plan(*holidays), _counted(months), noticed) == (due, due + timedelta(days=60))


@given(
    st.dates(date(2026, 1, 1), date(2030, 1, 1)),
    st.integers(0, 24),
    st.sets(st.integers(0, 40), max_size=20),
    st.booleans(),
)
def test_a_due_day_works_and_stays_in_its_month(noticed: date, months: int, off: set[int], weekends: bool) -> None:
    first = days_of(_plan(weekends=True), _counted(months), noticed)[0]
    plan = _plan(*sorted(first + timedelta(days=n - 20) for n in off), weekends=weekends)
    due = days_of(plan, _counted(months), noticed)[0]
    assert (due.year, due.month) == (first.year, first.month)
    assert (first.year - noticed.year) * 12 + first.month - noticed.month == months
    assert first.day == min(noticed.day, calendar.monthrange(first.year, first.month)[1])

    def works(day: date) -> bool:
        return day not in plan.holidays and (weekends or day.weekday() < 5)

    month = [first.replace(day=n) for n in range(1, calendar.monthrange(first.year, first.month)[1] + 1)]
    working = [day for day in month if works(day)]
    if working:
        after = [day for day in working if day >= first]
        assert due == (after[0] if after else working[-1])
    else:
        assert due == first


def test_the_first_and_the_last_day_that_there_are_have_working_days_beside_them() -> None:
    assert working_day(_plan(date.max), date.max) == date.max - timedelta(days=1)
    assert working_day(_plan(date.min), date.min) == date.min + timedelta(days=1)


def test_a_month_without_a_working_day_leaves_the_day() -> None:
    whole = tuple(date(2026, 11, n) for n in range(1, 31))
    assert working_day(_plan(*whole), date(2026, 11, 20)) == date(2026, 11, 20)
