"""Plants one mutant at a time in a copy of the tree and runs the tests on it, in a process forked off for that.

A run is bounded by processor time, so that a busy machine makes no mutant look as if nothing had noticed it; and, for
a bug under which something waits for ever, by a few times what its tests took without it.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import re
import resource
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from gateway.embedded import EmbeddedPostgres
from tests.conftest import SHARED_POSTGRES
from tests.memory import servers_folder
from tests.mutants.mutant import DoesNotApply, Mutant

ROOT = Path(__file__).parents[2]
COPIED = ("contracts", "adapters", "gateway", "tests", "pyproject.toml")
CHANGEABLE = ("contracts", "adapters", "gateway", "tests")
"""Packages that a run imports anew, from its own tree; the mocks are nobody's mutants and are loaded before."""
POSTGRES = "postgres.txt"
"""In a tree: the URL of its PostgreSQL."""
LIMIT_S = 30
"""Of processor time, a mutant; more where its tests take longer than that without one."""
UNMEASURED_S = 120.0
"""Until a run whose tests were not measured is given up."""
START_S, WALL_FACTOR = 90.0, 4
"""Until a run is given up: so long to begin, and so many times what its tests took without a mutant."""
SECONDS = "seconds.json"
"""In a tree: how long each file of the last run took."""
FIRST_CATCH = re.compile(r"^(?:FAILED|ERROR) (\S+?\[[^\]]*\]|\S+)", re.MULTILINE)
TESTS_FAILED = 1
"""pytest's exit status for a failed test; every other one but 0 is trouble of another kind, and no catch."""
FOREIGN = 70
"""Exit status of a run that tested other code than its own tree's."""

_FORKS = multiprocessing.get_context("forkserver")


@dataclass
class Verdict:
    """What became of a mutant: caught by `by`, or not, and why."""

    mutant: Mutant
    caught: bool
    by: str
    took_s: float
    broken: bool = False
    """The mutant does not apply or does not import: an error of its table."""

    @property
    def fine(self) -> bool:
        return self.caught or (bool(self.mutant.survives) and not self.broken)


def copy_tree(into: Path) -> Path:
    """A copy of the project to plant bugs in."""
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info", ".hypothesis")
    into.mkdir(parents=True)
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, into / name, ignore=ignore)
        else:
            shutil.copy2(source, into / name)
    return into


@contextmanager
def prepared(folder: Path, trees: int) -> Iterator[list[Path]]:
    """So many trees to plant bugs in, one run at a time in each, with everything heavy in place.

    Each tree has a PostgreSQL for all of its runs, which need not survive anything. Not one for all: a transaction that
    is open in one run would hold back the events that another one reads.
    """
    _FORKS.set_forkserver_preload(["tests.mutants.nursery"])
    made = []
    with servers_folder() as home:
        servers = [EmbeddedPostgres(home / f"postgres-{n}") for n in range(trees)]
        try:
            for n, server in enumerate(servers):
                asyncio.run(server.start())
                asyncio.run(_careless(server.dsn))
                made.append(copy_tree(folder / str(n)))
                (made[-1] / POSTGRES).write_text(server.dsn)
            yield made
        finally:
            for server in servers:
                asyncio.run(server.stop())


async def _careless(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        await connection.execute(f"ALTER SYSTEM SET {name} = off")
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()


@dataclass(frozen=True)
class Bounds:
    """How long a run may take: of processor time, and by the clock."""

    cpu_s: int = LIMIT_S
    wall_s: float = UNMEASURED_S

    @classmethod
    def of(cls, mutant: Mutant, seconds: Mapping[str, float]) -> Bounds:
        """After how long the tests took without a mutant, each file, if all of them are known."""
        if not seconds.keys() >= set(mutant.tests):
            return cls()
        alone_s = sum(seconds[test] for test in mutant.tests)
        return cls(max(LIMIT_S, int(2 * alone_s)), START_S + WALL_FACTOR * alone_s)


def run_mutant(mutant: Mutant, tree: Path, bounds: Bounds) -> Verdict:
    """Plant it, run the relevant tests up to the first catch, and take it out again."""
    began = time.monotonic()
    originals = {edit.path: (tree / edit.path).read_bytes() for edit in mutant.edits if (tree / edit.path).exists()}
    try:
        for edit in mutant.edits:
            edit.apply(tree)
        status, output = run_tests(tree, mutant.tests, mutant.only, bounds, first=mutant.first)
    except (DoesNotApply, OSError) as error:
        return Verdict(mutant, False, f"does not apply: {error}", time.monotonic() - began, broken=True)
    finally:
        for path, content in originals.items():
            (tree / path).write_bytes(content)
    return _judge(mutant, status, output, time.monotonic() - began, bounds)


def _judge(mutant: Mutant, status: int | None, output: str, took_s: float, bounds: Bounds) -> Verdict:
    found = FIRST_CATCH.search(output)
    if status == TESTS_FAILED and found is not None:
        return Verdict(mutant, True, found[1].removeprefix("tests/"), took_s)
    if status == 0:
        return Verdict(mutant, False, "every test passed", took_s)
    if status is None:
        return Verdict(
            mutant, False, f"given up after {bounds.wall_s:.0f} s: a test waits; name one as `first`", took_s
        )
    if status < 0:
        return Verdict(mutant, False, f"nothing noticed within {bounds.cpu_s} s of processor time", took_s)
    last = (output.strip().splitlines() or [""])[-1]
    return Verdict(mutant, False, f"pytest ended with {status}: {last}", took_s, broken=True)


def run_tests(
    tree: Path, tests: tuple[str, ...], only: str, bounds: Bounds, *, first: str = ""
) -> tuple[int | None, str]:
    """pytest's exit status (None, or a signal below zero: out of time) and its output, up to the first failure. How
    long each file took stands in the tree then.

    `first`, a test of the first file, is run before the others.
    """
    early = "ignore::pytest.PytestAssertRewriteWarning"  # plugins are loaded before pytest begins
    always = ["-x", "-q", "--tb=no", "-W", early, "-p", "no:cacheprovider", "-p", "no:schemathesis"]
    runs = [[*always, *tests, *(["-k", only] if only else [])]]
    if first:
        runs = [[*always, f"{tests[0]}::{first}"], [*runs[0], "--deselect", f"{tests[0]}::{first}"]]
    output = tree / "output.txt"
    process = _FORKS.Process(target=_test, args=(str(tree), runs, str(output), bounds.cpu_s))
    process.start()
    process.join(bounds.wall_s)
    if process.is_alive():
        process.kill()
        process.join()
        return None, ""
    return process.exitcode, output.read_text(errors="replace")


def _test(tree: str, runs: list[list[str]], output: str, limit_s: int) -> None:
    """In the forked process: become a fresh interpreter in the tree, and run pytest until something fails."""
    resource.setrlimit(resource.RLIMIT_CPU, (limit_s, limit_s))
    with open(output, "wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(tree)
    os.environ[SHARED_POSTGRES] = Path(POSTGRES).read_text()
    sys.dont_write_bytecode = True  # two texts of one length within a second would pass for each other
    sys.path[:] = [tree, *(path for path in sys.path if Path(path or ".").resolve() not in (ROOT, Path(tree)))]
    for name in [name for name in sys.modules if name.split(".")[0] in CHANGEABLE]:
        del sys.modules[name]
    import pytest

    status, times = 0, _Times()
    for arguments in runs:
        status = status or int(pytest.main(arguments, plugins=[times]))
    Path(SECONDS).write_text(json.dumps(times.seconds))
    ours = sys.modules.get("adapters")
    if ours is not None and not str(ours.__file__).startswith(tree):
        status = FOREIGN
    sys.stdout.flush()
    os._exit(status)


class _Times:
    """A plug-in of pytest's: the seconds of each file, fixtures included."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.seconds[report.location[0]] += report.duration
