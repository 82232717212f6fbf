"""The ring of master keys, and every column that holds something sealed: what is under which key, sealed anew a few
rows at a time.
"""

# ruff: noqa: S608 - only names of our own tables and columns are put into SQL

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from gateway.security import places
from gateway.security.vault import KEY_ID_BYTES, StoredKey
from gateway.storage.base.database import Connection
from gateway.storage.base.rows import into

_WHOLE_S = 600.0
"""So long a look through one whole table may take: of millions, where little is left under another key."""


class KeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """One key of the ring."""

    key_id: bytes
    active: bool
    added_at: datetime
    activated_at: datetime | None
    retired_at: datetime | None


class SealedTable(NamedTuple):
    """A table with sealed columns, each with the place that its values are sealed for."""

    name: str
    keys: Mapping[str, str]
    """The primary key's columns, with their types."""
    names: tuple[str, ...]
    """What else a place is made of."""
    columns: Mapping[str, Callable[[Any], str]]


TABLES = (
    SealedTable(
        "participants",
        {"id": "bigint"},
        ("participant_id",),
        {
            "nik_sealed": lambda row: places.nik(row["participant_id"]),
            "name_sealed": lambda row: places.name(row["participant_id"]),
            "phone_sealed": lambda row: places.phone(row["participant_id"]),
            "account_sealed": lambda row: places.account(row["participant_id"]),
        },
    ),
    SealedTable(
        "links",
        {"id": "text"},
        (),
        {
            "account_sealed": lambda row: places.link_account(row["id"]),
            "carry_sealed": lambda row: places.link_carry(row["id"]),
            "grant_sealed": lambda row: places.link_grant(row["id"]),
        },
    ),
    SealedTable(
        "inbox",
        {"id": "bigint"},
        ("partner", "kind", "event_key"),
        {"raw_sealed": lambda row: places.inbox_raw(row["partner"], row["kind"], row["event_key"])},
    ),
    SealedTable(
        "idempotency",
        {"client_id": "text", "key": "text"},
        (),
        {"answer": lambda row: places.idempotency_answer(row["client_id"], row["key"])},
    ),
    SealedTable(
        "batches",
        {"id": "text"},
        (),
        {"content_key_sealed": lambda row: places.content_key(row["id"])},
    ),
    SealedTable(
        "operators",
        {"client_id": "text"},
        (),
        {"totp_sealed": lambda row: places.operator_totp(row["client_id"])},
    ),
    SealedTable(
        "webhook_endpoints",
        {"id": "text"},
        (),
        {
            "secret_sealed": lambda row: places.webhook_secret(row["id"]),
            "old_secret_sealed": lambda row: places.webhook_secret(row["id"]),
        },
    ),
)


async def ring(connection: Connection) -> list[KeyRow]:
    """Every key there was, the oldest first."""
    rows = await connection.fetch(
        "SELECT key_id, active, added_at, activated_at, retired_at FROM keyring ORDER BY added_at, key_id"
    )
    return [into(KeyRow, row) for row in rows]


async def lock(connection: Connection) -> None:
    """Changes of the ring go one after another, until the transaction ends; readers go on."""
    await connection.execute("LOCK TABLE keyring IN SHARE ROW EXCLUSIVE MODE")


async def add(connection: Connection, key: StoredKey, now: datetime) -> bool:
    """Another key, which opens but does not seal yet; False: a key of that id is or was there."""
    done = await connection.execute(
        "INSERT INTO keyring (key_id, check_value, base_sealed, added_at) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT DO NOTHING",
        key.key_id,
        key.check_value,
        key.base_sealed,
        now,
    )
    return str(done) == "INSERT 0 1"


async def activate(connection: Connection, key_id: bytes, now: datetime) -> None:
    """From now on this one seals."""
    await connection.execute("UPDATE keyring SET active = false WHERE active")
    await connection.execute("UPDATE keyring SET active = true, activated_at = $2 WHERE key_id = $1", key_id, now)


async def retire(connection: Connection, key_id: bytes, now: datetime) -> None:
    """This one opens nothing any more."""
    await connection.execute("UPDATE keyring SET retired_at = $2 WHERE key_id = $1", key_id, now)


async def older_transaction(connection: Connection, than: datetime) -> bool:
    """Whether another client's transaction that began before then goes on: it may store what was sealed by then."""
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND xact_start < $1"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid())",
            than,
        )
    )


async def hidden_writers(connection: Connection) -> list[str]:
    """Roles connected now that may store what is sealed, and whose transactions the server does not show to ours."""
    rows = await connection.fetch(
        "SELECT DISTINCT r.rolname::text AS name FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid"
        " WHERE a.datname = current_database() AND NOT r.rolsuper"
        " AND has_table_privilege(r.oid, 'participants', 'UPDATE')"
        " AND NOT pg_has_role(r.oid, 'USAGE') AND NOT pg_has_role('pg_read_all_stats', 'USAGE') ORDER BY 1"
    )
    return [row["name"] for row in rows]


async def sealed_under(connection: Connection) -> dict[bytes, int]:
    """How many sealed values there are by key id: reads every table that holds any."""
    counts: dict[bytes, int] = {}
    for table in TABLES:
        rows = await connection.fetch(
            f"SELECT substring(value FROM 1 FOR {KEY_ID_BYTES}) AS key_id, count(*) AS n FROM {table.name},"
            f" LATERAL (VALUES {', '.join(f'({column})' for column in table.columns)}) AS v (value)"
            " WHERE octet_length(value) > 0 GROUP BY 1",
            timeout=_WHOLE_S,
        )
        for row in rows:
            counts[row["key_id"]] = counts.get(row["key_id"], 0) + row["n"]
    return counts


async def others(
    connection: Connection, table: SealedTable, active: bytes, after: Sequence[object] | None, limit: int
) -> list[Any]:
    """The next rows of a table, in the order of its key, that hold a value sealed under another key."""
    keys = ", ".join(table.keys)
    under = " OR ".join(
        f"(octet_length({column}) > 0 AND substring({column} FROM 1 FOR {KEY_ID_BYTES}) <> $1)"
        for column in table.columns
    )
    later, given = "", []
    if after is not None:
        later = f" AND ({keys}) > ({', '.join(f'${n + 3}::{kind}' for n, kind in enumerate(table.keys.values()))})"
        given = list(after)
    return list(
        await connection.fetch(
            f"SELECT {', '.join([*table.keys, *table.names, *table.columns])} FROM {table.name}"
            f" WHERE ({under}){later} ORDER BY {keys} LIMIT $2",
            active,
            limit,
            *given,
            timeout=_WHOLE_S,
        )
    )


async def put(
    connection: Connection, table: SealedTable, rows: Sequence[Any], made: Sequence[Mapping[str, Any]]
) -> int:
    """Put what was sealed anew in the place of what was read; how many rows. One that somebody holds or has changed
    meanwhile is left as it is, and nobody is waited for.
    """
    kinds = list(table.keys.items())
    columns = list(table.columns)
    given: list[list[Any]] = [[row[name] for row in rows] for name, _ in kinds]
    given += [[row[column] for row in rows] for column in columns]
    given += [[one[column] for one in made] for column in columns]
    types = [kind for _, kind in kinds] + ["bytea"] * (2 * len(columns))
    names = [f"k{n}" for n in range(len(kinds))]
    names += [f"o{n}" for n in range(len(columns))] + [f"n{n}" for n in range(len(columns))]
    same = " AND ".join(f"t.{name} = n.k{n}" for n, (name, _) in enumerate(kinds))
    same += "".join(f" AND t.{column} IS NOT DISTINCT FROM n.o{n}" for n, column in enumerate(columns))
    held = " AND ".join(f"t.{name} = h.{name}" for name, _ in kinds)
    done = await connection.execute(
        f"WITH n AS (SELECT * FROM unnest({', '.join(f'${n + 1}::{kind}[]' for n, kind in enumerate(types))})"
        f" AS n({', '.join(names)})),"
        f" h AS (SELECT {', '.join(f't.{name}' for name, _ in kinds)} FROM {table.name} t JOIN n ON {same}"
        " FOR NO KEY UPDATE OF t SKIP LOCKED)"
        f" UPDATE {table.name} t SET {', '.join(f'{column} = n.n{n}' for n, column in enumerate(columns))}"
        f" FROM n, h WHERE {same} AND {held}",
        *given,
    )
    return int(str(done).split()[-1])
