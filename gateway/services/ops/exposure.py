"""What a stolen token, session or password laid open: from the record, and by what it could reach."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TextIO

import msgspec

from contracts.errors import InvalidRequest, NotFound
from gateway.storage.base.database import Database
from gateway.storage.ops import audit, exposure
from gateway.storage.ops.exposure import Reach, Seen


class Exposure(msgspec.Struct, frozen=True, kw_only=True):
    """What one client or person saw from `since` and before `until`."""

    reach: Reach
    since: datetime
    until: datetime
    seen: list[Seen]
    within_reach: int
    """Participants whose rows it could have read."""


class Exposures:
    """Finds out whose data somebody saw."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(
        self, client_id: str, since: datetime, until: datetime, *, actor: str, now: datetime, into: Path | None
    ) -> Exposure:
        """One snapshot of the record; that it was asked for is on record too. `into`: a new file for the ids of
        everybody within reach, one a line. Raises `NotFound`, `InvalidRequest`.
        """
        if since >= until:
            raise InvalidRequest("--since is not before --until.", field="since")
        async with self._database.connection() as connection:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                reach = await exposure.reach(connection, client_id)
                if reach is None:
                    raise NotFound("There is no such client or person.", remedy="`gateway clients list` shows them.")
                seen = await exposure.seen(connection, client_id, since, until)
                count = 0
                with _opened(into) as file:
                    async for participant_id in exposure.within_reach(connection, reach.organisation, until):
                        file.write(f"{participant_id}\n")
                        count += 1
            await audit.record(connection, now, actor, "audit.seen", client_id, {"since": since, "until": until})
        return Exposure(reach=reach, since=since, until=until, seen=seen, within_reach=count)


def _opened(path: Path | None) -> TextIO:
    """Never over a file that is there, and for its owner alone."""
    try:
        if path is None:
            return open(os.devnull, "w", encoding="utf-8")
        return open(path, "x", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600))
    except OSError as error:
        raise InvalidRequest(f"The file cannot be written: {error.strerror}.", field="reach") from None
