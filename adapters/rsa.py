"""RSA-SHA256 signatures, of SNAP and of what partners sign beside it (a page's address, a profile query, a notice)."""

from __future__ import annotations

import base64
import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # loaded by the first signature: commands that know the partners sign nothing and should start fast
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

FEWEST_BITS = 2048
_PUBLIC = re.compile(r"-----BEGIN [A-Z ]*PUBLIC KEY-----.*?-----END [A-Z ]*PUBLIC KEY-----", re.DOTALL)


def sign(private_key_pem: str, text: str) -> str:
    """Base64 of RSA-SHA256, PKCS#1 v1.5."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    signature = _private_key(private_key_pem).sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return base64.b64encode(signature).decode()


def valid(public_keys: str, text: str, signature: str) -> bool:
    """Whether `signature` (base64) is a key's over `text`; malformed base64 is simply not valid. `public_keys` may hold
    two in PEM, one behind the other: both are good while a partner changes from one to the next (decision X13).
    """
    return any(_valid(pem, text, signature) for pem in _PUBLIC.findall(public_keys))


def unusable(pem: str, *, private: bool) -> str | None:
    """Why this text cannot be the RSA key that signs (`private`) or that signatures are checked with, and the way out;
    None where it can. It quotes nothing.
    """
    from cryptography.exceptions import UnsupportedAlgorithm

    text = pem.strip()
    if not text.startswith("-----BEGIN ") or "-----END " not in text:
        if text[:1] in ("'", '"'):
            return "has quotes around it: take them away"
        return "is no PEM: give the whole file, with its BEGIN and END lines"
    if not private and "CERTIFICATE" in text.splitlines()[0]:
        return "is a certificate: take the key out of it, openssl x509 -pubkey -noout"
    if private is ("PRIVATE KEY" not in text):
        return f"is not a {'private' if private else 'public'} key: the other half, or something else"
    if "ENCRYPTED" in text:
        return "has a pass phrase: take it off, openssl pkey"
    try:
        keys = [_private_key(text)] if private else [_public_key(each) for each in _PUBLIC.findall(text)]
    except (UnsupportedAlgorithm, ValueError, TypeError):
        return "cannot be read as an RSA key: it was cut, changed, or is of another kind"
    if not keys or min(key.key_size for key in keys) < FEWEST_BITS:
        return f"is no RSA key of {FEWEST_BITS} bits or more"
    return None


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
        raise ValueError("an RSA key is wanted")
    return key


@lru_cache(maxsize=16)
def _public_key(pem: str) -> RSAPublicKey:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    key = serialization.load_pem_public_key(pem.encode())
    if not isinstance(key, RSAPublicKey):
        raise ValueError("an RSA key is wanted")
    return key
