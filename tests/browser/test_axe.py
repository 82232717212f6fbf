"""No page of the gateway, for operators or for participants, has a fault that axe finds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from gateway.clock import SystemClock
from tests.browser.axe import WIDTHS, faults
from tests.browser.conftest import open_page
from tests.browser.site import Site, site
from tests.gateway.ops.desk import code

__all__ = ["site"]

PAGES = (
    "/ops", "/ops/incentives", "/ops/incentives/1", "/ops/payouts", "/ops/cases", "/ops/cases/{case}", "/ops/batches",
    "/ops/batches/{batch}", "/ops/webhooks", "/ops/reconciliations", "/ops/audit", "/ops/partners/ovo",
    "/ops/participants/P00000001", "/ops/nothing-here",
)  # fmt: skip


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    yield from open_page(browser)


def test_the_operators_pages(page: Any, site: Site) -> None:
    page.goto(f"{site.url}/ops/sign-in")
    found = {"sign-in": faults(page)}
    page.fill("[name=name]", "operator-one")
    page.fill("[name=password]", site.person.password)
    page.fill("[name=code]", code(site.person, SystemClock().now().timestamp()))
    page.click("main button")
    page.wait_for_url("**/ops")
    for path in PAGES:
        page.goto(site.url + path.format(case=site.case, batch=site.batch))
        found[path] = faults(page)
    broken = [f"{name}: {one}" for name, told in found.items() for one in told]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("path", ["", "/start", "/connect/nothing-that-exists"])
def test_the_participants_pages(page: Any, site: Site, path: str) -> None:
    page.goto(site.url + (path or site.connects[0]))
    assert not (found := faults(page)), "\n".join(found)


def test_the_apis_description(page: Any, site: Site) -> None:
    """Its width as a whole; all else on one section in twenty, as all are made alike and there are hundreds."""
    page.goto(f"{site.url}/docs")
    for width, (wide, high) in WIDTHS.items():
        page.set_viewport_size({"width": wide, "height": high})
        assert not page.evaluate("document.documentElement.scrollWidth > window.innerWidth"), width
    page.evaluate("document.querySelectorAll('section').forEach((one, at) => at % 20 && one.remove())")
    assert not (found := faults(page)), "\n".join(found)
