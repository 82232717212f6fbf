"""Sealed fields and blind indexes: AES-256-GCM with a key id and the place of the field as associated data, HMAC-
SHA256 for equality.

All keys come from a master key by HKDF; there are several of those while one takes another's place. A NIK has few
plausible values, so a plain hash of it could be searched through: the blind index is keyed (snap-bni.md 3.2).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE_BYTES = 12
KEY_ID_BYTES = 2
"""Of what stands before every sealed value."""


Seal = Callable[[str, str], bytes]
"""Seals a value for its place (place, value)."""

_UNSAID = "the store has not said which key is in use"


class SealBroken(Exception):
    """A sealed field does not open: wrong key, wrong place, or changed bytes."""


class KeyMissing(Exception):
    """The store uses a master key that is not here, or no longer takes the one that is."""


class KeysNotFollowed(ConnectionError):
    """The store has not said for too long which key seals: it may have been retired since. As good as a store that
    cannot be reached: asked again later, nothing is wrong.
    """


@dataclass(frozen=True)
class StoredKey:
    """What a store says of one master key; nothing that says anything of the key itself."""

    key_id: bytes
    check_value: bytes
    base_sealed: bytes | None
    """What indexes and tokens are made with, under this key; None: it is derived from this key."""
    active: bool


class _Key:
    """One master key as what is derived from it."""

    def __init__(self, master_key: bytes) -> None:
        if len(master_key) != 32:
            raise ValueError("the master key has 32 bytes")
        self.id = _derive(master_key, b"key id")[:KEY_ID_BYTES]
        self.aead = AESGCM(_derive(master_key, b"seal"))
        self.base = _derive(master_key, b"blind index") + _derive(master_key, b"one-time token")
        self.check_value = hmac.digest(_derive(master_key, b"witness in the store"), self.id, "sha256")


class Vault:
    """Seals and opens fields, and makes blind indexes and deterministic one-time tokens.

    Of several master keys one seals and each opens what it has sealed; `follow` says which, as the store has it. What
    indexes and tokens are made with stays the same whichever seals.
    """

    def __init__(self, *master_keys: bytes) -> None:
        """`master_keys`: 32 bytes each. One alone is in use at once, several from `follow` on."""
        keys = [_Key(key) for key in master_keys]
        self._keys = {key.id: key for key in keys}
        if len(self._keys) < len(keys):
            raise ValueError("two of the master keys have one id: leave one out, or make another")
        self._opens: dict[bytes, AESGCM] = {}
        self._active: _Key | None = None
        self._followed: tuple[list[StoredKey], set[bytes]] | None = None
        self._seals_until: float | None = None
        if len(keys) == 1:
            self._use(keys[0], keys[0].base)
            self._opens = {keys[0].id: keys[0].aead}

    def follow(self, stored: Sequence[StoredKey], retired: Collection[bytes] = ()) -> None:
        """From now on do as the store says; `stored`: its keys that are not retired. One of ours that it does not know
        opens too: by the time that we hear of it others may have sealed under it. Raises `KeyMissing`.
        """
        for one in stored:
            key = self._keys.get(one.key_id)
            if key is None or not hmac.compare_digest(key.check_value, one.check_value):
                raise KeyMissing(one.key_id.hex())
        active = next((one for one in stored if one.active), None)
        if active is None:
            raise KeyMissing("none is active")
        if self._followed != (list(stored), set(retired)):
            self._followed = (list(stored), set(retired))
            self._opens = {key.id: key.aead for key in self._keys.values() if key.id not in retired}
            self._use(self._keys[active.key_id], self._base_of(active))

    def fence(self, until: float | None) -> None:
        """Seal until then (by `time.monotonic`) and no longer, unless told again; None: however long. What is sealed
        opens all the same.
        """
        self._seals_until = until

    @property
    def fenced(self) -> bool:
        """Whether somebody follows the store, without whom nothing is sealed any more."""
        return self._seals_until is not None

    def _use(self, key: _Key, base: bytes) -> None:
        self._active, self._base = key, base
        self._hashes: dict[str, Callable[[bytes], bytes]] = {}
        self._token_key = base[32:]

    def _base_of(self, stored: StoredKey) -> bytes:
        key = self._keys[stored.key_id]
        if stored.base_sealed is None:
            return key.base
        return base64.b64decode(self.open(_base_place(key.id), stored.base_sealed))

    @property
    def active_id(self) -> bytes:
        """The id of the key that seals."""
        return self._sealing().id

    def key_ids(self) -> list[bytes]:
        """The ids of the keys that are here, in their order."""
        return list(self._keys)

    def stored(self, key_id: bytes) -> StoredKey:
        """What a store is to keep of one of the keys: the one that seals is the first of a new store."""
        key = self._keys[key_id]
        if key is self._active or self._active is None:
            return StoredKey(key.id, key.check_value, None, active=True)
        base = base64.b64encode(self._base).decode()
        return StoredKey(key.id, key.check_value, _sealer(key, 1)(_base_place(key.id), base), active=False)

    def _sealing(self) -> _Key:
        if self._active is None:
            raise KeyMissing(_UNSAID)
        return self._active

    def _good(self) -> _Key:
        """The key that seals, as far as the store has said so lately; raises `KeysNotFollowed`."""
        if self._seals_until is not None and time.monotonic() > self._seals_until:
            raise KeysNotFollowed("the store has not said lately which key seals")
        return self._sealing()

    def seal(self, place: str, value: str) -> bytes:
        """`value` sealed for `place` (`table.column|row key`): it opens nowhere else. Raises `KeysNotFollowed`."""
        return self.sealer(1)(place, value)

    def sealer(self, most: int) -> Seal:
        """What seals up to `most` values at once, as `seal` does, with one question for randomness and
        for the key; raises `IndexError` for one more.
        """
        return _sealer(self._good(), most)

    def open(self, place: str, sealed: bytes) -> str:
        """The value; raises `SealBroken`."""
        nonce = sealed[KEY_ID_BYTES : KEY_ID_BYTES + _NONCE_BYTES]
        aead = self._opens.get(sealed[:KEY_ID_BYTES])
        if aead is None:
            raise SealBroken("sealed under another key")
        try:
            return aead.decrypt(nonce, sealed[KEY_ID_BYTES + _NONCE_BYTES :], place.encode()).decode()
        except InvalidTag:
            raise SealBroken("the sealed field does not open in its place") from None

    def open_indexed(self, place: str, sealed: bytes, kind: str, index: bytes) -> str:
        """The value that `index` was made of: a former one of the same place, put back beside a newer index, does not
        open. Raises `SealBroken`.
        """
        value = self.open(place, sealed)
        if not hmac.compare_digest(self.index(kind, value), index):
            raise SealBroken("the sealed field holds another value than its index was made of")
        return value

    def index(self, kind: str, value: str) -> bytes:
        """32 bytes that are equal exactly when kind and value are: `nik`, `account:{partner}`, `grant:{partner}`."""
        return self.indexer(kind)(value.encode())

    def indexer(self, kind: str) -> Callable[[bytes], bytes]:
        """`index` of one of the kinds that there are, made once for many values (as UTF-8)."""
        if self._active is None:
            raise KeyMissing(_UNSAID)
        hashed = self._hashes.get(kind)
        if hashed is None:
            hashed = self._hashes[kind] = keyed_hash(self._base[:32], f"{kind}\0".encode())
        return hashed

    def signing_key(self) -> Ed25519PrivateKey:
        """What signs for others to check; the same whichever key seals."""
        self._sealing()
        return Ed25519PrivateKey.from_private_bytes(_derive(self._base, b"signature"))

    def token(self, purpose: str) -> str:
        """32 characters base64url that nobody can guess and that need not be stored: the same for the same purpose."""
        if self._active is None:
            raise KeyMissing(_UNSAID)
        return base64.urlsafe_b64encode(hmac.digest(self._token_key, purpose.encode(), "sha256")[:24]).decode()


def _sealer(key: _Key, most: int) -> Seal:
    key_id, encrypt, random = key.id, key.aead.encrypt, os.urandom(_NONCE_BYTES * most)
    next_nonce = [random[at : at + _NONCE_BYTES] for at in range(0, len(random), _NONCE_BYTES)].pop

    def seal(place: str, value: str) -> bytes:
        nonce = next_nonce()
        return key_id + nonce + encrypt(nonce, value.encode(), place.encode())

    return seal


def _base_place(key_id: bytes) -> str:
    return f"keyring.base|{key_id.hex()}"


def keyed_hash(key: bytes, prefix: bytes = b"") -> Callable[[bytes], bytes]:
    """HMAC-SHA256 (RFC 2104) of `prefix` and message, with key and prefix already hashed in: a batch makes millions,
    and this is a third of the time of `hmac.digest`.
    """
    padded = (key if len(key) <= 64 else hashlib.sha256(key).digest()).ljust(64, b"\0")
    begun = hashlib.sha256(bytes(b ^ 0x36 for b in padded) + prefix)
    ended = hashlib.sha256(bytes(b ^ 0x5C for b in padded))

    def hashed(message: bytes) -> bytes:
        inner, outer = begun.copy(), ended.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()

    return hashed


def _derive(master_key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"prakerja-gateway " + purpose).derive(master_key)
