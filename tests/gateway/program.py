"""The command line, as tests run it: in this process, since a process of its own takes most of a second to start."""

from __future__ import annotations

import contextvars
import io
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TextIO
from unittest.mock import patch

from gateway.cli import common, main

PROGRAM = [sys.executable, "-m", "gateway"]
WIDTH = 200
APART = frozenset({"serve", "worker", "recover", "reconcile", "demo"})
"""Commands that set up logging, and so change the process that they run in."""
_OUTPUT = contextvars.ContextVar[tuple[io.StringIO, io.StringIO] | None]("output", default=None)


class _Own(io.TextIOBase):
    """Standard output or error: a command's own, while a server in another thread goes on with this process's."""

    def __init__(self, which: int, others: TextIO) -> None:
        self._which, self._others = which, others

    def write(self, text: str) -> int:
        own = _OUTPUT.get()
        return (own[self._which] if own else self._others).write(text)

    def flush(self) -> None:
        if _OUTPUT.get() is None:
            self._others.flush()


def run(*arguments: str, status: int = 0, **environment: str) -> str:
    """What a command prints, errors last; checks its exit status."""
    if arguments[0] in APART:
        return run_apart(*arguments, status=status, **environment)
    own = io.StringIO(), io.StringIO()
    common.vault.cache_clear()
    with (
        patch.dict(os.environ, _environment(environment), clear=True),
        patch.object(common.terminal(), "_width", int(environment.get("COLUMNS", WIDTH))),
        patch.object(sys, "argv", ["gateway", *arguments]),
        patch.object(sys, "stdout", _Own(0, sys.stdout)),
        patch.object(sys, "stderr", _Own(1, sys.stderr)),
        ThreadPoolExecutor(1) as aside,  # a test may have a loop that runs
    ):
        ended: Any = aside.submit(_ended, own).result()
    common.vault.cache_clear()
    said = "".join(each.getvalue() for each in own)
    assert ended == status, said
    return said


def run_apart(*arguments: str, status: int = 0, typed: str = "", **environment: str) -> str:
    """The same of a process of its own, in which `typed` is asked for."""
    done = subprocess.run(
        [*PROGRAM, *arguments],
        env=_environment(environment),
        input=typed,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def _environment(more: dict[str, str]) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    return kept | {"COLUMNS": str(WIDTH)} | more


def _ended(own: tuple[io.StringIO, io.StringIO]) -> Any:
    _OUTPUT.set(own)
    try:
        main()
    except SystemExit as ending:
        return ending.code or 0
    return 0
