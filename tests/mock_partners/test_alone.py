"""The mocks are a distribution of their own: it declares what they import, in the versions of the whole project."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOCKS = ROOT / "mock_partners"
WHOLE = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ALONE = tomllib.loads((MOCKS / "pyproject.toml").read_text())["project"]
PLUGIN_ONLY = {"pytest"}
"""Whoever uses the plug-in has it."""
COMES_WITH = {"uvloop": "uvicorn", "httptools": "uvicorn", "typing_extensions": "litestar"}


def named(requirement: str) -> str:
    return requirement.partition(">=")[0].partition("[")[0]


def imported() -> set[str]:
    """The first part of every module that a mock imports."""
    found: set[str] = set()
    for path in MOCKS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    return found - {"mock_partners", *sys.stdlib_module_names}


def test_it_declares_what_it_imports_and_no_more() -> None:
    assert {COMES_WITH.get(name, name) for name in imported() - PLUGIN_ONLY} == {
        named(one) for one in ALONE["dependencies"]
    }


def test_its_requirements_version_and_commands_are_the_projects() -> None:
    assert set(ALONE["dependencies"]) <= set(WHOLE["dependencies"])
    assert (ALONE["version"], ALONE["requires-python"]) == (WHOLE["version"], WHOLE["requires-python"])
    assert ALONE["scripts"].items() <= WHOLE["scripts"].items()
    assert ALONE["entry-points"] == WHOLE["entry-points"]


def test_its_wheel_holds_every_file_of_the_mocks(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=MOCKS, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("mock_partners/")}
    files = {
        str(path.relative_to(ROOT)) for path in MOCKS.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    }
    assert files <= held
