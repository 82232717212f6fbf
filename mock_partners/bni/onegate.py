"""The gate of One Gate Payment, `/H2H/v2` (snap-bni.md 2.1, 2.2): OAuth token, API key, and a JWT inside the body."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Awaitable, Callable
from datetime import UTC
from typing import Any

import msgspec

from mock_partners.bni.credentials import ONE_GATE_PAYMENT
from mock_partners.kit.basic import basic_ok
from mock_partners.kit.clock import Clock
from mock_partners.kit.http import Call, Handler, Reply, json_object, json_reply, same
from mock_partners.kit.snap.tokens import Tokens
from mock_partners.kit.world import World

TOKEN_LIFE_S = 3599
SCOPE = "resource.WRITE resource.READ"
CLIENT_ID = "IDBNI" + base64.b64encode(ONE_GATE_PAYMENT["app_name"].encode()).decode("ascii")
"""The body's clientId: a literal and the application's name, padding kept; not the OAuth client (snap-bni.md 2.2)."""
DONE, FAILED = "0001", "0000"


class OgpRefusal(Exception):
    """Ends an operation with `0000` in the operation's own wrapper, on HTTP 400 (snap-bni.md 2.2)."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class GatewayRefusal(Exception):
    """Ends a call before or outside its operation: the wrapper `Response`, or `General Error Response`."""

    def __init__(self, status: int, message: str, problem: str, wrapper: str = "Response") -> None:
        super().__init__(problem)
        self.status, self.message, self.problem, self.wrapper = status, message, problem, wrapper


def unknown_output() -> GatewayRefusal:
    """What BNI says when it cannot tell: `0000 Unknown output` on HTTP 500; the payment may have been made."""
    return GatewayRefusal(500, "Unknown output", "Unknown output")


Operation = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class OneGate:
    """Issues OAuth tokens and admits H2H calls; no query string of these is ever logged, the token travels there."""

    def __init__(self, world: World, clock: Clock) -> None:
        self._clock = clock
        self._tokens = world.keep("ogp.tokens", lambda: Tokens(lambda: f"{world.rng.getrandbits(216):054x}"))

    async def token(self, call: Call) -> Reply:
        """POST /api/oauth/token: client credentials by HTTP Basic; the refusals are OAuth's own (assumed)."""
        if not basic_ok(call, ONE_GATE_PAYMENT["client_id"], ONE_GATE_PAYMENT["client_secret"]):
            return json_reply(401, {"error": "invalid_client"})
        if call.form().get("grant_type") != "client_credentials":
            return json_reply(400, {"error": "unsupported_grant_type"})
        token = self._tokens.issue(self._clock.seconds(), TOKEN_LIFE_S)
        told = {"access_token": token.value, "token_type": "Bearer", "expires_in": TOKEN_LIFE_S, "scope": SCOPE}
        return json_reply(200, told)

    def operation(self, wrapper: str, run: Operation) -> Handler:
        """Wraps one operation in the checks before it and in its answer's wrapper after it."""

        async def admitted(call: Call) -> Reply:
            try:
                told = await run(self._admit(call))
                return self._say(200, wrapper, DONE, "Request has been processed successfully", told)
            except OgpRefusal as refusal:
                return self._say(400, wrapper, FAILED, "Request failed", {"errorMessage": refusal.problem})
            except GatewayRefusal as refusal:
                problem = {"errorMessage": refusal.problem}
                return self._say(refusal.status, refusal.wrapper, FAILED, refusal.message, problem)

        return admitted

    def no_such_path(self, _path: str, status: int) -> Reply:
        """The gateway's own wrapper around what it has no operation for (assumed)."""
        return self._say(status, "Response", FAILED, "Request failed", {"errorMessage": "No such operation"})

    def now(self) -> str:
        """responseTimestamp, in UTC with milliseconds."""
        return self._clock.now().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _say(self, status: int, wrapper: str, code: str, message: str, fields: dict[str, Any]) -> Reply:
        parameters = {"responseCode": code, "responseMessage": message, "responseTimestamp": self.now(), **fields}
        return json_reply(status, {wrapper: {"clientId": "BNISERVICE", "parameters": parameters}})

    def _admit(self, call: Call) -> dict[str, Any]:
        """API key, token, JSON, clientId, signature, in this order (assumed; no source tells it)."""
        if not same(call.header("x-api-key"), ONE_GATE_PAYMENT["api_key"]):
            raise GatewayRefusal(401, "Unauthorized", "Invalid x-api-key", "General Error Response")
        token = self._tokens.find(call.query_values().get("access_token", ""))
        if token is None or token.expires_s <= self._clock.seconds():
            raise GatewayRefusal(401, "Unauthorized", "Invalid access token", "General Error Response")
        body = _object(call.body)
        if not same(str(body.get("clientId", "")), CLIENT_ID):
            raise GatewayRefusal(400, "Request failed", "Invalid clientId")
        if not jwt_ok(body, ONE_GATE_PAYMENT["api_secret"].encode()):
            raise GatewayRefusal(400, "Request failed", "Invalid signature")
        return body


def jwt_ok(body: dict[str, Any], secret: bytes) -> bool:
    """Whether `signature` is an HS256 JWT whose payload is the rest of the body (snap-bni.md 2.2).

    It is verified as a JWT: the first two parts as received, the payload compared as a JSON object, so that neither the
    order of the header's members nor the spelling of the body matters.
    """
    signature = body.get("signature")
    parts = signature.split(".") if isinstance(signature, str) else []
    if len(parts) != 3:
        return False
    digest = hmac.digest(secret, f"{parts[0]}.{parts[1]}".encode("utf-8", "replace"), hashlib.sha256)
    wanted = base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
    if not same(parts[2], wanted):
        return False
    header, payload = (_decoded(part) for part in parts[:2])
    if not isinstance(header, dict) or header.get("alg") != "HS256":
        return False
    return isinstance(payload, dict) and payload == {name: value for name, value in body.items() if name != "signature"}


def _decoded(part: str) -> Any:
    try:
        raw = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(raw)
    except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _object(raw: bytes) -> dict[str, Any]:
    body = json_object(raw)
    if body is None:
        raise GatewayRefusal(400, "Request failed", "Malformed request")
    return body
