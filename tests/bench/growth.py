"""`python -m tests.bench.growth --rows 1000000`: what a payout costs while few wait and while so many do, with
statistics of empty tables (`VACUUM ANALYZE` before the first row, nobody looks again), and beside a transaction that
never ends.

Ends with 1 where a payout costs more than 1.1 of what it costs while few wait.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import asyncpg

from gateway.embedded import data_home
from tests.bench.__main__ import PAID, Bench, console
from tests.bench.cpu import alive

FEW = 10_000
APPROVED = 50_000
"""Rows at once."""
MOST = 1.1


class Growth(Bench):
    """One worker; the same number of payouts measured each time."""

    async def _measure(self, connection: asyncpg.Connection[asyncpg.Record]) -> dict[str, Any]:
        found: dict[str, Any] = {"payouts_each": self.payouts, "waiting": self.people}
        began = time.monotonic()
        async with self.worker() as worker:
            self.pids["worker"] = worker.pid
            await self._approve(connection, 0, FEW)
            await self._paid(connection, FEW // 10)  # caches and connections are warm from here on
            found["few"] = await self._cost(connection)
            await self._paid(connection, FEW)
            await self._approve(connection, FEW, self.people)
            found["many"] = await self._cost(connection)
            reader = await asyncpg.connect(self.dsn)
            try:
                async with reader.transaction(isolation="repeatable_read"):
                    await reader.fetchval("SELECT count(*) FROM participants")
                    found["old_snapshot"] = [await self._cost(connection) for _ in range(self.rounds)]
            finally:
                await reader.close()
            found["after_it"] = await self._cost(connection)
        few = found["few"]["ratio"]
        found["many_to_few"] = round(found["many"]["ratio"] / few, 3)
        found["old_snapshot_to_few"] = [round(one["ratio"] / few, 3) for one in found["old_snapshot"]]
        found["after_it_to_few"] = round(found["after_it"]["ratio"] / few, 3)
        # Single figures of a busy machine spread: of those beside the old snapshot the median decides.
        beside = statistics.median(found["old_snapshot_to_few"])
        found["worst"] = max(found["many_to_few"], beside, found["after_it_to_few"])
        found["measured_in_s"] = round(time.monotonic() - began, 1)
        return found

    async def _approve(self, connection: asyncpg.Connection[asyncpg.Record], first: int, end: int) -> None:
        async with connection.transaction():  # all at once: none is paid while the others are still being approved
            for at in range(first, end, APPROVED):
                await connection.execute(
                    "UPDATE incentives SET approved = true WHERE batch_id = 'bench' AND line >= $1 AND line < $2",
                    *(at, min(end, at + APPROVED)),
                    timeout=600,
                )
        await connection.execute("SELECT pg_notify('gateway', 'dispatch')")

    async def _paid(self, connection: asyncpg.Connection[asyncpg.Record], wanted: int) -> int:
        async with asyncio.timeout(600):
            while (paid := int(await connection.fetchval(PAID))) < wanted:
                if not alive(self.pids["worker"]):
                    raise SystemExit(f"the worker ended: {(self.folder / 'worker.log').read_text()[-2000:]}")
                await asyncio.sleep(0.1)
        return paid

    async def _cost(self, connection: asyncpg.Connection[asyncpg.Record]) -> dict[str, float]:
        """CPU of the next payouts, in ms each; `ratio`: worker and PostgreSQL by the mock, which does the same work
        whatever waits.
        """
        began, before = int(await connection.fetchval(PAID)), self._cpu()
        payouts = await self._paid(connection, began + self.payouts) - began
        after = self._cpu()
        used = {name: 1000 * (after[name] - before[name]) / payouts for name in after}
        figures = {**used, "ratio": (used["worker"] + used["postgres"]) / used["mock"]}
        console.print({name: round(value, 3) for name, value in figures.items()})
        return {name: round(value, 3) for name, value in figures.items()}


def main() -> int:
    """Measure, show, and write the figures down."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.growth", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--rows", type=int, default=300_000, help="how many wait at the most")
    parser.add_argument("--payouts", type=int, default=4_000, help="payouts for one figure")
    parser.add_argument("--rounds", type=int, default=5, help="figures beside the transaction that does not end")
    arguments = parser.parse_args()
    arguments.intake = 0
    if arguments.rows <= FEW:
        parser.error(f"--rows: more than the {FEW} that are few")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = data_home(Path(folder) / "servers")
        # Nobody looks again at tables that were analysed while empty, and nobody clears dead rows away.
        settings = {"autovacuum": "off"}
        paid = FEW + (arguments.rounds + 3) * arguments.payouts  # with what is paid between two figures
        bench = Growth(
            home, arguments, settings=settings, people=arguments.rows, incentives=1, analyze=False, known=2 * paid
        )
        found = asyncio.run(bench.run())
    console.print_json(data=found)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")
    held = found["worst"] <= MOST
    console.print(
        f"at the most {found['worst']:.3f} of a payout while few wait, goal {MOST}: {'held' if held else 'missed'}"
    )
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
