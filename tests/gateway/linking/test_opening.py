"""Opening is two steps: loading the address spends nothing, its button begins; and what a page says and keeps."""

from __future__ import annotations

import asyncio
import re

import httpx
import pytest

from contracts.linking import LinkInputs, LinkState
from gateway.services.linking.steps import CONSENT_VERSION
from tests.gateway.linking.fake import granted
from tests.gateway.linking.world import HOME, PUBLIC, World, csrf, press


async def challenge(world: World, partner: str = "shared") -> tuple[str, str]:
    link = await world.start(await world.person(partner))
    return link["link_id"], link["challenge"]["url"]


async def test_previews_prefetches_and_reloads_spend_nothing(world: World) -> None:
    link_id, url = await challenge(world)
    before = await world.everything()
    for agent in ("WhatsApp/2.23.20.0", "TelegramBot (like TwitterBot)", "facebookexternalhit/1.1"):
        robot = world.browser()
        robot.headers["User-Agent"] = agent
        page = await robot.get(url, headers={"Sec-Purpose": "prefetch"})
        assert page.status_code == 200 and "set-cookie" not in page.headers
    await world.browser().head(url)
    assert await world.everything() == before
    assert world.banks["shared"].calls("begin") == 0
    assert (await press(world.browser(), url)).status_code == 303
    assert (await world.link(link_id))["state"] == "opened"


async def test_the_page_says_who_asks_for_which_account_what_is_read_and_why(world: World) -> None:
    _, url = await challenge(world)
    page = await world.browser().get(url)
    for text in (
        "Kartu Prakerja",
        "Shared",
        "••••••••••0001",
        "NIK",
        "dicocokkan",
        "UU No. 27 Tahun 2022",
        "Kembali ke Prakerja",
    ):
        assert text in page.text, text
    assert "81200000001" not in page.text and "<script" not in page.text
    assert len(page.content) < 60_000
    assert "script-src" not in page.headers["content-security-policy"].replace("default-src 'none'", "")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://gateway.test:8080", "https://gateway.test"])
async def test_a_button_on_another_site_does_nothing(world: World, origin: str) -> None:
    _, url = await challenge(world)
    page = await world.browser().get(url)
    before = await world.everything()
    typed = {"csrf": csrf(page.text), "action": "begin"}
    reply = await world.browser().post(url, data=typed, headers={"Origin": origin})
    assert reply.status_code == 400
    for forged in ({}, {"csrf": ""}, {"csrf": "A" * 32}):
        assert (await world.browser().post(url, data=forged, headers={"Origin": PUBLIC})).status_code == 400
    assert await world.everything() == before


async def test_of_two_browsers_that_press_at_once_one_begins(world: World) -> None:
    _, url = await challenge(world)
    replies = await asyncio.gather(*(press(world.browser(), url) for _ in range(4)))
    assert sorted(reply.status_code for reply in replies) == [303, 400, 400, 400]
    assert world.banks["shared"].calls("begin") == 1


async def test_what_was_agreed_to_is_on_record_before_anything_is_asked(world: World) -> None:
    link_id, url = await challenge(world)
    world.banks["shared"].will("begin", httpx.ConnectError("refused"))
    assert (await press(world.browser(), url)).status_code == 503
    rows = await world.all("SELECT link_id, text_version, channel, at FROM consents")
    assert [tuple(row.values()) for row in rows] == [(link_id, f"{CONSENT_VERSION}/id", "page", world.clock.now())]


async def test_who_comes_back_in_another_browser_begins_again_in_it_at_once(world: World) -> None:
    link_id, first, state = await world.opened(await world.person("shared"))
    second = world.browser()
    page = await second.get("/callbacks/shared/link", params={"st": state, "code": "c-1"})
    assert page.status_code == 400 and "browser" in page.text and "Kembali ke Prakerja" in page.text
    assert (await world.link(link_id))["state"] == "opened" and world.banks["shared"].calls("finish") == 0
    form = re.search(r'action="(/connect/again)"', page.text)
    assert form is not None and state in page.text
    evil = await second.post(form[1], data={"st": state}, headers={"Origin": "https://evil.example"})
    assert evil.status_code == 400 and (await world.link(link_id))["state"] == "opened"
    fresh = await second.post(form[1], data={"st": state}, headers={"Origin": PUBLIC})
    assert fresh.status_code == 303 and fresh.headers["location"].startswith("/connect/")
    assert (await press(second, fresh.headers["location"])).status_code == 303
    again = [sent for name, sent in world.banks["shared"].sent if name == "begin"][-1]["redirect_uri"]
    new_state = again.partition("?st=")[2]
    late = await first.get("/callbacks/shared/link", params={"st": state, "code": "c-1"})
    assert late.status_code == 400, "what the other browser began is over"
    world.banks["shared"].will("finish", granted())
    assert (await second.get("/callbacks/shared/link", params={"st": new_state, "code": "c"})).status_code == 303
    assert (await world.link(link_id))["state"] == LinkState.ACTIVE.value


async def test_beginning_again_has_an_end(world: World) -> None:
    link_id, _, state = await world.opened(await world.person("shared"))
    times = 0
    while times < 10:
        browser = world.browser()
        reply = await browser.post("/connect/again", data={"st": state}, headers={"Origin": PUBLIC})
        if reply.status_code != 303:
            break
        assert (await press(browser, reply.headers["location"])).status_code == 303
        begun = [sent for name, sent in world.banks["shared"].sent if name == "begin"][-1]
        state = begun["redirect_uri"].partition("?st=")[2]
        times += 1
    assert times == 4 and (await world.link(link_id))["challenge_no"] == 5


async def test_nobody_begins_again_what_is_over(world: World) -> None:
    link_id, _, state = await world.opened(await world.person("shared"))
    world.clock.forward(world.resources.settings.waits.link_life_s)
    reply = await world.browser().post("/connect/again", data={"st": state}, headers={"Origin": PUBLIC})
    assert reply.status_code == 400 and (await world.link(link_id))["challenge_no"] == 1


async def test_a_wrong_input_is_told_at_its_field(world: World) -> None:
    world.banks["bank"].will("begin", LinkInputs(names=("card_no",)))
    _, url = await challenge(world, "bank")
    browser = world.browser()
    to_form = await press(browser, url)
    assert to_form.status_code == 303
    page = await browser.get(to_form.headers["location"])
    assert '<label for="card_no">' in page.text and 'aria-invalid="true"' not in page.text
    typed = {"csrf": csrf(page.text), "card_no": "12", "action": "continue"}
    wrong = await browser.post(to_form.headers["location"], data=typed, headers={"Origin": PUBLIC})
    assert wrong.status_code == 422
    assert (
        'aria-invalid="true" aria-describedby="card_no-problem"' in wrong.text and 'id="card_no-problem"' in wrong.text
    )
    assert HOME.split("?")[0] in wrong.text, "a way back on every page"


@pytest.mark.parametrize(("seconds", "begins"), [(599, True), (600, False)])
async def test_a_button_pressed_after_ten_minutes_begins_nothing(world: World, seconds: int, begins: bool) -> None:
    """Though the page was loaded in time, and no worker has ended the link yet."""
    link_id, url = await challenge(world)
    browser = world.browser()
    page = await browser.get(url)
    world.clock.forward(seconds)
    reply = await browser.post(url, data={"csrf": csrf(page.text), "action": "begin"}, headers={"Origin": PUBLIC})
    assert (reply.status_code == 303) is begins
    assert ((await world.link(link_id))["state"] == "opened") is begins
    assert world.banks["shared"].calls("begin") == int(begins)


@pytest.mark.parametrize("week", [False, True])
async def test_a_link_out_of_an_old_message_says_that_it_is_over_and_leads_back(world: World, week: bool) -> None:
    """Nobody opened it: no other browser is to blame, whether a worker has ended the link yet or not."""
    _, url = await challenge(world)
    world.clock.forward(7 * 86_400 if week else 601)
    if week:
        await world.linking.tick_expiry()
    page = await world.browser().get(url, headers={"Accept": "text/html"})
    assert page.status_code == 400 and "tidak berlaku lagi" in page.text and "browser" not in page.text
    back = re.search(r'href="([^"]+)"[^>]*>Kembali ke Prakerja', page.text)
    assert back is not None and back[1].startswith(HOME.partition("?")[0]) and "link_id=" in back[1]


async def test_a_browser_too_old_for_the_countdown_shows_the_button(world: World) -> None:
    """What is hidden is hidden only where the style that shows it again is understood."""
    _, url = await challenge(world)
    style = (await world.browser().get(url)).text.partition("<style>")[2].partition("</style>")[0]
    for rule in re.findall(r"visibility:hidden;animation", style):
        assert style.index("@supports (--a:0) and (animation:a 1s){") < style.index(rule)
    assert style.count("visibility:hidden;animation") == 1 and style.count("{") == style.count("}")


async def test_a_challenge_opened_elsewhere_says_so_and_leads_back_with_the_truth(world: World) -> None:
    _, url = await challenge(world)
    assert (await press(world.browser(), url)).status_code == 303
    page = await world.browser().get(url, headers={"Accept": "text/html"})
    assert "sudah dibuka di browser" in page.text and page.status_code == 400
    back = re.search(r'href="([^"]+)"[^>]*>Kembali ke Prakerja', page.text)
    assert back is not None and back[1].startswith(HOME.partition("?")[0]) and back[1].endswith("outcome=waiting")
