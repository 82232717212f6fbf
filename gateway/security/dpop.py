"""DPoP (RFC 9449): a token that is good only beside a fresh signature of the key it was issued to, so that whoever
reads one in a log or on the way cannot use it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import unquote

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, RSAKey

from gateway.security.assertions import ALGORITHMS, SKEW, acceptable

LIFE = timedelta(seconds=60)
"""How long after it was made a proof is taken."""
_MAX_BYTES = 8_192
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


class ProofRefused(Exception):
    """The proof proves nothing; the text says why, for our own log."""


class _Registry(jws.JWSRegistry):
    """A key of RSA in the head is longer than what stands there otherwise."""

    max_header_length = _MAX_BYTES


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What a proof says, once its signature held."""

    thumbprint: str
    """Of its key (RFC 7638, SHA-256, base64url)."""
    jti: str
    good_until: datetime


class _Head(msgspec.Struct):
    typ: str
    alg: str
    jwk: dict[str, Any]


class _Claims(msgspec.Struct):
    jti: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    htm: str
    htu: str
    iat: float
    ath: str | None = None


def proved(proof: str, method: str, url: str, now: datetime, token: str | None = None) -> Proof:
    """A proof for one request, by its `url` without query and percent-encoding, and for `token` where one goes with it.
    Raises `ProofRefused`. Whether it was used before is for the caller to find out.
    """
    try:
        if len(proof) > _MAX_BYTES:
            raise ProofRefused("too long")
        registry = _Registry(algorithms=list(ALGORITHMS))
        head = msgspec.convert(jws.extract_compact(proof.encode(), registry=registry).headers(), _Head)
        if head.typ.lower() != "dpop+jwt" or head.alg not in ALGORITHMS or _PRIVATE & head.jwk.keys():
            raise ProofRefused("of another kind")
        key = JWKRegistry.import_key(head.jwk)
        if not acceptable(key):
            raise ProofRefused("a key that is too weak")
        assert isinstance(key, ECKey | RSAKey)
        signed = jws.deserialize_compact(proof.encode(), key, registry=registry)
        claims = msgspec.json.decode(signed.payload, type=_Claims)
    except (JoseError, ValueError, TypeError, KeyError, RecursionError, msgspec.MsgspecError) as error:
        raise ProofRefused(type(error).__name__) from None
    if claims.htm != method or unquote(claims.htu.partition("?")[0].partition("#")[0]) != url:
        raise ProofRefused("for another request")
    age_s = now.timestamp() - claims.iat
    if not -SKEW.total_seconds() <= age_s <= LIFE.total_seconds():
        raise ProofRefused("of another time")
    if token is not None and not hmac.compare_digest((claims.ath or "").encode(), _hash(token)):
        raise ProofRefused("for another token")
    good_until = now - timedelta(seconds=age_s) + LIFE
    return Proof(thumbprint=key.thumbprint(), jti=claims.jti, good_until=good_until)


def _hash(token: str) -> bytes:
    return base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=")
