"""The control API: clock, log, customers, links, scenario, verify, reset; for this machine only, secrets masked."""

from __future__ import annotations

import json
from typing import Any

import httpx
import msgspec
import pytest

from mock_partners.kit.clock import Clock, Scheduler
from mock_partners.kit.control import control_routes
from mock_partners.kit.http import Call, MockApp, Reply, Route, json_reply
from mock_partners.kit.log import KEPT_CALLS
from mock_partners.kit.mask import masked, masked_body, masked_headers, masked_target
from mock_partners.kit.notify import Notice, Notifier
from mock_partners.kit.world import COLUMNS, World
from mock_partners.pytest import Count, Expected
from tests.mock_partners.kit.staged import ACCOUNT, NOON, OTHER, Stage, toml


async def control(stage: Stage, method: str, name: str, body: object = None) -> tuple[int, Any]:
    content = b"" if body is None else body.encode() if isinstance(body, str) else msgspec.json.encode(body)
    reply = await stage.http.request(method, f"/__mock__/{name}", content=content)
    return reply.status_code, reply.json()


async def test_the_clock_is_read_set_advanced_stopped_and_let_go(stage: Stage) -> None:
    noon = "2026-01-15T12:00:00+07:00"
    assert await control(stage, "GET", "clock") == (
        200, {"now": noon, "frozen": False, "ahead_s": 0.0, "machine": noon},
    )  # fmt: skip
    _, told = await control(stage, "POST", "clock", {"set": "2026-01-16T00:00:00+07:00", "freeze": True})
    assert told == {"now": "2026-01-16T00:00:00+07:00", "frozen": True, "ahead_s": 43_200.0, "machine": noon}
    _, told = await control(stage, "POST", "clock", {"advance_s": 0.5})
    assert told["now"] == "2026-01-16T00:00:00.500000+07:00"
    stage.clock.shift(100)
    assert (await control(stage, "GET", "clock"))[1]["now"] == "2026-01-16T00:00:00.500000+07:00"
    await control(stage, "POST", "clock", {"thaw": True})
    stage.clock.shift(100)
    assert (await control(stage, "GET", "clock"))[1]["now"] == "2026-01-16T00:01:40.500000+07:00"
    _, told = await control(stage, "POST", "clock", {"set": "2026-01-15T10:00:00"})
    assert told["now"] == "2026-01-15T10:00:00+07:00"


@pytest.mark.parametrize(
    ("order", "error"),
    [
        ({}, "say what to do: set, advance_s, freeze or thaw"),
        ({"advance_s": -1}, "advance_s must be from 0 to 31622400; to go back use set"),
        ({"advance_s": "x"}, "Expected `float | null`, got `str` - at `$.advance_s`"),
        ({"set": "1999-01-01T00:00:00Z"}, "set must lie between the years 2000 and 2100"),
        ({"jump": 1}, "Object contains unknown field `jump`"),
        ("{", "Input data was truncated"),
    ],
)
async def test_a_wrong_clock_order_changes_nothing(stage: Stage, order: object, error: str) -> None:
    assert await control(stage, "POST", "clock", order) == (400, {"error": error})
    assert stage.clock.now() == NOON


async def test_tomorrow_real_clients_go_on_working_and_the_partner_has_another_day(stage: Stage) -> None:
    await stage.begin("delay_s = 0")
    assert await stage.pay("R1") == "2001700"
    await control(stage, "POST", "clock", {"advance_s": 86_400})
    assert await stage.pay("R2") == "4011701"  # the token's life is over
    assert (await stage.snap.authenticate()).status_code == 200  # with a time stamp of the machine's today
    reused = await stage.snap.post("/snap-service/v1/balance-inquiry", {}, headers={"x_external_id": "1"})
    assert reused.json()["responseCode"] == "4001101"  # yesterday's X-EXTERNAL-ID is good again
    assert await stage.pay("R3") == "2001700"
    assert [len(await stage.rows(day)) for day in ("2026-01-15", "2026-01-16")] == [1, 1]


async def test_what_falls_due_on_the_way_happens_at_its_own_time(stage: Stage) -> None:
    await stage.begin("settle_after_s = 60\nreverse_after_s = 30", 'operation = "payout"')
    await stage.pay()
    await control(stage, "POST", "clock", {"advance_s": 3600})
    times = [booking.booked_at.strftime("%H:%M:%S") for booking in stage.world.books]
    assert times == ["12:01:00", "12:01:30"]
    assert (await control(stage, "GET", "pending"))[1] == {"unsettled": 0, "scheduled": 0, "undelivered": 0}


async def test_an_otp_and_a_wrong_one_are_judged_by_the_partners_clock(stage: Stage) -> None:
    await stage.begin("delay_s = 0")
    bound = (await stage.bind()).json()
    await control(stage, "POST", "clock", {"advance_s": 300})
    assert await stage.verify_otp(bound, await stage.newest_otp()) == "4030412"


async def test_the_log_has_the_verdict_of_each_check_and_no_secret(stage: Stage) -> None:
    await stage.begin('code = "504xx00"', 'operation = "status"')
    await stage.link()
    await stage.pay()
    await stage.status()
    await stage.snap.post("/snap-service/v1/transfer-intrabank", {}, headers={"x_signature": "bad"})
    await stage.http.get("/nowhere?phone=081100000001")
    _, told = await control(stage, "GET", "requests")
    assert (told["total"], told["kept"]) == (8, 8)
    paid, status, forged, missed = told["requests"][-4:]
    assert paid["operation"] == "POST /snap-service/v1/transfer-intrabank"
    assert {check["verdict"] for check in paid["checks"]} == {"ok"}
    names = ["headers", "time", "client", "token", "signature", "external id", "json", "business"]
    assert [check["check"] for check in paid["checks"]] == names
    assert (status["code"], status["rules"], status["checks"][-1]["verdict"]) == ("5043600", ["it"], "5043600")
    assert forged["checks"][-1] == {"check": "signature", "verdict": "4011700"}
    assert (missed["operation"], missed["outcome"], missed["status"]) == ("GET /nowhere", "no such path", 404)
    assert missed["target"] == "/nowhere?phone=***01"
    text = json.dumps(told)
    secrets = (stage.snap.token, stage.snap.partner_id, ACCOUNT, "81100000001", "1946340000009901", "123456")
    assert [secret for secret in secrets if secret in text] == []
    assert paid["body"]["amount"] == {"value": "600000.00", "currency": "IDR"}
    assert paid["body"]["partnerReferenceNo"] == "R1"


async def test_the_log_can_be_asked_for_a_part(stage: Stage) -> None:
    await stage.begin("delay_s = 0")
    for number in range(3):
        await stage.pay(f"R{number}")
    for query, numbers in (("since=3", [4, 5]), ("operation=token", [1, 2]), ("operation=payout&limit=1", [5])):
        _, told = await control(stage, "GET", f"requests?{query}")
        assert [one["number"] for one in told["requests"]] == numbers
    assert await control(stage, "GET", "requests?since=x") == (400, {"error": "since must be a whole number"})


def test_masking() -> None:
    hidden = {
        "otp": "123456", "pin": 123456, "bankCardToken": "x", "customerName": "BUDI", "sessionID": "s", "custName": "B",
        "beneficiaryAccountNo": "7000000001", "additionalInfo": {"identificationNo": "3174052209989901"},
        "msisdn": "62811",
        "remark": "call 081234567890 or 3174052209989901",
    }  # fmt: skip
    text = json.dumps(masked(hidden))
    assert [
        value for value in ("123456", "BUDI", "7000000001", "317405", "62811", "0812345", '"x"') if value in text
    ] == []
    shown = {"responseCode": "2001700", "amount": {"value": "1.00", "currency": "IDR"}, "tokenType": "Bearer", "n": 1}
    assert masked(shown) == shown
    assert masked_headers({"x-signature": "abc", "x-timestamp": "t"}) == {"x-signature": "***", "x-timestamp": "t"}
    assert masked_body("text/html", b"<html>") == "<6 bytes of text/html>"
    assert masked_body("application/x-www-form-urlencoded", b"otp=1&action=deny") == {"otp": "***", "action": "deny"}
    assert masked_target("/p/abc", "code=1&authCode=zz", {"page_id": "abc"}) == "/p/***?code=1&authCode=***"
    deep: Any = 1
    for _ in range(50):
        deep = [deep]
    assert "***" in json.dumps(masked(deep))


async def test_customers_are_seen_and_changed(stage: Stage) -> None:
    _, told = await control(stage, "GET", f"customers?account={ACCOUNT}")
    assert told["customers"] == [
        {
            "account": ACCOUNT, "phone": "+6281100000001", "holder_name": "BUDI SANTOSO", "kyc": "full",
            "status": "active", "balance_rupiah": 0, "monthly_in_rupiah": 0, "behaviour": "", "has_nik": True,
            "has_pin": True,
        }
    ]  # fmt: skip
    change = {"account": "081100000001", "set": {"kyc": "basic", "balance_rupiah": 5, "behaviour": "pay:slow"}}
    status, told = await control(stage, "POST", "customers", change)
    assert (status, told["kyc"], told["balance_rupiah"], told["behaviour"]) == (200, "basic", 5, "pay:slow")
    for columns, error in (
        ({"kyc": "gold"}, "kyc is malformed"), ({"pin": "1"}, "pin cannot be set; allowed: holder"), ({}, "set is"),
    ):  # fmt: skip
        status, told = await control(stage, "POST", "customers", {"account": ACCOUNT, "set": columns})
        assert (status, told["error"][: len(error)]) == (400, error)
    assert (await control(stage, "POST", "customers", {"account": "1", "set": {"kyc": "full"}}))[0] == 404


async def test_links_are_seen_without_their_tokens(stage: Stage) -> None:
    await stage.begin("delay_s = 0")
    token = await stage.link()
    _, told = await control(stage, "GET", "links")
    assert told["total"] == 1
    assert told["links"][0]["account"] == ACCOUNT
    assert told["links"][0]["state"]["active"] is True
    assert token not in json.dumps(told)


async def test_a_scenario_is_set_read_and_ended(stage: Stage) -> None:
    await stage.begin("delay_s = 0")
    status, told = await control(stage, "PUT", "scenario", toml('code = "504xx00"', 'operation = "payout"\nnth = 2'))
    assert status == 200
    assert told == {
        "title": "one rule", "state": "start", "rules": [{"name": "it", "line": 2, "matched": 0, "fired": 0}],
    }  # fmt: skip
    assert [await stage.pay("R1"), await stage.pay("R2")] == ["2001700", "5041700"]
    assert (await control(stage, "GET", "scenario"))[1]["rules"][0] == {
        "name": "it", "line": 2, "matched": 2, "fired": 1,
    }  # fmt: skip
    status, told = await control(stage, "PUT", "scenario", "x = 1")
    assert (status, told["error"]) == (400, "the scenario cannot be used")
    assert told["problems"][0].startswith("scenario line 1: x is not known")
    assert (await control(stage, "GET", "scenario"))[1]["title"] == "one rule"
    assert (await control(stage, "DELETE", "scenario"))[1] == {"title": None, "state": None, "rules": []}


async def test_a_scenario_can_set_the_clock(stage: Stage) -> None:
    await control(stage, "PUT", "scenario", "[clock]\nat = 2026-12-31T23:59:00\nfrozen = true")
    stage.clock.shift(1_000)
    assert (await control(stage, "GET", "health"))[1]["now"] == "2026-12-31T23:59:00+07:00"


async def test_verify(stage: Stage) -> None:
    await stage.begin('code = "504xx00"', 'operation = "status"\nnth = 1')
    await stage.pay("R1")
    await stage.pay("R2", OTHER)
    await stage.status("R1")
    await stage.status("R1")

    async def problems(**asked: Any) -> list[str]:
        status, told = await control(stage, "POST", "verify", asked)
        assert status == (200 if told["ok"] else 409)
        assert told["ok"] is not bool(told["problems"])
        found: list[str] = told["problems"]
        return found

    good = [
        {"operation": "token", "count": 2}, {"operation": "payout", "account": ACCOUNT, "count": 1, "code": "20017*"},
        {"operation": "payout", "reference": "R2", "account": OTHER},
        {"operation": "status", "rule": "it", "status": 504},
        {"operation": "status", "count": {"min": 1, "max": 2}, "account": "+6281100000001", "outcome": "answered"},
    ]  # fmt: skip
    assert await problems(expect=good, in_order=True, nothing_else=True) == []
    assert await problems(expect=[{"operation": "payout", "count": 1}]) == [
        "expected 1 of: payout; there were 2 (calls 3, 4)"
    ]
    assert await problems(expect=[{"operation": "payout", "account": ACCOUNT, "code": "4*"}]) == [
        "expected 1 or more of: payout, code 4*, account *01; there were 0"
    ]
    assert await problems(expect=[{"operation": "status"}, {"operation": "payout"}], in_order=True) == [
        "out of order: no call after number 5 (status) is: payout"
    ]
    assert await problems(expect=[{"operation": "token"}, {"operation": "payout"}], nothing_else=True) == [
        "unexpected: call 5, POST /snap-service/v1/transfer/status (5043600)",
        "unexpected: call 6, POST /snap-service/v1/transfer/status (2003600)",
    ]
    assert await problems(since=4, expect=[{"operation": "payout", "count": 0}]) == []
    status, told = await control(stage, "POST", "verify", {"expect": [{"operation": 1}]})
    assert (status, told["error"]) == (400, "Expected `str`, got `int` - at `$.expect[0].operation`")


async def test_verify_does_not_vouch_for_calls_that_are_no_longer_kept(stage: Stage) -> None:
    for _ in range(KEPT_CALLS + 5):
        stage.mock.backstage.missed(Call("GET", "/x", "", {}, b""), 404)
    with pytest.raises(AssertionError, match="calls 1 to 5 are no longer kept"):
        stage.partner.verify(Expected("/x", count=Count(min=1)))
    stage.partner.verify(Expected("/x", count=KEPT_CALLS), since=5)


async def test_reset_starts_anew_on_the_first_world_or_another(stage: Stage) -> None:
    await stage.begin('code = "504xx00"', 'operation = "payout"\nnth = 1')
    await control(stage, "POST", "clock", {"advance_s": 5})
    assert [await stage.pay(), await stage.pay()] == ["5041700", "2001700"]
    assert await control(stage, "POST", "reset") == (200, {"status": "ok"})
    fresh = Stage(stage.partner)
    assert (fresh.booked(), fresh.clock.now()) == ([], NOON)
    assert (await control(fresh, "GET", "requests"))[1]["total"] == 0
    await fresh.snap.authenticate()
    assert [await fresh.pay(), await fresh.pay()] == ["5041700", "2001700"]  # the same scenario from its beginning
    row = "bni,7000000009,+6281100000009,BUDI,,full,active,123456,,0,0,"
    assert (await control(fresh, "POST", "reset", ",".join(COLUMNS) + f"\n{row}\n"))[0] == 200
    assert "7000000009" in fresh.mock.world.accounts
    assert ACCOUNT not in fresh.mock.world.accounts
    status, told = await control(fresh, "POST", "reset", ",".join(COLUMNS) + f"\n{row.replace('full', 'gold')}\n")
    assert (status, told) == (400, {"error": "world line 2: field kyc is malformed"})
    assert "7000000009" in fresh.mock.world.accounts


async def test_a_bare_app_cannot_reset_and_says_so() -> None:
    clock, world = Clock(), World("bni")
    app = MockApp(control_routes(world, clock, Scheduler(clock)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mock") as http:
        reply = await http.post("/__mock__/reset")
    assert reply.status_code == 409
    assert "mock-partners serve" in reply.json()["error"]


@pytest.mark.parametrize("origin", ["http://evil.test", "http://127.0.0.1.evil.test", "null"])
async def test_the_control_api_answers_this_machine_only(stage: Stage, origin: str) -> None:
    transport = httpx.ASGITransport(stage.mock, client=("10.0.0.5", 1234))
    async with httpx.AsyncClient(transport=transport, base_url="http://mock") as far:
        assert (await far.post("/__mock__/clock", json={"freeze": True})).status_code == 403
        assert (await far.get("/__mock__/requests")).status_code == 403
        assert (await far.get("/__mock__/health")).status_code == 200
    reply = await stage.http.post("/__mock__/clock", json={"freeze": True}, headers={"Origin": origin})
    assert reply.status_code == 403
    assert not stage.clock.stage.frozen
    for host, status in (("evil.test:9101", 403), ("127.0.0.1.evil.test", 403), ("[::1", 403), ("a.localhost", 200),
                         ("[::1]:9101", 200), ("mocks:9101", 200)):  # fmt: skip
        assert (await stage.http.get("/__mock__/requests", headers={"Host": host})).status_code == status, host
    same = {"Origin": "http://127.0.0.1:9100"}
    assert (await stage.http.post("/__mock__/clock", json={"freeze": True}, headers=same)).status_code == 200


async def test_a_notification_is_logged_and_sent_again() -> None:
    clock, world, answers = Clock(), World("bni"), [503, 200, 200]
    scheduler = Scheduler(clock, auto=False)
    sent: list[bytes] = []

    async def send(_url: str, notice: Notice) -> int:
        sent.append(notice.body)
        return answers.pop(0)

    notifier = Notifier(scheduler, "http://gateway.test", send)

    async def visit(call: Call) -> Reply:
        notifier.post(Notice("POST", "/callbacks/x", b'{"token":"t","status":"ok"}', {}), retries_s=(1.0,))
        return json_reply(200, {})

    app = MockApp([Route("GET", "/visit", visit), *control_routes(world, clock, scheduler)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mock") as http:
        await http.get("/visit")
        await scheduler.travel(clock.seconds() + 2)
        told = (await http.get("/__mock__/notifications")).json()
        assert told["notifications"][0]["tries"] == [503, 200]
        assert told["notifications"][0]["body"] == {"token": "***", "status": "ok"}
        assert (await http.post("/__mock__/notifications/1/again")).status_code == 202
        assert (await http.post("/__mock__/notifications/2/again")).status_code == 404
        await scheduler.travel(clock.seconds() + 1)
    assert len(sent) == 3
    assert len(set(sent)) == 1
