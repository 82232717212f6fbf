"""The partners' own statements: which days are due, and each read page by page until one reading bears out another."""

from __future__ import annotations

from datetime import date, timedelta

import structlog

from contracts.errors import CallerError, PartnerError, PartnerProtocolError
from contracts.observation import PAYMENTS, StatementKind, StatementPage
from contracts.partner import Capability
from gateway.clock import SKEW_S, jakarta_day
from gateway.partners.desk import Desk
from gateway.resources import Resources
from gateway.services.payouts.absence import (
    MOST_DAYS,
    Calendar,
    listed_from,
)
from gateway.services.payouts.ends import Terms
from gateway.services.reconciliation.days import UnreadDays
from gateway.services.reconciliation.lines import Lines
from gateway.services.reconciliation.listing import MOST_PAGES, Listing
from gateway.services.reconciliation.rounds import MOST_WAITING, Round, whole_since
from gateway.services.reconciliation.strays import Strays
from gateway.services.reconciliation.unlisted import Unlisted
from gateway.services.reconciliation.weighed import (
    KINDS,
    Weighed,
    forget,
    keep_lookalikes,
    suspects,
    tell,
)
from gateway.storage.base.database import AWAY, transact
from gateway.storage.reconciliation import findings, statements
from gateway.storage.reconciliation.statements import StatementRead

MOST_READINGS = 4
"""So often a list of several pages is read until one reading bears out the one before it."""
REST_S, MANY = 5.0, 100
"""Where nothing was due and more than so many wait, they are weighed again after so long."""
MOST_DAYS_A_TICK = 8
AFTER_FAILURE_S = 30.0

_log = structlog.get_logger(__name__)


class Statements:
    """Reads statements and settles what they settle."""

    def __init__(self, resources: Resources) -> None:
        self._clock = resources.clock
        self._on_time = resources.on_time
        self._database = resources.database
        self._vault = resources.vault
        self._desks = resources.desks
        self._strays = Strays(resources)
        self._sweep_s = resources.settings.waits.statement_sweep_s
        terms = {slug: Terms(manifest=desk.manifest, pace=desk.pace) for slug, desk in resources.desks.items()}
        self._lines, self._unlisted = Lines(resources, terms), Unlisted(resources, terms)
        self._not_before = {slug: self._clock.monotonic() for slug in resources.desks}
        self._rounds = {slug: Round() for slug in resources.desks}
        self._unread_days = {slug: UnreadDays() for slug in resources.desks}

    async def tick(self, partner: str) -> int:
        """Read the statements of a partner that are due, and settle what waited for them; how many were read."""
        desk = self._desks[partner]
        if (
            Capability.STATEMENT not in desk.manifest.capabilities
            or self._clock.monotonic() < self._not_before[partner]
        ):
            return 0
        broken: Exception | None = None
        read, unread, failed, due = 0, self._unread_days[partner], False, await self._due(desk)
        for day in unread.order(due, jakarta_day(self._clock.now()), self._clock.monotonic())[:MOST_DAYS_A_TICK]:
            self._on_time()  # many pages were read since the last time
            try:
                await self.read(partner, day)
            except (PartnerError, CallerError) as error:
                _log.warning("statement_not_read", partner=partner, day=str(day), error=type(error).__name__)
                odd = isinstance(error, PartnerProtocolError)
                first_s = self._sweep_s if odd else AFTER_FAILURE_S
                unread.in_vain(day, self._clock.monotonic(), first_s, self._sweep_s)
                if odd:
                    continue  # one day that cannot be read keeps no other from being read
                # Nor does one that is refused, as some partners refuse the day that still runs. Two in a row are the
                # partner's trouble.
                if failed:
                    self._not_before[partner] = self._clock.monotonic() + AFTER_FAILURE_S
                    break
                failed = True
                continue
            except AWAY:
                raise
            except Exception as error:  # noqa: BLE001 - raised below: nor does a row of one day that cannot be applied
                unread.in_vain(day, self._clock.monotonic(), self._sweep_s, self._sweep_s)
                broken = error
                continue
            unread.read(day)
            read, failed = read + 1, False
        if read:
            self._rounds[partner].read_on()
        self._on_time()
        waiting = await self._unlisted.settle(desk, self._rounds[partner])
        if read == 0 and waiting > MANY:
            rest_until = self._clock.monotonic() + min(REST_S, self._sweep_s / 4)
            self._not_before[partner] = max(self._not_before[partner], rest_until)
        if broken is not None:
            raise broken
        return read

    async def read(self, partner: str, day: date) -> StatementRead:
        """Read one day to its end and apply every line; raises `PartnerError` where it cannot be read whole.

        What can be read of it is believed all the same: a page that is missing, a line that cannot be understood or a
        list that does not hold still only keeps it from proving that something is absent.
        """
        weighed = Weighed(partner=partner, day=day, started_at=self._clock.now())
        try:
            return await self._read(weighed)
        finally:
            await self._bear_out(weighed)
            await transact(self._database, lambda connection: tell(connection, self._clock.now(), weighed))

    async def _read(self, weighed: Weighed) -> StatementRead:
        desk, day = self._desks[weighed.partner], weighed.day
        before: Listing | None = None
        for _ in range(MOST_READINGS):
            listing = await self._list(desk, day, weighed)
            # One page is of one moment; while several are read, lines may move from one to the next.
            settled = listing.pages == 1 or (before is not None and before.holds(listing))
            if before is not None and (repeated := listing.repeated(before)):
                await self._lines.apply(desk.slug, day, repeated, weighed)
            if settled or listing.unreadable:
                break
            before = listing
        if weighed.failed is not None:
            raise weighed.failed
        weighed.whole = True
        if listing.unreadable:
            raise PartnerProtocolError(f"{listing.unreadable} lines of the statement of {day} cannot be read")
        if not settled:
            raise PartnerProtocolError(
                f"the statement of {day} lists something else at each of {MOST_READINGS} readings"
            )
        weighed.settled = listing.proves and listing.of(day)
        done = StatementRead(
            partner=desk.slug,
            day=day,
            started_at=weighed.started_at,
            finished_at=self._clock.now(),
            lines=len(listing.identities),
            unknown_lines=len(weighed.unknown),
            proves=weighed.settled,
        )
        async with self._database.transaction() as connection:
            await statements.record(connection, done)
        return done

    async def _bear_out(self, weighed: Weighed) -> None:
        """Before a second credit is told: what lists it, and what listed the others, may since list them no more, as
        partners regenerate their lists.
        """
        async with self._database.connection() as connection:
            doubted = await suspects(connection, weighed)
            await forget(connection, self._clock.now(), weighed, doubted)
            days = await statements.days_of(connection, await suspects(connection, weighed)) if doubted else []
        for day in [day for day in days if day != weighed.day][:MOST_DAYS_A_TICK]:
            again = Weighed(partner=weighed.partner, day=day, started_at=self._clock.now())
            try:
                await self._read(again)
            except (PartnerError, CallerError) as error:
                _log.warning("statement_not_read", partner=again.partner, day=str(day), error=type(error).__name__)
                continue
            async with self._database.connection() as connection:
                await forget(connection, self._clock.now(), again, doubted)

    async def _list(self, desk: Desk, day: date, weighed: Weighed) -> Listing:
        """Read a day's pages once, and apply each as it comes."""
        await self._strays.learn()
        listing, cursor = Listing(), None
        for _ in range(MOST_PAGES):
            page = await self._page(desk, day, cursor)
            lines = listing.add(page)
            nobodys = [one for one in lines if one.line.kind in PAYMENTS and not one.line.names_anything]
            listing.unreadable += len(nobodys)
            weighed.unreadable = max(weighed.unreadable, listing.unreadable)
            without = await self._lines.apply(desk.slug, day, [one for one in lines if one not in nobodys], weighed)
            await self._strays.keep(desk.slug, [one.line for one in without])
            weighed.unknown |= {one.identity for one in without if one.line.kind is StatementKind.CREDIT}
            foreign = [one for one in without if not self._strays.ours(one.line.reference)]
            weighed.foreign |= {one.identity for one in foreign}
            # A stray holds its account; one whose account is not told is held against what may be it.
            unheld = [one.line for one in without if one in foreign or one.line.account is None]
            if alike := [line for line in unheld if line.kind is StatementKind.CREDIT]:
                async with self._database.connection() as connection:
                    await keep_lookalikes(connection, self._vault, self._clock.now(), desk.slug, day, alike)
            cursor = page.next_cursor
            if cursor is None:
                return listing
        raise PartnerError(f"the statement of {day} has more than {MOST_PAGES} pages")

    async def _page(self, desk: Desk, day: date, cursor: str | None) -> StatementPage:
        return await desk.run(
            "statement", lambda context: desk.partner.statement(context, day, cursor), subject=f"statement:{day}"
        )

    async def last_reads(self) -> list[StatementRead]:
        """The last complete read of each partner."""
        async with self._database.connection() as connection:
            return await statements.last_reads(connection)

    async def _due(self, desk: Desk) -> set[date]:
        now = self._clock.now()
        today = jakarta_day(now)
        yesterday = today - timedelta(days=1)
        async with self._database.connection() as connection:
            waiting = await statements.waiting(connection, desk.slug, self._rounds[desk.slug].after, MOST_WAITING)
            waiting = self._rounds[desk.slug].news(waiting)
            since = min([listed_from(row) for row in waiting] + [today])
            reads = await statements.reads(connection, desk.slug, since)
            began = await statements.first_payout_at(connection)
            first = yesterday if began is None else min(jakarta_day(began - timedelta(seconds=SKEW_S)), yesterday)
            first = max(first, today - timedelta(days=MOST_DAYS))
            last = await statements.last_read_of(connection, desk.slug, first)
            again = await findings.wanted(connection, desk.slug, KINDS, first, now - timedelta(seconds=self._sweep_s))
        nothing = {r.day for r in reads if not r.proves and r.started_at > now - timedelta(seconds=self._sweep_s)}
        due = {
            day
            for day in (first + timedelta(days=n) for n in range((today - first).days))
            if day in again or day not in last or last[day] < whole_since(day, now)
        }
        if not any(r.day == today and r.started_at > now - timedelta(seconds=self._sweep_s) for r in reads):
            due.add(today)
        calendar = Calendar(reads)
        for row in waiting:
            _, days = self._unlisted.worth(desk, row, calendar)
            due.update(day for day in days if day not in nothing)
        return due
