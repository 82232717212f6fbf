"""Rows that were checked, on their way into the store: staged aside, decided about, and moved in as a batch at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import date, datetime
from typing import TypeVar

import asyncpg
import msgspec

from contracts.batch import BatchState, WarningCode
from contracts.errors import GatewayError
from contracts.events import EventType
from gateway.clock import Clock, jakarta_day
from gateway.security import places
from gateway.security.vault import Vault
from gateway.services.intake.merkle import MerkleTree
from gateway.services.intake.rows import Checker
from gateway.storage.base.database import Connection, Database
from gateway.storage.intake import batches as stored
from gateway.storage.intake import staging
from gateway.storage.intake.batches import BatchRow
from gateway.storage.messages import events

Result = TypeVar("Result")

_WAIT_S = 300.0
_ENOUGH_NIKS = 3
"""So many that all end in 0 are no chance."""
_TRIES = 5


class Busy(GatewayError):
    """Too many batches are being received."""

    code = "intake_busy"
    http_status = 503
    title = "Too many batches at once"
    remedy = "Send it again in a minute."


class KeyChanged(GatewayError):
    """What the rows were sealed under was retired before their turn came."""

    code = "key_changed"
    http_status = 503
    title = "The master key was changed while rows were received; nothing was stored"
    remedy = "Send it again."


class Overtaken(Exception):
    """Somebody else has stored one of the rows, or answered under one of the keys, meanwhile: decide anew."""


class Merging:
    """What everybody who hands rows over goes through."""

    def __init__(self, database: Database, clock: Clock, vault: Vault) -> None:
        self._database = database
        self._clock = clock
        self._vault = vault

    async def store(
        self,
        connection: Connection,
        client_id: str,
        live: int,
        checker: Checker,
        now: datetime,
        plan_id: str | None = None,
    ) -> BatchRow:
        """Move the `live` staged rows in as a batch, in the caller's transaction; `plan_id`: the plan that they are
        approved by.
        """
        batch_id = await stored.new_batch_id(connection, now)
        await stored.begin(connection, batch_id, client_id, now)
        odd = await _oddities(connection, checker, jakarta_day(now))
        await staging.move(connection, batch_id, live, now)
        merged = await staging.close(connection, batch_id)
        tree = MerkleTree()
        async for leaves in staging.leaves(connection):
            tree.add(leaves)
        batch = BatchRow(
            id=batch_id,
            client_id=client_id,
            state=BatchState.AWAITING_APPROVAL if merged.accepted else BatchState.EMPTY,
            single=False,
            rows_accepted=merged.accepted,
            rows_rejected=merged.rejected,
            rows_repeated=merged.repeated,
            amount_rupiah=merged.amount_rupiah,
            reapproval=False,
            plan_id=plan_id,
            content_root=tree.root(),
            content_key_sealed=self._vault.seal(places.content_key(batch_id), checker.key.hex()),
            partners=msgspec.json.encode(await staging.partners(connection)).decode(),
            warnings=msgspec.json.encode(odd).decode(),
            received_at=now,
            decided_at=None,
        )
        await stored.finish(connection, batch)
        counts = {"rows_accepted": merged.accepted, "rows_rejected": merged.rejected, "rows_repeated": merged.repeated}
        await events.emit(connection, now, [(EventType.BATCH_RECEIVED, batch.id, counts)])
        return batch

    @asynccontextmanager
    async def staging(self, room: asyncio.Semaphore) -> AsyncIterator[Connection]:
        """A connection with empty staging tables, once there is a place in the `room`; raises `Busy`."""
        try:
            async with asyncio.timeout(_WAIT_S):
                await room.acquire()
        except TimeoutError:
            raise Busy from None
        try:
            async with self._database.connection() as connection:
                await staging.prepare(connection)
                yield connection
                await staging.clear(connection)
        finally:
            room.release()

    async def in_one(
        self, connection: Connection, store: Callable[[Connection, datetime], Awaitable[Result]]
    ) -> Result:
        """Run `store` in one transaction; again when it met a payment or a fact that locks the other way round.
        Raises `KeyChanged`.
        """
        for tries_left in reversed(range(_TRIES)):
            try:
                async with connection.transaction():
                    return await store(connection, self._clock.now())
            except (asyncpg.DeadlockDetectedError, staging.MergeUnsettled, Overtaken):
                if not tries_left:
                    raise
            except staging.KeyRetired as error:
                raise KeyChanged from error
        raise AssertionError("the loop returns or raises")


async def _oddities(connection: Connection, checker: Checker, today: date) -> list[tuple[WarningCode, int]]:
    """What the approvers should see before they decide."""
    found: list[tuple[WarningCode, int]] = []
    if checker.accepted >= _ENOUGH_NIKS and checker.niks_ending_in_0 == checker.accepted:
        found.append((WarningCode.NIK_ENDINGS, checker.accepted))
    if unusual := await staging.unusual_amounts(connection):
        found.append((WarningCode.AMOUNTS_UNUSUAL, unusual))
    if over := await staging.over(connection, today):
        found.append((WarningCode.DEADLINES_OVER, over))
    if shared := await staging.sharing(connection):
        found.append((WarningCode.ACCOUNTS_SHARED, shared))
    return found
