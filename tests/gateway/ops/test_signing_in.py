"""Who gets in at `/ops`, for how long, and whose forms are taken."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import timedelta

import httpx
import msgspec
import pytest

from contracts.errors import InvalidRequest
from gateway.routes.ops import session
from gateway.security import clients
from gateway.security.limits import SIGN_INS, Rate
from gateway.services.ops.operators import FREE_TRIES, IDLE_S, LIFE_S
from tests.gateway.app import app_of
from tests.gateway.ops.desk import Desk, code, csrf, send

PAGES = (
    "",
    "/live",
    "/incentives",
    "/payouts",
    "/cases",
    "/batches",
    "/reconciliations",
    "/audit",
    "/partners/bni",
    "/webhooks",
    "/password",
)


async def test_nobody_sees_a_page_without_signing_in(desk: Desk) -> None:
    async with desk.browser() as browser:
        for page in PAGES:
            reply = await browser.get(f"/ops{page}")
            back = "" if page in ("", "/live") else f"?page=%2Fops{page.replace('/', '%2F')}"
            assert (reply.status_code, reply.headers["location"]) == (303, f"/ops/sign-in{back}"), page
        living = await browser.get("/ops/live", headers={"HX-Request": "true"})
        assert living.headers["hx-redirect"] == "/ops/sign-in"


async def test_a_link_out_of_a_message_leads_to_its_page_behind_the_sign_in(desk: Desk) -> None:
    """Also where the session ended under a form, or while a page looked on."""
    asked, form = "/ops/incentives?partner=ovo&stage=paid", "http://127.0.0.1/ops/partners/ovo"
    async with desk.browser() as browser:
        first = (await browser.get(asked)).headers["location"]
        assert f'value="{asked.replace("&", "&amp;")}"' in (await browser.get(first)).text
        wrong = await desk.sign_in(browser, "operator", page=asked, password="wrong")
        assert f'value="{asked.replace("&", "&amp;")}"' in wrong.text, "nor does a slip lose it"
        sent = await browser.post("/ops/acts/pause", data={"reason": "x"}, headers={"Referer": form})
        assert sent.headers["location"] == "/ops/sign-in?page=%2Fops%2Fpartners%2Fovo"
        living = await browser.get("/ops/live", headers={"HX-Request": "true", "HX-Current-URL": form})
        assert living.headers["hx-redirect"] == "/ops/sign-in?page=%2Fops%2Fpartners%2Fovo"
        assert (await desk.sign_in(browser, "operator", page=asked)).headers["location"] == asked
    elsewhere = ("https://evil.test/ops/x", "//evil.test/ops", "/ops//evil.test", "/ops/sign-out", "/v1/x")
    async with desk.browser() as browser:
        for page in (*elsewhere, "/ops/acts/pause", "/ops/x\r\ny: z", "/ops/\\evil.test", "/ops/../v1", "/ops/./x"):
            assert 'name="page" value="/ops"' in (await browser.get("/ops/sign-in", params={"page": page})).text, page


async def test_a_code_with_a_space_is_the_code_and_other_devices_are_signed_out_on_demand(desk: Desk) -> None:
    async with desk.signed_in("operator") as lost, desk.signed_in("auditor") as other, desk.browser() as browser:
        plain = code(desk.people["operator"], desk.now_s() + 30)
        typed = {"code": f"{plain[:3]} {plain[3:]}", "alone": "1"}
        assert (await desk.sign_in(browser, "operator", **typed)).status_code == 303
        assert [(await one.get("/ops")).status_code for one in (lost, other, browser)] == [303, 200, 200]


async def test_each_role_sees_every_page(desk: Desk) -> None:
    for role in desk.people:
        async with desk.signed_in(role) as browser:
            for page in PAGES:
                reply = await browser.get(f"/ops{page}")
                assert reply.status_code == 200, (role, page, reply.text)
                assert "script-src 'self'" in reply.headers["content-security-policy"]
                assert "style=" not in reply.text
                assert "<script>" not in reply.text


@pytest.mark.parametrize("changes", [{"password": "wrong"}, {"code": "000000"}, {"name": "nobody"}, {"code": ""}])
async def test_what_is_wrong_is_not_told(desk: Desk, changes: dict[str, str]) -> None:
    async with desk.browser() as browser:
        reply = await desk.sign_in(browser, "operator", **changes)
        assert reply.status_code == 403
        assert "set-cookie" not in reply.headers
        assert "salah" in reply.text


@pytest.mark.parametrize(("public", "prefix"), [("https://pay.test", "__Host-"), ("http://127.0.0.1", "")])
async def test_a_session_is_this_hosts_alone_and_no_scripts(desk: Desk, public: str, prefix: str) -> None:
    core = desk.api.core
    settings = msgspec.structs.replace(core.resources.settings, public_url=public)
    there = dataclasses.replace(core, resources=dataclasses.replace(core.resources, settings=settings))
    transport = httpx.ASGITransport(app_of(there), raise_app_exceptions=False)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url=public) as browser:
        cookies = (await desk.sign_in(browser, "operator")).headers.get_list("set-cookie")
        assert (await browser.get("/ops")).status_code == 200
        assert (await browser.get("/ops/language/en")).status_code == 303
    assert {cookie.partition("=")[0] for cookie in cookies} == {f"{prefix}ops", f"{prefix}ops_known"}
    for cookie in cookies:
        parts = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert {"httponly", "samesite=strict", "path=/"} <= parts and ("secure" in parts) == bool(prefix), cookie
        assert "domain" not in cookie.lower(), "other hosts of the domain never see it"


async def test_a_password_is_kept_as_what_takes_long_to_try(desk: Desk) -> None:
    """Argon2id with OWASP's figures: 19 MiB, two passes, one lane."""
    kept = await desk.api.fetch("SELECT password_hash, operators::text AS line FROM operators")
    assert len(kept) == len(desk.people)
    for row in kept:
        assert row["password_hash"].startswith("$argon2id$v=19$m=19456,t=2,p=1$")
        assert not any(person.password in row["line"] for person in desk.people.values())
    assert len({row["password_hash"].rsplit("$", 2)[1] for row in kept}) == len(kept), "a salt of its own each"


async def test_a_code_is_good_once_and_for_one_person(desk: Desk) -> None:
    async with desk.browser() as first, desk.browser() as second:
        mine = code(desk.people["operator"], desk.now_s())
        assert (await desk.sign_in(second, "auditor", code=mine)).status_code == 403
        assert (await desk.sign_in(first, "operator", code=mine)).status_code == 303
        assert (await desk.sign_in(second, "operator", code=mine)).status_code == 403


async def test_guessing_codes_with_the_password_locks_the_account_for_a_while(desk: Desk) -> None:
    async with desk.browser() as browser, desk.browser("127.0.0.2") as elsewhere:
        for _ in range(FREE_TRIES):
            assert (await desk.sign_in(browser, "operator", code="000000")).status_code == 403
        assert (await desk.sign_in(elsewhere, "operator")).status_code == 403
        assert (await desk.sign_in(browser, "auditor")).status_code == 303, "another person is not locked"


async def test_nobody_is_locked_out_by_passwords_that_others_guess(desk: Desk) -> None:
    async with desk.browser() as guesser, desk.browser("127.0.0.2") as person:
        for n in range(SIGN_INS.burst):
            spelled = ("operator-one", " OPERATOR-ONE")[n % 2]
            assert (await desk.sign_in(guesser, "operator", name=spelled, password="guess")).status_code == 403
        assert (await desk.sign_in(guesser, "operator")).status_code == 429
        assert (await desk.sign_in(guesser, "auditor")).status_code == 303
        assert (await desk.sign_in(person, "operator")).status_code == 303


async def test_guesses_from_many_addresses_are_bounded_together(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "SIGN_INS_BY_NAME", Rate("few", 3, 1 / 36))
    for n, answer in enumerate((403, 403, 403, 429)):
        async with desk.browser(f"127.0.1.{n}") as browser:
            assert (await desk.sign_in(browser, "operator", name="nobody")).status_code == answer
    async with desk.browser() as browser:
        assert (await desk.sign_in(browser, "operator")).status_code == 303


async def test_guesses_side_by_side_are_no_more_than_one_after_the_other(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All at once, each from an address of its own: none has counted yet when the last is looked at."""
    monkeypatch.setattr(session, "SIGN_INS_BY_NAME", Rate("few at once", 3, 1 / 36))

    async def guess(n: int) -> int:
        async with desk.browser(f"127.0.2.{n}") as browser:
            return (await desk.sign_in(browser, "operator", password="guess")).status_code

    answers = await asyncio.gather(*map(guess, range(12)))
    assert sorted(answers) == [403] * 3 + [429] * 9
    tried = await desk.api.fetch("SELECT FROM audit_log WHERE action = 'operator.refused'")
    assert len(tried) == 3


async def test_so_are_guesses_under_many_names_from_one_address(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two are weighed at a time in a process: the last one left may be found by both."""
    monkeypatch.setattr(session, "SIGN_INS_REFUSED", Rate("few wrong ones", 5, 1 / 3_600))
    async with desk.browser("127.0.0.9") as browser:
        tries = await asyncio.gather(*(desk.sign_in(browser, "operator", name=f"n{n}") for n in range(25)))
        answers = [reply.status_code for reply in tries]
        assert set(answers) == {403, 429}
        assert (await desk.sign_in(browser, "auditor")).status_code == 429
    tried = await desk.api.fetch("SELECT FROM audit_log WHERE action = 'operator.refused'")
    assert 5 <= len(tried) <= 6


async def test_who_has_signed_in_here_before_is_kept_out_by_nobody_elses_guesses(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From everywhere, from the same address, under any name: also where no one else gets in there any more."""
    for name, burst in (("SIGN_INS_BY_NAME", 4), ("SIGN_INS_REFUSED", 3), ("SIGN_INS", 3)):
        monkeypatch.setattr(session, name, Rate(f"few {name}", burst, 1 / 3_600))
    async with desk.browser("127.0.0.3") as mine, desk.browser() as guesser, desk.browser("127.0.0.2") as other:
        assert (await desk.sign_in(mine, "operator")).status_code == 303
        assert (await send(mine, "/ops/sign-out")).status_code == 303
        tries = [await desk.sign_in(guesser, "operator", password="guess") for _ in range(5)]
        assert [reply.status_code for reply in tries] == [403, 403, 403, 429, 429]
        assert (await desk.sign_in(other, "operator")).status_code == 429, "by name, from everywhere"
        assert (await desk.sign_in(guesser, "auditor")).status_code == 429, "by address"
        later = code(desk.people["operator"], desk.now_s() + 30)
        assert (await desk.sign_in(mine, "operator", code=later)).status_code == 303
        assert (await send(mine, "/ops/sign-out")).status_code == 303
        stolen = dict(mine.cookies)
        for cookies, name in (
            (stolen, "auditor"),
            ({"ops_known": "x" * 32}, "operator"),
            ({"ops_known": "\u00e9"}, "x"),
        ):
            header = "; ".join(f"{key}={value}" for key, value in cookies.items()).encode("latin-1")
            reply = await guesser.post(
                "/ops/sign-in", data={"name": f"{name}-one", "password": "p", "code": "1"}, headers={b"Cookie": header}
            )
            assert reply.status_code == 429, "one person's, or a made up one, opens nothing to another"
        tries = [await desk.sign_in(mine, "operator", password="guess") for _ in range(4)]
        assert tries[-1].status_code == 429, "nor may whoever has it guess on and on"


async def test_signing_in_again_ends_the_session_that_this_browser_had(desk: Desk) -> None:
    async with desk.signed_in("operator") as browser, desk.browser() as thief:
        stolen = {"Cookie": f"ops={browser.cookies['ops']}"}
        assert (await thief.get("/ops", headers=stolen)).status_code == 200
        assert (await desk.sign_in(browser, "auditor")).status_code == 303
        assert (await thief.get("/ops", headers=stolen)).status_code == 303
        out = await send(browser, "/ops/sign-out")
        assert out.headers["clear-site-data"] == '"cache"', "nothing of the pages stays in the browser"


@pytest.mark.parametrize("column", ["seen_at", "expires_at"])
async def test_a_session_ends(desk: Desk, column: str) -> None:
    async with desk.signed_in("operator") as browser:
        assert (await browser.get("/ops")).status_code == 200
        past = timedelta(seconds=(IDLE_S if column == "seen_at" else LIFE_S) + 1)
        await desk.api.fetch(f"UPDATE operator_sessions SET {column} = {column} - $1::interval", past)
        assert (await browser.get("/ops")).status_code == 303


async def test_a_page_that_refreshes_itself_keeps_no_session_open(desk: Desk) -> None:
    """Somebody has gone home, and the overview stays on the screen."""
    living = {"HX-Request": "true"}
    async with desk.signed_in("operator") as browser:
        past = timedelta(seconds=IDLE_S * 0.7)
        for headers, status in ((living, 200), (living, 204)):
            await desk.api.fetch("UPDATE operator_sessions SET seen_at = seen_at - $1::interval", past)
            assert (await browser.get("/ops/live", headers=headers)).status_code == status
    async with desk.signed_in("auditor") as browser:
        for page in ("/ops/cases", "/ops"):
            await desk.api.fetch("UPDATE operator_sessions SET seen_at = seen_at - $1::interval", past)
            assert (await browser.get(page)).status_code == 200, "a look does"


async def test_signing_out_ends_it_in_the_store(desk: Desk) -> None:
    async with desk.signed_in("operator") as browser:
        stolen = {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}
        assert (await browser.get("/ops", headers=stolen)).status_code == 200
        assert (await send(browser, "/ops/sign-out")).status_code == 303
        assert (await browser.get("/ops", headers=stolen)).status_code == 303


async def test_who_is_disabled_is_out_at_once(desk: Desk) -> None:
    async with desk.signed_in("operator") as browser:
        await desk.api.core.operators.disable("operator-one", actor="test")
        assert (await browser.get("/ops")).status_code == 303
        assert (await desk.sign_in(browser, "operator")).status_code == 403


async def test_a_form_of_another_session_or_site_changes_nothing(desk: Desk) -> None:
    async with desk.signed_in("operator") as mine, desk.signed_in("auditor") as other:
        foreign = await csrf(other)
        before = await desk.api.fetch("SELECT * FROM partner_switches")
        path, reason = "/ops/acts/pause", "a good reason"
        for fields in ({"csrf": foreign}, {}, {"csrf": ""}):
            reply = await mine.post(path, data=fields | {"reason": reason, "partner": "bni"})
            assert reply.status_code == 403
        own = {"csrf": await csrf(mine), "reason": reason, "partner": "bni"}
        for origin in ("https://evil.test", "https://127.0.0.1", "http://127.0.0.1:81", "http://x:y", "null"):
            assert (await mine.post(path, data=own, headers={"Origin": origin})).status_code == 403
        led_here = {"Origin": "http://evil.test", "Host": "evil.test"}
        assert (await mine.post(path, data=own, headers=led_here)).status_code == 403, (
            "a name that leads here is no home"
        )
        assert await desk.api.fetch("SELECT * FROM partner_switches") == before
        assert (await mine.post(path, data=own, headers={"Origin": "http://127.0.0.1"})).status_code == 303


async def test_a_form_leads_back_to_a_page_here_and_nowhere_else(desk: Desk) -> None:
    """A header that holds a line end or another script's letters would be refused after the deed was done."""
    back = {"/ops/partners/bni": "/ops/partners/bni", "/ops/participants/P:1.a": "/ops/participants/P:1.a"}
    elsewhere = ("https://evil.test", "//evil.test", "/ops/x\r\nSet-Cookie: a=b", "/ops/\u03a9", "/ops/../x", "")
    back |= dict.fromkeys((*elsewhere, "/ops/sign-out"), "/ops")
    async with desk.signed_in("operator") as browser:
        for n, (asked, led) in enumerate(back.items()):
            act = ("/ops/acts/pause", "/ops/acts/resume")[n % 2]
            reply = await send(browser, act, partner="bni", reason="a good reason", back=asked)
            assert (reply.status_code, reply.headers["location"]) == (303, led), asked


async def test_a_role_does_only_its_own(desk: Desk) -> None:
    async with desk.signed_in("auditor") as auditor, desk.signed_in("operator") as operator:
        assert (await send(auditor, "/ops/acts/pause", partner="bni", reason="a reason")).status_code == 403
        assert (await send(operator, "/ops/batches/b1", decision="approve", content_root="00")).status_code == 403
    tries = await desk.api.fetch("SELECT actor, subject, data FROM audit_log WHERE action = 'act.refused' ORDER BY seq")
    assert [(t["actor"], t["subject"], t["data"]["code"]) for t in tries] == [
        ("op-auditor-one", "/ops/acts", "role_missing"),
        ("op-operator-one", "/ops/batches", "role_missing"),
    ]


async def test_a_person_has_no_secret_for_the_token_endpoint(desk: Desk) -> None:
    person = desk.people["operator"]
    reply = await desk.api.http.post(
        "/oauth/token",
        data={"grant_type": "client_credentials"},
        auth=httpx.BasicAuth(person.client_id, person.password),
    )
    assert reply.status_code == 401
    database, now = desk.api.core.resources.database, desk.api.core.resources.clock.now()
    with pytest.raises(InvalidRequest, match="a person"):
        await clients.rotate(database, now, person.client_id, at_once=True)
    with pytest.raises(InvalidRequest, match="a person"):
        await clients.set_keys(database, now, person.client_id, '{"keys": []}')
    for name in ("op core", "OP-core", "cli", "Nobody", "gateway"):
        with pytest.raises(InvalidRequest, match="somebody else's"):
            await clients.register(database, now, name=name, scopes=["read"])
    assert (await clients.register(database, now, name="core", scopes=["read"])).client_id == "core"


async def test_tries_are_on_record_and_what_was_typed_is_not(desk: Desk) -> None:
    async with desk.browser() as browser:
        await desk.sign_in(browser, "operator", name="my-password-typed-here")
        await desk.sign_in(browser, "operator", password="wrong")
        await desk.sign_in(browser, "operator")
    rows = [r for r in await desk.api.fetch("SELECT * FROM audit_log ORDER BY seq") if r["subject"] == "ops"]
    assert [(r["actor"], r["action"]) for r in rows] == [
        ("nobody", "operator.refused"),
        ("op-operator-one", "operator.refused"),
        ("op-operator-one", "operator.sign_in"),
    ]
    assert "my-password" not in str([dict(r) for r in rows])
