"""Plant bugs one by one and see the suites catch them; exit status 0 if all are caught."""

from __future__ import annotations

import argparse
import json
import os
import queue
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

from tests.mutants.adapters_bytes import BYTES
from tests.mutants.adapters_people import PEOPLE
from tests.mutants.adapters_verdicts import VERDICTS
from tests.mutants.brake import BRAKE
from tests.mutants.edges import EDGES
from tests.mutants.house import HOUSE
from tests.mutants.memory import Clock, Memory
from tests.mutants.money_intake import TAKEN
from tests.mutants.money_people import PEOPLE_AND_SEALS
from tests.mutants.money_plans import PLANNED
from tests.mutants.money_proved import PROVED
from tests.mutants.money_sending import SENT
from tests.mutants.money_words import HEARD
from tests.mutants.mutant import Mutant
from tests.mutants.runner import SECONDS, Bounds, Verdict, prepared, run_mutant, run_tests
from tests.mutants.standing import STILL
from tests.partners import each

FAMILIES: dict[str, tuple[tuple[Mutant, ...], ...]] = {
    "adapters": (BYTES, VERDICTS, PEOPLE, HOUSE, *(bugs.BUGS for bugs in each("bugs").values())),
    "money": (SENT, HEARD, PEOPLE_AND_SEALS, PROVED, BRAKE, PLANNED, TAKEN, STILL),
    "edges": (EDGES,),
}
"""Tables by what they are about; a table is a tuple of mutants."""
BASELINE = Bounds(cpu_s=900, wall_s=1_800.0)
GUESS_S = 6.0
"""What a mutant takes beside its tests, and before anything is measured."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    parser.add_argument("--family", choices=FAMILIES, help="only these; without it, all")
    parser.add_argument("--only", metavar="NAME", action="append", help="mutants whose name contains this; repeatable")
    parser.add_argument("--again", action="store_true", help="only those that the last run did not catch or not reach")
    parser.add_argument("--trust", action="store_true", help="do not first see the tests pass without a mutant")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1), help="how many at once")
    options = parser.parse_args()
    families = [options.family] if options.family else list(FAMILIES)
    mutants = [mutant for family in families for table in FAMILIES[family] for mutant in table]
    if options.only:
        mutants = [mutant for mutant in mutants if any(part in mutant.name for part in options.only)]
    memory = Memory.read()
    if options.again:
        mutants = [mutant for mutant in mutants if mutant.name not in memory.caught]
    if options.list:
        print("\n".join(mutant.name for mutant in mutants))
        return 0
    if not mutants:
        print("none is left to plant again" if options.again else "no mutant has such a name; --list shows them")
        return 0 if options.again else 2
    memory.caught -= {mutant.name for mutant in mutants}
    most = min(max(1, options.workers), len(mutants))
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder, prepared(Path(folder), most) as trees:
        if not options.trust and not _passes_without(mutants, trees, memory):
            return 2
        return _summary(_run(mutants, trees, memory))


def _passes_without(mutants: list[Mutant], trees: list[Path], memory: Memory) -> bool:
    """Whether the tests that are to notice pass as long as there is nothing to notice; a part of them in each tree. How
    long each file takes is kept.
    """
    files = sorted({test for mutant in mutants for test in mutant.tests})
    only = " or ".join(sorted({mutant.only for mutant in mutants})) if all(mutant.only for mutant in mutants) else ""
    parts = [part for n in range(len(trees)) if (part := tuple(files[n :: len(trees)]))]
    print(f"{len(mutants)} mutants; first the tests without any, {len(files)} files", flush=True)
    with ThreadPoolExecutor(len(parts)) as pool:
        ends = list(pool.map(lambda part, tree: run_tests(tree, part, only, BASELINE), parts, trees))
    for tree, _ in zip(trees, parts, strict=False):
        if (tree / SECONDS).exists():
            memory.seconds |= json.loads((tree / SECONDS).read_text())
    memory.write()
    fine = True
    for status, output in ends:
        if status != 0:
            print(f"{output[-2_000:]}\nthe tests fail without a mutant: nothing can be said about them")
            fine = False
    return fine


def _run(mutants: list[Mutant], trees: list[Path], memory: Memory) -> list[Verdict]:
    clock = Clock({mutant.name: _likely_s(mutant, memory.seconds) for mutant in mutants}, len(trees))
    print(f"{len(mutants)} mutants, {len(trees)} at once: about {clock.left()}", flush=True)
    free: queue.SimpleQueue[Path] = queue.SimpleQueue()
    for tree in trees:
        free.put(tree)

    def one(mutant: Mutant) -> Verdict:
        tree = free.get()
        try:
            return run_mutant(mutant, tree, Bounds.of(mutant, memory.seconds))
        finally:
            free.put(tree)

    verdicts = []
    with ThreadPoolExecutor(len(trees)) as pool, _left_out_when_broken_off(pool):
        for done in as_completed([pool.submit(one, mutant) for mutant in mutants]):
            verdict = done.result()
            verdicts.append(verdict)
            word = "caught" if verdict.caught else "BROKEN" if verdict.broken else "MISSED"
            clock.done(verdict)
            if verdict.caught:
                memory.caught.add(verdict.mutant.name)
                memory.write()
            place = f"[{len(verdicts)}/{len(mutants)}, {clock.left()} left]"
            print(f"{place:>23} {word} {verdict.mutant.name}: {verdict.by} ({verdict.took_s:.1f} s)", flush=True)
    return verdicts


@contextmanager
def _left_out_when_broken_off(pool: ThreadPoolExecutor) -> Iterator[None]:
    """Ctrl-C ends the run after the mutants under way, not after all that wait; `--again` goes on with those."""
    try:
        yield
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise


def _likely_s(mutant: Mutant, seconds: Mapping[str, float]) -> float:
    """What it may take: its tests run until one of them notices, half of them say."""
    return GUESS_S + sum(seconds.get(test, GUESS_S) for test in mutant.tests) / 2


def _summary(verdicts: list[Verdict]) -> int:
    for verdict in verdicts:
        if not verdict.caught:
            print(
                f"not caught: {verdict.mutant.name}: {verdict.mutant.survives or verdict.by} (--again plants it anew)"
            )
    print(f"caught {sum(verdict.caught for verdict in verdicts)} of {len(verdicts)}")
    return 0 if all(verdict.fine for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
