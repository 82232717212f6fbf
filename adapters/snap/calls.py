"""SNAP's endpoints as rows, and the one way to sign a request of each (snap-bni.md 1.3, 1.6, 1.7).

A `Call` says what the partner's document says of an endpoint; a `Side` says once how a host of the partner is signed
for: with which of our credentials and tokens. Bodies are literals, as the document prints them.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from adapters import rsa
from adapters.snap import codes
from adapters.snap import sign as snap
from adapters.snap.codes import HINTS, Envelope
from contracts.errors import Hint, PartnerUnavailable
from contracts.linking import Grant
from contracts.nik import Nik
from contracts.partner import Context
from contracts.plan import Effect, Request, Response
from contracts.secret import Secret

T = TypeVar("T")

READ, WRITE = Effect.READ, Effect.WRITE
TOKEN_S = 10.0
PAYOUT_S = 30.0


class Bearer(enum.Enum):
    """Whose token stands in `Authorization`; the value is what a 401 that names no code of the call speaks of."""

    OURS = Hint.OUR_TOKEN
    NONE = Hint.CREDENTIALS
    """No token is sent, and the token part of what is signed is empty (decision O1)."""
    GIVEN = Hint.NONE
    """One that the partner gave for this very step."""


class Call(msgspec.Struct, frozen=True):
    """One endpoint as the partner's document has it."""

    operation: str
    effect: Effect
    target: str
    """Path; `{name}` stands for the credential of that name (a KeyError where there is none)."""
    service: str = ""
    """Two digits, which every code of its answers carries."""
    method: str = "POST"
    bearer: Bearer = Bearer.OURS
    rsa: bool = False
    """Signed as a token request, with the private key over client and time."""
    timeout_s: float = 15.0
    hints: Mapping[str, Hint] = HINTS
    """What cases, or whole codes, hint at here."""
    max_response_bytes: int = 1_048_576

    @property
    def done(self) -> str:
        """The code of a success."""
        return f"200{self.service}00"

    def request(
        self, host: str, target: str, headers: Mapping[str, str], content: bytes = b"", frozen: bytes | None = None
    ) -> Request:
        """What leaves for `target` (the path as it was signed, with its query)."""
        return Request(
            operation=self.operation,
            effect=self.effect,
            host=host,
            method=self.method,
            target=target,
            headers=headers,
            content=content,
            timeout_s=self.timeout_s,
            frozen=frozen,
            max_response_bytes=self.max_response_bytes,
        )

    def read(self, reply: Response) -> Envelope:
        """An answer to this endpoint, whatever it says; see `codes.read` for what is none."""
        return codes.read(reply, self.service, our_token=self.bearer.value, hints=self.hints)

    def expect(self, reply: Response) -> Envelope:
        """A success; raises `PartnerUnavailable` with the hint of its code for anything else."""
        envelope = self.read(reply)
        if envelope.code != self.done:
            raise self.unavailable(envelope)
        return envelope

    def coded(self, cases: Mapping[str, T]) -> dict[str, T]:
        """By this endpoint's whole codes what is told by case: `40305` is 403, its service, 05."""
        return {f"{case[:3]}{self.service}{case[3:]}": told for case, told in cases.items()}

    def unavailable(self, envelope: Envelope) -> PartnerUnavailable:
        """What to raise for an answer that is no verdict: could not tell, with the hint that its code or case gives."""
        return envelope.unavailable(self.hints.get(envelope.code) or self.hints.get(envelope.case, Hint.NONE))


def token_call(operation: str, effect: Effect, target: str, service: str, bearer: Bearer = Bearer.NONE) -> Call:
    """A request for a token (services 73 and 74)."""
    return Call(operation, effect, target, service, bearer=bearer, rsa=True, timeout_s=TOKEN_S)


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One host of a partner with the names of the credentials and of our token there."""

    host: str = "snap"
    token: str = "snap"  # noqa: S105 - a name
    client_id: str = "client_id"
    private_key: str = "private_key_pem"
    partner_id: str = "partner_id"
    secret: str = "client_secret"  # noqa: S105 - a name
    """Key of the signature with our token; empty where calls are signed with the private key and without a token."""
    milliseconds: bool = False
    headers: Mapping[str, str] = {}
    """More headers of transaction calls, by the credential that holds their value."""
    token_headers: Mapping[str, str] = {}
    """The same of requests for a token."""

    def ask(
        self,
        ctx: Context,
        call: Call,
        body: object = None,
        *,
        n: int = 0,
        query: str = "",
        bearer: Secret | None = None,
        grant: Grant | None = None,
    ) -> Request:
        """The `n`-th request of a plan, signed as it stands; `bearer` where the call is given one, `grant` where it is
        made under the participant's token. The signature is made with the token of `Authorization` (decision X9).
        """
        target = call.target.format_map({name: held.reveal() for name, held in ctx.credentials.items()}) + query
        content = b"" if body is None else encode(body)
        at = snap.timestamp(ctx.now, milliseconds=self.milliseconds)
        token = bearer.reveal() if bearer else ctx.token(self.token) if call.bearer is Bearer.OURS else ""
        headers = {"Content-Type": "application/json", "X-TIMESTAMP": at}
        if call.rsa:
            headers["X-CLIENT-KEY"] = client = ctx.credential(self.client_id)
            signed = snap.token_string_to_sign(client, at)
            headers["X-SIGNATURE"] = rsa.sign(ctx.credential(self.private_key), signed)
        else:
            headers["X-SIGNATURE"] = self._signature(ctx, call.method, target, token, content, at)
            headers["X-PARTNER-ID"] = ctx.credential(self.partner_id)
            headers["X-EXTERNAL-ID"] = ctx.external_id(n)
            headers["CHANNEL-ID"] = ctx.credential("channel_id")
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if grant is not None:
            headers["Authorization-Customer"] = f"Bearer {grant.access_token.reveal()}"
        more = self.token_headers if call.rsa else self.headers
        headers |= {name: ctx.credential(held) for name, held in more.items()}
        return call.request(self.host, target, headers, content)

    def _signature(self, ctx: Context, method: str, target: str, token: str, content: bytes, at: str) -> str:
        if self.secret:
            text = snap.string_to_sign(method, target, token, content, at)
            return snap.hmac_sha512(ctx.credential(self.secret), text)
        text = snap.asymmetric_string_to_sign(method, target, content, at)
        return rsa.sign(ctx.credential(self.private_key), text)


def encode(body: object) -> bytes:
    """Compact UTF-8 JSON in the order written: encoded once, signed and sent as it is. Only here is a secret in a
    literal revealed.
    """
    return _ENCODER.encode(body)


def _reveal(value: Any) -> str:
    if isinstance(value, Secret | Nik):
        return value.reveal()
    raise NotImplementedError("only secrets need help")


_ENCODER = msgspec.json.Encoder(enc_hook=_reveal)
