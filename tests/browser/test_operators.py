"""What an operator asks in the morning, answered on /ops at a phone and at a wide screen: a partner is down, a payout
is in doubt, cases are open, a batch waits. In the terminal: `tests/gateway/ops/test_terminal.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.axe import WIDTHS
from tests.browser.conftest import open_page
from tests.browser.site import PAYOUT, REFERENCE, Site, site
from tests.browser.test_axe import sign_in

__all__ = ["site"]


SCREENS = {"operator": "phone", "operator-two": "wide", "approver": "phone", "approver-two": "wide"}
"""Who sits at which; the operators are asked for by their screen."""
OPERATOR = {"phone": "operator", "wide": "operator-two"}


@pytest.fixture(scope="module")
def at(browser: Any, site: Site) -> Iterator[Any]:
    """A person's page on the overview, in English, at a screen of their own; each signs in once."""
    opened: dict[str, tuple[Any, Iterator[Any]]] = {}

    def overview(name: str) -> Any:
        wide, high = WIDTHS[SCREENS[name]]
        if name not in opened:
            pages = open_page(browser)
            page = next(pages)
            opened[name] = page, pages
            sign_in(page, site, name)
            page.get_by_role("link", name="English").click()
        page, _ = opened[name]
        page.set_viewport_size({"width": wide, "height": high})
        page.goto(f"{site.url}/ops")
        page.get_by_role("heading", name="Overview").wait_for()
        return page

    yield overview
    for _, pages in opened.values():
        next(pages, None)


def row(page: Any, text: str) -> Any:
    return page.locator("tr").filter(has_text=text)


def within(page: Any, found: Any) -> None:
    """It can be read without moving the page sideways."""
    found.first.scroll_into_view_if_needed()
    box = found.first.bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= page.viewport_size["width"], box


@pytest.mark.parametrize("width", WIDTHS)
def test_who_is_not_paid_and_whose_turn_it_is(at: Any, width: str) -> None:
    page = at(OPERATOR[width])
    turn = row(page.locator("section").filter(has_text="Whose turn is it?"), "partner_unavailable")
    assert "The partner could not be asked." in turn.inner_text() and "partner" in turn.inner_text()
    within(page, turn.get_by_role("link"))
    within(page, turn.get_by_text("The partner could not be asked."))
    turn.get_by_role("link").click()
    waiting = row(page, "P00000031")
    assert "partner_unavailable" in waiting.inner_text()
    waiting.get_by_role("link").first.click()
    page.get_by_role("heading", name="Why not paid?").wait_for()
    assert "tried again" in page.locator("main").inner_text()


@pytest.mark.parametrize("width", WIDTHS)
def test_which_partner_is_down_and_how_long_it_will_take(at: Any, width: str) -> None:
    page = at(OPERATOR[width])
    here = row(page.locator("section").filter(has_text="last 5 minutes"), "OVO")
    assert "payout: outage" in here.inner_text() and "5xx 3" in here.inner_text()
    within(page, here.get_by_role("link"))
    left = page.locator("section").filter(has_text="OVO: Payouts").inner_text()
    assert re.search(r"Left \d", left) and "stands still since" in left
    here.get_by_role("link").click()
    said = page.locator("main").inner_text()
    assert re.search(r"payout: outage 5xx \(502\), since \d{4}-\d\d-\d\d .*next try \d{4}", said)
    assert re.search(r"Waiting here: [1-9]", said)


@pytest.mark.parametrize("width", WIDTHS)
def test_what_happened_to_one_payout_and_which_are_in_doubt(at: Any, width: str) -> None:
    page = at(OPERATOR[width])
    page.get_by_label("Find a participant").fill(REFERENCE)
    page.get_by_role("button", name="Find").click()
    page.get_by_role("heading", name="P00000030").wait_for()
    page.get_by_role("navigation").get_by_role("link", name="Payouts").click()
    doubt = row(page, REFERENCE)
    assert "P00000030" in doubt.inner_text()
    doubt.get_by_role("link", name=str(PAYOUT)).click()
    said = page.locator("main").inner_text()
    assert "unknown" in said and said.count("502") >= 3 and f"Our reference:  {REFERENCE}" in said
    page.get_by_role("navigation").get_by_role("link", name="Cases").click()
    row(page, "three look-ups").get_by_role("link", name="outcome_unknown").click()
    within(page, page.get_by_text("three look-ups: 502"))
    within(page, page.get_by_role("button", name="Bring the partner's document"))


@pytest.mark.parametrize("width", WIDTHS)
def test_a_partner_is_paused_with_a_reason_and_let_go(site: Site, at: Any, width: str) -> None:
    page = at(OPERATOR[width])
    page.goto(f"{site.url}/ops/partners/gopay")
    for button, said in (("Pause", "deposit runs dry"), ("Resume", "topped up")):
        act = page.locator("form.act").filter(has=page.get_by_role("button", name=button))
        within(page, act.get_by_role("button"))
        act.get_by_label("Reason").fill(said)
        act.get_by_role("button").click()
        page.get_by_text("Payouts run." if button == "Resume" else said).first.wait_for()
    page.goto(f"{site.url}/ops/audit")
    assert "deposit runs dry" in page.locator("main").inner_text()


def test_two_people_settle_a_payout_by_the_partners_document(site: Site, at: Any) -> None:
    """One at a phone, one at a desk; the first cannot do it alone."""
    first, second = at("operator"), at("operator-two")
    for page in (first, second):
        page.goto(f"{site.url}/ops/payouts/{PAYOUT}")
    act = first.locator("form.act").filter(has=first.locator("[name=document]"))
    act.locator("[name=verdict]").select_option("paid")
    act.locator("[name=document]").fill("BA 17-2026")
    act.get_by_label("Reason").fill("its books have the credit")
    act.get_by_role("button").click()
    first.get_by_text("BA 17-2026").first.wait_for()
    assert not first.locator("form[action$='/confirm']").count(), "nobody confirms their own word"
    second.reload()
    confirm = second.locator("form[action$='/confirm']")
    confirm.get_by_label("Reason").fill("read it too")
    confirm.get_by_role("button").click()
    second.get_by_text("succeeded").first.wait_for()


def test_two_people_approve_the_batch_that_waits(at: Any) -> None:
    for name in ("approver", "approver-two"):
        page = at(name)
        page.locator("#live").get_by_role("link", name="1", exact=True).last.wait_for()
        page.get_by_role("navigation").get_by_role("link", name="Batches").click()
        row(page, "Awaiting approval").get_by_role("link").click()
        page.get_by_role("button", name="Approve Rp").click()
    assert "approved" in page.locator("dl").first.inner_text()


def test_a_page_that_is_refreshed_no_more_says_so(at: Any) -> None:
    """By its style alone: each refresh begins its twenty seconds anew."""
    page = at("operator")
    notice = page.get_by_text("has not been refreshed")
    assert not notice.is_visible()
    page.route("**/ops/live", lambda route: route.abort())
    for _ in range(50):  # a refresh that was under way may still come
        page.evaluate("document.getAnimations().forEach(one => one.finish())")
        if notice.is_visible():
            break
        page.wait_for_timeout(100)
    assert notice.is_visible()
    page.unroute("**/ops/live")
