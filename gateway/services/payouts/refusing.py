"""How a refusal is taken: whom it blames, what confirms it, and when another payout may follow."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from contracts.brake import HARD_LOOK, OF_A_PERSON, next_look
from contracts.incentive import BlockerCode
from contracts.observation import Source
from contracts.partner import Blame
from contracts.payout import Outcome, OutcomeKind, PayoutState, Refusal
from contracts.payout import rejected as rejected_for
from gateway.clock import SKEW_S, jakarta_day, start_of_jakarta_day
from gateway.services.payouts.ends import (
    Effects,
    Standing,
    Terms,
    cancel_reserved,
    close,
    fact,
    move,
    new_case,
    next_month,
    release,
    stands,
)
from gateway.services.payouts.words import ABSENT, MISMATCH, REFUSED_US, Word
from gateway.storage.payouts.observations import Heard
from gateway.storage.payouts.payouts import PayoutRow

MOST_PAYOUTS = 3
"""So often a payout of one incentive may fail for reasons that blame nobody before staff must look."""
_LIMITS = frozenset({BlockerCode.BALANCE_LIMIT, BlockerCode.MONTHLY_LIMIT})
ASKED_AGAIN = OF_A_PERSON | _LIMITS
"""Refusals after which the gateway tries again by itself: a full account empties, a wallet is upgraded, and the limit
may have been ours, or a slip of the partner's.
"""
REFUSED_US_WAIT = timedelta(hours=1)
"""Between the payouts of one incentive that a partner refuses in words about us, after the first three."""
LAST_LOOK = timedelta(hours=6)
"""When on its last day a refused payout is tried once more, from 00:00 Jakarta."""

_S, _K, _B = PayoutState, OutcomeKind, BlockerCode
_KNOWN = (_K.PENDING, _K.QUEUED)
"""Words by which the partner has what it refused elsewhere: no statement makes that absent."""


def rejected(terms: Terms, s: Standing, counted: Sequence[Heard], word: Word, now: datetime, effects: Effects) -> None:
    """The partner refused, for the first time or again; `counted`: all of its words that count."""
    payout = s.payout
    said = [h for h in counted if h.kind is _K.REJECTED]
    known = any(h.kind in _KNOWN or h.partner_code in MISMATCH for h in counted)
    if known and not any(h.refusal is Refusal.STATEMENT_DECIDES for h in said):
        payout.statements_from = None
    if payout.state is not _S.REJECTED:
        move(payout, _S.REJECTED)
        close(payout, now)
        payout.looks = 0
        s.incentive.own = s.incentive.own_next_at = None
        effects.answered.append(_B.OUTCOME_UNKNOWN)
    reasons = sorted({h.reason.value for h in said if h.reason is not None})
    by_document = any(h.source is Source.DOCUMENT for h in said)
    if not by_document and any(h.refusal is Refusal.PERHAPS_PAID for h in said):
        _perhaps_paid(s, word, now, effects)
    elif reasons:
        reason, anew = _B(reasons[0]), payout.released_at is None or payout.reason is not _B(reasons[0])
        payout.reason, payout.technical, payout.reason_due_at = reason, False, None
        effects.answered.append(_B.REASON_MISSING)
        if anew:
            codes = [h.partner_code for h in said if h.reason is reason]
            _to_be_weighed(s, rejected_for(reason, partner_code=codes[-1]), effects)
            release(s, now, reason)
            if reason in OF_A_PERSON:
                _look_again(terms, s, now)
        _confirm_reason(terms, s, said, word, now, effects, known=known)
    elif payout.released_at is not None:
        return
    elif word.outcome.reason_may_follow and payout.reason_due_at is None and not any(h.technical for h in said):
        payout.reason_due_at = payout.next_at = now + timedelta(seconds=terms.pace.reason_wait_s)
    elif payout.reason_due_at is None or any(h.technical for h in said):
        payout.technical, payout.reason_due_at = True, None
        effects.answered.append(_B.REASON_MISSING)
        if s.incentive.own is _B.REASON_MISSING:
            s.incentive.own = s.incentive.own_next_at = None
        _confirm(terms, s, counted, word, now, effects, known=known)


def _perhaps_paid(s: Standing, word: Word, now: datetime, effects: Effects) -> None:
    """Refused as a repeat of what was done before, which may have paid: nothing takes its place but by a person."""
    payout = s.payout
    payout.reason, payout.technical = None, False
    payout.reason_due_at = payout.statements_from = payout.next_at = None
    cancel_reserved(s, now)
    if not any(stands(other) for other in s.others):
        payout.released_at = None
    s.incentive.payout = fact([payout, *s.others])
    if s.incentive.own is not _B.CONTRADICTION:
        s.incentive.own, s.incentive.own_next_at = _B.OUTCOME_UNKNOWN, None
    if word.outcome.refusal is Refusal.PERHAPS_PAID:
        detail = f"refused as a repeat of an identical request ({word.outcome.partner_code}): that one may have paid"
        effects.cases.append(new_case(payout, _B.OUTCOME_UNKNOWN, detail))


def _confirm(
    terms: Terms, s: Standing, counted: Sequence[Heard], word: Word, now: datetime, effects: Effects, *, known: bool
) -> None:
    """A refusal without a reason counts once a look-up, made long enough after the first word, says it again; one that
    is in doubt itself, or that no look-up finds, only once the statements of its day and the next do not list it.
    """
    payout, said = s.payout, [h for h in counted if h.kind is _K.REJECTED]
    assert payout.ended_at is not None
    second = payout.ended_at + timedelta(seconds=terms.pace.confirm_rejection_s)
    absent = _absent(said)
    doubtful = not absent and any(h.refusal is Refusal.STATEMENT_DECIDES for h in said)
    if doubtful:
        payout.statements_from = payout.statements_from or _day_after(payout.ended_at)
        if s.incentive.own is None:
            s.incentive.own = _B.OUTCOME_UNKNOWN
    if absent or (not doubtful and _said_again(said, second)):
        payout.confirmed_at, payout.statements_from = now, None
        if sum(one.technical for one in (payout, *s.others)) < MOST_PAYOUTS:
            release(s, now, None)
        elif _about_us(terms, counted):
            release(s, now, _B.PARTNER_UNAVAILABLE)
            if s.incentive.own is _B.PARTNER_UNAVAILABLE:
                s.incentive.own_next_at = now + REFUSED_US_WAIT
        else:
            codes = [h.partner_code for h in said]
            _to_be_weighed(s, rejected_for(_B.PARTNER_REJECTED, partner_code=codes[-1]), effects)
            release(s, now, _B.PARTNER_REJECTED)
            _look_again(terms, s, now)
        _answered(s, effects)
    elif now < second or payout.next_at is None:
        payout.next_at = max(second, now)
    elif word.source is Source.LOOKUP:
        if not doubtful:
            _ask_statements(terms, s, word, now, known=known)
        _look_up_later(terms, payout, now)
        since = payout.statements_from or payout.ended_at
        if since <= terms.pace.over_since(now):
            code = _B.OUTCOME_UNKNOWN if doubtful else _B.PARTNER_REJECTED
            s.incentive.own, s.incentive.own_next_at = code, None
            detail = "a refusal that no statement" if doubtful else "a refusal that no look-up"
            effects.cases.append(new_case(payout, code, f"{detail} ever confirmed"))


def _about_us(terms: Terms, counted: Sequence[Heard]) -> bool:
    """Whether what it last answered to a payment that was not made spoke of us: our token, limit, deposit. However
    often it says so, it says nothing of the person; that it refuses us is told once for all.
    """
    answers = [h.partner_code for h in counted if h.source is Source.REPLY]
    return bool(answers) and (answers[-1] in REFUSED_US or terms.manifest.blames(answers[-1]) is Blame.OURS)


def refused_unsent(terms: Terms, s: Standing, outcome: Outcome, now: datetime, effects: Effects) -> None:
    """The partner refused before anything left: the incentive waits, and is tried again by itself."""
    assert outcome.reason is not None
    _to_be_weighed(s, outcome, effects)
    if s.incentive.payout is None:
        s.incentive.own = outcome.reason
        s.incentive.own_next_at = next_month(now) if outcome.reason is _B.MONTHLY_LIMIT else None
    _look_again(terms, s, now)


def _to_be_weighed(s: Standing, outcome: Outcome, effects: Effects) -> None:
    if outcome.reason in OF_A_PERSON:
        effects.refused, effects.look = outcome, s.incentive.looks > 0


def _confirm_reason(
    terms: Terms, s: Standing, said: Sequence[Heard], word: Word, now: datetime, effects: Effects, *, known: bool
) -> None:
    """A refusal that blames the person is tried again by itself once a look-up a day after it has said it again, as
    partners pay hours after a *failed*, or once the statements of its day and the next do not list what no look-up
    finds; where nothing that moves money had left, without either.
    """
    payout, incentive = s.payout, s.incentive
    assert payout.ended_at is not None
    if payout.confirmed_at is not None:
        return
    second = payout.ended_at + timedelta(seconds=terms.pace.hard_s)
    if payout.attempt == 0 or _said_again(said, second) or _absent(said):
        payout.confirmed_at, payout.next_at, payout.statements_from = now, None, None
        if incentive.payout is None and incentive.own is _B.OUTCOME_UNKNOWN:
            incentive.own, incentive.own_next_at = payout.reason, now
        elif incentive.own is payout.reason and incentive.own in _LIMITS:
            _look_again(terms, s, now)
        elif incentive.payout is None and incentive.own is payout.reason is _B.PARTNER_FLOAT_SHORT:
            incentive.own_next_at = now  # it was never about the person; a deposit still too small says so again
        _answered(s, effects)
    elif now < second or payout.next_at is None:
        payout.next_at = max(second, now)
    elif word.source is Source.LOOKUP:
        _ask_statements(terms, s, word, now, known=known)
        look_for_confirmation(terms, s, now, effects)


def _answered(s: Standing, effects: Effects) -> None:
    """Whether the refusal holds is known: staff need not ask the partner, but where the incentive waits for them."""
    effects.answered.append(_B.OUTCOME_UNKNOWN)
    if s.incentive.own is not _B.PARTNER_REJECTED:
        effects.answered.append(_B.PARTNER_REJECTED)


def _said_again(said: Sequence[Heard], second: datetime) -> bool:
    """Whether a look-up made since then says refused too."""
    return any(h.source is Source.LOOKUP and h.at >= second for h in said)


def _absent(said: Sequence[Heard]) -> bool:
    """Whether statements or a document say that a refused payout was not made."""
    return any(h.partner_code == ABSENT or h.source is Source.DOCUMENT for h in said)


def _ask_statements(terms: Terms, s: Standing, word: Word, now: datetime, *, known: bool) -> None:
    """A refused payout that no look-up finds a day later, and that none ever found otherwise than refused, is for the
    statements of its day and the next: what they do not list was not made.
    """
    payout = s.payout
    assert payout.ended_at is not None
    lost = word.outcome.kind is _K.NOT_FOUND and now >= payout.ended_at + timedelta(seconds=terms.pace.hard_s)
    payout.statements_from = (payout.statements_from or _day_after(payout.ended_at)) if lost and not known else None


def _look_up_later(terms: Terms, payout: PayoutRow, now: datetime) -> None:
    payout.looks += 1
    payout.next_at = now + timedelta(seconds=terms.pace.lookup_after_s(payout.looks))


def look_for_confirmation(terms: Terms, s: Standing, now: datetime, effects: Effects) -> None:
    """The next look-up of a refusal with a reason. Past the horizon nothing follows from it by itself: it may have been
    paid, and staff ask the partner.
    """
    payout, incentive = s.payout, s.incentive
    assert payout.ended_at is not None
    _look_up_later(terms, payout, now)
    since = payout.statements_from or payout.ended_at + timedelta(seconds=terms.pace.hard_s)
    if since > terms.pace.over_since(now):
        return
    payout.next_at = payout.statements_from = None
    if incentive.payout is None:  # whatever it was refused for: a limit heals with time, which proves nothing of it
        detail = "refused, and neither look-up nor statement ever confirmed it: ask the partner whether it paid"
        effects.cases.append(new_case(payout, _B.OUTCOME_UNKNOWN, detail))
        if incentive.own is not _B.CONTRADICTION:
            incentive.own, incentive.own_next_at = _B.OUTCOME_UNKNOWN, None


def _look_again(terms: Terms, s: Standing, now: datetime) -> None:
    """Have what blocks an incentive lifted by itself, so that a new payout shows whether it still holds: within a day
    only where nothing that moves money had left.
    """
    incentive = s.incentive
    if s.payout.attempt > 0:
        incentive.looks = max(incentive.looks, HARD_LOOK)
    if incentive.payout is not None or incentive.own not in ASKED_AGAIN:
        return
    last_at = start_of_jakarta_day(incentive.deadline_on) + LAST_LOOK
    at = next_look(now, incentive.looks, terms.pace.looks_s, last_at)
    if at is not None:
        incentive.looks += 1
        incentive.own_next_at = at if incentive.own_next_at is None else min(at, incentive.own_next_at)


def _day_after(at: datetime) -> datetime:
    """When the statement of the day after `at` is whole, by whichever of the two clocks."""
    return start_of_jakarta_day(jakarta_day(at) + timedelta(days=2)) + timedelta(seconds=SKEW_S)
