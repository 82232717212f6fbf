"""Plants one mutant at a time in a copy of the tree and runs the tests on it."""

from __future__ import annotations

import asyncio
import compileall
import os
import re
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.mutant import DoesNotApply, Edit, Mutant

ROOT = Path(__file__).parents[2]
COPIED = ("contracts", "adapters", "gateway", "mock_partners", "tests", "pyproject.toml")
LIMIT_S = 30.0
FIRST_CATCH = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
TESTS_FAILED = 1
"""pytest's exit status for a failed test; every other one but 0 is trouble of another kind, and no catch."""


@dataclass
class Verdict:
    """What became of a mutant: caught by `test`, or not, and why."""

    mutant: Mutant
    caught: bool
    by: str
    took_s: float
    broken: bool = False
    """The mutant does not apply or does not import: an error of this table."""

    @property
    def fine(self) -> bool:
        return self.caught or bool(self.mutant.survives) and not self.broken


def copy_tree(into: Path) -> Path:
    """A copy of the project to plant bugs in, compiled, so that each run compiles only what it changed."""
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info", ".hypothesis")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, into / name, ignore=ignore)
        else:
            shutil.copy2(source, into / name)
    compileall.compile_dir(into, quiet=2, workers=1)
    return into


async def run_mutant(mutant: Mutant, tree: Path) -> Verdict:
    """Plant, run the relevant tests up to the first catch, and take the bug out again."""
    began = time.monotonic()
    paths = {edit.path for edit in mutant.edits}
    originals = {path: (tree / path).read_bytes() for path in paths if (tree / path).exists()}
    try:
        for edit in mutant.edits:
            edit.apply(tree)
        for path in paths:
            _forget_compiled(tree / path)
        status, output = await run_tests(tree, mutant.tests, mutant.only)
    except (DoesNotApply, OSError) as error:
        return Verdict(mutant, False, f"does not apply: {error}", time.monotonic() - began, broken=True)
    finally:
        for path, content in originals.items():
            (tree / path).write_bytes(content)
            _forget_compiled(tree / path)
    return _judge(mutant, status, output, time.monotonic() - began)


def _judge(mutant: Mutant, status: int | None, output: str, took_s: float) -> Verdict:
    found = FIRST_CATCH.search(output)
    if status == TESTS_FAILED and found is not None:
        return Verdict(mutant, True, found[1].removeprefix("tests/"), took_s)
    if status is None:
        return Verdict(mutant, False, f"nothing noticed within {LIMIT_S:.0f} s", took_s)
    if status == 0:
        return Verdict(mutant, False, "every test passed", took_s)
    last = output.strip().splitlines()[-1:] or [""]
    return Verdict(mutant, False, f"pytest ended with {status}: {last[0]}", took_s, broken=True)


async def run_tests(
    tree: Path, tests: tuple[str, ...], only: str, *, limit_s: float = LIMIT_S
) -> tuple[int | None, str]:
    """pytest's exit status (None: out of time) and output."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", "-p", "no:cacheprovider", *tests]
    if only:
        command += ["-k", only]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(tree)}
    process = await asyncio.create_subprocess_exec(
        *command, cwd=tree, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(limit_s):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return None, ""
    return process.returncode, output.decode(errors="replace")


def _forget_compiled(file: Path) -> None:
    """Two texts of one length within a second would pass for each other."""
    for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*.pyc"):
        compiled.unlink()


def touches(mutants: list[Mutant]) -> set[tuple[tuple[str, ...], str]]:
    """The parts of the suites that these mutants are run on."""
    return {(mutant.tests, mutant.only) for mutant in mutants}


__all__ = ["Edit", "Verdict", "copy_tree", "run_mutant", "run_tests", "touches"]
