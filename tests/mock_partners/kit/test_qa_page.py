"""docs/qa.md does what it says: its files and commands, run as a newcomer runs them, print what the page prints."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mock_partners.ports import free_base

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/qa.md").read_text("utf-8")
FILES = ("world.csv", "first.toml", "bni_client.py", "test_first.py")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder with the page's four files."""
    for name in FILES:
        found = re.search(rf"`{re.escape(name)}`.*?```\w+\n(.*?)```", PAGE, re.DOTALL)
        assert found is not None, name
        (tmp_path / name).write_text(found[1])
    return tmp_path


def run(folder: Path, *command: str, status: int = 0) -> str:
    """Runs one command of the page; `mock-partners`, `python` and `pytest` are this interpreter's."""
    heads = {
        "mock-partners": ["-m", "mock_partners"], "python": [],
        "pytest": ["-m", "pytest", "-p", "no:cacheprovider"],
    }  # fmt: skip
    head = [sys.executable, *heads[command[0]]] if command[0] in heads else [command[0]]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    done = subprocess.run(
        [*head, *command[1:]], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def port_base(folder: Path) -> Iterator[int]:
    """The page's mocks, running; where the page has port 9101 the tests have another."""
    base = free_base()
    command = [sys.executable, "-m", "mock_partners", "serve", "--world", "world.csv", "--scenario", "first.toml"]
    with subprocess.Popen(
        [*command, "--only", "bni", "--port-base", str(base)], cwd=folder, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline()
        yield base
        process.terminate()
        process.wait(20)


def test_write_it(folder: Path) -> None:
    assert run(folder, "mock-partners", "scenario", "check", "first.toml") == "first.toml: 2 rules, good\n"
    assert "the answer is a time-out" in run(folder, "mock-partners", "scenario", "explain", "first.toml")
    scenario = folder / "first.toml"
    scenario.write_text(scenario.read_text().replace('operation = "payout"', 'opertaion = "payout"'))
    done = subprocess.run(
        [sys.executable, "-m", "mock_partners", "scenario", "check", "first.toml"], cwd=folder, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "first.toml line 8: when.opertaion is not known; did you mean operation? allowed: partner," in done.stderr


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed: the page's calls were not tried")
def test_run_see_and_assert_it(folder: Path, port_base: int) -> None:
    url = f"http://127.0.0.1:{port_base + 1}"
    assert run(folder, "python", "bni_client.py", url, "7000000001", "R1").split("\n")[:4] == [
        "paid: 5041700", "status: 03", "status: 03", "status: 00",
    ]  # fmt: skip
    assert "paid: 2001700\nstatus: 00" in run(folder, "python", "bni_client.py", url, "7000000001", "R2")
    asked = re.findall(r"^curl .*?(?=\n```|\ncurl)", PAGE, re.DOTALL | re.MULTILINE)
    assert len(asked) == 3
    told = [run(folder, *shlex.split(command.replace("http://127.0.0.1:9101", url))) for command in asked]
    assert [one["rules"] for one in json.loads(told[0])["requests"]] == [["the answer is a time-out"], []]
    assert len(told[1].splitlines()) == 2
    assert json.loads(told[2]) == {"ok": True, "problems": []}


def test_keep_it(folder: Path) -> None:
    assert "2 passed" in run(folder, "pytest", "-q", "test_first.py")
