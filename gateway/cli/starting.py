"""What a process that serves or pays looks at before it starts: its settings, its key, its database."""

from __future__ import annotations

import resource

from gateway.cli.common import MANIFESTS, settings
from gateway.security import profile
from gateway.security.vault import Vault
from gateway.settings import Settings
from gateway.storage.base import migrate, witness
from gateway.storage.base.database import connect

_CONNECT_S = 10


def safe_settings() -> Settings:
    """The installation's; raises `SettingsError`, for the production profile with everything that is unsafe."""
    _leave_no_core()
    given = settings()
    profile.refuse(given, MANIFESTS)
    return given


def _leave_no_core() -> None:
    """A process that crashes leaves no image of itself behind: the master key stands in it. One byte keeps Linux from
    handing it to a collector too, which nought does not.
    """
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (1 if most == resource.RLIM_INFINITY else min(1, most), most))


async def right_store(given: Settings) -> None:
    """Refuse before anything listens or pays: inside a server's start the reason would be lost in its own words."""
    connection = await connect(given.database_url.reveal(), timeout=_CONNECT_S)
    try:
        await witness.check(connection, Vault(*given.master_keys()))
        await profile.refuse_database(connection, given)
        await migrate.demand(connection)
        await profile.keep(connection, given)
    finally:
        await connection.close()
