"""Every finished day is compared by itself, and what differs becomes cases: nobody has to remember it.

A day that differs is compared once more, an hour later: a list with a hole in it is nobody's work. What both found, or
the last try did, is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta

import structlog

from contracts.errors import CallerError, PartnerError
from contracts.incentive import BlockerCode
from contracts.partner import Capability
from gateway.clock import jakarta_day
from gateway.resources import Resources
from gateway.services.payouts.absence import MOST_DAYS
from gateway.services.reconciliation.reconcile import Reconciliations
from gateway.storage.ops import cases
from gateway.storage.ops.cases import NewCase
from gateway.storage.reconciliation import findings, reconciliation, statements
from gateway.storage.reconciliation.reconciliation_rules import BreakClass

ACTOR = "gateway"
AFTER_S = 8 * 3_600.0
"""So long after its midnight a day is compared: what was posted late was read once more by then."""
DAYS_BACK = 7
"""So many days are compared of a partner that had no payout before them. From then on each day is, as soon as the
gateway gets to it; what it did not get to before the partner gives the day no more is told.
"""
_DAY = timedelta(days=1)
MOST_TRIES, AGAIN_S = 5, 3_600.0
_DIFFERS = "differs"
_log = structlog.get_logger(__name__)


class Daily:
    """Runs the rules of `gateway reconcile` on finished days."""

    def __init__(self, resources: Resources, reconciliations: Reconciliations) -> None:
        self._clock = resources.clock
        self._database = resources.database
        self._desks = resources.desks
        self._reconciliations = reconciliations

    async def tick(self, partner: str) -> int:
        """Compare the oldest finished day of a partner that was not compared yet; how many days were."""
        if Capability.STATEMENT not in self._desks[partner].manifest.capabilities:
            return 0
        day = await self._due(partner)
        if day is None:
            return 0
        try:
            done = await self._reconciliations.run(partner, day, actor=ACTOR)
        except (PartnerError, CallerError) as error:
            _log.warning("day_not_compared", partner=partner, day=str(day), error=type(error).__name__)
            await self._give_up(partner, day)
            return 0
        classes = await self._reconciliations.by_class(done.id)
        found = ", ".join(f"{times} {name}" for name, times in sorted(classes.items()))
        detail = f"the statement of {day} differs from our books: {found}; see reconciliation {done.id}"
        counts = {_finding(day, one): classes.get(one.value, 0) for one in BreakClass}
        if not done.complete:  # what was not compared may differ all the same
            counts = {finding: times for finding, times in counts.items() if times}
        await self._tell(partner, day, counts, detail, since=done.started_at, at_once=await self._last(partner, day))
        return 1

    async def _due(self, partner: str) -> date | None:
        now = self._clock.now()
        last = jakarta_day(now - timedelta(seconds=AFTER_S)) - _DAY
        async with self._database.connection() as connection:
            if (began := await statements.first_payout_at(connection)) is None:
                return None
            reach = last - MOST_DAYS * _DAY
            since, until = await reconciliation.days_tried(connection, partner, reach, ACTOR)
            if since is None:
                own = await statements.first_payout_at(connection, partner)
                since = max(jakarta_day(began), last - (DAYS_BACK - 1) * _DAY) if own is None else jakarta_day(own)
                until = since - _DAY if since < reach else None
            first = max(since, reach)
            tried = await reconciliation.tries(connection, partner, first, ACTOR)
            again = await findings.wanted(connection, partner, [_DIFFERS], first, now)
        if until is not None and until < reach - _DAY:
            await self._passed_over(partner, until + _DAY, reach - _DAY)
        for day in (first + n * _DAY for n in range((last - first).days + 1)):
            one = tried.get(day)
            if one is None:
                return day
            wanted = (day in again or not one.done) if one.times < MOST_TRIES else not one.told
            if wanted and one.last_at <= now - timedelta(seconds=AGAIN_S):
                return day
        return None

    async def _passed_over(self, partner: str, first: date, last: date) -> None:
        """Nobody ran in time to compare these days."""
        now = self._clock.now()
        detail = (
            f"the statements of {first} to {last} were never compared, and are older than the {MOST_DAYS} days for"
            " which the partner is asked: ask it for its bookings of those days, and look for any that our books lack"
        )
        counts = {f"missed:{first}": (last - first).days + 1}
        async with self._database.transaction() as connection:
            if await findings.note(connection, now, partner, last, counts, since=now, at_once=True):
                case = NewCase(code=BlockerCode.CONTRADICTION, partner=partner, detail=detail)
                await cases.open_cases(connection, now, [case])

    async def _give_up(self, partner: str, day: date) -> None:
        """After the last try the day is a person's."""
        if await self._last(partner, day):
            detail = f"the statement of {day} could not be compared: run `gateway reconcile` once the partner gives it"
            await self._tell(partner, day, {f"uncompared:{day}": 1}, detail, since=self._clock.now(), at_once=True)

    async def _last(self, partner: str, day: date) -> bool:
        """Whether the gateway compares this day no more by itself."""
        async with self._database.connection() as connection:
            one = (await reconciliation.tries(connection, partner, day, ACTOR)).get(day)
        return one is not None and one.times >= MOST_TRIES

    async def _tell(
        self, partner: str, day: date, counts: Mapping[str, int], detail: str, *, since: datetime, at_once: bool
    ) -> None:
        now = self._clock.now()
        async with self._database.transaction() as connection:
            if await findings.note(connection, now, partner, day, counts, since=since, at_once=at_once):
                case = NewCase(code=BlockerCode.CONTRADICTION, partner=partner, detail=detail)
                await cases.open_cases(connection, now, [case])
            await reconciliation.told(connection, partner, day, ACTOR)


def _finding(day: date, difference: BreakClass) -> str:
    return f"{_DIFFERS}:{day}:{difference.value}"
