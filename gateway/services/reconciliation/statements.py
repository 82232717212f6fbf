"""The partners' own statements: read page by page, each line applied, and what they prove about payouts in doubt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta

import structlog

from contracts.errors import CallerError, PartnerError, PartnerProtocolError
from contracts.incentive import BlockerCode
from contracts.observation import Source, StatementKind, StatementLine, StatementPage
from contracts.partner import Capability, Mark
from contracts.payout import PayoutState, rejected, reversed_, succeeded
from contracts.secret import Secret
from gateway.clock import jakarta_day
from gateway.partners.desk import Desk
from gateway.resources import Resources
from gateway.security import places
from gateway.services.payouts.absence import MOST_DAYS, Reading, enough_readings, only_statements_can_tell, silent
from gateway.services.payouts.apply import apply, transact
from gateway.services.payouts.ends import Terms
from gateway.services.payouts.words import ABSENT, Finding, Item, What, Word, agreed
from gateway.services.reconciliation.strays import Strays
from gateway.storage.base.database import Connection
from gateway.storage.ops import cases, switches
from gateway.storage.ops.cases import NewCase
from gateway.storage.payouts import observations, payouts
from gateway.storage.payouts.observations import Heard
from gateway.storage.payouts.payouts import PayoutRow
from gateway.storage.reconciliation import statements
from gateway.storage.reconciliation.statements import StatementRead

MOST_PAGES = 2_000
"""More pages in one day's statement are not read; the read then counts as not made."""
MOST_WAITING = 1_000
MOST_DAYS_A_TICK = 8
AFTER_FAILURE_S = 30.0

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

    async def tick(self, partner: str) -> int:
        """Read the statements of a partner that are due, and settle what waited for them; how many were read."""
        desk = self._desks[partner]
        if (
            Capability.STATEMENT not in desk.manifest.capabilities
            or self._clock.monotonic() < self._not_before[partner]
        ):
            return 0
        read = 0
        for day in (await self._due(desk))[:MOST_DAYS_A_TICK]:
            try:
                await self.read(partner, day)
            except (PartnerError, CallerError) as error:
                _log.warning("statement_not_read", partner=partner, day=str(day), error=type(error).__name__)
                self._not_before[partner] = self._clock.monotonic() + AFTER_FAILURE_S
                if isinstance(error, PartnerProtocolError):
                    continue  # one day that cannot be read keeps no other from being read
                break
            read += 1
        await self._settle(desk)
        return read

    async def read(self, partner: str, day: date) -> StatementRead:
        """Read one day to its end and apply every line; raises `PartnerError` where it cannot be read whole."""
        desk, started_at = self._desks[partner], self._clock.now()
        lines = unknown = foreign = 0
        booked: Counter[int] = Counter()
        cursor: str | None = None
        for _ in range(MOST_PAGES):
            page = await self._page(desk, day, cursor)
            lines += len(page.lines)
            without = await self._apply(desk, page.lines, booked)
            await self._strays.keep(partner, without)
            credits_ = [line for line in without if line.kind is StatementKind.CREDIT]
            unknown += len(credits_)
            foreign += sum(not self._strays.ours(line.reference) for line in credits_)
            cursor = page.next_cursor
            if cursor is None:
                break
        else:
            raise PartnerError(f"the statement of {day} has more than {MOST_PAGES} pages")
        done = StatementRead(
            partner=partner,
            day=day,
            started_at=started_at,
            finished_at=self._clock.now(),
            lines=lines,
            unknown_lines=unknown,
        )
        await transact(self._database, lambda connection: self._finish(connection, done, booked, foreign))
        return done

    async def _page(self, desk: Desk, day: date, cursor: str | None) -> StatementPage:
        return await desk.run(
            "statement", lambda context: desk.partner.statement(context, day, cursor), subject=f"statement:{day}"
        )

    async def last_reads(self) -> list[StatementRead]:
        """The last complete read of each partner."""
        async with self._database.connection() as connection:
            return await statements.last_reads(connection)

    # --- which days ------------------------------------------------------------------------------------------------

    async def _due(self, desk: Desk) -> list[date]:
        now = self._clock.now()
        today = jakarta_day(now)
        yesterday = today - timedelta(days=1)
        async with self._database.connection() as connection:
            waiting = await statements.waiting(connection, desk.slug, MOST_WAITING)
            since = min([_first_day(row) for row in waiting] + [today])
            reads = await statements.reads(connection, desk.slug, since)
            began = await statements.first_payout_at(connection)
            first = yesterday if began is None else min(jakarta_day(began), yesterday)
            first = max(first, today - timedelta(days=MOST_DAYS))
            whole = await statements.whole_days(connection, desk.slug, first)
        # Each day once more after its midnight: it is whole then, however long the partner gave no statements.
        due = {first + timedelta(days=n) for n in range((today - first).days)} - whole
        if not any(r.day == today and r.started_at > now - timedelta(seconds=self._sweep_s) for r in reads):
            due.add(today)
        for row in waiting:
            _, days = self._worth(desk, row, reads)
            due.update(days)
        return sorted(due, reverse=True)  # latest first: an old day that is given no more holds none up

    def _worth(self, desk: Desk, row: PayoutRow, reads: Sequence[StatementRead]) -> tuple[bool, tuple[date, ...]]:
        """Whether the statements read so far settle a payout, and which days it still wants, now."""
        now = self._clock.now()
        readings = [Reading(r.day, r.started_at, r.finished_at) for r in reads]
        first_day = _first_day(row)
        if row.state is PayoutState.REJECTED:
            since = row.statements_from or row.reason_due_at
            assert since is not None
            found = enough_readings(first_day, since, readings, now=now, again_s=None)
            return found.enough and row.statements_from is not None, found.days
        if row.sent_deadline is None or not only_statements_can_tell(self._terms[desk.slug], row, now):
            return False, ()
        found = enough_readings(
            first_day,
            row.sent_deadline + timedelta(seconds=desk.pace.absence_s),
            readings,
            now=now,
            again_s=desk.pace.confirm_rejection_s,
        )
        return found.enough, found.days

    # --- what they say ---------------------------------------------------------------------------------------------

    async def _apply(self, desk: Desk, lines: Sequence[StatementLine], booked: Counter[int]) -> list[StatementLine]:
        """Apply one page; its credits and reversals that name no payout of ours."""
        moves = [line for line in lines if line.kind in (StatementKind.CREDIT, StatementKind.REVERSAL)]
        if any(line.reference is None and line.partner_reference is None for line in moves):
            raise PartnerError("a booking without any reference: whose it is cannot be told")
        async with self._database.connection() as connection:
            by_reference, by_number = await statements.ours(connection, desk.slug, moves)
        words: list[Item] = []
        without: list[StatementLine] = []
        for line in moves:
            row = by_reference.get(line.reference or "") or by_number.get(line.partner_reference or "")
            if row is None:
                without.append(line)
                continue
            booked[row.id] += 1 if line.kind is StatementKind.CREDIT else -1
            word = await self._word(line, row)
            if word is not None:
                words.append(word)
        if words:
            await transact(self._database, lambda connection: apply(connection, self._clock.now(), self._terms, words))
        return without

    async def _word(self, line: StatementLine, row: PayoutRow) -> Word | None:
        """What a line says that is news about a payout."""
        if line.kind is StatementKind.REVERSAL:
            outcome = reversed_(said_at=line.booked_at)
        else:
            account = None
            if line.account is not None and row.state is not PayoutState.SUCCEEDED:
                account = await self._account(row)
            said = succeeded(
                partner_reference=line.partner_reference,
                amount_rupiah=line.amount_rupiah,
                account=line.account,
                said_at=line.booked_at,
            )
            outcome = agreed(said, row, account)
        if row.state is PayoutState.REVERSED or (row.state.value == outcome.kind.value):
            return None
        key = f"statement:{line.kind.value}:{line.partner_reference or ''}"
        return Word(payout=row.id, source=Source.STATEMENT, outcome=outcome, event_key=key)

    async def _account(self, row: PayoutRow) -> Secret:
        async with self._database.connection() as connection:
            sealed = await statements.account_of(connection, row.link_id)
        return Secret(self._vault.open(places.link_account(row.link_id), sealed))

    async def _finish(self, connection: Connection, done: StatementRead, booked: Counter[int], foreign: int) -> None:
        now = self._clock.now()
        await statements.record(connection, done)
        if foreign:
            detail = f"the statement of {done.day} has credits whose reference is not ours"
            await cases.open_cases(
                connection, now, [NewCase(code=BlockerCode.CONTRADICTION, partner=done.partner, detail=detail)]
            )
        twice = [payout for payout, times in booked.items() if times > 1]
        if twice:
            detail = f"the statement of {done.day} has more than one credit for this payout"
            await cases.open_cases(
                connection,
                now,
                [
                    NewCase(code=BlockerCode.CONTRADICTION, partner=done.partner, payout=payout, detail=detail)
                    for payout in twice
                ],
            )
            await switches.pause(connection, now, done.partner, by="gateway", reason=detail)

    # --- what they prove -------------------------------------------------------------------------------------------

    async def _settle(self, desk: Desk) -> None:
        """Payouts in doubt that two complete readings do not list were never booked; nor was a refusal that its
        statements do not list once they are whole.
        """
        async with self._database.connection() as connection:
            waiting = await statements.waiting(connection, desk.slug, MOST_WAITING)
            if not waiting:
                return
            reads = await statements.reads(connection, desk.slug, min(map(_first_day, waiting)))
        enough = [row for row in waiting if self._worth(desk, row, reads)[0]]
        if enough:
            await transact(self._database, lambda connection: self._call_absent(connection, desk, enough))

    async def _call_absent(self, connection: Connection, desk: Desk, rows: Sequence[PayoutRow]) -> None:
        """What is still as it was when the statements were weighed, and of which nobody has said anything."""
        now = self._clock.now()
        locked = {row.id: row for row in (await payouts.lock(connection, [row.id for row in rows]))[0]}
        said: dict[int, list[Heard]] = {}
        for one in await observations.heard(connection, [row.id for row in rows]):
            said.setdefault(one.payout, []).append(one)
        still = [
            row
            for row in rows
            if locked[row.id] == row
            and (row.state is PayoutState.REJECTED or silent(said.get(row.id, []), row.attempt))
        ]
        await apply(connection, now, self._terms, [self._absent(desk, row) for row in still])

    def _absent(self, desk: Desk, row: PayoutRow) -> Item:
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


def _first_day(row: PayoutRow) -> date:
    return jakarta_day(row.first_sent_at or row.created_at)
