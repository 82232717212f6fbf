"""`gateway worker`: everything that happens by itself."""

from __future__ import annotations

import uvloop

from gateway.cli.common import settings
from gateway.logs import set_up_logging
from gateway.worker.runner import run_worker


def worker() -> None:
    """Verify, pay, look up, read statements, apply notifications: whatever is due, until told to stop.

    Start as many as you like on the same PostgreSQL and Redis; none of them is special. On SIGTERM it takes nothing new
    and ends what is in flight. Killed, it leaves nothing that another one does not pick up.
    """
    set_up_logging()
    uvloop.run(run_worker(settings()))
