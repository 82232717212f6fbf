"""The roles in the database: each may do what its process' statements need and nothing else, and none of them can undo
what guards the record.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime

import asyncpg
import pytest

from contracts.errors import Conflict
from gateway.clock import SystemClock
from gateway.security.vault import Vault
from gateway.services.ops.audit import Sealing
from gateway.services.ops.keys import Keys
from gateway.storage.access import keys
from gateway.storage.base import roles
from gateway.storage.base.database import Database
from gateway.storage.base.migrate import migrate
from gateway.storage.ops import audit
from tests.conftest import MASTER_KEY
from tests.gateway.grants import TABLES, Code, Reach, needed

ONLY_MIGRATES = {f"gateway.cli.{name}" for name in ("migrate", "demo", "new_partner", "workbench")}
ADDED_TO = ("approvals", "audit_log", "audit_seals", "consents", "erased_instalments", "ledger", "observations")
"""Only ever."""


async def granted(connection: asyncpg.Connection[asyncpg.Record], role: str) -> dict[str, set[str]]:
    """By table, as the server has it."""
    rows = await connection.fetch(
        "SELECT table_name::text AS name, lower(left(privilege_type, 1)) AS letter"
        " FROM information_schema.table_privileges WHERE grantee = $1 AND table_schema = 'public'"
        " UNION SELECT c.table_name::text, 'l' FROM information_schema.column_privileges c"
        " WHERE c.grantee = $1 AND c.privilege_type = 'UPDATE' AND NOT EXISTS ("
        "SELECT FROM information_schema.table_privileges t WHERE t.grantee = $1 AND t.table_name = c.table_name"
        " AND t.privilege_type = 'UPDATE')",
        role,
    )
    found = defaultdict(set)
    for row in rows:
        found[row["name"]].add(row["letter"])
    return dict(found)


async def test_each_role_may_do_what_its_statements_need_and_nothing_else(database: str) -> None:
    code = Code()
    commands = [name for name in code.trees if name.startswith("gateway.cli.") and name not in ONLY_MIGRATES]
    starts = {
        roles.SERVE: ["gateway.cli.serve"],
        roles.WORKER: ["gateway.cli.worker"],
        roles.OPERATE: [name for name in commands if name not in ("gateway.cli.serve", "gateway.cli.worker")],
    }
    connection = await asyncpg.connect(database)
    try:
        rows = await connection.fetch(
            "SELECT proname::text AS name, prosrc AS text FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
            " AND NOT prosecdef"
        )
        functions = {row["name"]: row["text"] for row in rows}
        triggers = defaultdict(list)
        for row in await connection.fetch(
            "SELECT tgrelid::regclass::text AS on_table, p.proname::text AS name FROM pg_trigger t"
            " JOIN pg_proc p ON p.oid = t.tgfoid WHERE NOT t.tgisinternal"
        ):
            triggers[row["on_table"]].append(row["name"])
        off: dict[str, str] = {}
        for role, modules in starts.items():
            want = needed(Reach(code, *modules), functions, triggers)
            for letters in want.values():
                letters -= {"l"} if "u" in letters else set()
            have = await granted(connection, role)
            off |= {
                f"{role}, {table}": "".join(sorted(want.get(table, ())))
                for table in TABLES
                if want.get(table) != have.get(table)
            }
        assert not off, f"these need other rights than roles.RIGHTS has: {off}"
        told = await connection.fetch(
            "SELECT relname::text AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind IN ('r', 'v')"
        )
        assert {row["name"] for row in told} == TABLES == roles.RIGHTS.keys()
    finally:
        await connection.close()


async def test_no_role_can_undo_what_guards_the_record(database: str) -> None:
    connection = await asyncpg.connect(database)
    columns = {
        table: await connection.fetchval(
            "SELECT attname::text FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND attidentity = ''"
            " LIMIT 1",
            table,
        )
        for table in ADDED_TO
    }
    await connection.close()
    changes = [
        statement
        for table, column in columns.items()
        for statement in (
            f"UPDATE {table} SET {column} = {column}",
            f"DELETE FROM {table}",
            f"TRUNCATE {table}",
            f"ALTER TABLE {table} DISABLE TRIGGER ALL",
            f"DROP TABLE {table}",
        )
    ]
    reach = [
        "SET session_replication_role = replica",
        "SET ROLE postgres",
        "CREATE TABLE mine (n integer)",
        "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "SELECT lo_import('/etc/hostname')",
        "COPY clients TO PROGRAM 'true'",
    ]
    secret = [f"SELECT FROM {table}" for table in ("operators", "access_tokens", "idempotency")]
    for role in roles.ROLES:
        connection = await asyncpg.connect(roles.as_role(database, role))
        try:
            for statement in (*changes, *reach, *(secret if role == roles.READ else ())):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(statement)
        finally:
            await connection.close()


async def test_what_was_given_by_hand_beside_is_taken_back(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        await connection.execute(f"GRANT ALL ON audit_log TO {roles.WORKER}; GRANT SELECT ON operators TO {roles.READ}")
        await migrate(database)
        assert (await granted(connection, roles.WORKER))["audit_log"] == {"s", "i"}
        assert "operators" not in await granted(connection, roles.READ)
    finally:
        await connection.close()


async def test_no_key_is_retired_while_it_cannot_be_seen_who_still_stores(database: str) -> None:
    """The server shows a role its own transactions and those of roles that it is a member of."""
    owner = await asyncpg.connect(database)
    worker = await asyncpg.connect(roles.as_role(database, roles.WORKER))
    store = await Database.open(roles.as_role(database, roles.OPERATE), size=1)
    both = Vault(MASTER_KEY, bytes(range(1, 33)))
    ring = Keys(store, SystemClock(), both)
    try:
        (added,) = await ring.add("tests")
        await ring.rotate(added, "tests")
        old = Vault(MASTER_KEY).key_ids()[0].hex()
        await owner.execute("UPDATE keyring SET activated_at = now() - interval '1 d'")
        await owner.execute(f"REVOKE {roles.WORKER} FROM {roles.OPERATE}")
        with pytest.raises(Conflict, match=f"does not show this role the transactions of {roles.WORKER}:"):
            await ring.retire(old, "tests")
        await owner.execute(f"GRANT {roles.WORKER} TO {roles.OPERATE}")
        await worker.execute("BEGIN")
        await worker.execute("SELECT 1 FROM participants")
        await owner.execute("UPDATE keyring SET activated_at = now() + interval '1 h' WHERE active")
        with pytest.raises(Conflict, match="may still seal"):
            await ring.retire(old, "tests")
        assert await keys.older_transaction(worker, datetime.now(UTC)) is False, "its own is none"
        async with store.connection() as connection:
            assert await keys.older_transaction(connection, datetime.now(UTC)), "the worker's is seen"
            await worker.execute("ROLLBACK")
            assert not await keys.older_transaction(connection, datetime.now(UTC))
    finally:
        await store.close()
        await worker.close()
        await owner.close()


async def test_who_serves_and_who_pays_find_the_store_as_they_need_it(database: str) -> None:
    """A pool of each opens, takes a lock on a client and its own temporary tables."""
    for role in (roles.SERVE, roles.WORKER, roles.OPERATE):
        store = await Database.open(roles.as_role(database, role), size=1)
        try:
            async with store.transaction() as connection:
                await connection.fetch("SELECT id FROM clients FOR SHARE")
                await connection.fetch("SELECT * FROM compare_timeline(0, '{ovo}')")
                await connection.fetch("SELECT beat_timeline(), new_id(now())")
                await connection.execute("CREATE TEMP TABLE t (n integer) ON COMMIT DROP")
                await audit.record(connection, datetime.now(UTC), "worker", "tests.act", "it", {})
            sealing = Sealing(store, SystemClock(), Vault(MASTER_KEY))
            assert await sealing.seal(datetime.now(UTC)), (
                "a link of the chain is made without a right to change what it binds"
            )
        finally:
            await store.close()
