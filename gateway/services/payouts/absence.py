"""When a payout in doubt may be sent again, and when it may be called absent: pure, and nothing else decides it.

A resend exists only as `send_again(permit)`, and a `ResendPermit` only comes out of `resend_permit`: it carries the
reference, the window in which the partner recognises it, and the proof that the first attempt never arrived.
"""

from __future__ import annotations

import enum
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple, Protocol

import msgspec

from contracts.observation import Absence, Source, absence_proved
from contracts.partner import Lifetimes, Mark
from contracts.payout import OutcomeKind, PayoutState
from gateway.clock import SKEW_S, jakarta_day, start_of_jakarta_day
from gateway.partners.desk import Pace
from gateway.services.payouts.ends import Terms, counts
from gateway.services.payouts.words import MISMATCH
from gateway.storage.payouts.observations import Heard
from gateway.storage.payouts.payouts import PayoutRow

MOST_DAYS = 62
"""A statement is never asked for further back; past it only an operator can tell."""
UTC_BEHIND_S = 7 * 3_600.0
_SILENT = frozenset({OutcomeKind.NOT_FOUND, OutcomeKind.UNKNOWN, OutcomeKind.NOT_ACCEPTED})
_OURS = object()


class ResendPermit(msgspec.Struct, frozen=True, kw_only=True):
    """Leave to send one payout a second time: same reference, same frozen body, within the window, on this proof."""

    payout: int
    reference: str
    frozen_hash: bytes
    window_until: datetime
    """`Pace.clocks_s` before the end of the Jakarta day of the first attempt, or of the reference's life where that is
    shorter: by then the answer must have come, for the partner may have begun another day already.
    """
    proof: Absence
    last_heard: int
    """The proof rests on everything heard up to here."""
    seal: object

    def __post_init__(self) -> None:
        if self.seal is not _OURS:
            raise TypeError("a permit to resend comes out of resend_permit and from nowhere else")


class NoPermit(enum.Enum):
    """Why there is none."""

    NOT_PROVED = "not_proved"
    ASSUMED = "assumed"
    """Proved, but only under an assumption about the partner that this installation does not act on."""


def silent(heard: Sequence[Heard], attempt: int) -> bool:
    """Whether the partner has said nothing that means it knows the payout, up to this attempt."""
    return all(
        h.kind in _SILENT
        and (h.kind is not OutcomeKind.UNKNOWN or (h.source is Source.REPLY and h.partner_code not in MISMATCH))
        for h in heard
        if counts(h, attempt)
    )


def resend_permit(
    terms: Terms, payout: PayoutRow, heard: Sequence[Heard], *, now: datetime, answer_s: float, act_on_assumed: bool
) -> ResendPermit | NoPermit:
    """Leave to send a payout again, if its look-ups prove that the first attempt never arrived."""
    rule, lifetimes = terms.manifest.absence, terms.manifest.lifetimes
    if not rule.by_lookup or payout.state is not PayoutState.UNKNOWN or payout.attempt != 1:
        return NoPermit.NOT_PROVED
    if payout.first_sent_at is None or payout.sent_deadline is None or payout.frozen_hash is None:
        return NoPermit.NOT_PROVED
    if not silent(heard, payout.attempt):
        return NoPermit.NOT_PROVED
    until = start_of_jakarta_day(first_day(payout.first_sent_at) + timedelta(days=1))
    if lifetimes.reference_s is not None:
        until = min(until, payout.first_sent_at + timedelta(seconds=lifetimes.reference_s))
    until -= timedelta(seconds=terms.pace.clocks_s)
    proof = Absence(
        last_attempt_at=payout.sent_deadline,
        not_found_at=tuple(h.at for h in heard if h.kind is OutcomeKind.NOT_FOUND and h.source is Source.LOOKUP),
    )
    proved = absence_proved(proof, after_s=terms.pace.absence_s, lookups=terms.pace.absence_lookups, now=now)
    if not proved or now + timedelta(seconds=answer_s) > until:
        return NoPermit.NOT_PROVED
    if rule.mark is Mark.ASSUMED and not act_on_assumed:
        return NoPermit.ASSUMED
    return ResendPermit(
        payout=payout.id,
        reference=payout.reference,
        frozen_hash=payout.frozen_hash,
        window_until=until,
        proof=proof,
        last_heard=max((h.id for h in heard), default=0),
        seal=_OURS,
    )


def first_day(first_sent_at: datetime) -> date:
    """The Jakarta day at whose end a partner may forget a first attempt. What left in a day's first quarter of
    an hour may have been booked before it began, by a partner's clock that is behind ours.
    """
    return jakarta_day(first_sent_at - timedelta(seconds=SKEW_S))


def only_statements_can_tell(terms: Terms, payout: PayoutRow, now: datetime) -> bool:
    """Whether look-ups prove nothing about this payout any more: sent twice, or its first day is over."""
    if payout.state is not PayoutState.UNKNOWN or payout.first_sent_at is None or not terms.manifest.absence.by_lookup:
        return False
    return payout.attempt > 1 or first_day(payout.first_sent_at) != jakarta_day(now)


def key_until(lifetimes: Lifetimes, first_sent_at: datetime) -> datetime | None:
    """Until when a create that may have been sent from a moment on can be sent again without making a second
    instruction; None: the partner promises nothing. What is sent just after midnight, a clock that is behind ours has
    kept under the day before.
    """
    if lifetimes.create_key_s is None:
        return None
    until = first_sent_at + timedelta(seconds=lifetimes.create_key_s)
    if lifetimes.create_keys_purged_daily:
        day = (until - timedelta(seconds=SKEW_S)).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        until = max(until, day + timedelta(days=1) - timedelta(seconds=SKEW_S))
    return until


def listed_from(row: PayoutRow) -> date:
    """The first Jakarta day whose statement may list a payout, by a partner whose clock is behind ours, or whose days
    are UTC's.
    """
    return jakarta_day((row.first_sent_at or row.created_at) - timedelta(seconds=UTC_BEHIND_S + SKEW_S))


def listed_by(pace: Pace, sent_deadline: datetime) -> datetime:
    """From when on a statement lists what left before `sent_deadline`: the absence time later, and once the day has
    begun here under which a partner whose clock is ahead of ours books it.
    """
    ahead = start_of_jakarta_day(jakarta_day(sent_deadline + timedelta(seconds=pace.clocks_s)))
    return max(sent_deadline + timedelta(seconds=pace.absence_s), ahead)


class Reading(Protocol):
    """A statement of one Jakarta day, read to its end."""

    @property
    def day(self) -> date:
        """In Jakarta."""

    @property
    def started_at(self) -> datetime:
        """When the first page was asked for."""

    @property
    def finished_at(self) -> datetime:
        """When the last page had come."""

    @property
    def proves(self) -> bool:
        """Whether what it does not list is not there."""


class Calendar:
    """Readings by day, so that a thousand payouts can be weighed against thousands of them."""

    def __init__(self, reads: Iterable[Reading]) -> None:
        days: dict[date, list[Reading]] = {}
        for read in reads:
            if read.proves:
                days.setdefault(read.day, []).append(read)
        self._starts: dict[date, list[datetime]] = {}
        self._first_ends: dict[date, list[datetime]] = {}
        for day, of_day in days.items():
            of_day.sort(key=lambda read: read.started_at)
            ends = [read.finished_at for read in of_day]
            for at in range(len(ends) - 2, -1, -1):  # the first to end of it and of all begun later
                ends[at] = min(ends[at], ends[at + 1])
            self._starts[day], self._first_ends[day] = [read.started_at for read in of_day], ends

    def first_end(self, day: date, since: datetime) -> datetime | None:
        """When the first complete reading of a day that was begun since then had ended; None: there is none."""
        starts = self._starts.get(day, [])
        at = bisect_left(starts, since)
        return self._first_ends[day][at] if at < len(starts) else None


class Readings(NamedTuple):
    """What the statements read so far are worth for one payout."""

    enough: bool
    days: tuple[date, ...]
    """Days to be read, now; none while it is too early."""


def enough_readings(
    first_day: date,
    since: datetime,
    reads: Calendar,
    *,
    now: datetime,
    again_s: float | None,
    last_day: date | None = None,
) -> Readings:
    """Whether every day from `first_day` to today, or to `last_day` where nothing is booked later, was read completely
    since `since`, and again `again_s` later. Of more than `MOST_DAYS` up to today nothing can be said any more.
    """
    today = jakarta_day(now)
    last = today if last_day is None else min(last_day, today)
    days = [first_day + timedelta(days=n) for n in range((last - first_day).days + 1)]
    if last_day is None and len(days) > MOST_DAYS + 1:
        return Readings(False, ())
    for _ in range(1 if again_s is None else 2):
        if now < since:
            return Readings(False, ())
        done = {day: reads.first_end(day, since) for day in days}
        missing = tuple(day for day, end in done.items() if end is None)
        if missing:
            return Readings(False, missing)
        since = max(end for end in done.values() if end is not None) + timedelta(seconds=again_s or 0.0)
    return Readings(True, ())
