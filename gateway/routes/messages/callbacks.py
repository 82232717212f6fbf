"""Where partners post their notifications, each at the path that its manifest names."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from litestar import MediaType, Request, Response, Router
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from contracts.errors import NotFound, TooLarge
from contracts.partner import Notification
from gateway.api import guards
from gateway.core import Core
from gateway.security.limits import NOTICES_REFUSED

_LARGEST_BODY = 1_048_576


async def receive(
    core: NamedDependency[Core], request: Request[Any, Any, Any], partner: FromPath[str], path: FromPath[str]
) -> Response[bytes]:
    """Verified, stored, answered; applied afterwards."""
    desk = core.resources.desks.get(partner)
    routes = desk.manifest.callbacks if desk is not None else ()
    route = next((route for route in routes if route.path == path and route.method == request.method), None)
    if route is None:
        raise NotFound("There is no such callback.")
    body = await request.body()
    if len(body) > route.max_body_bytes:
        raise TooLarge(f"This callback takes {route.max_body_bytes} bytes.")
    query = request.scope["query_string"]
    target = _public(core, request.scope["raw_path"]) + (b"?" + query if query else b"")
    note = Notification(
        kind=route.kind,
        method=request.method,
        target=target.decode("ascii", "replace"),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=body,
    )
    accept = core.inbox.accept if route.signed else core.inbox.take_hint
    status, answer = await accept(partner, note, lambda: guards.take(request, NOTICES_REFUSED))
    return Response(answer, status_code=status, media_type=MediaType.JSON)


def _public(core: Core, path: bytes) -> bytes:
    """The path as the partner called and signed it: what a proxy takes off the front is in the public address."""
    prefix = urlsplit(core.resources.settings.public_url).path.rstrip("/").encode()
    return path if path.startswith(prefix + b"/callbacks/") else prefix + path


router = Router(
    path="/callbacks",
    route_handlers=[
        HTTPRouteHandler(
            "/{partner:str}/{path:path}",
            http_method=["POST", "PUT"],
            status_code=200,
            request_max_body_size=_LARGEST_BODY,
        )(receive)
    ],
    include_in_schema=False,
)
