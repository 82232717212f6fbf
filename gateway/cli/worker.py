"""`gateway worker`: everything that happens by itself."""

from __future__ import annotations

import gc

import uvloop

from gateway import tracing
from gateway.cli.starting import right_store, safe_settings
from gateway.logs import set_up_logging
from gateway.settings import Settings
from gateway.worker.runner import run_worker


def worker() -> None:
    """Verify, pay, look up, read statements, apply notifications: whatever is due, until told to stop.

    Start as many as you like on the same PostgreSQL and Redis; none of them is special. On SIGTERM it takes nothing new
    and ends what is in flight. Killed, it leaves nothing that another one does not pick up.
    """
    set_up_logging()
    # Left alone, the collector walks everything that was ever imported again and again: a tenth of the worker's time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
    tracing.begin("gateway-worker")
    uvloop.run(_run(safe_settings()))
    tracing.end()


async def _run(given: Settings) -> None:
    await right_store(given)
    await run_worker(given)
