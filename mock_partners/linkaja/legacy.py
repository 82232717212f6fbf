"""LinkAja's legacy API (wallets.md 4.2): Kong's hmac-auth on every request, the Access-Token, three envelopes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from mock_partners.kit.clock import Clock
from mock_partners.kit.http import Call, Handler, Reply, json_object, json_reply, same
from mock_partners.kit.snap.tokens import Tokens
from mock_partners.kit.world import World
from mock_partners.linkaja.credentials import VALUES

SKEW_S = 300
"""Kong's clock skew (decisions X6)."""
ACCESS_LIFE_S, REFRESH_LIFE_S = 3_600.0, 30 * 86_400.0
AUTHORIZATION = re.compile(
    r'\s*[Hh]mac\s+username="([^"]+)",\s*algorithm="hmac-sha256",\s*headers="([^"]+)",\s*signature="([^"]+)"\s*'
)
"""As Kong's plug-in reads it (recalled): the order of its parts is fixed, the space between them is not."""
SIGNED = {"date", "request-line", "digest"}
"""What must be signed, in whatever order."""
DATE = "%a, %d %b %Y %H:%M:%S"


class Refused(Exception):
    """Ends a handler with a two-digit code, which LinkAja sends with HTTP 200 unless it is down (wallets.md 4.8)."""

    def __init__(self, code: str, message: str, *, status: int = 200) -> None:
        super().__init__(f"{code} {message}")
        self.code, self.message, self.status = code, message, status


Envelope = Callable[[str, str], dict[str, Any]]
LegacyHandler = Callable[[Call, dict[str, Any]], Awaitable[Reply]]


def at_top(code: str, message: str) -> dict[str, Any]:
    """The envelope of cash-in inquiry (decisions L4)."""
    return {"responseCode": code, "responseMessage": message}


def under_data(code: str, message: str) -> dict[str, Any]:
    """The envelope of cash-in confirm and check (decisions L4)."""
    return {"data": at_top(code, message)}


def as_status(code: str, message: str) -> dict[str, Any]:
    """The envelope of oauth, custbind and the report (decisions L4)."""
    return {"status": code, "message": message}


def text_of(body: dict[str, Any], name: str, pattern: str) -> str:
    """A field that must be there and look like this, or code 30."""
    value = body.get(name)
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise Refused("30", f"Format Error: {name}")
    return value


class Legacy:
    """The gate of the legacy API, and the tokens that it issues; both stores are kept in the world."""

    def __init__(self, world: World, clock: Clock) -> None:
        self._clock = clock

        def mint() -> str:
            return f"{world.rng.getrandbits(192):048x}"

        self._access = world.keep("legacy.access", lambda: Tokens(mint))
        self._refresh = world.keep("legacy.refresh", lambda: Tokens(mint))

    def admit(self, handler: LegacyHandler, envelope: Envelope, *, token: bool = True) -> Handler:
        """Wraps a handler: signature, Access-Token unless `token` is off, JSON object; then the handler checks."""

        async def admitted(call: Call) -> Reply:
            problem = self._unsigned(call)
            if problem:
                return json_reply(401, {"message": problem})
            if token and not self._alive(call.header("access-token")):
                return json_reply(401, {"status": "401"})
            try:
                return await handler(call, _object(call.body))
            except Refused as refused:
                return json_reply(refused.status, envelope(refused.code, refused.message))

        return admitted

    @staticmethod
    def no_such_path(_path: str, status: int) -> Reply:
        """What the API gateway in front of LinkAja says (recalled)."""
        return json_reply(status, {"message": "no Route matched with those values"})

    async def create(self, _call: Call, _body: dict[str, Any]) -> Reply:
        """GET /v1/oauth/create: an access token and its refresh token."""
        return self._pair()

    async def refresh(self, _call: Call, body: dict[str, Any]) -> Reply:
        """POST /v1/oauth/refresh: a new pair for an old one, whose refresh token is then spent."""
        access, given = text_of(body, "accessToken", ".{1,256}"), text_of(body, "refreshToken", ".{1,256}")
        known = self._refresh.find(given)
        if known is None or known.subject != access or known.expires_s <= self._clock.seconds():
            raise Refused("14", "Invalid Refresh Token")
        self._refresh.revoke(given)
        return self._pair()

    def _pair(self) -> Reply:
        now_s = self._clock.seconds()
        access = self._access.issue(now_s, ACCESS_LIFE_S)
        refresh = self._refresh.issue(now_s, REFRESH_LIFE_S, access.value)
        return json_reply(200, {"status": "00", "data": {"accessToken": access.value, "refreshToken": refresh.value}})

    def _alive(self, given: str) -> bool:
        token = self._access.find(given)
        return token is not None and token.expires_s > self._clock.seconds()

    def _unsigned(self, call: Call) -> str:
        """What is wrong with the signature, in Kong's words and order (recalled); empty if it is right."""
        if not call.header("authorization"):
            return "Unauthorized"
        moment = parse_date(call.header("date"))
        if moment is None or abs(moment.timestamp() - self._clock.machine_seconds()) > SKEW_S:
            return (
                "HMAC signature cannot be verified, a valid date or x-date header is required for HMAC Authentication"
            )
        found = AUTHORIZATION.fullmatch(call.header("authorization"))
        signed = found[2].split() if found is not None else []
        if found is None or not same(found[1], VALUES["hmac_username"]) or not set(signed) >= SIGNED:
            return "HMAC signature cannot be verified"
        right = signature(VALUES["hmac_secret"], call, signed)
        if not same(found[3], right) or not same(call.header("digest"), digest(call.body)):
            return "HMAC signature does not match"
        return ""


def signature(secret: str, call: Call, signed: Sequence[str] = ("date", "request-line", "digest")) -> str:
    """base64 HMAC-SHA256 over a line for each signed header; the request-line has the query (decisions L10)."""
    lines = [
        f"{call.method} {call.target} HTTP/1.1" if name == "request-line" else f"{name}: {call.header(name)}"
        for name in signed
    ]
    return base64.b64encode(hmac.digest(secret.encode(), "\n".join(lines).encode("latin-1"), "sha256")).decode()


def digest(body: bytes) -> str:
    """The Digest header that belongs to a body as received."""
    return "SHA-256=" + base64.b64encode(hashlib.sha256(body).digest()).decode()


def parse_date(text: str) -> datetime | None:
    """`Fri, 02 Jan 2026 03:04:05 UTC`, or GMT for UTC (wallets.md 4.2)."""
    moment, _, zone = text.rpartition(" ")
    if zone not in ("UTC", "GMT"):
        return None
    try:
        return datetime.strptime(moment, DATE).replace(tzinfo=UTC)
    except ValueError:
        return None


def _object(raw: bytes) -> dict[str, Any]:
    body = json_object(raw) if raw else {}
    if body is None:
        raise Refused("30", "Format Error")
    return body
