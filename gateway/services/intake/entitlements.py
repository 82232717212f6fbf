"""Entitlements under payment plans, and the notices that make their incentives.

Both go the way of every row that is handed over (`merging`): the same checks, the same conflicts. What a notice makes
is approved by the two people who approved the plan, and its digests name the plan's root.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date, datetime, timedelta

import msgspec

from contracts.batch import RowCode
from contracts.errors import Conflict, Forbidden, NotFound
from contracts.events import EventType
from contracts.incentive import Stage
from contracts.partner import Manifest
from contracts.payment_plan import EntitlementState, NoticeCode, PlanState
from gateway.clock import Clock, jakarta_day
from gateway.security.vault import Vault
from gateway.services.intake.incentives import Incentives, IncentiveView
from gateway.services.intake.merging import Merging, Overtaken
from gateway.services.intake.plan_items import Completion, Enrolment, Item, Items, Person, Taking
from gateway.services.intake.programmes import Programmes
from gateway.services.intake.row_faults import faults_of
from gateway.services.intake.rows import Checker, rules_of
from gateway.storage.access import clients
from gateway.storage.base.database import Connection, Database, transact
from gateway.storage.intake import batches, plans, reapprovals, staging, stopping
from gateway.storage.intake import entitlements as stored
from gateway.storage.intake.copying import row_bytes
from gateway.storage.intake.entitlements import CompletionRow, EntitlementFilter, EntitlementRow
from gateway.storage.intake.plans import PlanRow
from gateway.storage.messages import events
from gateway.storage.ops import audit

_AT_ONCE = 4
"""Requests that stage rows in one process."""
_ENDED = frozenset({Stage.PAID, Stage.RETURNED, Stage.CANCELLED})


class EntitlementView(msgspec.Struct, frozen=True, kw_only=True):
    """One participant under a plan, with what was made and, where it was asked for, what is at risk."""

    row: EntitlementRow
    notices: tuple[CompletionRow, ...]
    incentives: tuple[IncentiveView, ...]


class Entitlements:
    """Entitles participants, takes notices, and tells who is at risk."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        vault: Vault,
        manifests: Mapping[str, Manifest],
        programmes: Programmes,
        incentives: Incentives,
    ) -> None:
        self._database = database
        self._clock = clock
        self._vault = vault
        self._rules = rules_of(manifests)
        self._programmes = programmes
        self._incentives = incentives
        self._merging = Merging(database, clock, vault)
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def entitle(self, client_id: str, plan_id: str, people: Sequence[Person]) -> list[Item]:
        """Entitle participants under an approved plan: each by itself, all in one transaction."""
        known = await self._programmes.known()

        async def store(connection: Connection, now: datetime) -> list[Item]:
            row = await self._plan(connection, client_id, plan_id)
            await stored.hold(connection, row.programme)
            entry = Enrolment(row, Checker(self._rules, self._vault, known, secrets.token_bytes(32)), jakarta_day(now))
            await entry.read(connection, people)
            if entry.rows:
                await self._settle(connection, client_id, entry)
                named = [str(item.participant_id) for item in entry.standing()]
                taken, theirs = await stored.places(connection, plan_id, named)
                new = [item for item in entry.standing() if item.participant_id not in theirs]
                for item in new[max(0, entry.plan.most_participants - taken) :]:
                    entry.refuse(item.number, NoticeCode.PLAN_FULL)
                    await stored.withdraw(connection, *entry.lines_of(item.number))
                await staging.enrol(connection, now)
                made = await stored.insert(connection, row.id, row.programme, client_id, now)
                if len(made) != len(entry.standing()):
                    raise Overtaken
                entry.made(made)
                await self._record(connection, now, client_id, row, "plan.entitle", len(made))
            return entry.in_order()

        return await self._staged(store)

    async def complete(self, client_id: str, plan_id: str, notices: Sequence[Completion]) -> list[Item]:
        """Take notices: each by itself, all in one transaction. What they make is approved, and paid when due."""
        known = await self._programmes.known()

        async def store(connection: Connection, now: datetime) -> list[Item]:
            row = await self._plan(connection, client_id, plan_id)
            checker = Checker(self._rules, self._vault, known, secrets.token_bytes(32), under=row.content_root)
            taking = Taking(row, checker, jakarta_day(now), self._vault)
            await taking.read(connection, notices)
            if taking.rows:
                await self._settle(connection, client_id, taking)
            if taken := taking.taken():
                batch_id = await self._make(connection, client_id, row, checker, now)
                await stored.complete(connection, taken, batch_id, client_id, now)
                await self._record(connection, now, client_id, row, "plan.notices", len(taken))
            return taking.in_order()

        return await self._staged(store)

    async def _staged(self, store: Callable[[Connection, datetime], Awaitable[list[Item]]]) -> list[Item]:
        async with self._merging.staging(self._room) as connection:
            return await self._merging.in_one(connection, store)

    async def cancel(self, client_id: str, entitlement_id: int) -> EntitlementView:
        """End an entitlement: no notice is taken any more, and what has not left is cancelled."""

        async def store(connection: Connection) -> EntitlementView:
            now = self._clock.now()
            row = await stored.get(connection, entitlement_id, lock=True)
            if row is None:
                raise NotFound("There is no such entitlement.")
            if row.state is not EntitlementState.CANCELLED:
                made = [incentive for _, incentive in await stored.incentives_of(connection, [row.id])]
                await stopping.stop_incentives(connection, "id", made, now)
                await stored.cancel(connection, row.id, now)
                await audit.record(connection, now, client_id, "entitlement.cancel", str(row.id), {})
            (view,) = await self._views(connection, [row], None)
            return msgspec.structs.replace(view, row=await stored.get(connection, entitlement_id) or row)

        return await transact(self._database, store)

    async def get(self, entitlement_id: int) -> EntitlementView:
        """One entitlement with all of its incentives; raises `NotFound`."""
        async with self._database.connection() as connection:
            row = await stored.get(connection, entitlement_id)
            if row is None:
                raise NotFound("There is no such entitlement.")
            return (await self._views(connection, [row], None))[0]

    async def find(
        self, wanted: EntitlementFilter, at_risk_days: int | None, after: int, limit: int
    ) -> list[EntitlementView]:
        """The next entitlements in order of id; with `at_risk_days` those of whom something lapses within so many days,
        with these incentives alone.
        """
        risk = None
        if at_risk_days is not None:
            today = jakarta_day(self._clock.now())
            risk = (today, today + timedelta(days=at_risk_days))
            wanted = msgspec.structs.replace(wanted, at_risk=risk)
        async with self._database.connection() as connection:
            return await self._views(connection, await stored.find(connection, wanted, after, limit), risk)

    async def _views(
        self, connection: Connection, rows: Sequence[EntitlementRow], risk: tuple[date, date] | None
    ) -> list[EntitlementView]:
        ids = [row.id for row in rows]
        notices = await stored.completions(connection, ids)
        made = await stored.incentives_of(connection, ids)
        views = {one.incentive_id: one for one in await self._incentives.several(connection, [i for _, i in made])}
        return [
            EntitlementView(
                row=row,
                notices=tuple(one for one in notices if one.entitlement == row.id),
                incentives=tuple(
                    views[str(incentive)]
                    for entitlement, incentive in made
                    if entitlement == row.id and (risk is None or _at_risk(views[str(incentive)], *risk))
                ),
            )
            for row in rows
        ]

    async def _plan(self, connection: Connection, client_id: str, plan_id: str) -> PlanRow:
        row = await plans.get(connection, plan_id, lock=True)
        if row is None or row.organisation != await clients.organisation_of(connection, client_id):
            raise NotFound("There is no such plan.")
        if row.state is not PlanState.APPROVED:
            raise Conflict(
                f"The plan is {row.state.value}.",
                code="plan_not_approved",
                remedy="Two people approve it first: POST /v1/plans/{plan_id}/approvals."
                if row.state is PlanState.AWAITING_APPROVAL
                else "Nothing is paid under it any more: propose another plan, and hand over under that.",
            )
        if not await plans.stands(connection, plan_id, client_id):
            raise Forbidden(
                "What the plan says was not approved by two people other than its maker and you.",
                code="plan_mismatch",
                remedy="Have another person's client hand it over; if the plan was changed, propose it anew.",
            )
        return row

    async def _settle(self, connection: Connection, client_id: str, items: Items) -> None:
        """Stage the rows, and take out everything of an item of which one contradicts others or stands already; but
        only those themselves that were paid before, by whatever plan or file. A notice waits for a payment that was
        stopped while it was under way: left out it would never be made where that comes to nothing.
        """
        await staging.add(connection, b"".join(map(row_bytes, items.rows)))
        await staging.settle(connection, client_id=client_id, merging=False, analyse=False)
        refused = {line: faults_of(faults) for line, faults in (await stored.refused(connection)).items()}
        known = await stored.repeated(connection)
        paid = {line for line, faults in refused.items() if {one.code for one in faults} == {RowCode.INSTALMENT_PAID}}
        paid |= {line for line, ended in known.items() if ended}
        stopped = await stored.stopped_under_way(connection) if isinstance(items, Taking) else set()
        for number in sorted({items.number_of(line) for line in (*refused, *known)}):
            first, last = items.lines_of(number)
            lines = {line for line in (*refused, *known) if first <= line <= last}
            held = lines <= paid and not lines.isdisjoint(stopped)
            if lines <= paid and not held and items.leave_out(number, lines):
                for line in lines:
                    await stored.withdraw(connection, line, line)
                continue
            faults = [fault for line in sorted(lines) for fault in refused.get(line, ())]
            whole = (NoticeCode.INSTALMENT_STOPPED,) if held else faults or (NoticeCode.INSTALMENT_ELSEWHERE,)
            items.refuse(number, *whole)
            await stored.withdraw(connection, first, last)

    async def _make(
        self, connection: Connection, client_id: str, row: PlanRow, checker: Checker, now: datetime
    ) -> str | None:
        """The batch of what the notices make; none where all of it was paid before."""
        settled = staging.Decided(live=await staging.count(connection), known=True, shared=True)
        if not settled.live:
            return None
        batch = await self._merging.store(connection, client_id, settled, checker, now, plan_id=row.id)
        if batch.rows_accepted != settled.live:
            raise Overtaken
        await reapprovals.lapse_stopped(connection, batch.id, now)
        await reapprovals.lapse_given(connection, batch.id, now)
        await batches.approve(connection, batch.id, now)
        approved = (EventType.BATCH_APPROVED, batch.id, {"content_root": batch.content_root.hex()})
        await events.emit(connection, now, [approved])
        await connection.execute("SELECT pg_notify('gateway', 'dispatch')")
        return batch.id

    async def _record(
        self, connection: Connection, now: datetime, client_id: str, row: PlanRow, action: str, number: int
    ) -> None:
        await audit.record(connection, now, client_id, action, row.id, {"participants": number})


def _at_risk(incentive: IncentiveView, today: date, last: date) -> bool:
    """Whether it lapses by then and is neither ended nor merely not due yet."""
    waits = incentive.stage is not Stage.SCHEDULED or incentive.blocker is not None or incentive.due_on <= today
    return today <= incentive.deadline_on <= last and incentive.stage not in _ENDED and waits
