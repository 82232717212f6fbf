"""Raw handlers on Litestar: a mock sees the request as it came off the wire and answers with exact bytes."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast
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
LOST = "mock_partners.lost"


class Abort(httpx.ReadError):
    """Raised by a handler to lose its answer (decisions X8): the request was read and done, nobody is told.

    Under `kit.server` the client sees a TCP reset; through httpx.ASGITransport this exception itself, which is an
    httpx.ReadError there.
    """

    def __init__(self) -> None:
        super().__init__("the mock reset the connection instead of answering")


@dataclass(frozen=True, repr=False)
class Call:
    """One request as received: `path` and `query` undecoded, header names in lower case, the body untouched."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    params: Mapping[str, Any] = field(default_factory=dict)

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


@dataclass(frozen=True, repr=False)
class Reply:
    """One answer: status, headers and the bytes that go out."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Call], Awaitable[Reply]]


@dataclass(frozen=True)
class Route:
    """`path` may hold Litestar parameters such as `/payouts/{number:str}`; they arrive in `Call.params`."""

    method: Method
    path: str
    handler: Handler


def json_reply(status: int, body: object, headers: Mapping[str, str] | None = None) -> Reply:
    """A JSON answer, encoded compactly and once."""
    return Reply(status, msgspec.json.encode(body), {"Content-Type": "application/json", **(headers or {})})


def redirect(location: str) -> Reply:
    """302 to an address."""
    return Reply(302, b"", {"Location": location})


class MockApp:
    """The ASGI application of one mock. It needs no lifespan; lost answers are lost here, outside Litestar."""

    def __init__(self, routes: Iterable[Route], not_found: Callable[[int], Reply] | None = None) -> None:
        self.routes = tuple(routes)
        """What it answers; a simulator calls the handlers themselves, thousands of apps a minute."""
        self._not_found = not_found

    @cached_property
    def _litestar(self) -> Litestar:
        """Assembled at the first request: that takes longer than many a simulated day."""
        handlers: dict[type[Exception] | int, Any] = {}
        not_found = self._not_found
        if not_found is not None:
            handlers[HTTPException] = lambda _request, problem: _response(not_found(problem.status_code))
        return Litestar(
            [_litestar_handler(route) for route in self.routes],
            exception_handlers=handlers,
            logging_config=None,
            openapi_config=None,
            request_max_body_size=MAX_BODY_BYTES,
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        lost: list[Abort] = []
        scope[LOST] = lost

        async def unless_lost(message: Message) -> None:
            if not lost:
                await send(message)

        await self._litestar(cast(Scope, scope), receive, unless_lost)
        if lost:
            reset = (scope.get("extensions") or {}).get(RESET)
            if reset is None:
                raise lost[0]
            reset()
            while (await receive())["type"] != "http.disconnect":
                pass


def _litestar_handler(route: Route) -> HTTPRouteHandler:
    async def endpoint(request: Request[Any, Any, Any]) -> Response[bytes]:
        scope = request.scope
        call = Call(
            method=scope["method"],
            path=scope["raw_path"].decode("latin-1"),
            query=scope["query_string"].decode("latin-1"),
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
            body=await request.body(),
            params=request.path_params,
        )
        try:
            return _response(await route.handler(call))
        except Abort as lost:
            cast(dict[str, Any], scope)[LOST].append(lost)
            return Response(b"", status_code=200)
        except Exception as problem:  # noqa: BLE001  (a bug of the mock, reported as one)
            # The place, not the message: that may hold what a person sent.
            place = "".join(traceback.format_tb(problem.__traceback__))
            LOG.error("the mock's own %s %s failed: %s\n%s", route.method, route.path, type(problem).__name__, place)
            return Response(b"the mock itself failed: see its log", status_code=500, media_type="text/plain")

    return HTTPRouteHandler(route.path, http_method=route.method, status_code=200)(endpoint)


def _response(reply: Reply) -> Response[bytes]:
    return Response(
        reply.body,
        status_code=reply.status,
        headers=reply.headers,
        media_type=reply.headers.get("Content-Type", "text/plain"),
    )
