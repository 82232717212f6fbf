"""A participant's way through the gateway's own pages, on a small phone, with what chat apps and browsers do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.browser.conftest import open_page
from tests.browser.site import Site, site

__all__ = ["site"]

BEGIN = "Setuju dan lanjutkan ke"
MOST_BYTES = 60_000
SMALL = {"width": 360, "height": 740}
PREVIEWS = ("WhatsApp/2.23.20.0 A", "TelegramBot (like TwitterBot)", "facebookexternalhit/1.1")


@pytest.fixture(params=[True, False], ids=["scripts", "no scripts"])
def opener(request: pytest.FixtureRequest, browser: Any) -> Iterator[Callable[[], Any]]:
    """Opens a browser of its own each time it is called, with or without scripts."""
    opened: list[Iterator[Any]] = []

    def another() -> Any:
        opened.append(open_page(browser, viewport=SMALL, java_script_enabled=request.param))
        return next(opened[-1])

    yield another
    for pages in opened:
        next(pages, None)


_TAKEN: dict[str, int] = {}


@pytest.fixture
def address(site: Site) -> str:
    """A challenge that no other test has: each leads to the gateway's own form."""
    number = _TAKEN[site.url] = _TAKEN.get(site.url, 0) + 1
    return site.url + site.connects[number]


def begin(page: Any) -> None:
    page.get_by_role("button", name=BEGIN).click()
    page.get_by_label("Nomor kartu").wait_for()


def test_a_chat_apps_preview_and_a_prefetch_spend_nothing(opener: Callable[[], Any], address: str) -> None:
    for agent in PREVIEWS:
        for method in ("HEAD", "GET"):
            reply = httpx.request(method, address, headers={"User-Agent": agent}, trust_env=False)
            assert reply.status_code == 200 and "set-cookie" not in reply.headers
            assert len(reply.content) < MOST_BYTES
    page = opener()
    page.set_extra_http_headers({"Sec-Purpose": "prefetch;prerender"})
    page.goto(address)
    page.set_extra_http_headers({})
    page.goto(address)
    begin(page)
    assert page.locator("html").evaluate("e => e.scrollWidth") <= SMALL["width"]


def test_the_back_button_leads_on_again(opener: Callable[[], Any], address: str) -> None:
    page = opener()
    page.goto(address)
    begin(page)
    for again in (page.go_back, page.reload, lambda: page.goto(address)):
        again()
        page.get_by_label("Nomor kartu").wait_for()
        assert not page.get_by_role("button", name=BEGIN).count(), "what has begun would begin again"


def test_a_second_browser_is_told_so_and_led_back(opener: Callable[[], Any], address: str) -> None:
    first, second = opener(), opener()
    first.goto(address)
    begin(first)
    second.goto(address)
    second.get_by_text("sudah dibuka di browser").wait_for()
    assert second.get_by_role("link", name="Kembali ke Prakerja").get_attribute("href").startswith("https://core.test/")
    second.goto(first.url)
    assert not second.get_by_label("Nomor kartu").count(), "another browser sees the form of the first"
    first.reload()
    first.get_by_label("Nomor kartu").wait_for()


def test_consent_is_withdrawn_by_the_button_and_by_nothing_before_it(opener: Callable[[], Any], site: Site) -> None:
    number = _TAKEN["withdrawals"] = _TAKEN.get("withdrawals", 0) + 1
    address, previews, page = site.url + site.withdrawals[number], opener(), opener()
    for visitor in (previews, page):
        visitor.goto(address)
        visitor.get_by_role("button", name="Cabut izin").wait_for()
        assert len(visitor.content()) < MOST_BYTES
    page.get_by_role("link", name="English").click()
    page.get_by_role("button", name="Withdraw my consent").click()
    page.get_by_role("heading", name="Your account is being unlinked").wait_for()
    back = page.get_by_role("link", name="Back to Prakerja").get_attribute("href")
    assert back.startswith("https://core.test/") and back.endswith("outcome=withdrawn")
    previews.reload()
    previews.get_by_role("heading", name="Akun sedang dilepas").wait_for()
    assert not previews.get_by_role("button").count()


def test_another_code_is_offered_once_its_time_has_come(opener: Callable[[], Any], site: Site, address: str) -> None:
    """The countdown is a style: it runs without scripts."""
    page = opener()
    page.goto(address)
    begin(page)
    link_id = page.url.rsplit("/", 2)[1]
    page_of = "UPDATE links SET wants = '{otp}', updated_at = now() - $2 * interval '1 second' WHERE id = $1"
    site.execute(page_of, link_id, 0)
    page.reload()
    waiting, button = page.get_by_text("Anda dapat meminta kode baru"), page.locator("button[value=anew]")
    waiting.wait_for()
    assert not button.is_visible()
    site.execute(page_of, link_id, 58)
    page.reload()
    button.wait_for(state="visible")
    waiting.wait_for(state="hidden")
    site.execute(page_of, link_id, 60)
    button.click()
    page.get_by_label("Nomor kartu").wait_for()
