"""Rows that were checked, on their way into the store: staged aside, decided about, and moved in as a batch at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TypeVar

import asyncpg
import msgspec

from contracts.batch import BatchState, PartnerTotal, WarningCode
from contracts.errors import GatewayError
from contracts.events import EventType
from gateway.clock import Clock, jakarta_day
from gateway.security import places
from gateway.security.vault import Vault
from gateway.services.intake.merkle import MerkleTree
from gateway.services.intake.rows import Checker
from gateway.storage.base.database import Connection, Database
from gateway.storage.intake import accepted, staging
from gateway.storage.intake import batches as stored
from gateway.storage.intake.batches import BatchRow
from gateway.storage.intake.staging import Decided
from gateway.storage.messages import events

Result = TypeVar("Result")

_WAIT_S = 300.0
_ENOUGH_NIKS = 3
"""So many that all end in 0 are no chance."""
_TRIES = 5
_REST_S = 0.05
_TOLD = (
    WarningCode.NIK_ENDINGS,
    WarningCode.AMOUNTS_UNUSUAL,
    WarningCode.DEADLINES_OVER,
    WarningCode.ACCOUNTS_SHARED,
    WarningCode.PEOPLE_STOPPED,
)
"""In this order."""


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
        self.clock = clock
        self.vault = vault

    async def store(
        self,
        connection: Connection,
        client_id: str,
        settled: Decided,
        checker: Checker,
        now: datetime,
        plan_id: str | None = None,
    ) -> BatchRow:
        """Move the accepted rows in as a batch, in the caller's transaction; `plan_id`: the plan that they are
        approved by.
        """
        batch = await Growing.begin(connection, client_id, now)
        await batch.add(settled, alone=True)
        return await batch.finish(self.vault, checker, plan_id)

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
        """Run `store` in one transaction; again when it met a payment or a fact that locks the other way round, and
        for a while where somebody else holds what it needs. Raises `KeyChanged` and `Busy`.
        """
        give_up = self.clock.monotonic() + _WAIT_S
        tries_left = _TRIES
        while True:
            try:
                async with connection.transaction():
                    return await store(connection, self.clock.now())
            except asyncpg.LockNotAvailableError:
                if self.clock.monotonic() > give_up:
                    raise Busy from None
                await asyncio.sleep(_REST_S)
            except (asyncpg.DeadlockDetectedError, staging.MergeUnsettled, Overtaken):
                tries_left -= 1
                if not tries_left:
                    raise
            except staging.KeyRetired as error:
                raise KeyChanged from error


class Growing:
    """A batch that rows are moved into, in the caller's transaction; its counts, totals and content root are those of
    what it really holds.
    """

    def __init__(self, connection: Connection, batch_id: str, client_id: str, now: datetime) -> None:
        self.id = batch_id
        self._connection = connection
        self._client_id = client_id
        self._now = now
        self._tree = MerkleTree()
        self._rejected = self._repeated = 0
        self._partners: dict[str, PartnerTotal] = {}
        self._odd = Counter[WarningCode]()

    @classmethod
    async def begin(cls, connection: Connection, client_id: str, now: datetime) -> Growing:
        """With no row yet."""
        batch_id = await stored.new_batch_id(connection, now)
        await stored.begin(connection, batch_id, client_id, now)
        return cls(connection, batch_id, client_id, now)

    async def add(self, settled: Decided, *, alone: bool) -> None:
        """Move in the staged rows that are accepted (`staging.move`); their lines are behind those of before."""
        connection = self._connection
        fresh = await staging.move(connection, self.id, settled, self._now, alone=alone)
        rejected, repeated = await staging.close(connection, self.id, fresh=fresh)
        self._rejected += rejected
        self._repeated += repeated
        async for leaves in accepted.leaves(connection):
            self._tree.add(leaves)
        for one in await accepted.sums(connection, jakarta_day(self._now)):
            before = self._partners.get(one.partner, PartnerTotal(partner=one.partner, rows=0, amount_rupiah=0))
            self._partners[one.partner] = PartnerTotal(
                partner=one.partner,
                rows=before.rows + one.rows,
                amount_rupiah=before.amount_rupiah + one.amount_rupiah,
            )
            self._odd[WarningCode.AMOUNTS_UNUSUAL] += one.unusual
            self._odd[WarningCode.DEADLINES_OVER] += one.over
        self._odd[WarningCode.PEOPLE_STOPPED] += await accepted.of_stopped(connection)

    async def finish(self, vault: Vault, checker: Checker, plan_id: str | None = None) -> BatchRow:
        """The batch as it is stored, and told of."""
        partners = [self._partners[slug] for slug in sorted(self._partners)]
        accepted_rows = sum(one.rows for one in partners)
        batch = BatchRow(
            id=self.id,
            client_id=self._client_id,
            state=BatchState.AWAITING_APPROVAL if accepted_rows else BatchState.EMPTY,
            single=False,
            rows_accepted=accepted_rows,
            rows_rejected=self._rejected,
            rows_repeated=self._repeated,
            amount_rupiah=sum(one.amount_rupiah for one in partners),
            reapproval=False,
            plan_id=plan_id,
            content_root=self._tree.root(),
            content_key_sealed=vault.seal(places.content_key(self.id), checker.key.hex()),
            partners=msgspec.json.encode(partners).decode(),
            warnings=msgspec.json.encode(await self._oddities(checker)).decode(),
            received_at=self._now,
            decided_at=None,
        )
        await stored.finish(self._connection, batch)
        counts = {
            "rows_accepted": batch.rows_accepted, "rows_rejected": batch.rows_rejected,
            "rows_repeated": batch.rows_repeated,
        }  # fmt: skip
        await events.emit(self._connection, self._now, [(EventType.BATCH_RECEIVED, batch.id, counts)])
        return batch

    async def _oddities(self, checker: Checker) -> list[tuple[WarningCode, int]]:
        """What the approvers should see before they decide."""
        odd = self._odd.copy()
        if checker.accepted >= _ENOUGH_NIKS and checker.niks_ending_in_0 == checker.accepted:
            odd[WarningCode.NIK_ENDINGS] = checker.accepted
        odd[WarningCode.ACCOUNTS_SHARED] = await accepted.sharing(self._connection)
        return [(code, odd[code]) for code in _TOLD if odd[code]]
