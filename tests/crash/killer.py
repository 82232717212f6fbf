"""Kills processes of a running cluster, again and again, at moments counted in payouts that were paid."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from typing import NamedTuple

import asyncpg

from gateway.demo.cluster import Cluster

POLL_S = 0.02
STUCK_S = 400.0
"""Nothing is paid for so long only where something is wrong: a partner is held or in doubt for minutes at most."""
KINDS = {"worker": 5, "api": 2, "valkey": 1, "postgres": 2}
"""Victims by kind, and how often each is chosen."""
LEFT = ("submitting", "preparing", "prepared")
"""States of payouts that a crash may catch between intent and answer."""


class Kill(NamedTuple):
    """Who is killed once so many payouts are paid."""

    paid: int
    victim: str


def plan(rng: random.Random, *, kills: int, after: int, payouts: int, workers: int, apis: int = 1) -> list[Kill]:
    """Kills spread over the payouts from the `after`-th on, each kind at least once."""
    victims = [*KINDS, *rng.choices(list(KINDS), weights=list(KINDS.values()), k=kills - len(KINDS))]
    rng.shuffle(victims)
    moments = sorted(rng.sample(range(after + 1, after + (payouts - after) * 9 // 10), kills))

    def one_of(kind: str) -> str:
        if kind == "worker":
            return f"worker-{rng.randint(1, workers)}"
        return "api-2" if kind == "api" and apis == 2 and rng.random() < 0.5 else kind

    return [Kill(paid, one_of(victim)) for paid, victim in zip(moments, victims, strict=True)]


class Killer:
    """Carries a plan out."""

    def __init__(self, cluster: Cluster, planned: list[Kill]) -> None:
        self._cluster = cluster
        self._planned = planned
        self.killed: Counter[str] = Counter()
        self.caught: Counter[str] = Counter()
        """Payouts that stood between intent and answer when a kill struck, by state."""

    async def run(self) -> None:
        """Kill after kill; ends with the last one's victim on its feet again. Raises `AssertionError` where payments
        have come to a stop before.
        """
        for kill in self._planned:
            states = await self._paid(kill.paid)
            await self._strike(kill.victim)
            self.killed[kill.victim.partition("-")[0]] += 1
            self.caught.update({state: states[state] for state in LEFT})

    async def _paid(self, wanted: int) -> Counter[str]:
        """Payouts by state, once so many are paid."""
        most, since = 0, time.monotonic()
        while (states := await self._states())["succeeded"] < wanted:
            if states["succeeded"] > most:
                most, since = states["succeeded"], time.monotonic()
            passed_s = time.monotonic() - since
            assert passed_s < STUCK_S, f"nothing was paid for {passed_s:.0f} s: {dict(states)}, killed {self.killed}"
            await asyncio.sleep(POLL_S)
        return states

    async def _strike(self, victim: str) -> None:
        if victim == "postgres":
            os.kill(self._cluster.postgres.pid, signal.SIGQUIT)  # "immediate": no checkpoint, as after a crash
            await self._cluster.postgres.restart()
        elif victim == "valkey":
            os.kill(self._cluster.valkey.pid, signal.SIGKILL)
            await self._cluster.valkey.restart()
        else:
            process = self._cluster.processes[victim]
            pid = process.pid
            os.kill(pid, signal.SIGKILL)
            while process.pid == pid:
                if process.failed.done():
                    process.failed.result()
                await asyncio.sleep(POLL_S)

    async def _states(self) -> Counter[str]:
        """Payouts by state; nothing while the database is away."""
        try:
            connection = await asyncpg.connect(self._cluster.database_url, timeout=5)
            try:
                rows = await connection.fetch("SELECT state, count(*)::int AS n FROM payouts GROUP BY 1")
            finally:
                connection.terminate()
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return Counter()
        return Counter({row["state"]: row["n"] for row in rows})
