"""`python -m tests.bench`: floor and worker in turns against the BNI mock (two calls a payout), then intake."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import asyncpg
from rich.console import Console
from rich.table import Table

from adapters.registry import PARTNERS
from gateway.clock import SystemClock
from gateway.demo.cluster import bare_environment, free_ports, mock_credentials
from gateway.embedded import EmbeddedPostgres, EmbeddedValkey, data_home
from gateway.security.vault import Vault
from gateway.services.intake.batches import Batches
from gateway.services.intake.framing import CsvCells
from gateway.services.intake.programmes import Programmes
from gateway.storage.base import witness
from gateway.storage.base.database import Database
from gateway.storage.base.migrate import migrate
from gateway.storage.payouts import ledger
from tests.bench import people
from tests.bench.cpu import alive, cpu_s
from tests.bench.servers import answers, environment, process

ENOUGH_CALLS_A_SECOND = 1_000_000
PAID = "SELECT coalesce(sum(incentives), 0)::int FROM funnel_counts WHERE stage = 'paid'"
console = Console()


class Bench:
    """One run: servers, the mock, and what was measured."""

    def __init__(
        self,
        folder: Path,
        arguments: argparse.Namespace,
        *,
        settings: Mapping[str, str] = MappingProxyType({}),
        people: int | None = None,
        incentives: int | None = None,
        analyze: bool = True,
        known: int | None = None,
        calls_per_s: int = ENOUGH_CALLS_A_SECOND,
    ) -> None:
        """`settings`: more of PostgreSQL's. `people`, `incentives`: how many there are, and of each of them; else as
        many as the rounds take. `analyze`: off, PostgreSQL believes that all tables are empty. `known`: so many of
        them, the first, are known at the partner; None: all. `calls_per_s`: its quota.
        """
        self.folder = folder
        self.settings = settings
        self.payouts: int = arguments.payouts
        self.rounds: int = arguments.rounds
        self.intake: int = arguments.intake
        self.calls_per_s = calls_per_s
        self.people = people or self.payouts
        self.incentives = incentives or self.rounds + 1
        self.analyze = analyze
        self.known = min(self.people, known or self.people)
        self.key = os.urandom(32)
        self.pids: dict[str, int] = {}
        self.dsn = ""
        self.environment: dict[str, str] = {}

    async def run(self) -> dict[str, Any]:
        """All measurements."""
        world = self.folder / "world.csv"
        people.write_world(world, self.known)
        async with contextlib.AsyncExitStack() as stack:
            postgres = await stack.enter_async_context(
                EmbeddedPostgres(self.folder / "postgres", settings=self.settings)
            )
            valkey = await stack.enter_async_context(EmbeddedValkey(self.folder / "valkey"))
            await migrate(postgres.dsn)
            await witness.keep(postgres.dsn, Vault(self.key))
            self.dsn = postgres.dsn
            port_base = free_ports().mocks
            mock = await stack.enter_async_context(
                process(
                    self.folder / "mock.log",
                    bare_environment(),
                    *("mock_partners", "serve", "--world", str(world), "--port-base", str(port_base)),
                )
            )
            quotas = ",".join(f"{slug}={self.calls_per_s}" for slug in PARTNERS)
            known = await mock_credentials(port_base)
            self.environment = environment(self.dsn, valkey.url, self.key, known, GATEWAY_QUOTAS=quotas)
            self.pids = {"postgres": postgres.pid, "valkey": valkey.pid, "mock": mock.pid}
            await answers(f"http://127.0.0.1:{port_base + 1}/__mock__/health")
            connection = await asyncpg.connect(self.dsn)
            stack.push_async_callback(connection.close)
            if not self.analyze:
                await connection.execute("VACUUM ANALYZE")
            await people.store(connection, Vault(self.key), self.people, self.incentives, analyze=self.analyze)
            return await self._measure(connection)

    def worker(self) -> contextlib.AbstractAsyncContextManager[asyncio.subprocess.Process]:
        """One worker, while the block runs."""
        return process(self.folder / "worker.log", self.environment, "gateway", "worker")

    async def _measure(self, connection: asyncpg.Connection[asyncpg.Record]) -> dict[str, Any]:
        floors: list[dict[str, float]] = []
        works: list[dict[str, float]] = []
        ratios: list[float] = []  # of neighbours: the machine's own speed changes from minute to minute
        async with self.worker() as worker:
            self.pids["worker"] = worker.pid
            await self._pay(connection, 0)  # caches, plans and connections are warm from here on
            floors.append(await self._floor())
            disk, hot = await _disk(connection)
            for turn in range(1, self.rounds + 1):
                works.append(await self._pay(connection, turn))
                floors.append(await self._floor())
                ratios.append(2 * works[-1]["per_s"] / (floors[-1]["per_s"] + floors[-2]["per_s"]))
                console.print(
                    f"round {turn}: worker {works[-1]['per_s']:.0f}/s between floors of {floors[-2]['per_s']:.0f}/s and"
                    f" {floors[-1]['per_s']:.0f}/s: {ratios[-1]:.2f}",
                    style="dim",
                )
        now, now_hot = await _disk(connection)
        imbalance = await ledger.imbalance(connection)
        if imbalance:
            raise SystemExit(f"the books are wrong by {imbalance} rupiah")
        floor, work = _median(floors), _median(works)
        return {
            "payout_ratio": round(statistics.median(ratios), 3),
            "payouts_per_s": round(work["per_s"], 1),
            "floor_per_s": round(floor["per_s"], 1),
            "rounds": [
                {"payouts_per_s": round(one["per_s"], 1), "ratio": round(ratio, 3)}
                for one, ratio in zip(works, ratios, strict=True)
            ],
            "cpu_ms_a_payout": {key[4:]: round(work[key], 3) for key in sorted(work) if key.startswith("cpu_")},
            "floor_cpu_ms": round(floor["cpu_floor"], 3),
            "disk_bytes_a_payout": round((now - disk) / (self.rounds * self.payouts)),
            "disk_bytes_for_good": round((now_hot - hot) / (self.rounds * self.payouts)),
            "intake_rows_per_s": round(await self._take_in(), 1),
            "payouts_a_round": self.payouts,
            "processors": os.cpu_count(),
        }

    async def _pay(self, connection: asyncpg.Connection[asyncpg.Record], turn: int) -> dict[str, float]:
        """Approve one round's incentives at once; from the first claim to the last outcome, as the store has it."""
        before = self._cpu()
        await connection.execute("UPDATE incentives SET approved = true WHERE period = $1", str(turn))
        await connection.execute("SELECT pg_notify('gateway', 'dispatch')")
        async with asyncio.timeout(600):
            while await connection.fetchval(PAID) < (turn + 1) * self.payouts:
                if not alive(self.pids["worker"]):
                    raise SystemExit(f"the worker ended: {(self.folder / 'worker.log').read_text()[-2000:]}")
                await asyncio.sleep(0.25)
        after = self._cpu()
        used = {f"cpu_{name}": 1000 * (after[name] - before[name]) / self.payouts for name in after}
        seconds = await connection.fetchval(
            "SELECT extract(epoch FROM max(ended_at) - min(p.created_at))::float8"
            " FROM payouts p JOIN incentives i ON i.id = p.incentive WHERE i.period = $1",
            str(turn),
        )
        return {"per_s": self.payouts / seconds, **used}

    async def _floor(self) -> dict[str, float]:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.bench.floor", str(self.payouts), str(self.payouts),
            stdout=asyncio.subprocess.PIPE, env=self.environment,
        )  # fmt: skip
        output, _ = await asyncio.wait_for(child.communicate(), 600)
        if child.returncode != 0:
            raise SystemExit("the floor could not be measured")
        took = json.loads(output)
        return {"per_s": self.payouts / took["seconds"], "cpu_floor": 1000 * took["cpu_s"] / self.payouts}

    def _cpu(self) -> dict[str, float]:
        return {name: cpu_s(pid, with_children=True) for name, pid in self.pids.items()}

    async def _take_in(self) -> float:
        """Rows a second of one batch, from its first byte to its commit."""
        database = await Database.open(self.dsn, size=4)
        manifests = {slug: partner.manifest for slug, partner in PARTNERS.items()}
        programmes = Programmes(database, SystemClock())
        await programmes.register("kp", ["survey"], "bench")
        batches = Batches(database, SystemClock(), Vault(self.key), manifests, programmes)

        async def keep(*_: object) -> None:
            """No answer to keep: nobody asked over HTTP."""

        started = time.perf_counter()
        view = await batches.receive("bench", CsvCells(), people.batch(self.intake), keep)
        took_s = time.perf_counter() - started
        await database.close()
        if view.batch.rows_accepted != self.intake:
            raise SystemExit(f"only {view.batch.rows_accepted} of {self.intake} rows were accepted")
        return self.intake / took_s


async def _disk(connection: asyncpg.Connection[asyncpg.Record]) -> tuple[int, int]:
    """Bytes of the database, what is dead in it free to be used again; and without what `gateway archive` takes."""
    await connection.execute("VACUUM", timeout=600)
    row = await connection.fetchrow(
        "SELECT pg_database_size(current_database()) AS whole,"
        " pg_total_relation_size('events') + pg_total_relation_size('exchanges') AS archived"
    )
    assert row is not None
    return int(row["whole"]), int(row["whole"] - row["archived"])


def _median(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


def _show(result: dict[str, Any]) -> None:
    table = Table("what", "figure", title=f"one worker at a two-call partner, {result['processors']} processors")
    table.add_row("floor: the bare signed calls", f"{result['floor_per_s']:.0f} payouts/s")
    table.add_row("worker, every guard on", f"{result['payouts_per_s']:.0f} payouts/s")
    table.add_row("ratio", f"{result['payout_ratio']:.2f}")
    table.add_row("CPU a payout: floor", f"{result['floor_cpu_ms']:.2f} ms")
    for name, used in result["cpu_ms_a_payout"].items():
        table.add_row(f"CPU a payout: {name}", f"{used:.2f} ms")
    table.add_row("disk a payout, with its trail", f"{result['disk_bytes_a_payout']} bytes")
    table.add_row("of which stay once it is archived", f"{result['disk_bytes_for_good']} bytes")
    table.add_row("intake", f"{result['intake_rows_per_s']:.0f} rows/s")
    console.print(table)


def main() -> None:
    """Measure, show, and write the figures down."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--payouts", type=int, default=2_000, help="payouts a round")
    parser.add_argument("--rounds", type=int, default=5, help="worker between two floors, so often")
    parser.add_argument("--intake", type=int, default=100_000, help="rows of the batch that is taken in")
    parser.add_argument(
        "--calls-per-s", type=int, default=ENOUGH_CALLS_A_SECOND, help="the partner's quota; a payout is two calls"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = data_home(Path(folder) / "servers")
        result = asyncio.run(Bench(home, arguments, calls_per_s=arguments.calls_per_s).run())
    _show(result)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
