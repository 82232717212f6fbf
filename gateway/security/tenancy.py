"""Tenancy: what another organisation handed over is not there. Every id in an address is looked at by the guard of its
route (`clients.Scopes`); an id in a body by the handler, through `must_own`.
"""

from __future__ import annotations

from collections.abc import Mapping

from contracts.errors import Forbidden, NotFound
from gateway.storage.access import clients, owners
from gateway.storage.base.database import Connection, Database


class NotTheirs(NotFound):
    """Told as a row that is not there, whether there is one or not; that somebody asked for it goes on record."""


SHARED = frozenset({"partner", "hold_id", "webhook_endpoint_id", "reconciliation_id"})
"""Ids in addresses that name no organisation's rows: partners and their holds are everybody's, endpoints their
client's, and a reconciliation is read by whoever acts for all organisations.
"""


async def must_be_enabled(connection: Connection, client_id: str) -> None:
    """Raise `Forbidden` for a decision of a client that was disabled a moment ago."""
    if not await clients.enabled(connection, client_id):
        raise Forbidden(
            "This client was disabled.", code="client_disabled", remedy="Somebody whose client is enabled decides."
        )


async def must_own(database: Database, organisation: str | None, ids: Mapping[str, object]) -> None:
    """Raise `NotTheirs`, as for a row that is not there, for the first id whose row is another organisation's; an
    organisation of None owns all.
    """
    if organisation is None:
        return
    for name, value in ids.items():
        if name in SHARED:
            continue
        if not owners.possible(name, value):
            raise NotTheirs(owners.OWNERS[name][1])
        async with database.connection() as connection:
            owner = await owners.find(connection, name, value)
        if owner != organisation:
            raise NotTheirs(owners.OWNERS[name][1])
