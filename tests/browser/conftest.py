"""A real Chromium, a programme's callback to come back to, and mocks on sockets; nothing leaves loopback."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

playwright = pytest.importorskip(
    "playwright.sync_api",
    reason="the browser tests were NOT run: playwright is not installed; rebuild .venv with `make`",
)
NOT_RUN = "the browser tests were NOT run: there is no Chromium on this machine; `make test-browser` installs one"
NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
ARGUMENTS = [
    "--no-sandbox",  # the tests may run as root in a container; they open our own pages only
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]  # fmt: skip
WAIT_MS = 15_000


def chromium() -> str | None:
    """The path in CHROMIUM, or the first browser found."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = chromium()
    if path is None:
        pytest.skip(NOT_RUN)
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield launched
        launched.close()


def open_page(browser: Any, **settings: Any) -> Iterator[Any]:
    """A page in a context of its own, which fails the test if anything asked for an address elsewhere."""
    asked: list[str] = []
    context = browser.new_context(locale="id-ID", **settings)
    context.set_default_timeout(WAIT_MS)
    context.on("request", lambda request: asked.append(request.url))
    yield context.new_page()
    context.close()
    assert {urlsplit(url).hostname for url in asked if not url.startswith("data:")} <= {"127.0.0.1"}


@pytest.fixture
def phone(browser: Any) -> Iterator[Any]:
    """A small phone without scripts: the partners' pages need none."""
    yield from open_page(browser, viewport={"width": 360, "height": 740}, java_script_enabled=False)


@pytest.fixture
def desktop(browser: Any) -> Iterator[Any]:
    yield from open_page(browser, viewport={"width": 1440, "height": 900})


class Callback(ThreadingHTTPServer):
    """The programme: where partners send browsers back to and post notifications; it keeps what came."""

    daemon_threads = True

    def __init__(self) -> None:
        self.returned: list[str] = []
        self.notified: list[str] = []
        super().__init__(("127.0.0.1", 0), _Answer)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def parameters(self) -> dict[str, str]:
        """What the last browser that came back brought along."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.returned[-1]).query).items()}


class _Answer(BaseHTTPRequestHandler):
    server: Callback

    def do_GET(self) -> None:
        if self.path.startswith("/callbacks/"):
            self.server.returned.append(self.path)
        self._answer(b"<!doctype html><title>Prakerja</title><h1>Selesai</h1>")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.notified.append(self.path)
        self._answer(b"{}")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if body.startswith(b"<") else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Nothing: the tests say what they look for."""


@pytest.fixture(scope="module")
def programme() -> Iterator[Callback]:
    with Callback() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(10)


@pytest.fixture
def callback(programme: Callback) -> Callback:
    """The programme with nothing in its hands yet."""
    programme.returned.clear()
    programme.notified.clear()
    return programme
