"""What a reply, look-up, notification or statement line says about one operation.

Observations are stored and applied order-free: the end state of a payout is a function of their *set*, so that every
order and every duplication of them converges (`fold`).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar

import msgspec

from contracts.errors import PartnerProtocolError
from contracts.jakarta import JAKARTA
from contracts.payout import Outcome, OutcomeKind, PayoutState
from contracts.secret import Secret

T = TypeVar("T")
POSTED_WITHIN = timedelta(seconds=900)
"""For this long after midnight a booking may still be posted under the day before, with a time of that day."""


class Source(enum.Enum):
    """Where a partner's word came from."""

    REPLY = "reply"
    LOOKUP = "lookup"
    NOTIFICATION = "notification"
    STATEMENT = "statement"
    DOCUMENT = "document"
    """On paper, brought by one person and confirmed by another."""


class PayoutNotice(msgspec.Struct, frozen=True, kw_only=True):
    """A notification about one payout; at least one of the two references is set."""

    outcome: Outcome
    reference: str | None = None
    partner_reference: str | None = None


class LinkNotice(msgspec.Struct, frozen=True, kw_only=True):
    """A notification that a link was enabled or disabled: a hint, the look-up made after the last one decides
    (decision G4).
    """

    access_token: Secret
    account_changed: bool = False
    """The customer has another number now: whose the declared one is must be proved anew, though the link may stand."""


class IdentityNotice(msgspec.Struct, frozen=True, kw_only=True):
    """A notification that a KYC finished: a hint to ask again, never a verdict (wallets.md 2.5)."""

    access_token: Secret


class NoNotice(msgspec.Struct, frozen=True, kw_only=True):
    """A verified notification that says nothing about a payout, link or verification of ours (an Iris top-up event,
    say).
    """


Notice = PayoutNotice | LinkNotice | IdentityNotice | NoNotice


class StatementKind(enum.Enum):
    """What one line of a partner's statement did."""

    CREDIT = "credit"
    """We paid the beneficiary."""
    REVERSAL = "reversal"
    FEE = "fee"
    PENDING = "pending"
    """Not booked yet: the payout it names may still be paid; it says nothing of any other."""
    OTHER = "other"
    """Nothing to do with payouts: a deposit, say."""


PAYMENTS = frozenset({StatementKind.CREDIT, StatementKind.REVERSAL, StatementKind.PENDING})
"""What names a payout; fees and deposits do not."""


class StatementLine(msgspec.Struct, frozen=True, kw_only=True):
    """One booking as the partner's own statement shows it."""

    kind: StatementKind
    amount_rupiah: int
    reference: str | None
    """Ours, where the statement carries it."""
    partner_reference: str | None
    account: Secret | None
    booked_at: datetime

    @property
    def names_anything(self) -> bool:
        """Whether it can be told whose it is."""
        return self.reference is not None or self.partner_reference is not None


class StatementPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some lines of one Jakarta day, and the cursor for the next page (None: that was the last)."""

    lines: tuple[StatementLine, ...]
    next_cursor: str | None = None
    unreadable: int = 0
    """Lines that could not be understood: the others count, but the page proves no absence."""
    proves_absence: bool = True
    """False where the partner gave no list at all: that this means an empty one is only assumed."""


def read_rows(rows: Iterable[T], read: Callable[[T], StatementLine]) -> tuple[tuple[StatementLine, ...], int]:
    """Each row by itself: what could be read, and how many rows could not."""
    lines, unreadable = [], 0
    for row in rows:
        try:
            lines.append(read(row))
        except PartnerProtocolError:
            unreadable += 1
    return tuple(lines), unreadable


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of our deposit at the partner."""

    amount_rupiah: int


class Folded(msgspec.Struct, frozen=True, kw_only=True):
    """What a set of observations amounts to: an end state or None, and whether the partner contradicted itself."""

    state: PayoutState | None
    contradiction: bool = False


class Said(NamedTuple):
    """What of one observation decides about an end."""

    kind: OutcomeKind
    said_at: datetime | None = None
    """The partner's own time, None where it gives none."""
    booking: bool = False
    """A line of a statement: it proves that money moved, but not that a later *failed* gave it back."""


def fold(words: Iterable[Said], *, completed_can_fail: bool) -> Folded:
    """The end state that a set of outcomes means, whatever the order in which they reached us.

    *Completed* and then, by the partner's own time, *failed* is a reversal where the manifest says
    `completed_can_fail` (Iris, wallets.md 2.6); so is a refund that the partner names. *Failed*, then *completed* is
    paid. Whatever else has both is paid as far as anyone knows, and a case for an operator. No word takes an end back:
    rejected may turn succeeded, and succeeded reversed. Words that are no end (pending, unknown, not found, queued, not
    accepted) decide nothing here.
    """
    paid, booked, failed, back = _times(words)
    if not (paid or booked or failed or back):
        return Folded(state=None)
    any_paid = paid | booked
    given_back = _earlier(paid, failed)
    if back or (completed_can_fail and given_back):
        paid_again = _paid_after(back, any_paid) or (completed_can_fail and given_back and _earlier(failed, any_paid))
        return Folded(state=PayoutState.REVERSED, contradiction=paid_again)
    if not any_paid:
        return Folded(state=PayoutState.REJECTED)
    unordered = bool(failed) and (None in any_paid | failed or not any_paid.isdisjoint(failed))
    return Folded(state=PayoutState.SUCCEEDED, contradiction=unordered or given_back or _earlier(booked, failed))


Times = set[datetime | None]


def _times(words: Iterable[Said]) -> tuple[Times, Times, Times, Times]:
    """When *completed*, *booked*, *failed* and *given back* were said, to the second: no partner is finer."""
    paid, booked, failed, back = Times(), Times(), Times(), Times()
    for word in words:
        at = None if word.said_at is None else word.said_at.replace(microsecond=0)
        if word.kind is OutcomeKind.SUCCEEDED:
            (booked if word.booking else paid).add(at)
        elif word.kind is OutcomeKind.REJECTED:
            failed.add(at)
        elif word.kind is OutcomeKind.REVERSED:
            back.add(at)
    return paid, booked, failed, back


def _earlier(some: Times, others: Times) -> bool:
    """Whether the partner dates one of `some` before one of `others`."""
    before, after = some - {None}, others - {None}
    return bool(before and after) and min(before) < max(after)  # type: ignore[type-var, operator]


def _paid_after(back: Times, paid: Times) -> bool:
    """Whether the partner dates a payment after money was given back. The first payment is never that one: it is what
    was given back, and may have been posted under the day before (decisions X12).
    """
    dated = [at for at in paid if at is not None]
    return any(
        first < then and not (first < min(dated) and _posted_under_yesterday(first, then))
        for first in back
        if first is not None
        for then in dated
    )


def _posted_under_yesterday(first: datetime, then: datetime) -> bool:
    """Whether `first` may be later than `then` all the same: posted after midnight under the day before."""
    days = first.astimezone(JAKARTA).date(), then.astimezone(JAKARTA).date()
    return days[0] != days[1] and then - first <= POSTED_WITHIN


class Absence(msgspec.Struct, frozen=True, kw_only=True):
    """What has been gathered to prove that a partner never received an attempt."""

    last_attempt_at: datetime
    not_found_at: tuple[datetime, ...]
    """When look-ups said "not found" since the last attempt, ascending."""


def absence_proved(gathered: Absence, *, after_s: float, lookups: int, now: datetime) -> bool:
    """Whether the gathered look-ups prove absence: enough of them, the last one `after_s` or more after the attempt.

    They must be spread over half of that time at least, so that a burst at one moment does not count. When the first
    one came does not matter: while the partner or we were down nobody could ask.
    """
    seen = [at for at in gathered.not_found_at if gathered.last_attempt_at < at <= now]
    if len(seen) < lookups:
        return False
    waited = [(at - gathered.last_attempt_at).total_seconds() for at in seen]
    return waited[-1] >= after_s and waited[-1] - waited[0] >= after_s / 2
