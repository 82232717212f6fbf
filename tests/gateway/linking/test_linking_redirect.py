"""Linking by redirect: what binds a browser, what is single use, and what nothing may change."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import httpx
import msgspec
import pytest

from contracts.incentive import BlockerCode
from contracts.linking import LinkHeld, LinkRefused
from gateway.security.clients import hashed
from gateway.services.linking.links import Linking
from gateway.storage.linking import links
from tests.gateway.linking.fake import granted
from tests.gateway.linking.world import HOME, PUBLIC, World, press
from tests.turns import in_turn


async def test_a_participant_is_linked_and_its_nik_is_queued(world: World) -> None:
    pid = await world.person("shared")
    assert await world.incentive(pid) == ("awaiting_link", "link_required")
    link = await world.start(pid)
    assert link["state"] == "challenged"
    assert link["challenge"]["url"].startswith(f"{PUBLIC}/connect/")
    assert await world.incentive(pid) == ("awaiting_link", "link_pending")

    browser = world.browser()
    page = await press(browser, link["challenge"]["url"])
    assert (page.status_code, page.headers["location"]) == (303, "https://partner.example.test/consent")
    cookie = page.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie and "secure" not in cookie
    assert page.headers["cache-control"] == "no-store" and page.headers["referrer-policy"] == "same-origin"
    redirect_uri = world.banks["shared"].sent[-1][1]["redirect_uri"]
    state = redirect_uri.partition("?st=")[2]
    assert redirect_uri == f"{PUBLIC}/callbacks/shared/link?st={state}" and len(state) == 32

    world.banks["shared"].will("finish", granted())
    back = await browser.get("/callbacks/shared/link", params={"st": state, "code": "c-1", "state": state})
    assert (back.status_code, back.headers["location"]) == (303, f"{HOME}&link_id={link['link_id']}&outcome=linked")
    finish = world.banks["shared"].sent[-1][1]
    assert finish == {"code": "c-1", "carry": {"kept": "kept-token"}, "redirect_uri": redirect_uri}
    assert await world.facts(pid) == (True, False, None)
    assert await world.incentive(pid) == ("awaiting_verification", None)
    assert (await world.check(link["link_id"]))["state"] == "open"
    told = await world.all("SELECT data FROM events WHERE type = 'link.changed' ORDER BY seq")
    states = [row["data"]["state"] for row in told]
    assert states == ["challenged", "opened", "exchanging", "active"]
    shown = (await world.api.get(f"/v1/links/{link['link_id']}")).json()
    assert (shown["state"], shown["challenge"]) == ("active", None)


async def test_the_challenge_is_shown_until_it_is_opened_and_opens_once(world: World) -> None:
    link = await world.start(await world.person("shared"))
    assert (await world.api.get(f"/v1/links/{link['link_id']}")).json() == link
    await world.open(link)
    assert (await world.api.get(f"/v1/links/{link['link_id']}")).json()["challenge"] is None
    before = await world.everything()
    other = await press(world.browser(), link["challenge"]["url"])
    assert other.status_code == 400 and "set-cookie" not in other.headers
    assert "sudah dibuka di browser" in other.text
    program = await world.browser().get(link["challenge"]["url"], headers={"Accept": "application/json"})
    assert program.json()["code"] == "link_state_invalid"
    assert await world.everything() == before


async def test_reloading_an_opened_page_changes_nothing(world: World) -> None:
    link = await world.start(await world.person("shared"))
    _, browser, _ = await world.open(link)
    before = await world.everything()
    page = await press(browser, link["challenge"]["url"])
    assert page.status_code == 200 and "Lanjutkan di halaman mitra" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert world.banks["shared"].calls("begin") == 1
    assert await world.everything() == before


async def test_whatever_is_not_this_browsers_own_way_back_changes_nothing(world: World) -> None:
    link_id, browser, state = await world.opened(await world.person("shared"))
    other_id, other, other_state = await world.opened(await world.person("shared", "+6281200000002"))
    before = await world.everything()
    forged = "A" * 32
    attempts: list[tuple[httpx.AsyncClient, str, dict[str, str]]] = [
        (browser, "shared", {"st": forged, "code": "c"}),
        (world.browser(), "shared", {"code": "c", "state": state}),
        (other, "shared", {"code": "c", "state": state}),
        (browser, "shared", {"code": "c", "state": other_state}),
        (browser, "shared", {"st": state + "A", "code": "c"}),
        (browser, "shared", {"st": "../" + state[3:], "code": "c"}),
        (browser, "sole", {"st": state, "code": "c"}),
        (browser, "nobody", {"st": state, "code": "c"}),
        (world.browser(), "shared", {"st": state, "code": "c"}),
        (other, "shared", {"st": state, "code": "c"}),
        (browser, "shared", {"st": other_state, "code": "c"}),
        (browser, "shared", {"st": state, "code": "c", "state": other_state}),
        (browser, "shared", {"st": state, "code": "c", "state": ""}),
        (browser, "shared", {"st": state}),
    ]
    for client, partner, query in attempts:
        reply = await client.get(f"/callbacks/{partner}/link", params=query)
        assert 400 <= reply.status_code < 500, (partner, query)
        assert await world.everything() == before, (partner, query)
    borrowed = world.browser()
    borrowed.cookies.set(f"link_{link_id}", other.cookies[f"link_{other_id}"])
    assert (await borrowed.get("/callbacks/shared/link", params={"st": state, "code": "c"})).status_code == 400
    assert await world.everything() == before
    assert world.banks["shared"].calls("finish") == 0


async def test_a_replayed_way_back_gets_the_same_answer_and_changes_nothing(world: World) -> None:
    pid = await world.person("shared")
    _, browser, state = await world.opened(pid)
    world.banks["shared"].will("finish", granted())
    first = await browser.get("/callbacks/shared/link", params={"st": state, "code": "c-1"})
    await world.verification.tick()
    assert await world.facts(pid) == (True, True, None)
    before = await world.everything()
    for code in ("c-1", "c-2"):
        again = await browser.get("/callbacks/shared/link", params={"st": state, "code": code})
        assert (again.status_code, again.headers["location"]) == (303, first.headers["location"])
    stranger = await world.browser().get("/callbacks/shared/link", params={"st": state, "code": "c-1"})
    assert stranger.status_code == 400
    assert await world.everything() == before
    assert world.banks["shared"].calls("finish") == 1


async def test_two_arrivals_at_once_make_one_exchange(world: World) -> None:
    _, browser, state = await world.opened(await world.person("shared"))
    goes_on = asyncio.Event()

    async def slow() -> Any:
        await goes_on.wait()
        return granted()

    world.banks["shared"].will("finish", slow)
    arrivals = [
        asyncio.create_task(browser.get("/callbacks/shared/link", params={"st": state, "code": "c"})) for _ in range(2)
    ]
    while not world.banks["shared"].calls("finish"):
        await asyncio.sleep(0.01)
    goes_on.set()
    first, second = await asyncio.gather(*arrivals)
    assert first.headers["location"] == second.headers["location"]
    assert world.banks["shared"].calls("finish") == 1


@pytest.mark.parametrize(
    ("query", "state", "standing"),
    [
        ({"error": "denied"}, "failed", "consent_denied"),
        ({"error": "linked"}, "waiting", "link_pending"),
    ],
)
async def test_the_partner_says_no(world: World, query: dict[str, str], state: str, standing: str) -> None:
    pid = await world.person("sole")
    link_id, browser, st = await world.opened(pid)
    reply = await browser.get("/callbacks/sole/link", params={"st": st, **query})
    assert reply.headers["location"] == f"{HOME}&link_id={link_id}&outcome={state}"
    assert (await world.link(link_id))["state"] == state
    assert await world.facts(pid) == (False, False, standing)
    again = await browser.get("/callbacks/sole/link", params={"st": st, **query})
    assert again.headers["location"] == reply.headers["location"]


@pytest.mark.parametrize(
    "code", [BlockerCode.ACCOUNT_NOT_FOUND, BlockerCode.ACCOUNT_BLOCKED, BlockerCode.KYC_INCOMPLETE]
)
@pytest.mark.parametrize("when", ["begin", "finish"])
async def test_a_refusal_is_the_participants_blocker(world: World, code: BlockerCode, when: str) -> None:
    pid = await world.person("shared")
    if when == "finish":
        link_id = await world.linked(pid, LinkRefused(code=code))
    else:
        world.banks["shared"].will("begin", LinkRefused(code=code))
        link = await world.start(pid)
        link_id, page = link["link_id"], await press(world.browser(), link["challenge"]["url"])
        assert page.status_code == 200 and "Mulai lagi dari Prakerja" in page.text
    assert await world.incentive(pid) == ("awaiting_link", code.value)
    assert (await world.link(link_id))["ended_because"] == code.value


async def test_an_exchange_without_an_answer_lets_the_participant_start_again(world: World) -> None:
    pid = await world.person("shared")
    link_id = await world.linked(pid, httpx.ReadError("reset"))
    assert (await world.link(link_id))["state"] == "failed"
    assert await world.incentive(pid) == ("awaiting_link", "link_required")
    second = await world.linked(pid, granted())
    assert (await world.link(second))["state"] == "active"
    assert await world.facts(pid) == (True, False, None)


@pytest.mark.parametrize("error", [httpx.ConnectError("refused"), httpx.PoolTimeout("full")])
async def test_an_exchange_that_never_left_may_be_made_by_reloading(world: World, error: Exception) -> None:
    link_id, browser, state = await world.opened(await world.person("shared"))
    world.banks["shared"].will("finish", error, granted())
    reply = await browser.get("/callbacks/shared/link", params={"st": state, "code": "c"})
    assert reply.status_code == 503 and "Muat ulang" in reply.text
    assert (await world.link(link_id))["state"] == "opened"
    assert (await browser.get("/callbacks/shared/link", params={"st": state, "code": "c"})).status_code == 303
    assert (await world.link(link_id))["state"] == "active"


async def test_a_first_step_that_failed_is_taken_again_by_reloading(world: World) -> None:
    link = await world.start(await world.person("shared"))
    world.banks["shared"].will("begin", httpx.ConnectError("refused"), httpx.ReadError("reset"))
    browser = world.browser()
    for _ in range(2):
        page = await press(browser, link["challenge"]["url"])
        assert page.status_code == 503 and "Muat ulang" in page.text
    assert (await press(browser, link["challenge"]["url"])).status_code == 303
    references = {sent["reference"] for name, sent in world.banks["shared"].sent if name == "begin"}
    assert len(references) == 3


async def test_unopened_opened_and_stuck_links_end(world: World) -> None:
    unopened = await world.person("shared", "+6281200000001")
    opened = await world.person("shared", "+6281200000002")
    stuck = await world.person("shared", "+6281200000003")
    unopened_link = await world.start(unopened)
    opened_id, browser, state = await world.opened(opened)
    stuck_id, _, _ = await world.opened(stuck)
    async with world.database.connection() as connection:
        await connection.execute("UPDATE links SET state = 'exchanging' WHERE id = $1", stuck_id)
    world.clock.forward(100)
    assert await world.linking.tick_expiry() == 0
    world.clock.forward(21)
    assert await world.linking.tick_expiry() == 1
    assert await world.incentive(stuck) == ("awaiting_link", "link_required")
    world.clock.forward(480)
    late = await world.browser().get(unopened_link["challenge"]["url"])
    assert late.status_code == 400 and "set-cookie" not in late.headers
    assert await world.linking.tick_expiry() == 1
    assert await world.incentive(unopened) == ("awaiting_link", "link_required")
    world.clock.forward(300)
    late = await browser.get("/callbacks/shared/link", params={"st": state, "code": "c"})
    assert late.status_code == 400 and world.banks["shared"].calls("finish") == 0
    assert await world.linking.tick_expiry() == 1
    assert await world.incentive(opened) == ("awaiting_link", "consent_abandoned")
    assert (await world.link(opened_id))["ended_because"] == "consent_abandoned"
    assert await world.linking.tick_expiry() == 0


async def test_a_second_start_replaces_what_is_not_finished(world: World) -> None:
    pid = await world.person("sole")
    first = await world.start(pid)
    second_id, browser, state = await world.opened(pid)
    assert (await world.link(first["link_id"]))["state"] == "failed"
    third = await world.start(pid)
    assert (await world.link(second_id))["state"] == "failed"
    late = await browser.get("/callbacks/sole/link", params={"st": state, "code": "c"})
    assert late.headers["location"].endswith("outcome=failed") and world.banks["sole"].calls("finish") == 0
    assert await world.facts(pid) == (False, False, "link_pending")

    link_id, browser, state = await world.open(third)
    world.banks["sole"].will("finish", LinkHeld())
    await browser.get("/callbacks/sole/link", params={"st": state, "code": "c"})
    waiting = await world.start(pid)
    assert (waiting["link_id"], waiting["state"], waiting["challenge"]) == (link_id, "waiting", None)


async def test_an_active_link_is_not_replaced(world: World) -> None:
    pid = await world.person("shared")
    await world.linked(pid, granted())
    before = await world.everything()
    reply = await world.api.post("/v1/links", json={"participant_id": pid, "return_url": HOME})
    assert (reply.status_code, reply.json()["code"]) == (409, "link_active")
    assert await world.everything() == before


@in_turn(
    ("body", "status", "code"),
    [
        ({"participant_id": "P1", "return_url": HOME + "x"}, 422, "return_url_not_allowed"),
        ({"participant_id": "P1", "return_url": "https://evil.example.test/"}, 422, "return_url_not_allowed"),
        ({"participant_id": "nobody", "return_url": HOME}, 404, "not_found"),
        ({"participant_id": "P1"}, 422, "field_missing"),
        ({"participant_id": "P1", "return_url": HOME, "nik": "x"}, 422, "field_unknown"),
        ({"participant_id": 1, "return_url": HOME}, 422, "field_invalid"),
    ],
)
async def test_a_bad_request_changes_nothing(world: World, body: dict[str, Any], status: int, code: str) -> None:
    await world.person("shared")
    before = await world.everything()
    reply = await world.api.post("/v1/links", json=body)
    assert (reply.status_code, reply.json()["code"]) == (status, code)
    assert await world.everything() == before


async def test_the_api_wants_a_token_with_the_scope(world: World) -> None:
    pid = await world.person("shared")
    body = {"participant_id": pid, "return_url": HOME}
    assert (await world.browser().post("/v1/links", json=body)).status_code == 401
    await world.core.clients.keep_token("read-only-token", "core", ["read"])
    reader = world.browser()
    reader.headers["Authorization"] = "Bearer read-only-token"
    assert (await reader.post("/v1/links", json=body)).status_code == 403
    link = await world.start(pid)
    assert (await reader.get(f"/v1/links/{link['link_id']}")).json()["challenge"] is None
    assert (await reader.delete(f"/v1/links/{link['link_id']}")).status_code == 403
    assert (await world.api.get("/v1/links/L1")).status_code == 404


async def test_the_cookie_is_secure_where_the_site_is(world: World) -> None:
    settings = msgspec.structs.replace(world.resources.settings, public_url="https://pay.example.test")
    resources = dataclasses.replace(world.resources, settings=settings)
    world.app.state.core = dataclasses.replace(world.core, resources=resources, linking=Linking(resources))
    link = await world.start(await world.person("shared"))
    assert link["challenge"]["url"].startswith("https://pay.example.test/connect/")
    browser, path = world.browser(), link["challenge"]["url"].removeprefix("https://pay.example.test")
    page = await press(browser, path, Origin="https://pay.example.test")
    name, _, rest = page.headers["set-cookie"].partition("=")
    assert name == f"__Host-link_{link['link_id']}" and "secure" in rest.lower() and "domain" not in rest.lower()
    assert (await press(browser, path, Origin="https://pay.example.test")).status_code == 400, (
        "no secure cookie comes back"
    )
    value = rest.partition(";")[0]
    for sent, status in ((f"link_{link['link_id']}={value}", 400), (f"{name}={value}", 200)):
        reply = await world.browser().get(path, headers={"Cookie": sent})
        assert reply.status_code == status, "another host of the domain may have set it, but for its prefix"


async def test_a_refused_start_frees_its_key(world: World) -> None:
    async def start() -> Any:
        body = {"participant_id": "P1", "return_url": HOME}
        return await world.api.post("/v1/links", json=body, headers={"Idempotency-Key": "k"})

    assert (await start()).status_code == 404
    assert await world.person("shared") == "P1"
    first, again = await start(), await start()
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json() and again.headers["Idempotent-Replayed"] == "true"


async def test_of_two_processes_that_read_the_link_at_once_one_exchanges(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, browser, state = await world.opened(await world.person("shared"))
    async with world.database.connection() as connection:
        as_it_was = await links.by_state(connection, hashed(state))
    world.banks["shared"].will("finish", granted())
    first = await browser.get("/callbacks/shared/link", params={"st": state, "code": "c"})

    async def read_before_that(*_: object) -> object:
        return as_it_was

    monkeypatch.setattr(links, "by_state", read_before_that)
    second = await browser.get("/callbacks/shared/link", params={"st": state, "code": "c"})
    assert second.headers["location"] == first.headers["location"]
    assert world.banks["shared"].calls("finish") == 1


@pytest.mark.parametrize(
    "query",
    [
        "st={s}?code=c-1&state={s}",
        "st={s}?code=c-1",
        "st={s}&code=c-1",
        "code=c-1&st={s}?state={s}",
        "state={s}&code=c-1",
        "?code=c-1&state={s}",
        "st=&state={s}&code=c-1",
        "st={s}&code=c-1&note=why?",
        "st=cut-by-an-app&code=c-1&state={s}",
        "st=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA&code=c-1&amp;state={s}",
    ],
)
async def test_ways_in_which_partners_append_to_an_address(world: World, query: str) -> None:
    link_id, browser, state = await world.opened(await world.person("shared"))
    world.banks["shared"].will("finish", granted())
    reply = await browser.get(f"/callbacks/shared/link?{query.lstrip('?').format(s=state)}")
    assert reply.status_code == 303, reply.text
    assert (await world.link(link_id))["state"] == "active"
    assert world.banks["shared"].sent[-1][1]["code"] == "c-1"


async def half_done(world: World, partner: str) -> str:
    """A participant whose exchange was left without an answer."""
    pid = await world.person(partner)
    await world.linked(pid, httpx.ReadError("reset"))
    return pid


@pytest.mark.parametrize("when", ["at once", "at the exchange"])
async def test_a_link_that_the_partner_made_and_we_never_heard_of_is_told_as_it_is(world: World, when: str) -> None:
    """And is no other participant's: nothing of ours would ever free it."""
    pid = await half_done(world, "sole")
    held = LinkHeld(partner_code="4030705")
    if when == "at once":
        world.banks["sole"].will("begin", held)
        link = await world.start(pid)
        page = await press(world.browser(), link["challenge"]["url"])
        assert page.status_code in (200, 303)
        link_id = link["link_id"]
    else:
        link_id = await world.linked(pid, held)
    row = await world.link(link_id)
    assert (row["state"], row["ended_because"], row["partner_code"]) == ("failed", "link_half_done", "4030705")
    assert await world.incentive(pid) == ("awaiting_link", "link_half_done")
    cases = await world.all("SELECT code, detail, closed_at FROM cases")
    assert [(case["code"], case["closed_at"]) for case in cases] == [("link_half_done", None)]
    await world.linked(pid, held)
    assert len(await world.all("SELECT * FROM cases")) == 1, "asked again, it is the same case"
    await world.linked(pid, granted("released-and-linked"))
    assert await world.incentive(pid) == ("awaiting_verification", None)
    assert (await world.one("SELECT closed_at FROM cases"))["closed_at"] is not None


async def test_an_exchange_that_died_with_its_process_is_half_done_too(world: World) -> None:
    pid = await world.person("sole")
    link_id, _, _ = await world.opened(pid)
    async with world.database.connection() as connection:
        await connection.execute("UPDATE links SET state = 'exchanging', updated_at = $1", world.clock.now())
    world.clock.forward(600)
    await world.linking.tick_expiry()
    assert (await world.link(link_id))["state"] == "failed"
    await world.linked(pid, LinkHeld())
    assert await world.incentive(pid) == ("awaiting_link", "link_half_done")


async def test_who_shares_a_half_done_account_may_begin_again_once_it_is_linked(world: World) -> None:
    """What they were told to release is another one's link by then: nothing in their app would ever free it."""
    pid = await half_done(world, "sole")
    other = await world.person("sole")
    await world.linked(other, LinkHeld())
    assert await world.incentive(other) == ("awaiting_link", "link_half_done")
    stranger = await world.person("sole", account="0888000111222")
    await world.linked(stranger, httpx.ReadError("reset"))
    await world.linked(stranger, LinkHeld())
    await world.linked(pid, granted())
    assert await world.incentive(other) == ("awaiting_link", "link_required")
    assert await world.incentive(stranger) == ("awaiting_link", "link_half_done"), "of another account"
    waiting = await world.linked(other, LinkHeld())
    assert (await world.link(waiting))["state"] == "waiting"
    assert len(await world.all("SELECT * FROM cases WHERE closed_at IS NULL")) == 1


async def test_who_meets_anothers_link_waits_for_it_though_an_exchange_was_lost_once(world: World) -> None:
    pid = await half_done(world, "sole")
    other = await world.person("sole")
    await world.linked(other, granted())
    waiting = await world.linked(pid, LinkHeld())
    assert (await world.link(waiting))["state"] == "waiting"
    assert await world.all("SELECT * FROM cases") == []


async def test_who_lost_an_exchange_while_another_held_the_account_waits_for_that_one(world: World) -> None:
    """It is the other one's link that stands there: no letter to the partner would free it."""
    other = await world.person("sole")
    await world.linked(other, granted())
    pid = await half_done(world, "sole")
    waiting = await world.linked(pid, LinkHeld())
    assert (await world.link(waiting))["state"] == "waiting"
    assert await world.all("SELECT * FROM cases") == []
