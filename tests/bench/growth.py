"""`python -m tests.bench.growth`: what a payout costs while few wait and while very many do, with statistics of empty
tables, and beside a transaction that never ends.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

import asyncpg

from gateway.embedded import data_home
from tests.bench.__main__ import PAID, Bench, console
from tests.bench.cpu import alive

FEW = 10_000


class Growth(Bench):
    """One worker; the same number of payouts measured each time."""

    async def _measure(self, connection: asyncpg.Connection[asyncpg.Record]) -> dict[str, Any]:
        found: dict[str, Any] = {"payouts_each": self.payouts, "waiting": self.people}
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
        return found

    async def _approve(self, connection: asyncpg.Connection[asyncpg.Record], first: int, end: int) -> None:
        await connection.execute(
            "UPDATE incentives SET approved = true WHERE line >= $1 AND line < $2", first, end, timeout=600
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


def main() -> None:
    """Measure, show, and write the figures down."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.growth", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--people", type=int, default=300_000, help="how many wait at the most")
    parser.add_argument("--payouts", type=int, default=4_000, help="payouts for one figure")
    parser.add_argument("--rounds", type=int, default=5, help="figures beside the transaction that does not end")
    arguments = parser.parse_args()
    arguments.intake = 0
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = data_home(Path(folder) / "servers")
        # Nobody looks again at tables that were analysed while empty, and nobody clears dead rows away.
        settings = {"autovacuum": "off"}
        bench = Growth(home, arguments, settings=settings, people=arguments.people, incentives=1, analyze=False)
        found = asyncio.run(bench.run())
    console.print_json(data=found)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
