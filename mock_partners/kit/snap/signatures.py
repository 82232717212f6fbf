"""SNAP's signatures and time stamps as a provider makes and verifies them (snap-bni.md 1.7)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

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
