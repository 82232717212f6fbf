"""Admits SNAP calls in the order of snap-bni.md 6.1 and wraps every answer in its envelope."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from mock_partners.kit.clock import Clock
from mock_partners.kit.http import Call, Handler, Reply, gated, json_object, json_reply, same
from mock_partners.kit.snap.refusals import Refusal, malformed, missing, unauthorized
from mock_partners.kit.snap.signatures import asymmetric_text, parse_timestamp, symmetric_ok, symmetric_text, timestamp
from mock_partners.kit.snap.tokens import Client, ExternalIds, Token, Tokens
from mock_partners.kit.turn import checking, effect
from mock_partners.kit.world import World

TOLERANCE_S = 900
"""Greatest difference between X-TIMESTAMP and the machine's clock, either way (decisions X6, assumed)."""
B2B_TOKEN_LIFE_S = 900
TOKEN_SERVICE, CUSTOMER_TOKEN_SERVICE, NO_SERVICE = "73", "74", "00"
HEADERS = ("x-timestamp", "x-signature", "x-partner-id", "x-external-id", "channel-id")
HEADER_LIMITS = {"x-partner-id": 36, "x-external-id": 36, "channel-id": 5, "x-timestamp": 35, "x-device-id": 400}
"""Longest values (snap-bni.md 1.6); X-TIMESTAMP has room for nanoseconds, which Java prints (decisions X6)."""


@dataclass(frozen=True, repr=False)
class Asked:
    """An admitted call: its body as an object, and the tokens it came with."""

    call: Call
    body: dict[str, Any]
    service: str
    bearer: Token | None = None
    customer: Token | None = None
    external_id: str = ""


@dataclass
class Profile:
    """In what a partner's checks differ."""

    headers: tuple[str, ...] = HEADERS
    encodings: tuple[str, ...] = ("base64",)
    numeric_external_id: bool = False
    null_is_empty: bool = False
    check_content_type: bool = True
    tolerance_s: float = TOLERANCE_S
    unknown_token_case: str = "03"
    grant_names: tuple[str, ...] = ("grantType",)
    header_limits: Mapping[str, int] = field(default_factory=lambda: HEADER_LIMITS)
    rsa_calls: bool = False
    """Transaction calls are signed by RSA, without any token of the programme's (snap-bni.md 1.7, type 2)."""


SnapHandler = Callable[[Asked], Awaitable[Reply]]


class Gate:
    """Admits SNAP calls in the order of snap-bni.md 6.1 and wraps every answer in its envelope."""

    def __init__(
        self, world: World, clock: Clock, client: Client, *, name: str = "snap", profile: Profile | None = None,
        mint: Callable[[], str] | None = None,
    ) -> None:  # fmt: skip
        self._clock = clock
        self._client = client
        self.profile = profile or Profile()
        random_token = mint or (lambda: f"{world.rng.getrandbits(256):064x}")
        self.tokens = world.keep(f"{name}.b2b", lambda: Tokens(random_token))
        self.customer_tokens = world.keep(f"{name}.b2b2c", lambda: Tokens(random_token))
        self._external_ids = world.keep(f"{name}.external_ids", ExternalIds)

    def say(
        self, status: int, service: str, case: str = "00", message: str = "Successful", /, **fields: object
    ) -> Reply:
        """An answer in SNAP's envelope; `status` is both the HTTP status and the first three digits."""
        body = {"responseCode": f"{status}{service}{case}", "responseMessage": message, **fields}
        return json_reply(status, body, {"X-TIMESTAMP": timestamp(self._clock.now())})

    def no_such_path(self, _path: str, status: int) -> Reply:
        """The answer where there is no such path or method; the service is not known then (decisions X11)."""
        known = {405: "Requested Function Is Not Supported"}.get(status, HTTPStatus(status).phrase)
        return self.say(status, NO_SERVICE, "00", known)

    def symmetric(
        self, service: str, handler: SnapHandler, *, tokens: Tokens | None = None, customer: bool = False,
        tokenless: bool = False, replays: bool = False,
    ) -> Handler:  # fmt: skip
        """Wraps a handler of a transaction call, signed with HMAC-SHA512, or by RSA where the profile says so.

        `tokens`: where the bearer must stand, the B2B tokens by default. `customer`: an Authorization-Customer is
        required. `tokenless`: a call without Authorization is taken, with an empty token in the signed text (OVO).
        `replays`: a repeated X-EXTERNAL-ID gets the success that it had, whatever the body (Midtrans, decisions X5).
        """
        bearers = tokens or self.tokens

        async def admitted(call: Call) -> Reply:
            try:
                asked = self._admit(call, service, bearers, tokenless, customer, replays)
                if isinstance(asked, Reply):
                    return asked
                reply = await _served(asked, handler)
                if replays and reply.status == HTTPStatus.OK:
                    self._external_ids.keep(self._client.partner_id, asked.external_id, reply)
                return reply
            except Refusal as refusal:
                return self.say(refusal.status, service, refusal.case, refusal.message, **refusal.fields)

        return gated(admitted, service)

    def asymmetric(self, service: str, handler: SnapHandler) -> Handler:
        """Wraps a handler of a token call (73, 74), signed with RSA over client|timestamp."""

        async def admitted(call: Call) -> Reply:
            try:
                self._require(call, ("x-timestamp", "x-client-key", "x-signature"))
                self._check_time(call)
                checking("client")
                if not same(call.header("x-client-key"), self._client.client_key):
                    raise unauthorized("Unknown client")
                checking("signature")
                text = f"{self._client.client_key}|{call.header('x-timestamp')}".encode()
                if not self._client.signed(text, call.header("x-signature")):
                    raise unauthorized("Signature")
                reply = await _served(Asked(call, self.read(call), service, bearer=None), handler)
            except Refusal as refusal:
                reply = self.say(refusal.status, service, refusal.case, refusal.message, **refusal.fields)
            return Reply(reply.status, reply.body, {**reply.headers, "X-CLIENT-KEY": self._client.client_key})

        return gated(admitted, service)

    def b2b_token(self, service: str = TOKEN_SERVICE) -> Handler:
        """The access-token/b2b endpoint (snap-bni.md 1.3), under the number that a partner gives it."""

        async def issue(asked: Asked) -> Reply:
            grant = next((asked.body[name] for name in self.profile.grant_names if name in asked.body), None)
            if grant is None:
                raise missing("grantType")
            if grant != "client_credentials":
                raise malformed("grantType")
            token = self.tokens.issue(self._clock.seconds(), B2B_TOKEN_LIFE_S)
            fields = {"accessToken": token.value, "tokenType": "Bearer", "expiresIn": str(B2B_TOKEN_LIFE_S)}
            return self.say(200, asked.service, "00", "Successful", **fields)

        return self.asymmetric(service, issue)

    def read(self, call: Call) -> dict[str, Any]:
        """The body as an object; an empty one is an empty object, anything but JSON is 400xx00."""
        checking("json")
        if not call.body or (self.profile.null_is_empty and call.body.strip() == b"null"):
            return {}
        body = json_object(call.body)
        if body is None:
            raise Refusal(400, "00", "Bad Request")
        return body

    def customer_of(self, call: Call) -> Token:
        """The customer token in Authorization-Customer, or 401xx02/04."""
        checking("customer token")
        given = customer_bearer(call)
        if not given:
            raise Refusal(401, "04", "Customer Token Not Found")
        token = self.customer_tokens.find(given)
        if token is None or token.expires_s <= self._clock.seconds():
            raise Refusal(401, "02", "Invalid Customer Token")
        return token

    def _admit(
        self, call: Call, service: str, bearers: Tokens, tokenless: bool, customer: bool, replays: bool
    ) -> Asked | Reply:
        """The admitted call, or the stored answer to an external id that is replayed."""
        self._require(call, self.profile.headers)
        if self.profile.numeric_external_id and not re.fullmatch("[0-9]+", call.header("x-external-id")):
            raise malformed("X-EXTERNAL-ID")
        self._check_time(call)
        checking("client")
        if not same(call.header("x-partner-id"), self._client.partner_id):
            raise unauthorized("Unknown client")
        token = None
        if not self.profile.rsa_calls and not (tokenless and not call.header("authorization")):
            token = self.bearer_of(call, bearers)
        if not self._signed(call, token):
            raise unauthorized("Signature")
        checking("external id")
        external_id = call.header("x-external-id")
        if not self._external_ids.claim(self._clock.today(), self._client.partner_id, external_id):
            kept = self._external_ids.kept(self._client.partner_id, external_id) if replays else None
            if kept is not None:
                return kept
            raise Refusal(409, "00", "Conflict")
        body = self.read(call)
        return Asked(call, body, service, token, self.customer_of(call) if customer else None, external_id)

    def _signed(self, call: Call, token: Token | None) -> bool:
        """Whether the signature is right; a body `null` may be signed as no body at all."""
        checking("signature")
        at, signature = call.header("x-timestamp"), call.header("x-signature")
        bodies = [call.body]
        if self.profile.null_is_empty and call.body.strip() == b"null":
            bodies.append(b"")
        if self.profile.rsa_calls:
            texts = [asymmetric_text(call.method, call.target, body, at) for body in bodies]
            return any(self._client.signed(text, signature) for text in texts)
        value = token.value if token is not None else ""
        texts = [symmetric_text(call.method, call.target, value, body, at) for body in bodies]
        encodings = self.profile.encodings
        return any(symmetric_ok(self._client.secret, text, signature, encodings=encodings) for text in texts)

    def bearer_of(self, call: Call, bearers: Tokens) -> Token:
        """The token in Authorization, out of the store where it must stand, or 401xx03/01."""
        checking("token")
        scheme, _, value = call.header("authorization").partition(" ")
        token = bearers.find(value.strip()) if scheme.lower() == "bearer" else None
        if token is None:
            raise Refusal(401, self.profile.unknown_token_case, "Token Not Found (B2B)")
        if token.expires_s <= self._clock.seconds():
            raise Refusal(401, "01", "Invalid Token (B2B)")
        return token

    def _require(self, call: Call, names: tuple[str, ...]) -> None:
        checking("headers")
        for name in names:
            value = call.header(name)
            if not value:
                raise missing(name.upper())
            if len(value) > self.profile.header_limits.get(name, 2048):
                raise malformed(name.upper())
        if self.profile.check_content_type and call.body and not _is_json(call.header("content-type")):
            raise missing("Content-Type")

    def _check_time(self, call: Call) -> None:
        checking("time")
        moment = parse_timestamp(call.header("x-timestamp"))
        if moment is None or abs(moment.timestamp() - self._clock.machine_seconds()) > self.profile.tolerance_s:
            raise unauthorized("Timestamp")


async def _served(asked: Asked, handler: SnapHandler) -> Reply:
    """Hands an admitted call to its handler, or gives the answer that a scenario has in place of it."""
    checking("business")
    instead: Callable[[str], Reply] | None = effect("instead")
    return await handler(asked) if instead is None else instead(asked.service)


def customer_bearer(call: Call) -> str:
    """The token in Authorization-Customer, with or without `Bearer` in any case (decisions X9); or an empty text."""
    return re.sub("^bearer ", "", call.header("authorization-customer"), flags=re.IGNORECASE).strip()


def _is_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "application/json"
