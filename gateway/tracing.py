"""OpenTelemetry traces: what the API was asked, what partners were asked for it, what they posted about it.

Off, and nothing of it loaded, unless the environment names a collector (`OTEL_EXPORTER_OTLP_ENDPOINT`); the SDK reads
its other variables by itself. Each link is one trace and so is each incentive, in whichever processes its parts happen:
the trace's id is made from the id of the link or incentive, so that nothing has to be carried along or kept. A caller's
own `traceparent` is linked to. No span holds a body, a query, a token, or anything of a person.
"""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Message, Receive, Scope, Send

    from gateway.partners.executor import Exchange, Journal

_COLLECTOR = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_MOST_CALLS = 50
"""Of partners, within one request."""
_UNTRACED = ("/health", "/metrics", "/ops/live", "/ops/assets")
"""Asked every few seconds, about nothing in particular."""


class _Here:
    """What this task is about; of a request also its calls, told once the request itself can be."""

    def __init__(self, key: str | None = None) -> None:
        self.key = key
        self.calls: list[Exchange] | None = None


_HERE: ContextVar[_Here | None] = ContextVar("traced", default=None)
_tracing: _Tracing | None = None


def begin(service: str, *, exporter: Any = None) -> None:
    """Send spans from now on, if the environment names a collector or an `exporter` is given; `service`: who tells."""
    global _tracing
    if exporter is not None or any(os.environ.get(name) for name in _COLLECTOR):
        _tracing = _Tracing(service, exporter)


def end() -> None:
    """Send what is left, and no more."""
    global _tracing
    if _tracing is not None:
        _tracing.close()
        _tracing = None


def trace_id(key: str) -> int:
    """The trace of a link (its id) or of an incentive (`incentive` and its number)."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:16])


def of_incentive(number: int) -> str:
    """The key of an incentive, its payouts included."""
    return f"incentive {number}"


def about(key: str) -> None:
    """What this task does from now on, and the request that it belongs to, are about that link or incentive."""
    if _tracing is None:
        return
    here = _HERE.get()
    if here is None or here.calls is None:
        _HERE.set(_Here(key))
    else:
        here.key = key


def applied(partner: str, kind: str, received_at: datetime, result: str) -> None:
    """A notification of a partner has been applied to what this task is `about`."""
    here = _HERE.get()
    if _tracing is not None:
        _tracing.notification(here.key if here is not None else None, partner, kind, received_at, result)


def traced(journal: Journal) -> Journal:
    """The same journal, whose lines become spans where traces are on."""
    return journal if _tracing is None else _Traced(journal)


def served(app: ASGIApp) -> ASGIApp:
    """The same application, whose requests become spans where traces are on."""
    if _tracing is None:
        return app

    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        here, began_ns, status = _Here(), time.time_ns(), 500
        here.calls = []

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        _HERE.set(here)
        try:
            await app(scope, receive, watched)
        finally:
            _HERE.set(None)
            calls, here.calls = here.calls, None
            if _tracing is not None:
                _tracing.request(here.key, scope, began_ns, status, calls)

    return answered


class _Traced:
    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def write(self, exchange: Exchange) -> None:
        self._journal.write(exchange)
        here = _HERE.get()
        if _tracing is None:
            return
        if here is None or here.calls is None:
            _tracing.call(None if here is None else here.key, exchange)
        elif len(here.calls) < _MOST_CALLS:
            here.calls.append(exchange)


class _Ids:
    """Trace ids made from keys; all else by chance, which is drawn apart from everybody's."""

    def __init__(self) -> None:
        self.wanted: int | None = None
        self._chance = random.SystemRandom()

    def generate_trace_id(self) -> int:
        return self.wanted or self._chance.getrandbits(127) + 1

    def generate_span_id(self) -> int:
        return self._chance.getrandbits(63) + 1

    def is_trace_id_random(self) -> bool:
        return self.wanted is None


class _Tracing:
    def __init__(self, service: str, exporter: Any) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        self._ids = _Ids()
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": service}),
            id_generator=cast("Any", self._ids),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("gateway")

    def close(self) -> None:
        self._provider.shutdown()

    def request(self, key: str | None, scope: Scope, began_ns: int, status: int, calls: list[Exchange]) -> None:
        route = str(scope.get("path_template") or "unknown")
        if route.startswith(_UNTRACED):
            return
        method = str(scope.get("method"))
        about = {"http.request.method": method, "http.route": route, "http.response.status_code": status}
        # What the log names it by (`gateway.api.request_ids`), so that the two are found from each other.
        about |= {"request_id": str(scope.get("state", {}).get("request_id", ""))}
        sent = dict(scope["headers"]).get(b"traceparent", b"").decode("ascii", "replace")
        span = self._span(f"{method} {route}", "SERVER", key, about, began_ns, sent=sent, failed=status >= 500)
        for exchange in calls:
            self.call(key, exchange, within=span)
        span.end()

    def call(self, key: str | None, exchange: Exchange, *, within: Any = None) -> None:
        about = {
            "partner": exchange.partner, "operation": exchange.operation, "effect": exchange.effect,
            "subject": exchange.subject, "left_us": exchange.left_us,
        } | ({} if exchange.status is None else {"http.response.status_code": exchange.status}) | (
            {} if exchange.error is None else {"error.type": exchange.error}
        )  # fmt: skip
        at_ns = _ns(exchange.at)
        name, failed = f"{exchange.partner} {exchange.operation}", exchange.error is not None
        span = self._span(name, "CLIENT", key, about, at_ns, within=within, failed=failed)
        span.end(at_ns + exchange.took_ms * 1_000_000)

    def notification(self, key: str | None, partner: str, kind: str, received_at: datetime, result: str) -> None:
        about = {"partner": partner, "kind": kind, "result": result}
        self._span(f"{partner} {kind} notification", "CONSUMER", key, about, _ns(received_at)).end()

    def _span(
        self, name: str, kind: str, key: str | None, about: Mapping[str, Any], at_ns: int, *, within: Any = None,
        sent: str = "", failed: bool = False,
    ) -> Any:  # fmt: skip
        from opentelemetry import trace
        from opentelemetry.context import Context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        caller = TraceContextTextMapPropagator().extract({"traceparent": sent}, Context())
        theirs = trace.get_current_span(caller).get_span_context()
        parent: Any = Context() if within is None else trace.set_span_in_context(within, Context())
        if within is None and key is None and theirs.is_valid:
            parent = caller
        self._ids.wanted = None if key is None else trace_id(key)
        span = self._tracer.start_span(
            name, context=parent, kind=trace.SpanKind[kind], attributes=about, start_time=at_ns,
            links=[trace.Link(theirs)] if theirs.is_valid and key is not None else (),
        )  # fmt: skip
        if failed:
            span.set_status(trace.StatusCode.ERROR)
        return span


def _ns(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000) * 1_000
