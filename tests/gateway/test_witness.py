"""The master key's witness: a database works under one key, whatever is run on it, and loses nothing by a wrong one."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace
from datetime import UTC, datetime

import asyncpg
import httpx
import msgspec
import pytest

from adapters.registry import PARTNERS
from contracts.secret import Secret
from gateway.api.app import create_app
from gateway.cli.doctor import State, _database
from gateway.cli.migrate import _migrate
from gateway.core import build_core
from gateway.resources import open_resources
from gateway.security import places, profile
from gateway.security.vault import Vault
from gateway.settings import SettingsError
from gateway.storage.base import migrate as migrations
from gateway.storage.base import witness
from gateway.storage.base.migrate import MigrationError
from gateway.storage.base.witness import WrongKey
from tests.conftest import MASTER_KEY
from tests.gateway.api.conftest import settings_on
from tests.gateway.older import migrate_before
from tests.gateway.program import run

OURS, OTHER = Vault(MASTER_KEY), Vault(bytes(range(1, 33)))
WITNESS_FILE = "0017_key_witness.sql"


def environment(database: str, key: bytes) -> dict[str, str]:
    credentials = {f"{slug}_{name}".upper(): "x" for slug, p in PARTNERS.items() for name in p.manifest.credentials}
    return credentials | {
        "DATABASE_URL": database,
        "REDIS_URL": "redis://127.0.0.1:9",
        "GATEWAY_PROFILE": "demo",
        "GATEWAY_PUBLIC_URL": "https://pay.test",
        "GATEWAY_MASTER_KEY": base64.b64encode(key).decode(),
    }


@pytest.mark.parametrize(
    "command",
    [
        ("migrate",), ("serve", "--port", "0"), ("worker",), ("clients", "list"), ("why", "1"),
        ("payouts", "show", "1"), ("incentives", "list", "--participant", "P1"), ("recover", "--dry-run"),
        ("reconcile", "--partner", "bni", "--date", "2026-01-05"), ("clients", "create", "mallory", "--scope", "read"),
    ],
)  # fmt: skip
def test_no_command_runs_under_another_key(database: str, command: tuple[str, ...]) -> None:
    said = run(*command, status=2, **environment(database, bytes(range(1, 33))))
    assert "not the key that this database belongs to" in " ".join(said.split())
    assert "clients" not in command or "mallory" not in run("clients", "list", **environment(database, MASTER_KEY))


async def test_doctor_says_so(database: str) -> None:
    settings = settings_on(database, "unix://none")
    assert "master key" in [finding.what for finding in await _database(settings) if finding.state is State.GOOD]
    wrong = type(settings)(
        **{name: getattr(settings, name) for name in settings.__struct_fields__}
        | {"master_key": Secret(base64.b64encode(bytes(range(1, 33))).decode())}
    )
    bad = [finding for finding in await _database(wrong) if finding.state is State.BAD]
    # The tests' own server does not wait for disks, which is bad of a real one.
    assert [finding.what for finding in bad if finding.what != "database"] == ["master key"]
    with pytest.raises(WrongKey):
        async with open_resources(wrong):
            pass


async def enrol(dsn: str, vault: Vault, participant: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "INSERT INTO participants (participant_id, nik_sealed, nik_index, name_sealed, phone_sealed, partner,"
        " account_sealed, account_index, facts_at, created_at) VALUES ($1, $2, $3, '', '', 'bni', '', '', $4, $4)",
        participant,
        vault.seal(places.nik(participant), "1101010101019901"),
        vault.index(places.NIK_INDEX, "1101010101019901"),
        datetime.now(UTC),
    )
    await connection.close()


@pytest.mark.parametrize("first", [OURS, OTHER], ids=["all under ours", "once under another"])
async def test_an_older_database_is_taken_over_only_under_the_key_that_opens_it(
    empty_database: str, monkeypatch: pytest.MonkeyPatch, first: Vault
) -> None:
    await migrate_before(WITNESS_FILE, empty_database, monkeypatch)
    await enrol(empty_database, first, "P1")
    await enrol(empty_database, OURS, "P2")
    connection = await asyncpg.connect(empty_database)
    with pytest.raises(WrongKey):
        await _migrate(empty_database, OTHER)
    assert WITNESS_FILE in await migrations.pending(connection), "refused before anything was applied"
    if first is OTHER:  # two keys were used: no one of them is the right one
        with pytest.raises(WrongKey):
            await _migrate(empty_database, OURS)
    else:
        assert await _migrate(empty_database, OURS) >= 1
        await witness.check(connection, OURS)
        with pytest.raises(WrongKey):
            await _migrate(empty_database, OTHER)
    await connection.close()


async def test_before_it_is_migrated_nothing_starts(empty_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await migrate_before(WITNESS_FILE, empty_database, monkeypatch)
    with pytest.raises(WrongKey, match="gateway migrate"):
        async with open_resources(settings_on(empty_database, "unix://none")):
            pass


async def test_on_a_database_of_the_version_before_nothing_starts_but_the_version_before(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    *_, newest = [name for name, _ in migrations._files()]
    await migrate_before(newest, empty_database, monkeypatch)
    await witness.keep(empty_database, OURS)
    with pytest.raises(MigrationError, match=f"{newest}.*gateway migrate"):
        async with open_resources(settings_on(empty_database, "unix://none")):
            pass
    older = migrations._files()[:-1]
    await _migrate(empty_database, OURS)
    monkeypatch.setattr(migrations, "_files", lambda: older)
    async with open_resources(settings_on(empty_database, "unix://none")):
        pass


async def test_where_production_runs_nothing_else_starts(database: str, redis_url: str) -> None:
    """What a demonstration pays at mocks would count as paid; a copy on another server is nobody's production."""
    demo = msgspec.structs.replace(settings_on(database, redis_url), profile="demo")
    production = msgspec.structs.replace(demo, profile="production")
    connection = await asyncpg.connect(database)
    try:
        await profile.keep(connection, demo)
        async with open_resources(demo):
            pass
        for _ in range(2):
            await profile.keep(connection, production)
        with pytest.raises(SettingsError, match="production runs on this database"):
            async with open_resources(demo):
                pass
        async with open_resources(production):
            pass
        await connection.execute("UPDATE production SET server = 'another/1'")
        async with open_resources(demo):
            pass
    finally:
        await connection.close()


async def test_of_two_first_migrations_one_key_stands(empty_database: str) -> None:
    done = await asyncio.gather(
        *(_migrate(empty_database, vault) for vault in (OURS, OTHER, OURS)), return_exceptions=True
    )
    assert {isinstance(one, WrongKey) for one in done} == {True, False}
    assert all(isinstance(one, int | WrongKey) for one in done), done


async def test_the_witness_cannot_be_exchanged(database: str) -> None:
    connection = await asyncpg.connect(database)
    for text in ("UPDATE keyring SET check_value = ''", "DELETE FROM keyring"):
        with pytest.raises(asyncpg.RestrictViolationError):
            await connection.execute(text)
    await connection.close()


async def test_a_node_whose_store_is_another_keys_by_now_is_not_ready(database: str, redis_url: str) -> None:
    async with open_resources(settings_on(database, redis_url)) as resources:
        core = build_core(replace(resources, vault=OTHER))
        transport = httpx.ASGITransport(create_app(core=core))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as client:
            reply = await client.get("/health/ready")
    assert (reply.status_code, reply.json()["status"], reply.json()["key"]) == (503, "down", "other")
