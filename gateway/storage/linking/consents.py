"""Which text participants were shown before they linked."""

from __future__ import annotations

from datetime import datetime

from gateway.storage.base.database import Connection


async def consented(connection: Connection, link_id: str, version: str, channel: str, now: datetime) -> None:
    """Which text the participant was shown before the link began."""
    await connection.execute(
        "INSERT INTO consents (link_id, text_version, channel, at) VALUES ($1, $2, $3, $4)",
        link_id,
        version,
        channel,
        now,
    )
