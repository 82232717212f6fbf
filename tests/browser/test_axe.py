"""No page of the gateway, for operators or for participants, has a fault that axe finds. What pages there are is read
from the gateway's routes, so that a new one cannot be left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.clock import SystemClock
from tests.browser.axe import WIDTHS, faults
from tests.browser.conftest import open_page
from tests.browser.site import DOWN, PAYOUT, Site, site
from tests.gateway.ops.desk import code

__all__ = ["site"]

NO_PAGE = re.compile(
    r"/v1/.*|/schema.*|/health/.*|/metrics|/callbacks/.*|/\.well-known/.*"
    r"|/ops/(assets|language)/.*|/ops/live|/connect/language/.*"
)
"""What programs read, a piece of another page, and what leads to another address."""
OF_ITS_OWN = {
    "/docs": "test_the_apis_description",
    "/ops/sign-in": "sign_in",
    "/connect/{token}": "test_the_participants_pages",
    "/connect/{link_id}/inputs": "test_the_participants_pages",
    "/connect/{link_id}/withdrawal/{until}/{token}": "test_the_participants_pages",
}
"""Pages that are opened in another way than by their address alone, and where that is done."""


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    yield from open_page(browser)


def sign_in(page: Any, site: Site, name: str = "operator") -> list[str]:
    """What axe finds on the page for it."""
    page.goto(f"{site.url}/ops/sign-in")
    found = faults(page)
    page.fill("[name=name]", name if name.endswith("-two") else f"{name}-one")
    page.fill("[name=password]", site.people[name].password)
    page.fill("[name=code]", code(site.people[name], SystemClock().now().timestamp()))
    page.click("main button")
    page.wait_for_url("**/ops")
    return found


def test_every_page_that_has_a_route(page: Any, site: Site) -> None:
    found = {"sign-in": sign_in(page, site)}
    ids = {
        "partner": DOWN, "incentive_id": "1", "participant_id": "P00000030", "payout_id": str(PAYOUT),
        "case_id": site.case, "batch_id": site.batch, "number": "1", "plan_id": site.plan,
    }  # fmt: skip
    wanted = [path for path in site.pages if not NO_PAGE.fullmatch(path) and path not in OF_ITS_OWN]
    assert len(wanted) > 15 and set(OF_ITS_OWN) <= set(site.pages)
    for path in wanted:
        missing = set(re.findall(r"\{(\w+)\}", path)) - set(ids)
        assert not missing, f"say in this test which {missing} to open {path} with"
        page.goto(site.url + path.format(**ids))
        found[path] = faults(page)
    page.goto(f"{site.url}/ops/nothing-here")
    found["nothing here"] = faults(page)
    broken = [f"{name}: {one}" for name, told in found.items() for one in told]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("language", ["id", "en"])
def test_the_participants_pages(page: Any, site: Site, language: str) -> None:
    at = ["id", "en"].index(language)
    found = {}
    page.goto(site.url + site.connects[0])
    page.goto(f"{site.url}/connect/language/{language}")
    for path in ("/start", "/connect/nothing-that-exists", site.connects[0], site.withdrawals[0]):
        page.goto(site.url + path)
        found[path] = faults(page)
    page.goto(site.url + site.connects[1 + at])
    page.locator("button[value=begin]").click()
    page.locator("input[name=card_no]").wait_for()
    found["card"] = faults(page)
    link = re.search(r"/connect/(L\d+)/inputs", page.url)
    assert link is not None
    site.execute("UPDATE links SET wants = '{otp}', updated_at = now() WHERE id = $1", link[1])
    page.reload()
    page.locator("input[name=otp]").wait_for()
    found["code"] = faults(page)
    broken = [f"{name}: {one}" for name, told in found.items() for one in told]
    assert not broken, "\n".join(broken)


def test_the_apis_description(page: Any, site: Site) -> None:
    """Its width as a whole; all else on one section in twenty, as all are made alike and there are hundreds."""
    page.goto(f"{site.url}/docs")
    for width, (wide, high) in WIDTHS.items():
        page.set_viewport_size({"width": wide, "height": high})
        assert not page.evaluate("document.documentElement.scrollWidth > window.innerWidth"), width
    page.evaluate("document.querySelectorAll('section').forEach((one, at) => at % 20 && one.remove())")
    assert not (found := faults(page)), "\n".join(found)
