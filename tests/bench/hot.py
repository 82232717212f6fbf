"""`python -m tests.bench.hot`: one worker in this process at a partner in memory. What it takes while nothing is due,
what a payout takes, and what each of its statements takes of PostgreSQL's processor (by the kernel's own account of
each backend, so that it holds on a busy machine too).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import uvloop

import gateway.resources
from adapters.registry import PARTNERS
from gateway.demo.cluster import mock_credentials
from gateway.embedded import EmbeddedPostgres, EmbeddedValkey, data_home
from gateway.partners.transport import Reply
from gateway.security.vault import Vault
from gateway.settings import Settings, from_environment
from gateway.storage.base import witness
from gateway.storage.base.migrate import migrate
from gateway.worker.runner import run_worker
from tests.bench import people
from tests.bench.__main__ import ENOUGH_CALLS_A_SECOND, PAID
from tests.bench.cpu import cpu_s
from tests.bench.servers import environment

ANSWER_S = 0.02


class Memory:
    """BNI as far as a payout needs it, in the place of the transport."""

    def __init__(self, base_url: str, **options: Any) -> None:
        """Any host."""

    async def aclose(self) -> None:
        """Nothing is open."""

    async def send(self, method: str, target: str, headers: Any, content: bytes, *limits: Any) -> Reply:
        """A token, or a success that shows what was asked."""
        await asyncio.sleep(ANSWER_S)
        asked = json.loads(content) if content else {}
        if "grantType" in asked:
            said = {"responseCode": "2007300", "accessToken": "t" * 40, "tokenType": "Bearer", "expiresIn": "899"}
        elif "sourceAccountNo" in asked:
            shown = ("partnerReferenceNo", "amount", "beneficiaryAccountNo", "sourceAccountNo")
            said = {"responseCode": "2001700", "referenceNo": "1"} | {name: asked[name] for name in shown}
        else:
            said = {"responseCode": "2001500", "beneficiaryAccountName": "ORANG"} | asked
        return Reply(200, {}, json.dumps(said).encode())


class Statements:
    """Processor time of PostgreSQL by statement, in ns, with how often it ran."""

    def __init__(self) -> None:
        self.found: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
        self.own = asyncpg.Connection._execute

    def watched(self, mute: asyncpg.Connection[Any]) -> Callable[..., Awaitable[Any]]:
        """In the place of the driver's own; `mute`: the bench's connection does not count."""

        async def execute(connection: asyncpg.Connection[Any], query: str, *values: Any, **options: Any) -> Any:
            pid = connection.get_server_pid()
            began = ran_ns(pid)
            try:
                return await self.own(connection, query, *values, **options)
            finally:
                if connection is not mute:
                    one = self.found[" ".join(query.split())[:110]]
                    one[0] += 1
                    one[1] += ran_ns(pid) - began

        return execute


def ran_ns(pid: int) -> int:
    """Nanoseconds for which a process has had a processor so far."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


class Hot:
    """The servers, and what was measured."""

    def __init__(self, folder: Path, arguments: argparse.Namespace) -> None:
        self.folder, self.payouts, self.rounds = folder, arguments.payouts, arguments.rounds
        self.idle_s: float = arguments.idle
        self.by_statement: bool = arguments.statements
        self.postgres = 0

    async def run(self) -> None:
        """Measure and print."""
        key = b"k" * 32
        async with (
            EmbeddedPostgres(self.folder / "postgres") as postgres,
            EmbeddedValkey(self.folder / "valkey") as valkey,
        ):
            self.postgres = postgres.pid
            await migrate(postgres.dsn)
            await witness.keep(postgres.dsn, Vault(key))
            quotas = ",".join(f"{slug}={ENOUGH_CALLS_A_SECOND}" for slug in PARTNERS)
            known = await mock_credentials(9_000)  # nothing listens there, and nothing is sent
            variables = environment(postgres.dsn, valkey.url, key, known, GATEWAY_QUOTAS=quotas)
            connection = await asyncpg.connect(postgres.dsn)
            try:
                await people.store(connection, Vault(key), self.payouts, self.rounds + 1)
                manifests = {slug: partner.manifest for slug, partner in PARTNERS.items()}
                await self._work(connection, from_environment(variables, manifests))
            finally:
                await connection.close()

    async def _work(self, connection: asyncpg.Connection[asyncpg.Record], settings: Settings) -> None:
        gateway.resources.Sender = Memory  # type: ignore[assignment,misc]
        statements, stopping = Statements(), asyncio.Event()
        if self.by_statement:
            asyncpg.Connection._execute = statements.watched(connection)
        worker = asyncio.create_task(run_worker(settings, stopping))
        try:
            await self._pay(connection, worker, 0)  # caches, plans and connections are warm from here on
            await self._idle()
            statements.found.clear()
            for turn in range(1, self.rounds + 1):
                own, store = await self._pay(connection, worker, turn)
                print(f"worker {own:.3f} ms, PostgreSQL {store:.3f} ms a payout", flush=True)
        finally:
            stopping.set()
            await asyncio.wait_for(worker, 60)
            asyncpg.Connection._execute = statements.own
        paid = self.rounds * self.payouts
        for query, (calls, ns) in sorted(statements.found.items(), key=lambda one: -one[1][1])[:25]:
            print(f"{ns / paid / 1e6:.4f} ms a payout, {calls / paid:.4f} calls: {query}")

    async def _idle(self) -> None:
        await asyncio.sleep(5.0)
        began, own, store = time.monotonic(), *self._cpu()
        await asyncio.sleep(self.idle_s)
        took_s, (own_after, store_after) = time.monotonic() - began, self._cpu()
        print(
            f"idle: worker {1000 * (own_after - own) / took_s:.1f} ms, PostgreSQL"
            f" {1000 * (store_after - store) / took_s:.1f} ms a second",
            flush=True,
        )

    async def _pay(
        self, connection: asyncpg.Connection[asyncpg.Record], worker: asyncio.Task[None], turn: int
    ) -> tuple[float, float]:
        await connection.execute("UPDATE incentives SET approved = true WHERE period = $1", str(turn))
        own, store = self._cpu()
        await connection.execute("SELECT pg_notify('gateway', 'dispatch')")
        async with asyncio.timeout(600):
            while await connection.fetchval(PAID) < (turn + 1) * self.payouts:
                if worker.done():
                    worker.result()
                await asyncio.sleep(0.2)
        own_after, store_after = self._cpu()
        return 1000 * (own_after - own) / self.payouts, 1000 * (store_after - store) / self.payouts

    def _cpu(self) -> tuple[float, float]:
        return time.process_time(), cpu_s(self.postgres, with_children=True)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.hot", description=__doc__)
    parser.add_argument("--payouts", type=int, default=1_000, help="payouts a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--idle", type=float, default=8.0, help="seconds with nothing due")
    parser.add_argument("--statements", action="store_true", help="by statement too, which takes a little more")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        uvloop.run(Hot(data_home(Path(folder) / "servers"), arguments).run())


if __name__ == "__main__":
    main()
