"""One incentive's whole record, signed: who handed over, approved and consented, what was sent and what came back.
Whoever has the installation's public key can check it without us, and nothing in it says who the person is.
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from contracts.errors import InvalidRequest, NotFound
from gateway.clock import Clock
from gateway.security.vault import Vault
from gateway.services.ops.audit import Sealing
from gateway.storage.base.database import Database
from gateway.storage.ops import audit, bundle

CONTEXT = b"prakerja-gateway audit bundle\n"
"""Stands before what is signed, so that the signature is good for nothing else."""


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """The record, and the signature over its canonical form: keys in order, no spaces, UTF-8."""

    record: dict[str, Any]
    signature: str
    """Ed25519, base64."""


class Bundles:
    """Makes bundles."""

    def __init__(self, database: Database, clock: Clock, vault: Vault) -> None:
        self._database, self._clock, self._vault = database, clock, vault
        self._sealing = Sealing(database, clock, vault)

    async def make(self, incentive: int, actor: str) -> Bundle:
        """The record of one incentive as it stands, with the root of the record of decisions; that it was read is on
        record too. Raises `NotFound`.
        """
        now = self._clock.now()
        await self._sealing.seal(now)
        async with self._database.transaction() as connection:
            story = await bundle.story(connection, incentive)
            if story is None:
                raise NotFound("There is no such incentive.")
            await audit.record(connection, now, actor, "audit.bundle", str(incentive), {})
        record = msgspec.json.decode(story) | {"audit_root": await self._sealing.root(), "made_at": now.isoformat()}
        signature = self._vault.signing_key().sign(CONTEXT + canonical(record))
        return Bundle(record=record, signature=base64.b64encode(signature).decode())


def public_key(vault: Vault) -> str:
    """What checks every bundle of this installation: 32 bytes, base64."""
    return base64.b64encode(vault.signing_key().public_key().public_bytes_raw()).decode()


def canonical(record: dict[str, Any]) -> bytes:
    """What is signed of a record."""
    return msgspec.json.encode(record, order="deterministic")


def check(text: bytes, key: str) -> dict[str, Any]:
    """The record of a bundle that was signed under this public key; raises `InvalidRequest`."""
    try:
        given = msgspec.json.decode(text, type=Bundle)
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key, validate=True))
        public.verify(base64.b64decode(given.signature, validate=True), CONTEXT + canonical(given.record))
    except (msgspec.DecodeError, ValueError, RecursionError, InvalidSignature):
        raise InvalidRequest(
            "This is not a bundle as the holder of this key signed it.",
            code="bundle_invalid",
            remedy="Take the file as `gateway audit bundle` wrote it, and the key that `gateway audit key` prints.",
        ) from None
    return given.record
