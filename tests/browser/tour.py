"""A demonstration that is left running, seen in a browser: the README's pictures, and every page to be looked at."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.browser.axe import SCHEMES, WIDTHS

ROOT = Path(__file__).parents[2]
_HALF = """() => {
    const sum = of => [...document.querySelectorAll(of)].reduce((all, one) => all + parseFloat(one.textContent), 0);
    return sum("td.picture + td") && sum("td.picture b") * 2 > sum("td.picture + td");
}"""
"""Half of what is due is paid."""
_LEFT_OUT = {"language", "docs", "schema", "assets"}
"""Parts of addresses that lead to no page, or to one as long as the API's description."""
_MOST_LINES, _MOST_PAGES, _MOST_LOOKS, _WAIT_MS = 400, 60, 400, 120_000


@contextlib.contextmanager
def demonstration() -> Iterator[tuple[str, Iterator[str]]]:
    """`gateway demo --keep`: its page's address, and the lines that it prints from then on."""
    command = [sys.executable, "-m", "gateway", "demo", "--keep"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, "COLUMNS": "200"}
    ) as process:
        assert process.stdout is not None
        lines = (line for line, _ in zip(process.stdout, range(_MOST_LINES), strict=False))
        try:
            yield next(line.split()[0] for line in lines if "shows the whole run" in line), lines
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=120)


def tour(page: Any, look: Path | None) -> dict[str, bytes]:
    """Pictures by file name; with `look` also one of each kind of page there is, at both widths and in both languages,
    into that folder.
    """
    page.set_default_timeout(_WAIT_MS)
    shots: dict[str, bytes] = {}
    with demonstration() as (url, lines):
        page.set_viewport_size({"width": 1280, "height": 720})
        page.goto(url)
        for _ in range(_MOST_LOOKS):
            if page.evaluate(_HALF):
                break
            page.wait_for_timeout(_WAIT_MS / _MOST_LOOKS)
        page.get_by_role("link", name="The operators' pages").click()
        page.wait_for_url("**/ops")
        page.get_by_role("link", name="English").click()
        page.set_viewport_size({"width": 1440, "height": 900})
        shots["ops.png"] = page.screenshot()
        page.set_viewport_size({"width": 390, "height": 844})
        shots["ops-phone.png"] = page.screenshot()
        assert any("Ctrl-C ends it" in line for line in lines), "the demonstration did not come to its end"
        page.set_viewport_size({"width": 1280, "height": 720})
        page.goto(url)
        shots["demo.png"] = page.screenshot()
        if look is not None:
            look_around(page, url, look)
    return shots


def look_around(page: Any, url: str, look: Path) -> None:
    """One page of each kind that links lead to from the demonstration's own, into `look`."""
    look.mkdir(exist_ok=True)
    page.goto(f"{url}ops")
    home = page.url
    left, seen, own = [url, home], {url, home}, list[str]()
    for _ in range(_MOST_PAGES):
        if not left:
            break
        address = left.pop(0)
        own += [address] if address.startswith(home) else []
        page.goto(address)
        _photograph(page, look, address)
        found = page.evaluate("[...document.links].map(a => a.href)")
        for link in (link.partition("#")[0] for link in found):
            kind = re.sub(r"[A-Za-z]*\d[\w.-]*", "N", urlsplit(link).path) + str(urlsplit(link).port)
            if (
                urlsplit(link).hostname == "127.0.0.1"
                and not _LEFT_OUT & set(urlsplit(link).path.split("/"))
                and kind not in seen
            ):
                seen.add(kind)
                left.append(link)
    page.goto(f"{home}/language/id")
    for address in own:
        page.goto(address)
        _photograph(page, look, f"{address}-id")
    _as_participant(page, url, home.removesuffix("/ops"), look)


def _as_participant(page: Any, url: str, api: str, look: Path) -> None:
    """The first page and the one behind its button, of every partner at which somebody may begin; in Indonesian, the
    first also in English.
    """
    page.goto(url)
    buttons = page.locator("form.act button")
    for number in range(min(buttons.count(), _MOST_PAGES)):
        page.goto(url)
        buttons.nth(number).click()
        page.wait_for_url("**/connect/**")
        connect = page.url
        for language in ("en", "id"):
            page.goto(f"{api}/connect/language/{language}")
            page.goto(connect)
            _photograph(page, look, f"connect {number} {language}")
        page.locator("button[value=begin]").click()
        page.wait_for_load_state()
        _photograph(page, look, f"connect {number} begun")
    for path in ("/start", "/connect/nothing-that-exists", "/ops/sign-in"):
        page.goto(api + path)
        _photograph(page, look, f"{path} id")


def _photograph(page: Any, look: Path, address: str) -> None:
    name = re.sub(r"\W+", "-", address.removeprefix("http://127.0.0.1:"))[:60].strip("-")
    for width, (wide, high) in WIDTHS.items():
        page.set_viewport_size({"width": wide, "height": high})
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=look / f"{name}.{width}.{scheme}.png", full_page=True)
    page.emulate_media(color_scheme="light")
