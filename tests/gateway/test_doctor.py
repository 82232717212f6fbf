"""What `gateway doctor` says about a database that would forget payouts, and about what ends or grows old."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from redis.asyncio import Redis

from contracts.secret import Secret
from gateway.cli.doctor import State, _cache, _database, _partner_clocks
from gateway.embedded import EmbeddedPostgres, EmbeddedValkey, create_database_from_template
from gateway.partners.tls import contexts
from gateway.security import ages
from gateway.security.vault import Vault
from gateway.settings import Tls
from gateway.storage.base import witness
from gateway.storage.base.database import Database
from gateway.storage.base.migrate import migrate
from tests.conftest import MASTER_KEY
from tests.gateway.api.conftest import settings_on
from tests.gateway.partners.test_tls import OTHER, OURS, Authority, partner

PRODUCTION = Path(__file__).parents[2] / "docs/production.md"


@pytest.fixture
async def database(servers_home: Path) -> AsyncIterator[str]:
    """A database on a server that waits for its disk, as the other tests' does not."""
    async with EmbeddedPostgres(servers_home / "durable") as server:
        dsn = await create_database_from_template(server.dsn, "template0", f"doctor_{uuid4().hex}")
        await migrate(dsn)
        await witness.keep(dsn, Vault(MASTER_KEY))
        yield dsn


async def set_for(database: str, name: str, value: str) -> None:
    """As somebody might have set it, for every later connection."""
    connection = await asyncpg.connect(database)
    await connection.execute(
        f"DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET {name} = {value}', current_database()); END $$"
    )
    await connection.close()


@pytest.mark.parametrize("value", ["off", "local", "remote_write"])
async def test_commits_that_may_be_lost_are_refused(database: str, value: str) -> None:
    await set_for(database, "synchronous_commit", value)
    bad = [finding for finding in await _database(settings_on(database, "unix://none")) if finding.state is State.BAD]
    assert [finding.found for finding in bad] == [f"synchronous_commit is {value}"]
    assert bad[0].mend.startswith("set it to on")


async def test_transactions_are_as_they_are_written_whatever_the_server_has_for_others(database: str) -> None:
    await set_for(database, "default_transaction_isolation", "''repeatable read''")
    store = await Database.open(database, size=1)
    async with store.transaction() as connection:
        assert await connection.fetchval("SHOW transaction_isolation") == "read committed"
    await store.close()
    bad = [finding for finding in await _database(settings_on(database, "unix://none")) if finding.state is State.BAD]
    assert [finding.found for finding in bad] == ["default_transaction_isolation is repeatable read"]


async def test_a_durable_database_is_good_and_wants_a_synchronous_standby(database: str) -> None:
    found = await _database(settings_on(database, "unix://none"))
    assert [finding.state for finding in found if finding.what == "database"] == [State.WARNING, State.GOOD]
    assert "no synchronous standby" in [finding.found for finding in found]


async def speaks_no_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await writer.drain()
    writer.close()


async def test_a_partner_that_cannot_be_reached_by_tls_is_told_with_why(tmp_path: Path) -> None:
    """It was a `ConnectError` like any other, and whoever looked took it for a wall between."""
    async with partner(tmp_path) as (url, _), asyncio.timeout(30):
        plain = await asyncio.start_server(speaks_no_tls, "127.0.0.1")
        async with plain:
            port = plain.sockets[0].getsockname()[1]
            hosts = {"bni": {"api": url, "old": f"https://127.0.0.1:{port}", "gone": "http://127.0.0.1:1"}}
            trusted = contexts({"bni": Tls(ca_pem=OTHER.pem)})
            found = [told.found async for told in _partner_clocks(hosts, trusted)]
    assert "certificate" in found[0] and "issuer" in found[0]
    assert found[1].startswith("no TLS: ") and found[1] != "no TLS: None"
    assert found[2] == "ConnectError"


async def test_a_partner_is_asked_as_the_gateway_asks_it_whatever_proxy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name)
    async with partner(tmp_path) as (url, _), asyncio.timeout(30):
        trusted = contexts({"bni": Tls(ca_pem=OURS.pem)})
        found = [told async for told in _partner_clocks({"bni": {"api": url}}, trusted)]
    assert [told.state for told in found] == [State.GOOD], found


@pytest.mark.parametrize(
    ("command", "why"), [("ACL SETUSER default -@scripting", "permission"), ("REPLICAOF 127.0.0.1 1", "replica")]
)
async def test_a_cache_that_answers_and_counts_nothing_is_told(servers_home: Path, command: str, why: str) -> None:
    """Each worker would go by its own share of a quota for good, and nobody would say so."""
    async with EmbeddedValkey(servers_home / uuid4().hex[:8]) as valkey, Redis.from_url(valkey.url) as client:
        settings = settings_on("postgresql://none", valkey.url)
        assert [told.state for told in await _cache(settings)] == [State.GOOD]
        await client.execute_command(command)
        (told,) = await _cache(settings)
        assert told.state is State.BAD and why in told.found


def test_certificates_are_told_before_they_end() -> None:
    """Of our own the first that ends counts, of authorities the last: one takes another's place."""
    day = timedelta(days=1)
    now = datetime.now(UTC)
    authority = Authority("one")  # both of it end in a day
    given = {
        "bni": Tls(client_pem=Secret(authority.issue("us"))),
        "ovo": Tls(ca_pem=authority.pem),
        "dana": Tls(),
    }
    told = [(one.what, one.over) for one in ages.certificates(given, now)]
    assert told == [("BNI_CLIENT_PEM", False), ("OVO_CA_PEM", False)]
    assert {one.over for one in ages.certificates(given, now + 2 * day)} == {True}
    assert list(ages.certificates(given, now - ages.SOON - day)) == []
    later = Authority("two", days=400)
    assert list(ages.certificates({"ovo": Tls(ca_pem=authority.pem + later.pem)}, now)) == []
    chain = later.issue("us") + authority.pem
    assert [one.what for one in ages.certificates({"bni": Tls(client_pem=Secret(chain))}, now)] == ["BNI_CLIENT_PEM"]


async def test_old_keys_and_secrets_are_told(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        await connection.execute(
            "INSERT INTO clients (id, name, secret_hash, scopes, created_at, old_secret_until, keys, disabled_at)"
            " VALUES ('old', '', 'x', '{}', now() - interval '400 d', NULL, NULL, NULL),"
            " ('renewed', '', 'x', '{}', now() - interval '400 d', now() - interval '9 d', NULL, NULL),"
            " ('changing', '', 'x', '{}', now() - interval '400 d', now() + interval '9 h', NULL, NULL),"
            " ('keyed', '', 'x', '{}', now() - interval '400 d', NULL, '{}', NULL),"
            " ('gone', '', 'x', '{}', now() - interval '400 d', NULL, NULL, now()),"
            " ('op-person', '', '', '{}', now() - interval '400 d', NULL, NULL, NULL)"
        )
        now = datetime.now(UTC)
        found = await ages.stored(connection, now)
        assert [(one.what, one.found.partition(" ends")[0].partition(" since")[0]) for one in found] == [
            ("client secret", "old has had its secret"),
            ("client secret", "the one of before of changing"),
        ]
        assert not any(one.over for one in found)
        aged = await ages.stored(connection, now + ages.OLD + timedelta(days=1))
        assert [one.what for one in aged if one.what == "master key"] == ["master key"]
        await connection.execute(
            "UPDATE keyring SET active = false; INSERT INTO keyring (key_id, check_value, active, activated_at)"
            " VALUES ('other', '', true, now())"
        )
        left = (await ages.stored(connection, now + ages.SOON + timedelta(days=1)))[0]
        assert "still opens" in left.found and "retire" in left.mend
    finally:
        await connection.close()


def test_the_production_guide_demands_a_synchronous_standby() -> None:
    text = PRODUCTION.read_text()
    assert "must be a synchronous standby" in text
    assert "| `DATABASE_URL` | PostgreSQL 15 or newer, `synchronous_commit` on, a synchronous standby" in text
