"""Mixing up who came back from where (RFC 9700, 4.4), at every partner that sends browsers back: the real adapters, the
mock partners' own pages, the whole application. Whatever is tried, nobody is linked to what they did not agree to, and
afterwards the right way back still links.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import httpx
import msgspec
import pytest

from adapters.registry import PARTNERS
from contracts.partner import Capability
from gateway.core import build_core
from gateway.demo.browser import Browser
from gateway.security.clients import hashed
from tests.gateway.app import app_of
from tests.gateway.linking.world import HOME, TOKEN, press, unlinked
from tests.gateway.payouts.city import City, open_city
from tests.sim.partners import PUBLIC

PIN = "246813"
REDIRECTING = sorted(slug for slug, one in PARTNERS.items() if Capability.LINK_REDIRECT in one.manifest.capabilities)


class Way(NamedTuple):
    """Somebody who agreed at the partner's page and has not come back yet."""

    partner: str
    link_id: str
    browser: httpx.AsyncClient
    """As far as the gateway knows it."""
    state: str
    query: dict[str, str]
    """What the partner gave the browser to bring, our own state with it."""


class Lobby:
    """The application over the city's partners, and people who link there."""

    def __init__(self, city: City) -> None:
        self.city = city
        city.settings = msgspec.structs.replace(city.settings, public_url=PUBLIC)
        self.core = build_core(city.resources)
        self._app = httpx.ASGITransport(app_of(self.core))
        self._mounts = {f"all://{side.host}": httpx.ASGITransport(side.app) for side in city.sides.values()}
        self._people = 0

    def browser(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=self._app, base_url=PUBLIC, headers={"Accept": "text/html"})

    async def begin(self) -> None:
        await self.city.execute(
            "INSERT INTO clients (id, name, secret_hash, scopes, return_urls, created_at, organisation) VALUES"
            f" ('core', '', '', '{{links,read}}', '{{{HOME}}}', now(), 'main')"
        )
        await self.city.execute(
            "INSERT INTO batches (id, client_id, state, rows_accepted, rows_rejected, rows_repeated, amount_rupiah,"
            " content_root, received_at) VALUES ('b', 'core', 'approved', 0, 0, 0, 0, '', now())"
        )
        await self.city.execute(
            "INSERT INTO access_tokens (token_hash, client_id, scopes, expires_at)"
            " VALUES ($1, 'core', '{links,read}', '2099-01-01')",
            hashed(TOKEN),
        )

    async def agreed(self, slug: str) -> Way:
        """A person who was handed over, pressed the button and agreed at the partner's pages."""
        self._people += 1
        n = self._people
        account = self.city.account(slug, n)
        side = self.city.sides[slug]
        person = side.world.accounts[account] = replace(side.world.accounts[account], pin=PIN)
        vault, now = self.city.vault, self.city.clock.now()
        pid = await unlinked(self.city.database, vault, now, n, slug, account, f"110101010190{9900 + n:04d}")
        async with self.browser() as core:
            asked = {"participant_id": pid, "return_url": HOME}
            made = await core.post("/v1/links", json=asked, headers={"Authorization": f"Bearer {TOKEN}"})
        assert made.status_code == 201, made.text
        browser = self.browser()
        sent = await press(browser, made.json()["challenge"]["url"], Origin=PUBLIC)
        assert sent.status_code == 303, sent.text
        async with httpx.AsyncClient(mounts=self._mounts) as there:
            mind = Browser(there, f"{PUBLIC}/callbacks/")
            page = await mind.get(urljoin(PUBLIC, sent.headers["location"]))
            while page.form is not None:
                code = next(iter(side.world.sms.newest_first(person.phone)), {"code": ""})["code"]
                typed = {"agree": "yes", "phone": person.phone, "pin": PIN, "otp": code}
                page = await mind.submit(page, {name: typed[name] for name in page.form.fields}, "continue")
        where = urlsplit(page.url)
        assert where.path == f"/callbacks/{slug}/link", page.url
        query = dict(parse_qsl(where.query))
        return Way(slug, made.json()["link_id"], browser, query["st"], query)

    async def back(self, browser: httpx.AsyncClient, slug: str, query: dict[str, str]) -> httpx.Response:
        return await browser.get(f"/callbacks/{slug}/link?{urlencode(query)}")

    async def state(self, way: Way) -> str:
        (row,) = await self.city.fetch("SELECT state FROM links WHERE id = $1", way.link_id)
        return str(row["state"])

    async def linked(self) -> int:
        """Links that anything may be paid over."""
        (row,) = await self.city.fetch("SELECT count(*) AS n FROM links WHERE grant_sealed IS NOT NULL")
        return int(row["n"])


def code_of(way: Way) -> dict[str, str]:
    """What the partner said, without anything that names whose it is."""
    return {name: value for name, value in way.query.items() if name not in ("st", "state") and value != way.link_id}


@pytest.mark.parametrize("slug", REDIRECTING)
async def test_nobody_is_linked_by_what_was_given_to_another(database: str, slug: str) -> None:
    other = REDIRECTING[REDIRECTING.index(slug) - 1]
    async with open_city(database) as city:
        lobby = Lobby(city)
        await lobby.begin()
        mine, theirs, elsewhere = await lobby.agreed(slug), await lobby.agreed(slug), await lobby.agreed(other)
        before = city.happened.total()
        whose = [
            (mine.browser, other, mine.query),  # the right state and browser, brought to another partner's address
            (elsewhere.browser, slug, elsewhere.query),
            (mine.browser, slug, theirs.query),  # somebody else's state
            (theirs.browser, slug, mine.query),  # a stolen way back, in another browser
            (lobby.browser(), slug, mine.query),
            (mine.browser, slug, code_of(mine)),  # without any state
            (mine.browser, slug, elsewhere.query),
            (mine.browser, slug, {**mine.query, "st": elsewhere.state}),
            (mine.browser, slug, {**code_of(mine), "st": mine.state[:-1]}),
        ]
        for browser, at, query in whose:
            reply = await lobby.back(browser, at, query)
            assert reply.status_code in (400, 404), (at, sorted(query), reply.status_code)
            assert not any(value in reply.text for value in code_of(mine).values() if len(value) > 8), "the code, shown"
        assert city.happened.total() == before and await lobby.linked() == 0
        assert {await lobby.state(way) for way in (mine, theirs, elsewhere)} == {"opened"}
        # Another partner's code under a state of ours is asked of this partner, which knows none such.
        assert (await lobby.back(theirs.browser, slug, {**code_of(elsewhere), "st": theirs.state})).status_code < 500
        assert await lobby.linked() == 0 and await lobby.state(theirs) != "active"
        # Who issued it, said by anybody, changes nothing; and the right way back links.
        reply = await lobby.back(mine.browser, slug, {**mine.query, "iss": f"https://{other}.example"})
        assert (reply.status_code, await lobby.state(mine), await lobby.linked()) == (303, "active", 1)
        again = await asyncio.gather(*(lobby.back(mine.browser, slug, mine.query) for _ in range(3)))
        assert {one.status_code for one in again} == {303} and await lobby.linked() == 1


@pytest.mark.parametrize("slug", REDIRECTING)
async def test_a_way_back_that_is_over_or_says_two_things_links_nobody(database: str, slug: str) -> None:
    refusal = {"error": "access_denied", "errorResponse": '{"errorCode":"OV00006"}', "errorCode": "4031005"}
    async with open_city(database) as city:
        lobby = Lobby(city)
        await lobby.begin()
        both, late, withdrawn, replaced = [await lobby.agreed(slug) for _ in range(4)]
        await lobby.back(both.browser, slug, {**both.query, **refusal})
        assert await lobby.state(both) == "failed", "a code beside a refusal is a refusal"
        await lobby.back(both.browser, slug, both.query)
        assert (await lobby.state(both), await lobby.linked()) == ("failed", 0), "and it stays one"
        (owner,) = await city.fetch(
            "SELECT t.participant_id FROM links l JOIN participants t ON t.id = l.participant WHERE l.id = $1",
            replaced.link_id,
        )
        async with lobby.browser() as core:
            core.headers["Authorization"] = f"Bearer {TOKEN}"
            asked = {"participant_id": owner["participant_id"], "return_url": HOME}
            assert (await core.post("/v1/links", json=asked)).status_code == 201
            ended = await core.delete(f"/v1/links/{withdrawn.link_id}")
            assert ended.status_code in (200, 202), ended.text
        for way in (replaced, withdrawn):
            await lobby.back(way.browser, slug, way.query)
            assert (await lobby.state(way) != "active", await lobby.linked()) == (True, 0)
        city.clock.advance(3_600.0)
        reply = await lobby.back(late.browser, slug, late.query)
        assert (reply.status_code, await lobby.linked()) == (400, 0)
