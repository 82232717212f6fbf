"""What lifts a blocker is a button at /ops, and the button does it, for whom it may and no one else."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from contracts.hold import HoldKind, HoldStage
from contracts.incentive import BlockerCode
from contracts.lifting import LIFTED_BY
from contracts.payment_plan import Instalment, PaymentPlan, content_of, root_of
from contracts.payout import PayoutState
from gateway.core import build_core
from gateway.routes.ops.acts import ACT_OF, ACTS
from gateway.storage.ops import cases, holds, switches
from gateway.storage.ops.cases import NewCase
from gateway.storage.ops.holds import NewHold
from tests.gateway.api.kit import Api
from tests.gateway.app import app_of
from tests.gateway.ops.desk import Desk, csrf, send
from tests.gateway.payouts.town import Town, open_town

S, B = PayoutState, BlockerCode
WHY = "asked the partner"
FILLED = {
    "new_partner": "fake", "account": "0000099999", "phone": "+628110009999", "verdict": "paid", "refused_for": "",
    "document": "BA 17-2026", "stage": "payout", "since": "2026-01-01T00:00", "code": "",
    "what": "full_name", "value": "Dewi Lestari",
}  # fmt: skip


@pytest.fixture
async def town(database: str) -> AsyncIterator[Town]:
    async with open_town(database) as opened:
        opened.partner()
        yield opened


@pytest.fixture
async def desk(town: Town) -> AsyncIterator[Desk]:
    """The operators' pages over the town's fake partner."""
    core = build_core(town.resources)
    transport = httpx.ASGITransport(app_of(core), raise_app_exceptions=False)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        opened = await Desk.open(Api(core, client, {}, {}))
        for role in ("operator", "approver"):
            opened.people[f"{role}-two"] = await core.operators.enrol(f"{role}-two-one", (role,), actor="test")
        yield opened
    await core.reconciliations.close()


async def in_doubt(town: Town, code: BlockerCode | None = None) -> tuple[int, int]:
    """A payout whose answer was lost after it was booked, and its incentive, under any blocker."""
    town.banks["fake"].script("transfer", "lost")
    incentive = await town.due()
    await town.worker().tick_send("fake")
    payout = await town.payout(incentive)
    assert payout.state is S.UNKNOWN
    if code is not None:
        await town.execute("UPDATE incentives SET own = $2 WHERE id = $1", incentive, code.value)
    return incentive, payout.id


async def held(town: Town) -> int:
    new = NewHold(
        partner="fake", stage=HoldStage.PAYOUT, kind=HoldKind.OUTAGE, fault="5xx", words="502", opened_by="w1",
        next_canary_at=town.clock.now() + timedelta(hours=1),
    )  # fmt: skip
    async with town.database.transaction() as connection:
        made = await holds.hold(connection, town.clock.now(), new)
    assert made is not None
    return made.id


def buttons(shown: str) -> dict[str, dict[str, str]]:
    """The forms of a page by act, with their hidden fields."""
    found = {}
    for name, body in re.findall(r'action="/ops/acts/([a-z-]+)">(.*?)</form>', shown, re.S):
        found[name] = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', body))
    return found


async def press(browser: httpx.AsyncClient, page: str, name: str, **fields: Any) -> httpx.Response:
    """Load a page, fill in one of its forms and send it."""
    hidden = buttons((await browser.get(page)).text)[name]
    own = {one.name: fields.get(one.name, FILLED.get(one.name, "2026-01-01")) for one in ACTS[name].fields}
    return await browser.post(f"/ops/acts/{name}", data=hidden | own | {"reason": WHY} | fields)


def test_every_operation_is_one_act() -> None:
    assert {way for ways in LIFTED_BY.values() for way in ways} == set(ACT_OF)
    assert len({act.name for act in ACT_OF.values()}) == len(ACT_OF)


@pytest.mark.parametrize("code", BlockerCode, ids=lambda code: code.value)
async def test_a_blocker_and_its_case_show_what_lifts_them_and_it_works(
    town: Town, desk: Desk, code: BlockerCode
) -> None:
    incentive, payout = await in_doubt(town, code)
    await held(town)
    async with town.database.transaction() as connection:
        new = NewCase(code=code, partner="fake", detail="evidence", payout=payout, incentive=incentive)
        await cases.open_cases(connection, town.clock.now(), [new])
    (case,) = await town.fetch("SELECT id FROM cases")
    acts = {ACT_OF[way].name for way in LIFTED_BY[code]}
    async with desk.signed_in("operator") as browser:
        for page in (f"/ops/incentives/{incentive}", f"/ops/cases/{case['id']}", f"/ops/payouts/{payout}"):
            found = buttons((await browser.get(page)).text)
            assert acts <= set(found), page
        for name in sorted(acts):
            reply = await press(browser, f"/ops/cases/{case['id']}", name)
            assert reply.status_code in (200, 303, 409), (name, reply.status_code, reply.text)
            told = await town.fetch("SELECT actor, data FROM audit_log WHERE action = $1", f"ops.{name}")
            assert [(one["actor"], one["data"]["reason"]) for one in told] == [("op-operator-one", WHY)]
    await town.check()
    assert len(town.banks["fake"].booked) == 1, "no button pays again"


async def test_nobody_acts_without_role_reason_or_a_form_of_their_own(town: Town, desk: Desk) -> None:
    incentive = await town.due()
    page = f"/ops/incentives/{incentive}"
    fields = {"incentive": str(incentive), "back": page}
    before = await town.fetch("SELECT stage FROM incentives")
    async with desk.signed_in("auditor") as auditor, desk.signed_in("operator") as operator:
        assert buttons((await auditor.get(page)).text) == {}
        mine, theirs = await csrf(auditor), await csrf(operator)
        path = "/ops/acts/cancel"
        assert (await auditor.post(path, data=fields | {"csrf": mine, "reason": WHY})).status_code == 403
        assert (await operator.post(path, data=fields | {"csrf": mine, "reason": WHY})).status_code == 403
        for reason in ("", "ab", "x" * 301, "of 3174 0142 0590 9901", "asked 0812-3456-7890"):
            assert (await operator.post(path, data=fields | {"csrf": theirs, "reason": reason})).status_code == 422
        for odd in ({"incentive": "x"}, {"incentive": ""}, {"incentive": "9" * 30}):
            reply = await operator.post(path, data=fields | odd | {"csrf": theirs, "reason": WHY})
            assert reply.status_code in (422, 404), reply.text
        assert (await send(operator, "/ops/acts/nothing", reason=WHY)).status_code == 404
        assert await town.fetch("SELECT stage FROM incentives") == before
        away = fields | {"csrf": theirs, "reason": WHY, "back": "https://evil.test/"}
        reply = await operator.post(path, data=away)
        assert (reply.status_code, reply.headers["location"]) == (303, "/ops")
    assert await town.stands(incentive) == ("cancelled", None)


async def test_a_document_settles_by_two_people_at_two_screens(town: Town, desk: Desk) -> None:
    incentive, payout = await in_doubt(town)
    page = f"/ops/payouts/{payout}"
    async with town.database.transaction() as connection:
        new = NewCase(
            code=B.OUTCOME_UNKNOWN, partner="fake", detail="asked for long", payout=payout, incentive=incentive
        )
        await cases.open_cases(connection, town.clock.now(), [new])
    async with desk.signed_in("operator") as one, desk.browser() as two:
        assert (await press(one, page, "settle")).status_code == 303
        mine = buttons((await one.get(page)).text)
        assert "confirm" not in mine, "who brought it is not asked to confirm it"
        (made,) = await town.fetch("SELECT id FROM settlements")
        alone = await send(one, "/ops/acts/confirm", settlement=str(made["id"]), reason=WHY)
        assert alone.status_code == 409
        assert (await desk.sign_in(two, "operator-two")).status_code == 303
        assert "BA 17-2026" in (await two.get(page)).text
        assert (await press(two, page, "confirm")).status_code == 303
    assert await town.stands(incentive) == ("paid", None)
    await town.check()


async def test_a_hold_is_released_and_what_waited_is_due(town: Town, desk: Desk) -> None:
    hold = await held(town)
    async with desk.signed_in("operator") as browser:
        shown = (await browser.get("/ops/partners/fake")).text
        assert "502" in shown
        assert buttons(shown)["release"]["hold"] == str(hold)
        assert (await press(browser, "/ops/partners/fake", "release")).status_code == 303
        assert "release" not in buttons((await browser.get("/ops/partners/fake")).text)
        assert (await press(browser, "/ops/partners/fake", "pause")).status_code == 303
        assert (await press(browser, "/ops/partners/fake", "resume")).status_code == 303
        assert (await press(browser, "/ops/partners/fake", "ask-again")).status_code == 200


async def test_a_page_of_yesterday_resumes_nothing_that_it_does_not_show(town: Town, desk: Desk) -> None:
    """Paused for the night by somebody who left the page open; meanwhile the gateway finds a payment made twice."""
    page = "/ops/partners/fake"
    async with desk.signed_in("operator") as browser:
        assert (await press(browser, page, "pause")).status_code == 303
        form = buttons((await browser.get(page)).text)["resume"]
        async with town.database.transaction() as connection:
            await switches.pause(connection, town.clock.now(), "fake", by="gateway", reason="credited twice")
        stale = await browser.post("/ops/acts/resume", data=form | {"reason": WHY})
        assert stale.status_code == 409, stale.text
        assert "credited twice" in (await browser.get(page)).text
        assert (await press(browser, page, "resume")).status_code == 303
        assert "credited twice" not in (await browser.get(page)).text
        town.clock.advance(60)
        assert (await press(browser, page, "pause")).status_code == 303
        assert (await browser.post("/ops/acts/resume", data=form | {"reason": WHY})).status_code == 409, "another pause"


async def test_whoever_resumes_from_an_incentives_page_reads_there_why_its_partner_is_paused(
    town: Town, desk: Desk
) -> None:
    """Not only that it is: what pauses it is seen nowhere else on the way there."""
    page = f"/ops/incentives/{await town.due()}"
    async with town.database.transaction() as connection:
        await switches.pause(connection, town.clock.now(), "fake", by="gateway", reason="credited <b>twice</b>")
    async with desk.signed_in("operator") as browser:
        shown = (await browser.get(page)).text
        assert "gateway: credited &lt;b&gt;twice&lt;/b&gt;" in shown
        form = buttons(shown)["resume"]
        async with town.database.transaction() as connection:
            await switches.pause(connection, town.clock.now(), "fake", by="gateway", reason="refused, then paid")
        assert (await browser.post("/ops/acts/resume", data=form | {"reason": WHY})).status_code == 409
        assert "refused, then paid" in (await browser.get(page)).text
        assert (await press(browser, page, "resume")).status_code == 303
    assert not await town.fetch("SELECT 1 FROM partner_switches WHERE paused_at IS NOT NULL")


async def test_a_page_of_yesterday_closes_no_case_that_says_more_by_now(town: Town, desk: Desk) -> None:
    """What more contradicts a payout is told in the case that is open, as whoever closes it will have read it."""
    incentive = await town.due()
    await town.worker().tick_send("fake")
    payout = (await town.payout(incentive)).id

    async def told(detail: str) -> None:
        new = NewCase(code=B.CONTRADICTION, partner="fake", detail=detail, payout=payout, incentive=incentive)
        async with town.database.transaction() as connection:
            await cases.open_cases(connection, town.clock.now(), [new])

    await told("paid, then refused")
    (case,) = await town.fetch("SELECT id FROM cases")
    pages = (f"/ops/cases/{case['id']}", f"/ops/payouts/{payout}")
    async with desk.signed_in("operator") as browser:
        forms = [buttons((await browser.get(page)).text)["close"] for page in pages]
        await told("credited twice")
        for form in forms:
            stale = await browser.post("/ops/acts/close", data=form | {"reason": WHY})
            assert stale.status_code == 409, stale.text
        assert await town.cases() == ["contradiction"]
        assert "credited twice" in (await browser.get(pages[0])).text
        assert (await press(browser, pages[0], "close")).status_code == 303
    assert await town.cases() == []


async def test_a_page_of_yesterday_releases_no_hold_of_today(town: Town, desk: Desk) -> None:
    """What was shown is over by itself, and the partner is held anew for the same reason: nobody has looked at that."""
    shown = await held(town)
    async with desk.signed_in("operator") as browser:
        form = buttons((await browser.get("/ops/partners/fake")).text)["release"]
        assert form["hold"] == str(shown)
        await town.execute("UPDATE holds SET released_at = now(), released_by = 'w1'")
        await held(town)
        reply = await browser.post("/ops/acts/release", data=form | {"reason": WHY})
    assert reply.status_code == 303, reply.text
    assert [row["released_at"] is None for row in await town.fetch("SELECT released_at FROM holds ORDER BY id")] == [
        False, True,
    ]  # fmt: skip


async def test_a_case_of_a_partner_is_closed_on_its_own_page_and_those_of_a_payout_on_its(
    town: Town, desk: Desk
) -> None:
    incentive = await town.due()
    await town.worker().tick_send("fake")
    payout = (await town.payout(incentive)).id
    about = ((None, None), (payout, incentive))
    new = [NewCase(code=B.CONTRADICTION, partner="fake", detail="d", payout=p, incentive=i) for p, i in about]
    async with town.database.transaction() as connection:
        await cases.open_cases(connection, town.clock.now(), new)
    of_all, of_one = [row["id"] for row in await town.fetch("SELECT id FROM cases ORDER BY id")]
    pages = {of_all: f"/ops/cases/{of_all}", of_one: f"/ops/payouts/{payout}"}
    async with desk.signed_in("operator") as browser:
        for case, page in pages.items():
            assert buttons((await browser.get(page)).text)["close"]["case"] == str(case)
            assert (await press(browser, page, "close")).status_code == 303
            assert "close" not in buttons((await browser.get(page)).text)
    assert await town.cases() == []


async def test_a_case_about_a_batch_stops_the_batch(town: Town, desk: Desk) -> None:
    """Its code is what most of its people are refused for; what lifts that lifts it for one person alone."""
    incentive = await town.due()
    details = ("batch b: 21 of 34 people are refused", "batch bb: 21 of 34 people are refused", "of one person")
    async with town.database.transaction() as connection:
        new = [NewCase(code=B.NIK_MISMATCH, partner="fake", detail=d, incentive=incentive) for d in details]
        for one in new:
            await cases.open_cases(connection, town.clock.now(), [one])
    about, *others = [row["id"] for row in await town.fetch("SELECT id FROM cases ORDER BY id")]
    async with desk.signed_in("operator") as browser:
        for other in others:
            assert "stop-batch" not in buttons((await browser.get(f"/ops/cases/{other}")).text)
        assert (await press(browser, f"/ops/cases/{about}", "stop-batch")).status_code == 303
    assert await town.stands(incentive) == ("cancelled", None)


async def test_a_person_and_a_batch_are_stopped(town: Town, desk: Desk) -> None:
    first, second = await town.due(), await town.due()
    async with desk.signed_in("operator") as browser:
        assert (await press(browser, "/ops/participants/P00001", "stop-person")).status_code == 303
        assert [await town.stands(one) for one in (first, second)] == [("cancelled", None), ("scheduled", None)]
        assert (await press(browser, "/ops/batches/b", "stop-batch")).status_code == 303
    assert await town.stands(second) == ("cancelled", None)


async def test_a_plan_is_stopped_on_its_page(town: Town, desk: Desk) -> None:
    incentive = await town.due()
    one = Instalment(purpose="training", period=1, amount_rupiah=600_000, deadline_after_days=30)
    content = content_of(PaymentPlan(programme="p", name="wrong", most_participants=1, instalments=(one,)))
    await town.execute(
        "WITH p AS (INSERT INTO programmes VALUES ('p', 't', now()) RETURNING programme) INSERT INTO plans (id,"
        " organisation, client_id, programme, name, state, content, content_root, received_at) SELECT 'pl1', 'o',"
        " c.id, p.programme, 'wrong', 'awaiting_approval', $1, $2, now() FROM p, clients c LIMIT 1",
        content,
        root_of(content),
    )
    async with desk.signed_in("operator") as browser:
        assert "stop-plan" not in buttons((await browser.get("/ops/plans/pl1")).text), "it is rejected instead"
        await town.execute("UPDATE plans SET state = 'approved'")
        await town.execute("UPDATE batches SET plan_id = 'pl1'")
        assert (await press(browser, "/ops/plans/pl1", "stop-plan")).status_code == 303
        shown = (await browser.get("/ops/plans/pl1")).text
        assert "stopped" in shown and "stop-plan" not in buttons(shown)
    assert await town.stands(incentive) == ("cancelled", None)


async def test_the_days_of_a_partner_and_webhooks_are_shown(town: Town, desk: Desk) -> None:
    async with desk.signed_in("operator") as browser:
        yesterday = town.today(-1).isoformat()
        before = (await browser.get("/ops/reconciliations")).text
        assert yesterday in before and town.today(-30).isoformat() in before
        assert town.today(-31).isoformat() not in before
        told = await press(browser, "/ops/reconciliations", "compare", day=yesterday, partner="fake")
        assert told.status_code == 303
        await desk.api.core.reconciliations.close()
        (row,) = await town.fetch("SELECT id FROM reconciliations")
        assert (await browser.get(f"/ops/reconciliations/{row['id']}")).status_code == 200
        await town.execute(
            "INSERT INTO clients (id, name, secret_hash, scopes, created_at) VALUES ('k', 'k', '', '{}', now())"
        )
        core, at = desk.api.core, town.clock.now()
        made = await core.webhooks.create("k", "https://core.example/hook", [], actor="k")
        number = made.endpoint.webhook_endpoint_id
        await town.execute(
            "INSERT INTO webhook_deliveries VALUES ($1, '7', 7, 'P1', 9, $2, $2, $2, 'answered 500')", number, at
        )
        shown = (await browser.get("/ops/webhooks")).text
        assert "answered 500" in shown
        assert (await press(browser, "/ops/webhooks", "revive")).status_code == 303
        assert "answered 500" not in (await browser.get("/ops/webhooks")).text
        await town.execute("UPDATE clients SET disabled_at = now() WHERE id = 'k'")
        over = (await browser.get("/ops/webhooks")).text
        assert "dimatikan" in over and buttons(over) == {}, "nothing is delivered to it again, whatever is pressed"
