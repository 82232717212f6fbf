"""Whatever cannot be read for ever: every other day of a statement has its turn, and today's comes in each tick."""

from __future__ import annotations

import random
from datetime import date, timedelta

import pytest

from gateway.services.reconciliation.days import UnreadDays
from gateway.services.reconciliation.statements import AFTER_FAILURE_S, MOST_DAYS_A_TICK

TODAY = date(2026, 11, 24)
SWEEP_S = 900.0


def test_the_oldest_comes_first_then_today_then_the_others() -> None:
    due = {TODAY - timedelta(days=n) for n in (0, 3, 1, 40)}
    assert UnreadDays().order(due, TODAY, 0.0) == [TODAY - timedelta(days=n) for n in (40, 0, 3, 1)]
    assert UnreadDays().order({TODAY}, TODAY, 0.0) == [TODAY]
    assert UnreadDays().order(set(), TODAY, 0.0) == []


def test_a_day_that_cannot_be_read_waits_ever_longer_up_to_a_bound_and_is_forgotten_once_read() -> None:
    unread, now_s = UnreadDays(), 1_000.0
    waits = []
    for _ in range(2_000):
        unread.in_vain(TODAY, now_s, 30.0, SWEEP_S)
        waits.append(
            next(s for s in (30.0, 60.0, 120.0, 240.0, 480.0, 900.0) if unread.order({TODAY}, TODAY, now_s + s))
        )
        now_s += waits[-1]
    assert waits[:6] == [30.0, 60.0, 120.0, 240.0, 480.0, 900.0]
    assert set(waits[6:]) == {SWEEP_S}
    unread.read(TODAY)
    assert unread.order({TODAY}, TODAY, now_s) == [TODAY]


@pytest.mark.parametrize("seed", range(20))
def test_days_that_are_given_no_more_hold_up_neither_the_others_nor_today(seed: int) -> None:
    """As `Statements.tick` does it: two refusals in a row end a tick, and the next one comes half a minute later."""
    rng, unread = random.Random(seed), UnreadDays()
    due = {TODAY - timedelta(days=n) for n in range(1, 63)}
    gone = set(rng.sample(sorted(due), rng.randrange(50)))
    if seed % 2:
        gone = set(sorted(due)[: len(gone)])  # what a partner with a shorter memory gives no more
    left, now_s = due - gone, 0.0
    for _ in range(len(gone) + len(left)):
        failed = read_today = False
        for day in unread.order(gone | left | {TODAY}, TODAY, now_s)[:MOST_DAYS_A_TICK]:
            if day not in gone:
                unread.read(day)
                left.discard(day)
                read_today, failed = read_today or day == TODAY, False
                continue
            unread.in_vain(day, now_s, AFTER_FAILURE_S, SWEEP_S)
            if failed:
                break
            failed = True
        assert read_today
        now_s += AFTER_FAILURE_S + 1.0
        if not left:
            return
    assert not left
