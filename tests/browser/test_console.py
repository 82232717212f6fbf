"""The console in a real browser: set a scenario, watch a call fail, move the clock, send again, verify, start anew."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from mock_partners.bni import CREDENTIALS
from mock_partners.pytest import csv_of
from tests.browser.axe import faults
from tests.browser.conftest import Callback
from tests.browser.wallet import send, signer
from tests.mock_partners.ports import free_base
from tests.mock_partners.signers import ENDPOINTS
from tests.partners.kit import Endpoint

ROOT = Path(__file__).parents[2]
ACCOUNT = "0115476151"
SCENARIO = """title = "Down for a moment"
[[rule]]
name = "every payout meets a closed door"
when = { operation = "payout" }
do = { outage = "bad_gateway" }
"""


@dataclass(frozen=True)
class Mocks:
    """`mock-partners serve` for BNI and its console."""

    base: int

    @property
    def console(self) -> str:
        return f"http://127.0.0.1:{self.base}"

    def call(self, service: str, reference: str) -> dict[str, Any]:
        """One signed SNAP call, by its service code."""
        url, client = f"http://127.0.0.1:{self.base + 1}", signer("bni", CREDENTIALS["credentials"])
        client.token = send(url, client.token_call())["accessToken"]
        found = next(one for one in ENDPOINTS if (one.partner, one.service) == ("bni", service))
        body = {**found.body, "partnerReferenceNo": reference}
        sent = client.sign(Endpoint("bni", "POST", found.path, service, body))
        return send(url, sent)


@pytest.fixture(scope="module")
def mocks(tmp_path_factory: pytest.TempPathFactory, programme: Callback) -> Iterator[Mocks]:
    world = tmp_path_factory.mktemp("console") / "world.csv"
    world.write_text(csv_of("bni", [{"account": "7000000001"}]))
    base = free_base()
    command = [sys.executable, "-m", "mock_partners", "serve", "--world", str(world), "--port-base", str(base)]
    more = ["--only", "bni", "--notify-base", programme.url, "--waits", "settlement_s=0.1"]
    with subprocess.Popen(
        [*command, *more], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    ) as process:
        assert process.stdout is not None
        for _ in ("bni", "console"):
            assert "ready on" in process.stdout.readline()
        yield Mocks(base)
        process.terminate()
        process.wait(20)


@pytest.fixture
def console(mocks: Mocks, desktop: Any, callback: Callback) -> Iterator[Any]:
    """BNI's page of the console, on a mock that was just reset and has no scenario."""
    errors: list[str] = []
    desktop.on("pageerror", lambda error: errors.append(str(error)))
    control = f"http://127.0.0.1:{mocks.base + 1}/__mock__"
    httpx.delete(f"{control}/scenario", trust_env=False).raise_for_status()
    httpx.post(f"{control}/reset", trust_env=False).raise_for_status()
    desktop.goto(f"{mocks.console}/bni")
    yield desktop
    assert errors == []


def test_a_scenario_is_set_and_its_failing_call_appears_by_itself(console: Any, mocks: Mocks) -> None:
    console.get_by_text("Set another").click()
    console.get_by_label("In TOML").fill("title = 1")
    console.locator("#scenario").get_by_role("button", name="Set", exact=True).click()
    console.get_by_role("alert").filter(has_text="This scenario cannot be used.").wait_for()
    console.get_by_label("In TOML").fill(SCENARIO)
    console.locator("#scenario").get_by_role("button", name="Set", exact=True).click()
    console.locator("#scenario-live").get_by_text("Down for a moment").wait_for()
    assert mocks.call("15", "Q1")["responseCode"] == "2001500"
    with pytest.raises(ValueError, match="Expecting value"):  # HTML, as a proxy would answer
        mocks.call("17", "R1")
    failed = console.locator("details.call.bad")
    failed.filter(has_text="502").wait_for()
    failed.locator("summary").click()
    assert "every payout meets a closed door" in failed.locator("summary").inner_text()
    assert "transfer-intrabank" in failed.locator("pre").first.inner_text()
    assert console.locator("#scenario-live .fired").inner_text() == "1"
    before = console.locator("details.call").count()
    console.get_by_label("Calls").select_option("not good")
    console.get_by_text(re.compile(f"^1 of {before} calls")).wait_for()
    assert console.locator("details.call[open]").count() == 1, "what was open stays open"
    console.reload()
    console.get_by_text(re.compile(f"^1 of {before} calls")).wait_for()


def test_a_refused_call_names_the_check(console: Any, mocks: Mocks) -> None:
    assert mocks.call("17", "")["responseCode"] == "4001701"
    console.locator(".call.bad summary .no").filter(has_text="business: 4001701").wait_for()
    console.get_by_label("Containing").fill("no such text anywhere")
    console.get_by_text("No call passes the filter.").wait_for()
    console.get_by_label("Account, phone or name").fill("no such person")
    console.get_by_text("No such customer.").wait_for()
    assert "who=no+such+person" in console.url


def test_axe_finds_nothing(console: Any, mocks: Mocks) -> None:
    assert mocks.call("17", "R1")["responseCode"] == "2001700"
    call = console.locator("details.call").first
    call.locator("summary").click()
    found = faults(console)
    console.goto(mocks.console)
    found += faults(console)
    assert not found, "\n".join(found)


def test_the_console_can_be_read_on_a_phone(console: Any, mocks: Mocks) -> None:
    assert mocks.call("17", "R1")["responseCode"] == "2001700"
    console.set_viewport_size({"width": 390, "height": 844})
    call = console.locator("details.call").first
    call.wait_for()
    assert console.evaluate("document.documentElement.scrollWidth") == 390
    for part in (call.locator(".what"), console.get_by_label("Containing")):
        assert part.bounding_box()["width"] > 300
    last = console.locator("#tabs a").last.bounding_box()
    assert last["x"] + last["width"] <= 390


def test_the_clock_is_moved_and_stopped(console: Any) -> None:
    day = console.locator("#clock .time span").inner_text()
    console.get_by_role("button", name="+ 1 day").click()
    console.wait_for_function(f"document.querySelector('#clock .time span').textContent !== {day!r}")
    console.get_by_role("button", name="Stop it").click()
    console.locator("#clock em").filter(has_text="stopped").wait_for()
    console.get_by_text("Another time").click()
    console.get_by_label("Seconds on").fill("61")
    stood = console.locator("#clock .time b").inner_text()
    console.get_by_role("button", name="Go", exact=True).click()
    console.wait_for_function(f"document.querySelector('#clock .time b').textContent !== {stood!r}")
    console.get_by_role("button", name="Let it run").click()
    console.get_by_role("button", name="Stop it").wait_for()


def test_a_notification_goes_out_again(console: Any, mocks: Mocks, callback: Callback) -> None:
    assert mocks.call("22", "RTGS-1")["responseCode"] == "2002200"
    row = console.locator("#notifications-live tr").filter(has_text="transfer-rtgs/notify")
    row.filter(has_text="200").wait_for()
    assert len(callback.notified) == 1
    row.get_by_role("button", name="Send again").click()
    row.filter(has_text="200, 200").wait_for()
    assert len(callback.notified) == 2
    console.locator("#books-live").get_by_text("RTGS-1").wait_for()


def test_what_was_seen_is_verified_and_the_mock_starts_anew(console: Any, mocks: Mocks) -> None:
    mocks.call("17", "R1")
    for count, said in ((1, "All as expected."), (2, "The mock saw something else.")):
        console.get_by_label("Expectations in JSON").fill(
            f'{{"expect": [{{"operation": "payout", "count": {count}}}]}}'
        )
        console.get_by_role("button", name="Verify").click()
        console.get_by_role("alert").filter(has_text=said).wait_for()
    console.get_by_text("Reset log, clock, books and links").click()
    console.get_by_label("Another world").fill(csv_of("bni", [{"account": "7000000002", "holder_name": "SITI AMINAH"}]))
    console.get_by_role("button", name="Reset", exact=True).click()
    console.get_by_text("No call yet").wait_for()
    console.locator("#customers tr").filter(has_text="SITI AMINAH").filter(has_text="7000000002").wait_for()


def test_it_works_without_scripts(browser: Any, mocks: Mocks, callback: Callback) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{mocks.console}/")
    page.get_by_role("link", name="bni").first.click()
    row = page.locator("#customers tr").filter(has_text=ACCOUNT)
    row.get_by_label("status").select_option("blocked")
    row.get_by_role("button", name="Save").click()
    assert row.get_by_label("status").input_value() == "blocked"
    page.get_by_text("Set another").click()
    page.get_by_label("From the cookbook").select_option("paid-twice")
    page.get_by_role("button", name="Look at it").click()
    assert "[[rule]]" in page.get_by_label("In TOML").input_value()
    context.close()
