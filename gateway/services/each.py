"""How a tick goes through its rows: one that fails is logged by its kind and tried again after its lease."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import structlog

T = TypeVar("T")
_log = structlog.get_logger(__name__)


async def each(tick: str, rows: Iterable[T], work: Callable[[T], Awaitable[object]], *, at_once: int = 1) -> int:
    """Do `work` for every row, `at_once` side by side; returns how many rows there were."""
    seats = asyncio.Semaphore(at_once)

    async def one(row: T) -> None:
        async with seats:
            try:
                await work(row)
            except Exception as error:  # noqa: BLE001 - one bad row must not hold up the others; its lease brings it back
                _log.error("tick_row_failed", tick=tick, error=type(error).__name__)

    return len(await asyncio.gather(*(one(row) for row in rows)))
