"""Nine questions of a morning (docs/runbook.md), each at `/ops` on a phone and on a wide screen and by the command: a
partner is down, payments are in doubt, cases are open and batches wait at the same time, all of it made by the mocks.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.clock import SystemClock
from tests.browser.axe import WIDTHS
from tests.browser.conftest import open_page
from tests.browser.morning import Morning, morning
from tests.browser.test_operators import row, within
from tests.gateway.ops.desk import code

__all__ = ["morning"]


def command(morning: Morning, *arguments: str, typed: str = "") -> str:
    """What `gateway` prints."""
    done = subprocess.run(
        [sys.executable, "-m", "gateway", *arguments],
        env=morning.environment | {"COLUMNS": "200"}, input=typed, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return done.stdout


def told(morning: Morning, *arguments: str) -> Any:
    return json.loads(command(morning, *arguments, "--json"))


def typed(morning: Morning, name: str) -> str:
    person = morning.people[name]
    return f"{person.password}\n{code(person, SystemClock().now().timestamp())}\n"


@pytest.fixture(params=WIDTHS)
def screen(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def at(browser: Any, morning: Morning, screen: str) -> Iterator[Any]:
    """The overview, in English, of whom it is asked for."""
    opened: list[Iterator[Any]] = []

    def overview(role: str) -> Any:
        wide, high = WIDTHS[screen]
        opened.append(open_page(browser, viewport={"width": wide, "height": high}))
        page = next(opened[-1])
        person = morning.people[f"{role}-{screen}"]
        page.goto(f"{morning.url}/ops/sign-in")
        page.fill("[name=name]", f"{role}-{screen}")
        page.fill("[name=password]", person.password)
        page.fill("[name=code]", code(person, SystemClock().now().timestamp()))
        page.click("main button")
        page.wait_for_url("**/ops")
        page.get_by_role("link", name="English").click()
        page.get_by_role("heading", name="Overview").wait_for()
        return page

    yield overview
    for pages in opened:
        next(pages, None)


def test_nine_questions(at: Any, morning: Morning, screen: str) -> None:
    page = at("operator")
    who_is_not_paid_and_why(page, morning)
    how_long_and_which_partner_is_down(page, morning)
    what_happened_and_what_is_unknown(page, morning, screen)
    pause(page, morning, screen)
    settle(page, morning, screen)
    approve(at("approver"), morning, screen)


def who_is_not_paid_and_why(page: Any, morning: Morning) -> None:
    turn = row(page.locator("section").filter(has_text="Whose turn is it?"), "partner_unavailable")
    within(page, turn.get_by_role("link"))
    turn.get_by_role("link").click()
    unpaid = told(morning, "incentives", "list", "--blocker", "partner_unavailable")
    mine = next(one for one in unpaid if one["partner"] == "linkaja")
    waiting = row(page, mine["participant_id"]).first
    waiting.get_by_role("link").first.click()
    page.get_by_role("heading", name="Why not paid?").wait_for()
    assert "tried again" in page.locator("main").inner_text()
    assert "partner_unavailable" in command(morning, "funnel")
    blocker = told(morning, "why", mine["incentive_id"])["incentive"]["blocker"]
    assert blocker["code"] == "partner_unavailable" and blocker["next_attempt_at"]


def how_long_and_which_partner_is_down(page: Any, morning: Morning) -> None:
    page.goto(f"{morning.url}/ops")
    here = row(page.locator("section").filter(has_text="last 5 minutes"), "LinkAja")
    within(page, here.get_by_role("link"))
    assert "payout: outage" in here.inner_text() and re.search(r"5xx \d", here.inner_text())
    left = page.locator("section").filter(has_text="LinkAja: Payouts").inner_text()
    assert re.search(r"Left \d", left) and "stands still since" in left
    plan = command(morning, "plan")
    assert re.search(r"^linkaja payout stands still since .*\(outage 5xx.*\); next try ", plan, re.M), plan
    state = command(morning, "partners", "state")
    assert re.search(r"^linkaja +held ", state, re.M) and re.search(r"^linkaja +\d+ +\d+ +\d+ +.*5xx \d", state, re.M)
    assert re.search(r"^dana +\d+ +\d+ +\d+ (?!.*5xx)", state, re.M), "another one that answers"


def what_happened_and_what_is_unknown(page: Any, morning: Morning, screen: str) -> None:
    payout = morning.in_doubt[screen]
    page.goto(f"{morning.url}/ops")
    page.get_by_label("Find a participant").fill(payout["reference"])
    page.get_by_role("button", name="Find").click()
    page.get_by_role("heading", name=payout["participant_id"]).wait_for()
    page.get_by_role("navigation").get_by_role("link", name="Payouts").click()
    row(page, payout["reference"]).get_by_role("link", name=str(payout["id"])).click()
    said = page.locator("main").inner_text()
    assert "unknown" in said and f"Our reference:  {payout['reference']}" in said and "payout.status" in said
    shown = told(morning, "payouts", "show", str(payout["id"]))
    assert payout["reference"] in json.dumps(shown)
    assert payout["reference"] in json.dumps(told(morning, "payouts", "list", "--state", "unknown"))
    page.get_by_role("navigation").get_by_role("link", name="Cases").click()
    (case, *_) = (one for one in told(morning, "cases", "list") if one["partner"] == "ovo")
    within(page, row(page, "OVO" if row(page, "OVO").count() else "ovo").get_by_role("link"))
    assert str(case["id"]) in command(morning, "cases", "show", str(case["id"]))


def pause(page: Any, morning: Morning, screen: str) -> None:
    """By a page, and let go by the command of somebody else."""
    page.goto(f"{morning.url}/ops/partners/gopay")
    act = page.locator("form.act").filter(has=page.get_by_role("button", name="Pause"))
    within(page, act.get_by_role("button"))
    act.get_by_label("Reason").fill("deposit runs dry")
    act.get_by_role("button").click()
    page.get_by_text("deposit runs dry").first.wait_for()
    (gopay,) = (one for one in told(morning, "partners", "state") if one["partner"] == "gopay")
    assert gopay["paused"]["reason"] == "deposit runs dry"
    name = f"pauses-{screen}"
    command(morning, "partners", "resume", "gopay", "--as", name, typed=typed(morning, name))
    page.reload()
    page.get_by_role("button", name="Pause").wait_for()


def settle(page: Any, morning: Morning, screen: str) -> None:
    """Brought by a command, confirmed at a page by another person."""
    payout, name = morning.in_doubt[screen], f"settles-{screen}"
    brought = ("settlements", "propose", str(payout["id"]), "paid", "--document", "BA 17-2026", "--why", "their letter")
    command(morning, *brought, "--as", name, typed=typed(morning, name))
    page.goto(f"{morning.url}/ops/payouts/{payout['id']}")
    confirm = page.locator("form[action$='/confirm']")
    within(page, confirm.get_by_role("button"))
    confirm.get_by_label("Reason").fill("read it too")
    confirm.get_by_role("button").click()
    page.get_by_text("succeeded").first.wait_for()


def approve(page: Any, morning: Morning, screen: str) -> None:
    """By a person at a page and by a client of the API."""
    batch = morning.batches[screen]
    page.get_by_role("navigation").get_by_role("link", name="Batches").click()
    row(page, batch["batch_id"]).get_by_role("link").first.click()
    within(page, page.get_by_role("button", name="Approve Rp"))
    page.get_by_role("button", name="Approve Rp").click()
    page.get_by_text(f"op-approver-{screen}: approve").wait_for()
    who = morning.approver
    client = ("--url", morning.url, "--client-id", who.client_id, "--client-secret", who.secret)
    listed = command(morning, "batch", "list", "--state", "awaiting_approval", *client)
    assert batch["batch_id"] in listed
    command(morning, "batch", "approve", batch["batch_id"], "--root", batch["content_root"], *client)
    page.reload()
    assert "approved" in page.locator("dl").first.inner_text()
