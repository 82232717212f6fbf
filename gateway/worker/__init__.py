"""The worker process: loops that call the services' ticks; no rules of its own.

It may be killed at any moment: what it holds are leases, and what it had begun to send is found by its deadline.
"""

from gateway.worker.runner import Worker, run_worker

__all__ = ["Worker", "run_worker"]
