"""What the benchmarks start, and the environment that they hand to it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from gateway.demo.cluster import bare_environment
from gateway.embedded.process import die_with

_READY_S = 60.0


@contextlib.asynccontextmanager
async def process(log: Path, variables: Mapping[str, str], *command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A child that ends with the block."""
    owner = os.getpid()
    with log.open("ab") as output:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            *command,
            stdout=output,
            stderr=output,
            env=variables,
            preexec_fn=lambda: die_with(owner, signal.SIGTERM),
        )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.terminate()
            await asyncio.wait_for(child.wait(), 90)


def environment(dsn: str, redis_url: str, key: bytes, known: Mapping[str, Any], **more: str) -> dict[str, str]:
    """The gateway's settings; `known` as `mock-partners credentials` tells it."""
    variables = {
        "DATABASE_URL": dsn,
        "REDIS_URL": redis_url,
        "GATEWAY_MASTER_KEY": base64.b64encode(key).decode(),
        "GATEWAY_PROFILE": "demo",
        "GATEWAY_PUBLIC_URL": "http://127.0.0.1:1",
    }
    for slug, partner in known.items():
        variables[f"{slug}_BASE_URL".upper()] = partner["base_url"]
        variables |= {f"{slug}_{name}".upper(): value for name, value in partner["credentials"].items()}
    return bare_environment() | variables | more


async def answers(url: str) -> None:
    """Wait until a server answers 200."""
    async with asyncio.timeout(_READY_S), httpx.AsyncClient(trust_env=False) as client:
        while True:
            with contextlib.suppress(httpx.TransportError):
                if (await client.get(url)).status_code == 200:
                    return
            await asyncio.sleep(0.1)
