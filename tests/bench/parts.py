"""`python -m tests.bench.parts`: what one payout costs, by part of the worker and by statement of PostgreSQL.

It needs a PostgreSQL that has pg_stat_statements, as a distribution's has; the embedded one has not.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import asyncpg

from gateway.embedded import data_home
from tests.bench.__main__ import Bench, console
from tests.bench.cpu import cpu_s

WORKER: tuple[tuple[str, str], ...] = (
    ("brake: good answers counted", "_weigh (gateway/services/payouts/apply.py"),
    ("last look: stops watched", "gateway/services/payouts/stops.py"),
    ("approved row's digest made again", "_differs (gateway/services/payouts/sending.py"),
    ("order: three sealed fields opened", "order (gateway/services/payouts/sending.py"),
    ("frozen body's hash", "frozen_hash (gateway/services/payouts/sending.py"),
    ("the call: HTTP", "gateway/partners/transport.py"),
    ("the call: plan, signing, reading", "adapters/"),
    ("quota: a turn for each call", "gateway/partners/quota.py"),
    ("journal", "gateway/storage/ops/journal.py"),
    ("outage control", "gateway/worker/outage.py"),
    ("partner's behaviour watched", "gateway/partners/watch.py"),
    ("executor and desk", "gateway/partners/"),
    ("outcomes: rows locked and read", "lock (gateway/storage/payouts/payouts.py"),
    ("outcomes: words stored", "_store (gateway/services/payouts/apply.py"),
    ("outcomes: decided", "decide (gateway/services/payouts/rules.py"),
    ("outcomes: rows, ledger, events", "_write (gateway/services/payouts/apply.py"),
    ("outcomes: incentives", "write_incentives (gateway/storage/payouts/payouts.py"),
    ("outcomes: the rest", "apply (gateway/services/payouts/apply.py"),
    ("intents", "_begin (gateway/services/payouts/commits.py"),
    ("outcomes: begin and commit", "write (gateway/services/payouts/commits.py"),
    ("claim", "claim (gateway/services/payouts/driver.py"),
    ("groups gathered", "GroupCommit."),
    ("lanes and attempts", "gateway/services/payouts/sending.py"),
    ("lanes and attempts", "gateway/worker/dispatch.py"),
    ("other loops", "gateway/"),
)
_LOOP = "(asyncio/runners.py"
"""What is outside of the event loop says nothing: every frame has it."""
"""Parts of the worker by a frame that they have; a sample counts to the first that fits any of its frames."""
STORE: tuple[tuple[str, str], ...] = (
    ("claim: made, booked, marked", "numbered AS MATERIALIZED"),
    ("claims and look-ups: leased", "lease_until = $5"),
    ("claim: loaded", "approved_in"),
    ("intents: compare-and-set", "begin_payouts("),
    ("outcomes: rows locked and read", "AS i_payout"),
    ("outcomes: words stored", "INTO observations"),
    ("outcomes: payouts written", "statements_from = n.statements_from"),
    ("outcomes: ledger", "INSERT INTO ledger"),
    ("outcomes: event", "INSERT INTO events"),
    ("outcomes: incentives, stage, funnel", "own_next_at = n.own_next_at"),
    ("brake: good answers counted", "INTO good_answers"),
    ("journal", "COPY"),
    ("what is due anywhere", "'dispatch' AS kind"),
    ("commits", "COMMIT"),
    ("commits", "BEGIN"),
)
"""Statements by a piece of their text."""
WITHIN: tuple[tuple[str, str], ...] = (
    ("within: payouts held before it is decided", "WHERE p.id = ANY (ids) ORDER BY p.id FOR NO KEY UPDATE"),
    ("within: partner's fence shared", "pg_advisory_xact_lock_shared"),
    ("within: events of incentives", "INSERT INTO events"),
    ("within: funnel's counters", "INSERT INTO funnel_counts"),
    ("within: ledger and payouts checked", "FROM after_rows r"),
)
"""The same of what triggers and functions do inside of them."""


def by_part(stacks: Iterable[str]) -> Counter[str]:
    """Samples by part, of py-spy's raw lines (frames from the outermost, `;` between, a space and how many)."""
    found: Counter[str] = Counter()
    for line in stacks:
        frames, _, samples = line.rpartition(" ")
        frames = frames.rpartition(_LOOP)[2]
        found[next((part for part, piece in WORKER if piece in frames), "event loop, and waiting for a processor")] += (
            int(samples)
        )
    return found


class Parts(Bench):
    """One worker paying, looked at from both sides."""

    async def _measure(self, connection: asyncpg.Connection[asyncpg.Record]) -> dict[str, Any]:
        await connection.execute("CREATE EXTENSION pg_stat_statements")
        stacks = self.folder / "stacks"
        async with self.worker() as worker:
            self.pids["worker"] = worker.pid
            await self._pay(connection, 0)
            await connection.execute("SELECT pg_stat_statements_reset()")
            before = {name: cpu_s(pid, with_children=True) for name, pid in self.pids.items()}
            spy = await asyncio.create_subprocess_exec(
                *(
                    str(Path(sys.executable).with_name("py-spy")),
                    "record",
                    "--pid",
                    str(worker.pid),
                    "--format",
                    "raw",
                    "--rate",
                    "200",
                ),
                *("--output", str(stacks)),
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            try:
                for turn in range(1, self.rounds + 1):
                    await self._pay(connection, turn)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    spy.send_signal(signal.SIGINT)
                await asyncio.wait_for(spy.wait(), 60)
            after = {name: cpu_s(pid, with_children=True) for name, pid in self.pids.items()}
        payouts = self.rounds * self.payouts
        rows = await connection.fetch(
            "SELECT query, calls, total_exec_time AS ms, wal_bytes::float8 AS wal, toplevel FROM pg_stat_statements"
            " ORDER BY total_exec_time DESC"
        )
        return {
            "cpu_ms": {name: 1000 * (after[name] - before[name]) / payouts for name in after},
            "worker": by_part(stacks.read_text().splitlines()),
            "statements": [dict(row) for row in rows],
            "payouts": payouts,
        }


def _report(found: dict[str, Any]) -> None:
    payouts, cpu_ms = found["payouts"], found["cpu_ms"]
    samples = sum(found["worker"].values())
    console.print(f"worker {cpu_ms['worker']:.3f} ms, PostgreSQL {cpu_ms['postgres']:.3f} ms a payout\n")
    console.print("| worker's part | share | ms a payout |\n|---|---|---|")
    for part, count in found["worker"].most_common():
        console.print(f"| {part} | {100 * count / samples:.1f} % | {cpu_ms['worker'] * count / samples:.3f} |")
    store: dict[str, list[float]] = {}
    for row in found["statements"]:
        known = STORE if row["toplevel"] else WITHIN
        name = next((name for name, piece in known if piece in row["query"]), "other" if row["toplevel"] else None)
        if name is not None:
            sums = store.setdefault(name, [0.0, 0.0, 0.0])
            for at, value in enumerate((row["calls"], row["ms"], row["wal"])):
                sums[at] += value / payouts
    console.print(
        "\n| PostgreSQL's statement | calls a payout | ms executed a payout | WAL bytes a payout |\n|---|---|---|---|"
    )
    for name, (calls, ms, wal) in sorted(store.items(), key=lambda one: -one[1][1]):
        console.print(f"| {name} | {calls:.3f} | {ms:.4f} | {wal:.0f} |")


def main() -> None:
    """Measure, and print two tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.parts", description=__doc__)
    parser.add_argument("--payouts", type=int, default=2_000, help="payouts a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--raw", type=Path, help="keep stacks and statements in this folder")
    arguments = parser.parse_args()
    arguments.intake = 0
    settings = {"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.track": "all"}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = data_home(Path(folder) / "servers")
        found = asyncio.run(Parts(home, arguments, settings=settings).run())
        if arguments.raw is not None:
            arguments.raw.mkdir(parents=True, exist_ok=True)
            (arguments.raw / "stacks").write_text((home / "stacks").read_text())
            (arguments.raw / "statements").write_text(
                "\n".join(
                    f"{row['ms'] / found['payouts']:.4f} ms {row['calls'] / found['payouts']:.3f} calls"
                    f" {row['wal'] / found['payouts']:.0f} B top={row['toplevel']}\n{row['query']}\n"
                    for row in found["statements"]
                )
            )
    _report(found)


if __name__ == "__main__":
    main()
