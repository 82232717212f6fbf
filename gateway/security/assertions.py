"""`private_key_jwt`: a client proves itself by a signed statement, good once and for minutes (RFC 7523, FAPI 2.0),
instead of by a secret that lies with both sides.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, RSAKey

from contracts.errors import InvalidRequest

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS = ("ES256", "PS256")
"""Of FAPI 2.0; none that takes a public key for a shared one."""
LONGEST = timedelta(minutes=5)
"""How far ahead a statement may expire."""
SKEW = timedelta(seconds=30)
MOST_KEYS = 8
_RSA_BITS = 2_048
_MAX_BYTES = 16_384


class AssertionRefused(Exception):
    """The statement proves nothing; the text says why, for our own log."""


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What the statement must say."""

    iss: str
    sub: str
    aud: str | list[str]
    exp: float
    jti: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    iat: float | None = None
    nbf: float | None = None

    @property
    def expires_at(self) -> datetime:
        """When it ends."""
        return datetime.fromtimestamp(self.exp, UTC)


def public_keys(text: str) -> str:
    """A client's JSON Web Key Set as it is stored; raises `InvalidRequest` for what is none, or holds a private key."""
    try:
        if len(text) > _MAX_BYTES:
            raise ValueError
        given = msgspec.json.decode(text)["keys"]
        if any({"d", "p", "q", "k"} & set(key) for key in given):
            raise InvalidRequest(
                "The set holds a private or shared key.",
                field="keys",
                code="key_private",
                remedy="Make a new pair, as this one was shown, and give the public part alone.",
            )
        keys = KeySet.import_key_set({"keys": given}).keys
    except (JoseError, ValueError, TypeError, KeyError, RecursionError, msgspec.DecodeError):
        raise _none('This is no JSON Web Key Set: {"keys": [...]}.') from None
    ids = [key.kid for key in keys]
    if not 1 <= len(keys) <= MOST_KEYS or None in ids or len(set(ids)) < len(ids):
        raise _none(f"A set has 1 to {MOST_KEYS} keys, each with a `kid` of its own.")
    for key in keys:
        if not acceptable(key):
            raise _none(f"Keys are of the curve P-256 (ES256), or RSA of {_RSA_BITS} bits or more (PS256).")
    return msgspec.json.encode({"keys": [key.as_dict(private=False) for key in keys]}).decode()


def acceptable(key: object) -> bool:
    """Of the kinds and lengths that FAPI 2.0 takes."""
    if isinstance(key, ECKey):
        return bool(key.curve_name == "P-256")
    return isinstance(key, RSAKey) and key.raw_value.key_size >= _RSA_BITS


def issuer_of(assertion: str) -> str:
    """Whom the statement says it is of, believed by nobody yet; empty where it cannot be read."""
    try:
        payload = jws.extract_compact(assertion.encode()).payload
        return msgspec.json.decode(payload, type=_Issuer).iss
    except (JoseError, ValueError, TypeError, RecursionError, msgspec.DecodeError):
        return ""


class _Issuer(msgspec.Struct):
    iss: str


def proved(assertion: str, keys: str, client_id: str, audiences: Collection[str], now: datetime) -> Claims:
    """The claims of a statement that one of the client's `keys` signed for one of `audiences`; raises
    `AssertionRefused`. Whether it was used before is for the caller to find out.
    """
    try:
        token = jwt.decode(assertion, KeySet.import_key_set(msgspec.json.decode(keys)), algorithms=list(ALGORITHMS))
        claims = msgspec.convert(token.claims, Claims)
    except (JoseError, ValueError, TypeError, KeyError, RecursionError, msgspec.ValidationError) as error:
        raise AssertionRefused(type(error).__name__) from None
    if "kid" not in token.header:
        raise AssertionRefused("no kid")
    if claims.iss != client_id or claims.sub != client_id:
        raise AssertionRefused("of somebody else")
    named = [claims.aud] if isinstance(claims.aud, str) else claims.aud
    if not named or not set(named) <= set(audiences):
        raise AssertionRefused("for somebody else")
    at = now.timestamp()
    if not at < claims.exp <= at + (LONGEST + SKEW).total_seconds():
        raise AssertionRefused("expired, or good for too long")
    if max(claims.iat or at, claims.nbf or at) > at + SKEW.total_seconds():
        raise AssertionRefused("from the future")
    return claims


def _none(detail: str) -> InvalidRequest:
    return InvalidRequest(
        detail, field="keys", code="keys_invalid", remedy="Give the public keys as RFC 7517 has them."
    )
