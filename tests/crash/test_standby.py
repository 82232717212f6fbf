"""The standby of docker-compose.ha.yml, made by the scripts that stand there, from a server that was set up by them:
every commit waits for it, and promoted it waits for nobody.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import yaml

from gateway.embedded import EmbeddedPostgres
from gateway.embedded.process import own_directory, server_environment

CONFIGS: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "docker-compose.ha.yml").read_text())["configs"]
READY_S = 60.0


def _script(name: str) -> str:
    return str(CONFIGS[name]["content"]).replace("$$", "$").replace("${ROLES_PASSWORD:?set it in .env}", "secret")


async def _ask(dsn: str, statement: str) -> Any:
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        return await connection.fetchval(statement, timeout=10)
    finally:
        connection.terminate()


async def _becomes(dsn: str, statement: str, wanted: Any) -> None:
    async with asyncio.timeout(READY_S):
        while True:
            try:
                if await _ask(dsn, statement) == wanted:
                    return
            except (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError):
                pass
            await asyncio.sleep(0.05)


@asynccontextmanager
async def _standby(primary: EmbeddedPostgres, folder: Path) -> AsyncIterator[tuple[str, Path]]:
    """The script of the standby, until it is ended."""
    (postgres, *_), account = primary.prepare()
    own_directory(folder / "sockets", 0o700, account)
    own_directory(folder / "data", 0o700, account)
    data = folder / "data" / "standby"
    process = await asyncio.create_subprocess_exec(
        "sh",
        "-c",
        _script("standby"),
        env=server_environment()
        | {
            "PATH": f"{Path(postgres).parent}:{os.defpath}",
            "PGHOST": str(primary.socket_dir),
            "PGUSER": "gateway_standby",
            "PGDATA": str(data),
        },
        cwd=folder / "data",
        user=account and account.pw_uid,
        group=account and account.pw_gid,
        extra_groups=account and [],
    )
    try:
        yield f"postgresql://postgres@/postgres?host={quote(str(folder / 'sockets'), safe='')}", data
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), READY_S)


async def _run(*command: str, **options: Any) -> None:
    process = await asyncio.create_subprocess_exec(*command, **options)
    assert await asyncio.wait_for(process.wait(), READY_S) == 0, command


async def test_every_commit_waits_for_it_and_promoted_it_waits_for_nobody(servers_home: Path) -> None:
    folder = servers_home / "pair"
    folder.mkdir()
    primary = EmbeddedPostgres(folder / "postgres", settings={"cluster_name": "postgres"})
    await primary.start()
    try:
        for statement in _script("roles").strip().split("\n"):
            await _ask(primary.dsn, statement)
        await _run("sh", "-c", _script("replication"), env={"PGDATA": str(primary.data_dir), "PATH": os.defpath})
        # Both are on one machine here, without TCP: what the copy listens on is the test's to say.
        with (primary.data_dir / "postgresql.auto.conf").open("a") as more:
            more.write(f"listen_addresses = ''\nunix_socket_directories = '{folder / 'sockets'}'\n")
        assert "host replication gateway_standby all" in (primary.data_dir / "pg_hba.conf").read_text()
        await primary.stop()
        await primary.start()
        async with _standby(primary, folder) as (dsn, data):
            await _becomes(dsn, "SELECT pg_is_in_recovery()", True)
            await _becomes(
                primary.dsn, "SELECT application_name || ' ' || sync_state FROM pg_stat_replication", "standby sync"
            )
            await _ask(primary.dsn, "CREATE TABLE told (n integer)")
            await _ask(primary.dsn, "INSERT INTO told VALUES (1)")
            await primary.stop()
            (postgres, *_), account = primary.prepare()
            promote = (str(Path(postgres).parent / "pg_ctl"), "promote", "-D", str(data))
            await _run(*promote, user=account and account.pw_uid, cwd=data)
            await _becomes(dsn, "SELECT pg_is_in_recovery()", False)
            await _ask(dsn, "INSERT INTO told VALUES (2)")
            assert await _ask(dsn, "SELECT count(*) FROM told") == 2
    finally:
        await primary.stop()
