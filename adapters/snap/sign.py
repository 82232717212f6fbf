"""SNAP's strings to sign, and its symmetric signature (snap-bni.md 1.3, 1.7); the other one is `adapters/rsa.py`."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from datetime import datetime

from contracts.jakarta import JAKARTA

_STRING_OR_SPACE = re.compile(rb'("[^"\\]*(?:\\.[^"\\]*)*"?)|[ \t\r\n]+', re.DOTALL)


def timestamp(now: datetime, *, milliseconds: bool = False) -> str:
    """`yyyy-MM-ddTHH:mm:ss+07:00` (snap-bni.md 1.2), with milliseconds where a partner wants them (OVO, wallets.md
    3.2).
    """
    return now.astimezone(JAKARTA).isoformat(timespec="milliseconds" if milliseconds else "seconds")


def body_hash(content: bytes) -> str:
    """Lower-case hex SHA-256 of the bytes that are sent; we send minified JSON, so no minifying happens here."""
    return hashlib.sha256(content).hexdigest()


def token_string_to_sign(client_id: str, at: str) -> str:
    """What a token request signs: `client_id|timestamp` (snap-bni.md 1.3)."""
    return f"{client_id}|{at}"


def string_to_sign(method: str, target: str, token: str, content: bytes, at: str) -> str:
    """Type 1, symmetric with token: `METHOD:target:token:hash:timestamp` (snap-bni.md 1.7)."""
    return f"{method}:{target}:{token}:{body_hash(content)}:{at}"


def asymmetric_string_to_sign(method: str, target: str, content: bytes, at: str) -> str:
    """Type 2, asymmetric without token: `METHOD:target:hash:timestamp` (snap-bni.md 1.7, 1.13)."""
    return f"{method}:{target}:{body_hash(content)}:{at}"


def hmac_sha512(secret: str, text: str) -> str:
    """Base64 of HMAC-SHA512."""
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), "sha512")).decode()


def minify(text: bytes) -> bytes:
    """JSON with the white space outside strings removed; nothing else changes (snap-bni.md 1.7, T6). For verifying
    what others sent.
    """
    return _STRING_OR_SPACE.sub(rb"\1", text)
