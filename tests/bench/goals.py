"""`make bench` (`python -m tests.bench.goals`): every benchmark that a goal is set for, one after the other, as one
table: what, its goal, what the runs gave (their median decides), and by how much and why it is missed; in a terminal,
as Markdown and as JSON. Ends with 1 where a goal is missed.

Beside them stands the yardstick, the processor time that the mock bank takes for one signed call: what a figure in
processor time is of it hardly depends on the machine. A goal by the clock is of a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

Figures = Mapping[str, Any]
"""What each benchmark wrote, by its name."""
console = Console()


class Goal(NamedTuple):
    """One line of the table."""

    what: str
    sign: str
    """`<=` or `>=`."""
    goal: float
    unit: str
    bench: str
    measured: Callable[[Any], float]
    """From what the benchmark wrote."""
    cpu: bool = False
    """In milliseconds of processor time: told in yardsticks too."""
    why: str = ""
    """Where the limit lies, as far as that is known: told where the goal is missed."""


class Benchmark(NamedTuple):
    """A module that takes `--json FILE`, and with which arguments it shows within a minute or so that it runs."""

    module: str
    small: str
    long: bool = False
    """Takes far more than minutes: only with `--long`, or named."""
    size: str = ""
    """Otherwise: what makes it this one of the module's."""


BENCHES: dict[str, Benchmark] = {
    "payouts": Benchmark("tests.bench", "--payouts 300 --rounds 1 --intake 2000"),
    "slow": Benchmark(
        "tests.bench",
        "--payouts 100 --rounds 1 --intake 2000 --calls-per-s 268",
        size="--payouts 1000 --rounds 2 --intake 2000 --calls-per-s 268",
    ),
    "singles": Benchmark("tests.bench.singles", "--posts 300 --merged 3000"),
    "intake": Benchmark("tests.bench.intake", "--rows 3000 --refused 3000"),
    "reading": Benchmark("tests.bench.reading", "--rows 20000"),
    "growth": Benchmark("tests.bench.growth", "--rows 15000 --payouts 500 --rounds 1", long=True),
    "checks": Benchmark("tests.bench.checks", "--checks 1000 --minutes 0.1", long=True),
}


def _at(*path: str) -> Callable[[Any], float]:
    def measured(figures: Any) -> float:
        for name in path:
            figures = figures[name]
        return float(figures)

    return measured


def _a_payout(figures: Any) -> float:
    return _at("cpu_ms_a_payout", "worker")(figures) + _at("cpu_ms_a_payout", "postgres")(figures)


def _most_checks(figures: Any, name: str) -> float:
    """Of all runs in virtual and in real time the worst."""
    return max(float(one[name]) for one in (*figures["virtual"], figures["real"]) if one)


_TWO_CALLS = (
    "beside the two calls, which are the floor's whole cost, stand claim, intent and outcome: three commits' share of"
    " payout, incentive, ledger, events and counters, and the event loop"
)
_FEW = "groups of one or two carry the fixed cost of their statements, and what looks for work does so at any pace"
_SHARED = "the load, the API, PostgreSQL and the merge share the processors"
_A_ROW = "of what PostgreSQL takes for a row two thirds are index entries, which lists, claim and uniqueness live on"


def _asked(what: str, goal: float) -> Goal:
    return Goal(f"{what}, PostgreSQL", "<=", goal, "ms", "reading", _at(what, "postgres_ms"), cpu=True)


GOALS = (
    Goal(
        "a payout against the floor's client",
        "<=",
        1.5,
        "",
        "payouts",
        lambda f: _a_payout(f) / f["floor_cpu_ms"],
        why=_TWO_CALLS,
    ),
    Goal("a payout, worker and PostgreSQL", "<=", 1.2, "ms", "payouts", _a_payout, cpu=True, why=_TWO_CALLS),
    Goal("a payout at 134 a second, worker and PostgreSQL", "<=", 1.2, "ms", "slow", _a_payout, cpu=True, why=_FEW),
    Goal("payouts a second against the floor", ">=", 0.75, "", "payouts", _at("payout_ratio"), why=_TWO_CALLS),
    Goal(
        "disk a payout, old events and calls archived",
        "<=",
        2_048,
        "bytes",
        "payouts",
        _at("disk_bytes_for_good"),
    ),
    Goal("single incentives against refused ones", ">=", 0.40, "", "singles", _at("ratio")),
    Goal("single incentives", ">=", 1_500, "/s", "singles", _at("per_s"), why=_SHARED),
    Goal("a single incentive, p99", "<=", 40, "ms", "singles", _at("p99_ms"), why=_SHARED),
    Goal("a single incentive beside a merge, p99", "<=", 120, "ms", "singles", _at("beside_p99_ms"), why=_SHARED),
    Goal("a single incentive beside a merge, the longest wait", "<=", 1_000, "ms", "singles", _at("beside_most_ms")),
    Goal("a single, PostgreSQL", "<=", 0.25, "ms", "singles", _at("cpu_ms_each", "postgres"), cpu=True),
    Goal("a single, log of PostgreSQL", "<=", 4_096, "bytes", "singles", _at("wal_bytes_each")),
    Goal("intake, one row in twenty refused", ">=", 28_000, "rows/s", "intake", _at("mixed", "rows_per_s"), why=_A_ROW),
    Goal("intake, all refused", ">=", 28_000, "rows/s", "intake", _at("all_refused", "rows_per_s"), why=_SHARED),
    Goal("intake, the most memory of the API", "<=", 150, "MB", "intake", _at("all_refused", "most_mb", "api")),
    _asked("what still moves", 5),
    _asked("100 events", 1),
    _asked("1,000 events", 5),
    _asked("incentives that nobody has", 2),
    _asked("incentives by blocker", 5),
    _asked("a worker's claim of 100", 10),
    Goal("a payout while very many wait, to few", "<=", 1.1, "", "growth", _at("worst")),
    Goal(
        "NIK checks, of the time that the quota needs", "<=", 1.05, "", "checks", lambda f: _most_checks(f, "of_needed")
    ),
    Goal("NIK checks in any second", "<=", 50, "", "checks", lambda f: _most_checks(f, "most_in_a_second")),
)


class Line(NamedTuple):
    """A goal and what became of it."""

    what: str
    goal: str
    measured: str
    """The median of all runs."""
    runs: list[float]
    yardsticks: float | None
    held: bool
    missed: str
    """By how much of the goal, and why; empty where it is held."""


def judge(runs: Sequence[Figures], goals: Sequence[Goal] = GOALS) -> list[Line]:
    """Each goal whose benchmark was run in each of the runs."""
    lines = []
    for goal in [goal for goal in goals if all(goal.bench in figures for figures in runs)]:
        each = [goal.measured(figures[goal.bench]) for figures in runs]
        measured = statistics.median(each)
        held = measured <= goal.goal if goal.sign == "<=" else measured >= goal.goal
        yards = [yardstick_ms(figures) for figures in runs if "payouts" in figures]
        unit = f" {goal.unit}".rstrip()
        by = f"missed by {abs(measured / goal.goal - 1):.0%}{f': {goal.why}' if goal.why else ''}"
        line = Line(
            what=goal.what,
            goal=f"{goal.sign} {goal.goal:g}{unit}",
            measured=f"{measured:.4g}{unit}",
            runs=[round(one, 4) for one in each],
            yardsticks=measured / statistics.median(yards) if goal.cpu and yards else None,
            held=held,
            missed="" if held else by,
        )
        lines.append(line)
    return lines


def yardstick_ms(figures: Figures) -> float:
    """Processor time of the mock bank for one of the two calls of a payout."""
    return float(figures["payouts"]["cpu_ms_a_payout"]["mock"]) / 2


def _cells(line: Line) -> tuple[str, ...]:
    runs = ", ".join(f"{one:.4g}" for one in line.runs) if len(line.runs) > 1 else ""
    yards = "" if line.yardsticks is None else f"{line.yardsticks:.3g}"
    return line.what, line.goal, line.measured, runs, yards, line.missed


HEAD = ("what", "goal", "measured", "runs", "calls of the mock", "")


def markdown(lines: Sequence[Line]) -> str:
    """The table for a page."""
    rows = [HEAD, ("---",) * len(HEAD), *(_cells(line) for line in lines)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def measure(names: Sequence[str], *, small: bool = False) -> dict[str, Any]:
    """Run the benchmarks one after the other."""
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for name in names:
            bench, file = BENCHES[name], Path(folder) / f"{name}.json"
            size = (bench.small if small else bench.size).split()
            # Those that judge themselves end with 1 where they missed; without figures they failed.
            command = [sys.executable, "-m", bench.module, "--json", str(file), *size]
            ended = subprocess.run(command, check=False, timeout=4 * 3_600)
            if not file.exists():
                raise SystemExit(f"{' '.join(command[1:3])} failed ({ended.returncode}) and wrote no figures")
            figures[name] = json.loads(file.read_text())
    return figures


def main() -> int:
    """Measure, judge, show."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.goals", description=__doc__)
    parser.add_argument("--json", type=Path, help="write all figures and the table here")
    parser.add_argument("--markdown", type=Path, help="write the table here")
    parser.add_argument("--only", action="append", choices=BENCHES, help="only these benchmarks (may be repeated)")
    parser.add_argument("--runs", type=int, default=1, help="so often, one after the other: the median decides")
    parser.add_argument("--long", action="store_true", help="those too that take an hour")
    parser.add_argument("--small", action="store_true", help="see that all of it runs: the figures say nothing")
    arguments = parser.parse_args()
    if arguments.runs < 1:
        parser.error("--runs: one at least")
    names = arguments.only or [name for name, bench in BENCHES.items() if arguments.long or not bench.long]
    runs = [measure(names, small=arguments.small) for _ in range(arguments.runs)]
    lines = judge(runs)
    table = Table(*HEAD)
    for line in lines:
        table.add_row(*_cells(line), style="" if line.held else "red")
    console.print(table)
    held = sum(line.held for line in lines)
    console.print(f"{held} of {len(lines)} goals held, {len(lines) - held} missed")
    if arguments.markdown is not None:
        arguments.markdown.write_text(markdown(lines))
    if arguments.json is not None:
        whole = {"runs": runs, "goals": [line._asdict() for line in lines]}
        arguments.json.write_text(json.dumps(whole, indent=2) + "\n")
    return 0 if held == len(lines) else 1


if __name__ == "__main__":
    sys.exit(main())
