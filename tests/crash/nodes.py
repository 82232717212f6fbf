"""A second API node of a running cluster."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.demo.cluster import Cluster, Process, free_ports
from tests.bench.servers import answers


@asynccontextmanager
async def second_api(cluster: Cluster, *, restarts: int) -> AsyncIterator[str]:
    """Its address, while the block runs; among the cluster's processes it is `api-2`."""
    port = free_ports().api
    command = [sys.executable, "-m", "gateway", "serve", "--host", "127.0.0.1", "--port", str(port)]
    node = Process("api-2", command, cluster.environment, cluster.folder / "logs" / "api-2.log", restarts)
    cluster.processes[node.name] = node
    await node.start()
    try:
        await answers(f"http://127.0.0.1:{port}/health/ready")
        yield f"http://127.0.0.1:{port}"
    finally:
        await node.stop()
