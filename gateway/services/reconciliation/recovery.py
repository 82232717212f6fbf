"""After a point-in-time restore or a failover: hold every partner, ask it what was done since, and only then go on.

The database has forgotten payouts that were made, sent and paid after the copy. Whatever is not paid in it may have
been paid, under a reference that nobody knows any more; whatever is on its way may have been sent again. So each
partner is held (`storage/payouts/queue.py` checks it in the claim and in the compare-and-set) until every payout that
had not ended was looked up, and its statements of every day since were read, twice, late enough that what had left is
booked or never will be. Credits that no payout has are adopted (`strays.py`) or listed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
import structlog

from contracts.errors import CallerError, InvalidRequest, OutcomeUnknown, PartnerError
from contracts.observation import Source
from contracts.partner import Capability
from gateway.clock import SKEW_S, jakarta_day
from gateway.partners.desk import Desk
from gateway.resources import Resources
from gateway.security import approval
from gateway.services.each import each, together
from gateway.services.payouts.absence import Calendar, Readings, enough_readings, key_until
from gateway.services.payouts.apply import Applied, apply
from gateway.services.payouts.driver import Payouts
from gateway.services.payouts.ends import Terms
from gateway.services.payouts.sending import ANSWER_S, frozen_hash, within
from gateway.services.payouts.words import Finding, What, WordOrFinding, agreed
from gateway.services.reconciliation.lines import BOOKED_WITHIN
from gateway.services.reconciliation.statements import Statements
from gateway.services.reconciliation.strays import MOST, Strays
from gateway.services.reconciliation.weighed import looks_alike
from gateway.storage.base.database import AWAY, Connection, transact
from gateway.storage.ops import audit
from gateway.storage.payouts import queue
from gateway.storage.payouts.queue import Leased
from gateway.storage.reconciliation import instances, lookalikes, recovery, statements, strays
from gateway.storage.reconciliation.recovery import Recovery
from gateway.storage.reconciliation.strays import Stray

LOOKUPS_A_ROUND = 200
LOOKUPS_AT_ONCE = 16
_CHUNK = 500
_A_SLIP = timedelta(days=365)
"""So far back is a moment whose year was mistyped. What the store itself demands is never too old."""
INSTANCE = re.compile("[1-9][0-9]", re.ASCII)
_log = structlog.get_logger(__name__)


class _HeldAgain(Exception):
    """Something that holds a partner came up while it was about to be let go."""


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What one partner's recovery holds, or would hold."""

    partner: str
    payouts: dict[str, int]
    """Not ended, by state: each is looked up."""
    incentives: int
    """Due and, as far as we know, not paid."""
    days: int
    """Statements to be read, each twice."""
    settled_at: datetime
    """Not released before."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """Where one partner's recovery stands."""

    partner: str
    released: bool
    to_look_up: int
    statements_read: bool
    """Twice, late enough."""
    settled: bool
    """All is asked; what still holds it is a credit that nobody can be matched with."""
    settled_at: datetime


class Recoveries:
    """Opens recoveries and takes them to their end, round by round; may be stopped and gone on with at any time."""

    def __init__(self, resources: Resources, payouts: Payouts, statements_: Statements) -> None:
        self._clock = resources.clock
        self._on_time = resources.on_time
        self._database = resources.database
        self._desks = resources.desks
        self._vault = resources.vault
        self._payouts = payouts
        self._statements = statements_
        self.strays = Strays(resources)
        self._terms = {slug: Terms(manifest=desk.manifest, pace=desk.pace) for slug, desk in resources.desks.items()}

    async def look(self, since: datetime) -> list[Held]:
        """What would be held; changes nothing and asks nobody. Raises `InvalidRequest`."""
        now = self._clock.now()
        self._check(since, now)
        async with self._database.connection() as connection:
            return [await self._held(connection, desk, since, now) for desk in self._desks.values()]

    async def open(self, since: datetime, *, actor: str) -> list[Held]:
        """Hold every partner from now on. Raises `InvalidRequest`, and `ClockOff` (settled is a time by this clock)."""
        self._on_time()
        self._check(since, self._clock.now())
        return await self._begin(since, actor)

    async def _begin(self, since: datetime, actor: str) -> list[Held]:
        now = self._clock.now()

        async def hold(connection: Connection) -> None:
            for _, desk in sorted(self._desks.items()):  # as the senders share the partners' fences
                await recovery.begin(
                    connection, desk.slug, since=since, opened_at=now, settled_at=self._settled_at(desk, now)
                )
            await audit.record(connection, now, actor, "recovery.open", "all", {"since": since.isoformat()})

        await transact(self._database, hold)
        await self._mark_all()
        async with self._database.connection() as connection:
            return [await self._held(connection, desk, since, now) for desk in self._desks.values()]

    async def used(self, instance: str, *, actor: str) -> None:
        """A person's word that references began with an instance which the store has forgotten. Raises
        `InvalidRequest`.
        """
        if INSTANCE.fullmatch(instance) is None:
            raise InvalidRequest("An instance is two digits, the first of them not 0.", field="instance")
        now = self._clock.now()

        async def note(connection: Connection) -> None:
            await instances.use(connection, now, instance)
            await audit.record(connection, now, actor, "recovery.instance", instance, {})

        await transact(self._database, note)

    async def under_way(self) -> list[Recovery]:
        """Open recoveries, of this run or one that was broken off."""
        async with self._database.connection() as connection:
            return await recovery.open_ones(connection)

    async def round(self) -> list[Progress]:
        """Look up, read, adopt and release what can be by now, at every partner that is held.

        None is let go while credits are left whose account no participant has. What the store holds by itself, a
        failover under way included, is opened first. Raises `ClockOff`.
        """
        self._on_time()
        demanded = [one.since for one in await self.under_way() if one.demanded is not None]
        if demanded:
            await self._begin(min([*demanded, self._clock.now()]), "gateway")
        await self._mark_all()
        await each("recover", [self._payouts], _end_attempts)
        asked: dict[str, tuple[int, bool]] = {}
        freed: set[str] = set()

        async def ask(one: Recovery) -> None:
            desk = self._desks[one.partner]
            asked[one.partner] = await self._look_up(desk, one), await self._read(desk, one)

        async def release(one: Recovery) -> None:
            if await self._release(one):
                freed.add(one.partner)

        # A partner at which something cannot be done stays held; it holds up no other.
        held = await self.under_way()
        await each("recover", [one for one in held if one.marked_at is not None], ask)
        await self.strays.adopt()
        blocked = bool(nobodys(await self.strays.unsettled()))
        told = []
        for one in held:
            to_look_up, read = asked.get(one.partner, (0, False))
            settled = not to_look_up and read
            if settled and not blocked:
                await each("recover", [one], release)
            told.append(
                Progress(
                    partner=one.partner,
                    released=one.partner in freed,
                    to_look_up=to_look_up,
                    statements_read=read,
                    settled=settled,
                    settled_at=one.settled_at,
                )
            )
        return told

    # --- opening ------------------------------------------------------------------------------------------------------

    def _check(self, since: datetime, now: datetime) -> None:
        if since > now:
            raise InvalidRequest("The moment lies in the future.", field="since")
        if now - since >= _A_SLIP:  # nobody can take it back, and partners would be asked for every day of it
            raise InvalidRequest("The moment is a year ago: is its year right?", field="since")
        for desk in self._desks.values():
            desk.require(Capability.STATEMENT)

    def _settled_at(self, desk: Desk, opened_at: datetime) -> datetime:
        """When whatever had left before the opening is booked, or never will be."""
        return opened_at + timedelta(seconds=max(ANSWER_S.values()) + desk.pace.absence_s)

    async def _held(self, connection: Connection, desk: Desk, since: datetime, now: datetime) -> Held:
        today = jakarta_day(now)
        return Held(
            partner=desk.slug,
            payouts=await recovery.held_payouts(connection, desk.slug),
            incentives=await recovery.held_incentives(connection, desk.slug, today),
            days=(today - jakarta_day(since)).days + 1,
            settled_at=self._settled_at(desk, now),
        )

    async def _mark_all(self) -> None:
        """Take every payout that has not ended as perhaps sent since the copy, once the partner is held."""
        await each("recover", [one for one in await self.under_way() if one.marked_at is None], self._mark)

    async def _mark(self, one: Recovery) -> None:
        """Those that can be are marked also where one cannot: then its partner stays held, and is marked again."""
        until = one.opened_at + timedelta(seconds=max(ANSWER_S.values()))
        after = 0
        failed: Exception | None = None
        while True:
            async with self._database.connection() as connection:
                chunk = await recovery.not_ended(connection, one.partner, after, _CHUNK)
            if not chunk:
                break
            found = [Finding(payout=payout, what=What.RESTORED, until=until) for payout in chunk]
            try:
                await together("recover", found, self._apply)
            except AWAY:
                raise
            except Exception as error:  # noqa: BLE001 - raised once all others are marked
                failed = error
            after = chunk[-1]
        if failed is not None:
            raise failed
        await transact(self._database, lambda connection: self._marked(connection, one))

    async def _marked(self, connection: Connection, one: Recovery) -> None:
        await recovery.distrust_links(connection, one.partner)
        await recovery.marked(connection, one, self._clock.now())

    async def _apply(self, found: Sequence[WordOrFinding]) -> list[Applied]:
        return await transact(
            self._database, lambda connection: apply(connection, self._clock.now(), self._terms, found)
        )

    # --- asking -------------------------------------------------------------------------------------------------------

    async def _look_up(self, desk: Desk, one: Recovery) -> int:
        """Look up what was not looked up since; how many are left, those still in flight included."""
        settled = self._clock.now() >= one.settled_at
        since = one.settled_at if settled else one.opened_at
        async with self._database.connection() as connection:
            _, waiting = await self._waiting(connection, desk, one, since)
            leased = await queue.load(connection, waiting)
            created = await recovery.preparing(connection, desk.slug, one.opened_at, LOOKUPS_A_ROUND)
            creates = await queue.load(connection, created)
        await each("recover", creates, lambda row: self._ask_by_key(desk, row), at_once=LOOKUPS_AT_ONCE)
        await each("recover", leased, lambda row: self._ask(desk, row), at_once=LOOKUPS_AT_ONCE)
        async with self._database.connection() as connection:
            left, _ = await self._waiting(connection, desk, one, since)
            return left + await recovery.in_flight(connection, desk.slug)

    async def _waiting(
        self, connection: Connection, desk: Desk, one: Recovery, since: datetime
    ) -> tuple[int, list[int]]:
        return await recovery.not_looked_up(
            connection,
            desk.slug,
            opened_at=one.opened_at,
            since=since,
            by_number=desk.manifest.two_step,
            limit=LOOKUPS_A_ROUND,
        )

    async def _ask(self, desk: Desk, leased: Leased) -> None:
        order = self._payouts.order(leased)
        try:
            outcome = await desk.run(
                "find_payout", lambda context: desk.partner.find_payout(context, order), subject=str(leased.payout.id)
            )
        except PartnerError as error:
            _log.info("looked_in_vain", payout=leased.payout.id, error=type(error).__name__, hint=error.hint.value)
            return
        said = agreed(outcome, leased.payout, order.account)
        await self._payouts.observe(None, leased.payout.id, Source.LOOKUP, said)

    async def _ask_by_key(self, desk: Desk, leased: Leased) -> None:
        """Learn the number of an instruction that may stand, as long as its key is known for certain: the same create
        under the same key makes no second one, and moves nothing. Past that it is an operator's.
        """
        payout, order = leased.payout, self._payouts.order(leased)
        until = key_until(desk.manifest.lifetimes, payout.first_sent_at or payout.created_at)
        late = self._clock.now() + timedelta(seconds=ANSWER_S["prepare"])
        if until is None or late > until:
            return  # told by whatever follows payouts (`payouts/following.py`)
        frozen = frozen_hash(desk, order)
        kept = approval.kept_hash(self._vault, frozen, payout.frozen_hash)
        async with self._database.connection() as connection:
            if not await recovery.set_frozen_hash(connection, payout.id, kept):
                return
        try:
            said = await desk.run(
                "prepare",
                lambda context: within(desk.partner.prepare(context, order), self._clock, late),
                subject=str(payout.id),
                frozen_hash=frozen,
            )
        except (PartnerError, OutcomeUnknown) as error:
            _log.info("asked_in_vain", payout=payout.id, error=type(error).__name__)
            return
        await self._payouts.observe(None, payout.id, Source.REPLY, said)

    async def _read(self, desk: Desk, one: Recovery) -> bool:
        """Read the statements that are to be read now, the latest day first, as partners give the oldest no more;
        whether they have all been read as often and late as needed. Two in a row that cannot be read are the partner's
        trouble.
        """
        in_vain = 0
        for day in reversed((await self._readings(desk, one)).days):
            try:
                await self._statements.read(desk.slug, day)
                in_vain = 0
            except (PartnerError, CallerError) as error:
                _log.warning("statement_not_read", partner=desk.slug, day=str(day), error=type(error).__name__)
                in_vain += 1
                if in_vain > 1:
                    break
        return (await self._readings(desk, one)).enough

    async def _readings(self, desk: Desk, one: Recovery) -> Readings:
        """Once at the opening, to learn at once what can be learnt; what counts are the two readings that come late
        enough. Days after what had left was booked tell nothing of it, however long the recovery takes.
        """
        now, first_day = self._clock.now(), jakarta_day(one.since - timedelta(seconds=SKEW_S))
        last_day = jakarta_day(one.settled_at + BOOKED_WITHIN)
        async with self._database.connection() as connection:
            reads = await statements.reads(connection, desk.slug, first_day)
        readings = Calendar(reads)
        early = enough_readings(first_day, one.opened_at, readings, now=now, again_s=None, last_day=last_day)
        if not early.enough:
            return Readings(False, early.days)
        again_s = desk.pace.confirm_rejection_s
        return enough_readings(first_day, one.settled_at, readings, now=now, again_s=again_s, last_day=last_day)

    # --- releasing ----------------------------------------------------------------------------------------------------

    async def _release(self, one: Recovery) -> bool:
        try:
            return await transact(self._database, lambda connection: self._let_go(connection, one))
        except _HeldAgain:
            return False

    async def _let_go(self, connection: Connection, one: Recovery) -> bool:
        """Payouts that nobody knows of are as if they had never been touched; the partner is free."""
        now = self._clock.now()
        if not await recovery.release(connection, one, now):
            return False
        if nobodys(await strays.unsettled(connection, MOST)) or await recovery.in_flight(connection, one.partner):
            raise _HeldAgain  # since the round looked
        since = one.settled_at
        untouched = await recovery.untouched(connection, one.partner, since)
        alike = await lookalikes.of(connection, untouched)
        for start in range(0, len(untouched), _CHUNK):
            found = [
                looks_alike(payout, alike[payout]) if payout in alike else Finding(payout=payout, what=What.UNTOUCHED)
                for payout in untouched[start : start + _CHUNK]
            ]
            await apply(connection, now, self._terms, found)
        data = {"since": one.since.isoformat(), "untouched": len(untouched) - len(alike)}
        await audit.record(connection, now, "gateway", "recovery.release", one.partner, data)
        return True


async def _end_attempts(payouts: Payouts) -> None:
    """All that were never answered are in doubt from now on."""
    while await payouts.tick_deadlines():
        pass


def nobodys(strays: Sequence[Stray]) -> list[Stray]:
    """Credits whose account no participant has: they may have paid anyone, so that nobody can be let go."""
    return [stray for stray in strays if not stray.known_account]
