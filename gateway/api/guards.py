"""What holds for every request and answer: headers that may stand once, cookies of a bounded size, headers that protect
what is answered; and limits by the address that asks.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, Literal
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from contracts.errors import CallerError
from gateway.core import Core
from gateway.security.clients import ASKED_METHOD
from gateway.security.limits import Limits, Rate, network_of

COOKIE_BYTES = 8_192
HEADERS = 100
_ONCE = frozenset(
    {b"authorization", b"content-length", b"content-type", b"host", b"idempotency-key", b"origin", b"transfer-encoding"}
)
_YEAR_S = 31_536_000
_FILES = {
    b"application/json": b"json", b"application/problem+json": b"json", b"application/x-ndjson": b"ndjson",
    b"text/csv": b"csv",
}  # fmt: skip
"""How a file with an answer of the API is called (ASVS 14.4.2)."""
_PROTECTION = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)
_ABSOLUTE = re.compile(r"https?://[^/?#]+(?=/)", re.ASCII | re.IGNORECASE)

AnyConnection = ASGIConnection[Any, Any, Any, Any]


class HeadRefused(CallerError):
    """The head of the request can be read in two ways."""

    code = "head_ambiguous"
    title = "Ambiguous head"
    remedy = "Send each header once, and Content-Length or Transfer-Encoding but not both."

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.headers = {"Connection": "close"}


class HeadTooLarge(CallerError):
    """Too many headers or cookies."""

    code = "head_too_large"
    http_status = 431
    title = "Head too large"
    remedy = "Send fewer headers, and cookies of 8 KiB at most."


_INSTEAD: dict[str, Literal["GET", "TRACE"]] = {"HEAD": "GET", "OPTIONS": "TRACE"}


def other_methods(app: ASGIApp) -> ASGIApp:
    """Answer HEAD as GET without the body, wherever there is a GET: load balancers ask so. OPTIONS tells what the
    refusal of a method that nothing has tells: which there are.
    """

    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or scope["method"] not in _INSTEAD:
            await app(scope, receive, send)
            return

        empty = scope["method"] == "HEAD"

        async def without_body(message: Message) -> None:
            nonlocal empty
            if message["type"] == "http.response.start" and message["status"] == 405 and scope["method"] == "OPTIONS":
                message["status"], empty = 204, True
                message["headers"] = [one for one in message["headers"] if not one[0].startswith(b"content-")]
            elif message["type"] == "http.response.body" and empty:
                message["body"] = b""
            await send(message)

        scope["state"][ASKED_METHOD] = scope["method"]
        asked: Scope = {**scope, "method": _INSTEAD[scope["method"]]}  # the server looks at its own
        await app(asked, receive, without_body)

    return answered


def plain_target(app: ASGIApp) -> ASGIApp:
    """Read a target that names a host as well (`GET http://host/v1/...`), as clients of proxies send it, like its path
    alone (RFC 9112 section 3.2.2). Which host was meant, the header says as ever.
    """

    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP and (found := _ABSOLUTE.match(scope["path"])):
            raw = scope["raw_path"]
            scope = {**scope, "path": scope["path"][found.end() :], "raw_path": raw[raw.find(b"/", 8) :]}
        await app(scope, receive, send)

    return answered


def one_reading(app: ASGIApp) -> ASGIApp:
    """Refuse a request whose head a proxy in front may have read otherwise."""

    async def checked(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP:
            _check(scope["headers"])
        await app(scope, receive, send)

    return checked


def _check(headers: Any) -> None:
    names = Counter(name for name, _ in headers)
    if names.total() > HEADERS or sum(len(value) for name, value in headers if name == b"cookie") > COOKIE_BYTES:
        raise HeadTooLarge
    if twice := sorted(name.decode() for name in _ONCE if names[name] > 1):
        raise HeadRefused(f"A header that may stand once stands twice: {', '.join(twice)}.")
    if b"content-length" in names and b"transfer-encoding" in names:
        raise HeadRefused("Content-Length stands beside Transfer-Encoding.")


async def protect(message: Message, scope: Scope) -> None:
    """Headers of every answer: nothing is kept by caches or guessed at, https stays https, and what is no page is none:
    it runs nothing, stands in no frame, and a browser that is led to it keeps a file.
    """
    if message["type"] != "http.response.start":
        return
    there = {name.lower(): value for name, value in message["headers"]}
    more = list(_PROTECTION)
    kind = there.get(b"content-type", b"").partition(b";")[0]
    if kind in _FILES and str(scope["path"]).startswith("/v1/"):
        more.append((b"content-disposition", b'attachment; filename="api.%s"' % _FILES[kind]))
    core: Core | None = scope["litestar_app"].state.get("core")
    if core is not None and core.resources.settings.public_url.startswith("https:"):
        more.append((b"strict-transport-security", b"max-age=%d" % _YEAR_S))
    message["headers"] = [*message["headers"], *[one for one in more if one[0] not in there]]


async def take(connection: AnyConnection, rate: Rate, whose: str | None = None) -> None:
    """Use one of an allowance: of `whose`, or of the address that asks. Raises `TooManyRequests`."""
    limits: Limits = connection.app.state.limits
    await limits.take(connection.app.state.core.resources.redis, rate, whose or address(connection))


async def look(connection: AnyConnection, rate: Rate, whose: str | None = None) -> None:
    """Raise `TooManyRequests` where `whose` allowance, or that of the address that asks, is used up. Of requests side
    by side all may find one left: where that matters, `take`.
    """
    limits: Limits = connection.app.state.limits
    await limits.look(connection.app.state.core.resources.redis, rate, whose or address(connection))


def from_own_page(connection: AnyConnection) -> bool:
    """Whether a form was sent from a page of GATEWAY_PUBLIC_URL, as far as the browser names an origin: without one it
    has the form's token to show. What `Host` says counts for nothing: a name may come to lead here.
    """
    origin = connection.headers.get("origin")
    return origin is None or _place(origin) == _place(connection.app.state.core.resources.settings.public_url)


def _place(url: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return "", None, None


def address(connection: AnyConnection) -> str:
    """Who asks; behind a proxy that FORWARDED_ALLOW_IPS names, who asked it."""
    return network_of(connection.client.host if connection.client else "")
