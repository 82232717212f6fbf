"""docs/walk.md names every file that a payout and a link enter on their way, and no other.

What counts is a file of ours in which a function is called for that payout or link. A first one goes the same way
before: what is only done once in a process (tokens of ours, statements, descriptions) is start-up and not the way.
"""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import FrameType

import httpx
import msgspec

from contracts.payout import PayoutState
from gateway.core import Core, build_core
from gateway.demo.browser import Browser
from gateway.security.clients import hashed
from gateway.storage.base.database import Database
from tests.gateway.app import app_of
from tests.gateway.linking.world import unlinked
from tests.gateway.payouts.city import City
from tests.gateway.payouts.fake import NOON, VirtualClock
from tests.gateway.payouts.town import town_settings
from tests.sim.partners import PUBLIC, PartnerSide

ROOT = Path(__file__).parents[2]
WALKED = ("gateway/", "adapters/", "contracts/")
OURS = "gateway/demo/"
"""The browser that people use here is the demonstration's."""
SLUG, HOME, PIN = "ovo", "https://core.example.test/back", "246813"
TOKEN = "access-token-of-a-walk"
MOST_STEPS, MOST_FORMS = 10, 6
BEARER = {"Authorization": f"Bearer {TOKEN}"}


class Walker:
    """Core, a participant's browser, and a worker on one partner's mock; and which files they enter."""

    def __init__(self, city: City, core: Core, http: httpx.AsyncClient) -> None:
        self.city, self.core, self.http = city, core, http
        self.side = city.sides[SLUG]

    async def pay(self, n: int) -> set[str]:
        """The files that a payout enters, from the call to the partner's word."""
        incentive = await self.city.due(SLUG, amount=10_000 + n)
        with watched() as entered:
            reply = await self.http.post("/v1/payouts", json={"incentive_id": str(incentive)}, headers=BEARER)
            for leased in await self.core.payouts.claim(SLUG, 32):
                await self.core.payouts.send(leased)
        assert reply.status_code == 202, reply.text
        assert await self.city.states(incentive) == [PayoutState.SUCCEEDED]
        return entered

    async def link(self, n: int) -> set[str]:
        """The files that a link enters, from the call to the verdict on the NIK."""
        city, nik = self.city, f"110101010190{9900 + n:04d}"
        account = self.side.world.accounts[city.account(SLUG, n)]
        account.pin, account.nik_on_file = PIN, nik
        person = await unlinked(city.database, city.vault, city.clock.now(), n, SLUG, account.account, nik)
        asked = {"participant_id": person, "return_url": HOME}
        with watched() as entered:
            reply = await self.http.post("/v1/links", json=asked, headers=BEARER)
            assert reply.status_code == 201, reply.text
            await self.visit(reply.json()["challenge"]["url"], account.phone)
            await self.core.verification.tick()
        rows = await city.fetch("SELECT link_active, verified FROM participants WHERE participant_id = $1", person)
        assert rows == [{"link_active": True, "verified": True}]
        return entered

    async def visit(self, url: str, phone: str) -> None:
        """Open a challenge and go through the partner's pages and back."""
        browser = Browser(self.http, HOME)
        page = await browser.submit(await browser.get(url), {}, "begin")
        for _ in range(MOST_FORMS):
            if page.form is None:
                break
            sms = self.side.world.sms.newest_first(phone)
            page = await browser.submit(
                page, {"agree": "yes", "pin": PIN, "otp": sms[0]["code"] if sms else ""}, "continue"
            )
        assert page.url.startswith(HOME), page.url


class Everywhere(httpx.AsyncBaseTransport):
    """The way to the gateway, and to the partner's pages."""

    def __init__(self, core: Core, side: PartnerSide) -> None:
        self._gateway, self._side = httpx.ASGITransport(app_of(core)), side

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """What one of them answers."""
        if str(request.url).startswith(PUBLIC):
            return await self._gateway.handle_async_request(request)
        headers = {name.lower(): value for name, value in request.headers.items()}
        told = await self._side.answer(request.method, request.url.raw_path.decode(), headers, await request.aread())
        return httpx.Response(told.status, headers=told.headers, content=told.body, request=request)


@contextmanager
def watched() -> Iterator[set[str]]:
    """The files of ours whose functions are called meanwhile, in this thread; the partner's under `<partner>`."""
    files: set[str] = set()
    root = f"{ROOT}/"

    def called(frame: FrameType, event: str, _: object) -> None:
        path = frame.f_code.co_filename
        if event == "call" and path.startswith(root):
            name = path.removeprefix(root)
            if name.startswith(WALKED) and not name.startswith(OURS):
                files.add(name.replace(f"adapters/{SLUG}/", "adapters/<partner>/"))

    before = sys.getprofile()
    sys.setprofile(called)
    try:
        yield files
    finally:
        sys.setprofile(before)


@asynccontextmanager
async def walker(dsn: str) -> AsyncIterator[Walker]:
    """Everything in place, in a fresh database."""
    database = await Database.open(dsn, size=8)
    try:
        settings = msgspec.structs.replace(town_settings(dsn), public_url=PUBLIC)
        city = City(database, settings, VirtualClock(NOON))
        core = build_core(city.resources)
        await city.execute(
            "INSERT INTO clients (id, name, secret_hash, scopes, return_urls, created_at)"
            " VALUES ('core', 'Core', '', '{links,payouts}', $1, now())",
            [HOME],
        )
        await city.execute(
            "INSERT INTO access_tokens (token_hash, client_id, scopes, expires_at)"
            " VALUES ($1, 'core', '{links,payouts}', '2099-01-01')",
            hashed(TOKEN),
        )
        await city.execute(
            "INSERT INTO batches (id, client_id, state, rows_accepted, rows_rejected, rows_repeated, amount_rupiah,"
            " content_root, received_at) VALUES ('b', 'core', 'approved', 0, 0, 0, 0, '', now())"
        )
        headers = {"Accept": "text/html", "Origin": PUBLIC}
        async with httpx.AsyncClient(
            transport=Everywhere(core, city.sides[SLUG]), base_url=PUBLIC, headers=headers
        ) as http:
            yield Walker(city, core, http)
    finally:
        await database.close()


def named(text: str) -> set[str]:
    """The files that a part of the page names, by their path from the project's folder."""
    return set(re.findall(r"`((?:gateway|adapters|contracts)/[\w/<>.]+\.(?:py|html))`", text))


PAGE = (ROOT / "docs" / "walk.md").read_text("utf-8")
PAYOUT, LINK, EVERYTHING = (f"\n{part}" for part in PAGE.split("\n## ")[1:4])


def steps(text: str) -> int:
    """How many numbered steps a part of the page has."""
    return len(re.findall(r"^\d+\. ", text, re.MULTILINE))


def check(entered: set[str], own: str) -> None:
    """A walk names what it enters: in its own part, or where it says what everything passes."""
    missing = entered - named(own) - named(EVERYTHING)
    assert not missing, f"docs/walk.md must name, in a step or under what everything passes: {sorted(missing)}"
    assert not named(own) - entered, f"docs/walk.md names what is not entered: {sorted(named(own) - entered)}"
    assert not named(own) & named(EVERYTHING), "a file is named in one place"


async def test_the_walks_enter_what_the_page_names(database: str) -> None:
    async with walker(database) as walk:
        await walk.pay(1)
        paid = await walk.pay(2)
        await walk.link(11)
        linked = await walk.link(12)
    check(paid, PAYOUT)
    check(linked, LINK)
    idle = named(EVERYTHING) - paid - linked
    assert not idle, f"docs/walk.md says that everything passes what nothing enters: {sorted(idle)}"


def test_each_step_begins_in_what_it_names() -> None:
    """A nested function is nobody's way in."""
    begins = re.findall(r"^\d+\. \*\*`([^`]+)`\*\* ((?:`\w+`(?:, )?)+)", PAYOUT + LINK, re.MULTILINE)
    assert len(begins) >= steps(PAYOUT) + steps(LINK) - 3
    for path, names in begins:
        text = (ROOT / path.replace("<partner>", SLUG)).read_text("utf-8")
        for name in re.findall(r"\w+", names):
            assert re.search(rf"^(?:    )?(?:async )?def {name}\b", text, re.MULTILINE), f"{path} has no {name}"


def test_the_walks_are_short() -> None:
    assert 5 <= steps(PAYOUT) <= MOST_STEPS and 5 <= steps(LINK) <= MOST_STEPS
    for part in (PAYOUT, LINK):
        assert re.search(rf": {steps(part)} steps\n", part) is not None, "the heading counts its steps"
