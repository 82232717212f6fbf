"""What statements prove by what they do not list: payouts in doubt that were never booked, refusals that stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import partial

from contracts.observation import Source
from contracts.partner import Mark
from contracts.payout import PayoutState, rejected
from gateway.partners.desk import Desk
from gateway.resources import Resources
from gateway.services.each import together
from gateway.services.payouts.absence import (
    Calendar,
    enough_readings,
    listed_by,
    listed_from,
    only_statements_can_tell,
    silent,
)
from gateway.services.payouts.apply import apply
from gateway.services.payouts.ends import Terms
from gateway.services.payouts.words import ABSENT, Finding, What, Word, WordOrFinding
from gateway.services.reconciliation.rounds import MOST_WAITING, Round
from gateway.services.reconciliation.weighed import (
    looks_alike,
)
from gateway.storage.base.database import AWAY, Connection, transact
from gateway.storage.payouts import observations, payouts
from gateway.storage.payouts.observations import Heard
from gateway.storage.payouts.payouts import PayoutRow
from gateway.storage.reconciliation import lookalikes, statements

_MOST_AT_ONCE = 50
"""So many of them are settled in one transaction, with everything that was heard about them."""


class Unlisted:
    """Settles payouts in doubt, and refusals, that no statement lists."""

    def __init__(self, resources: Resources, terms: Mapping[str, Terms]) -> None:
        self._clock, self._database = resources.clock, resources.database
        self._act_on_assumed = resources.settings.resend_on_assumed_absence
        self._terms = terms

    def worth(self, desk: Desk, row: PayoutRow, readings: Calendar) -> tuple[bool, tuple[date, ...]]:
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
            listed_by(desk.pace, row.sent_deadline),
            readings,
            now=now,
            again_s=desk.pace.confirm_rejection_s,
        )
        return found.enough, found.days

    async def settle(self, desk: Desk, turn: Round) -> int:
        """Payouts in doubt that two complete readings do not list were never booked; nor was a refusal that its
        statements do not list once they are whole. How many waited, of those whose turn it was.
        """
        async with self._database.connection() as connection:
            waiting = await statements.waiting(connection, desk.slug, turn.after, MOST_WAITING)
            news = turn.news(waiting)
            since = min(map(listed_from, news), default=None)
            reads = [] if since is None else await statements.reads(connection, desk.slug, since)
        calendar, failed = Calendar(reads), None
        enough = [row for row in news if self.worth(desk, row, calendar)[0]]
        for start in range(0, len(enough), _MOST_AT_ONCE):
            part = enough[start : start + _MOST_AT_ONCE]
            try:
                await together("unlisted", part, partial(self._judged, desk, turn))
            except AWAY:
                raise
            except Exception as error:  # noqa: BLE001 - raised once all others had their turn
                failed = error
        turn.go_on(waiting)
        if failed is not None:
            raise failed
        return len(waiting)

    async def _judged(self, desk: Desk, turn: Round, rows: Sequence[PayoutRow]) -> list[PayoutRow]:
        judged, unsure = await transact(self._database, partial(self.judge, desk=desk, rows=rows))
        turn.judge(judged)
        turn.hold(unsure)
        return judged

    async def judge(
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

    def _absent(self, desk: Desk, row: PayoutRow, alike: date | None) -> WordOrFinding:
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
