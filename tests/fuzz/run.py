"""One run over replies and notifications, the same for the same seed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import structlog

from tests.fuzz import notices
from tests.fuzz.replies import Replies
from tests.fuzz.tally import Tally

SEED = 20_200_520
SMALL, LONG = 2_400, 100_000
"""Cases in all; half of them replies, half notifications."""


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing is logged: nearly every case would be."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


async def replies(seed: int, cases: int) -> Tally:
    """Damaged replies of all partners."""
    with quiet():
        return await (await Replies.of_all()).run(Random(seed), cases)


async def notifications(seed: int, cases: int, dsn: str) -> Tally:
    """Damaged notifications, on a migrated and empty database."""
    with quiet():
        async with notices.World.open(dsn) as world:
            return await notices.run(Random(seed + 1), world, cases)
