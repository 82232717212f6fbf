"""Single incentives: whatever is handed over within a few milliseconds is decided about and stored together, each as a
batch of its own. None waits for another one's trouble, nor for a batch that is being merged, and none ends a merge.
"""

from __future__ import annotations

import asyncio
import enum
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import asyncpg
import msgspec

from contracts.batch import BatchState, Fault, PartnerTotal, WarningCode
from contracts.events import EventType
from contracts.partner import Manifest
from gateway.clock import Clock, jakarta_day
from gateway.security import places
from gateway.security.vault import Vault
from gateway.services.intake.batches import Batches, BatchView
from gateway.services.intake.framing import Cells, Record
from gateway.services.intake.incentives import Incentives, IncentiveView
from gateway.services.intake.merging import Busy, Overtaken
from gateway.services.intake.merkle import MerkleTree
from gateway.services.intake.programmes import Programmes
from gateway.services.intake.row_faults import refusal
from gateway.services.intake.rows import Checker, refused_for, rules_of
from gateway.storage.access import idempotency
from gateway.storage.base.database import AWAY, Connection, Database, GroupCommit
from gateway.storage.intake import rules, singles
from gateway.storage.intake.batches import BatchRow
from gateway.storage.intake.copying import Refused, Row
from gateway.storage.intake.singles import Fate, Single
from gateway.storage.messages import events

_WINDOW_S, _ENOUGH, _MOST = 0.003, 12, 64
_TRIES = 5
_GROUP_WAIT_S, _ALONE_WAIT_S = 0.05, 0.02
"""How long a group, and then each of it by itself, waits for anybody else's lock before what is held is put aside."""
_ASIDE_WAIT_S = 0.5
"""The same for what is put aside: less than the second after which the database would break off one of two that wait
for each other, which might be a merge."""
_REST_S = 0.05
_ASIDE = 4
"""At once in one process: each holds a connection."""
_LONGEST_S = 300.0
_COUNTS = {"rows_accepted": 1, "rows_rejected": 0, "rows_repeated": 0}

Seal = Callable[[IncentiveView, BatchView], bytes]
"""The answer about an incentive as it is stored under its key."""


class Handed(msgspec.Struct, frozen=True, kw_only=True):
    """An incentive with the batch that it is approved by."""

    incentive: IncentiveView
    batch: BatchView


class _Item(msgspec.Struct, frozen=True, kw_only=True):
    client_id: str
    key: str
    fingerprint: bytes
    seal: Seal
    row: Row
    content_key: bytes


class _Held(enum.Enum):
    """Somebody else holds what the row needs."""

    HELD = enum.auto()


_Done = Handed | None | Exception
"""None: the key was used before."""


class Singles:
    """Takes single incentives."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        vault: Vault,
        manifests: Mapping[str, Manifest],
        programmes: Programmes,
        incentives: Incentives,
        batches: Batches,
    ) -> None:
        self._database = database
        self._clock = clock
        self._vault = vault
        self._rules = rules_of(manifests)
        self._programmes = programmes
        self._incentives = incentives
        self._batches = batches
        self._groups = GroupCommit(self._handle, window_s=_WINDOW_S, enough=_ENOUGH, most=_MOST)
        self._aside = asyncio.Semaphore(_ASIDE)

    async def hand_over(self, client_id: str, cells: Cells, key: str, fingerprint: bytes, seal: Seal) -> Handed | None:
        """One incentive, as a batch of its own; one that was handed over before is found again. Its sealed answer is
        stored under the client's key in the same transaction. None: the key was used before, and nothing is done.
        Raises `RowInvalid`, whether or not the key was used, and `RowConflict`.
        """
        registered = await self._programmes.known(*cells[:2])
        checker = Checker(self._rules, self._vault, registered, secrets.token_bytes(32))
        row = checker.check(Record(1, cells))
        if isinstance(row, Refused):
            raise refusal(row.faults)
        item = _Item(client_id=client_id, key=key, fingerprint=fingerprint, seal=seal, row=row, content_key=checker.key)
        first = await self._groups.add(item)
        result = await self._wait(item) if isinstance(first, _Held) else first
        if isinstance(result, Exception):
            raise result
        return result

    async def _handle(self, items: list[_Item]) -> list[_Done | _Held]:
        results: dict[int, _Done | _Held] = {}
        left = list(enumerate(items))
        while left:
            group, left = _apart(left)
            together = await self._each([item for _, item in group])
            results.update(zip([at for at, _ in group], together, strict=True))
        return [results[at] for at in range(len(items))]

    async def _each(self, items: list[_Item]) -> list[_Done | _Held]:
        """All together; one by one where something is wrong with one of them."""
        try:
            return [*await self._together(items, _GROUP_WAIT_S)]
        except AWAY:
            raise
        except Exception:  # noqa: BLE001 - each is told of its own
            return [await self._alone(item) for item in items]

    async def _alone(self, item: _Item) -> _Done | _Held:
        try:
            return (await self._together([item], _ALONE_WAIT_S))[0]
        except asyncpg.LockNotAvailableError:
            return _Held.HELD
        except Exception as error:  # noqa: BLE001 - handed on to whom it concerns
            return error

    async def _wait(self, item: _Item) -> _Done:
        """Until whoever holds what the row needs is done with it."""
        try:
            async with asyncio.timeout(_LONGEST_S), self._aside:
                while True:
                    try:
                        return (await self._together([item], _ASIDE_WAIT_S))[0]
                    except asyncpg.LockNotAvailableError:
                        await asyncio.sleep(_REST_S)
        except TimeoutError:
            raise Busy from None

    async def _together(self, items: list[_Item], lock_timeout_s: float) -> list[_Done]:
        for tries_left in reversed(range(_TRIES)):
            try:
                async with self._database.transaction() as connection:
                    return await self._store(connection, items, lock_timeout_s)
            except (Overtaken, asyncpg.DeadlockDetectedError, asyncpg.UniqueViolationError):
                if not tries_left:
                    raise
        raise AssertionError("the loop returns or raises")

    async def _store(self, connection: Connection, items: list[_Item], lock_timeout_s: float) -> list[_Done]:
        now = self._clock.now()
        rows = [_single(n, item) for n, item in enumerate(items)]
        fates = sorted(await singles.fates(connection, rows, now, lock_timeout_s), key=lambda fate: fate.line)
        taken = [fate for fate in fates if fate.code is None and not fate.answered]
        batches = {fate.line: self._batch(items[fate.line], fate, now) for fate in taken}
        ids = {fate.line: fate.incentive_id for fate in fates if fate.code == rules.REPEAT and not fate.answered}
        if taken:
            accepted = [msgspec.structs.replace(rows[line], batch_id=batch.id) for line, batch in batches.items()]
            made = await singles.store(connection, accepted, list(batches.values()), taken, now)
            if len(made) < len(taken):
                raise Overtaken
            ids |= {line: made[batch.id] for line, batch in batches.items()}
            received = [(EventType.BATCH_RECEIVED, batch.id, _COUNTS) for batch in batches.values()]
            await events.emit(connection, now, received)
        found = await self._incentives.several(connection, [one for one in ids.values() if one is not None])
        views = {int(view.incentive_id): view for view in found}
        handed: dict[int, Handed] = {}
        for line, incentive_id in ids.items():
            if incentive_id not in views:  # withdrawn between two statements
                raise Overtaken
            incentive = views[incentive_id]
            batch = (
                BatchView(batch=batches[line])
                if line in batches
                else await self._batches.read(connection, incentive.batch_id)
            )
            handed[line] = Handed(incentive=incentive, batch=batch)
        answers = [
            (
                items[line].client_id,
                items[line].key,
                items[line].fingerprint,
                items[line].seal(one.incentive, one.batch),
            )
            for line, one in handed.items()
        ]
        if answers:
            await idempotency.keep_all(connection, answers, 201, now)
        return [handed.get(fate.line) if fate.answered or fate.line in handed else _refused(fate) for fate in fates]

    def _batch(self, item: _Item, fate: Fate, now: datetime) -> BatchRow:
        tree = MerkleTree()
        tree.add([item.row.leaf])
        total = PartnerTotal(partner=item.row.partner, rows=1, amount_rupiah=item.row.amount_rupiah)
        odd = [(WarningCode.AMOUNTS_UNUSUAL, 1)] if fate.unusual else []
        odd += [(WarningCode.DEADLINES_OVER, 1)] if item.row.deadline_on < jakarta_day(now) else []
        odd += [(WarningCode.PEOPLE_STOPPED, 1)] if fate.stopped else []
        return BatchRow(
            id=fate.batch_id,
            client_id=item.client_id,
            state=BatchState.AWAITING_APPROVAL,
            single=True,
            reapproval=False,
            plan_id=None,
            rows_accepted=1,
            rows_rejected=0,
            rows_repeated=0,
            amount_rupiah=item.row.amount_rupiah,
            content_root=tree.root(),
            content_key_sealed=self._vault.seal(places.content_key(fate.batch_id), item.content_key.hex()),
            partners=msgspec.json.encode([total]).decode(),
            warnings=msgspec.json.encode(odd).decode(),
            received_at=now,
            decided_at=None,
        )


def _apart(items: Sequence[tuple[int, _Item]]) -> tuple[list[tuple[int, _Item]], list[tuple[int, _Item]]]:
    """Items that share no participant, NIK or key, in the order of the participants as a merge has them where files are
    sorted; and those that must come after them.
    """
    seen: set[object] = set()
    group: list[tuple[int, _Item]] = []
    later: list[tuple[int, _Item]] = []
    for at, item in items:
        marks = {("participant", item.row.participant_id), ("nik", item.row.nik_index), (item.client_id, item.key)}
        (later if seen & marks else group).append((at, item))
        seen |= marks
    return sorted(group, key=lambda pair: pair[1].row.participant_id), later


def _single(line: int, item: _Item) -> Single:
    row = item.row
    return Single(
        line=line,
        client_id=item.client_id,
        key=item.key,
        programme=row.programme,
        purpose=row.purpose,
        period=row.period,
        participant_id=row.participant_id,
        partner=row.partner,
        amount_rupiah=row.amount_rupiah,
        due_on=row.due_on,
        deadline_on=row.deadline_on,
        content_hash=row.content_hash,
        digest=row.digest,
        nik_index=row.nik_index,
        account_index=row.account_index,
        name_index=row.name_index,
        phone_index=row.phone_index,
        nik_sealed=row.nik_sealed,
        name_sealed=row.name_sealed,
        phone_sealed=row.phone_sealed,
        account_sealed=row.account_sealed,
    )


def _refused(fate: Fate) -> Exception:
    assert fate.code is not None
    fields = tuple(fate.fields.split(", ")) if fate.fields else ()
    fault = Fault(fields[0] if fields else None, fate.code, fate.hint, fields)
    return refusal(refused_for(1, [fault]).faults)
