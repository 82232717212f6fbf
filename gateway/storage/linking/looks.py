"""Looks at links that are to be made."""

from __future__ import annotations

from datetime import datetime

from gateway.storage.base.database import Connection


async def to_be_looked_at(connection: Connection, link_id: str, at: datetime) -> None:
    """Have an active link looked at by then; one that is to be already stays as it is."""
    await connection.execute(
        "UPDATE links SET health_due_at = $2 WHERE id = $1 AND state = 'active' AND health_due_at IS NULL", link_id, at
    )
