"""An answer that nobody gives twice is kept while the database is away, and written when it is back."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from gateway.clock import Clock, growing_s
from gateway.storage.base.database import AWAY

T = TypeVar("T")
FIRST_S, LONGEST_S = 0.1, 2.0
"""How soon it is written again."""
_log = structlog.get_logger(__name__)


async def kept(clock: Clock, write: Callable[[], Awaitable[T]], *, tries: int, answers: int = 1) -> T:
    """Do `write`; while the database is away up to `tries` times, some two seconds apart. After the last one it raises:
    then only the log has the answers.

    It may have been written though the database went away before it said so: `write` must bear being done again.
    """
    for done in itertools.count(1):
        try:
            return await write()
        except AWAY as error:
            if done >= tries:
                raise
            _log.warning("answers_kept", answers=answers, error=type(error).__name__)
            await clock.sleep(growing_s(FIRST_S, 2.0, done - 1, LONGEST_S))
    raise AssertionError("itertools.count never ends")
