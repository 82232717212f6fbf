"""`python -m tests.mutants [--list] [--only NAME] [--workers N]`: exit status 0 if every planted bug is caught."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from pathlib import Path

from tests.mutants.adapters import ADAPTERS
from tests.mutants.mutant import Mutant
from tests.mutants.runner import Verdict, copy_tree, run_mutant, run_tests, touches

TABLES: tuple[tuple[Mutant, ...], ...] = (ADAPTERS,)
"""One table a subject; a table is a tuple of mutants with names of their own."""
BASELINE_S = 300.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    parser.add_argument("--only", metavar="NAME", action="append", help="mutants whose name contains this; repeatable")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1), help="how many at once")
    options = parser.parse_args()
    mutants = [mutant for table in TABLES for mutant in table]
    names = [mutant.name for mutant in mutants]
    assert len(set(names)) == len(names), "every mutant has a name of its own"
    if options.only:
        mutants = [mutant for mutant in mutants if any(part in mutant.name for part in options.only)]
    if options.list:
        print("\n".join(mutant.name for mutant in mutants))
        return 0
    if not mutants:
        print("no mutant has such a name; --list shows them", file=sys.stderr)
        return 2
    return asyncio.run(_run(mutants, max(1, options.workers)))


async def _run(mutants: list[Mutant], workers: int) -> int:
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        trees = [copy_tree(Path(folder) / str(n)) for n in range(min(workers, len(mutants)))]
        files = tuple(sorted({test for tests, _ in touches(mutants) for test in tests}))
        print(f"{len(mutants)} mutants; first the tests without any", flush=True)
        status, output = await run_tests(trees[0], files, "", limit_s=BASELINE_S)
        if status != 0:
            print(output[-2_000:])
            print("the tests fail without a mutant: nothing can be said about them")
            return 2
        verdicts = await _all(mutants, trees)
    return _summary(verdicts)


async def _all(mutants: list[Mutant], trees: list[Path]) -> list[Verdict]:
    waiting, verdicts = list(mutants), list[Verdict]()

    async def work(tree: Path) -> None:
        while waiting:
            verdict = await run_mutant(waiting.pop(0), tree)
            verdicts.append(verdict)
            word = "caught" if verdict.caught else "BROKEN" if verdict.broken else "MISSED"
            place = f"[{len(verdicts)}/{len(mutants)}]"
            print(f"{place:>9} {word} {verdict.mutant.name}: {verdict.by} ({verdict.took_s:.1f} s)", flush=True)

    async with asyncio.TaskGroup() as group:
        for tree in trees:
            group.create_task(work(tree))
    return verdicts


def _summary(verdicts: list[Verdict]) -> int:
    for verdict in verdicts:
        if not verdict.caught:
            print(f"not caught: {verdict.mutant.name}: {verdict.mutant.survives or verdict.by}")
    print(f"caught {sum(verdict.caught for verdict in verdicts)} of {len(verdicts)}")
    return 0 if all(verdict.fine for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
