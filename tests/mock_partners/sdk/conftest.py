"""Mocks on real sockets, and the partners' own clients beside them, pointed at the mocks by base URL alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
import uvicorn

import mock_partners.bni
import mock_partners.dana
import mock_partners.gopay
from mock_partners.kit.clock import Clock, Scheduler
from mock_partners.kit.notify import Notice
from mock_partners.kit.server import bind, config
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import World

HERE = Path(__file__).parent
NPM_PACKAGE = "midtrans-client@1.4.3"
BNI_PACKAGES = ("bnipython==0.8.9", "pyOpenSSL==24.1.0")
"""pyOpenSSL 24.1 is the last line of it that still has `crypto.sign`, which the SDK calls."""
DANA_PACKAGE, DANA_NODE = "dana-python==2.2.2", "dana-node@1.5.11"
INSTALL_S, ANSWER_S = 240.0, 30.0


@dataclass
class Served:
    """One mock on a socket of its own; `notices` are what it sent, which nobody refused."""

    url: str
    world: World
    credentials: dict[str, Any]
    notices: list[Notice] = field(default_factory=list)

    def get(self, path: str, **query: str) -> httpx.Response:
        return httpx.get(self.url + path, params=query, timeout=ANSWER_S)


def serve(package: ModuleType, partner: str) -> Iterator[Served]:
    world, clock = World(partner), Clock()
    sock = bind(0)
    sock.listen()  # from here on a client can connect, and waits for the server
    host, port = sock.getsockname()[:2]
    served = Served(f"http://{host}:{port}", world, package.CREDENTIALS)

    async def receive(_url: str, notice: Notice) -> int:
        served.notices.append(notice)
        return 200

    app = package.create_app(
        world, clock=clock, scheduler=Scheduler(clock), waits=Waits(settlement_s=0.1, reversal_s=0.2),
        notify_base="http://merchant.example.test", send=receive,
    )  # fmt: skip
    server = uvicorn.Server(config(app))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    yield served
    server.should_exit = True
    thread.join(ANSWER_S)


@pytest.fixture
def gopay() -> Iterator[Served]:
    yield from serve(mock_partners.gopay, "gopay")


@pytest.fixture
def bni() -> Iterator[Served]:
    yield from serve(mock_partners.bni, "bni")


@pytest.fixture
def dana() -> Iterator[Served]:
    yield from serve(mock_partners.dana, "dana")


class Driver:
    """A client library in a process of its own, asked one call at a time."""

    def __init__(self, *command: str, cwd: Path) -> None:
        self._process = subprocess.Popen(command, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **call: Any) -> dict[str, Any]:
        """The library's answer as `value`, or what it raised as `error`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(call) + "\n")
        self._process.stdin.flush()
        told: dict[str, Any] = json.loads(self._process.stdout.readline() or '{"error": "the client ended"}')
        return told

    def close(self) -> None:
        self._process.communicate(timeout=ANSWER_S)


def install(why: str, *command: str, cwd: Path) -> None:
    """Runs an installer; what cannot be had is skipped, with what the installer said."""
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=INSTALL_S, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{why}: not installed within {INSTALL_S:.0f} s")
    if done.returncode:
        pytest.skip(f"{why}: {(done.stderr.strip() or done.stdout.strip())[-300:]}")


@pytest.fixture(scope="session")
def node_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds Midtrans' Node client."""
    return node_with("Midtrans' Node client was NOT run", NPM_PACKAGE, "driver.js", tmp_path_factory.mktemp("node"))


def node_with(why: str, package: str, driver: str, folder: Path) -> Path:
    """The folder, with a package from npm and what drives it."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip(f"{why}: no node and npm on this machine")
    (folder / "package.json").write_text("{}")
    install(why, "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", package, cwd=folder)
    shutil.copy(HERE / driver, folder)
    return folder


@pytest.fixture(scope="session")
def dana_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds DANA's Node client."""
    return node_with("DANA's Node client was NOT run", DANA_NODE, "dana_driver.js", tmp_path_factory.mktemp("danode"))


@pytest.fixture
def dana_node(dana: Served, dana_packages: Path) -> Iterator[Driver]:
    (dana_packages / "credentials.json").write_text(json.dumps(dana.credentials["credentials"]))
    driver = Driver("node", "dana_driver.js", dana.url, "credentials.json", cwd=dana_packages)
    yield driver
    driver.close()


def python_312() -> str | None:
    """A Python of 3.12 or later that runs: on the path, or one of pyenv's, whose shims may name none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    names = ("python3.12", "python3.13", "python3.14")
    found = [sys.executable, *filter(None, map(shutil.which, names))]
    found += [str(path) for name in names for path in sorted(pyenv.glob(f"*/bin/{name}"))]
    check = ("-c", "import sys; sys.exit(sys.version_info < (3, 12))")
    return next((one for one in found if not subprocess.run((one, *check), capture_output=True).returncode), None)


@pytest.fixture(scope="session")
def bni_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that can have BNI's SDK, and has it: 0.8.9 is a syntax error before Python 3.12."""
    why = "BNI's Python SDK was NOT run"
    python = python_312()
    if python is None:
        pytest.skip(f"{why}: no Python 3.12 or later on this machine")
    return python_with(why, python, BNI_PACKAGES, tmp_path_factory.mktemp("bni"))


def python_with(why: str, python: str, packages: tuple[str, ...], folder: Path) -> Path:
    """A Python of its own that holds some packages."""
    install(why, python, "-m", "venv", "venv", cwd=folder)
    made = folder / "venv" / "bin" / "python"
    install(why, str(made), "-m", "pip", "install", "--quiet", "--only-binary", ":all:", *packages, cwd=folder)
    return made


@pytest.fixture
def bni_sdk(bni: Served, bni_python: Path, tmp_path: Path) -> Iterator[Driver]:
    (tmp_path / "private.key").write_text(bni.credentials["credentials"]["private_key_pem"])
    driver = Driver(str(bni_python), str(HERE / "bni_driver.py"), bni.url, "private.key", cwd=tmp_path)
    yield driver
    driver.close()


@pytest.fixture(scope="session")
def dana_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has DANA's SDK."""
    folder = tmp_path_factory.mktemp("dana")
    return python_with("DANA's Python SDK was NOT run", sys.executable, (DANA_PACKAGE,), folder)


@pytest.fixture
def dana_sdk(dana: Served, dana_python: Path, tmp_path: Path) -> Iterator[Driver]:
    (tmp_path / "credentials.json").write_text(json.dumps(dana.credentials["credentials"]))
    driver = Driver(str(dana_python), str(HERE / "dana_driver.py"), dana.url, "credentials.json", cwd=tmp_path)
    yield driver
    driver.close()
