"""The table of goals says of each figure whether it holds, and leaves out nothing that was measured."""

from __future__ import annotations

import importlib.util

from tests.bench.goals import BENCHES, GOALS, judge, markdown
from tests.bench.reading import PATHS

_PAYOUTS = {
    "payout_ratio": 0.8,
    "floor_cpu_ms": 0.5,
    "cpu_ms_a_payout": {"worker": 0.4, "postgres": 0.3, "mock": 0.2},
    "disk_bytes_for_good": 3_000,
}
_READING = {name: {"postgres_ms": 3.0, "api_ms": 1.0} for name in (*PATHS, "a worker's claim of 100")}
_CHECKS = {
    "virtual": [{"of_needed": 1.01, "most_in_a_second": 50}, {"of_needed": 1.2, "most_in_a_second": 49}],
    "real": None,
}


def test_each_goal_is_judged_and_told_in_calls_of_the_mock() -> None:
    lines = {line.what: line for line in judge([{"payouts": _PAYOUTS, "reading": _READING}])}
    assert len(lines) == sum(goal.bench in ("payouts", "reading") for goal in GOALS)
    ratio, cost = lines["a payout against the floor's client"], lines["a payout, worker and PostgreSQL"]
    assert (ratio.measured, ratio.held, ratio.yardsticks, ratio.missed) == ("1.4", True, None, "")
    assert cost.yardsticks is not None and round(cost.yardsticks, 3) == 7.0
    assert not lines["incentives that nobody has, PostgreSQL"].held
    assert lines["disk a payout, old events and calls archived"].missed == "missed by 46%"
    assert markdown(list(lines.values())).count("missed by") == sum(not line.held for line in lines.values())


def test_of_several_runs_the_median_decides_and_all_are_told() -> None:
    runs = [{"payouts": _PAYOUTS | {"payout_ratio": one}} for one in (0.9, 0.2, 0.76)]
    ratio = next(line for line in judge(runs) if line.what == "payouts a second against the floor")
    assert (ratio.measured, ratio.held, ratio.runs) == ("0.76", True, [0.9, 0.2, 0.76])
    assert "0.9, 0.2, 0.76" in markdown([ratio])
    assert not any(line.what == ratio.what for line in judge([*runs, {}])), "a run without it says nothing of it"


def test_the_worst_of_all_workers_decides_about_the_checks() -> None:
    needed, most = judge([{"checks": _CHECKS}])
    assert (needed.measured, needed.held, most.measured, most.held) == ("1.2", False, "50", True)


def test_without_the_yardsticks_benchmark_there_is_none() -> None:
    assert {line.yardsticks for line in judge([{"reading": _READING}])} == {None}


def test_every_benchmark_is_there() -> None:
    assert all(importlib.util.find_spec(bench.module) for bench in BENCHES.values())
    assert {goal.bench for goal in GOALS} == set(BENCHES)
