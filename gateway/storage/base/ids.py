"""Time-ordered numbers of 17 digits (`new_id` in the schema), and what is made of them."""

from __future__ import annotations

from datetime import datetime

from gateway.storage.base.database import Connection


async def new_id(connection: Connection, now: datetime) -> int:
    """A number that no row had before."""
    number: int = await connection.fetchval("SELECT new_id($1)", now)
    return number
