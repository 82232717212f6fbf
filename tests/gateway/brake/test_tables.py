"""The brake's arithmetic: limits as published, each found count by count."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from contracts.brake import RING, WINDOWS, Level, Table, limits, tails, weigh
from gateway.services.brake.brake import Weight

SUSPICION = {
    Table.KNOWN: {8: 2, 24: 3, 48: 4, 128: 7, 256: 11},
    Table.USUAL: {4: 3, 6: 4, 10: 6, 20: 10, 48: 20, 96: 38, 256: 97},
    Table.HIGH: {6: 6, 12: 10, 20: 16, 48: 34, 256: 171},
}
HOLD = {
    Table.KNOWN: {6: 3, 12: 4, 24: 5, 64: 8, 128: 12, 256: 20},
    Table.USUAL: {7: 7, 10: 9, 14: 12, 20: 16, 32: 24, 96: 65, 256: 167},
    Table.HIGH: {16: 16, 24: 23, 48: 43, 96: 83, 256: 217},
}


@pytest.mark.parametrize("table", Table)
def test_limits_are_the_published_ones(table: Table) -> None:
    found = limits(table)
    assert {n: found[n][0] for n in SUSPICION[table]} == SUSPICION[table]
    assert {n: found[n][1] for n in HOLD[table]} == HOLD[table]


def test_a_tail_adds_up() -> None:
    for n, a, b in ((7, 0.6, 8.0), (24, 0.5, 166.0), (256, 3.0, 7.0)):
        at_least = tails(n, a, b)
        assert at_least[0] == pytest.approx(1.0)
        assert at_least == sorted(at_least, reverse=True)
        assert len(at_least) == n + 1


def slowly(refused: list[bool], table: Table) -> Level:
    level = Level.CALM
    for n, (suspicion, hold) in limits(table).items():
        count = sum(refused[-n:])
        if len(refused) >= n and hold is not None and count >= hold:
            return Level.HOLD
        if len(refused) >= n and suspicion is not None and count >= suspicion:
            level = Level.SUSPICION
    return level


def test_weighing_looks_at_every_window() -> None:
    rolls = random.Random(4)
    seen = set()
    for _ in range(3_000):
        share = rolls.choice((0.0, 0.02, 0.1, 0.3, 0.6, 1.0))
        refused = [rolls.random() < share for _ in range(rolls.randint(0, RING))]
        table = rolls.choice(list(Table))
        level = weigh(refused, table)
        assert level == slowly(refused, table)
        seen.add((table, level))
    assert len(seen) == 9


def test_an_alarm_after_few_and_none_where_none_is_due() -> None:
    assert [weigh([True] * n, Table.KNOWN) for n in (2, 3, 6)] == [Level.CALM, Level.HOLD, Level.HOLD]
    assert [weigh([True] * n, Table.USUAL) for n in (2, 3, 6, 7)] == [
        Level.CALM, Level.SUSPICION, Level.SUSPICION, Level.HOLD,
    ]  # fmt: skip
    assert weigh([False] * RING, Table.KNOWN) is Level.CALM
    assert weigh([True] * (WINDOWS[0] - 1), Table.HIGH) is Level.CALM


@pytest.mark.parametrize("level", Level)
def test_what_is_hard_to_undo_needs_an_old_refusal_and_calm(level: Level) -> None:
    said = datetime(2026, 1, 2, tzinfo=UTC)
    for age_s, old in ((0.0, False), (1_800.0, False), (86_399.0, False), (86_400.0, True), (604_800.0, True)):
        hard = Weight(level, said).hard(said + timedelta(seconds=age_s), 86_400.0)
        assert hard is (old and level is Level.CALM), age_s
