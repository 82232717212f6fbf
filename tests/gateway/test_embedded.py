"""The embedded servers: real processes that keep what was committed, and that never outlive their owner."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
import redis.asyncio

from gateway.cli import doctor
from gateway.embedded import (
    EmbeddedError,
    EmbeddedPostgres,
    EmbeddedValkey,
    create_database_from_template,
    data_home,
    drop_database,
    postgres,
    postgres_dsn,
    process,
)
from gateway.embedded import (
    redis_url as cache_url,
)
from gateway.embedded.postgres import Installation, installations, with_database
from gateway.embedded.process import SOCKET_PATH_LIMIT_BYTES, processes_in

INSTALLATIONS = list(installations(system_first=os.geteuid() == 0))
OWNER = """
import asyncio, sys
from pathlib import Path
from gateway.embedded import EmbeddedPostgres, EmbeddedValkey

async def main():
    home = Path(sys.argv[1])
    async with EmbeddedPostgres(home / "postgres") as postgres, EmbeddedValkey(home / "valkey") as valkey:
        print(postgres.pid, postgres.dsn, valkey.pid, valkey.url, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def home(servers_home: Path) -> Path:
    return data_home(servers_home / uuid4().hex[:8])


async def execute(dsn: str, statement: str) -> object:
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def until(true: Callable[[], bool], limit_s: float = 30.0) -> None:
    async with asyncio.timeout(limit_s):
        while not true():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("installation", INSTALLATIONS, ids=lambda it: f"PostgreSQL {it.major}")
async def test_committed_rows_survive_a_killed_postmaster(home: Path, installation: Installation) -> None:
    async with EmbeddedPostgres(home / "postgres", installation=installation) as postgres:
        dsn, killed = postgres.dsn, postgres.pid
        assert await execute(dsn, "SHOW fsync") == "on"
        assert await execute(dsn, "SHOW synchronous_commit") == "on"
        assert await execute(dsn, "SHOW listen_addresses") == ""
        await execute(dsn, "CREATE TABLE kept (n int)")
        session = await asyncpg.connect(dsn)  # a session in use delays the end of a killed server's processes
        await execute(dsn, "INSERT INTO kept SELECT generate_series(1, 200)")
        os.kill(killed, signal.SIGKILL)
        await postgres.restart()
        assert postgres.pid != killed
        assert postgres.dsn == dsn
        assert await execute(dsn, "SELECT count(*) FROM kept") == 200
        session.terminate()
    assert processes_in(home / "postgres") == []


async def test_data_is_there_on_the_next_start(home: Path) -> None:
    for expected in (None, "kept"):
        async with EmbeddedPostgres(home / "postgres") as postgres:
            assert await execute(postgres.dsn, "SELECT to_regclass('kept')::text") == expected
            await execute(postgres.dsn, "CREATE TABLE IF NOT EXISTS kept (n int)")


async def test_valkey_comes_back_empty_after_a_kill(home: Path) -> None:
    async with EmbeddedValkey(home / "valkey") as valkey, redis.asyncio.Redis.from_url(valkey.url) as client:
        await client.set("token", "sealed", px=60_000)
        assert await client.get("token") == b"sealed"
        os.kill(valkey.pid, signal.SIGKILL)
        await valkey.restart()
        assert await client.get("token") is None
        assert [entry.name for entry in (home / "valkey").iterdir()] == ["valkey.sock"]
    assert processes_in(home / "valkey") == []


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
async def test_no_server_outlives_its_owner(home: Path, end: signal.Signals) -> None:
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, str(home), stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": os.getcwd()}
    )
    assert owner.stdout is not None
    postgres_pid, dsn, valkey_pid, url = (await asyncio.wait_for(owner.stdout.readline(), 60)).decode().split()
    assert await execute(dsn, "SELECT 1") == 1  # the URL serves another process than the one that started the server
    async with redis.asyncio.Redis.from_url(url) as client:
        assert await client.ping()
    owner.send_signal(end)
    await owner.wait()
    owner._transport.close()  # type: ignore[attr-defined]  # asyncio keeps the pipe open until the loop is gone
    await until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in (postgres_pid, valkey_pid)))
    await until(lambda: not processes_in(home / "postgres"))
    assert "database system is shut down" in (home / "postgres.log").read_text()  # in order, not by force
    async with EmbeddedPostgres(home / "postgres") as postgres:
        assert await execute(postgres.dsn, "SELECT 1") == 1


async def test_one_directory_has_one_owner(home: Path) -> None:
    async with EmbeddedPostgres(home / "postgres") as postgres:
        with pytest.raises(EmbeddedError, match="another process runs postgres"):
            await EmbeddedPostgres(home / "postgres").start()
        with pytest.raises(EmbeddedError, match="already running"):
            await postgres.start()
        assert await execute(postgres.dsn, "SELECT 1") == 1


async def test_a_directory_with_something_else_is_left_untouched(home: Path) -> None:
    (home / "postgres").mkdir()
    (home / "postgres" / "letter.txt").write_text("mine")
    with pytest.raises(EmbeddedError, match="left untouched"):
        await EmbeddedPostgres(home / "postgres").start()
    assert (home / "postgres" / "letter.txt").read_text() == "mine"


async def test_a_server_that_cannot_start_shows_its_log(home: Path) -> None:
    async with EmbeddedPostgres(home / "postgres"):
        pass
    (home / "postgres" / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(EmbeddedError, match="no_such_setting"):
        await EmbeddedPostgres(home / "postgres").start()


async def test_a_path_too_long_for_a_socket_gets_a_short_one(home: Path) -> None:
    deep = home / ("d" * SOCKET_PATH_LIMIT_BYTES)
    async with EmbeddedPostgres(deep / "postgres") as postgres, EmbeddedValkey(deep / "valkey") as valkey:
        assert await execute(postgres.dsn, "SELECT 1") == 1
        assert postgres.socket_dir.stat().st_mode & 0o077 == 0
        assert valkey.socket_dir.stat().st_mode & 0o077 == 0
    postgres.socket_dir.rmdir()
    valkey.socket_dir.rmdir()


async def test_a_thread_may_not_own_a_server(home: Path) -> None:
    caught: list[BaseException] = []

    def start() -> None:
        try:
            asyncio.run(EmbeddedValkey(home / "valkey").start())
        except EmbeddedError as exc:
            caught.append(exc)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "main thread" in str(caught[0])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has folders that the server's account cannot enter")
async def test_root_is_told_of_a_folder_out_of_reach(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(EmbeddedError, match="cannot enter"):
        await EmbeddedPostgres(tmp_path / "postgres").start()
    assert data_home(tmp_path / "new") != tmp_path / "new"
    assert tmp_path.stat().st_mode & 0o777 == 0o700
    data_home(tmp_path / "new").rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's servers run under another account")
async def test_a_root_that_keeps_its_files_to_itself_can_run_it(servers_home: Path) -> None:
    before = os.umask(0o077)
    try:
        folder = data_home(servers_home / uuid4().hex[:8] / "below")
        async with EmbeddedPostgres(folder / "postgres"):
            pass
    finally:
        os.umask(before)


@pytest.mark.parametrize(
    ("name", "value"), [("PGPORT", "1"), ("PGTARGETSESSIONATTRS", "standby"), ("PGSSLMODE", "verify-full")]
)
async def test_settings_for_other_servers_change_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setattr(process, "START_LIMIT_S", 10.0)
    async with EmbeddedPostgres(home / "postgres") as postgres:
        assert await execute(with_database(postgres.dsn, "template1"), "SELECT 1") == 1


def test_each_account_has_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch, servers_home: Path) -> None:
    """The second one on a machine could not write into the first one's."""
    monkeypatch.setattr(process.tempfile, "tempdir", str(data_home(servers_home / uuid4().hex[:8])))
    ours, euid = process.demonstrations(), os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: euid + 1)
    monkeypatch.setattr(process, "unprivileged_account", lambda: None)
    with pytest.raises(EmbeddedError, match="belongs to someone else"):  # we only say that we are another one
        process.demonstrations()
    assert {one.name for one in ours.parent.iterdir()} == {ours.name, f"prakerja-gateway-{euid + 1}"}


def test_a_machine_on_which_nothing_can_be_written_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process.tempfile, "tempdir", "/proc")
    with pytest.raises(EmbeddedError, match="set TMPDIR"):
        process.demonstrations()
    (told,) = [one for one in doctor.machine() if one.what == "disk"]
    assert told.state is doctor.State.BAD


async def test_a_copied_database_has_the_rows_and_is_its_own(postgres: EmbeddedPostgres) -> None:
    name = f"test_{uuid4().hex}"
    first = await create_database_from_template(postgres.dsn, "template0", name)
    await execute(first, "CREATE TABLE t AS SELECT 7 AS n")
    copy = await create_database_from_template(postgres.dsn, name, f"{name}_copy")
    await execute(copy, "UPDATE t SET n = 8")
    assert await execute(first, "SELECT n FROM t") == 7
    for each in (name, f"{name}_copy"):
        await drop_database(postgres.dsn, each)
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await execute(copy, "SELECT 1")


async def test_named_servers_are_used_and_nothing_is_started(tmp_path: Path) -> None:
    async with postgres_dsn("postgresql://db/prakerja", tmp_path / "p") as dsn, cache_url("redis://c", tmp_path) as url:
        assert (dsn, url) == ("postgresql://db/prakerja", "redis://c")
    assert list(tmp_path.iterdir()) == []


async def test_without_names_servers_run_for_the_block(home: Path) -> None:
    async with postgres_dsn(None, home / "postgres") as dsn, cache_url(None, home / "valkey") as url:
        assert await execute(dsn, "SELECT 1") == 1
        async with redis.asyncio.Redis.from_url(url) as client:
            assert await client.ping()
    assert processes_in(home / "postgres") == processes_in(home / "valkey") == []


@pytest.mark.parametrize("turn", [1, 2])
async def test_each_test_gets_a_migrated_database_and_an_empty_cache(turn: int, database: str, redis_url: str) -> None:
    assert await execute(database, "SELECT count(*) > 0 FROM schema_migrations")
    await execute(database, "CREATE TABLE left_behind (n int)")  # would exist already if turn 2 got turn 1's
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        assert await client.dbsize() == 0
        await client.set("left", "behind")


def test_versions_are_compared_as_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = next(iter(INSTALLATIONS))
    for name in ("9.6", "15", "100", "18"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "bin").symlink_to(found.bin_dir)
    monkeypatch.setattr(postgres, "SYSTEM", tmp_path)
    monkeypatch.setattr(postgres.shutil, "which", lambda _: None)
    system = [one for one in installations(system_first=True) if tmp_path in one.bin_dir.parents]
    assert [one.bin_dir.parent.name for one in system] == ["100", "18", "15", "9.6"]
