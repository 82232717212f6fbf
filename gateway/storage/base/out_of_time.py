"""A statement that did not end within its time: by which function it was asked, and how often that happened."""

from __future__ import annotations

import traceback
from datetime import timedelta
from pathlib import Path

import asyncpg

_STORAGE = str(Path(__file__).parents[1])
_DRIVER = frozenset({"asyncpg.connection", "asyncpg.cursor", "asyncpg.prepared_stmt"})
_KEPT = timedelta(days=30)


class OutOfTime(TimeoutError):
    """The database did not answer a statement within its time; nothing that its transaction wrote was kept."""

    def __init__(self, statement: str) -> None:
        super().__init__(f"{statement} did not end in time")
        self.statement = statement
        """The file below `gateway/storage` and the function that asked, as in `linking/listing.py find`."""


def statement_of(error: TimeoutError) -> str | None:
    """Which function's statement ran out of its time; None: it was no statement, but a connection that was not made in
    time, say.
    """
    asked_by, within_driver = None, False
    for frame, _ in traceback.walk_tb(error.__traceback__):
        module, path = frame.f_globals.get("__name__", ""), frame.f_code.co_filename
        if module == "asyncpg.connect_utils":
            return None
        if module in _DRIVER:
            within_driver = True
        elif path.startswith(_STORAGE) and path != f"{_STORAGE}/base/database.py":
            asked_by = f"{path[len(_STORAGE) + 1 :]} {frame.f_code.co_name}"
    return (asked_by or "a statement") if within_driver else None


async def count(
    connection: asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record], statement: str
) -> None:
    """One more today; what is older than a month is forgotten."""
    await connection.execute(
        "WITH gone AS (DELETE FROM statements_out_of_time WHERE day < current_date - $2::interval)"
        " INSERT INTO statements_out_of_time (statement, day, times) VALUES ($1, current_date, 1)"
        " ON CONFLICT (statement, day) DO UPDATE SET times = statements_out_of_time.times + 1",
        statement,
        _KEPT,
        timeout=5.0,
    )
