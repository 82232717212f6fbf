"""Clients of the API and their access tokens; secrets and tokens only as SHA-256.

Both are random with at least 256 bits, so there is nothing to guess: a slow key derivation, made for words that people
choose, would only cost time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from gateway.storage.base.database import Connection

_PURGE = 100
"""Expired tokens removed with each new one: the table stays as small as what is alive."""
_OVER = timedelta(minutes=10)
"""A used statement is remembered for longer than any clock's difference."""


class ClientRow(msgspec.Struct, frozen=True, kw_only=True):
    """A client without its secret."""

    id: str
    name: str
    scopes: tuple[str, ...]
    return_urls: tuple[str, ...]
    created_at: datetime
    disabled_at: datetime | None
    organisation: str | None
    """Whose rows it sees and makes; None: it sees everybody's, and makes none."""
    person: str
    """Who holds it: two clients of one person are one pair of eyes."""


class TokenRow(msgspec.Struct, frozen=True, kw_only=True):
    """What an access token stands for."""

    client_id: str
    scopes: frozenset[str]
    return_urls: tuple[str, ...]
    organisation: str | None
    expires_at: datetime
    thumbprint: str | None
    """Of the key whose proofs it is good beside; None: whoever has it may use it."""


_COLUMNS = "id, name, scopes, return_urls, created_at, disabled_at, organisation, coalesce(person, id) AS person"


async def insert(connection: Connection, row: ClientRow, secret_hash: bytes) -> bool:
    """Store a new client; False when the id is taken."""
    done = await connection.fetchval(
        "INSERT INTO clients (id, name, secret_hash, scopes, return_urls, created_at, organisation, person)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING RETURNING id",
        row.id,
        row.name,
        secret_hash,
        row.scopes,
        row.return_urls,
        row.created_at,
        row.organisation,
        row.person,
    )
    return done is not None


async def get_all(connection: Connection) -> list[ClientRow]:
    """Every client, oldest first."""
    rows = await connection.fetch(f"SELECT {_COLUMNS} FROM clients ORDER BY created_at, id")  # noqa: S608 - constant
    return [msgspec.convert(dict(row), ClientRow, strict=False) for row in rows]


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """By what a client proves itself."""

    secret_hashes: tuple[bytes, ...]
    """Those that are good now; none where it has keys."""
    keys: str | None
    """Its public keys, a JSON Web Key Set."""


async def get_with_credentials(
    connection: Connection, client_id: str, now: datetime
) -> tuple[ClientRow, Credentials] | None:
    """An enabled client and by what it proves itself."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS}, keys, secret_hash, CASE WHEN old_secret_until > $2 THEN old_secret_hash END AS old_hash"  # noqa: S608
        " FROM clients WHERE id = $1 AND disabled_at IS NULL",
        client_id,
        now,
    )
    if row is None:
        return None
    values = dict(row)
    hashes, keys = (values.pop("secret_hash"), values.pop("old_hash")), values.pop("keys")
    good = tuple(each for each in hashes if each is not None) if keys is None else ()
    return msgspec.convert(values, ClientRow), Credentials(secret_hashes=good, keys=keys)


async def set_keys(connection: Connection, client_id: str, keys: str) -> bool:
    """Keys in the place of those before, or of the secret. False when there is no enabled client of that id."""
    found = await connection.fetchval(
        "UPDATE clients SET keys = $2 WHERE id = $1 AND disabled_at IS NULL RETURNING id", client_id, keys
    )
    return found is not None


async def use_assertion(
    connection: Connection, client_id: str, jti_hash: bytes, expires_at: datetime, now: datetime
) -> bool:
    """Note that a statement was used, and drop some that are over; False: it was used before."""
    return bool(
        await connection.fetchval(
            "WITH gone AS (DELETE FROM client_assertions WHERE (client_id, jti_hash) IN ("
            "  SELECT client_id, jti_hash FROM client_assertions WHERE expires_at < $4 LIMIT $5))"
            " INSERT INTO client_assertions (client_id, jti_hash, expires_at) VALUES ($1, $2, $3)"
            " ON CONFLICT DO NOTHING RETURNING true",
            client_id,
            jti_hash,
            expires_at,
            now - _OVER,
            _PURGE,
        )
    )


async def rotate(connection: Connection, client_id: str, secret_hash: bytes, old_until: datetime) -> bool:
    """Another secret; the present one is good until then. False when there is no enabled client of that id that has
    one.
    """
    found = await connection.fetchval(
        "UPDATE clients SET old_secret_hash = secret_hash, old_secret_until = $3, secret_hash = $2"
        " WHERE id = $1 AND disabled_at IS NULL AND keys IS NULL RETURNING id",
        client_id,
        secret_hash,
        old_until,
    )
    return found is not None


async def delete_token(connection: Connection, token_hash: bytes, client_id: str) -> bool:
    """End a token of this client; False when it has none such."""
    found = await connection.fetchval(
        "DELETE FROM access_tokens WHERE token_hash = $1 AND client_id = $2 RETURNING client_id", token_hash, client_id
    )
    return found is not None


async def disable(connection: Connection, client_id: str, now: datetime) -> bool:
    """Refuse a client from now on; its tokens go at once. False when there is no enabled client of that id."""
    await connection.execute("DELETE FROM access_tokens WHERE client_id = $1", client_id)
    found = await connection.fetchval(
        "UPDATE clients SET disabled_at = $2 WHERE id = $1 AND disabled_at IS NULL RETURNING id", client_id, now
    )
    return found is not None


async def insert_token(
    connection: Connection,
    token_hash: bytes,
    client_id: str,
    scopes: Sequence[str],
    now: datetime,
    expires_at: datetime,
    thumbprint: str | None,
) -> None:
    """Store a token that was issued, and drop some that have expired."""
    await connection.execute(
        "WITH gone AS (DELETE FROM access_tokens WHERE token_hash IN ("
        "  SELECT token_hash FROM access_tokens WHERE expires_at < $5 LIMIT $6))"
        " INSERT INTO access_tokens (token_hash, client_id, scopes, expires_at, thumbprint)"
        " VALUES ($1, $2, $3, $4, $7)",
        token_hash,
        client_id,
        scopes,
        expires_at,
        now,
        _PURGE,
        thumbprint,
    )


async def find_token(connection: Connection, token_hash: bytes) -> TokenRow | None:
    """Whose token it is; None for an unknown one or a disabled client's. The caller checks `expires_at`."""
    row = await connection.fetchrow(
        "SELECT t.client_id, t.scopes, c.return_urls, c.organisation, t.expires_at, t.thumbprint FROM access_tokens t"
        " JOIN clients c ON c.id = t.client_id WHERE t.token_hash = $1 AND c.disabled_at IS NULL",
        token_hash,
    )
    return None if row is None else msgspec.convert(dict(row), TokenRow)


async def organisation_of(connection: Connection, client_id: str) -> str:
    """Whose rows a client makes."""
    return str(await connection.fetchval("SELECT organisation_of($1)", client_id))


async def person_of(connection: Connection, client_id: str) -> str:
    """Who holds a client; what is no client (`cli`) stands for itself."""
    return str(await connection.fetchval("SELECT person_of($1)", client_id))


async def enabled(connection: Connection, client_id: str) -> bool:
    """Whether a client is enabled, until the transaction ends: a process may take its token for some seconds longer.
    What is no client (`cli`) is.
    """
    found = await connection.fetchval("SELECT disabled_at IS NULL FROM clients WHERE id = $1 FOR SHARE", client_id)
    return found is not False


async def seconded(connection: Connection, first: str, second: str) -> bool:
    """Whether two words make one decision: of two people, whose clients are both enabled still. What is no client
    (`cli`) stands for itself.
    """
    return bool(
        await connection.fetchval(
            "SELECT person_of($1) <> person_of($2)"
            " AND NOT EXISTS (SELECT FROM clients WHERE id IN ($1, $2) AND disabled_at IS NOT NULL)",
            first,
            second,
        )
    )
