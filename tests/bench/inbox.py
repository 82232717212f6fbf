"""`python -m tests.bench.inbox`: signed payout notifications posted to real API processes on a real PostgreSQL.

First so many as fast as they are taken, over kept connections: notifications a second, and processor time each, by
process. Then again, with every API process killed (SIGKILL) half way: what was acknowledged (a 2xx had reached the
sender) must be in the inbox. The rest is delivered again to new processes, and the inbox must then hold each event
once. Exit status 1 if anything acknowledged is lost, or fewer a second are taken than `--at-least`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
from rich.console import Console
from rich.table import Table

from gateway.demo.cluster import free_ports, mock_credentials
from gateway.embedded import EmbeddedPostgres, EmbeddedValkey, data_home
from gateway.security.vault import Vault
from gateway.storage.base import witness
from gateway.storage.base.migrate import migrate
from tests.bench.cpu import cpu_s
from tests.bench.servers import answers, environment, process

WANTED_PER_S = 1_000
CONNECTIONS = 32
PATH = "/callbacks/gopay/iris"
RUN_S = 600.0
console = Console()


class Notice(NamedTuple):
    """One notification: the key of its event in the inbox, and its bytes on the wire."""

    event_key: str
    wire: bytes


class Tally(NamedTuple):
    """What became of a load: keys acknowledged with a 2xx, other answers by status, and how long it took."""

    acknowledged: set[str]
    refused: dict[int, int]
    seconds: float


def notices(merchant_key: str, first: int, count: int) -> list[Notice]:
    """Distinct notifications as Iris sends and signs them (SHA-512 over body and merchant key)."""
    made = []
    for n in range(first, first + count):
        said = {"reference_no": f"{n:022x}", "amount": "600000.00", "status": "completed",
                "updated_at": "2026-11-24T05:00:00Z"}  # fmt: skip
        body = json.dumps(said, separators=(",", ":")).encode()
        signature = hashlib.sha512(body + merchant_key.encode()).hexdigest()
        head = (
            f"POST {PATH} HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
            f"Iris-Signature: {signature}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        event = hashlib.sha256(b"\n" + body).hexdigest()
        made.append(Notice(f"payout:{event}", head.encode() + body))
    return made


async def deliver(
    ports: Sequence[int], todo: Sequence[Notice], done: asyncio.Event | None = None, waits_s: list[float] | None = None
) -> Tally:
    """Post them over kept connections, one at a time on each; a connection that breaks ends its part of the load.

    `done` is set once half of them are acknowledged; `waits_s` gets how long each answer took.
    """
    waiting = iter(todo)
    acknowledged: set[str] = set()
    refused: dict[int, int] = {}

    async def work(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for notice in waiting:
                sent = time.perf_counter()
                writer.write(notice.wire)
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
                if waits_s is not None:
                    waits_s.append(time.perf_counter() - sent)
                status = int(head.split(b" ", 2)[1])
                if 200 <= status < 300:
                    acknowledged.add(notice.event_key)
                else:
                    refused[status] = refused.get(status, 0) + 1
                if done is not None and len(acknowledged) >= len(todo) // 2:
                    done.set()
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # killed: what was not answered was not acknowledged
        finally:
            writer.close()

    began = time.perf_counter()
    async with asyncio.timeout(RUN_S), asyncio.TaskGroup() as group:
        for n in range(CONNECTIONS):
            group.create_task(work(ports[n % len(ports)]))
    return Tally(acknowledged, refused, time.perf_counter() - began)


class Bench:
    """The servers of one run, and what was measured."""

    def __init__(self, folder: Path, arguments: argparse.Namespace) -> None:
        self._folder = folder
        self._count: int = arguments.notifications
        self._apis: int = arguments.apis
        self._environment: dict[str, str] = {}
        self._merchant_key = ""

    async def run(self) -> dict[str, Any]:
        """Both parts."""
        async with (
            EmbeddedPostgres(self._folder / "postgres") as postgres,
            EmbeddedValkey(self._folder / "valkey") as valkey,
        ):
            await migrate(postgres.dsn)
            key = os.urandom(32)
            await witness.keep(postgres.dsn, Vault(key))
            known = await mock_credentials(9100)  # nobody is called there
            self._merchant_key = known["gopay"]["credentials"]["iris_merchant_key"]
            self._environment = environment(postgres.dsn, valkey.url, key, known)
            connection = await asyncpg.connect(postgres.dsn)
            try:
                return await self._speed(connection, postgres.pid) | await self._kill(connection)
            finally:
                await connection.close()

    async def _speed(self, connection: asyncpg.Connection[asyncpg.Record], postgres: int) -> dict[str, Any]:
        async with self._serving() as apis:
            ports = [port for port, _ in apis]
            await deliver(ports, notices(self._merchant_key, 0, 500))  # plans and caches are warm from here on
            todo = notices(self._merchant_key, 1_000_000, self._count)
            pids = {"postgres": postgres} | {f"api {n}": child.pid for n, (_, child) in enumerate(apis, 1)}
            before = {name: cpu_s(pid, with_children=True) for name, pid in pids.items()}
            tally = await deliver(ports, todo)
            after = {name: cpu_s(pid, with_children=True) for name, pid in pids.items()}
        if tally.refused or len(tally.acknowledged) != len(todo):
            raise SystemExit(f"answered otherwise than 2xx: {tally.refused}")
        await self._require(connection, tally.acknowledged)
        return {
            "notifications": self._count,
            "accepted_per_s": round(len(todo) / tally.seconds, 1),
            "cpu_ms_each": {name: round(1_000 * (after[name] - before[name]) / len(todo), 3) for name in pids},
            "api_processes": self._apis,
            "processors": os.cpu_count(),
        }

    async def _kill(self, connection: asyncpg.Connection[asyncpg.Record]) -> dict[str, Any]:
        todo = notices(self._merchant_key, 2_000_000, self._count)
        async with self._serving() as apis:
            half = asyncio.Event()
            async with asyncio.timeout(RUN_S), asyncio.TaskGroup() as group:
                load = group.create_task(deliver([port for port, _ in apis], todo, half))
                await half.wait()
                for _, child in apis:
                    child.kill()
                    await child.wait()
            tally = load.result()
        if len(tally.acknowledged) == len(todo):
            raise SystemExit("everything was taken before the kill: send more")
        lost = await self._missing(connection, tally.acknowledged)
        left = [notice for notice in todo if notice.event_key not in tally.acknowledged]
        async with self._serving() as apis:
            again = await deliver([port for port, _ in apis], left)
        lost += await self._missing(connection, again.acknowledged | tally.acknowledged)
        rows = await connection.fetchval(
            "SELECT count(*)::int FROM inbox WHERE event_key = ANY($1::text[])", [notice.event_key for notice in todo]
        )
        return {
            "killed_after": len(tally.acknowledged),
            "acknowledged_and_lost": lost,
            "delivered_again": len(again.acknowledged),
            "events_in_the_inbox": rows,
            "events_sent": len(todo),
        }

    async def _require(self, connection: asyncpg.Connection[asyncpg.Record], keys: set[str]) -> None:
        if lost := await self._missing(connection, keys):
            raise SystemExit(f"{lost} acknowledged notifications are not in the inbox")

    async def _missing(self, connection: asyncpg.Connection[asyncpg.Record], keys: set[str]) -> int:
        """How many of these events the inbox does not have."""
        found = await connection.fetchval(
            "SELECT count(*)::int FROM inbox WHERE partner = 'gopay' AND event_key = ANY($1::text[])", list(keys)
        )
        return len(keys) - int(found)

    @contextlib.asynccontextmanager
    async def _serving(self) -> AsyncIterator[list[tuple[int, asyncio.subprocess.Process]]]:
        """API processes with their ports, ready."""
        async with contextlib.AsyncExitStack() as stack:
            apis = []
            for n in range(self._apis):
                port = free_ports().api
                command = ("gateway", "serve", "--port", str(port))
                log = self._folder / f"api-{n}.log"
                apis.append((port, await stack.enter_async_context(process(log, self._environment, *command))))
            for port, _ in apis:
                await answers(f"http://127.0.0.1:{port}/health/live")
            yield apis


def _show(result: dict[str, Any]) -> None:
    table = Table("what", "figure", title=f"{result['api_processes']} API, {result['processors']} processors")
    table.add_row("accepted", f"{result['accepted_per_s']:.0f} notifications/s")
    for name, used in result["cpu_ms_each"].items():
        table.add_row(f"CPU a notification: {name}", f"{used:.2f} ms")
    table.add_row("acknowledged when killed", str(result["killed_after"]))
    table.add_row("of these lost", str(result["acknowledged_and_lost"]))
    table.add_row("in the inbox in the end", f"{result['events_in_the_inbox']} of {result['events_sent']}")
    console.print(table)


def main() -> int:
    """Measure, show, and write the figures down."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.inbox", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--notifications", type=int, default=10_000, help="in each of the two parts")
    parser.add_argument("--apis", type=int, default=1, help="API processes")
    parser.add_argument(
        "--at-least", type=float, default=0.0, help=f"fail below so many a second (goal {WANTED_PER_S})"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="inbox-") as folder:
        result = asyncio.run(Bench(data_home(Path(folder) / "servers"), arguments).run())
    _show(result)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")
    kept = not result["acknowledged_and_lost"] and result["events_in_the_inbox"] == result["events_sent"]
    return 0 if kept and result["accepted_per_s"] >= arguments.at_least else 1


if __name__ == "__main__":
    sys.exit(main())
