"""The partners' own statements: read page by page, each line applied, and what they prove about payouts in doubt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import partial

import structlog

from contracts.errors import CallerError, PartnerError, PartnerProtocolError
from contracts.observation import Source, StatementKind, StatementLine, StatementPage
from contracts.partner import Capability, Mark
from contracts.payout import OutcomeKind, PayoutState, rejected, reversed_, succeeded
from contracts.secret import Secret
from gateway.clock import jakarta_day
from gateway.partners.desk import Desk
from gateway.resources import Resources
from gateway.security import places
from gateway.services.payouts.absence import (
    MOST_DAYS,
    Calendar,
    enough_readings,
    listed_by,
    listed_from,
    only_statements_can_tell,
    silent,
)
from gateway.services.payouts.apply import apply
from gateway.services.payouts.ends import SKEW_S, Terms
from gateway.services.payouts.words import ABSENT, Finding, Item, What, Word, agreed
from gateway.services.reconciliation.days import Turns
from gateway.services.reconciliation.listing import Listed, Listing, booking_identity
from gateway.services.reconciliation.rounds import MOST_WAITING, Round, whole_since
from gateway.services.reconciliation.strays import Strays, numbered
from gateway.services.reconciliation.weighed import (
    KINDS,
    Weighed,
    forget,
    keep_lookalikes,
    looks_alike,
    not_booked_yet,
    suspects,
    tell,
)
from gateway.storage.base.database import Connection, transact
from gateway.storage.payouts import observations, payouts
from gateway.storage.payouts.observations import Heard
from gateway.storage.payouts.payouts import PayoutRow
from gateway.storage.reconciliation import findings, lookalikes, statements
from gateway.storage.reconciliation.statements import StatementRead

MOST_PAGES = 2_000
"""More pages in one day's statement are not read; the read then counts as not made."""
MOST_READINGS = 4
"""So often a list of several pages is read until one reading bears out the one before it."""
MOST_AT_ONCE = 50
"""So many of them are settled in one transaction, with everything that was heard about them."""
REST_S, MANY = 5.0, 100
"""Where nothing was due and more than so many wait, they are weighed again after so long."""
MOST_DAYS_A_TICK = 8
AFTER_FAILURE_S = 30.0
_MOVES = (StatementKind.CREDIT, StatementKind.REVERSAL)
_NAMED = (*_MOVES, StatementKind.PENDING)

_log = structlog.get_logger(__name__)


class Statements:
    """Reads statements and settles what they settle."""

    def __init__(self, resources: Resources) -> None:
        self._clock = resources.clock
        self._database = resources.database
        self._vault = resources.vault
        self._desks = resources.desks
        self._strays = Strays(resources)
        self._sweep_s = resources.settings.waits.statement_sweep_s
        self._act_on_assumed = resources.settings.resend_on_assumed_absence
        self._terms = {slug: Terms(manifest=desk.manifest, pace=desk.pace) for slug, desk in resources.desks.items()}
        self._not_before = {slug: self._clock.monotonic() for slug in resources.desks}
        self._rounds = {slug: Round() for slug in resources.desks}
        self._turns = {slug: Turns() for slug in resources.desks}

    async def tick(self, partner: str) -> int:
        """Read the statements of a partner that are due, and settle what waited for them; how many were read."""
        desk = self._desks[partner]
        if (
            Capability.STATEMENT not in desk.manifest.capabilities
            or self._clock.monotonic() < self._not_before[partner]
        ):
            return 0
        read, turns, failed, due = 0, self._turns[partner], False, await self._due(desk)
        for day in turns.order(due, jakarta_day(self._clock.now()), self._clock.monotonic())[:MOST_DAYS_A_TICK]:
            try:
                await self.read(partner, day)
            except (PartnerError, CallerError) as error:
                _log.warning("statement_not_read", partner=partner, day=str(day), error=type(error).__name__)
                odd = isinstance(error, PartnerProtocolError)
                first_s = self._sweep_s if odd else AFTER_FAILURE_S
                turns.in_vain(day, self._clock.monotonic(), first_s, self._sweep_s)
                if odd:
                    continue  # one day that cannot be read keeps no other from being read
                # Nor does one that is refused, as some partners refuse the day that still runs. Two in a row are the
                # partner's trouble.
                if failed:
                    self._not_before[partner] = self._clock.monotonic() + AFTER_FAILURE_S
                    break
                failed = True
                continue
            turns.read(day)
            read, failed = read + 1, False
        if read:
            self._rounds[partner].read_on()
        waiting = await self._settle(desk)
        if read == 0 and waiting > MANY:
            rest_until = self._clock.monotonic() + min(REST_S, self._sweep_s / 4)
            self._not_before[partner] = max(self._not_before[partner], rest_until)
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
                await self._apply(desk, day, repeated, weighed)
            if settled or listing.unreadable:
                break
            before = listing
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
            nobodys = [one for one in lines if one.line.kind in _NAMED and not one.line.names_anything]
            listing.unreadable += len(nobodys)
            weighed.unreadable = max(weighed.unreadable, listing.unreadable)
            without = await self._apply(desk, day, [one for one in lines if one not in nobodys], weighed)
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

    # --- which days ------------------------------------------------------------------------------------------------

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
            _, days = self._worth(desk, row, calendar)
            due.update(day for day in days if day not in nothing)
        return due

    def _worth(self, desk: Desk, row: PayoutRow, readings: Calendar) -> tuple[bool, tuple[date, ...]]:
        """Whether the statements read so far settle a payout, and which days it still wants, now."""
        now = self._clock.now()
        first_day = listed_from(row)
        if row.state is PayoutState.REJECTED:
            since = row.statements_from or row.reason_due_at
            assert since is not None
            found = enough_readings(first_day, since, readings, now=now, again_s=None)
            return found.enough and row.statements_from is not None, found.days
        if row.sent_deadline is None or not only_statements_can_tell(self._terms[desk.slug], row, now):
            return False, ()
        found = enough_readings(
            first_day,
            listed_by(row.sent_deadline, desk.pace.absence_s),
            readings,
            now=now,
            again_s=desk.pace.confirm_rejection_s,
        )
        return found.enough, found.days

    # --- what they say ---------------------------------------------------------------------------------------------

    async def _apply(self, desk: Desk, day: date, lines: Sequence[Listed], weighed: Weighed) -> list[Listed]:
        """Apply lines; the credits and reversals among them that name no payout of ours."""
        moves = [one for one in lines if one.line.kind in _NAMED]
        async with self._database.connection() as connection:
            by_reference, by_number = await statements.ours(connection, desk.slug, [one.line for one in moves])
            rows = [*by_reference.values(), *(row for same in by_number.values() for row in same)]
            known = await statements.known_lines(connection, [row.id for row in rows])
        words: list[Item] = []
        news: list[tuple[int, bytes, StatementLine]] = []
        without: list[Listed] = []
        times: Counter[tuple[int, str, datetime]] = Counter()
        for one in moves:
            row = by_reference.get(one.line.reference or "") or numbered(by_number, one.line)
            if row is None or one.line.kind is StatementKind.PENDING:
                if row is not None and row.state is PayoutState.UNKNOWN:
                    words.append(not_booked_yet(row.id, one.line))
                elif one.line.kind in _MOVES:
                    without.append(one)
                continue
            # Whose it is being known, only kind and moment tell its bookings apart: a number that comes in another
            # form, or not at all, makes no second one.
            booking = (row.id, one.line.kind.value, one.line.booked_at)
            times[booking] += 1
            new = times[booking] > known.get(booking, 0)
            if new:
                news.append((row.id, booking_identity(one.line, times[booking]), one.line))
            weighed.listed[booking] += 1
            word = await self._word(one, row, new=new)
            if word is not None:
                words.append(word)
        if words:
            await transact(self._database, lambda connection: apply(connection, self._clock.now(), self._terms, words))
        if news:  # after the words, so that a line that was not applied is still news
            async with self._database.connection() as connection:
                await statements.keep_lines(connection, self._clock.now(), day, news)
        return without

    async def _word(self, one: Listed, row: PayoutRow, *, new: bool) -> Word | None:
        """What a line says that is news about a payout."""
        line, account = one.line, None
        paid = row.state is PayoutState.SUCCEEDED and line.kind is StatementKind.CREDIT
        if line.account is not None and (new or not paid):
            account = await self._account(row)
        if line.kind is StatementKind.REVERSAL:
            said = reversed_(amount_rupiah=line.amount_rupiah, account=line.account, said_at=line.booked_at)
        else:
            said = succeeded(
                partner_reference=line.partner_reference,
                amount_rupiah=line.amount_rupiah,
                account=line.account,
                said_at=line.booked_at,
            )
        outcome = agreed(said, row, account)
        ended = outcome.kind in (OutcomeKind.SUCCEEDED, OutcomeKind.REVERSED)
        if row.state is PayoutState.REVERSED or (ended and row.state.value == outcome.kind.value):
            return None
        if not ended and not new:
            return None  # told of before
        key = f"statement:{line.kind.value}:{line.partner_reference or ''}"
        if not ended:
            key = f"statement:other:{one.identity.hex()}"
        return Word(payout=row.id, source=Source.STATEMENT, outcome=outcome, event_key=key)

    async def _account(self, row: PayoutRow) -> Secret | None:
        """The account it went to; None: the person was erased, and amount and reference alone tell."""
        async with self._database.connection() as connection:
            sealed = await statements.account_of(connection, row.link_id)
        if not sealed:
            return None
        return Secret(self._vault.open(places.link_account(row.link_id), sealed))

    # --- what they prove -------------------------------------------------------------------------------------------

    async def _settle(self, desk: Desk) -> int:
        """Payouts in doubt that two complete readings do not list were never booked; nor was a refusal that its
        statements do not list once they are whole. How many waited, of those whose turn it was.
        """
        turn = self._rounds[desk.slug]
        async with self._database.connection() as connection:
            waiting = await statements.waiting(connection, desk.slug, turn.after, MOST_WAITING)
            news = turn.news(waiting)
            since = min(map(listed_from, news), default=None)
            reads = [] if since is None else await statements.reads(connection, desk.slug, since)
        calendar = Calendar(reads)
        enough = [row for row in news if self._worth(desk, row, calendar)[0]]
        for start in range(0, len(enough), MOST_AT_ONCE):
            part = enough[start : start + MOST_AT_ONCE]
            judged, unsure = await transact(self._database, partial(self._judge, desk=desk, rows=part))
            turn.judge(judged)
            turn.hold(unsure)
        turn.go_on(waiting)
        return len(waiting)

    async def _judge(
        self, connection: Connection, desk: Desk, rows: Sequence[PayoutRow]
    ) -> tuple[list[PayoutRow], set[int]]:
        """Call absent what is still as it was when the statements were weighed, and of which nobody has said anything;
        those that were still so, told of or not. Beside payments that are known to be made and that no statement lists
        nothing is absent: those are the second half of what comes back.
        """
        now = self._clock.now()
        locked = {row.id: row for row in (await payouts.lock(connection, [row.id for row in rows]))[0]}
        said: dict[int, list[Heard]] = {}
        for one in await observations.heard(connection, [row.id for row in rows]):
            said.setdefault(one.payout, []).append(one)
        same = [row for row in rows if locked[row.id] == row]
        absent = [row for row in same if row.state is PayoutState.REJECTED or silent(said.get(row.id, []), row.attempt)]
        alike = await lookalikes.of(connection, [row.id for row in absent])
        paid_by = now - timedelta(seconds=desk.pace.absence_s)
        unsure = await statements.beside_unlisted(connection, [r.id for r in absent if r.id not in alike], paid_by)
        sure = [row for row in absent if row.id not in unsure]
        await apply(connection, now, self._terms, [self._absent(desk, row, alike.get(row.id)) for row in sure])
        return same, unsure

    def _absent(self, desk: Desk, row: PayoutRow, alike: date | None) -> Item:
        if alike is not None:
            return looks_alike(row.id, alike)
        in_doubt = row.state is PayoutState.UNKNOWN
        if in_doubt and desk.manifest.absence.mark is Mark.ASSUMED and not self._act_on_assumed:
            detail = "its statements, read twice since, do not list it; that this proves its absence is assumed"
            return Finding(payout=row.id, what=What.ASSUMED_ABSENT, detail=detail)
        return Word(
            payout=row.id,
            source=Source.STATEMENT,
            outcome=rejected(None, technical=True, partner_code=ABSENT),
            attempt=row.attempt,
            event_key=f"absent:{row.attempt}",
        )
