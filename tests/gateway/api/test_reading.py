"""Events in order, partners and their switches, health, metrics, the description."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from redis.asyncio import Redis

from adapters.registry import PARTNERS
from contracts.events import EventType
from contracts.incentive import BlockerCode
from gateway.api.examples import ANSWERS, BODIES
from gateway.clock import SystemClock
from gateway.core import Core
from gateway.storage.base.clocks import Clocks
from gateway.storage.messages import events
from gateway.storage.ops import cases, switches
from gateway.storage.ops.cases import NewCase
from tests.gateway.api.kit import Api, as_csv, row
from tests.gateway.app import app_of

AT = datetime(2026, 1, 1, tzinfo=UTC)


async def test_no_event_is_left_out_however_transactions_end(api: Api, database: str) -> None:
    """A transaction that began first and commits last: a reader must neither pass it nor wait for ever."""
    early, late = await asyncpg.connect(database), await asyncpg.connect(database)
    try:
        slow = early.transaction()
        await slow.start()
        await early.execute("INSERT INTO events (type, subject, data, at) VALUES ('t', 'early', '{}', $1)", AT)
        await late.execute("INSERT INTO events (type, subject, data, at) VALUES ('t', 'late', '{}', $1)", AT)
        first = (await api.call("GET", "/v1/events", role="operator")).json()
        assert first["events"] == [], "the late one must wait for the early one"
        now = (await api.call("GET", "/v1/events", role="operator", params={"cursor": "now"})).json()
        await slow.commit()
        for who in (first, now):
            after = {"cursor": who["next_cursor"]}
            told = (await api.call("GET", "/v1/events", role="operator", params=after)).json()["events"]
            assert [e["subject"] for e in told] == ["early", "late"], "what no list showed yet when it began"
        assert now["events"] == []
        now = (await api.call("GET", "/v1/events", role="operator", params={"cursor": "now"})).json()
        rest = (await api.call("GET", "/v1/events", role="operator", params={"cursor": now["next_cursor"]})).json()
        assert [e["subject"] for e in rest["events"]] in ([], ["late"]), "and not all from the beginning"
        second = (await api.call("GET", "/v1/events", role="operator", params={"after": first["next_cursor"]})).json()
        assert [e["subject"] for e in second["events"]] == ["early", "late"]
    finally:
        await early.close()
        await late.close()


async def test_paging_while_others_write_misses_and_repeats_nothing(api: Api, core: Core) -> None:
    written = 0

    async def write(writer: int) -> None:
        nonlocal written
        for n in range(25):
            async with core.resources.database.transaction() as connection:
                await events.emit(connection, AT, [(EventType.INCENTIVE_CHANGED, f"{writer}-{n}", {})])
                await asyncio.sleep(0)
                await events.emit(connection, AT, [(EventType.INCENTIVE_CHANGED, f"{writer}-{n}-b", {})])
            written += 2

    writers = [asyncio.create_task(write(number)) for number in range(4)]
    read: list[str] = []
    cursor: str | None = None
    while True:
        done = all(task.done() for task in writers)
        page = (
            await api.call(
                "GET", "/v1/events", role="operator", params={"limit": 7} | ({"after": cursor} if cursor else {})
            )
        ).json()
        read += [event["subject"] for event in page["events"]]
        cursor = page["next_cursor"]
        if done and not page["events"]:
            break
    await asyncio.gather(*writers)
    assert len(read) == len(set(read)) == written == 200


async def test_partners_say_what_they_can_and_what_is_assumed(api: Api) -> None:
    partners = (await api.call("GET", "/v1/partners")).json()["partners"]
    assert [p["partner"] for p in partners] == list(PARTNERS)
    for partner in partners:
        assert partner["capabilities"]
        assert partner["assumed"]
        assert all(fact["source"] and fact["mark"] in ("assumed", "recalled") for fact in partner["assumed"])
        assert partner["paused"] is None


async def test_a_partner_is_paused_and_resumed_once_on_the_record(api: Api) -> None:
    for _ in range(2):
        paused = await api.call("POST", "/v1/partners/ovo/pause", role="operator", json={"reason": "cut-off"})
    assert paused.json()["paused"]["by"] == "operator"
    for _ in range(2):
        resumed = await api.call("POST", "/v1/partners/ovo/resume", role="operator")
    assert resumed.json()["paused"] is None
    audited = await api.fetch("SELECT actor, action FROM audit_log WHERE subject = 'ovo' ORDER BY seq")
    assert [tuple(r) for r in audited] == [("operator", "partner.pause"), ("operator", "partner.resume")]


async def test_whoever_resumes_reads_why_others_have_it_paused(api: Api) -> None:
    """Paused for the night by one, for money that went astray by another, each of whom says so twice."""
    said = [("operator", "cut-off"), ("three", "credits went astray"), ("three", "credits went astray"),
            ("operator", "cut-off"), ("three", "cut-off")]  # fmt: skip
    for role, reason in said:
        await api.fetch("UPDATE access_tokens SET scopes = '{ops}' WHERE client_id = 'three'")
        api.core.clients.forget()
        reply = await api.call("POST", "/v1/partners/ovo/pause", role=role, json={"reason": reason})
        assert reply.status_code == 200, reply.text
    paused = reply.json()["paused"]
    assert (paused["by"], paused["reason"]) == (
        "operator", "cut-off; also: three: credits went astray; also: three: cut-off",
    )  # fmt: skip
    audited = await api.fetch("SELECT actor, data ->> 'reason' AS why FROM audit_log WHERE action = 'partner.pause'")
    assert [tuple(one) for one in audited] == [said[0], said[1], said[4]]
    told = [e for e in (await api.call("GET", "/v1/events")).json()["events"] if e["type"] == "partner.paused"]
    assert len(told) == 1


async def test_a_clock_that_ends_its_own_pause_lifts_nobody_elses(api: Api) -> None:
    """Paused for the night by one client; meanwhile somebody else, or the gateway itself, has another reason."""
    path, database = "/v1/partners/ovo", api.core.resources.database
    await api.fetch("UPDATE access_tokens SET scopes = '{ops}' WHERE client_id = 'three'")
    api.core.clients.forget()
    for other in ("three", "gateway"):
        for first, second in (("operator", other), (other, "operator")):
            for who in (first, second):
                async with database.transaction() as connection:
                    now = api.core.resources.clock.now()
                    if not await switches.pause(connection, now, "ovo", by=who, reason=f"of {who}"):
                        await switches.pause_too(connection, "ovo", by=who, reason=f"of {who}")
            refused = await api.call("POST", f"{path}/resume", role="operator")
            assert refused.status_code == 409, refused.text
            assert f"of {other}" in refused.json()["detail"]
            (paused,) = [p["paused"] for p in (await api.call("GET", "/v1/partners")).json()["partners"] if p["paused"]]
            assert paused["read"] in refused.json()["remedy"], "what to send is told"
            stale = await api.call("POST", f"{path}/resume", role="operator", json={"read": "0" * 16})
            assert stale.status_code == 409
            body = {"read": paused["read"]}
            assert (await api.call("POST", f"{path}/resume", role="operator", json=body)).status_code == 200
            again = await api.call("POST", f"{path}/resume", role="operator", json=body)
            assert again.status_code == 200 and again.json()["paused"] is None, "asked twice"
            [last] = await api.fetch("SELECT action, data ->> 'reason' AS why FROM audit_log ORDER BY seq DESC LIMIT 1")
            assert last["action"] == "partner.resume" and f"of {other}" in last["why"]
    for reason in ("for the night", "for another night"):
        await api.call("POST", f"{path}/pause", role="operator", json={"reason": reason})
    assert (await api.call("POST", f"{path}/resume", role="operator")).json()["paused"] is None, "both are its own"
    for body in ({"read": ""}, {"read": 7}, {"reason": "x y z"}):
        assert (await api.call("POST", f"{path}/resume", role="operator", json=body)).status_code == 422, body


async def test_a_body_that_may_be_left_out_is_described_as_such(api: Api) -> None:
    """Generators of clients make a method with a body that nobody must give, and no type of its own for nothing."""
    paths = (await api.http.get("/schema")).json()["paths"]
    body = paths["/v1/partners/{partner}/resume"]["post"]["requestBody"]
    assert body["required"] is False
    assert body["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Resume"}
    assert paths["/v1/partners/{partner}/pause"]["post"]["requestBody"]["required"] is True


async def test_a_client_closes_no_case_that_says_more_by_now(api: Api) -> None:
    """Its evidence grew between the list that was read and the word that closes it."""
    database, clock = api.core.resources.database, api.core.resources.clock
    async with database.transaction() as connection:
        new = NewCase(code=BlockerCode.CONTRADICTION, partner="ovo", detail="paid, then refused")
        await cases.open_cases(connection, clock.now(), [new])

    async def shown() -> dict[str, Any]:
        return (await api.call("GET", "/v1/cases", role="operator")).json()["cases"][0]  # type: ignore[no-any-return]

    async def close(read: str) -> int:
        body = {"reason": "given back, letter 17", "read": read}
        path = f"/v1/cases/{case['case_id']}/close"
        return (await api.call("POST", path, role="operator", json=body)).status_code

    case = await shown()
    await api.fetch("UPDATE cases SET detail = detail || '; also: credited twice'")
    more = await shown()
    assert await close(case["read"]) == 409
    assert await close(more["read"]) == 200


async def test_whoever_resumes_what_a_recovery_holds_is_told_what_lets_it_go(api: Api) -> None:
    await api.fetch(
        "INSERT INTO recoveries (partner, since, opened_at, settled_at) VALUES ('dana', now(), now(), now())"
    )
    await api.call("POST", "/v1/partners/dana/pause", role="operator", json={"reason": "cut-off"})
    assert (await api.call("POST", "/v1/partners/dana/resume", role="operator")).status_code == 200, "the pause is over"
    refused = await api.call("POST", "/v1/partners/dana/resume", role="operator")
    assert refused.status_code == 409 and "gateway recover" in refused.json()["remedy"]
    assert (await api.call("POST", "/v1/partners/bni/resume", role="operator")).status_code == 200


async def test_health_needs_no_token(api: Api) -> None:
    assert (await api.http.get("/health/live")).json() == {"status": "live"}
    assert (await api.http.get("/health/ready")).json() == {
        "status": "ready",
        "database": "up",
        "redis": "up",
        "key": "good",
        "clock": "good",
    }


class Astray(SystemClock):
    """The machine's clock, and how far it is off."""

    off = timedelta()

    def now(self) -> datetime:
        return super().now() + self.off


@pytest.mark.parametrize("off_s", [3_600.0, -3_600.0])
async def test_a_node_whose_clock_is_not_the_databases_is_not_ready(core: Core, off_s: float) -> None:
    """One that a balancer feeds all the same would hand out challenges and tokens that are over on the other nodes."""
    clock = Astray()
    clocks = Clocks(clock)
    async with core.resources.database.connection() as connection:
        await clocks.ask(connection)
    astray = replace(core, resources=replace(core.resources, on_time=clocks.agree))
    transport = httpx.ASGITransport(app_of(astray), raise_app_exceptions=False)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as client:
        for wrong in (False, True, False):
            clock.off = timedelta(seconds=off_s if wrong else 0.0)
            reply = await client.get("/health/ready")
            assert (reply.status_code, reply.json()["clock"]) == ((503, "off") if wrong else (200, "good"))
        assert (await client.get("/health/live")).status_code == 200


async def test_without_redis_it_is_degraded_and_without_a_store_not_ready(core: Core) -> None:
    nothing = Redis.from_url("redis://127.0.0.1:9", socket_connect_timeout=1)  # as the gateway: it never tries again
    crippled = replace(core, resources=replace(core.resources, redis=nothing))
    transport = httpx.ASGITransport(app_of(crippled), raise_app_exceptions=False)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as client:
        reply = await client.get("/health/ready")
        assert (reply.status_code, reply.json()["status"]) == (200, "degraded")
        await core.resources.database.close()
        reply = await client.get("/health/ready")
        assert (reply.status_code, reply.json()["status"]) == (503, "down")
        assert (await client.get("/health/live")).status_code == 200
    await nothing.aclose()


async def test_metrics_count_incentives(api: Api) -> None:
    await api.submit(as_csv([row(1), row(2)]))
    labels = 'blocker="link_required",partner="ovo",programme="prakerja-2026-1",stage="awaiting_link"'
    assert f"gateway_incentives{{{labels}}} 2.0" in (await api.http.get("/metrics")).text


async def test_the_description_fetches_nothing_from_elsewhere_and_tells_the_truth(api: Api) -> None:
    reply = await api.http.get("/schema")
    document = reply.json()
    shown = json.dumps([ANSWERS, BODIES])  # what clients and partners say: nobody fetches it
    said = set(re.findall(r"\w+://[^\"]*", reply.text)) - set(re.findall(r"\w+://[^\"]*", shown))
    assert said <= {"http://json-schema.org"}
    schemas = document["components"]["schemas"]
    for name in ("NewIncentive", "DecideBatch", "Hasten", "Pause", "StartLink"):
        assert schemas[name]["additionalProperties"] is False, name
    assert schemas["NewIncentive"]["properties"]["amount_rupiah"]["minimum"] == 1
    operation = document["paths"]["/v1/batches"]["post"]
    assert operation["security"] == [{"client": ["batches"]}]
    assert set(operation["requestBody"]["content"]) == {"text/csv", "application/x-ndjson", "application/json"}
    declared = {"rows", "amount_rupiah", "partner_rupiah"}
    assert {p["name"] for p in operation["parameters"]} == {"Idempotency-Key", *declared}
    ids = [o["operationId"] for operations in document["paths"].values() for o in operations.values()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("path", ["/schema/swagger", "/schema/openapi.json"])
async def test_only_the_plain_document_is_served(api: Api, path: str) -> None:
    reply = await api.http.get(path)
    assert reply.status_code == (200 if path.endswith("json") else 404)
