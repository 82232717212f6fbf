"""When a day is read again; which of the payouts that wait for a statement are weighed, tick by tick, and which were
judged already.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta

from contracts.payout import PayoutState
from gateway.clock import start_of_jakarta_day
from gateway.storage.payouts.payouts import PayoutRow
from gateway.storage.reconciliation import statements

MOST_WAITING = 1_000
"""So many payouts are weighed in a tick; the next tick goes on behind them."""
POSTED_AFTER_S = (0.0, 6 * 3_600.0, 30 * 3_600.0, 8 * 86_400.0)
"""When a day is read again after its midnight: partners post late, under the day before (decision X12), and correct a
day when its week is over.
"""
_Stood = tuple[PayoutState, int, datetime | None, datetime | None]


class Round:
    """How far a partner's waiting payouts are weighed, and which were judged as they stand now: judged once, however
    long a person takes to settle what the statements cannot. A process that was started anew judges once more.
    """

    def __init__(self) -> None:
        self.after = statements.FIRST
        self._judged: dict[int, _Stood] = {}
        self._met: set[int] = set()
        self._held: set[int] = set()

    def news(self, rows: Sequence[PayoutRow]) -> list[PayoutRow]:
        """Those that were not judged as they stand now."""
        self._met.update(row.id for row in rows)
        return [row for row in rows if self._judged.get(row.id) != _stood(row)]

    def judge(self, rows: Sequence[PayoutRow]) -> None:
        """These need not be weighed again unless they change."""
        self._judged |= {row.id: _stood(row) for row in rows}

    def hold(self, payouts: Iterable[int]) -> None:
        """These were judged, but by lists that are not whole: `read_on` has them weighed again."""
        self._held.update(payouts)

    def read_on(self) -> None:
        """Something more was read."""
        for payout in self._held:
            self._judged.pop(payout, None)
        self._held = set()

    def go_on(self, rows: Sequence[PayoutRow]) -> None:
        """The rest of `rows`' round, or the next one: what did not wait in this one is forgotten."""
        if len(rows) == MOST_WAITING:
            self.after = statements.place(rows[-1])
            return
        self.after = statements.FIRST
        self._judged = {payout: stood for payout, stood in self._judged.items() if payout in self._met}
        self._met = set()


def _stood(row: PayoutRow) -> _Stood:
    """What of a payout the statements are weighed against."""
    return row.state, row.attempt, row.sent_deadline, row.statements_from


def whole_since(day: date, now: datetime) -> datetime:
    """The last moment up to `now` after which a finished day is to be read once more: late lines are posted into it."""
    over = start_of_jakarta_day(day + timedelta(days=1))
    return max(at for at in (over + timedelta(seconds=after_s) for after_s in POSTED_AFTER_S) if at <= now)
