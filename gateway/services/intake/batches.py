"""Batches: received as a stream, decided about by two people, all or nothing."""

from __future__ import annotations

import asyncio
import enum
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec

from contracts.batch import REQUIRED_APPROVALS, BatchState
from contracts.errors import Conflict, Forbidden, NotFound, TooLarge
from contracts.events import EventType
from contracts.partner import Manifest
from gateway.clock import Clock
from gateway.security import places
from gateway.security.tenancy import must_be_enabled
from gateway.security.vault import Vault
from gateway.services.intake import reapprovals
from gateway.services.intake.ahead import Ahead, Upload
from gateway.services.intake.ahead import Keep as KeepRow
from gateway.services.intake.framing import CsvCells, JsonCells
from gateway.services.intake.merging import Busy, Merging
from gateway.services.intake.programmes import Programmes
from gateway.services.intake.rows import Checker, Declared, Reader, rules_of
from gateway.services.intake.spool import Spool
from gateway.storage.access import clients, owners
from gateway.storage.base.database import Connection, Database, transact
from gateway.storage.intake import batches as stored
from gateway.storage.intake import reapprovals as lapsed
from gateway.storage.intake import staging, stopping
from gateway.storage.intake.batches import ApprovalRow, BatchRow, ResultRow, StageTotal
from gateway.storage.messages import events
from gateway.storage.ops import audit

Subject = TypeVar("Subject")
Result = TypeVar("Result")

MAX_ROWS = 1_000_000
MAX_BATCH_BYTES = 536_870_912
_INTAKES = 2
"""At once in one process: each holds a connection and keeps a core busy."""
_UPLOADS = 64
"""Whose rows are still on their way: each holds a few megabytes and neither connection nor place."""
_SLICE_BYTES = 16_384
"""Some hundred rows, which are cut apart in half a millisecond."""
_MANY = 1_000
"""Fewer have places of their own, and no turn to wait for."""

_EXPIRES_AFTER = timedelta(days=30)
"""Without its approvals."""


class Decision(enum.Enum):
    """What an approver says."""

    APPROVE = "approve"
    REJECT = "reject"
    WITHDRAW = "withdraw"
    """Takes back what this client said before, while an approval is missing."""


class RowOutcome(enum.Enum):
    """What became of a row at intake."""

    ACCEPTED = "accepted"
    REPEATED = "repeated"
    """It says what an earlier line or batch said; that incentive is its own."""
    REJECTED = "rejected"


Keep = Callable[[Connection, Subject, datetime], Awaitable[None]]
"""Stores the answer in the transaction of what it answers for, or raises to undo that (routes/idempotent.py)."""


class BatchView(msgspec.Struct, frozen=True, kw_only=True):
    """A batch with its decisions."""

    batch: BatchRow
    approvals: tuple[ApprovalRow, ...] = ()


def other_approvers(
    what: str, before: Mapping[str, ApprovalRow], client_id: str, person: str, decision: Decision
) -> int:
    """How many other people have approved it, by clients that are still enabled; raises `Forbidden` where this person
    is about to approve it once more by another client. `before`: what each client has said last and not taken back.
    """
    others = {row.person for who, row in before.items() if row.enabled and who != client_id}
    if decision is Decision.APPROVE and person in others:
        raise Forbidden(
            f"You have approved the {what} already, by another client.",
            code="second_person_needed",
            remedy="Another person must look at it and approve it too.",
        )
    return len(others)


class Batches:
    """Receives batches and takes decisions about them."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        vault: Vault,
        manifests: Mapping[str, Manifest],
        programmes: Programmes,
    ) -> None:
        self._database = database
        self._clock = clock
        self._vault = vault
        self._rules = rules_of(manifests)
        self._programmes = programmes
        self._merging = Merging(database, clock, vault)
        self._room = asyncio.Semaphore(_INTAKES)
        self._small = asyncio.Semaphore(_INTAKES)
        self._uploads = 0

    async def receive(
        self,
        client_id: str,
        cells: CsvCells | JsonCells,
        body: AsyncIterator[bytes],
        keep: Keep[BatchView],
        declared: Declared | None = None,
    ) -> BatchView:
        """Read, check and store a batch; nothing of it is visible before all of it is."""
        if self._uploads >= _UPLOADS:
            raise Busy
        checker = Checker(self._rules, self._vault, await self._programmes.known(), secrets.token_bytes(32))
        reader, upload = Reader(cells, checker, declared), Upload(body, self._clock)

        async def keep_row(connection: Connection, batch: BatchRow, now: datetime) -> None:
            await keep(connection, BatchView(batch=batch), now)

        self._uploads += 1
        try:
            with Spool() as spool:
                async with Ahead(self._merging, self._room, upload, spool, client_id, checker, keep_row) as ahead:
                    await _read(reader, upload, spool, ahead)
                    batch = await ahead.finish()
                if batch is None:
                    spool.again()
                    batch = await self._store(client_id, checker, spool, keep_row, many=reader.rows >= _MANY)
                return BatchView(batch=batch)
        finally:
            self._uploads -= 1

    async def _store(self, client_id: str, checker: Checker, spool: Spool, keep: KeepRow, *, many: bool) -> BatchRow:
        """Merge what is complete, all of it at once. A few rows wait for no large batch, unless one holds theirs."""
        beside = not many

        async def store(connection: Connection, now: datetime) -> BatchRow:
            nonlocal beside
            merging, beside = not beside, False
            settled = await staging.settle(connection, client_id=client_id, merging=merging, analyse=many)
            batch = await self._merging.store(connection, client_id, settled, checker, now)
            await keep(connection, batch, now)
            return batch

        async with self._merging.staging(self._room if many else self._small) as connection:
            for rows, refused in spool.pieces():
                await staging.add(connection, rows, refused)
            return await self._merging.in_one(connection, store)

    async def decide(self, client_id: str, batch_id: str, decision: Decision, content_root: bytes) -> BatchView:
        """One client's approval or rejection of exactly this content, or its withdrawal. The second approval by a
        client that is enabled now lets the money flow.
        """

        async def store(connection: Connection, now: datetime) -> BatchView:
            batch = await _held(connection, batch_id)
            await must_be_enabled(connection, client_id)
            person = await clients.person_of(connection, client_id)
            own = person == await clients.person_of(connection, batch.client_id)
            if own or (batch.reapproval and await lapsed.has_rows_of(connection, batch_id, person)):
                raise Forbidden(
                    "A batch is decided by other people than those who handed over, or changed, what it puts up.",
                    code="own_batch",
                    remedy="Two other people decide about it.",
                )
            if batch.content_root != content_root:
                raise Conflict("The content_root is not this batch's.", code="content_root_differs")
            before = {row.client_id: row for row in await stored.approvals(connection, batch_id)}
            mine = before.get(client_id)
            if decision is Decision.WITHDRAW and mine is None:
                return await _view(connection, batch_id)
            if mine is None or mine.decision != decision.value:
                if batch.state is not BatchState.AWAITING_APPROVAL:
                    raise Conflict(
                        f"The batch is {batch.state.value}.", code="batch_decided", remedy=_instead(batch, decision)
                    )
                others = other_approvers("batch", before, client_id, person, decision)
                await _decide(connection, batch, client_id, decision, others, now)
            return await _view(connection, batch_id)

        async with self._database.connection() as connection:
            return await self._merging.in_one(connection, store)

    async def stop(self, client_id: str, batch_id: str) -> BatchView:
        """Cancel whatever of an approved batch has not left; what has left is followed to its end."""

        async def store(connection: Connection, now: datetime) -> BatchView:
            batch = await _held(connection, batch_id)
            if batch.state is BatchState.STOPPED:
                return await _view(connection, batch_id)
            if batch.reapproval:
                raise Conflict(
                    "Its incentives belong to other batches.",
                    code="batch_of_reapprovals",
                    remedy="Stop the batches that they were handed over in.",
                )
            if batch.state is not BatchState.APPROVED:
                raise Conflict(
                    f"The batch is {batch.state.value}.",
                    code="batch_not_approved",
                    remedy="Only an approved batch is stopped; one that waits for approval is rejected instead.",
                )
            stopped = (await stopping.stop_batches(connection, [batch_id], now))[batch_id]
            await audit.record(connection, now, client_id, "batch.stop", batch_id, {"incentives": stopped})
            await events.emit(connection, now, [(EventType.BATCH_STOPPED, batch_id, {"incentives": stopped})])
            await connection.execute("SELECT pg_notify('gateway', 'dispatch')")
            return await _view(connection, batch_id)

        async with self._database.connection() as connection:
            return await self._merging.in_one(connection, store)

    async def reapprove(self, client_id: str, like: str | None = None) -> BatchView:
        """Put what has lapsed up for approval (`reapprovals.put_up`): of the client's organisation, or of the one whose
        the batch `like` is, for somebody who acts for all. Raises `NotFound` where there is no such batch.
        """

        async def store(connection: Connection, now: datetime) -> BatchView:
            if like is None:
                whose: str | None = await clients.organisation_of(connection, client_id)
            else:
                whose = await owners.find(connection, "batch_id", like)
            if whose is None:
                raise NotFound("There is no such batch.")
            return BatchView(batch=await reapprovals.put_up(connection, self._vault, client_id, whose, now))

        async with self._database.connection() as connection:
            return await self._merging.in_one(connection, store)

    async def tick_expiry(self, limit: int = 10) -> int:
        """Drop batches that nobody approved in time; how many."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            old = await stored.too_old(connection, now - _EXPIRES_AFTER, limit)
            for batch_id in old:
                await stored.drop(connection, batch_id, BatchState.EXPIRED, now)
                await events.emit(connection, now, [(EventType.BATCH_EXPIRED, batch_id, {})])
        return len(old)

    async def tick_marking(self, most: int = 20_000) -> int:
        """Let the next rows of a large batch that was approved be paid; how many."""
        return await transact(self._database, lambda connection: stored.mark_next(connection, most, self._clock.now()))

    async def find(
        self, organisation: str | None, state: BatchState | None, before: tuple[datetime, str] | None, limit: int
    ) -> list[BatchView]:
        """The next batches of one organisation (None: of all), newest first."""
        async with self._database.connection() as connection:
            found = await stored.find(connection, organisation, state, before, limit)
            return [
                BatchView(batch=batch, approvals=tuple(await stored.approvals(connection, batch.id))) for batch in found
            ]

    def content_key(self, batch: BatchRow) -> str | None:
        """The key of the batch's content root in hex digits: for whoever has its file."""
        sealed = batch.content_key_sealed
        return None if sealed is None else self._vault.open(places.content_key(batch.id), sealed)

    async def get(self, batch_id: str) -> BatchView:
        """A batch with its decisions."""
        async with self._database.connection() as connection:
            return await _view(connection, batch_id)

    async def read(self, connection: Connection, batch_id: str) -> BatchView:
        """The same in the caller's transaction."""
        return await _view(connection, batch_id)

    async def results(self, batch_id: str, outcome: RowOutcome | None, after_line: int, limit: int) -> list[ResultRow]:
        """The next lines' results, all or those of one outcome."""
        async with self._database.connection() as connection:
            return await stored.results(connection, batch_id, outcome and outcome.value, after_line, limit)

    async def totals(self, batch_id: str) -> list[StageTotal]:
        """What the accepted rows come to, by stage and blocker; raises `NotFound`."""
        async with self._database.connection() as connection:
            await _view(connection, batch_id)
            return await stored.totals(connection, batch_id)


async def _read(reader: Reader, upload: Upload, spool: Spool, ahead: Ahead) -> None:
    """Check rows as they come."""
    async for chunk in upload.chunks():
        for start in range(0, len(chunk), _SLICE_BYTES):
            for rows, refused in reader.feed(chunk[start : start + _SLICE_BYTES]):
                spool.add(rows, refused)
                ahead.more()
                await asyncio.sleep(0)  # even where the body never has to wait, nobody else in the process waits for it
            await asyncio.sleep(0)
        if reader.rows > MAX_ROWS:
            raise TooLarge(f"A batch has at most {MAX_ROWS} rows.")
    for rows, refused in reader.end():
        spool.add(rows, refused)


def _instead(batch: BatchRow, decision: Decision) -> str:
    """What to do where a batch is decided already."""
    approved = batch.state is BatchState.APPROVED
    if approved and decision is Decision.APPROVE:
        return "It needs no more. What waits for approval in it has lapsed: POST /v1/batches/reapprovals puts it up."
    if batch.reapproval and approved:
        return "Stop the batches that its incentives were handed over in, or cancel those that are not to be paid."
    if batch.reapproval:
        return "POST /v1/batches/reapprovals puts up again what still waits; cancel what is not to be paid."
    if batch.state is BatchState.EMPTY:
        return "Nothing of it was taken: GET /v1/batches/{batch_id}/results says why, or which incentive a row repeats."
    if approved:
        return "Stop it: POST /v1/batches/{batch_id}/stop cancels what has not left."
    return "Nothing of it will be paid: hand over again what is still to be paid."


async def _decide(
    connection: Connection, batch: BatchRow, client_id: str, decision: Decision, before: int, now: datetime
) -> None:
    await stored.insert_approval(connection, batch.id, client_id, decision.value, batch.content_root, now)
    root = {"content_root": batch.content_root.hex()}
    await audit.record(connection, now, client_id, f"batch.{decision.value}", batch.id, root)
    if decision is Decision.REJECT:
        await stored.drop(connection, batch.id, BatchState.REJECTED, now)
        await events.emit(connection, now, [(EventType.BATCH_REJECTED, batch.id, {})])
    elif decision is Decision.APPROVE and before + 1 >= REQUIRED_APPROVALS:
        if batch.reapproval:
            await lapsed.approve(connection, batch.id, now)
        await stored.approve(connection, batch.id, now)
        await events.emit(connection, now, [(EventType.BATCH_APPROVED, batch.id, root)])
        await connection.execute("SELECT pg_notify('gateway', 'dispatch')")


async def _held(connection: Connection, batch_id: str) -> BatchRow:
    """A batch about which nobody else decides meanwhile."""
    batch = await stored.get(connection, batch_id, lock=True)
    if batch is None:
        raise NotFound("There is no such batch.")
    return batch


async def _view(connection: Connection, batch_id: str) -> BatchView:
    batch = await stored.get(connection, batch_id)
    if batch is None:
        raise NotFound("There is no such batch.")
    return BatchView(batch=batch, approvals=tuple(await stored.approvals(connection, batch_id)))
