"""Raw handlers on Litestar: a mock sees the request as it came off the wire and answers with exact bytes."""

from __future__ import annotations

import asyncio
import hmac
import logging
import traceback
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Protocol, cast
from urllib.parse import parse_qs

import httpx
import msgspec
from litestar import Litestar, Request, Response
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.types import Message, Method, Scope

LOG = logging.getLogger("mock_partners")
MAX_BODY_BYTES = 1_000_000
RESET = "mock_partners.reset"
"""ASGI extension of `kit.server`: calling it resets the TCP connection."""
CLOSE = "mock_partners.close"
"""ASGI extension of `kit.server`: calling it closes the connection after what was written."""
CONTROL = "/__mock__/"
DELIVERY, APP = "mock_partners.delivery", "mock_partners.app"
CHUNKS = 10
TO_WRITE = "to be written: "
"""What a blank of a mock that is being written answers with."""


class Abort(httpx.ReadError):
    """Raised by a handler to lose its answer (decisions X8): the request was read and done, nobody is told.

    Under `kit.server` the client sees a TCP reset; through httpx.ASGITransport this exception itself, which is an
    httpx.ReadError there.
    """

    def __init__(self) -> None:
        super().__init__("the mock reset the connection instead of answering")


class HangUp(httpx.RemoteProtocolError):
    """Raised to close the connection in an orderly way without an answer, or in the middle of one."""

    def __init__(self) -> None:
        super().__init__("the mock closed the connection before its answer was complete")


@dataclass(frozen=True, repr=False)
class Call:
    """One request as received: `path` and `query` undecoded, header names in lower case, the body untouched."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    params: Mapping[str, Any] = field(default_factory=dict)
    client: str = ""
    """The caller's address."""

    @property
    def target(self) -> str:
        """Path and query string as they stood in the request line: what signatures cover."""
        return f"{self.path}?{self.query}" if self.query else self.path

    def header(self, name: str) -> str:
        """A header's value, or an empty text."""
        return self.headers.get(name, "")

    def query_values(self) -> dict[str, str]:
        """The query parameters, decoded; the first of each name."""
        return {name: values[0] for name, values in parse_qs(self.query, keep_blank_values=True).items()}

    def form(self) -> dict[str, str]:
        """The fields of a posted HTML form, decoded; the first of each name."""
        text = self.body.decode("utf-8", "replace")
        return {name: values[0] for name, values in parse_qs(text, keep_blank_values=True).items()}


@dataclass(frozen=True)
class Wire:
    """How an answer travels when a scenario says so: in small pieces, or only its first half."""

    trickle_s: float = 0.0
    cut: bool = False
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(frozen=True, repr=False)
class Reply:
    """One answer: status, headers and the bytes that go out."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    wire: Wire | None = None


Handler = Callable[[Call], Awaitable[Reply]]
NoSuchPath = Callable[[str, int], Reply]
"""The answer to a path or method that the partner does not have, given the path and 404 or 405."""


class Runner(Protocol):
    """Stands between the wire and the handlers: the log, and the scenario (`kit.backstage`)."""

    operations: tuple[str, ...]
    """What the app answers beside the control API."""

    async def run(self, route: Route, call: Call) -> Reply: ...

    def missed(self, call: Call, status: int) -> None: ...


@dataclass(frozen=True)
class Route:
    """`path` may hold Litestar parameters such as `/payouts/{number:str}`; they arrive in `Call.params`.

    `name` is what the log calls the operation: method and path unless given. `runner` is set by `control_routes` and
    serves the whole app.
    """

    method: Method
    path: str
    handler: Handler
    name: str = ""
    runner: Runner | None = field(default=None, repr=False, compare=False)

    @cached_property
    def operation(self) -> str:
        return self.name or f"{self.method} {self.path}"


def gated(handler: Handler, service: str) -> Handler:
    """Marks a handler that asks the scenario for another answer itself, after its checks; with its SNAP service."""
    handler.service = service  # type: ignore[attr-defined]
    return handler


def gated_service(handler: Handler) -> str | None:
    """The SNAP service of a gated handler; None for any other."""
    return getattr(handler, "service", None)


def json_reply(status: int, body: object, headers: Mapping[str, str] | None = None) -> Reply:
    """A JSON answer, encoded compactly and once."""
    return Reply(status, msgspec.json.encode(body), {"Content-Type": "application/json", **(headers or {})})


def json_object(raw: bytes) -> dict[str, Any] | None:
    """A body that is a JSON object; None for any other."""
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def same(given: str, right: str) -> bool:
    """Compares what a client sent with a secret, in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), right.encode())


def redirect(location: str) -> Reply:
    """302 to an address."""
    return Reply(302, b"", {"Location": location})


class _Delivery:
    """How the answer of one request leaves; `lost` holds the exception that stands for it in process."""

    __slots__ = ("lost", "reached", "status", "wire")

    def __init__(self) -> None:
        self.reached = False
        self.status = 0
        self.lost: Abort | HangUp | None = None
        self.wire: Wire | None = None


def by_prefix(answers: Mapping[str, NoSuchPath]) -> NoSuchPath:
    """Each of a partner's hosts answers unknown paths in its own words; the longest prefix counts, "" is the rest."""
    prefixes = sorted(answers, key=len, reverse=True)
    return lambda path, status: answers[next(one for one in prefixes if path.startswith(one))](path, status)


def no_such_control_call(_path: str, status: int) -> Reply:
    """Beside the partner's own paths."""
    return json_reply(status, {"error": "the control API has no such call: see mock_partners/README.md"})


class MockApp:
    """The ASGI application of one mock. It needs no lifespan; lost answers are lost here, outside Litestar."""

    def __init__(self, routes: Iterable[Route], not_found: NoSuchPath | None = None) -> None:
        self.routes = tuple(routes)
        """What it answers; a simulator calls the handlers themselves, thousands of apps a minute."""
        self.runner = next((route.runner for route in self.routes if route.runner is not None), None)
        if self.runner is not None:
            self.runner.operations = tuple(r.operation for r in self.routes if not r.path.startswith(CONTROL))
        self.not_found = None if not_found is None else by_prefix({CONTROL: no_such_control_call, "": not_found})

    @cached_property
    def _paths(self) -> tuple[tuple[Method, str], ...]:
        return tuple((route.method, route.path) for route in self.routes)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        delivery = scope[DELIVERY] = _Delivery()
        scope[APP] = self

        async def deliver(message: Message) -> None:
            if delivery.lost is not None:
                return
            if message["type"] == "http.response.start":
                delivery.status = message["status"]
            if delivery.wire is None or message["type"] != "http.response.body":
                await send(message)
            else:
                await _send_slowly(delivery, message, send)

        await _router(self._paths, self.not_found is not None)(cast(Scope, scope), receive, deliver)
        if not delivery.reached and self.runner is not None:
            self.runner.missed(_call(scope, b"", {}), delivery.status)
        if delivery.lost is not None:
            extension = RESET if isinstance(delivery.lost, Abort) else CLOSE
            end = (scope.get("extensions") or {}).get(extension)
            if end is None:
                raise delivery.lost
            end()
            while (await receive())["type"] != "http.disconnect":
                pass


async def _send_slowly(delivery: _Delivery, message: Any, send: Any) -> None:
    """Sends a body as a scenario wants it; the headers, with the whole body's length, have gone before."""
    wire, body = delivery.wire, message["body"]
    assert wire is not None
    if wire.cut:
        body = body[: len(body) // 2]
        delivery.lost = HangUp()
    size = max(-(-len(body) // CHUNKS), 1)
    pieces = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
    for piece in pieces:
        if wire.trickle_s:
            await wire.sleep(wire.trickle_s / len(pieces))
        last = piece is pieces[-1] and delivery.lost is None
        await send({"type": "http.response.body", "body": piece, "more_body": not last})


def _call(scope: Any, body: bytes, params: Mapping[str, Any]) -> Call:
    return Call(
        method=scope["method"],
        path=scope["raw_path"].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
        body=body,
        params=params,
        client=(scope.get("client") or ("",))[0],
    )


@lru_cache(maxsize=32)
def _router(paths: tuple[tuple[Method, str], ...], answers_unknown: bool) -> Litestar:
    """Leads to the routes of whichever app a request came to; one for all apps that have the same paths. Assembled at
    the first request: that takes longer than many a simulated day.
    """

    def unknown(request: Request[Any, Any, Any], problem: HTTPException) -> Response[bytes]:
        scope = cast(dict[str, Any], request.scope)
        return _response(scope[APP].not_found(scope["path"], problem.status_code))

    handlers: dict[type[Exception] | int, Any] = {HTTPException: unknown} if answers_unknown else {}
    return Litestar(
        [_litestar_handler(n, method, path) for n, (method, path) in enumerate(paths)],
        exception_handlers=handlers,
        logging_config=None,
        openapi_config=None,
        request_max_body_size=MAX_BODY_BYTES,
    )


def _litestar_handler(n: int, method: Method, path: str) -> HTTPRouteHandler:
    async def endpoint(request: Request[Any, Any, Any]) -> Response[bytes]:
        scope = cast(dict[str, Any], request.scope)
        delivery: _Delivery = scope[DELIVERY]
        delivery.reached = True
        app: MockApp = scope[APP]
        route, runner = app.routes[n], None if path.startswith(CONTROL) else app.runner
        call = _call(scope, await request.body(), request.path_params)
        try:
            reply = await (route.handler(call) if runner is None else runner.run(route, call))
            delivery.wire = reply.wire
            return _response(reply)
        except (Abort, HangUp) as lost:
            delivery.lost = lost
            return Response(b"", status_code=200)
        except Exception as problem:  # noqa: BLE001  (a bug of the mock, reported as one)
            # The place, not the message: that may hold what a person sent. A blank of the mock quotes the code alone.
            place = "".join(traceback.format_tb(problem.__traceback__))
            LOG.error("the mock's own %s %s failed: %s\n%s", route.method, route.path, type(problem).__name__, place)
            unwritten = isinstance(problem, NotImplementedError)
            told = f"{TO_WRITE}{problem}" if unwritten else "the mock itself failed: see its log"
            return Response(told.encode(), status_code=500, media_type="text/plain")

    return HTTPRouteHandler(path, http_method=method, status_code=200)(endpoint)


def _response(reply: Reply) -> Response[bytes]:
    return Response(
        reply.body,
        status_code=reply.status,
        headers=reply.headers,
        media_type=reply.headers.get("Content-Type", "text/plain"),
    )
