"""What a collector is told: each link and each incentive is one trace, through the API, the worker and the partner."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway import tracing
from gateway.partners.executor import Exchange
from tests.gateway import test_walk
from tests.gateway.app import app_of
from tests.gateway.payouts.town import Quiet
from tests.gateway.test_walk import walker

memory = pytest.importorskip(
    "opentelemetry.sdk.trace.export.in_memory_span_exporter",
    reason="the tests of traces were NOT run: opentelemetry-sdk is not installed; rebuild .venv with `make`",
)
AT = datetime(2026, 1, 15, 5, tzinfo=UTC)
CALL = Exchange(
    at=AT, partner="ovo", operation="payout.topup", effect="WRITE", subject="17", status=None, error="ReadTimeout",
    left_us=True, took_ms=2_900,
)  # fmt: skip
TRACEPARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans() -> Iterator[Any]:
    """What was told until now; nothing is told after it is asked for."""
    kept = memory.InMemorySpanExporter()
    tracing.begin("test", exporter=kept)

    def told() -> list[Any]:
        tracing.end()
        return list(kept.get_finished_spans())

    yield told
    tracing.end()


def named(spans: list[Any]) -> dict[int, list[str]]:
    """Names by trace, in the order of their beginnings."""
    found = defaultdict(list)
    for span in spans:
        found[span.context.trace_id].append(span.name)
    return found


async def test_a_link_and_a_payout_are_a_trace_each(database: str, spans: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_walk, "app_of", lambda core: tracing.served(app_of(core)))
    async with walker(database) as walk:
        await walk.pay(1)
        await walk.link(11)
        ((incentive,), (link,)) = [
            [row["id"] for row in await walk.city.fetch(asked)]
            for asked in ("SELECT incentive AS id FROM payouts", "SELECT max(id) AS id FROM links")
        ]
    told = spans()
    traces = named(told)
    paid, linked = traces[tracing.trace_id(tracing.of_incentive(incentive))], traces[tracing.trace_id(link)]
    assert paid[0] == "POST /v1/payouts" and paid[-1] == "ovo payout.transfer"
    assert linked[0] == "POST /v1/links" and linked[-1] == "ovo identity.verify", linked
    assert {"GET /connect/{token}", "ovo link.begin", "GET /callbacks/{partner}/link"} <= set(linked), linked
    within = {span.context.span_id: span.name for span in told}
    called = {span.name: within[span.parent.span_id] for span in told if span.parent is not None}
    assert called["ovo link.begin"] == "POST /connect/{token}"
    everything = " ".join(span.to_json() for span in told)
    assert "?" not in everything and "110101010190" not in everything and test_walk.HOME not in everything


async def test_a_collector_on_loopback_is_told_over_otlp(monkeypatch: pytest.MonkeyPatch) -> None:
    collected = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    heard: list[bytes] = []

    async def traces(request: web.Request) -> web.Response:
        heard.append(await request.read())
        return web.Response()

    app = web.Application()
    app.router.add_post("/v1/traces", traces)
    collector = TestServer(app)
    async with collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", str(collector.make_url("")))
        tracing.begin("gateway-worker")
        journal = tracing.traced(Quiet())
        tracing.about("incentive 5")
        journal.write(CALL)
        tracing.applied("gopay", "iris", AT, "applied")
        await asyncio.to_thread(tracing.end)
    (resource,) = (one for body in heard for one in collected.ExportTraceServiceRequest.FromString(body).resource_spans)
    assert {one.key: one.value.string_value for one in resource.resource.attributes}["service.name"] == "gateway-worker"
    (call, notice) = (span for scope in resource.scope_spans for span in scope.spans)
    assert int.from_bytes(call.trace_id) == int.from_bytes(notice.trace_id) == tracing.trace_id("incentive 5")
    assert (call.name, call.end_time_unix_nano - call.start_time_unix_nano) == ("ovo payout.topup", 2_900_000_000)
    assert call.status.code == 2 and notice.name == "gopay iris notification"


async def asked(app: Any, path: str) -> None:
    scope = {
        "type": "http", "method": "GET", "path": path, "path_template": path, "state": {},
        "headers": [(b"traceparent", TRACEPARENT)],
    }  # fmt: skip

    async def told(_: Any) -> None:
        """Nobody reads it."""

    await tracing.served(app)(scope, None, told)  # type: ignore[arg-type, typeddict-item]


async def test_a_callers_trace_goes_on_or_is_linked_to_and_what_is_asked_all_day_is_left_out(spans: Any) -> None:
    async def app(scope: Any, _: Any, send: Any) -> None:
        if scope["path"] == "/v1/links":
            tracing.about("L1")
        await send({"type": "http.response.start", "status": 503})

    for path in ("/v1/links", "/v1/funnel", "/health/live", "/metrics"):
        await asked(app, path)
    theirs = int(TRACEPARENT.split(b"-")[1], 16)
    linked, read = spans()
    assert linked.context.trace_id == tracing.trace_id("L1") and linked.links[0].context.trace_id == theirs
    assert read.context.trace_id == theirs and not read.links and read.status.status_code.name == "ERROR"


async def test_what_tasks_are_about_is_each_ones_own(spans: Any) -> None:
    """A task that says nothing is about nothing, whatever others do meanwhile."""
    journal = tracing.traced(Quiet())

    async def work(key: str | None) -> None:
        if key is not None:
            tracing.about(key)
        await asyncio.sleep(0)
        journal.write(CALL)

    await asyncio.gather(work("L1"), work(None), work("L2"))
    found = named(spans())
    assert len(found) == 3 and {tracing.trace_id("L1"), tracing.trace_id("L2")} < found.keys()


def test_nothing_is_traced_unless_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    tracing.begin("gateway-api")
    journal: Any = Quiet()
    app: Any = object()
    assert tracing.traced(journal) is journal and tracing.served(app) is app
