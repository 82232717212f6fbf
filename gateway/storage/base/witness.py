"""The master key's witness in the store: nothing runs under another key than the one the database belongs to."""

from __future__ import annotations

import hmac

import asyncpg

from gateway.security import places
from gateway.security.vault import SealBroken, Vault
from gateway.storage.base.database import Connection


class WrongKey(Exception):
    """The database belongs to another master key, or to none yet; the message says what to do."""


_OTHER = (
    "GATEWAY_MASTER_KEY is not the key that this database belongs to. Set the key under which it was migrated (docs/"
    "production.md, The master key); nothing was changed."
)
_NONE = "This database has no master key yet: run `gateway migrate` with GATEWAY_MASTER_KEY set."


async def prove(dsn: str, vault: Vault) -> None:
    """Before a migration: the key is the database's own, as far as the database can say.

    One without a witness may hold sealed values of earlier versions: the oldest and the newest must open. Raises
    `WrongKey`; changes nothing.
    """
    connection = await asyncpg.connect(dsn)
    try:
        kept = await connection.fetchval("SELECT to_regclass('key_witness') IS NOT NULL")
        if kept and await _stored(connection) is not None:
            await check(connection, vault)
        elif await connection.fetchval("SELECT to_regclass('participants') IS NOT NULL"):
            await _open_some(connection, vault)
    finally:
        await connection.close()


async def keep(dsn: str, vault: Vault) -> None:
    """After a migration: write the witness where there is none. Of two at once the first one's stands; raises
    `WrongKey` for the other.
    """
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(
            "INSERT INTO key_witness (key_id, check_value) VALUES ($1, $2) ON CONFLICT DO NOTHING", *vault.witness()
        )
        await check(connection, vault)
    finally:
        await connection.close()


async def check(connection: Connection, vault: Vault) -> None:
    """Raise `WrongKey` unless the database belongs to this key."""
    try:
        stored = await _stored(connection)
    except asyncpg.UndefinedTableError:
        stored = None
    if stored is None:
        raise WrongKey(_NONE)
    if not all(hmac.compare_digest(mine, theirs) for mine, theirs in zip(vault.witness(), stored, strict=True)):
        raise WrongKey(_OTHER)


async def _stored(connection: Connection) -> tuple[bytes, bytes] | None:
    row = await connection.fetchrow("SELECT key_id, check_value FROM key_witness")
    return None if row is None else (row["key_id"], row["check_value"])


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
