"""`python -m tests.bench.brake`: which share of a payout's processor time the brake takes, of worker and PostgreSQL
together, measured in the same run. Ends with status 1 where it is more than two hundredths.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from pathlib import Path
from typing import Any

import asyncpg
import uvloop

from gateway.embedded import data_home
from gateway.services.payouts import apply
from gateway.settings import Settings
from gateway.storage.brake import refusals
from tests.bench.hot import Hot, ran_ns

MOST = 0.02


class Share(Hot):
    """The same worker, with the brake's own part of each payout counted beside all of it."""

    def __init__(self, folder: Path, arguments: argparse.Namespace) -> None:
        super().__init__(folder, arguments)
        self.worker_s = self.store_s = 0.0
        self.groups = 0
        self.shares: list[float] = []

    async def _work(self, connection: asyncpg.Connection[asyncpg.Record], settings: Settings) -> None:
        weigh, good = apply._weigh, refusals.good
        apply._weigh = self._in_worker(weigh)  # type: ignore[assignment]
        refusals.good = self._in_store(good)  # type: ignore[assignment]
        try:
            await super()._work(connection, settings)
        finally:
            apply._weigh, refusals.good = weigh, good

    async def _pay(self, connection: asyncpg.Connection[asyncpg.Record], worker: Any, turn: int) -> tuple[float, float]:
        self.worker_s = self.store_s = 0.0
        self.groups = 0
        own, store = await super()._pay(connection, worker, turn)
        mine, theirs = (1000.0 * spent / self.payouts for spent in (self.worker_s, self.store_s))
        if turn > 0:
            self.shares.append((mine + theirs) / (own + store))
            print(
                f"brake: worker {mine:.4f} ms, PostgreSQL {theirs:.4f} ms a payout, in groups of"
                f" {self.payouts / max(self.groups, 1):.1f}: {100 * self.shares[-1]:.2f} % of {own + store:.3f} ms",
                flush=True,
            )
        return own, store

    def _in_worker(self, function: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Awaitable[None]]:
        @types.coroutine
        def steps(coroutine: Coroutine[Any, Any, None]) -> Generator[Any, Any, None]:
            thrown: BaseException | None = None
            while True:
                began = time.thread_time()
                try:
                    waits = coroutine.send(None) if thrown is None else coroutine.throw(thrown)
                except StopIteration:
                    return
                finally:
                    self.worker_s += time.thread_time() - began
                thrown = None
                try:
                    yield waits
                except BaseException as error:  # noqa: BLE001 - handed on to whom it is meant for
                    thrown = error

        async def counted(*values: Any) -> None:
            self.groups += 1
            await steps(function(*values))

        return counted

    def _in_store(self, function: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        async def counted(connection: Any, *values: Any, **named: Any) -> None:
            pid = connection.get_server_pid()
            began = ran_ns(pid)
            try:
                await function(connection, *values, **named)
            finally:
                self.store_s += (ran_ns(pid) - began) / 1e9

        return counted


def main() -> int:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.brake", description=__doc__)
    parser.add_argument("--payouts", type=int, default=1_000, help="payouts a round")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    arguments.idle, arguments.statements = 0.0, False
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        share = Share(data_home(Path(folder) / "servers"), arguments)
        uvloop.run(share.run())
    found = statistics.median(share.shares)
    met = "met" if found <= MOST else "missed"
    print(f"the brake takes {100 * found:.2f} % of a payout's processor time (median of rounds); 2 % at most: {met}")
    return 0 if found <= MOST else 1


if __name__ == "__main__":
    sys.exit(main())
