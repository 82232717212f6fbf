"""`python -m tests.sim --seeds 100 --seed 1`: plays seeds, says what broke and how to repeat it, and makes it short."""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from gateway.embedded import create_database_from_template
from tests.sim.chance import PROFILES, kind_of_fault
from tests.sim.crowd import CROWDED
from tests.sim.pool import play_all
from tests.sim.run import Result
from tests.sim.shrink import shrink
from tests.sim.store import TEMPLATE, Store, server

LONG = 10_000
MOST_SHRUNK = 5
_LAST_LINES = 25


class Report(msgspec.Struct):
    """What `--json` writes."""

    cases: int
    bad: int
    seconds: float
    seeds_per_s: float
    median_s: float
    p95_s: float
    events: int
    faults: int
    incentives: int
    paid: int
    most_events: int
    virtual_days: float
    profiles: dict[str, int]
    kinds: dict[str, int]
    """Faults by kind."""
    failed: list[Result]


async def main(arguments: argparse.Namespace, console: Console) -> int:
    began = time.monotonic()
    seeds = range(arguments.seed, arguments.seed + arguments.seeds)
    results: list[Result] = []
    async with server() as postgres:
        played = play_all(postgres.dsn, seeds, arguments.jobs, profile=arguments.profile, keep=arguments.trace)
        with _progress(console) as progress:
            task = progress.add_task("seeds", total=len(seeds), bad=0)
            for result in played:
                results.append(result)
                progress.update(task, advance=1, bad=sum(not one.ok for one in results))
                if not result.ok:
                    progress.console.print(f"seed {result.seed} ({result.profile}): {result.violations[0]}")
        failed = sorted((one for one in results if not one.ok), key=lambda one: one.seed)
        store = Store(await create_database_from_template(postgres.dsn, TEMPLATE, "sim_shrink"))
        for number, result in enumerate(failed):
            short = await shrink(result, store, profile=arguments.profile) if number < arguments.shrink else result
            _explain(console, result, short, arguments)
        await store.close()
    if arguments.trace:
        for result in sorted(results, key=lambda one: one.seed):
            console.print("\n".join([*result.trace, f"trace {result.seed} {result.fingerprint}"]), markup=False)
    seconds = time.monotonic() - began
    if arguments.json is not None:
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(_report(results, failed, seconds))))
    times = [one.seconds for one in results]
    console.print(
        f"{sum(one.events for one in results)} events, {sum(len(one.faults) for one in results)} faults,"
        f" {sum(one.paid for one in results)} of {sum(one.incentives for one in results)} incentives paid;"
        f" median {statistics.median(times):.2f} s a seed"
    )
    kinds = Counter(kind for one in results for kind in map(kind_of_fault, one.faults))
    console.print(", ".join(f"{kind} {times}" for kind, times in kinds.most_common()), highlight=False)
    console.print(f"sim: {len(results)} cases, {len(failed)} bad, {seconds:.1f} s")
    return 1 if failed else 0


def _explain(console: Console, result: Result, short: Result, arguments: argparse.Namespace) -> None:
    """What broke, by how little, and the command that repeats it."""
    again = f"make sim SEEDS=1 SEED={result.seed}"
    if arguments.profile:
        again += f" ARGS='--profile {arguments.profile}'"
    lines = [f"seed {result.seed}, profile {result.profile}; to repeat it: {again}", *result.violations]
    lines += [f"{len(short.faults)} of {len(result.faults)} faults suffice:", *(f"  {one}" for one in short.faults)]
    lines += ["how it ended:", *(f"  {line}" for line in short.trace[-_LAST_LINES:])]
    console.print("\n".join(lines), markup=False, highlight=False)


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, TextColumn("{task.fields[bad]} bad"), console=console)


def _report(results: list[Result], failed: list[Result], seconds: float) -> Report:
    times = sorted(one.seconds for one in results)
    return Report(
        cases=len(results),
        bad=len(failed),
        seconds=round(seconds, 1),
        seeds_per_s=round(len(results) / seconds, 2),
        median_s=round(statistics.median(times), 3),
        p95_s=round(times[int(len(times) * 0.95)], 3),
        events=sum(one.events for one in results),
        faults=sum(len(one.faults) for one in results),
        incentives=sum(one.incentives for one in results),
        paid=sum(one.paid for one in results),
        most_events=max(one.events for one in results),
        virtual_days=round(sum(one.days for one in results), 1),
        profiles={name: sum(one.profile == name for one in results) for name in PROFILES},
        kinds=dict(sorted(Counter(kind for one in results for kind in map(kind_of_fault, one.faults)).items())),
        failed=failed,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, help=f"how many (100; {LONG} with --long)")
    parser.add_argument("--seed", type=int, default=1, help="the first one")
    parser.add_argument("--long", action="store_true", help="the full size")
    parser.add_argument("--jobs", type=int, default=max(1, min(8, os.cpu_count() or 1)), help="processes at once")
    parser.add_argument("--profile", choices=[*PROFILES, CROWDED.name], help="instead of what each seed draws")
    parser.add_argument("--shrink", type=int, default=MOST_SHRUNK, help="how many failures to make short")
    parser.add_argument("--trace", action="store_true", help="print the whole trace of each seed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report for machines")
    arguments = parser.parse_args()
    arguments.seeds = arguments.seeds or (LONG if arguments.long else 100)
    return arguments


if __name__ == "__main__":
    sys.exit(asyncio.run(main(_arguments(), Console(soft_wrap=True))))
