"""A second API node, and one address in front of both that passes each connection to one that takes it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.demo.cluster import Cluster, Process, free_ports

PIECE_BYTES = 65_536


@asynccontextmanager
async def two_api_nodes(cluster: Cluster, *, restarts: int) -> AsyncIterator[None]:
    """While the block runs `cluster.api_url` is the address in front of `api` and `api-2`."""
    ports = free_ports()
    first = int(cluster.api_url.rpartition(":")[2])
    command = [sys.executable, "-m", "gateway", "serve", "--host", "127.0.0.1", "--port", str(ports.api)]
    second = Process("api-2", command, cluster.environment, cluster.folder / "logs" / "api-2.log", restarts)
    cluster.processes["api-2"] = second
    turn = itertools.cycle((first, ports.api))
    passing: set[asyncio.Task[None]] = set()

    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for port in (next(turn), next(turn)):
            with contextlib.suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", port)
        return None

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        passing.add(task)
        try:
            node = await connect()
            if node is None:  # both were killed: the caller sees what it sees where nothing stands in front
                writer.transport.abort()
                return
            await asyncio.gather(_pass(reader, node[1]), _pass(node[0], writer))
        finally:
            passing.discard(task)
            writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        await second.start()
        cluster.api_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield
    finally:
        server.close()
        for task in passing:
            task.cancel()
        await asyncio.gather(*passing, return_exceptions=True)
        await second.stop()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """All bytes of one direction; ends both where one end is gone."""
    try:
        with contextlib.suppress(OSError):
            while piece := await reader.read(PIECE_BYTES):
                writer.write(piece)
                await writer.drain()
    finally:
        writer.close()
