"""A SNAP client for these tests, written from snap-bni.md 1.7 alone: it shares no code with the mocks."""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import itertools
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import httpx
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey


def compact(body: object) -> bytes:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def code(reply: httpx.Response) -> str:
    """The responseCode, which must agree with the HTTP status."""
    told = str(reply.json()["responseCode"])
    assert told[:3] == str(reply.status_code)
    assert len(told) == 7
    assert reply.headers["X-TIMESTAMP"]
    return told


@functools.cache
def private_key(pem: str) -> RSAPrivateKey:
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    assert isinstance(key, RSAPrivateKey)
    return key


def rsa_signature(pem: str, text: str) -> str:
    return base64.b64encode(private_key(pem).sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()


def hmac_signature(secret: str, method: str, target: str, token: str, minified: bytes, timestamp: str) -> str:
    text = f"{method}:{target}:{token}:{hashlib.sha256(minified).hexdigest()}:{timestamp}"
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha512).digest()).decode()


class SnapClient:
    """Calls one SNAP product; `sign` and every header can be overridden to send what a faulty client would."""

    def __init__(
        self, client: httpx.AsyncClient, *, client_key: str, partner_id: str, secret: str, pem: str, token_path: str,
        now: Any,
    ) -> None:  # fmt: skip
        self.client, self.client_key, self.partner_id = client, client_key, partner_id
        self.secret, self.pem, self.token_path, self.now = secret, pem, token_path, now
        self.token = ""
        self._ids = itertools.count(1)

    def timestamp(self) -> str:
        at: datetime = self.now()
        return at.isoformat(timespec="seconds")

    async def authenticate(self, **headers: str) -> httpx.Response:
        at = headers.pop("at", self.timestamp())
        sent = {
            "Content-Type": "application/json",
            "X-TIMESTAMP": at,
            "X-CLIENT-KEY": self.client_key,
            "X-SIGNATURE": rsa_signature(self.pem, f"{self.client_key}|{at}"),
            **headers,
        }
        reply = await self.client.post(self.token_path, content=b'{"grantType":"client_credentials"}', headers=sent)
        if reply.status_code == 200:
            self.token = reply.json()["accessToken"]
        return reply

    async def post(
        self, path: str, body: object, *, sent: bytes | None = None, at: str | None = None, token: str | None = None,
        drop: Iterable[str] = (), method: str = "POST", headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:  # fmt: skip
        minified = compact(body)
        at = at or self.timestamp()
        token = self.token if token is None else token
        named = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {token}",
            "X-TIMESTAMP": at,
            "X-PARTNER-ID": self.partner_id,
            "X-EXTERNAL-ID": f"{next(self._ids):012d}",
            "CHANNEL-ID": "95221",
            "X-SIGNATURE": hmac_signature(self.secret, method, path, token, minified, at),
            **{name.replace("_", "-").upper(): value for name, value in (headers or {}).items()},
        }
        for name in drop:
            named.pop(name, None)
        return await self.client.request(method, path, content=minified if sent is None else sent, headers=named)
