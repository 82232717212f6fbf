"""A participant withdraws their consent on their own page: it holds at once, whatever the partner does about it."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from contracts.linking import LinkInputs, Unlinked
from contracts.secret import Secret
from gateway.services.linking.endings import UNLINK_TRIES
from tests.gateway.linking.fake import granted
from tests.gateway.linking.test_linking_inputs import ASK_AGAIN, ASK_OTP, OTP, WRONG_OTP
from tests.gateway.linking.world import HOME, PUBLIC, World, csrf

WITHDRAWN = ("awaiting_link", "consent_withdrawn")


async def linked(world: World, partner: str = "shared", account: str = "+6281200000001") -> tuple[str, str]:
    """Somebody whose incentive could be paid: participant and link."""
    pid = await world.person(partner, account)
    if partner == "bank":
        link_id = str((await world.start(pid))["link_id"])
        world.banks["bank"].will("begin", LinkInputs(names=("card_no",)))
        world.banks["bank"].will("answer", granted("card-token"))
        await world.api.post(f"/v1/links/{link_id}/inputs", json={"inputs": {"card_no": "5371769900000009"}})
    else:
        link_id = await world.linked(pid, granted(f"token-{pid}"))
    await world.verification.tick()
    assert await world.incentive(pid) == ("scheduled", None)
    return pid, link_id


async def offered(world: World, link_id: str) -> str:
    """The path of the page, as core is told it."""
    reply = await world.api.post(f"/v1/links/{link_id}/withdrawal")
    assert reply.status_code == 200, reply.text
    url: str = reply.json()["url"]
    return urlsplit(url).path


async def withdraw(browser: httpx.AsyncClient, path: str, **more: str) -> httpx.Response:
    page = await browser.get(path)
    assert page.status_code == 200, page.text
    return await browser.post(path, data={"csrf": csrf(page.text), "action": "withdraw"} | more)


async def test_it_is_over_at_once_and_on_record(world: World) -> None:
    pid, link_id = await linked(world)
    path, browser = await offered(world, link_id), world.browser()
    before = await world.everything()
    page = await browser.get(path)
    assert "Shared" in page.text and "••0001" in page.text and "Cabut izin" in page.text
    assert "set-cookie" not in page.headers and "<script" not in page.text
    assert await world.everything() == before, "loading the page does nothing: chat apps do it too"

    done = await withdraw(browser, path)
    assert done.status_code == 200 and "Sambungan dilepas" in done.text and "mencabut izin" in done.text
    assert f"{HOME}&link_id={link_id}&outcome=withdrawn".replace("&", "&amp;") in done.text
    assert await world.facts(pid) == (False, False, "consent_withdrawn")
    assert await world.incentive(pid) == WITHDRAWN
    link = await world.link(link_id)
    assert (link["state"], link["grant_sealed"]) == ("unlinked", None)
    assert [sent["token"] for name, sent in world.banks["shared"].sent if name == "unlink"] == [f"token-{pid}"]
    row = await world.one("SELECT actor, subject, data FROM audit_log WHERE action = 'link.withdraw'")
    assert (row["actor"], row["subject"]) == ("participant", link_id)
    events = await world.all("SELECT data FROM events WHERE subject = $1 ORDER BY seq", link_id)
    assert events[-1]["data"]["ended_because"] == "consent_withdrawn"

    after = await world.everything()
    for again in (await browser.get(path), await browser.post(path, data={"csrf": csrf(page.text)})):
        assert again.status_code == 200 and "Sambungan dilepas" in again.text
    assert await world.everything() == after
    assert (await world.api.post(f"/v1/links/{link_id}/withdrawal")).json()["code"] == "link_not_active"
    await world.start(pid)
    assert await world.incentive(pid) == ("awaiting_link", "link_pending")


async def test_only_the_links_own_page_ends_it(world: World) -> None:
    """Each part of the address and of the form in another's place, and a form of another site."""
    _, mine = await linked(world)
    _, other = await linked(world, account="+6281200000002")
    path, others = await offered(world, mine), await offered(world, other)
    stem, until, token = path.rsplit("/", 2)
    form = csrf((await world.browser().get(path)).text)
    others_form = csrf((await world.browser().get(others)).text)
    before = await world.everything()
    later = str(int(until) + 1)
    for wrong in (
        f"{stem}/{until}/{others.rpartition('/')[2]}",
        f"{stem}/{later}/{token}",
        f"{others.rsplit('/', 2)[0]}/{until}/{token}",
        f"{stem}/{until}/{'A' * 32}",
        f"{stem}/{until}/x",
        f"/connect/L1/withdrawal/{until}/{token}",
    ):
        assert (await world.browser().get(wrong)).status_code == 400, wrong
        assert (await world.browser().post(wrong, data={"csrf": form})).status_code == 400, wrong
    for forged in ("", "A" * 32, others_form):
        assert (await world.browser().post(path, data={"csrf": forged})).status_code == 400
    for origin in ("https://evil.example", "null"):
        reply = await world.browser().post(path, data={"csrf": form}, headers={"Origin": origin})
        assert reply.status_code == 400
    world.clock.forward(601)
    assert (await world.browser().get(path)).status_code == 400
    reply = await world.browser().post(path, data={"csrf": form}, headers={"Origin": PUBLIC})
    assert reply.status_code == 400
    assert await world.everything() == before and not world.banks["shared"].calls("unlink")


async def test_a_partner_that_wants_a_code_asks_the_browser_that_withdrew(world: World) -> None:
    pid, link_id = await linked(world, "bank")
    world.banks["bank"].will("unlink", ASK_OTP, ASK_AGAIN, Unlinked())
    path, browser, elsewhere = await offered(world, link_id), world.browser(), world.browser()
    asked = await withdraw(browser, path)
    assert asked.status_code == 303
    assert await world.incentive(pid) == WITHDRAWN, "consent is over before the code is typed"
    form = asked.headers["location"]
    assert (await elsewhere.get(form)).status_code == 400
    assert "sedang dilepas" in (await elsewhere.get(path)).text, "where it stands, and no form"
    page = await browser.get(form)
    assert "Kode OTP" in page.text and 'value="deny"' not in page.text and "Lepaskan akun" in page.text
    assert (await browser.get(path)).headers["location"] == form
    for code, said in ((WRONG_OTP, "Periksa dan coba lagi"), (OTP, None)):
        reply = await browser.post(form, data={"csrf": csrf(page.text), "otp": code, "action": "continue"})
        assert reply.status_code == 303
        if said is not None:
            assert reply.headers["location"] == form
            page = await browser.get(form)
            assert said in page.text
    assert reply.headers["location"].endswith("outcome=withdrawn")
    assert (await world.link(link_id))["state"] == "unlinked"
    assert await world.facts(pid) == (False, False, "consent_withdrawn")


async def test_consent_does_not_come_back_where_nobody_types_the_code(world: World) -> None:
    pid, link_id = await linked(world, "bank")
    world.banks["bank"].will("unlink", ASK_OTP)
    await withdraw(world.browser(), await offered(world, link_id))
    world.clock.forward(901)
    assert await world.linking.tick_expiry() == 1
    assert (await world.link(link_id))["state"] == "unlinked"
    assert await world.incentive(pid) == WITHDRAWN and not await world.linking.tick_expiry()


async def test_consent_does_not_come_back_where_the_partner_cannot_be_asked(world: World) -> None:
    pid, link_id = await linked(world)
    world.banks["shared"].always["unlink"] = httpx.ConnectError("refused")
    page = await withdraw(world.browser(), await offered(world, link_id))
    assert "sedang dilepas" in page.text
    for _ in range(UNLINK_TRIES):
        assert await world.incentive(pid) == WITHDRAWN
        world.clock.forward(7_200)
        await world.verification.tick()
        await world.linking.tick_unlinking()
    assert (await world.link(link_id))["state"] == "unlinked"
    assert world.banks["shared"].calls("unlink") == UNLINK_TRIES
    (case,) = await world.all("SELECT code, partner, detail FROM cases WHERE closed_at IS NULL")
    assert (case["code"], case["partner"]) == ("consent_withdrawn", "shared") and link_id in case["detail"]
    assert await world.incentive(pid) == WITHDRAWN and world.banks["shared"].calls("verify") == 1


async def test_a_token_that_others_live_on_is_kept(world: World) -> None:
    """One withdraws; the other account under the same customer token stays linked there (decision G4)."""
    pid, link_id = await linked(world)
    other_pid, other = await linked(world, account="+6281200000002")
    mine = await world.link(link_id)
    async with world.database.connection() as connection:
        await connection.execute("UPDATE links SET grant_index = $2 WHERE id = $1", other, mine["grant_index"])
    await withdraw(world.browser(), await offered(world, link_id))
    assert (await world.link(link_id))["state"] == "unlinked" and not world.banks["shared"].calls("unlink")
    assert await world.incentive(pid) == WITHDRAWN
    assert await world.incentive(other_pid) == ("scheduled", None)


@pytest.mark.parametrize("partner", ["shared", "bank"])
async def test_the_pages_speak_the_language_that_was_chosen(world: World, partner: str) -> None:
    pid = await world.person(partner)
    link = await world.start(pid)
    path = urlsplit(link["challenge"]["url"]).path
    browser: Any = world.browser()
    page = await browser.get(path)
    toggle = re.search(r'href="(/connect/language/en[^"]*)"', page.text)
    assert toggle is not None and 'lang="id"' in page.text
    back = await browser.get(toggle[1])
    assert (back.status_code, back.headers["location"]) == (303, path), "also of a browser that names no referrer"
    page = await browser.get(path)
    assert '<html lang="en">' in page.text and "Agree and go on to" in page.text and "Setuju" not in page.text
    world.banks["bank"].will("begin", LinkInputs(names=("card_no",), carry={"k": Secret("v")}))
    reply = await browser.post(path, data={"csrf": csrf(page.text), "action": "begin"})
    assert reply.status_code == 303
    assert (await world.one("SELECT text_version FROM consents"))["text_version"].endswith("/en")
    wrong = (
        "https://evil.example/connect/x",
        "//evil.example/connect/x",
        "/connect/../evil",
        "/ops",
        "/connect/%0aevil",
    )
    assert (await browser.get(f"/connect/language/fr?page={path}")).status_code == 404
    for there in wrong:
        went = await browser.get("/connect/language/en", params={"page": there})
        assert (went.status_code, went.headers["location"]) == (303, "/")
