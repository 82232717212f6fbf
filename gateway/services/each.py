"""How a tick goes through its rows: one that fails is logged by its kind and holds up no other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

import structlog

from gateway.logs import frames
from gateway.storage.base.database import AWAY

T = TypeVar("T")
R = TypeVar("R")
_log = structlog.get_logger(__name__)


async def each(tick: str, rows: Iterable[T], work: Callable[[T], Awaitable[object]], *, at_once: int = 1) -> int:
    """Do `work` for every row, `at_once` side by side; returns for how many it went well: what fails is not `done`, so
    that a loop that ticks until nothing is left does not spin on it.
    """
    seats = asyncio.Semaphore(at_once)

    async def one(row: T) -> bool:
        async with seats:
            try:
                await work(row)
            except Exception as error:  # noqa: BLE001 - one bad row must not hold up the others; it stays due
                _log.error("tick_row_failed", tick=tick, error=type(error).__name__, frames=frames(error))
                return False
            return True

    if at_once == 1:  # nothing goes on behind whoever dies in the middle of it
        return sum([await asyncio.create_task(one(row)) for row in rows])  # what each is about is told of it alone
    return sum(await asyncio.gather(*(one(row) for row in rows)))


async def together(tick: str, rows: Sequence[T], work: Callable[[Sequence[T]], Awaitable[Sequence[R]]]) -> list[R]:
    """Do `work` for all rows at once, or, where that fails, for each by itself: one that cannot be done holds up no
    other. Raises what the last one that failed did, once the others are done; at once where the database is away.
    """
    try:
        return list(await work(rows))
    except AWAY:
        raise
    except Exception as error:
        if len(rows) < 2:
            raise
        _log.warning("tick_group_failed", tick=tick, rows=len(rows), error=type(error).__name__, frames=frames(error))
    done: list[R] = []
    failed: Exception | None = None
    for row in rows:
        try:
            done += await work([row])
        except AWAY:
            raise
        except Exception as error:  # noqa: BLE001 - raised below, once the others are done
            _log.error("tick_row_failed", tick=tick, error=type(error).__name__, frames=frames(error))
            failed = error
    if failed is not None:
        raise failed
    return done
