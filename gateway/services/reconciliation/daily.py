"""Every finished day is compared by itself, once, and what differs becomes cases: nobody has to remember it."""

from __future__ import annotations

from datetime import date, timedelta

import structlog

from contracts.errors import CallerError, PartnerError
from contracts.incentive import BlockerCode
from contracts.partner import Capability
from gateway.clock import jakarta_day
from gateway.resources import Resources
from gateway.services.reconciliation.reconcile import Reconciliations
from gateway.storage.ops import cases
from gateway.storage.ops.cases import NewCase
from gateway.storage.reconciliation import reconciliation, statements

ACTOR = "gateway"
AFTER_S = 8 * 3_600.0
"""So long after its midnight a day is compared: what was posted late was read once more by then."""
DAYS_BACK = 7
"""What the gateway did not get to within a week is compared by hand."""
MOST_TRIES, AGAIN_S = 5, 3_600.0
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
        if classes:
            found = ", ".join(f"{times} {name}" for name, times in sorted(classes.items()))
            detail = f"the statement of {day} differs from our books: {found}; see reconciliation {done.id}"
            await self._tell(partner, f"differs:{day}:{found}", detail)
        return 1

    async def _due(self, partner: str) -> date | None:
        now = self._clock.now()
        last = jakarta_day(now - timedelta(seconds=AFTER_S)) - timedelta(days=1)
        async with self._database.connection() as connection:
            began = await statements.first_payout_at(connection)
            if began is None:
                return None
            first = max(jakarta_day(began), last - timedelta(days=DAYS_BACK - 1))
            tried = await reconciliation.tries(connection, partner, first, ACTOR)
        for day in (first + timedelta(days=n) for n in range((last - first).days + 1)):
            one = tried.get(day)
            if one is None:
                return day
            if not one.done and one.times < MOST_TRIES and one.last_at <= now - timedelta(seconds=AGAIN_S):
                return day
        return None

    async def _give_up(self, partner: str, day: date) -> None:
        """After the last try the day is a person's."""
        async with self._database.connection() as connection:
            one = (await reconciliation.tries(connection, partner, day, ACTOR)).get(day)
        if one is not None and one.times >= MOST_TRIES:
            detail = f"the statement of {day} could not be compared: run `gateway reconcile` once the partner gives it"
            await self._tell(partner, f"uncompared:{day}", detail)

    async def _tell(self, partner: str, finding: str, detail: str) -> None:
        now = self._clock.now()
        async with self._database.transaction() as connection:
            if await statements.is_news(connection, now, partner, finding):
                case = NewCase(code=BlockerCode.CONTRADICTION, partner=partner, detail=detail)
                await cases.open_cases(connection, now, [case])
