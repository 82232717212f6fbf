"""`make pictures`: takes the pictures of README.md and docs/ again, after a page changed.

`make pictures ARGS="--look FOLDER"` also writes one of each kind of page there is into that folder, at both widths, to
be looked at.
"""

from __future__ import annotations

import argparse
import base64
import os
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from mock_partners.kit.clock import JAKARTA
from mock_partners.kit.look import Scene, Step, form
from mock_partners.kit.pages import MERCHANT
from mock_partners.pytest import csv_of
from tests.browser.conftest import ARGUMENTS, chromium
from tests.browser.test_console import Mocks
from tests.browser.tour import tour
from tests.browser.wallet import PHONE, Wallet
from tests.browser.wallets import WALLETS
from tests.mock_partners.ports import free_base

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "pictures"
MOST_BYTES = 250_000
SHOT = {"width": 360, "height": 800}
SCENARIO = """title = "Booked, answered as a time-out"
source = "snap-bni.md 4.2"
[[rule]]
name = "the answer is a time-out"
when = { operation = "payout", nth = 1 }
do = { code = "504xx00", message = "Timeout", booked = true }
"""
PEOPLE = ("BUDI SANTOSO", "SITI AMINAH", "AGUS PRATAMA")


def consent(page: Any, wallet: Wallet) -> bytes:
    """One wallet's first page and, with a mistake in it, its last, side by side."""
    until, shots = datetime(2026, 1, 15, 12, 15, tzinfo=JAKARTA), []
    page.set_viewport_size(SHOT)
    for step, problem in ((Step.AGREE, ""), (Step.PIN, "PIN salah. Sisa percobaan: 2.")):
        scene = Scene(MERCHANT, step, wallet.steps.index(step), len(wallet.steps), PHONE, until, problem)
        page.set_content(form(wallet.look, scene).body.decode())
        shots.append(base64.b64encode(page.screenshot()).decode())
    images = "".join(f'<img width="360" src="data:image/png;base64,{shot}">' for shot in shots)
    page.set_viewport_size({"width": 750, "height": 820})
    page.set_content(f'<body style="margin:10px;background:#8a8f99;display:flex;gap:10px">{images}')
    picture: bytes = page.screenshot()
    return picture


def console(page: Any) -> bytes:
    """BNI's page after a time-out, look-ups and a refused call."""
    with tempfile.TemporaryDirectory() as folder:
        world, scenario, base = Path(folder, "world.csv"), Path(folder, "s.toml"), free_base()
        rows = [{"account": f"700000000{number}", "holder_name": name} for number, name in enumerate(PEOPLE, 1)]
        world.write_text(csv_of("bni", rows))
        scenario.write_text(SCENARIO)
        command = [sys.executable, "-m", "mock_partners", "serve", "--port-base", str(base), "--world", str(world)]
        with subprocess.Popen(
            [*command, "--scenario", str(scenario)], stdout=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ
        ) as process:
            assert process.stdout is not None
            for _ in range(5):
                assert "ready" in process.stdout.readline()
            mocks = Mocks(base)
            for service, reference in (("17", "R1"), ("17", "R2"), ("17", "")):
                mocks.call(service, reference)
            page.set_viewport_size({"width": 1280, "height": 720})
            page.goto(f"{mocks.console}/bni")
            page.locator("details.call.bad").last.locator("summary").click()
            page.locator("#live .on").wait_for()
            picture: bytes = page.screenshot()
            process.terminate()
            process.wait(20)
    return picture


def main() -> None:
    """Writes docs/pictures/*.png; says so and fails where one is too big."""
    parser = argparse.ArgumentParser(description="Takes the pictures of README.md and docs/ again.")
    parser.add_argument("--look", type=Path, help="write one of each kind of page into this folder, at both widths")
    look = parser.parse_args().look
    PICTURES.mkdir(exist_ok=True)
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        page = browser.new_page(locale="en-GB")
        taken = {f"{wallet.name}.png": consent(page, wallet) for wallet in WALLETS} | {"console.png": console(page)}
        taken |= tour(page, look)
        for name, picture in taken.items():
            (PICTURES / name).write_bytes(picture)
            print(f"{name}: {len(picture):,} bytes")
            assert len(picture) <= MOST_BYTES, f"{name} is bigger than {MOST_BYTES:,} bytes"
        browser.close()


if __name__ == "__main__":
    main()
