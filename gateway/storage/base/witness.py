"""The master keys' witnesses in the store: nothing runs without each key that the database belongs to."""

from __future__ import annotations

import contextlib
import functools
import signal
import time
from collections.abc import AsyncIterator

import asyncpg

from gateway.security import places
from gateway.security.vault import KeyMissing, SealBroken, StoredKey, Vault
from gateway.storage.base.again import asking
from gateway.storage.base.database import Connection, Database, connect

FOLLOW_S = 5.0
"""How often a process asks the store which key seals."""
FENCE_S = 30.0
"""A process that did not hear for so long seals nothing: by the time that a key may be retired (services/ops/keys.py)
none seals under it any more.
"""
_HELD = 0x70_72_61_6D


class WrongKey(Exception):
    """The database belongs to other master keys, or to none yet; the message says what to do."""


_OTHER = (
    "GATEWAY_MASTER_KEY is not the key that this database belongs to. Set the key under which it was migrated (docs/"
    "production.md, The master key), during a change of keys both; nothing was changed."
)
_NONE = "This database has no master key yet: run `gateway migrate` with GATEWAY_MASTER_KEY set."


async def prove(dsn: str, vault: Vault) -> None:
    """Before a migration: the key is the database's own, as far as the database can say.

    One without a witness may hold sealed values of earlier versions: the oldest and the newest must open. Raises
    `WrongKey`; changes nothing.
    """
    connection = await connect(dsn)
    try:
        if await _stored(connection):
            await check(connection, vault)
        elif await connection.fetchval("SELECT to_regclass('participants') IS NOT NULL"):
            await _open_some(connection, vault)
    finally:
        await connection.close()


async def keep(dsn: str, vault: Vault) -> None:
    """After a migration: write the witness where there is none. Of two at once the first one's stands; raises
    `WrongKey` for the other.
    """
    connection = await connect(dsn)
    try:
        first = vault.stored(vault.key_ids()[0])
        await connection.execute(
            "INSERT INTO keyring (key_id, check_value, active, activated_at) SELECT $1, $2, true, now()"
            " WHERE NOT EXISTS (SELECT FROM keyring) ON CONFLICT DO NOTHING",
            first.key_id,
            first.check_value,
        )
        await check(connection, vault)
    finally:
        await connection.close()


async def check(connection: Connection, vault: Vault) -> None:
    """Have the vault do as the store says from now on; raise `WrongKey` where it lacks one of the store's keys."""
    asked = time.monotonic()
    stored = await _stored(connection)
    if not stored:
        raise WrongKey(_NONE)
    try:
        vault.follow(
            [one for one, retired in stored if not retired], [one.key_id for one, retired in stored if retired]
        )
    except KeyMissing:
        raise WrongKey(_OTHER) from None
    if vault.fenced:
        vault.fence(asked + FENCE_S)


async def hold(connection: Connection) -> list[bytes]:
    """No key is retired until this transaction ends; the ids of those that are retired already. For whoever stores what
    was sealed long before: until it is stored, nobody else sees what it lies under.
    """
    await connection.execute("SELECT pg_advisory_xact_lock_shared($1)", _HELD)
    rows = await connection.fetch("SELECT key_id FROM keyring WHERE retired_at IS NOT NULL")
    return [row["key_id"] for row in rows]


async def free(connection: Connection) -> bool:
    """Whether nobody holds the keys (`hold`); nobody begins to until this transaction ends."""
    return bool(await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", _HELD))


@contextlib.asynccontextmanager
async def following(database: Database, vault: Vault, *, every_s: float = FOLLOW_S) -> AsyncIterator[None]:
    """Ask the store again and again which key seals; while it cannot be asked nothing is sealed after `FENCE_S`. Once
    it has a key that is not here, the process ends in order: what others seal under that key would not open here, and
    started anew it says what is missing.
    """
    outer = vault.fenced
    vault.fence(time.monotonic() + FENCE_S)
    try:
        async with asking("keys", database, functools.partial(_followed, vault), every_s=every_s, limit_s=FENCE_S / 2):
            yield
    finally:
        if not outer:
            vault.fence(None)


async def _followed(vault: Vault, connection: Connection) -> None:
    try:
        await check(connection, vault)
    except WrongKey as error:
        import structlog  # late, as in database.py

        structlog.get_logger(__name__).error("key_missing", detail=str(error))
        signal.raise_signal(signal.SIGTERM)


async def _stored(connection: Connection) -> list[tuple[StoredKey, bool]]:
    """Every key, and whether it is retired; none before the first migration under a key."""
    try:
        rows = await connection.fetch(
            "SELECT key_id, check_value, base_sealed, active, retired_at IS NOT NULL AS retired FROM keyring"
            " ORDER BY added_at"
        )
    except asyncpg.UndefinedTableError:
        return await _stored_before(connection)
    return [
        (StoredKey(row["key_id"], row["check_value"], row["base_sealed"], row["active"]), row["retired"])
        for row in rows
    ]


async def _stored_before(connection: Connection) -> list[tuple[StoredKey, bool]]:
    """The one key of a database that is still to be migrated to a ring of keys."""
    if not await connection.fetchval("SELECT to_regclass('key_witness') IS NOT NULL"):
        return []
    rows = await connection.fetch("SELECT key_id, check_value FROM key_witness")
    return [(StoredKey(row["key_id"], row["check_value"], None, active=True), False) for row in rows]


async def _open_some(connection: Connection, vault: Vault) -> None:
    rows = await connection.fetch(
        "(SELECT participant_id, nik_sealed FROM participants ORDER BY id LIMIT 1) UNION ALL"
        " (SELECT participant_id, nik_sealed FROM participants ORDER BY id DESC LIMIT 1)"
    )
    try:
        for row in rows:
            vault.open(places.nik(row["participant_id"]), row["nik_sealed"])
    except SealBroken:
        raise WrongKey(_OTHER) from None
