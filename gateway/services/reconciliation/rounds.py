"""Which of the payouts that wait for a statement are weighed, tick by tick, and which were judged already."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from contracts.payout import PayoutState
from gateway.storage.payouts.payouts import PayoutRow
from gateway.storage.reconciliation import statements

MOST_WAITING = 1_000
"""So many payouts are weighed in a tick; the next tick goes on behind them."""
_Stood = tuple[PayoutState, int, datetime | None, datetime | None]


class Round:
    """How far a partner's waiting payouts are weighed, and which were judged as they stand now: judged once, however
    long a person takes to settle what the statements cannot. A process that was started anew judges once more.
    """

    def __init__(self) -> None:
        self.after = statements.FIRST
        self._judged: dict[int, _Stood] = {}
        self._met: set[int] = set()

    def news(self, rows: Sequence[PayoutRow]) -> list[PayoutRow]:
        """Those that were not judged as they stand now."""
        self._met.update(row.id for row in rows)
        return [row for row in rows if self._judged.get(row.id) != _stood(row)]

    def judge(self, rows: Sequence[PayoutRow]) -> None:
        """These need not be weighed again unless they change."""
        self._judged |= {row.id: _stood(row) for row in rows}

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
