"""`gateway new-partner`: a fresh skeleton passes the quick checks, and what is not written yet says what to write."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from adapters.registry import PARTNERS
from contracts.errors import InvalidRequest
from gateway.cli import app
from gateway.skeleton import EXAMPLE, SKELETON, new_partner
from mock_partners.registry import PARTNERS as MOCKED

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
FOLDERS = ("contracts", "adapters", "gateway", "mock_partners", "tests", "docs")
FILES = (
    "pyproject.toml",
    "docker-compose.yml",
    "docker-compose.ha.yml",
    ".env.example",
    "README.md",
    "CHANGELOG.md",
    "Makefile",
)
CACHES = shutil.ignore_patterns("__pycache__", "*.pyc")
NAMES = ("ab", "middling", "zzzzzzzzzzzz")
"""First, in the middle and last among the imports, and as short and as long as a name may be."""
TODAY = date(2026, 1, 2)
MADE = ("adapters", "mock_partners")
WRITTEN = 23
WIDE = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")} | {"COLUMNS": "400"}
"""A reason is not cut off behind the name of its test."""


pytestmark = pytest.mark.timeout(900)  # tools started in a tree of their own, which compile it first


def copied(folder: Path, *folders: str) -> Path:
    """A copy of the tree, with what the type checker remembers of it where it has run before."""
    for name in folders:
        shutil.copytree(ROOT / name, folder / name, ignore=CACHES)
    for name in FILES:
        shutil.copy2(ROOT / name, folder / name)
    return folder


def run(root: Path, *command: str) -> str:
    """What a tool says of the tree, which it must be content with."""
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole tree in which partners of `NAMES` were made."""
    root = copied(tmp_path_factory.mktemp("tree"), *FOLDERS)
    if (ROOT / ".mypy_cache").is_dir():
        shutil.copytree(ROOT / ".mypy_cache", root / ".mypy_cache")
    for name in NAMES:
        paths = new_partner(root, name, TODAY)
        assert len(paths) >= WRITTEN
        assert all((root / path).is_file() for path in paths)
    return root


def test_it_is_in_the_house_s_style(tree: Path) -> None:
    run(tree, str(BIN / "ruff"), "check", ".")
    run(tree, str(BIN / "ruff"), "format", "--check", ".")


def test_its_types_and_imports_hold(tree: Path) -> None:
    run(
        tree,
        str(BIN / "mypy"),
        *(f"--package={package}.{name}" for package in MADE for name in ("middling", "registry")),
    )
    run(tree, str(BIN / "lint-imports"), "--no-logo")


def test_the_manifests_are_good_and_the_rest_says_what_to_write(tree: Path) -> None:
    """What asks for a participant's whole story meets the first thing that is not written; nothing else fails."""
    suites = ("tests/contract/test_manifest.py", "tests/mock_partners/kit/test_operations.py")
    anatomy = "tests/test_tidy.py::test_partner_folders_have_the_same_anatomy"
    compose = "tests/test_compose.py::test_every_partner_is_reached_at_its_mock"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-rfE",
        "--tb=short",
        *suites,
        anatomy,
        compose,
        "-k",
    ]
    wanted = "test_manifest and middling or test_operations and every or anatomy or reached"
    done = subprocess.run([*command, wanted], cwd=tree, env=WIDE, capture_output=True, text=True, check=False)
    told = done.stdout
    unwritten = re.findall(r"^ERROR (.*)$", told, re.MULTILINE)
    assert "FAILED" not in told, told[-4000:]
    assert unwritten, told[-4000:]
    missing = "PartnerProtocolError: not written yet: middling, wire.binding: the body of "
    assert all(missing in why for why in unwritten), unwritten


def test_nothing_of_the_example_is_left(tree: Path) -> None:
    files = [path for path in tree.rglob("*middling*/*") if path.is_file() and path.suffix != ".pyc"]
    assert len(files) >= WRITTEN - 4
    assert [path for path in files if EXAMPLE in path.read_text("utf-8").lower()] == []
    assert "date(2026, 1, 2)" in (tree / "adapters" / "middling" / "manifest.py").read_text("utf-8")


def test_every_registry_line_is_the_last(tree: Path) -> None:
    script = (
        "from adapters.registry import PARTNERS as A; from mock_partners.registry import PARTNERS as M; print(*A, *M)"
    )
    names = run(tree, sys.executable, "-c", script).split()
    assert names == [*PARTNERS, *NAMES, *MOCKED, *NAMES]


@pytest.mark.parametrize(
    "name", ["a", "Ovo", "my-pay", "pay2", "class", "snap", "base", "ovo", "kit", "cli", "x" * 13, "../x"]
)
def test_a_name_that_cannot_be_one_changes_nothing(name: str, tmp_path: Path) -> None:
    root = copied(tmp_path, "adapters", "mock_partners")
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    with pytest.raises(InvalidRequest):
        new_partner(root, name, TODAY)
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_it_is_made_once_and_in_the_tree_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refused = CliRunner().invoke(app, ["new-partner", "middling"])
    assert isinstance(refused.exception, InvalidRequest) and "tree" in refused.exception.detail
    copied(tmp_path, "adapters", "mock_partners")
    assert CliRunner().invoke(app, ["new-partner", "middling"]).exit_code == 0
    again = CliRunner().invoke(app, ["new-partner", "middling"])
    assert isinstance(again.exception, InvalidRequest) and "there already" in again.exception.detail


def test_every_file_of_it_reads_as_it_will_read() -> None:
    """No file of the skeleton is code of the gateway, and each of a folder lies where the tree has it."""
    files = [path for path in SKELETON.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    own = {path for path in files if path.suffix != ".txt"}
    assert own == {SKELETON / "__init__.py"}
    assert all((ROOT / path.relative_to(SKELETON).parts[0]).is_dir() for path in files if path not in own)
