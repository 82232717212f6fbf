"""The string that a request's signature was made over, said only where making it again gives the signature sent.

Two forms are known: SNAP's (snap-bni.md 1.3, 1.7), and the one that lists its headers in `Authorization: hmac ...`
(wallets.md 4.2). A request that is not signed, or in another form, has none.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterable, Mapping

from adapters import rsa
from adapters.snap import sign as snap
from contracts.plan import Request
from contracts.secret import Secret

BODY_HASH = "<hash of the body>"
"""In the place of the body's hash: over a body with a NIK in it, it would give the NIK away to who tries them all."""
_HMAC = re.compile(r'hmac .*headers="(?P<names>[^"]+)".*signature="(?P<signature>[^"]+)"')


def signed_text(request: Request, credentials: Mapping[str, Secret]) -> str | None:
    """What was signed, the hash of the body left out; it still holds tokens and ids, to be hidden by the caller."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    keys = [value.reveal() for value in credentials.values()]
    authorization = headers.get("authorization", "")
    if listed := _HMAC.fullmatch(authorization):
        text = "\n".join(_line(name, request, headers) for name in listed["names"].split())
        made = (_hmac_sha256(key, text) for key in keys)
        return _without(text, headers.get("digest")) if _any_is(listed["signature"], made) else None
    signature, at = headers.get("x-signature"), headers.get("x-timestamp", "")
    if signature is None:
        return None
    if "x-client-key" in headers:
        text = snap.token_string_to_sign(headers["x-client-key"], at)
        made = (rsa.sign(key, text) for key in keys if "PRIVATE KEY" in key)
        return text if _any_is(signature, made) else None
    token = authorization.removeprefix("Bearer ")
    text = snap.string_to_sign(request.method, request.target, token, request.content, at)
    made = (snap.hmac_sha512(key, text) for key in keys)
    return _without(text, snap.body_hash(request.content)) if _any_is(signature, made) else None


def _line(name: str, request: Request, headers: Mapping[str, str]) -> str:
    if name == "request-line":
        return f"{request.method} {request.target} HTTP/1.1"
    return f"{name}: {headers.get(name, '')}"


def _hmac_sha256(key: str, text: str) -> str:
    return base64.b64encode(hmac.digest(key.encode(), text.encode(), "sha256")).decode()


def _any_is(signature: str, made: Iterable[str]) -> bool:
    return any(hmac.compare_digest(signature, candidate) for candidate in made)


def _without(text: str, body_hash: str | None) -> str:
    return text.replace(body_hash, BODY_HASH) if body_hash else text
