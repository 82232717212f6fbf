"""Independent SNAP clients in several styles, each written from snap-bni.md 1.3-1.7 alone: what real ones send."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import hmac as openssl

from tests.mock_partners.signing import rsa_signature
from tests.mock_partners.wire import Mock, Sent
from tests.partners import each
from tests.partners.kit import Endpoint, Product

NUMBERS = itertools.count(1)


def _compact(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def _ascii(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def _backwards(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _backwards(value[key]) for key in reversed(value)}
    return value


def _by_hashlib(secret: str, text: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha512).digest()).decode()


def _by_openssl(secret: str, text: str) -> str:
    mac = openssl.HMAC(secret.encode(), hashes.SHA512())
    mac.update(text.encode())
    return base64.b64encode(mac.finalize()).decode()


@dataclass(frozen=True)
class Style:
    """How one client writes: the bytes it sends, the bytes it hashes, its clock's spelling, its HMAC."""

    name: str
    write: Callable[[Any], bytes]
    hashed: Callable[[Any], bytes]
    clock: Callable[[datetime], str]
    mac: Callable[[str, str], str] = _by_hashlib


def _plus_seven(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S+07:00")


def _plus_seven_ms(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.196+07:00")


def _zulu(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _zulu_ms(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.024Z")


STYLES = (
    Style("careful: one text, hashed and sent", _compact, _compact, _plus_seven),
    Style("Python: json.dumps sent, compact hashed, ASCII", lambda body: json.dumps(body).encode(), _ascii, _zulu),
    Style("JavaScript: JSON.stringify, toISOString", _compact, _compact, _zulu_ms, _by_openssl),
    Style(
        "Java: pretty-printed, raw UTF-8, milliseconds",
        lambda body: json.dumps(body, indent=2, ensure_ascii=False).encode(), _compact, _plus_seven_ms, _by_openssl,
    ),
    Style(
        "PHP: json_encode escapes slashes and letters",
        lambda body: _ascii(body).replace(b"/", rb"\/"), lambda body: _ascii(body).replace(b"/", rb"\/"), _plus_seven,
    ),
    Style("Go: fields in another order", lambda body: _compact(_backwards(body)),
          lambda body: _compact(_backwards(body)), _zulu),
    Style(
        "Windows: tabs and CR LF",
        lambda body: json.dumps(body, indent="\t", ensure_ascii=False).replace("\n", "\r\n").encode(), _compact,
        _zulu_ms,
    ),
)  # fmt: skip
CAREFUL = STYLES[0]


CLIENTS = each("client")
ENDPOINTS: tuple[Endpoint, ...] = tuple(endpoint for client in CLIENTS.values() for endpoint in client.ENDPOINTS)
"""Every SNAP call of every mock but the token calls."""


class Signer:
    """One client of one product of one mock."""

    def __init__(self, mock: Mock, product: str = "snap") -> None:
        self.product: Product = CLIENTS[mock.partner].PRODUCTS[product]
        given = mock.secrets
        self.mock, self.token = mock, ""
        self.client_key, self.partner_id = given[self.product.client_key], given[self.product.partner_id]
        self.pem = given[self.product.pem]

    def token_call(self, path: str = "", body: Any = None, style: Style = CAREFUL, bearer: str = "") -> Sent:
        """A call signed with RSA over client|timestamp; without arguments the B2B token's."""
        at = style.clock(self.mock.clock.now())
        headers = {
            "content-type": "application/json", "x-timestamp": at, "x-client-key": self.client_key,
            "x-signature": rsa_signature(self.pem, f"{self.client_key}|{at}"),
        }  # fmt: skip
        if bearer:
            headers["authorization"] = f"Bearer {bearer}"
        sent = style.write(body if body is not None else {"grantType": "client_credentials"})
        return Sent("POST", path or self.product.token_path, headers=headers, body=sent)

    async def authenticate(self, style: Style = CAREFUL) -> str:
        """Our own token, where the product has one."""
        if not self.product.token_path:
            return ""
        got = await self.mock.send(self.token_call(style=style))
        assert (got.status, got.code[5:]) == (200, "00"), (style.name, got.body)
        self.token = got.json["accessToken"]
        return self.token

    def sign(
        self, endpoint: Endpoint, style: Style = CAREFUL, *, bearer: str | None = None, customer: str = "",
        sent: bytes | None = None, hashed: bytes | None = None,
    ) -> Sent:  # fmt: skip
        """A transaction call; `sent` and `hashed` stand in for the style's own bytes."""
        empty = endpoint.body is None
        sent = (b"" if empty else style.write(endpoint.body)) if sent is None else sent
        hashed = (b"" if empty else style.hashed(endpoint.body)) if hashed is None else hashed
        token = self.token if bearer is None else bearer
        target = endpoint.path + (f"?{endpoint.query}" if endpoint.query else "")
        at = style.clock(self.mock.clock.now())
        digest = hashlib.sha256(hashed).hexdigest()
        if self.product.secret:
            text = ":".join((endpoint.method, target, token, digest, at))
            signature = style.mac(self.mock.secrets[self.product.secret], text)
        else:
            signature = rsa_signature(self.pem, ":".join((endpoint.method, target, digest, at)))
        headers = {
            "x-timestamp": at, "x-signature": signature, "x-partner-id": self.partner_id,
            "x-external-id": f"{next(NUMBERS):018d}", "channel-id": "95221", "x-device-id": "device-1",
        }  # fmt: skip
        if sent:
            headers["content-type"] = "application/json"
        if token:
            headers["authorization"] = f"Bearer {token}"
        if customer:
            headers["authorization-customer"] = f"Bearer {customer}"
        return Sent(endpoint.method, endpoint.path, endpoint.query, headers, sent)
