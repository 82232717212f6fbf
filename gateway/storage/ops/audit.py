"""The record of who decided what; append only."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from gateway.storage.base.database import Connection


async def record(
    connection: Connection, now: datetime, actor: str, action: str, subject: str, data: Mapping[str, object]
) -> None:
    """Note a decision in the caller's transaction. `actor`: a client's id, or `cli` for the command line."""
    await connection.execute(
        "INSERT INTO audit_log (at, actor, action, subject, data) VALUES ($1, $2, $3, $4, $5)",
        now,
        actor,
        action,
        subject,
        dict(data),
    )
