"""One reading of a partner's list, line by line, however the list moves meanwhile.

A line is known by what the partner says of it. Listed newest first, a list that grows between two pages shows the last
line of one page again on the next: the same line. Two equal lines of one page are two, and so are two of different
pages where the list, read again, has not moved at all.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import NamedTuple

from contracts.errors import PartnerProtocolError
from contracts.observation import StatementLine, StatementPage
from gateway.clock import SKEW_S, start_of_jakarta_day

MOST_PAGES = 10_000
"""More pages in one day's statement are not read, by whoever reads it; the read then counts as not made. A quarter of
the programme may be paid by one partner in a day, and SNAP lists ten bookings and more on a page.
"""
MOST_BARREN = 3
"""So many pages in a row may have nothing new: a list that moves repeats some lines of a page, one that has lost its
place all of them, without end.
"""
LATE_S = 8 * 3_600.0
"""So long after midnight a booking may be dated that is listed under the day before."""


class Listed(NamedTuple):
    """A line and what it is known by."""

    identity: bytes
    line: StatementLine


class Listing:
    """What one reading has listed so far."""

    def __init__(self) -> None:
        self.identities: set[bytes] = set()
        self.pages = 0
        self.unreadable = 0
        self.proves = True
        self._barren = 0
        self._dated: dict[bytes, datetime] = {}
        self._in_order: list[Listed] = []
        """As they came, repeated ones too."""

    def add(self, page: StatementPage) -> list[Listed]:
        """The lines of a page that no page before it had. Raises `PartnerProtocolError` where it goes in circles."""
        self.pages += 1
        self.unreadable += page.unreadable
        self.proves = self.proves and page.proves_absence
        fresh = []
        for listed in _numbered(page.lines):
            self._in_order.append(listed)
            if listed.identity not in self.identities:
                self.identities.add(listed.identity)
                self._dated[listed.identity] = listed.line.booked_at
                fresh.append(listed)
        self._barren = 0 if fresh or page.unreadable else self._barren + 1
        if self._barren >= MOST_BARREN and page.next_cursor is not None:
            raise PartnerProtocolError(f"{MOST_BARREN} pages of the statement in a row repeat what was listed before")
        return fresh

    def of(self, day: date) -> bool:
        """Whether it can be the list of a Jakarta day: something in it is of that day, or of the hours after, as late
        bookings are; an empty one can be any day's. A cache in front may give another day's.
        """
        begins = start_of_jakarta_day(day)
        first, last = begins - timedelta(seconds=SKEW_S), begins + timedelta(days=1, seconds=LATE_S)
        return not self._dated or any(first <= at < last for at in self._dated.values())

    def holds(self, after: Listing) -> bool:
        """Whether a later reading tells that nothing was missed in this one: it has all of this, and besides only what
        the partner dates at or after the newest line here.
        """
        if not self.identities <= after.identities:
            return False
        newest = max(self._dated.values(), default=None)
        more = [after._dated[identity] for identity in after.identities - self.identities]
        return newest is None or all(at >= newest for at in more)

    def repeated(self, before: Listing) -> list[Listed]:
        """The lines that stand on several pages of a list that did not move since the reading before: each as often as
        it stands there. Nothing where it moved, as a line may then have been read twice.
        """
        if [one.identity for one in self._in_order] != [one.identity for one in before._in_order]:
            return []
        said = Counter(_said(one.line) for one in self._in_order)
        often = {_said(one.line) for one in self._in_order if said[_said(one.line)] > 1}
        return [one for one in self._in_order if _said(one.line) in often]


def booking_identity(line: StatementLine, times: int) -> bytes:
    """What the `times`-th equal booking of one payout is kept under."""
    return _digest((line.kind.value, line.booked_at.timestamp(), times))


def _digest(said: tuple[object, ...]) -> bytes:
    return hashlib.blake2b(repr(said).encode(), digest_size=16).digest()


def _said(line: StatementLine) -> tuple[object, ...]:
    return (line.kind.value, line.reference, line.partner_reference, line.amount_rupiah, line.booked_at.timestamp())


def _numbered(lines: Iterable[StatementLine]) -> list[Listed]:
    times: Counter[tuple[object, ...]] = Counter()
    found = []
    for line in lines:
        said = _said(line)
        times[said] += 1
        found.append(Listed(_digest((*said, times[said])), line))
    return found
