"""SNAP's strings to sign, and signatures over them (snap-bni.md 1.3, 1.7)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # loaded by the first signature: commands that know the partners sign nothing and should start fast
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

_PUBLIC = re.compile(r"-----BEGIN [A-Z ]*PUBLIC KEY-----.*?-----END [A-Z ]*PUBLIC KEY-----", re.DOTALL)
_STRING_OR_SPACE = re.compile(rb'("[^"\\]*(?:\\.[^"\\]*)*"?)|[ \t\r\n]+', re.DOTALL)
JAKARTA = timezone(timedelta(hours=7))
"""Asia/Jakarta has no daylight saving: a fixed offset of +07:00."""


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


def rsa_sha256(private_key_pem: str, text: str) -> str:
    """Base64 of RSA-SHA256, PKCS#1 v1.5."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    signature = _private_key(private_key_pem).sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return base64.b64encode(signature).decode()


def rsa_sha256_valid(public_keys: str, text: str, signature: str) -> bool:
    """Whether `signature` (base64) is a key's over `text`; malformed base64 is simply not valid. `public_keys` may hold
    two in PEM, one behind the other: both are good while a partner changes from one to the next (decision X13).
    """
    return any(_valid(pem, text, signature) for pem in _PUBLIC.findall(public_keys))


def minify(text: bytes) -> bytes:
    """JSON with the white space outside strings removed; nothing else changes (snap-bni.md 1.7, T6). For verifying
    what others sent.
    """
    return _STRING_OR_SPACE.sub(rb"\1", text)


def _valid(public_key_pem: str, text: str, signature: str) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    try:
        raw = base64.b64decode(signature, validate=True)
        _public_key(public_key_pem).verify(raw, text.encode(), padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


@lru_cache(maxsize=16)
def _private_key(pem: str) -> RSAPrivateKey:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    key = serialization.load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("SNAP signs with an RSA key")
    return key


@lru_cache(maxsize=16)
def _public_key(pem: str) -> RSAPublicKey:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    key = serialization.load_pem_public_key(pem.encode())
    if not isinstance(key, RSAPublicKey):
        raise ValueError("SNAP verifies with an RSA key")
    return key
