"""Sealed fields and blind indexes: AES-256-GCM with a key id and the place of the field as associated data, HMAC-
SHA256 for equality.

All keys come from one master key by HKDF. A NIK has few plausible values, so a plain hash of it could be searched
through: the blind index is keyed (snap-bni.md 3.2).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE_BYTES = 12
_KEY_ID_BYTES = 2


class SealBroken(Exception):
    """A sealed field does not open: wrong key, wrong place, or changed bytes."""


class Vault:
    """Seals and opens fields, and makes blind indexes and deterministic one-time tokens."""

    def __init__(self, master_key: bytes) -> None:
        """`master_key`: 32 bytes."""
        if len(master_key) != 32:
            raise ValueError("the master key has 32 bytes")
        self._key_id = _derive(master_key, b"key id")[:_KEY_ID_BYTES]
        self._aead = AESGCM(_derive(master_key, b"seal"))
        self._inner, self._outer = _hmac_states(_derive(master_key, b"blind index"))
        self._token_key = _derive(master_key, b"one-time token")
        self._witness = _derive(master_key, b"witness in the store")

    def seal(self, place: str, value: str) -> bytes:
        """`value` sealed for `place` (`table.column|row key`): it opens nowhere else."""
        nonce = os.urandom(_NONCE_BYTES)
        return self._key_id + nonce + self._aead.encrypt(nonce, value.encode(), place.encode())

    def open(self, place: str, sealed: bytes) -> str:
        """The value; raises `SealBroken`."""
        nonce = sealed[_KEY_ID_BYTES : _KEY_ID_BYTES + _NONCE_BYTES]
        if sealed[:_KEY_ID_BYTES] != self._key_id:
            raise SealBroken("sealed under another key")
        try:
            return self._aead.decrypt(nonce, sealed[_KEY_ID_BYTES + _NONCE_BYTES :], place.encode()).decode()
        except InvalidTag:
            raise SealBroken("the sealed field does not open in its place") from None

    def index(self, kind: str, value: str) -> bytes:
        """32 bytes that are equal exactly when kind and value are: `nik`, `account:{partner}`, `grant:{partner}`."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(f"{kind}\0{value}".encode())
        outer.update(inner.digest())
        return outer.digest()

    def witness(self) -> tuple[bytes, bytes]:
        """Key id and a keyed check value: what a store may keep to know this key again. They say nothing of it."""
        return self._key_id, hmac.digest(self._witness, self._key_id, "sha256")

    def token(self, purpose: str) -> str:
        """32 characters base64url that nobody can guess and that need not be stored: the same for the same purpose."""
        return base64.urlsafe_b64encode(hmac.digest(self._token_key, purpose.encode(), "sha256")[:24]).decode()


def _hmac_states(key: bytes) -> tuple[hashlib._Hash, hashlib._Hash]:
    """HMAC-SHA256 (RFC 2104) with the key already hashed in: a batch makes millions of indexes, and this is a third of
    the time of `hmac.digest`.
    """
    padded = key.ljust(64, b"\0")
    return hashlib.sha256(bytes(b ^ 0x36 for b in padded)), hashlib.sha256(bytes(b ^ 0x5C for b in padded))


def _derive(master_key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"prakerja-gateway " + purpose).derive(master_key)
