"""The instances (GATEWAY_INSTANCE) that references of this store have begun with, now or before."""

from __future__ import annotations

from datetime import datetime

import msgspec

from gateway.storage.base.database import Connection


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """One of them, and when payouts were made under it, to the hour."""

    instance: str
    since: datetime
    until: datetime


async def used(connection: Connection) -> list[Instance]:
    """All of them, the first one first."""
    rows = await connection.fetch("SELECT instance, since, until FROM instances ORDER BY since, instance")
    return [msgspec.convert(dict(row), Instance) for row in rows]


async def use(connection: Connection, now: datetime, instance: str) -> None:
    """Note one by a person's word: payouts under it were forgotten, and it with them."""
    await connection.execute("INSERT INTO instances VALUES ($1, $2, $2) ON CONFLICT DO NOTHING", instance, now)
