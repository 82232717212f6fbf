"""Incentives as the core platform asks about them: where one stands, why it does not move, and how to stop it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime

import msgspec

from contracts.errors import Conflict, NotFound
from contracts.incentive import BLOCKERS, BlockerCode, Owner, Stage, owner_of
from contracts.jakarta import long_before
from contracts.partner import Manifest
from contracts.text import Text
from gateway.clock import Clock, jakarta_day
from gateway.storage.base.database import Connection, Database, transact
from gateway.storage.base.moment import Moment
from gateway.storage.intake import incentives as stored
from gateway.storage.intake.incentives import IncentiveFilter, IncentiveRow
from gateway.storage.ops import audit

_ENDED = frozenset({Stage.PAID, Stage.RETURNED, Stage.CANCELLED})


class BlockerView(msgspec.Struct, frozen=True, kw_only=True):
    """Why an incentive does not move, who must act, and by when."""

    code: BlockerCode
    owner: Owner
    since: datetime
    """Since when its partner has been in trouble, where it waits for that; else of the last change of anything about
    the incentive.
    """
    next_attempt_at: datetime | None
    """When the gateway tries again by itself; null: not before someone has acted."""
    act_by: date
    """After this day the money returns to the treasury."""
    text: Text


class IncentiveView(msgspec.Struct, frozen=True, kw_only=True):
    """One incentive."""

    incentive_id: str
    batch_id: str
    programme: str
    purpose: str
    period: str
    participant_id: str
    partner: str
    amount_rupiah: int
    due_on: date
    deadline_on: date
    approved: bool
    stage: Stage
    blocker: BlockerView | None
    payout_id: str | None
    """The payout that stands, or the last one: a number of 17 digits, as text."""
    payouts: int
    created_at: datetime
    changed_at: datetime


class Incentives:
    """Reads incentives, and cancels them."""

    def __init__(self, database: Database, clock: Clock, manifests: Mapping[str, Manifest]) -> None:
        self._database = database
        self._clock = clock
        self._lookups = {slug: manifest.lookups for slug, manifest in manifests.items()}

    async def get(self, incentive_id: int) -> IncentiveView:
        """One incentive; raises `NotFound`."""
        async with self._database.connection() as connection:
            return await self.read(connection, incentive_id)

    async def read(self, connection: Connection, incentive_id: int) -> IncentiveView:
        """The same in the caller's transaction."""
        row = await stored.get(connection, incentive_id, self.moment())
        if row is None:
            raise NotFound("There is no such incentive.")
        return self._view(row)

    async def several(self, connection: Connection, incentives: Sequence[int]) -> list[IncentiveView]:
        """Some incentives in the caller's transaction, in order of id."""
        return [self._view(row) for row in await stored.several(connection, incentives, self.moment())]

    async def find(self, wanted: IncentiveFilter, after: int, limit: int) -> list[IncentiveView]:
        """The next incentives in order of id."""
        async with self._database.transaction() as connection:
            rows = await stored.find(connection, wanted, after, limit, self.moment())
        return [self._view(row) for row in rows]

    async def cancel(self, incentive_id: int, *, actor: str) -> IncentiveView:
        """Stop future payouts. Raises `Conflict` once one has left, which is then followed to its end."""
        return await transact(self._database, lambda connection: self._cancel(connection, incentive_id, actor))

    async def _cancel(self, connection: Connection, incentive_id: int, actor: str) -> IncentiveView:
        now = self._clock.now()
        if not await stored.lock(connection, incentive_id):
            raise NotFound("There is no such incentive.")
        before = await self.read(connection, incentive_id)
        if before.stage is Stage.CANCELLED:
            return before
        over = before.blocker is not None and before.blocker.code is BlockerCode.DEADLINE_PASSED
        if before.stage in _ENDED and not over:
            raise Conflict(f"The incentive is {before.stage.value}.", code="incentive_ended")
        if not await stored.withdraw_reserved(connection, incentive_id, now):
            raise Conflict(
                "A payout is on its way.",
                code="payout_open",
                remedy="Wait for its outcome; if it is rejected, the incentive can be cancelled.",
            )
        await stored.cancel(connection, incentive_id, now)
        await audit.record(connection, now, actor, "incentive.cancel", str(incentive_id), {})
        await connection.execute("SELECT pg_notify('gateway', 'dispatch')")
        return await self.read(connection, incentive_id)

    def moment(self) -> Moment:
        """Now, as far as what is told of incentives depends on it."""
        now = self._clock.now()
        return Moment(
            now=now,
            today=jakarta_day(now),
            sent_before={
                slug: long_before(now, lookups.horizon_s, weekends=lookups.weekends)
                for slug, lookups in self._lookups.items()
            },
        )

    def _view(self, row: IncentiveRow) -> IncentiveView:
        code = row.blocker
        return IncentiveView(
            incentive_id=str(row.id),
            batch_id=row.batch_id,
            programme=row.programme,
            purpose=row.purpose,
            period=row.period,
            participant_id=row.participant_id,
            partner=row.partner,
            amount_rupiah=row.amount_rupiah,
            due_on=row.due_on,
            deadline_on=row.deadline_on,
            approved=row.approved,
            stage=row.stage,
            blocker=None if code is None else self._blocker(row, code),
            payout_id=None if row.payout_id is None else str(row.payout_id),
            payouts=row.payouts,
            created_at=row.created_at,
            changed_at=row.facts_at,
        )

    def _blocker(self, row: IncentiveRow, code: BlockerCode) -> BlockerView:
        return BlockerView(
            code=code,
            owner=owner_of(code, past_horizon=row.given_up),
            since=row.since,
            next_attempt_at=row.next_attempt_at,
            act_by=row.deadline_on,
            text=Text(id=BLOCKERS[code].indonesian, en=BLOCKERS[code].english),
        )
