"""The table of goals says of each figure whether it holds, and leaves out nothing that was measured."""

from __future__ import annotations

import importlib.util

from tests.bench.goals import BENCHES, GOALS, judge, markdown
from tests.bench.reading import PATHS

_PAYOUTS = {
    "payout_ratio": 0.8,
    "floor_cpu_ms": 0.5,
    "cpu_ms_a_payout": {"worker": 0.4, "postgres": 0.3, "mock": 0.2},
}
_READING = {name: {"postgres_ms": 3.0, "api_ms": 1.0} for name in (*PATHS, "a worker's claim of 100")}


def test_each_goal_is_judged_and_told_in_calls_of_the_mock() -> None:
    lines = {line.what: line for line in judge({"payouts": _PAYOUTS, "reading": _READING})}
    assert len(lines) == sum(goal.bench in ("payouts", "reading") for goal in GOALS)
    ratio, cost = lines["a payout against the floor's client"], lines["a payout, worker and PostgreSQL"]
    assert (ratio.measured, ratio.held, ratio.yardsticks) == ("1.4", True, None)
    assert cost.yardsticks is not None and round(cost.yardsticks, 3) == 7.0
    assert not lines["incentives that nobody has, PostgreSQL"].held
    assert markdown(list(lines.values())).count("**missed**") == sum(not line.held for line in lines.values())


def test_without_the_yardsticks_benchmark_there_is_none() -> None:
    assert {line.yardsticks for line in judge({"reading": _READING})} == {None}


def test_every_benchmark_is_there() -> None:
    assert all(importlib.util.find_spec(module) for module in BENCHES.values())
    assert {goal.bench for goal in GOALS} == set(BENCHES)
