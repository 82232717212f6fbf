"""Seeds side by side: a few processes, each with a database of its own on one PostgreSQL."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

import uvloop

from gateway.embedded import create_database_from_template
from tests.sim.run import Result, run
from tests.sim.store import TEMPLATE, Store


class _Worker:
    """One process of the pool: its loop and its database."""

    def __init__(self, dsn: str, profile: str | None, keep: bool) -> None:
        self.runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self.profile, self.keep = profile, keep
        self.store = Store(self.runner.run(create_database_from_template(dsn, TEMPLATE, f"sim_{os.getpid()}")))
        gc.freeze()  # what is loaded by now stays; the collector took a sixth of the processor's time
        gc.set_threshold(100_000, 20, 100)

    def play(self, seed: int) -> Result:
        return self.runner.run(run(seed, self.store, profile=self.profile, keep=self.keep))


_worker: _Worker | None = None


def _begin(dsn: str, profile: str | None, keep: bool) -> None:
    global _worker
    _worker = _Worker(dsn, profile, keep)


def _play(seed: int) -> Result:
    assert _worker is not None
    return _worker.play(seed)


def play_all(dsn: str, seeds: Sequence[int], jobs: int, *, profile: str | None, keep: bool) -> Iterator[Result]:
    """The results, as they come."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        min(jobs, len(seeds)), mp_context=context, initializer=_begin, initargs=(dsn, profile, keep)
    ) as pool:
        for done in as_completed([pool.submit(_play, seed) for seed in seeds]):
            yield done.result()
