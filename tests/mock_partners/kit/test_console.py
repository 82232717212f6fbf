"""The web console: a page per partner, buttons that do what the control API does, nothing for other machines."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from mock_partners.kit.console import console
from mock_partners.pytest import PartnerInProcess
from tests.mock_partners.kit.staged import ACCOUNT, WORLD, Stage, toml

Pair = tuple[Stage, httpx.AsyncClient]


@pytest.fixture
async def pair(mock_partner: Callable[..., PartnerInProcess]) -> AsyncIterator[Pair]:
    stage = Stage(mock_partner("bni", WORLD))
    transport = httpx.ASGITransport(console({"bni": stage.mock}))
    async with httpx.AsyncClient(transport=transport, base_url="http://console") as browser:
        yield stage, browser


async def test_it_shows_partners_log_links_books_and_customers(pair: Pair) -> None:
    stage, browser = pair
    await stage.begin('code = "504xx00"', 'operation = "status"')
    await stage.link()
    await stage.pay("<b>R1</b>")
    await stage.status("<b>R1</b>")
    index = (await browser.get("/")).text
    assert '<a href="/bni">bni</a>' in index
    assert "one rule" in index
    page = await browser.get("/bni")
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    for text in ("600,000", "&lt;b&gt;R1&lt;/b&gt;", "BUDI SANTOSO", "Link", "Deposit"):
        assert text in page.text
    assert "<b>R1" not in page.text
    log = (await browser.get("/bni/log")).text
    assert "POST /snap-service/v1/transfer-intrabank" in log
    assert "5043600" in log
    assert "<script" not in page.text + log
    assert stage.snap.token not in page.text + log


async def press(browser: httpx.AsyncClient, action: str, **fields: str) -> int:
    reply = await browser.post(f"/bni/{action}", data=fields)
    return reply.status_code


async def test_its_buttons_work(pair: Pair) -> None:
    stage, browser = pair
    before = stage.clock.seconds()
    assert await press(browser, "clock", advance_s="86400") == 303
    assert stage.clock.seconds() == before + 86_400
    assert await press(browser, "clock", freeze="") == 303
    assert stage.clock.stage.frozen
    assert await press(browser, "clock", thaw="") == 303
    assert await press(browser, "clock", advance_s="soon") == 400
    assert await press(browser, "scenario", toml=toml("fail = true")) == 303
    assert stage.mock.scenario is not None
    bad = await browser.post("/bni/scenario", data={"toml": "<x>"})
    assert bad.status_code == 400
    assert "scenario line 1" in bad.text
    assert "&lt;x&gt;" in bad.text
    assert await press(browser, "scenario", toml="") == 303
    assert stage.mock.scenario is None
    assert await press(browser, "status", account=ACCOUNT) == 303
    assert not stage.world.accounts[ACCOUNT].active
    assert await press(browser, "status", account="1") == 404
    assert await press(browser, "again", number="1") == 404
    assert await press(browser, "reset") == 303
    assert stage.mock.world.accounts[ACCOUNT].active
    assert (await browser.get("/dana")).status_code == 404


async def test_it_answers_this_machine_and_its_own_pages_only(pair: Pair) -> None:
    stage, browser = pair
    reply = await browser.post("/bni/reset", headers={"Origin": "http://evil.test"})
    assert reply.status_code == 403
    transport = httpx.ASGITransport(console({"bni": stage.mock}), client=("10.0.0.5", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://console") as far:
        assert (await far.get("/bni")).status_code == 403
