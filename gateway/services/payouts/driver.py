"""Payouts: the only driver of the payout table. Routes ask, partners' notifications arrive, worker loops tick.

One payout's way: `claim` (made and leased) -> `Sending.send` (intent, plan, outcome) -> `apply` (what a word makes of
it) -> `Following.follow` (look-ups until it has ended).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from uuid import uuid4

import asyncpg

from contracts.errors import NotFound
from contracts.incentive import BLOCKERS, BlockerCode, Owner
from contracts.observation import PayoutNotice, Source
from contracts.payout import Outcome, PayoutOrder, PayoutState
from gateway import tracing
from gateway.clock import jakarta_day
from gateway.resources import Resources
from gateway.services.each import each, together
from gateway.services.payouts.apply import Applied, apply
from gateway.services.payouts.commits import LOST_S, Commits
from gateway.services.payouts.following import Following
from gateway.services.payouts.rules import LEASE_S
from gateway.services.payouts.sending import OPEN, Answer, Gate, Links, Sending
from gateway.services.payouts.stops import Stops
from gateway.services.payouts.words import Finding, What, Word
from gateway.storage.base.database import Connection, transact
from gateway.storage.intake import batches, incentive_timers, plans
from gateway.storage.ops import audit, cases, switches
from gateway.storage.ops.cases import NewCase
from gateway.storage.payouts import payouts, queue
from gateway.storage.payouts.payouts import PayoutRow
from gateway.storage.payouts.queue import START, Claim, Cursor, Leased

_S = PayoutState
_SENT_FROM = (_S.RESERVED, _S.PREPARED)
_FOLLOWED = (_S.PREPARING, _S.UNKNOWN, _S.PENDING, _S.REJECTED)
AT_ONCE = 16
"""Withdrawals of one tick side by side."""
MOST_BATCHES = 20
"""So many batches of incentives are looked at for one claim, where most may not be paid after all."""
STANDING_S = 1.0
"""So often a pass looks for payouts that stand already: beside an old transaction all that were made since it began are
walked through for it."""
MOST_REMEMBERED = 10_000
"""So many approved batches are not asked about again."""
ASKABLE = frozenset(
    code
    for code in BlockerCode
    if code
    in (
        BlockerCode.BALANCE_LIMIT,
        BlockerCode.MONTHLY_LIMIT,
        BlockerCode.PARTNER_UNAVAILABLE,
        BlockerCode.PARTNER_FLOAT_SHORT,
    )
    or (BLOCKERS[code].owner is Owner.PARTICIPANT and code.value.startswith("account_"))
)
"""Blockers met while paying that the core platform may ask to be tried again."""


class Payouts:
    """All about payouts in one process. `grouped` off: one database call at a time, for simulations."""

    def __init__(self, resources: Resources, links: Links, *, worker: str | None = None, grouped: bool = True) -> None:
        self.worker = worker or f"w-{uuid4().hex[:12]}"
        self._clock = resources.clock
        self._database = resources.database
        self._instance = resources.settings.instance
        self._at_once = AT_ONCE if grouped else 1
        self._commits = Commits(resources, self.worker, grouped=grouped)
        self.stops = Stops(resources.database, resources.clock)
        self._sending = Sending(resources, links, self._commits, self.stops, self.worker)
        self._following = Following(resources, self._commits, self._sending, self.worker)
        self._cursors: dict[str, Cursor] = {}
        self._looked_at: dict[str, datetime] = {}
        """When a partner's payouts that stand already were last looked for."""
        self._approved: dict[str, bytes] = {}
        """Batches of which the store said that two people approved them, which stays so."""

    # --- sending ---------------------------------------------------------------------------------------------------

    async def claim(self, partner: str, limit: int) -> list[Leased]:
        """Lease what is due at a partner: first payouts that stand already (once a second while a pass is under way),
        then new ones for incentives that are due.

        Walks the incentives with a cursor; an empty answer means that this pass is over and nothing is left.
        """
        ids: list[int] = []
        if partner not in self._cursors or self._stands(partner):
            claim = self._claim(partner, limit)
            self._looked_at[partner] = claim.now
            async with self._database.connection() as connection:
                ids = await queue.lease(connection, claim, _SENT_FROM, even_paused=False)
        for _ in range(MOST_BATCHES):
            if len(ids) >= limit:
                break
            after = self._cursors.pop(partner, START)
            claim = self._claim(partner, limit - len(ids))
            try:
                async with self._database.connection() as connection:
                    made, cursor = await queue.reserve(connection, claim, after)
            except asyncpg.UniqueViolationError:
                if not await transact(self._database, partial(_put_right, claim=claim)):
                    raise
                continue  # a pass of its own, as the cursor is gone
            ids += made
            if cursor is None:
                break
            self._cursors[partner] = cursor
        return await self._load(ids)

    async def send(self, leased: Leased, gate: Gate = OPEN) -> Answer:
        """Take one leased payout to its partner, if `gate` still lets it through when its turn comes.

        An instruction that stands there with another body than we would send now (a new version, a changed setting) is
        not approved: it is taken back, and made anew.
        """
        if leased.prepared and not self._sending.as_created(leased):
            await self._following.withdraw(leased)
            return Answer.SKIPPED
        return await self._sending.send(leased, gate)

    async def tick_unpayable(self, partner: str, limit: int = 100) -> int:
        """Withdraw payouts that moved nothing and may no longer be paid."""
        now = self._clock.now()
        async with self._database.connection() as connection:
            due_by = now + timedelta(seconds=LOST_S)
            rows = await queue.unpayable(connection, partner, now, jakarta_day(now), limit, due_by=due_by)
        prepared = [row.id for row in rows if row.state is _S.PREPARED]
        if prepared:
            async with self._database.connection() as connection:
                prepared = list(await queue.take(connection, self._claim(partner, limit), prepared, _S.PREPARED))
            await each("withdraw", await self._load(prepared), self._following.withdraw, at_once=self._at_once)
        reserved = [row.id for row in rows if row.state is _S.RESERVED]
        if reserved:  # last, as one row that cannot be done is raised
            found = [Finding(payout=one, what=What.UNPAYABLE) for one in reserved]
            await together("unpayable", found, self._commits.apply)
        return len(reserved) + len(prepared)

    # --- following -------------------------------------------------------------------------------------------------

    async def claim_followed(self, partner: str, limit: int) -> list[Leased]:
        """Lease payouts that have left and whose next look-up is due."""
        async with self._database.connection() as connection:
            ids = await queue.lease(connection, self._claim(partner, limit), _FOLLOWED, even_paused=True)
        return await self._load(ids)

    async def follow(self, leased: Leased) -> None:
        """Look one leased payout up, or do what else is due for it."""
        await self._following.follow(leased)

    async def tick_deadlines(self, limit: int = 200) -> int:
        """Attempts that were never answered are in doubt from now on."""
        async with self._database.connection() as connection:
            rows = await queue.overdue(connection, self._clock.now(), limit)
        if rows:
            found = [Finding(payout=row.id, what=What.OVERDUE) for row in rows]
            await together("deadlines", found, self._commits.apply)
        return len(rows)

    async def tick_timers(self, limit: int = 1000) -> int:
        """Incentives past their deadline, blockers whose time is over, and instalments that were paid before."""
        now = self._clock.now()
        async with self._database.connection() as connection:
            passed = await incentive_timers.pass_deadlines(connection, now, jakarta_day(now), limit)
        async with self._database.connection() as connection:
            passed += await incentive_timers.lift_due(connection, now, limit)
        async with self._database.connection() as connection:
            passed += await incentive_timers.block_refused_before(connection, now, limit)
        passed += await transact(self._database, lambda connection: _block_paid_before(connection, now, limit))
        async with self._database.connection() as connection:
            late = await payouts.refused_too_late(connection, limit)
        if late:  # last, as one row that cannot be done is raised
            found = [Finding(payout=one, what=What.TOO_LATE) for one in late]
            passed += len(await together("timers", found, self._commits.apply))
        return passed

    # --- partners' words and callers' wishes -------------------------------------------------------------------------

    async def observe(
        self,
        connection: Connection | None,
        payout: int,
        source: Source,
        outcome: Outcome,
        event_key: str | None = None,
    ) -> Applied:
        """Apply a partner's word, in the caller's transaction where there is one."""
        word = Word(payout=payout, source=source, outcome=outcome, event_key=event_key)
        if connection is None:
            return (await self._commits.apply([word]))[0]
        return (await apply(connection, self._clock.now(), self._commits.terms, [word]))[0]

    async def notice(self, partner: str, notice: PayoutNotice, event_key: str) -> str:
        """Apply a notification: `applied`, or `no_such_payout` while we know none of its references.

        Ours says whose it is; by the partner's number only what names none of ours, and only where one payout has it:
        partners give numbers again, and a look-up tells what a notification leaves open. One that names two payouts,
        by our reference and by a number that is another's and not this one's, is a word on neither.
        """
        references = [notice.reference] if notice.reference else []
        numbers = [notice.partner_reference] if notice.partner_reference else []
        async with self._database.connection() as connection:
            found = await payouts.find_references(connection, partner, references, numbers)
        named = [row for row in found if row.reference == notice.reference] or found
        if len(named) != 1:
            return "several_payouts" if named else "no_such_payout"
        if len(found) != 1 and named[0].partner_reference not in (None, notice.partner_reference):
            return "several_payouts"
        tracing.about(tracing.of_incentive(named[0].incentive))
        await self.observe(None, named[0].id, Source.NOTIFICATION, notice.outcome, event_key)
        return "applied"

    async def hasten(self, incentive_id: int, *, actor: str = "core") -> dict[str, object]:
        """Let what the gateway does next for an incentive be due now, where it has a next step; a payment that came
        back is released, once the participant has linked another account. Nothing else changes. Raises `NotFound`.
        """
        tracing.about(tracing.of_incentive(incentive_id))
        now = self._clock.now()

        async def work(connection: Connection) -> dict[str, object] | None:
            found = await incentive_timers.hasten(connection, now, incentive_id, list(ASKABLE))
            returned = None if found is None else await payouts.returned(connection, incentive_id)
            if found is None or returned is None:
                return found
            await apply(connection, now, self._commits.terms, [Finding(payout=returned, what=What.RELEASED)])
            await audit.record(connection, now, actor, "payout.release", str(returned), {"incentive": incentive_id})
            after = await incentive_timers.hasten(connection, now, incentive_id, list(ASKABLE))
            return (after or found) | {"hastened": True}

        found = await transact(self._database, work)
        if found is None:
            raise NotFound("There is no such incentive.")
        return found

    def order(self, leased: Leased) -> PayoutOrder:
        """What a partner is told about a payout, from stored facts alone."""
        return self._sending.order(leased)

    async def get(self, payout: int) -> PayoutRow:
        """One payout; raises `NotFound`."""
        async with self._database.connection() as connection:
            row = await payouts.get(connection, payout)
        if row is None:
            raise NotFound("There is no such payout.")
        return row

    # --- inside ------------------------------------------------------------------------------------------------------

    def _stands(self, partner: str) -> bool:
        """Whether it is time to look for payouts that stand already."""
        looked_at = self._looked_at.get(partner)
        return looked_at is None or abs((self._clock.now() - looked_at).total_seconds()) >= STANDING_S

    def _claim(self, partner: str, limit: int) -> Claim:
        now = self._clock.now()
        return Claim(
            partner=partner,
            worker=self.worker,
            now=now,
            today=jakarta_day(now),
            lease_until=now + timedelta(seconds=LEASE_S),
            instance=self._instance,
            limit=limit,
        )

    async def _load(self, ids: Sequence[int]) -> list[Leased]:
        if not ids:
            return []
        async with self._database.connection() as connection:
            leased = await queue.load(connection, ids)
            if unknown := {one.approved_in for one in leased} - self._approved.keys():
                if len(self._approved) > MOST_REMEMBERED:
                    self._approved.clear()
                    unknown = {one.approved_in for one in leased}
                self._approved |= dict.fromkeys(await batches.approved(connection, unknown), b"")
                self._approved |= {one.batch_id: one.root for one in await plans.vouched(connection, unknown)}
        for one in leased:
            one.approved_under = self._approved.get(one.approved_in)
        return leased


async def _put_right(connection: Connection, claim: Claim) -> int:
    """One row that was put back keeps nobody else at its partner waiting, and is a case."""
    found = await queue.put_right(connection, claim)
    for incentive, payout in found.items():
        detail = (
            f"incentive {incentive} was due though payout {payout} of it stands: its row was put back from elsewhere"
        )
        case = NewCase(
            code=BlockerCode.CONTRADICTION, partner=claim.partner, payout=payout, incentive=incentive, detail=detail
        )
        await cases.open_cases(connection, claim.now, [case])
    return len(found)


async def _block_paid_before(connection: Connection, now: datetime, limit: int) -> int:
    found = await incentive_timers.block_paid_before(connection, now, limit)
    pauses: dict[str, str] = {}
    for one in found:
        detail = f"incentive {one.incentive} was handed over again: the one cancelled before it turned out paid"
        case = NewCase(
            code=BlockerCode.CONTRADICTION,
            partner=one.partner,
            payout=one.payout,
            incentive=one.incentive,
            detail=detail,
        )
        await cases.open_cases(connection, now, [case])
        if one.payout is not None:
            pauses[one.partner] = f"{detail}; a payout has left"
    for partner in sorted(pauses):
        await switches.pause(connection, now, partner, by="gateway", reason=pauses[partner])
    return len(found)
