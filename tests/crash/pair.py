"""Two PostgreSQL servers, the second a standby of the first by streaming replication, and the death of the first."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg

from gateway.embedded import EmbeddedPostgres
from gateway.embedded.process import own_directory, processes_in, server_environment

POLL_S = 0.05
READY_S = 60.0
STANDBY = "beta"


class Primary(EmbeddedPostgres):
    """The first server; its URL names both, and whichever takes writes is the database."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "alpha", settings={"cluster_name": "alpha"})
        self.standby = EmbeddedPostgres(folder / STANDBY, settings={"cluster_name": STANDBY})

    @property
    def dsn(self) -> str:
        hosts = f"{self.socket_dir},{self.standby.socket_dir}"
        return f"postgresql://postgres@/postgres?host={quote(hosts, safe='')}&target_session_attrs=read-write"

    async def follow(self, *, synchronous: bool) -> None:
        """Copy the first server, start the copy as its standby, and wait until it streams."""
        (postgres, *_), account = self.prepare()
        own_directory(self.standby.data_dir, 0o700, account)
        command = [str(Path(postgres).parent / "pg_basebackup"), "-D", str(self.standby.data_dir), "-R", "-X", "stream"]
        command += ["-c", "fast", "-h", str(self.socket_dir), "-U", "postgres"]
        done = await asyncio.to_thread(
            subprocess.run,
            command,
            cwd=self.standby.data_dir,
            env=server_environment(),
            capture_output=True,
            timeout=READY_S,
            check=False,
            user=account and account.pw_uid,
            group=account and account.pw_gid,
            extra_groups=account and [],
        )
        assert done.returncode == 0, done.stderr.decode()
        for copied in self.standby.data_dir.glob(".s.PGSQL.*"):  # the first server's own, which lie among its data
            copied.unlink()
        await self.standby.start()
        if synchronous:
            await self._run(self.dsn, f"ALTER SYSTEM SET synchronous_standby_names = '{STANDBY}'")
            await self._run(self.dsn, "SELECT pg_reload_conf()")
        wanted = "sync" if synchronous else "async"
        async with asyncio.timeout(READY_S):
            while [(one["state"], one["sync_state"]) for one in await self._senders()] != [("streaming", wanted)]:
                await asyncio.sleep(POLL_S)

    async def lag(self) -> None:
        """From here on the standby hears nothing of what is committed."""
        for sender in await self._senders():
            os.kill(sender["pid"], signal.SIGSTOP)

    async def die(self) -> None:
        """The first server and each of its processes at once, as where its machine loses power."""
        processes = processes_in(self.data_dir)
        assert self.pid in processes
        for pid in [self.pid, *processes]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(READY_S):
            while processes_in(self.data_dir):
                await asyncio.sleep(POLL_S)

    async def promote(self) -> None:
        """The standby takes writes from now on."""
        await self._run(self.standby.dsn, "SELECT pg_promote(true, 60)")

    async def _senders(self) -> list[Any]:
        return await self._run(self.dsn, "SELECT pid, state, sync_state FROM pg_stat_replication")

    async def _run(self, dsn: str, statement: str) -> list[Any]:
        connection = await asyncpg.connect(dsn, timeout=10)
        try:
            return list(await connection.fetch(statement))
        finally:
            await connection.close()


@asynccontextmanager
async def pair(folder: Path) -> AsyncIterator[Primary]:
    """The first server alone; `follow` adds the second."""
    async with Primary(folder) as primary:
        try:
            yield primary
        finally:
            await primary.standby.stop()
