"""`python -m tests.bench.forecast`: how far the planner's forecast was off, over five real runs of a worker at the BNI
mock: four that a quota bounds, one that a slow partner bounds. Fails where it was off by more than a twentieth of the
run once a tenth was done. Ten minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import httpx
from rich.console import Console
from rich.table import Table

from adapters.registry import PARTNERS
from gateway.clock import SystemClock
from gateway.embedded import data_home
from gateway.services.ops.plan import SAMPLE_S, Planner
from gateway.settings import agreed_quotas
from gateway.storage.base.database import Database
from tests.bench.__main__ import PAID, Bench
from tests.bench.servers import process

AT = (0.1, 0.25, 0.5, 0.75)
MOST = 0.05
_ASK_S = 0.5
_SLOW = """
title = "A partner that takes its time"
source = "snap-bni.md 4"
[[rule]]
name = "each transfer takes about two seconds"
when = { operation = "payout" }
do = { delay_s = { min = 1.0, max = 3.0 } }
"""
_WAITS = "lookup_first_s=0.3"
"""A payout in doubt is looked up soon: it is the planner that is measured, and no partner's doubt."""
_IN_FLIGHT = 10
"""So many at once of two seconds each: five a second."""
console = Console()


class Run(NamedTuple):
    """One of the five."""

    what: str
    settings: Mapping[str, str]
    slow: bool = False
    times: int = 1
    """So many times the payouts of the others: a pace that is only observed is known after some samples, ten seconds
    apart, and a tenth of the run must hold them.
    """


RUNS = (
    *(Run(f"quota {calls} calls/s", {"GATEWAY_QUOTAS": f"bni={calls}"}) for calls in (6, 8, 11, 15)),
    Run(f"partner takes 2 s, {_IN_FLIGHT} in flight", {"GATEWAY_MAX_IN_FLIGHT": str(_IN_FLIGHT)}, slow=True, times=4),
)


class Told(NamedTuple):
    """What the planner said at one moment."""

    share: float
    """Of the run, paid by then."""
    done_at: datetime | None


class ForecastBench(Bench):
    """One round a run, each with a worker of its own."""

    async def _measure(self, connection: asyncpg.Connection[asyncpg.Record]) -> dict[str, Any]:
        found: list[dict[str, Any]] = []
        begin = 0
        for run in RUNS:
            found.append(await self._one(connection, range(begin, begin + run.times), run))
            begin += run.times
            console.print(f"{run.what}: {found[-1]}", style="dim")
        return {"payouts_a_run": self.payouts, "runs": found}

    async def _one(self, connection: asyncpg.Connection[asyncpg.Record], turns: range, run: Run) -> dict[str, Any]:
        periods = [str(turn) for turn in turns]
        environment = self.environment | {"GATEWAY_WAITS": _WAITS} | run.settings
        mock = environment["BNI_BASE_URL"]
        async with httpx.AsyncClient(trust_env=False) as http:
            if run.slow:
                (await http.put(f"{mock}/__mock__/scenario", content=_SLOW)).raise_for_status()
            else:
                await http.delete(f"{mock}/__mock__/scenario")
        manifests = {slug: partner.manifest for slug, partner in PARTNERS.items()}
        database = await Database.open(self.dsn, size=1)
        planner = Planner(database, SystemClock(), manifests, agreed_quotas(environment, manifests))
        try:
            async with process(self.folder / "worker.log", environment, "gateway", "worker"):
                await asyncio.sleep(SAMPLE_S + 2)  # a sample that says that nothing is due
                await connection.execute("UPDATE incentives SET approved = true WHERE period = ANY($1)", periods)
                await connection.execute("SELECT pg_notify('gateway', 'dispatch')")
                told = await self._asked(connection, turns, planner)
        finally:
            await database.close()
        row = await connection.fetchrow(
            "SELECT min(p.created_at) AS began, max(p.ended_at) AS ended"
            " FROM payouts p JOIN incentives i ON i.id = p.incentive WHERE i.period = ANY($1)",
            periods,
        )
        assert row is not None
        took_s = (row["ended"] - row["began"]).total_seconds()
        later = [one for one in told if one.share >= AT[0]]
        off = {f"{at:.0%}": _off(next(one for one in later if one.share >= at), row["ended"], took_s) for at in AT}
        worst = max(_off(one, row["ended"], took_s) for one in later)
        return {"run": run.what, "took_s": round(took_s, 1), "off": off, "worst": worst}

    async def _asked(
        self, connection: asyncpg.Connection[asyncpg.Record], turns: range, planner: Planner
    ) -> list[Told]:  # fmt: skip
        told: list[Told] = []
        before, all_of_it = turns.start * self.payouts, len(turns) * self.payouts
        async with asyncio.timeout(600):
            while (paid := await connection.fetchval(PAID) - before) < all_of_it:
                plan = await planner.burn_down()
                (mine,) = [one for one in plan.forecasts if (one.partner, one.stage) == ("bni", "payout")]
                told.append(Told(paid / all_of_it, mine.done_at))
                await asyncio.sleep(_ASK_S)
        return told


def _off(told: Told, ended: datetime, took_s: float) -> float:
    """As a share of the run; 1 where nothing was forecast."""
    if told.done_at is None:
        return 1.0
    return round(abs((told.done_at - ended).total_seconds()) / took_s, 3)


def main() -> None:
    """Measure, show, and write the figures down."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.forecast", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--payouts", type=int, default=300, help="payouts a run, of the last run four times as many")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        given = argparse.Namespace(payouts=arguments.payouts, rounds=sum(run.times for run in RUNS) - 1, intake=0)
        found = asyncio.run(ForecastBench(data_home(Path(folder) / "servers"), given).run())
    table = Table(
        "run", "took", *(f"off at {at:.0%}" for at in AT), "most after a tenth", title="the planner's forecast"
    )
    for one in found["runs"]:
        table.add_row(
            one["run"], f"{one['took_s']} s", *(f"{off:.1%}" for off in one["off"].values()), f"{one['worst']:.1%}"
        )
    console.print(table)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")
    if any(off > MOST for one in found["runs"] for off in one["off"].values()):
        raise SystemExit(f"off by more than {MOST:.0%} of a run")


if __name__ == "__main__":
    main()
