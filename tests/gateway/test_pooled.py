"""The API behind a PgBouncer that lends a server's connection for one transaction: what it does with batches, single
rows, approvals, lists and comparisons is what it does without. A worker is refused: it is told by its connection what
must not leave, and asks each new one which database it is.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from gateway.storage.base.database import Database
from tests.gateway.api.conftest import api, core, http
from tests.gateway.reconciliation.conftest import bureau

__all__ = [name for name in dir() if name.startswith("test_")] + ["api", "bureau", "core", "http"]
PGBOUNCER = os.environ.get("PGBOUNCER") or shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin")
_SINCE = (1, 21)
"""It knows what a client has prepared since then, and prepares it where the transaction goes."""
_FEW = 3


def _version() -> tuple[int, ...] | None:
    if PGBOUNCER is None:
        return None
    told = subprocess.run([PGBOUNCER, "--version"], capture_output=True, text=True, check=True, timeout=10).stdout
    found = re.search(r"PgBouncer (\d+)\.(\d+)", told)
    return None if found is None else tuple(map(int, found.groups()))


if (_version() or (0,)) < _SINCE:
    pytest.skip(
        f"no PgBouncer {'.'.join(map(str, _SINCE))} or newer (PGBOUNCER names one): nothing shows that the API works"
        " behind it",
        allow_module_level=True,
    )


@pytest.fixture
async def database(database: str, tmp_path: Path) -> AsyncIterator[str]:
    """The test's database through a pooler that has three connections for everybody."""
    parts = urlsplit(database)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "users").write_text(f'"{parts.username}" ""\n')
    (tmp_path / "pgbouncer.ini").write_text(
        f"""[databases]
* = host={parse_qs(parts.query)["host"][0]} user={parts.username}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {tmp_path}/users
pool_mode = transaction
default_pool_size = {_FEW}
max_prepared_statements = 500
"""
    )
    assert PGBOUNCER is not None
    as_whom = ["-u", "nobody"] if os.getuid() == 0 else []
    for path in (tmp_path, *tmp_path.parents):
        if as_whom and path.stat().st_uid == 0 and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o711)
    (tmp_path / "users").chmod(0o644)
    process = await asyncio.create_subprocess_exec(PGBOUNCER, "-q", *as_whom, str(tmp_path / "pgbouncer.ini"))
    try:
        pooled = f"postgresql://{parts.username}@127.0.0.1:{port}{parts.path}"
        await _answers(pooled, process)
        yield pooled
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 10)


async def _answers(dsn: str, process: asyncio.subprocess.Process) -> None:
    for _ in range(100):
        assert process.returncode is None, "it ended"
        try:
            await (await asyncpg.connect(dsn, timeout=2)).close()
        except (OSError, asyncpg.PostgresError):
            await asyncio.sleep(0.05)
        else:
            return
    raise TimeoutError


async def test_transactions_of_many_share_few_connections(database: str) -> None:
    opened = await Database.open(database, size=20)
    try:

        async def one(number: int) -> int:
            async with opened.transaction() as connection:
                await connection.execute("SELECT pg_sleep(0.01)")
                return int(await connection.fetchval("SELECT pg_backend_pid() + 0 * $1::int", number))

        assert 1 < len(set(await asyncio.gather(*map(one, range(60))))) <= _FEW
    finally:
        await opened.close()


async def test_a_worker_does_not_start_behind_it(database: str) -> None:
    with pytest.raises(asyncpg.ProtocolViolationError, match="plan_cache_mode"):
        await Database.open(database, by_key=True)
