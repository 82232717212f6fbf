"""What `make` does where there is no usable .venv yet: a first run broken off, a checkout moved or copied, a mirror."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# A Python that only tells what it is asked for; `-m venv` makes a .venv of itself and of a uv that tells its index.
PYTHON = r"""#!/bin/sh
echo "$0 $*" >> asked
case "$*" in
*"import pip"*) [ ! -e .venv/half-made ] ;;
*fcntl*) exec {python} "$@" ;;
*"-m venv"*) sleep "${TAKES_S:-0}"; mkdir -p .venv/bin && cp "$0" .venv/bin/python && cp uv .venv/bin/uv ;;
*"config get"*) [ -n "${CONFIGURED:-}" ] && echo "$CONFIGURED" ;;
*) echo "PIP_USER=$PIP_USER" >> asked ;;
esac
"""
UV = """#!/bin/sh
echo "uv at ${UV_DEFAULT_INDEX:-its own}" >> asked
"""
MADE = "-m venv .venv"
MIRROR = "https://mirror.example/simple"


@pytest.fixture(params=["checkout", "a check out, with $igns"])
def checkout(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = tmp_path / request.param
    (folder / ".ci").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "requirements.lock", ".ci/bootstrap"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    (folder / ".ci" / "bootstrap").chmod(0o755)
    for name, text in (("python", PYTHON.replace("{python}", shlex.quote(sys.executable))), ("uv", UV)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


def _make(folder: Path, **environment: str) -> str:
    """What was asked of Python and uv meanwhile."""
    asked = folder / "asked"
    asked.write_text("")
    given = {"PATH": "/usr/bin:/bin", "PYTHON": "./python"} | environment
    done = subprocess.run(["make", ".venv/.ready"], cwd=folder, env=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return asked.read_text()


def test_it_is_made_once(checkout: Path) -> None:
    assert MADE in _make(checkout)
    assert _make(checkout) == ""
    os.utime(checkout / ".venv" / ".ready", (0, 0))
    asked = _make(checkout)
    assert MADE not in asked and "uv at" in asked


def test_two_terminals_at_once_make_one(checkout: Path) -> None:
    """The first minute of somebody who lets the tests run and looks at the demo meanwhile."""
    asked, said = checkout / "asked", []
    given = {"PATH": "/usr/bin:/bin", "PYTHON": "./python", "TAKES_S": "1"}
    command = ["make", ".venv/.ready"]
    both = [subprocess.Popen(command, cwd=checkout, env=given, stdout=-1, stderr=-2, text=True) for _ in range(2)]
    for one in both:
        said.append(one.communicate(timeout=60)[0])
        assert one.returncode == 0, said
    assert asked.read_text().count(MADE) == 1, said
    assert sorted("waiting for it" in text for text in said) == [False, True]


def test_one_that_was_broken_off_in_the_making_is_made_anew(checkout: Path) -> None:
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "half-made").touch()
    (checkout / ".venv" / "bin" / "python").write_bytes((checkout / "python").read_bytes())
    (checkout / ".venv" / "bin" / "python").chmod(0o755)
    assert MADE in _make(checkout)


def test_a_checkout_that_was_moved_gets_one_of_its_own(checkout: Path) -> None:
    _make(checkout)
    moved = checkout.rename(checkout.with_name("moved here"))
    assert MADE in _make(moved)
    assert _make(moved) == ""


@pytest.mark.parametrize("named", [{"PIP_INDEX_URL": MIRROR}, {"CONFIGURED": MIRROR}, {"UV_DEFAULT_INDEX": MIRROR}])
def test_uv_asks_where_pip_does(checkout: Path, named: dict[str, str]) -> None:
    assert "uv at its own" in _make(checkout)
    os.utime(checkout / ".venv" / ".ready", (0, 0))
    assert f"uv at {MIRROR}" in _make(checkout, **named)


def test_a_pip_that_installs_for_its_user_installs_here(checkout: Path) -> None:
    assert set(_make(checkout, PIP_USER="1").split()) & {"PIP_USER=0", "PIP_USER=1"} == {"PIP_USER=0"}
