"""`make bench` (`python -m tests.bench.goals`): every benchmark that a goal is set for, one after the other, as one
table: what, its goal, what this run gave, and whether that holds; in a terminal, as Markdown and as JSON.

Beside them stands the yardstick, the processor time that the mock bank takes for one signed call: what a figure in
processor time is of it hardly depends on the machine. A goal by the clock is of a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
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


BENCHES: dict[str, str] = {
    "payouts": "tests.bench",
    "singles": "tests.bench.singles",
    "intake": "tests.bench.intake",
    "reading": "tests.bench.reading",
}


def _at(*path: str) -> Callable[[Any], float]:
    def measured(figures: Any) -> float:
        for name in path:
            figures = figures[name]
        return float(figures)

    return measured


def _a_payout(figures: Any) -> float:
    return _at("cpu_ms_a_payout", "worker")(figures) + _at("cpu_ms_a_payout", "postgres")(figures)


def _asked(what: str, goal: float) -> Goal:
    return Goal(f"{what}, PostgreSQL", "<=", goal, "ms", "reading", _at(what, "postgres_ms"), cpu=True)


GOALS = (
    Goal("a payout against the floor's client", "<=", 1.5, "", "payouts", lambda f: _a_payout(f) / f["floor_cpu_ms"]),
    Goal("a payout, worker and PostgreSQL", "<=", 1.2, "ms", "payouts", _a_payout, cpu=True),
    Goal("payouts a second against the floor", ">=", 0.75, "", "payouts", _at("payout_ratio")),
    Goal("single incentives against refused ones", ">=", 0.40, "", "singles", _at("ratio")),
    Goal("single incentives", ">=", 1_500, "/s", "singles", _at("per_s")),
    Goal("a single incentive, p99", "<=", 40, "ms", "singles", _at("p99_ms")),
    Goal("a single incentive beside a merge, p99", "<=", 120, "ms", "singles", _at("beside_p99_ms")),
    Goal("a single, PostgreSQL", "<=", 0.25, "ms", "singles", _at("cpu_ms_each", "postgres"), cpu=True),
    Goal("intake, one row in twenty refused", ">=", 15_000, "rows/s", "intake", _at("mixed", "rows_per_s")),
    Goal("intake, all refused", ">=", 15_000, "rows/s", "intake", _at("all_refused", "rows_per_s")),
    Goal("intake, the most memory of the API", "<=", 200, "MB", "intake", _at("all_refused", "most_mb", "api")),
    _asked("what still moves", 5),
    _asked("100 events", 1),
    _asked("1,000 events", 5),
    _asked("incentives that nobody has", 2),
    _asked("incentives by blocker", 5),
    _asked("a worker's claim of 100", 10),
)


class Line(NamedTuple):
    """A goal and what became of it."""

    what: str
    goal: str
    measured: str
    yardsticks: float | None
    held: bool


def judge(figures: Figures, goals: Sequence[Goal] = GOALS) -> list[Line]:
    """Each goal whose benchmark was run."""
    lines = []
    for goal in [goal for goal in goals if goal.bench in figures]:
        measured = goal.measured(figures[goal.bench])
        held = measured <= goal.goal if goal.sign == "<=" else measured >= goal.goal
        yard = measured / yardstick_ms(figures) if goal.cpu and "payouts" in figures else None
        unit = f" {goal.unit}".rstrip()
        lines.append(Line(goal.what, f"{goal.sign} {goal.goal:g}{unit}", f"{measured:.4g}{unit}", yard, held))
    return lines


def yardstick_ms(figures: Figures) -> float:
    """Processor time of the mock bank for one of the two calls of a payout."""
    return float(figures["payouts"]["cpu_ms_a_payout"]["mock"]) / 2


def markdown(lines: Sequence[Line]) -> str:
    """The table for a page."""
    rows = ["| what | goal | measured | calls of the mock | |", "|---|---|---|---|---|"]
    for line in lines:
        yard = "" if line.yardsticks is None else f"{line.yardsticks:.3g}"
        rows.append(f"| {line.what} | {line.goal} | {line.measured} | {yard} | {'' if line.held else '**missed**'} |")
    return "\n".join(rows) + "\n"


def measure(names: Sequence[str]) -> dict[str, Any]:
    """Run the benchmarks one after the other."""
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for name in names:
            file = Path(folder) / f"{name}.json"
            subprocess.run([sys.executable, "-m", BENCHES[name], "--json", str(file)], check=True, timeout=3_600)
            figures[name] = json.loads(file.read_text())
    return figures


def main() -> None:
    """Measure, judge, show."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.goals", description=__doc__)
    parser.add_argument("--json", type=Path, help="write all figures and the table here")
    parser.add_argument("--markdown", type=Path, help="write the table here")
    parser.add_argument("--only", action="append", choices=BENCHES, help="only these benchmarks (may be repeated)")
    arguments = parser.parse_args()
    figures = measure(arguments.only or list(BENCHES))
    lines = judge(figures)
    table = Table("what", "goal", "measured", "calls of the mock", "")
    for line in lines:
        yard = "" if line.yardsticks is None else f"{line.yardsticks:.3g}"
        table.add_row(line.what, line.goal, line.measured, yard, "" if line.held else "[red]missed[/]")
    console.print(table)
    if arguments.markdown is not None:
        arguments.markdown.write_text(markdown(lines))
    if arguments.json is not None:
        whole = {"figures": figures, "goals": [line._asdict() for line in lines]}
        arguments.json.write_text(json.dumps(whole, indent=2) + "\n")


if __name__ == "__main__":
    main()
