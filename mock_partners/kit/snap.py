"""SNAP as a provider verifies it (snap-bni.md 1 and 6.1): signatures, tokens, external ids, the answer's envelope."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from mock_partners.kit.clock import Clock
from mock_partners.kit.http import Call, Handler, Reply, gated, json_reply
from mock_partners.kit.turn import checking, effect
from mock_partners.kit.world import World

TOLERANCE_S = 900
"""Greatest difference between X-TIMESTAMP and the machine's clock, either way (decisions X6, assumed)."""
B2B_TOKEN_LIFE_S = 900
TOKEN_SERVICE, CUSTOMER_TOKEN_SERVICE = "73", "74"
HEADERS = ("x-timestamp", "x-signature", "x-partner-id", "x-external-id", "channel-id")
HEADER_LIMITS = {"x-partner-id": 36, "x-external-id": 36, "channel-id": 5, "x-timestamp": 35, "x-device-id": 400}
"""Longest values (snap-bni.md 1.6); X-TIMESTAMP has room for nanoseconds, which Java prints (decisions X6)."""
_STRING_OR_SPACE = re.compile(rb'("(?:[^"\\]|\\.)*")|[ \t\r\n]+', re.DOTALL)
_SPACE = re.compile(rb"[ \t\r\n]")


def minify(body: bytes) -> bytes:
    """The text as received without the whitespace outside strings; nothing is parsed or written anew."""
    if not _SPACE.search(body):
        return body
    return _STRING_OR_SPACE.sub(lambda found: found.group(1) or b"", body)


def body_hash(body: bytes) -> str:
    """Lower-case hex SHA-256 of a body as received, white space outside strings removed."""
    return hashlib.sha256(minify(body)).hexdigest()


def symmetric_text(method: str, target: str, token: str, body: bytes, timestamp: str) -> bytes:
    """METHOD:EndpointUrl:AccessToken:hash:X-TIMESTAMP (snap-bni.md 1.7, type 1)."""
    return f"{method}:{target}:{token}:{body_hash(body)}:{timestamp}".encode()


def asymmetric_text(method: str, target: str, body: bytes, timestamp: str) -> bytes:
    """METHOD:EndpointUrl:hash:X-TIMESTAMP (snap-bni.md 1.7, type 2), which also signs notifications."""
    return f"{method}:{target}:{body_hash(body)}:{timestamp}".encode()


def symmetric_ok(secret: bytes, text: bytes, signature: str, *, encodings: tuple[str, ...] = ("base64",)) -> bool:
    """Whether the HMAC-SHA512 is right, in constant time; `encodings` may also name "hex" (LinkAja, wallets.md 4.4)."""
    digest = hmac.digest(secret, text, "sha512")
    wanted = {"base64": base64.b64encode(digest), "hex": digest.hex().encode()}
    given = signature.encode("utf-8", "replace")
    return any(hmac.compare_digest(wanted[encoding], given) for encoding in encodings)


def asymmetric_ok(key: RSAPublicKey, text: bytes, signature: str) -> bool:
    """Whether the base64 RSA-SHA256 (PKCS#1 v1.5) signature is right, in the one spelling that base64 has for it."""
    try:
        raw = base64.b64decode(signature, validate=True)
        if base64.b64encode(raw).decode("ascii") != signature:
            return False
        key.verify(raw, text, PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def sign_asymmetric(key: RSAPrivateKey, text: bytes) -> str:
    """The provider's own signature, for notifications."""
    return base64.b64encode(key.sign(text, PKCS1v15(), hashes.SHA256())).decode("ascii")


def parse_timestamp(text: str) -> datetime | None:
    """ISO 8601 with any offset, `Z`, and fractions; None if it is not that (decisions X6)."""
    if "T" not in text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def timestamp(at: datetime) -> str:
    """`2026-01-15T10:00:00+07:00`, as SNAP prints it."""
    return at.isoformat(timespec="seconds")


class Refusal(Exception):
    """Ends a handler with a SNAP error: HTTP status and case code; the gate adds the service code."""

    def __init__(self, status: int, case: str, message: str, **fields: object) -> None:
        super().__init__(f"{status}..{case} {message}")
        self.status, self.case, self.message, self.fields = status, case, message, fields


def missing(name: str) -> Refusal:
    """400xx02 for a mandatory field."""
    return Refusal(400, "02", f"Invalid Mandatory Field {{{name}}}")


def malformed(name: str) -> Refusal:
    """400xx01 for a field of the wrong form."""
    return Refusal(400, "01", f"Invalid Field Format {{{name}}}")


def unauthorized(reason: str) -> Refusal:
    """401xx00 with its reason."""
    return Refusal(401, "00", f"Unauthorized. [{reason}]")


@dataclass(frozen=True, repr=False)
class Client:
    """The one API client a sandbox knows: what was agreed with it when it was registered."""

    client_key: str
    partner_id: str
    secret: bytes
    public_key: RSAPublicKey


@dataclass(frozen=True, repr=False)
class Token:
    """`subject` is whatever the partner binds it to; None for a B2B token. `expires_s` in clock seconds."""

    value: str
    expires_s: float
    subject: Any = None


class Tokens:
    """Issued access tokens. Asking twice in a second is normal and gives two that both work."""

    KEEP_EXPIRED_S = 86_400

    def __init__(self, mint: Callable[[], str]) -> None:
        self._mint = mint
        self._tokens: dict[str, Token] = {}

    def issue(self, now_s: float, life_s: float, subject: Any = None) -> Token:
        for old in list(self._tokens.values())[:8]:
            if old.expires_s + self.KEEP_EXPIRED_S < now_s:
                del self._tokens[old.value]
        token = Token(self._mint(), now_s + life_s, subject)
        self._tokens[token.value] = token
        return token

    def find(self, value: str) -> Token | None:
        """The token, expired or not: the two have different codes."""
        return self._tokens.get(value)

    def change_all(self, change: Callable[[Token], Token | None]) -> None:
        """Replaces every token by what `change` makes of it; by none where that is None."""
        made = ((value, change(token)) for value, token in self._tokens.items())
        self._tokens = {value: token for value, token in made if token is not None}

    def revoke(self, value: str) -> None:
        self._tokens.pop(value, None)

    def revoke_subject(self, subject: Any) -> None:
        """Revokes every token of a subject, as when a customer unlinks."""
        for value in [token.value for token in self._tokens.values() if token.subject == subject]:
            del self._tokens[value]


class ExternalIds:
    """X-EXTERNAL-ID is unique per Jakarta day and X-PARTNER-ID (decisions X5); earlier days are forgotten."""

    def __init__(self) -> None:
        self._day: date | None = None
        self._seen: set[tuple[str, str]] = set()

    def claim(self, day: date, partner_id: str, external_id: str) -> bool:
        if day != self._day:
            self._day, self._seen = day, set()
        key = (partner_id, external_id)
        if key in self._seen:
            return False
        self._seen.add(key)
        return True


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

    def symmetric(
        self, service: str, handler: SnapHandler, *, tokens: Tokens | None = None, customer: bool = False,
        tokenless: bool = False, extra_headers: tuple[str, ...] = (),
    ) -> Handler:  # fmt: skip
        """Wraps a handler of a transaction call, signed with HMAC-SHA512.

        `tokens`: where the bearer must stand, the B2B tokens by default. `customer`: an Authorization-Customer is
        required. `tokenless`: a call without Authorization is taken, with an empty token in the signed text (OVO).
        """
        bearers = tokens or self.tokens

        async def admitted(call: Call) -> Reply:
            try:
                asked = self._admit(call, service, bearers, tokenless, customer, extra_headers)
                return await _served(asked, handler)
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
                if not _same(call.header("x-client-key"), self._client.client_key):
                    raise unauthorized("Unknown client")
                checking("signature")
                text = f"{self._client.client_key}|{call.header('x-timestamp')}".encode()
                if not asymmetric_ok(self._client.public_key, text, call.header("x-signature")):
                    raise unauthorized("Signature")
                reply = await _served(Asked(call, self.read(call), service, bearer=None), handler)
            except Refusal as refusal:
                reply = self.say(refusal.status, service, refusal.case, refusal.message, **refusal.fields)
            return Reply(reply.status, reply.body, {**reply.headers, "X-CLIENT-KEY": self._client.client_key})

        return gated(admitted, service)

    def b2b_token(self) -> Handler:
        """The access-token/b2b endpoint (snap-bni.md 1.3)."""

        async def issue(asked: Asked) -> Reply:
            grant = next((asked.body[name] for name in self.profile.grant_names if name in asked.body), None)
            if grant is None:
                raise missing("grantType")
            if grant != "client_credentials":
                raise malformed("grantType")
            token = self.tokens.issue(self._clock.seconds(), B2B_TOKEN_LIFE_S)
            fields = {"accessToken": token.value, "tokenType": "Bearer", "expiresIn": str(B2B_TOKEN_LIFE_S)}
            return self.say(200, TOKEN_SERVICE, "00", "Successful", **fields)

        return self.asymmetric(TOKEN_SERVICE, issue)

    def read(self, call: Call) -> dict[str, Any]:
        """The body as an object; an empty one is an empty object, anything but JSON is 400xx00."""
        checking("json")
        if not call.body or (self.profile.null_is_empty and call.body.strip() == b"null"):
            return {}
        try:
            body = msgspec.json.decode(call.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Refusal(400, "00", "Bad Request") from None
        if not isinstance(body, dict):
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
        self, call: Call, service: str, bearers: Tokens, tokenless: bool, customer: bool, extra: tuple[str, ...]
    ) -> Asked:
        self._require(call, self.profile.headers + extra)
        if self.profile.numeric_external_id and not re.fullmatch("[0-9]+", call.header("x-external-id")):
            raise malformed("X-EXTERNAL-ID")
        self._check_time(call)
        checking("client")
        if not _same(call.header("x-partner-id"), self._client.partner_id):
            raise unauthorized("Unknown client")
        token = None if tokenless and not call.header("authorization") else self.bearer_of(call, bearers)
        value = token.value if token is not None else ""
        texts = [symmetric_text(call.method, call.target, value, call.body, call.header("x-timestamp"))]
        if self.profile.null_is_empty and call.body.strip() == b"null":
            texts.append(symmetric_text(call.method, call.target, value, b"", call.header("x-timestamp")))
        checking("signature")
        signature = call.header("x-signature")
        if not any(
            symmetric_ok(self._client.secret, text, signature, encodings=self.profile.encodings) for text in texts
        ):
            raise unauthorized("Signature")
        checking("external id")
        external_id = call.header("x-external-id")
        if not self._external_ids.claim(self._clock.today(), self._client.partner_id, external_id):
            raise Refusal(409, "00", "Conflict")
        body = self.read(call)
        return Asked(call, body, service, token, self.customer_of(call) if customer else None, external_id)

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
            if len(value) > HEADER_LIMITS.get(name, 2048):
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


def _same(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode("utf-8", "replace"), right.encode())
