"""What a reply, look-up, notification or statement line says about one operation.

Observations are stored and applied order-free: the end state of a payout is a function of their *set*, so that every
order and every duplication of them converges (`fold`).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TypeVar

import msgspec

from contracts.errors import PartnerProtocolError
from contracts.payout import Outcome, OutcomeKind, PayoutState
from contracts.secret import Secret

T = TypeVar("T")


class Source(enum.Enum):
    """Where a partner's word came from."""

    REPLY = "reply"
    LOOKUP = "lookup"
    NOTIFICATION = "notification"
    STATEMENT = "statement"


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
    OTHER = "other"
    """Nothing to do with payouts: a deposit, say."""


class StatementLine(msgspec.Struct, frozen=True, kw_only=True):
    """One booking as the partner's own statement shows it."""

    kind: StatementKind
    amount_rupiah: int
    reference: str | None
    """Ours, where the statement carries it."""
    partner_reference: str | None
    account: Secret | None
    booked_at: datetime


class StatementPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some lines of one Jakarta day, and the cursor for the next page (None: that was the last)."""

    lines: tuple[StatementLine, ...]
    next_cursor: str | None = None
    unreadable: int = 0
    """Lines that could not be understood: the others count, but the page proves no absence."""


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


def fold(kinds: Iterable[OutcomeKind], *, completed_can_fail: bool) -> Folded:
    """The end state that a set of outcomes means.

    *Completed* together with *failed* is a reversal where the manifest says `completed_can_fail` (Iris, wallets.md
    2.6); elsewhere the money counts as paid and the contradiction is a case for an operator. Words that are no end
    (pending, unknown, not found, queued, not accepted) decide nothing here.
    """
    said = set(kinds)
    paid, failed, back = OutcomeKind.SUCCEEDED in said, OutcomeKind.REJECTED in said, OutcomeKind.REVERSED in said
    if back:
        return Folded(state=PayoutState.REVERSED)
    if paid and failed:
        if completed_can_fail:
            return Folded(state=PayoutState.REVERSED)
        return Folded(state=PayoutState.SUCCEEDED, contradiction=True)
    if paid:
        return Folded(state=PayoutState.SUCCEEDED)
    if failed:
        return Folded(state=PayoutState.REJECTED)
    return Folded(state=None)


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
