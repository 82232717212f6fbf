"""The web console: a page per partner, buttons that do what the control API does, nothing for other machines."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from mock_partners.kit.console import console
from mock_partners.pytest import PartnerInProcess, csv_of
from tests.mock_partners.kit.staged import ACCOUNT, OTHER, WORLD, Stage, toml

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
    assert 'href="/bni"' in index
    assert "one rule" in index
    page = await browser.get("/bni")
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    for text in ("600,000", "&lt;b&gt;R1&lt;/b&gt;", "BUDI SANTOSO", "Link", "deposit Rp"):
        assert text in page.text
    assert "<b>R1" not in page.text
    assert "POST /snap-service/v1/transfer-intrabank" in page.text
    assert '<span class="no">business: 5043600</span>' in page.text
    assert '<span class="ok">signature</span>' in page.text
    assert page.text.count("<script") == 1
    assert stage.snap.token not in page.text
    for number, sms in enumerate(stage.world.sms.newest_first("+6281100000001")):
        assert (f"<b>{sms['code']}</b>" in page.text) is (number == 0)


async def shown(browser: httpx.AsyncClient, **query: str) -> list[str]:
    """The numbers of the calls in the log, as the script gets them."""
    parts = (await browser.get("/bni/panels", params=query)).json()
    return re.findall(r'id="call-(\d+)"', parts["log-live"])


async def test_the_log_is_filtered_by_operation_end_and_text(pair: Pair) -> None:
    stage, browser = pair
    await stage.begin("drop_after_booking = true", 'reference = "R2"')
    await stage.pay("R1")
    with pytest.raises(httpx.ReadError):
        await stage.transfer_reply("R2")
    await stage.status("R3")
    last = stage.mock.backstage.log.total_calls
    numbers = [str(last - 2), str(last - 1), str(last)]
    assert (await shown(browser))[:3] == numbers[::-1]
    assert await shown(browser, operation="payout") == [numbers[1], numbers[0]]
    assert await shown(browser, operation="transfer/status") == [numbers[2]]
    assert await shown(browser, outcome="not good") == [numbers[2], numbers[1]]
    assert await shown(browser, outcome="under a rule") == [numbers[1]]
    assert await shown(browser, outcome="unanswered", operation="payout") == [numbers[1]]
    assert await shown(browser, q="r3") == [numbers[2]]
    assert await shown(browser, q="4043601") == [numbers[2]]
    assert await shown(browser, outcome="?", q="no such text") == []


async def test_customers_are_searched_and_the_overview_counts(pair: Pair) -> None:
    stage, browser = pair
    for who, expected in (
        ("aminah", [OTHER]),
        (ACCOUNT, [ACCOUNT]),
        ("+62811000000", [ACCOUNT, OTHER]),
        ("nobody", []),
    ):
        listed = (await browser.get("/bni/panels", params={"who": who})).json()["customers-live"]
        found = [account for account in re.findall(r"<tr><td>([0-9]+)</td>", listed) if account in (ACCOUNT, OTHER)]
        assert found == expected, who
    await stage.snap.authenticate()
    await stage.pay("R1")
    told = (await browser.get("/panels")).json()
    assert "<dd>2, 0 not good</dd>" in told["overview"]
    assert "<b>2</b>" in told["tabs"]


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
    assert await press(browser, "clock", set="2026-02-01T08:00:00") == 303
    assert stage.clock.now().isoformat() == "2026-02-01T08:00:00+07:00"
    assert await press(browser, "scenario", toml=toml("fail = true")) == 303
    assert stage.mock.scenario is not None
    bad = await browser.post("/bni/scenario", data={"toml": "<x>"})
    assert bad.status_code == 400
    assert "scenario line 1" in bad.text
    assert "&lt;x&gt;" in bad.text
    assert await press(browser, "scenario", toml="") == 303
    assert stage.mock.scenario is None
    assert await press(browser, "customer", account=ACCOUNT, status="blocked", behaviour="pay:slow") == 303
    assert not stage.world.accounts[ACCOUNT].active
    assert await press(browser, "customer", account=ACCOUNT, status="dead") == 400
    assert await press(browser, "customer", account="1", status="active") == 404
    assert await press(browser, "again", number="1") == 404
    assert await press(browser, "reset") == 303
    assert stage.mock.world.accounts[ACCOUNT].active
    assert (await browser.get("/nobody")).status_code == 404


async def test_it_answers_this_machine_and_its_own_pages_only(pair: Pair) -> None:
    stage, browser = pair
    reply = await browser.post("/bni/reset", headers={"Origin": "http://evil.test"})
    assert reply.status_code == 403
    transport = httpx.ASGITransport(console({"bni": stage.mock}), client=("10.0.0.5", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://console") as far:
        assert (await far.get("/bni")).status_code == 403


async def test_a_scenario_of_the_cookbook_is_looked_at_before_it_is_set(pair: Pair) -> None:
    stage, browser = pair
    opened = await browser.post("/bni/scenario", data={"do": "open", "cookbook": "paid-twice"})
    assert "[[rule]]" in opened.text
    assert stage.mock.scenario is None
    assert await press(browser, "scenario", do="open", cookbook="../paid-twice") == 404


async def test_expectations_and_worlds_are_taken_or_explained(pair: Pair) -> None:
    stage, browser = pair
    await stage.pay("R1")

    async def verify(text: str) -> tuple[int, str]:
        reply = await browser.post("/bni/verify", data={"expect": text})
        return reply.status_code, reply.text

    status, text = await verify('{"expect": [{"operation": "payout", "reference": "R1", "count": 1}]}')
    assert status == 200
    assert "All as expected." in text
    status, text = await verify('{"expect": [{"operation": "payout", "count": 2}]}')
    assert status == 409
    assert "The mock saw something else." in text
    assert "payout" in text
    assert (await verify("{"))[0] == 400
    bad = await browser.post("/bni/reset", data={"world": "<nonsense>"})
    assert bad.status_code == 400
    assert "&lt;nonsense&gt;" in bad.text
    rows = csv_of("bni", [{"account": "7000000009"}])
    assert await press(browser, "reset", world=rows) == 303
    assert "7000000009" in stage.mock.world.accounts
    assert ACCOUNT not in stage.mock.world.accounts


async def test_its_files_are_its_own(pair: Pair) -> None:
    _, browser = pair
    for name, kind in (("style.css", "text/css"), ("live.js", "text/javascript")):
        reply = await browser.get(f"/assets/{name}")
        assert reply.headers["content-type"].startswith(kind)
        assert not re.search("https?://", reply.text)
    assert (await browser.get("/assets/app.py")).status_code == 404


async def test_a_call_is_made_a_scenario_of_its_person_at_the_press_of_a_button(pair: Pair) -> None:
    """From then on the answers to this person are lost, and to nobody else; what is asked for stays what it was."""
    stage, browser = pair
    await stage.snap.authenticate()
    await stage.pay("R1")
    log = (await browser.get("/bni/panels", params={"q": "R1"})).json()["log-live"]
    (text,) = re.findall(r'name="toml" value="(.*?)"', log, re.S)
    assert await press(browser, "scenario", toml=html.unescape(text)) == 303
    with pytest.raises(httpx.ReadError):
        await stage.transfer_reply("R2")
    assert (await stage.transfer_reply("R3", OTHER)).status_code == 200
    assert (await stage.status_reply("R2")).json()["latestTransactionStatus"] == "00"
    everything = (await browser.get("/bni/panels")).json()["log-live"]
    for one in set(re.findall(r'name="toml" value="(.*?)"', everything, re.S)):
        assert await press(browser, "scenario", toml=html.unescape(one)) == 303, one
