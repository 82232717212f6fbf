"""`python -m tests.bench.singles`: single incentives posted to a real API process on a real PostgreSQL, over 32 kept
connections.

In one sitting: rows that are refused for their NIK (everything but sealing and store), then rows of new people, then
such rows while a batch is merged. The figure to watch is the ratio of the second to the first.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from rich.console import Console
from rich.table import Table

from contracts.batch import COLUMNS
from gateway.demo.cluster import free_ports, mock_credentials
from gateway.embedded import EmbeddedPostgres, EmbeddedValkey, data_home
from gateway.security.clients import register
from gateway.security.vault import Vault
from gateway.storage.base import witness
from gateway.storage.base.database import Database
from gateway.storage.base.migrate import migrate
from tests.bench import people
from tests.bench.cpu import cpu_s
from tests.bench.inbox import CONNECTIONS, Notice, Tally, deliver
from tests.bench.servers import answers, environment, process

_ENOUGH = 100_000
"""More than are taken while a batch is merged."""
console = Console()


def posts(token: str, first: int, count: int, **changes: Any) -> list[Notice]:
    """So many people's rows, each under a key of its own."""
    made = []
    for n in range(first, first + count):
        cells = ["kp", "survey", "1", f"P{n:08d}", people.nik(n), f"ORANG {n}", f"+62811{n:08d}", "bni",
                 people.account(n), 600_000, "2026-01-05", "2099-12-31"]  # fmt: skip
        body = json.dumps(dict(zip(COLUMNS, cells, strict=True)) | changes).encode()
        head = (
            f"POST /v1/incentives HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\nAuthorization: "
            f"Bearer {token}\r\nIdempotency-Key: k-{n}-{len(changes)}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        made.append(Notice(str(n), head.encode() + body))
    return made


class Bench:
    """The servers of one run, and what was measured."""

    def __init__(self, folder: Path, arguments: argparse.Namespace) -> None:
        self._folder = folder
        self._count: int = arguments.posts
        self._merged: int = arguments.merged

    async def run(self) -> dict[str, Any]:
        """All three loads."""
        async with contextlib.AsyncExitStack() as stack:
            postgres = await stack.enter_async_context(EmbeddedPostgres(self._folder / "postgres"))
            valkey = await stack.enter_async_context(EmbeddedValkey(self._folder / "valkey"))
            await migrate(postgres.dsn)
            key = os.urandom(32)
            await witness.keep(postgres.dsn, Vault(key))
            port = free_ports().api
            variables = environment(postgres.dsn, valkey.url, key, await mock_credentials(9100))  # nobody is called
            serve = ("gateway", "serve", "--port", str(port))
            api = await stack.enter_async_context(process(self._folder / "api.log", variables, *serve))
            url = f"http://127.0.0.1:{port}"
            await answers(f"{url}/health/live")
            token = await self._token(postgres.dsn, url)
            pids = {"postgres": postgres.pid, "api": api.pid}
            await deliver([port], posts(token, 0, 500))  # plans and caches are warm from here on
            before = cpu_s(api.pid, with_children=True)
            refused = await deliver([port], posts(token, 0, self._count, nik="1"))
            used = cpu_s(api.pid, with_children=True) - before
            figures: dict[str, Any] = {
                "refused_per_s": round(self._count / refused.seconds, 1),
                "refused_cpu_ms_each": round(1_000 * used / self._count, 3),
            }
            begun = await _log(postgres.dsn)
            figures |= await self._load("", port, posts(token, 2_100_000, self._count), pids)
            figures["wal_bytes_each"] = round((await _log(postgres.dsn) - begun) / self._count)
            figures["ratio"] = round(figures["per_s"] / figures["refused_per_s"], 3)
            figures["cpu_ratio"] = round(figures["cpu_ms_each"]["api"] / figures["refused_cpu_ms_each"], 2)
            async with asyncio.TaskGroup() as group:
                merge = group.create_task(self._merge(url, token, variables))
                figures |= await self._load("beside_", port, posts(token, 2_500_000, _ENOUGH), pids, until=merge)
            figures["merge_s"] = round(merge.result(), 2)
            return figures

    async def _token(self, dsn: str, url: str) -> str:
        database = await Database.open(dsn)
        now = datetime.now(UTC)
        client = await register(database, now, name="bench", scopes=("incentives", "batches"), organisation="bench")
        connection = await asyncpg.connect(dsn)
        await connection.execute("INSERT INTO programmes VALUES ('kp', 'bench', $1)", now)
        await connection.execute("INSERT INTO purposes VALUES ('kp', 'survey', 'bench', $1)", now)
        await connection.close()
        await database.close()
        async with httpx.AsyncClient() as http:
            reply = await http.post(
                f"{url}/oauth/token",
                data={"grant_type": "client_credentials"},
                auth=httpx.BasicAuth(client.client_id, client.secret),
            )
            reply.raise_for_status()
            return str(reply.json()["access_token"])

    async def _merge(self, url: str, token: str, variables: dict[str, str]) -> float:
        """From another process, so that the load waits for nothing of it."""
        command = ("tests.bench.singles", "--upload", url, token, str(self._merged))
        began = time.perf_counter()
        async with process(self._folder / "upload.log", variables, *command) as child:
            if await child.wait():
                raise SystemExit(f"the batch was not taken: {(self._folder / 'upload.log').read_text()}")
        return time.perf_counter() - began

    async def _load(
        self, name: str, port: int, todo: list[Notice], pids: dict[str, int], until: asyncio.Task[float] | None = None
    ) -> dict[str, Any]:
        """One load, or such loads in small parts until something is done."""
        waits_s: list[float] = []
        before = {name: cpu_s(pid, with_children=True) for name, pid in pids.items()}
        began, done = time.perf_counter(), 0
        while todo and (done == 0 or until is None or not until.done()):
            part, todo = (todo, []) if until is None else (todo[:320], todo[320:])
            tally = await deliver([port], part, waits_s=waits_s)
            _all_taken(tally, len(part))
            done += len(part)
        took_s = time.perf_counter() - began
        waits_s.sort()
        used = {pid: cpu_s(pids[pid], with_children=True) - before[pid] for pid in pids}
        return {
            f"{name}per_s": round(done / took_s, 1),
            f"{name}p50_ms": round(1_000 * waits_s[len(waits_s) // 2], 1),
            f"{name}p99_ms": round(1_000 * waits_s[len(waits_s) * 99 // 100], 1),
            f"{name}most_ms": round(1_000 * waits_s[-1], 1),
            f"{name}cpu_ms_each": {pid: round(1_000 * used[pid] / done, 3) for pid in pids},
        }


async def _log(dsn: str) -> int:
    """How many bytes of its log PostgreSQL has written."""
    connection = await asyncpg.connect(dsn)
    try:
        return int(await connection.fetchval("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"))
    finally:
        await connection.close()


async def _upload(url: str, token: str, rows: int) -> int:
    """Hand over a batch; 0 if all of it was taken."""
    async with httpx.AsyncClient(timeout=300) as http:
        reply = await http.post(
            f"{url}/v1/batches",
            content=people.batch(rows),
            headers={"Authorization": f"Bearer {token}", "Idempotency-Key": "merge", "Content-Type": "text/csv"},
        )
    console.print(reply.text)
    return 0 if reply.status_code == 201 and reply.json()["rows_accepted"] == rows else 1


def _all_taken(tally: Tally, count: int) -> None:
    if tally.refused or len(tally.acknowledged) != count:
        raise SystemExit(f"answered otherwise than 201: {tally.refused}")


def main() -> int:
    """Measure, show, and write the figures down."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.singles", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--posts", type=int, default=5_000, help="in each load")
    parser.add_argument("--merged", type=int, default=150_000, help="rows of the batch that is merged beside them")
    parser.add_argument("--at-least", type=float, default=0.0, help="fail below this ratio (goal 0.4)")
    parser.add_argument("--upload", nargs=3, metavar=("URL", "TOKEN", "ROWS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.upload is not None:
        url, token, rows = arguments.upload
        return asyncio.run(_upload(url, token, int(rows)))
    with tempfile.TemporaryDirectory(prefix="singles-") as folder:
        figures = asyncio.run(Bench(data_home(Path(folder) / "servers"), arguments).run())
    table = Table("what", "figure", title=f"{CONNECTIONS} connections, {os.cpu_count()} processors")
    for name, figure in figures.items():
        table.add_row(name.replace("_", " "), str(figure))
    console.print(table)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0 if figures["ratio"] >= arguments.at_least else 1


if __name__ == "__main__":
    sys.exit(main())
