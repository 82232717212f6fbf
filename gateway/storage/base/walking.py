"""Reading many rows of a statement some at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg

from gateway.storage.base.database import Connection


async def walk(
    connection: Connection, name: str, query: str, *, timeout_s: float, at_a_time: int = 2_000
) -> AsyncIterator[list[asyncpg.Record]]:
    """The query's rows, within the caller's transaction, by a cursor of this name that ends with the last of them: one
    of the driver would stay open until the transaction ends, and its table could not be emptied. `timeout_s`: of each
    question; so few rows at a time that nobody else in the process waits for them.
    """
    await connection.execute(f"DECLARE {name} NO SCROLL CURSOR FOR {query}", timeout=timeout_s)
    while rows := await connection.fetch(f"FETCH {at_a_time} FROM {name}", timeout=timeout_s):
        yield rows
    await connection.execute(f"CLOSE {name}")
