"""Payment plans: proposed by one, approved by two others, and never changed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta

import msgspec

from contracts.batch import REQUIRED_APPROVALS
from contracts.errors import Conflict, Forbidden, InvalidRequest, NotFound
from contracts.events import EventType
from contracts.payment_plan import (
    TRAINING,
    Instalment,
    PaymentPlan,
    PlanState,
    content_of,
    root_of,
    working_day,
)
from gateway.clock import Clock, jakarta_day
from gateway.security import personal
from gateway.security.tenancy import must_be_enabled
from gateway.services.intake.batches import Decision, other_approvers
from gateway.services.intake.programmes import Programmes
from gateway.storage.access import clients
from gateway.storage.base.database import Connection, Database, transact
from gateway.storage.intake import entitlements, stopping
from gateway.storage.intake import plans as stored
from gateway.storage.intake.batches import ApprovalRow
from gateway.storage.intake.plans import PlanRow
from gateway.storage.messages import events
from gateway.storage.ops import audit

_EXPIRES_AFTER = timedelta(days=30)
"""Without its approvals."""
_NAME = re.compile(r"(?=.{1,64}\Z)[a-z0-9]+(?:-[a-z0-9]+)*", re.ASCII)
_FIXED, _COUNTED = "due_on and deadline_on", "deadline_after_days, with due_after_months and due_after_days"


class PlanView(msgspec.Struct, frozen=True, kw_only=True):
    """A plan with what was said about it."""

    row: PlanRow
    approvals: tuple[ApprovalRow, ...]


class Plans:
    """Takes plans and decisions about them."""

    def __init__(self, database: Database, clock: Clock, programmes: Programmes) -> None:
        self._database = database
        self._clock = clock
        self._programmes = programmes

    async def propose(self, client_id: str, plan: PaymentPlan) -> PlanView:
        """Store a plan, for two others to approve; raises `InvalidRequest` for one that cannot be."""
        known = await self._programmes.known(plan.programme, plan.instalments[0].purpose)
        for field, said in _wrong(plan, jakarta_day(self._clock.now())):
            raise InvalidRequest(said, field=field, code="plan_invalid", remedy="Correct it and send the plan again.")
        for number, each in enumerate(plan.instalments, 1):
            if each.purpose not in known.get(plan.programme, ()):
                there = plan.programme in known
                raise InvalidRequest(
                    f"Instalment {number}: no such purpose of the programme." if there else "No such programme.",
                    field="purpose" if there else "programme",
                    code="plan_invalid",
                    remedy="Register it first: POST /v1/programmes, or `gateway programmes register`.",
                )
        plan = msgspec.structs.replace(plan, holidays=tuple(sorted(plan.holidays)))
        content = content_of(plan)
        root = root_of(content)

        async def store(connection: Connection) -> PlanView:
            now = self._clock.now()
            if (other := await stored.same(connection, client_id, plan, root)) is not None:
                raise Conflict(
                    f"Plan {other} says the same.", code="plan_exists",
                    remedy=f"Go on with that one: GET /v1/plans/{other}; if both are meant, name this one otherwise.",
                )  # fmt: skip
            plan_id = await stored.insert(connection, client_id, plan, content, root, now)
            await audit.record(connection, now, client_id, "plan.propose", plan_id, {"content_root": root.hex()})
            return await _view(connection, plan_id)

        return await transact(self._database, store)

    async def decide(self, client_id: str, plan_id: str, decision: Decision, content_root: bytes) -> PlanView:
        """One client's approval or rejection of exactly this plan, or its withdrawal."""

        async def store(connection: Connection) -> PlanView:
            row = await _held(connection, plan_id)
            await must_be_enabled(connection, client_id)
            person = await clients.person_of(connection, client_id)
            if person == await clients.person_of(connection, row.client_id):
                raise Forbidden(
                    "A plan is decided by other people than the one who made it.",
                    code="own_plan",
                    remedy="Two other people decide about it.",
                )
            if not row.content_root == content_root == root_of(row.content):
                raise Conflict("The content_root is not this plan's.", code="content_root_differs")
            before = {one.client_id: one for one in await stored.approvals(connection, plan_id)}
            mine = before.get(client_id)
            if (mine is None) if decision is Decision.WITHDRAW else (mine and mine.decision == decision.value):
                return await _view(connection, plan_id)
            if row.state is not PlanState.AWAITING_APPROVAL:
                raise Conflict(
                    f"The plan is {row.state.value}.",
                    code="plan_decided",
                    remedy=_instead(row.state, decision),
                )
            others = other_approvers("plan", before, client_id, person, decision)
            await self._decide(connection, row, client_id, decision, others)
            return await _view(connection, plan_id)

        return await transact(self._database, store)

    async def _decide(
        self, connection: Connection, row: PlanRow, client_id: str, decision: Decision, others: int
    ) -> None:
        now = self._clock.now()
        await stored.insert_approval(connection, row.id, client_id, decision.value, row.content_root, now)
        about = {"content_root": row.content_root.hex()}
        await audit.record(connection, now, client_id, f"plan.{decision.value}", row.id, about)
        if decision is Decision.REJECT:
            await stored.settle(connection, row.id, PlanState.REJECTED, now)
        elif decision is Decision.APPROVE and others + 1 >= REQUIRED_APPROVALS:
            await stored.settle(connection, row.id, PlanState.APPROVED, now)

    async def stop(self, client_id: str, plan_id: str) -> PlanView:
        """End an approved plan: nobody is entitled under it any more, no notice is taken, and whatever of its batches
        has not left is cancelled; what has left is followed to its end.
        """

        async def store(connection: Connection) -> PlanView:
            row, now = await _held(connection, plan_id), self._clock.now()
            if row.state is PlanState.STOPPED:
                return await _view(connection, plan_id)
            if row.state is not PlanState.APPROVED:
                raise Conflict(
                    f"The plan is {row.state.value}.",
                    code="plan_not_approved",
                    remedy="Only an approved plan is stopped; one that waits for approval is rejected instead.",
                )
            # In the order in which whoever takes a notice, or stops a person, locks them.
            ended = await entitlements.cancel_under(connection, plan_id, now)
            stopped = await stopping.stop_batches(connection, await stored.batches_of(connection, plan_id), now)
            await stored.settle(connection, plan_id, PlanState.STOPPED, now)
            about = {"entitlements": ended, "incentives": sum(stopped.values())}
            await audit.record(connection, now, client_id, "plan.stop", plan_id, about)
            await events.emit(
                connection, now, [(EventType.BATCH_STOPPED, one, {"incentives": n}) for one, n in stopped.items()]
            )
            await connection.execute("SELECT pg_notify('gateway', 'dispatch')")
            return await _view(connection, plan_id)

        return await transact(self._database, store)

    async def get(self, plan_id: str) -> PlanView:
        """A plan; raises `NotFound`."""
        async with self._database.connection() as connection:
            return await _view(connection, plan_id)

    async def find(
        self, organisation: str | None, state: PlanState | None, before: tuple[datetime, str] | None, limit: int
    ) -> list[PlanView]:
        """The next plans of one organisation (None: of all), newest first."""
        async with self._database.connection() as connection:
            rows = await stored.find(connection, organisation, state, before, limit)
            return [PlanView(row=row, approvals=tuple(await stored.approvals(connection, row.id))) for row in rows]

    async def tick_expiry(self, limit: int = 10) -> int:
        """Drop plans that nobody approved in time; how many."""
        now = self._clock.now()
        async with self._database.connection() as connection:
            return len(await stored.expire(connection, now - _EXPIRES_AFTER, now, limit))


def _instead(state: PlanState, decision: Decision) -> str:
    """What to do where a plan is decided already."""
    if state is not PlanState.APPROVED:
        return "Propose another plan instead."
    if decision is Decision.APPROVE:
        return "It needs no more: POST /v1/entitlements names who is entitled under it."
    return "Stop it: POST /v1/plans/{plan_id}/stop ends it with whatever of it has not left."


def _wrong(plan: PaymentPlan, today: date) -> Iterator[tuple[str, str]]:
    """What makes it no plan: field and sentence."""
    if _NAME.fullmatch(plan.name) is None or personal.names_somebody(plan.name):
        yield "name", "A plan's name is lower-case letters and digits with single hyphens between, 64 at most."
    if len(set(plan.holidays)) < len(plan.holidays):
        yield "holidays", "A holiday stands twice."
    if len({(one.purpose, one.period) for one in plan.instalments}) < len(plan.instalments):
        yield "instalments", "Two instalments have the same purpose and period."
    if not plan.after(TRAINING):
        yield "after", "No instalment comes after the training."
    for number, one in enumerate(plan.instalments, 1):
        yield from _wrong_instalment(plan, one, today, f"Instalment {number}:")


def _wrong_instalment(plan: PaymentPlan, one: Instalment, today: date, where: str) -> Iterator[tuple[str, str]]:
    if _NAME.fullmatch(one.after) is None:
        yield "after", f"{where} after is `training` or the name of a survey, a slug."
    fixed, counted = (one.due_on, one.deadline_on), (one.due_after_months, one.due_after_days)
    if one.deadline_after_days is None:
        if None in fixed or any(counted):
            yield "due_on", f"{where} give either {_FIXED}, or {_COUNTED}."
        elif one.due_on is not None and one.deadline_on is not None and one.deadline_on < working_day(plan, one.due_on):
            yield "deadline_on", f"{where} the deadline is before the working day on which it falls due."
        elif one.deadline_on is not None and one.deadline_on < today:
            yield "deadline_on", f"{where} the deadline is over (today it is {today} in Jakarta): nobody would be paid."
    elif fixed != (None, None):
        yield "due_on", f"{where} give either {_FIXED}, or {_COUNTED}."


async def _held(connection: Connection, plan_id: str) -> PlanRow:
    """A plan about which nobody else decides, and under which nobody hands anything over, meanwhile."""
    row = await stored.get(connection, plan_id, lock=True)
    if row is None:
        raise NotFound("There is no such plan.")
    return row


async def _view(connection: Connection, plan_id: str) -> PlanView:
    row = await stored.get(connection, plan_id)
    if row is None:
        raise NotFound("There is no such plan.")
    return PlanView(row=row, approvals=tuple(await stored.approvals(connection, plan_id)))
