"""People at the wallets' consent pages, in a real browser: link, refuse, mistype, come late, go back, click twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from mock_partners.kit.host import Mock
from mock_partners.kit.look import Step
from mock_partners.kit.pages import MERCHANT
from mock_partners.kit.waits import Waits
from mock_partners.pytest import PartnerServer, world_of
from tests.browser.axe import faults
from tests.browser.conftest import Callback
from tests.browser.wallet import LOCAL, PHONE, PIN, Wallet
from tests.browser.wallets import WALLETS

WIDEST = 430


@dataclass
class Visit:
    """One person at one wallet's page; the link was begun."""

    wallet: Wallet
    server: PartnerServer
    page: Any
    callback: Callback

    def answer(self, step: Step) -> str:
        """What is right to enter at a step."""
        if step is Step.OTP:
            sent = httpx.get(f"{self.server.url}/__mock__/sms", params={"phone": PHONE}, trust_env=False).json()
            return str(sent[0]["code"])
        return {Step.PHONE: LOCAL, Step.PIN: PIN}[step]

    def enter(self, step: Step, value: str = "") -> None:
        """Fills a step's one field, found by its label as a screen reader would."""
        label = self.wallet.look.words[step].label
        field = self.page.get_by_label(label, exact=True)
        if step is Step.AGREE:
            field.check()
        else:
            field.fill(value or self.answer(step))

    def go(self, step: Step) -> None:
        self.page.get_by_role("button", name=self.wallet.look.words[step].go, exact=True).click()

    def pass_until(self, last: Step) -> None:
        """Answers every step before one, and stands there."""
        for step in self.wallet.steps[: self.wallet.steps.index(last)]:
            self.at(step)
            self.enter(step)
            self.go(step)
        self.at(last)

    def at(self, step: Step) -> None:
        title = self.wallet.look.words[step].title.format(merchant=MERCHANT)
        self.page.get_by_role("heading", name=title, exact=True).wait_for()

    def back_at_the_programme(self) -> dict[str, str]:
        self.page.wait_for_url(f"{self.callback.url}/callbacks/{self.wallet.name}/link?*")
        return self.callback.parameters()

    def gone(self) -> None:
        self.page.get_by_role("heading", name=self.wallet.look.gone.title, exact=True).wait_for()
        assert self.callback.returned == []


@pytest.fixture(scope="module", params=WALLETS, ids=lambda wallet: wallet.name)
def server(request: pytest.FixtureRequest, programme: Callback) -> Iterator[tuple[Wallet, PartnerServer]]:
    """One mock for all tests of a wallet: a page that nobody exchanges a code for links nothing."""
    wallet: Wallet = request.param
    world = world_of(wallet.name, [{"account": wallet.account, "phone": PHONE, "pin": PIN}])
    running = PartnerServer(Mock(world, waits=Waits(), notify_base=programme.url))
    yield wallet, running
    running.close()


@pytest.fixture
def visit(server: tuple[Wallet, PartnerServer], phone: Any, callback: Callback) -> Visit:
    wallet, running = server
    phone.goto(wallet.begin(running, f"{callback.url}/callbacks/{wallet.name}/link?st=st-1"))
    return Visit(wallet, running, phone, callback)


def is_within(given: dict[str, str], expected: dict[str, str]) -> bool:
    return all(value in given.get(name, "") for name, value in expected.items())


def test_link(visit: Visit) -> None:
    for step in visit.wallet.steps:
        visit.at(step)
        for width in (WIDEST, 360):
            visit.page.set_viewport_size({"width": width, "height": 740})
            wide = visit.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, (step, width)
        visit.enter(step)
        if step is Step.PIN:
            visit.page.keyboard.press("Enter")
        else:
            visit.go(step)
    came = visit.back_at_the_programme()
    assert came["st"] == "st-1"
    assert came[visit.wallet.code]
    assert len(visit.callback.returned) == 1


def test_axe_finds_nothing(server: tuple[Wallet, PartnerServer], desktop: Any, callback: Callback) -> None:
    """On a page with scripts, which the checker needs and the partners' pages do not."""
    wallet, running = server
    desktop.goto(wallet.begin(running, f"{callback.url}/callbacks/{wallet.name}/link?st=st-1"))
    visit, found = Visit(wallet, running, desktop, callback), []
    for step in wallet.steps:
        visit.at(step)
        found += faults(desktop)
        visit.enter(step)
        visit.go(step)
    assert not found, "\n".join(found)


def test_refuse(visit: Visit) -> None:
    """At the second step and with its field empty: who refuses need not fill in anything."""
    visit.pass_until(visit.wallet.steps[1])
    visit.page.get_by_role("button", name=visit.wallet.look.refuse, exact=True).click()
    came = visit.back_at_the_programme()
    assert is_within(came, visit.wallet.denied), came
    assert visit.wallet.code not in came


def test_a_wrong_pin_three_times(visit: Visit) -> None:
    visit.pass_until(Step.PIN)
    for left in (2, 1):
        visit.enter(Step.PIN, "000000")
        visit.go(Step.PIN)
        visit.page.get_by_role("alert").filter(has_text=f"PIN salah. Sisa percobaan: {left}.").wait_for()
    visit.enter(Step.PIN, "000000")
    visit.go(Step.PIN)
    came = visit.back_at_the_programme()
    assert is_within(came, visit.wallet.locked), came
    assert visit.wallet.code not in came


def test_a_page_that_has_expired(visit: Visit) -> None:
    visit.pass_until(visit.wallet.steps[1])
    visit.enter(visit.wallet.steps[1])
    visit.server.move_clock(advance_s=901)
    visit.go(visit.wallet.steps[1])
    visit.gone()


def test_the_back_button(visit: Visit) -> None:
    """Back shows the step that the page is at, or at GoPay, whose page opens once, that it is gone."""
    here = visit.wallet.steps[1]
    visit.pass_until(here)
    visit.page.go_back()
    if visit.wallet.opens_once:
        visit.gone()
        return
    visit.at(here)
    for step in visit.wallet.steps[1:]:
        visit.at(step)
        visit.enter(step)
        visit.go(step)
    assert visit.back_at_the_programme()[visit.wallet.code]


def test_a_second_click(visit: Visit) -> None:
    """The answer to the first click on the last button is lost; the second brings the person to the same end."""
    ends: list[str] = []

    def lose_the_first(route: Any) -> None:
        if route.request.method != "POST" or ends:
            route.continue_()
            return
        ends.append(route.fetch(max_redirects=0).headers["location"])
        route.abort("aborted")

    visit.pass_until(Step.PIN)
    visit.page.route("**/*", lose_the_first)
    visit.enter(Step.PIN)
    visit.go(Step.PIN)
    visit.go(Step.PIN)
    assert visit.back_at_the_programme()[visit.wallet.code]
    assert [f"{visit.callback.url}{path}" for path in visit.callback.returned] == ends
