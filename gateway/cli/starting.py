"""What a process that serves or pays looks at before it starts: its settings, its key, its database."""

from __future__ import annotations

import asyncpg

from gateway.cli.common import MANIFESTS, settings
from gateway.security import profile
from gateway.security.vault import Vault
from gateway.settings import Settings
from gateway.storage.base import witness

_CONNECT_S = 10


def safe_settings() -> Settings:
    """The installation's; raises `SettingsError`, for the production profile with everything that is unsafe."""
    given = settings()
    profile.refuse(given, MANIFESTS)
    return given


async def right_store(given: Settings) -> None:
    """Refuse before anything listens or pays: inside a server's start the reason would be lost in its own words."""
    connection = await asyncpg.connect(given.database_url.reveal(), timeout=_CONNECT_S)
    try:
        await witness.check(connection, Vault(*given.master_keys()))
        await profile.refuse_database(connection, given)
    finally:
        await connection.close()
