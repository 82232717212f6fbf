"""Three-way reconciliation of one partner's Jakarta day: its own statement, our payouts with their ledger, and the
instructions that were handed over. Reads everything, changes nothing but its own record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime, timedelta

import msgspec
import structlog

from contracts.errors import Conflict, InvalidRequest, NotFound, PartnerError, PartnerProtocolError, PartnerUnavailable
from contracts.incentive import Owner
from contracts.observation import StatementKind, StatementLine, StatementPage
from contracts.partner import Capability
from gateway.clock import SKEW_S, jakarta_day, start_of_jakarta_day
from gateway.logs import frames
from gateway.partners.desk import Desk
from gateway.resources import Resources
from gateway.security import places
from gateway.services.payouts.absence import MOST_DAYS
from gateway.services.reconciliation.breaks import NEXT_STEPS
from gateway.services.reconciliation.listing import MOST_PAGES, Listing
from gateway.storage.base.database import Connection
from gateway.storage.ops import audit
from gateway.storage.reconciliation import instances, reconciliation
from gateway.storage.reconciliation.reconciliation import Break, Comparison, Line, Reconciliation

MOST_AT_ONCE = 2
"""Comparisons in the background of one process."""
LIMIT_S = 3_600.0
"""One that has not ended after this is broken off."""
TRIES, AGAIN_S = 4, 1.0
"""How often one page is asked for, and how long after the first failure; then twice that, and so on."""
MOST_WAIT_S = 60.0
"""A partner that wants to be asked again later than this is asked then all the same: a connection is held meanwhile."""
_COPY_LINES = 5_000
_DAY = timedelta(days=1)
_FIRST_DAY = date(2020, 1, 1)
"""Kartu Prakerja began in 2020: no statement of an earlier day concerns it."""
_log = structlog.get_logger(__name__)

Told = Callable[[int], None]
"""Is told how many lines have been read."""


class BreakView(msgspec.Struct, frozen=True, kw_only=True):
    """One difference, with who must act and what to do next; no personal data."""

    n: int
    kind: str
    owner: Owner
    detail: str
    next_step: str
    line: int | None
    payout_id: str | None
    incentive_id: str | None
    reference: str | None
    partner_reference: str | None
    there_rupiah: int | None
    here_rupiah: int | None
    booked_at: datetime | None


class Reconciliations:
    """Compares, in the foreground or in the background, and shows what came out."""

    def __init__(self, resources: Resources) -> None:
        self._clock = resources.clock
        self._database = resources.database
        self._desks = resources.desks
        self._vault = resources.vault
        self._instance = resources.settings.instance
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, partner: str, day: date, *, actor: str, told: Told = lambda _: None) -> Reconciliation:
        """Compare now. Raises `InvalidRequest`, `NotSupported`, and `PartnerError` where the statement cannot be read.

        A page that is there and cannot be understood is a difference like any other: nothing after it is compared.
        """
        self._check(partner, day)
        return await self._do(await self._begin(partner, day, actor), partner, day, told)

    async def start(self, partner: str, day: date, *, actor: str) -> Reconciliation:
        """Compare in the background; one of the same day that is under way is given back instead. Raises as `run`,
        and `Conflict` when too many are under way.
        """
        self._check(partner, day)
        async with self._database.connection() as connection:
            since = self._clock.now() - timedelta(seconds=LIMIT_S)
            under_way = await reconciliation.running(connection, partner, day, since)
        if under_way is not None:
            return await self.get(under_way)
        if len(self._tasks) >= MOST_AT_ONCE:
            raise Conflict(
                f"{MOST_AT_ONCE} reconciliations are under way.",
                code="reconciliations_running",
                remedy="Wait until one has ended.",
            )
        begun = await self._begin(partner, day, actor)
        task = asyncio.create_task(self._in_background(begun, partner, day), name=f"reconciliation {begun}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await self.get(begun)

    async def get(self, reconciliation_id: int) -> Reconciliation:
        """One comparison; raises `NotFound`. One that its process did not live to end is shown as failed."""
        async with self._database.connection() as connection:
            found = await reconciliation.get(connection, reconciliation_id)
        if found is None:
            raise NotFound("There is no such reconciliation.")
        if found.state == "running" and found.started_at < self._clock.now() - timedelta(seconds=LIMIT_S):
            return msgspec.structs.replace(found, state="failed", failure="Interrupted")
        return found

    async def breaks(self, reconciliation_id: int, after: int, limit: int) -> list[BreakView]:
        """The next differences in order."""
        async with self._database.connection() as connection:
            return [_view(one) for one in await reconciliation.breaks(connection, reconciliation_id, after, limit)]

    async def by_class(self, reconciliation_id: int) -> dict[str, int]:
        """How many differences of each class there are."""
        async with self._database.connection() as connection:
            return await reconciliation.by_class(connection, reconciliation_id)

    async def close(self) -> None:
        """Break off what runs in the background."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- one comparison ----------------------------------------------------------------------------------------------

    def _check(self, partner: str, day: date) -> None:
        desk = self._desks.get(partner)
        if desk is None:
            raise InvalidRequest(
                "There is no such partner.", field="partner", remedy=f"They are: {', '.join(self._desks)}."
            )
        desk.require(Capability.STATEMENT)
        if day > jakarta_day(self._clock.now()):
            raise InvalidRequest("The day lies in the future.", field="date")
        if day < _FIRST_DAY:
            raise InvalidRequest("The day lies before the programme began.", field="date")

    async def _begin(self, partner: str, day: date, actor: str) -> int:
        now = self._clock.now()
        async with self._database.transaction() as connection:
            begun = await reconciliation.begin(connection, now, partner, day, actor)
            data = {"partner": partner, "date": day.isoformat()}
            await audit.record(connection, now, actor, "reconciliation.begin", str(begun), data)
        return begun

    async def _in_background(self, begun: int, partner: str, day: date) -> None:
        try:
            await self._do(begun, partner, day, lambda _: None)
        except Exception as error:  # noqa: BLE001 - stored as its failure; nobody waits for the task
            _log.warning("reconciliation_failed", error=type(error).__name__, frames=frames(error))

    async def _do(self, begun: int, partner: str, day: date, told: Told) -> Reconciliation:
        try:
            async with self._database.connection() as connection:
                await reconciliation.prepare(connection)
                try:
                    async with self._clock.timeout(LIMIT_S):
                        await self._compare(connection, begun, self._desks[partner], day, told)
                finally:
                    await reconciliation.clear(connection)
        except BaseException as error:
            async with self._database.connection() as connection:
                await reconciliation.failed(connection, begun, self._clock.now(), type(error).__name__)
            if isinstance(error, TimeoutError):
                raise PartnerUnavailable("The comparison has not ended in time.") from error
            raise
        return await self.get(begun)

    async def _compare(self, connection: Connection, begun: int, desk: Desk, day: date, told: Told) -> None:
        used = {self._instance, *(one.instance for one in await instances.used(connection))}
        by = self._comparison(desk, day, sorted(used))
        lines, unreadable = await self._stage(connection, desk, day, told)
        if unreadable is None:
            for near in self._near(day, await reconciliation.find_absent(connection, by)):
                unreadable = unreadable or await self._stage_near(connection, desk, near)
        now = self._clock.now()
        async with connection.transaction(isolation="repeatable_read"):
            found = await reconciliation.compare(
                connection, begun, now, by, complete=unreadable is None, unreadable=unreadable
            )
            data = {"partner": desk.slug, "date": day.isoformat(), "lines": lines, "breaks": found}
            await audit.record(connection, now, "gateway", "reconciliation.end", str(begun), data)

    def _comparison(self, desk: Desk, day: date, used: Sequence[str]) -> Comparison:
        begins = start_of_jakarta_day(day)
        return Comparison(
            partner=desk.slug,
            instances=used,
            begins=begins,
            ends=begins + _DAY,
            read_at=self._clock.now(),
            skew=timedelta(seconds=SKEW_S),
            absence=timedelta(seconds=desk.pace.absence_s),
            oldest=begins - MOST_DAYS * _DAY,
        )

    def _near(self, day: date, windows: Sequence[tuple[datetime, datetime]]) -> list[date]:
        """The other days on which what is not listed may have been booked."""
        skew, today = timedelta(seconds=SKEW_S), jakarta_day(self._clock.now())
        found: set[date] = set()
        for sent_from, ended_at in windows:
            first = max(jakarta_day(sent_from - skew), day - MOST_DAYS * _DAY)
            last = min(jakarta_day(ended_at + skew), today)
            found.update(first + n * _DAY for n in range((last - first).days + 1))
        return sorted(found - {day})

    # --- reading -----------------------------------------------------------------------------------------------------

    async def _stage(self, connection: Connection, desk: Desk, day: date, told: Told) -> tuple[int, str | None]:
        """Copy the day's lines in, page by page; how many there were, and what could not be read."""
        waiting: list[Line] = []
        read, listing = 0, Listing()

        async def take(page: StatementPage) -> None:
            nonlocal read
            for _, line in listing.add(page):
                read += 1
                waiting.append(self._line(desk.slug, read, line))
            if len(waiting) >= _COPY_LINES:
                await reconciliation.add_lines(connection, waiting)
                waiting.clear()
            told(read)

        unreadable = await self._pages(desk, day, take)
        if waiting:
            await reconciliation.add_lines(connection, waiting)
        return read, unreadable

    async def _stage_near(self, connection: Connection, desk: Desk, day: date) -> str | None:
        listing = Listing()

        async def take(page: StatementPage) -> None:
            credits_ = [line for _, line in listing.add(page) if line.kind is StatementKind.CREDIT]
            await reconciliation.add_near(connection, [(c.reference, c.partner_reference) for c in credits_])

        return await self._pages(desk, day, take)

    async def _pages(self, desk: Desk, day: date, take: Callable[[StatementPage], Awaitable[None]]) -> str | None:
        """Every page of a statement in turn; what could not be read."""
        cursor: str | None = None
        unreadable = 0
        for page in range(1, MOST_PAGES + 1):
            try:
                found = await self._page(desk, day, cursor)
            except PartnerProtocolError:
                return f"page {page} of the statement of {day} cannot be read, nor anything after it"
            await take(found)
            unreadable += found.unreadable
            cursor = found.next_cursor
            if cursor is None:
                return f"{unreadable} lines of the statement of {day} cannot be read" if unreadable else None
        raise PartnerError(f"the statement of {day} has more than {MOST_PAGES} pages")

    async def _page(self, desk: Desk, day: date, cursor: str | None) -> StatementPage:
        wait_s = AGAIN_S
        for _ in range(TRIES - 1):
            try:
                return await self._ask(desk, day, cursor)
            except (PartnerUnavailable, PartnerProtocolError) as error:
                await self._clock.sleep(min(error.retry_after_s or wait_s, MOST_WAIT_S))
                wait_s *= 2
        return await self._ask(desk, day, cursor)

    async def _ask(self, desk: Desk, day: date, cursor: str | None) -> StatementPage:
        return await desk.run(
            "statement", lambda context: desk.partner.statement(context, day, cursor), subject=f"reconciliation:{day}"
        )

    def _line(self, partner: str, number: int, line: StatementLine) -> Line:
        account = None
        if line.account is not None:
            account = self._vault.index(places.account_index(partner), line.account.reveal())
        return (
            number, line.kind.value, line.amount_rupiah, line.reference, line.partner_reference, account,
            line.booked_at,
        )  # fmt: skip


def _view(one: Break) -> BreakView:
    step = NEXT_STEPS[one.kind]
    return BreakView(
        n=one.n,
        kind=one.kind.value,
        owner=step.owner,
        detail=one.detail,
        next_step=step.text,
        line=one.line,
        payout_id=None if one.payout is None else str(one.payout),
        incentive_id=None if one.incentive is None else str(one.incentive),
        reference=one.reference,
        partner_reference=one.partner_reference,
        there_rupiah=one.there_rupiah,
        here_rupiah=one.here_rupiah,
        booked_at=one.booked_at,
    )
