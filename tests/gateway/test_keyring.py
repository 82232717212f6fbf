"""One master key takes another's place while everything goes on, and nothing is left under the old one."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest

from contracts.errors import Conflict, NotFound
from contracts.secret import Secret
from gateway.clock import SystemClock
from gateway.resources import open_resources
from gateway.security import places
from gateway.security import vault as vaults
from gateway.security.vault import KeyMissing, SealBroken, StoredKey, Vault
from gateway.services.intake.merging import KeyChanged, Merging
from gateway.services.ops import keys as service
from gateway.services.ops.keys import Keys
from gateway.settings import SettingsError, read_keys
from gateway.storage.access.keys import TABLES
from gateway.storage.base import witness
from gateway.storage.base.database import Database
from gateway.storage.base.witness import WrongKey
from gateway.storage.intake import staging
from gateway.storage.intake.copying import Row, row_bytes
from gateway.storage.linking import links
from tests.conftest import MASTER_KEY
from tests.gateway.api.conftest import settings_on
from tests.gateway.program import run
from tests.gateway.test_witness import enrol, environment

NEW, OTHER = bytes(range(1, 33)), bytes(range(2, 34))
KEY_ID, NEW_ID = (Vault(key).active_id for key in (MASTER_KEY, NEW))
PEOPLE = 7


@pytest.fixture
async def store(database: str) -> AsyncIterator[Database]:
    """This test's own."""
    opened = await Database.open(database, size=4)
    yield opened
    await opened.close()


def ring_of(*masters: bytes, active: bytes) -> list[StoredKey]:
    """What a store would say whose first key was the first of these."""
    vault = Vault(*masters)
    vault.follow([Vault(masters[0]).stored(Vault(masters[0]).active_id)])
    rows = [Vault(masters[0]).stored(vault.key_ids()[0])] + [vault.stored(key_id) for key_id in vault.key_ids()[1:]]
    return [StoredKey(r.key_id, r.check_value, r.base_sealed, r.key_id == Vault(active).active_id) for r in rows]


def test_each_key_opens_what_it_sealed_and_indexes_stay() -> None:
    old, ring = Vault(MASTER_KEY), ring_of(MASTER_KEY, NEW, active=NEW)
    both = Vault(NEW, MASTER_KEY)
    both.follow(ring)
    sealed = both.seal("t.c|1", "x")
    assert both.open("t.c|1", old.seal("t.c|1", "x")) == both.open("t.c|1", sealed) == "x"
    assert sealed.startswith(NEW_ID)
    alone = Vault(NEW)
    alone.follow([row for row in ring if row.active])
    assert alone.open("t.c|1", sealed) == "x"
    for vault in (both, alone):
        assert vault.index("nik", "1") == old.index("nik", "1")
        assert vault.token("connect:L1:1") == old.token("connect:L1:1")
    with pytest.raises(SealBroken):
        alone.open("t.c|1", old.seal("t.c|1", "x"))


def test_of_several_keys_none_is_used_before_the_store_has_said_which() -> None:
    vault = Vault(MASTER_KEY, NEW)
    for act in (lambda: vault.seal("t.c|1", "x"), lambda: vault.index("nik", "1"), lambda: vault.token("x")):
        with pytest.raises(KeyMissing):
            act()
    with pytest.raises(SealBroken):
        vault.open("t.c|1", Vault(MASTER_KEY).seal("t.c|1", "x"))
    with pytest.raises(ValueError, match="one id"):
        Vault(NEW, NEW)


@pytest.mark.parametrize("text", ["", "x", "AAAA", ",".join([base64.b64encode(NEW).decode(), "AAAA"])])
def test_settings_take_whole_keys_alone(text: str) -> None:
    with pytest.raises(SettingsError, match="32 bytes"):
        read_keys(Secret(text))
    assert read_keys(Secret(", ".join(base64.b64encode(key).decode() for key in (NEW, MASTER_KEY)))) == (
        NEW,
        MASTER_KEY,
    )


async def sealed_everywhere(dsn: str, vault: Vault) -> None:
    """A row or more in each table that holds anything sealed."""
    for n in range(PEOPLE):
        await enrol(dsn, vault, f"P{n}")
    connection = await asyncpg.connect(dsn)
    seal = vault.seal
    await connection.execute(
        "INSERT INTO clients (id, name, secret_hash, scopes, created_at) VALUES ('c','c','','{}',now())"
    )
    person = await connection.fetchval("SELECT min(id) FROM participants")
    await connection.execute(
        "UPDATE participants SET name_sealed = $2, phone_sealed = $3, account_sealed = $4 WHERE id = $1",
        person, seal(places.name("P0"), "x"), seal(places.phone("P0"), "x"), seal(places.account("P0"), "x"),
    )  # fmt: skip
    await connection.execute(
        "INSERT INTO links (id, participant, client_id, partner, account_index, account_sealed, state, return_url,"
        " carry_sealed, grant_sealed, created_at, updated_at)"
        " VALUES ('L1', $1, 'c', 'bni', '', $2, 'active', '', $3, $4, now(), now())",
        person, *(seal(place("L1"), "x") for place in (places.link_account, places.link_carry, places.link_grant)),
    )  # fmt: skip
    await connection.execute(
        "INSERT INTO inbox (id, partner, kind, event_key, raw_sealed, received_at)"
        " VALUES (1, 'bni', 'k', 'e', $1, now())",
        seal(places.inbox_raw("bni", "k", "e"), "x"),
    )
    for key in ("a", "b"):
        await connection.execute(
            "INSERT INTO idempotency (client_id, key, fingerprint, answer, created_at) VALUES ('c', $1, '', $2, now())",
            key, seal(places.idempotency_answer("c", key), "x"),
        )  # fmt: skip
    await connection.execute(
        "INSERT INTO batches (id, client_id, state, rows_accepted, rows_rejected, rows_repeated, amount_rupiah,"
        " content_root, received_at, content_key_sealed) VALUES ('B', 'c', 'approved', 0, 0, 0, 0, '', now(), $1)",
        seal(places.content_key("B"), "x"),
    )
    await connection.execute(
        "INSERT INTO operators (client_id, password_hash, totp_sealed, roles, created_at)"
        " VALUES ('c', '', $1, '{}', now())",
        seal(places.operator_totp("c"), "x"),
    )
    await connection.execute(
        "INSERT INTO webhook_endpoints (id, client_id, url, secret_sealed, old_secret_sealed, created_at)"
        " VALUES ('W', 'c', '', $1, $1, now())",
        seal(places.webhook_secret("W"), "x"),
    )
    await connection.close()


async def opened(database: Database, vault: Vault) -> int:
    """Open all that is sealed; how many values."""
    count = 0
    async with database.connection() as connection:
        for table in TABLES:
            for row in await connection.fetch(f"SELECT * FROM {table.name}"):
                for column, place in table.columns.items():
                    if row[column]:
                        assert vault.open(place(row), row[column])
                        count += 1
    return count


class Later(SystemClock):
    """Some time after."""

    def now(self) -> Any:
        return super().now() + service.SETTLED + timedelta(minutes=1)


async def test_the_list_of_sealed_columns_is_whole(database: str) -> None:
    connection = await asyncpg.connect(database)
    rows = await connection.fetch(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
        " AND (column_name LIKE '%\\_sealed' OR (table_name, column_name) = ('idempotency', 'answer'))"
    )
    await connection.close()
    known = {(table.name, column) for table in TABLES for column in table.columns} | {("keyring", "base_sealed")}
    assert {(row["table_name"], row["column_name"]) for row in rows} == known


async def test_all_is_sealed_anew_in_steps_while_others_read_and_write(
    database: str, store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "CHUNK", 2)
    first, both = Vault(MASTER_KEY), Vault(MASTER_KEY, NEW)
    await sealed_everywhere(database, first)
    async with store.connection() as connection:
        await witness.check(connection, both)
    values = await opened(store, both)
    keys, busy = Keys(store, SystemClock(), both), asyncio.Event()
    late = Vault(MASTER_KEY, NEW)
    async with store.connection() as connection:
        await witness.check(connection, late)

    async def others() -> int:
        """A node that has not heard even of the new key goes on sealing under the old one, and opening."""
        turns = 0
        while not busy.is_set():
            async with store.connection() as connection:
                await connection.execute(
                    "UPDATE participants SET phone_sealed = $1 WHERE participant_id = 'P3'",
                    first.seal(places.phone("P3"), "+62"),
                )
            await opened(store, late)
            turns += 1
        return turns

    assert await keys.add("ann") == [NEW_ID.hex()]
    assert await keys.add("ann") == [], "known by now"
    assert {one.key_id: one.state for one in await keys.status()} == {KEY_ID.hex(): "active", NEW_ID.hex(): "added"}
    node = asyncio.create_task(others())
    done = await keys.rotate(NEW_ID.hex(), "ann", most_rows=3)
    assert (done.rows, done.broken) == (3, 0)
    assert done.left > 0
    with pytest.raises(Conflict, match="may still seal"):
        await keys.retire(KEY_ID.hex(), "ann")
    with pytest.raises(Conflict, match="values lie under"):
        await Keys(store, Later(), both).retire(KEY_ID.hex(), "ann")
    await keys.rotate(None, "ann", most_rows=5)
    busy.set()
    assert await node >= 1
    done = await keys.rotate(None, "ann")
    assert done.left == 0
    await Keys(store, Later(), both).retire(KEY_ID.hex(), "ann")
    alone = Vault(NEW)
    async with store.connection() as connection:
        await witness.check(connection, alone)
        with pytest.raises(WrongKey):
            await witness.check(connection, first)
        actions = await connection.fetch("SELECT action FROM audit_log WHERE actor = 'ann' ORDER BY seq")
    assert await opened(store, alone) == values + 1, "P3 has a phone now"
    assert alone.index("nik", "1") == first.index("nik", "1")
    assert [row["action"] for row in actions] == ["keys.add", "keys.rotate", "keys.retire"]
    with pytest.raises(NotFound):
        await keys.rotate(KEY_ID.hex(), "ann")
    with pytest.raises(Conflict, match="was retired"):
        await Keys(store, SystemClock(), both).add("ann")


async def test_what_somebody_holds_waits_and_what_does_not_open_is_told(
    database: str, store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await enrol(database, Vault(MASTER_KEY), "P1")
    await enrol(database, Vault(OTHER), "P2")
    both = Vault(MASTER_KEY, NEW)
    async with store.connection() as connection:
        await witness.check(connection, both)
    keys = Keys(store, SystemClock(), both)
    await keys.add("ann")
    monkeypatch.setattr(service, "_ROUNDS", 1)
    async with store.transaction() as connection:
        await connection.execute("SELECT FROM participants WHERE participant_id = 'P1' FOR UPDATE")
        done = await keys.rotate(NEW_ID.hex(), "ann")
        assert (done.rows, done.left, done.broken) == (0, 2, 1)
    done = await keys.rotate(None, "ann")
    assert (done.rows, done.left, done.broken) == (1, 1, 1)
    assert {one.state: one.values for one in await keys.status()} == {"old": 0, "active": 1, "unknown": 1}


async def test_a_file_that_waits_to_be_stored_loses_nothing_to_a_retired_key(database: str, store: Database) -> None:
    """Its rows are sealed as they are read, where no count of values sees them."""
    first, both = Vault(MASTER_KEY), Vault(MASTER_KEY, NEW)
    async with store.connection() as connection:
        await witness.check(connection, both)
        await connection.execute(
            "INSERT INTO clients (id, name, secret_hash, scopes, created_at) VALUES ('c','c','','{}',now())"
        )
    keys, later = Keys(store, SystemClock(), both), Keys(store, Later(), both)
    await keys.add("ann")
    handed_over: dict[str, Any] = {"client_id": "c", "merging": False, "analyse": False}
    day = SystemClock().now().date()
    sealed = [first.seal(place("P1"), "x") for place in (places.nik, places.name, places.phone, places.account)]
    async with store.connection() as waiting:
        await staging.prepare(waiting)
        row = Row(
            1, "p", "q", "1", "P1", "bni", 1, day, day, *[bytes(32)] * 3, 1, *map(bytes, (32, 32, 64, 32)), *sealed
        )
        await staging.add(waiting, row_bytes(row))
        assert (await keys.rotate(NEW_ID.hex(), "ann")).left == 0
        async with waiting.transaction():
            await staging.settle(waiting, **handed_over)
            with pytest.raises(Conflict, match="being stored"):
                await later.retire(KEY_ID.hex(), "ann")
        await later.retire(KEY_ID.hex(), "ann")
        with pytest.raises(KeyChanged):
            await Merging(store, SystemClock(), both).in_one(
                waiting, lambda connection, _: staging.settle(connection, **handed_over)
            )
        await staging.prepare(waiting)
        await staging.add(waiting, row_bytes(Row(*row[:-4], *(both.seal("t.c|1", "x") for _ in range(4)))))
        async with waiting.transaction():
            await staging.settle(waiting, **handed_over)


async def test_a_fresh_grant_is_kept_though_the_one_before_was_sealed_anew(database: str, store: Database) -> None:
    both = Vault(MASTER_KEY, NEW)
    await sealed_everywhere(database, Vault(MASTER_KEY))
    async with store.connection() as connection:
        await witness.check(connection, both)
        link = await links.get(connection, "L1")
    assert link is not None
    keys = Keys(store, SystemClock(), both)
    await keys.add("ann")
    await keys.rotate(NEW_ID.hex(), "ann")
    fresh: dict[str, Any] = {"grant_expires_at": None, "refresh_at": None, "now": SystemClock().now()}
    async with store.connection() as connection:
        assert await links.refreshed(connection, link, grant_sealed=b"fresh", grant_index=b"1", **fresh)
        assert not await links.refreshed(connection, link, grant_sealed=b"late", grant_index=b"2", **fresh)
        await connection.execute("UPDATE links SET grant_sealed = NULL, grant_index = NULL")
        assert not await links.refreshed(connection, link, grant_sealed=b"late", grant_index=b"2", **fresh), "it ended"


async def test_a_node_without_the_new_key_never_starts_and_a_running_one_ends(
    database: str, redis_url: str, store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = asyncio.Event()
    monkeypatch.setattr(signal, "raise_signal", lambda number: told.set() if number == signal.SIGTERM else None)
    old, both = Vault(MASTER_KEY), Vault(MASTER_KEY, NEW)
    async with store.connection() as connection:
        await witness.check(connection, both)
    async with witness.following(store, old, every_s=0.01):
        await Keys(store, SystemClock(), both).add("ann")
        await told.wait()
    with pytest.raises(WrongKey):
        async with open_resources(settings_on(database, redis_url)):
            pass


async def test_who_cannot_ask_which_key_seals_stops_sealing_and_opens_all_the_same(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds, cut, node = [0.0], asyncio.Event(), Vault(MASTER_KEY)
    for module in (vaults, witness):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: seconds[0]))

    class Reached:
        @contextlib.asynccontextmanager
        async def connection(self) -> AsyncIterator[Any]:
            if cut.is_set():
                raise OSError
            async with store.connection() as connection:
                yield connection

    before = node.seal("t.c|1", "x")
    async with witness.following(Reached(), node, every_s=0.001):  # type: ignore[arg-type]
        cut.set()
        seconds[0] += witness.FENCE_S - 1
        node.seal("t.c|1", "x")
        seconds[0] += 2
        for seal in (lambda: node.seal("t.c|1", "x"), lambda: node.sealer(1)("t.c|1", "x")):
            with pytest.raises(ConnectionError, match="lately"):
                seal()
        assert node.open("t.c|1", before) == "x" and node.index("nik", "1")
        cut.clear()
        while True:
            with contextlib.suppress(ConnectionError):
                node.seal("t.c|1", "x")
                break
            await asyncio.sleep(0.001)
    seconds[0] += 10 * witness.FENCE_S
    node.seal("t.c|1", "x")  # a command of a moment follows nobody


async def test_no_key_is_retired_while_a_transaction_of_before_goes_on(database: str, store: Database) -> None:
    both = Vault(MASTER_KEY, NEW)
    async with store.connection() as connection:
        await witness.check(connection, both)
    keys, later = Keys(store, SystemClock(), both), Keys(store, Later(), both)
    await keys.add("ann")
    await keys.rotate(NEW_ID.hex(), "ann")
    late = await asyncpg.connect(database)
    try:
        async with late.transaction():
            await late.execute("SELECT 1")
            with pytest.raises(Conflict, match="being stored"):
                await later.retire(KEY_ID.hex(), "ann")
    finally:
        await late.close()
    await later.retire(KEY_ID.hex(), "ann")


async def test_a_running_node_learns_which_key_seals(store: Database) -> None:
    node, both = Vault(NEW, MASTER_KEY), Vault(MASTER_KEY, NEW)
    async with store.connection() as connection:
        await witness.check(connection, both)
        await witness.check(connection, node)
    assert node.active_id == KEY_ID, "the store's, not the first of the environment"
    keys = Keys(store, SystemClock(), both)
    await keys.add("ann")
    async with witness.following(store, node, every_s=0.01):
        await keys.rotate(NEW_ID.hex(), "ann")
        while node.active_id != NEW_ID:
            await asyncio.sleep(0.01)


async def test_the_ring_cannot_be_bent(database: str) -> None:
    connection = await asyncpg.connect(database)
    for text in (
        "UPDATE keyring SET check_value = ''", "UPDATE keyring SET base_sealed = ''", "DELETE FROM keyring",
    ):  # fmt: skip
        with pytest.raises(asyncpg.RestrictViolationError):
            await connection.execute(text)
    await connection.execute("UPDATE keyring SET active = false, retired_at = now()")
    with pytest.raises(asyncpg.RestrictViolationError):
        await connection.execute("UPDATE keyring SET retired_at = NULL")
    await connection.close()


def test_the_command_line_changes_keys(database: str) -> None:
    asyncio.run(enrol(database, Vault(MASTER_KEY), "P1"))
    both = environment(database, MASTER_KEY)
    both["GATEWAY_MASTER_KEY"] += "," + base64.b64encode(NEW).decode()
    assert NEW_ID.hex() in run("keys", "add", **both)
    assert "not the key" in run("clients", "list", status=2, **environment(database, MASTER_KEY))
    assert '"left":0' in run("keys", "rotate", NEW_ID.hex(), "--json", **both)
    assert '"state":"old"' in run("keys", "status", "--json", **both)
    assert "5 minutes" in run("keys", "retire", KEY_ID.hex(), status=2, **both)
