"""What `gateway doctor` says about a database that would forget payouts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from gateway.cli.doctor import State, _database
from gateway.embedded import EmbeddedPostgres, create_database_from_template
from gateway.security.vault import Vault
from gateway.storage.base import witness
from gateway.storage.base.migrate import migrate
from tests.conftest import MASTER_KEY
from tests.gateway.api.conftest import settings_on

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


async def test_a_durable_database_is_good_and_wants_a_synchronous_standby(database: str) -> None:
    found = await _database(settings_on(database, "unix://none"))
    assert [finding.state for finding in found if finding.what == "database"] == [State.WARNING, State.GOOD]
    assert "no synchronous standby" in [finding.found for finding in found]


def test_the_production_guide_demands_a_synchronous_standby() -> None:
    text = PRODUCTION.read_text()
    assert "must be a synchronous standby" in text
    assert "| `DATABASE_URL` | PostgreSQL 15 or newer, `synchronous_commit` on, a synchronous standby" in text
