"""How a payout and its incentive change with what is heard: pure, and the only place that decides it.

An end is a function of the set of observations (`fold`), so that every order of them converges; what is no end only
moves a payout that has not ended. `decide` works on locked copies of the rows and returns what else follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from contracts.errors import Hint
from contracts.incentive import BlockerCode
from contracts.observation import Said, Source, fold
from contracts.payout import OPEN_STATES, Outcome, OutcomeKind, PayoutState, Refusal
from gateway.clock import growing_s
from gateway.services.payouts import ends, refusing
from gateway.services.payouts.ends import Effects, Standing, Terms
from gateway.services.payouts.words import MISMATCH, Finding, What, Word, WordOrFinding
from gateway.storage.ops.cases import SAID, NewCase
from gateway.storage.payouts.observations import Heard

MOST_REFUSALS = 6
"""So often "nothing was done" is tried again soon; then the incentive says what it waits for."""
BLOCKED_S, BLOCKED_MAX_S = 300.0, 3_600.0
"""How long it then waits before the gateway tries again; twice as long each time within a day, up to an hour, as each
time is a payout that ends unsent.
"""
BACKOFF_MAX_S = 60.0
HELD_BACK_S = 1.0
"""What we held back ourselves is looked at again so soon."""
_HOLIDAYS = (
    "; it says *pending*: it settles on working days alone, so holidays delay it, and this then closes by itself"
)
LEASE_S = 30.0
"""How long a worker may keep a payout before it sends it, or looks it up."""

_S, _K, _B = PayoutState, OutcomeKind, BlockerCode
_FOLLOWED = (_S.UNKNOWN, _S.PENDING)


def decide(terms: Terms, s: Standing, heard: Sequence[Heard], item: WordOrFinding, now: datetime) -> Effects:
    """Change the locked copies in `s` as `item` demands; `heard` is everything said so far, `item` included."""
    effects, own = Effects(), s.incentive.own
    payout = s.payout
    if item.worker is not None and payout.leased_by == item.worker and not item.keep_lease:
        payout.lease_until = None
    if isinstance(item, Finding):
        _found(terms, s, item, now, effects)
    else:
        _said(terms, s, heard, item, now, effects)
    if any(other.state is _S.SUCCEEDED for other in s.others):
        # Another payout of this incentive was paid: whatever becomes of this one, that stands and staff must see it.
        s.incentive.payout, s.incentive.own, s.incentive.own_next_at = "succeeded", _B.CONTRADICTION, None
    if s.incentive.own is _B.PARTNER_REJECTED and own is not s.incentive.own:
        before = item.refused if isinstance(item, Finding) else None
        effects.cases.append(ends.new_case(payout, _B.PARTNER_REJECTED, _refusal(heard, before)))
    effects.cases = [_in_words(case, heard) for case in effects.cases]
    return effects


def _refusal(heard: Sequence[Heard], before: Outcome | None) -> str:
    codes = [h.partner_code for h in heard if h.kind is _K.REJECTED and h.partner_code is not None]
    codes += [before.partner_code] if before is not None and before.partner_code is not None else []
    return f"the partner refused it ({codes[-1]})" if codes else "the partner refused it"


def _in_words(case: NewCase, heard: Sequence[Heard]) -> NewCase:
    """The case with the partner's latest words in it, where it gave any."""
    words = [h.detail for h in heard if h.detail is not None]
    return msgspec.structs.replace(case, detail=f'{case.detail}{SAID}{words[-1]}"') if words else case


def _said(terms: Terms, s: Standing, heard: Sequence[Heard], word: Word, now: datetime, effects: Effects) -> None:
    payout = s.payout
    counted = [h for h in heard if ends.counts(h, payout.attempt)]
    folded = fold(
        (Said(h.kind, ends.dated(h), h.source is Source.STATEMENT) for h in counted),
        completed_can_fail=terms.manifest.completed_can_fail,
    )
    end = folded.state
    if payout.partner_reference is None:
        payout.partner_reference = word.outcome.partner_reference
    if payout.state is _S.CANCELLED:
        if end in (_S.SUCCEEDED, _S.REVERSED):
            _paid_though_cancelled(s, end, now, effects)
        return
    refusals = [h for h in counted if h.kind is _K.REJECTED]
    if end is _S.REJECTED and payout.state in OPEN_STATES and _taken_back(s, refusals):
        _withdrawn(s, word, now)
        effects.answered += ends.ANSWERED_BY_AN_END
        return
    # With an attempt behind it, or during a recovery, a reserved payout comes out of a restored database: it may have
    # been sent since.
    unsent = payout.state is _S.RESERVED and payout.attempt == 0 and not s.recovering
    broken_promise = unsent and end is _S.SUCCEEDED
    if end is None:
        _passing(terms, s, word, now, effects)
    elif end is _S.REJECTED:
        refusing.rejected(terms, s, counted, word, now, effects)
    elif end is not payout.state:
        (ends.succeeded if end is _S.SUCCEEDED else ends.reversed_)(s, now, effects)
    replaced = s.incentive.own is not _B.CONTRADICTION or any(other.state in ends.UNSENT for other in s.others)
    if folded.contradiction and end is _S.REVERSED and replaced:
        ends.paid_again(s, now, effects)
    if folded.contradiction or broken_promise:
        ends.contradiction(s, effects, "refused and paid: the partner said both")
    elif any(h.partner_code in MISMATCH for h in heard):
        ends.contradiction(s, effects, "the partner moved another amount under our reference, or to another account")


def _passing(terms: Terms, s: Standing, word: Word, now: datetime, effects: Effects) -> None:
    """A word that ends nothing."""
    payout, kind = s.payout, word.outcome.kind
    current = word.attempt is None or word.attempt == payout.attempt
    if kind is _K.NOT_ACCEPTED and current:
        _nothing_done(terms, s, word.outcome.hint, word.outcome.retry_after_s, now, effects)
    elif kind in (_K.UNKNOWN, _K.REJECTED) and payout.state is _S.SUBMITTING and current:
        _in_doubt(terms, s, now, word.outcome.retry_after_s)
    elif kind is _K.UNKNOWN and payout.state is _S.PREPARING and word.source is Source.REPLY:
        payout.sent_deadline = now  # this attempt is over: the same create is sent again, with the same key
        wait_s = max(terms.pace.lookup_after_s(payout.looks), word.outcome.retry_after_s or 0.0)
        payout.next_at = now + timedelta(seconds=wait_s)
    elif kind is _K.UNKNOWN and payout.state is _S.PREPARED and word.source is Source.REPLY:
        _wait(s, Hint.NONE, None, now)  # a withdrawal in doubt moves nothing: looked up, then asked for again
    elif kind is _K.PENDING and payout.state in OPEN_STATES and payout.state is not _S.PENDING:
        ends.move(payout, _S.PENDING)
        payout.looks, payout.next_at = 0, now + timedelta(seconds=terms.pace.lookup_after_s(0))
        s.incentive.own = s.incentive.own_next_at = None
    elif kind is _K.QUEUED and current and word.source is not Source.NOTIFICATION:
        _queued(terms, s, word, now, effects)
    elif word.source is Source.LOOKUP:
        _look_up_again(terms, s, now, effects)


def _queued(terms: Terms, s: Standing, word: Word, now: datetime, effects: Effects) -> None:
    """An instruction stands at the partner and moves nothing until it is approved."""
    payout = s.payout
    if payout.state is _S.PREPARING:
        ends.move(payout, _S.PREPARED)
        payout.looks, payout.next_at = 0, now
        if word.keep_lease:
            payout.leased_by, payout.lease_until = word.worker, now + timedelta(seconds=LEASE_S)
    elif payout.state in (_S.SUBMITTING, _S.UNKNOWN):
        ends.move(payout, _S.PREPARED)
        payout.looks = 0
        s.incentive.own = s.incentive.own_next_at = None
        effects.answered.append(_B.OUTCOME_UNKNOWN)
        _wait(s, Hint.NONE, None, now)  # the approval did nothing
    elif payout.state is _S.PENDING:
        _look_up_again(terms, s, now, effects)


def _nothing_done(
    terms: Terms, s: Standing, hint: Hint, retry_after_s: float | None, now: datetime, effects: Effects
) -> None:
    """Nothing was done: back to where it was, under the same reference. A create that was refused for our deposit is
    not made again: its key may give the same answer once there is money.
    """
    payout = s.payout
    if payout.state is _S.PREPARING and payout.looks > 0:
        if hint is Hint.FLOAT_SHORT:
            payout.next_at = payout.sent_deadline = None
            _unknown_case(s, effects, "a create in doubt was refused for our deposit: find it there, by our reference")
            return
        payout.refusals += 1
        payout.next_at = now + timedelta(seconds=max(_backoff_s(payout.refusals), retry_after_s or 0.0))
    elif _back(terms, s, now):
        if payout.state is _S.RESERVED and hint is Hint.FLOAT_SHORT and terms.manifest.two_step:
            payout.refusals = MOST_REFUSALS
        _wait(s, hint, retry_after_s, now)


def _held_back(terms: Terms, s: Standing, now: datetime) -> None:
    """The same, but by us: no refusal, and due again once there was time to withdraw it."""
    payout = s.payout
    if _back(terms, s, now) or payout.state is _S.PREPARING:
        payout.next_at = now + timedelta(seconds=HELD_BACK_S)


def _mismatched(terms: Terms, s: Standing, detail: str, now: datetime, effects: Effects) -> None:
    """What was about to be paid is not what was approved: taken back, and nothing is sent before people have looked.

    A reserved payout ends; one that stands prepared is withdrawn, as nothing that is not approved is payable.
    """
    _held_back(terms, s, now)
    if s.payout.state is _S.RESERVED:
        ends.cancel(s, s.payout, now)
    s.incentive.own, s.incentive.own_next_at = _B.APPROVAL_MISMATCH, None
    effects.cases.append(ends.new_case(s.payout, _B.APPROVAL_MISMATCH, detail))
    effects.lapsed = True


def _back(terms: Terms, s: Standing, now: datetime) -> bool:
    """Take an attempt back that did nothing; False where an earlier one may have done something."""
    payout = s.payout
    if payout.state is _S.SUBMITTING and not terms.manifest.two_step and payout.attempt > 1:
        _in_doubt(terms, s, now)  # the first attempt is still what must be settled
        return False
    if payout.state is _S.PREPARING and payout.looks > 0:
        return False  # an earlier create may stand
    if payout.state is _S.SUBMITTING:
        payout.attempt -= 1
        ends.move(payout, _S.PREPARED if terms.manifest.two_step else _S.RESERVED)
    elif payout.state is _S.PREPARING:
        ends.move(payout, _S.RESERVED)
    if payout.state is _S.RESERVED:
        payout.first_sent_at = payout.sent_at = payout.sent_deadline = None
    return payout.state in (_S.RESERVED, _S.PREPARED)


def _wait(s: Standing, hint: Hint, retry_after_s: float | None, now: datetime) -> None:
    """Try again soon, or, after too many times, say what it waits for and try again later."""
    payout = s.payout
    payout.refusals += 1
    payout.next_at = now + timedelta(seconds=max(_backoff_s(payout.refusals), retry_after_s or 0.0))
    if payout.refusals < MOST_REFUSALS:
        return
    unsent = [one for one in s.others if one.state is _S.CANCELLED and one.refusals >= MOST_REFUSALS]
    before = sum(one.ended_at is not None and one.ended_at > now - timedelta(days=1) for one in unsent)
    wait_s = growing_s(BLOCKED_S, 2.0, before, BLOCKED_MAX_S)
    until = now + timedelta(seconds=max(wait_s, retry_after_s or 0.0))
    if payout.state is _S.RESERVED:
        ends.cancel(s, payout, now)
    else:
        payout.next_at = until
    s.incentive.own = _B.PARTNER_FLOAT_SHORT if hint is Hint.FLOAT_SHORT else _B.PARTNER_UNAVAILABLE
    s.incentive.own_next_at = until


def _backoff_s(refusals: int) -> float:
    return growing_s(1.0, 2.0, refusals - 1, BACKOFF_MAX_S)


def _in_doubt(terms: Terms, s: Standing, now: datetime, retry_after_s: float | None = None) -> None:
    """A WRITE left and nobody knows what became of it: looked up from now on, no earlier than the partner asked for."""
    payout = s.payout
    ends.move(payout, _S.UNKNOWN)
    assert payout.sent_deadline is not None
    payout.sent_deadline = min(payout.sent_deadline, now)  # nothing of that attempt can leave us any more
    wait_s = max(terms.pace.lookup_after_s(0), retry_after_s or 0.0)
    payout.looks, payout.next_at = 0, now + timedelta(seconds=wait_s)
    s.incentive.own, s.incentive.own_next_at = _B.OUTCOME_UNKNOWN, None


def _look_up_again(terms: Terms, s: Standing, now: datetime, effects: Effects) -> None:
    """The next look-up, and past the horizon an operator's case beside it."""
    payout = s.payout
    if payout.state in (_S.SUBMITTING, _S.RESERVED):
        return
    if payout.released_at is not None:
        if payout.next_at is not None:
            refusing.look_for_confirmation(terms, s, now, effects)
        return
    payout.looks += 1
    payout.next_at = now + timedelta(seconds=terms.pace.lookup_after_s(payout.looks))
    over_since = terms.pace.over_since(now)
    if payout.state in _FOLLOWED and payout.first_sent_at is not None and payout.first_sent_at <= over_since:
        holidays = "" if payout.state is _S.UNKNOWN or terms.pace.weekends else _HOLIDAYS
        over = "look-ups since the last attempt, and the look-up horizon is over"
        _unknown_case(s, effects, f"{payout.looks} {over}{holidays}")
    elif payout.state is _S.REJECTED and payout.ended_at is not None and payout.ended_at <= over_since:
        _unconfirmed(s, effects)


def _unconfirmed(s: Standing, effects: Effects) -> None:
    """A refusal of which neither look-up nor statement can be read any more: somebody must ask the partner."""
    code = _B.PARTNER_REJECTED if s.payout.reason_due_at is None else _B.REASON_MISSING
    effects.cases.append(ends.new_case(s.payout, code, "a refusal that nothing which can be read confirms or explains"))
    if s.incentive.own is None:
        s.incentive.own, s.incentive.own_next_at = code, None


def _unknown_case(s: Standing, effects: Effects, detail: str) -> None:
    effects.cases.append(ends.new_case(s.payout, _B.OUTCOME_UNKNOWN, detail))
    if s.incentive.own is not _B.CONTRADICTION:
        s.incentive.own, s.incentive.own_next_at = _B.OUTCOME_UNKNOWN, None


def _taken_back(s: Standing, refusals: Sequence[Heard]) -> bool:
    """Whether what stood at the partner was taken back before it moved anything: by us, or before any approval left.
    *Failed* is something else: it was approved, and counts as a payout that was made.
    """
    return (s.payout.withdrawing or s.payout.attempt == 0) and all(h.refusal is Refusal.WITHDRAWN for h in refusals)


def _withdrawn(s: Standing, word: Word, now: datetime) -> None:
    """The instruction was rejected at the partner before it moved anything: on our request, which blames nobody, or by
    a person there, whose no staff must read.
    """
    ends.cancel(s, s.payout, now)
    if s.incentive.own is not _B.APPROVAL_MISMATCH:
        s.incentive.own, s.incentive.own_next_at = None if s.payout.withdrawing else word.outcome.reason, None


def _paid_though_cancelled(s: Standing, end: PayoutState, now: datetime, effects: Effects) -> None:
    """Money moved under a payout that had ended as never sent: it counts again, and its replacements must not."""
    s.payout.released_at, s.incentive.payouts = now, s.incentive.payouts + 1
    (ends.succeeded if end is _S.SUCCEEDED else ends.reversed_)(s, now, effects)
    ends.contradiction(s, effects, "the partner paid a payout that had been withdrawn")
    effects.pauses[s.payout.partner] = f"payout {s.payout.id} was paid after it had been withdrawn"


def _found(terms: Terms, s: Standing, finding: Finding, now: datetime, effects: Effects) -> None:
    payout, what = s.payout, finding.what
    current = payout.state in ends.UNSENT or (payout.state is _S.SUBMITTING and payout.attempt == finding.attempt)
    if what is What.STOPPED:
        if current:
            _held_back(terms, s, now)
    elif what is What.APPROVAL_MISMATCH:
        if current:
            _mismatched(terms, s, finding.detail or "its row is not the one that was approved", now, effects)
    elif what is What.REFUSED and finding.refused is not None:
        if current and _back(terms, s, now):
            ends.cancel(s, payout, now)
            refusing.refused_unsent(terms, s, finding.refused, now, effects)
    elif what is What.NOTHING_LEFT:
        if current:
            _nothing_done(terms, s, finding.hint, finding.retry_after_s, now, effects)
    elif what is What.OVERDUE and payout.sent_deadline is not None and payout.sent_deadline < now:
        if payout.state is _S.SUBMITTING:
            _in_doubt(terms, s, now)
        elif payout.state is _S.PREPARING:
            payout.next_at = now
    elif what is What.LOOKED_IN_VAIN:
        _look_up_again(terms, s, now, effects)
    elif what is What.UNPAYABLE:
        if payout.state is _S.RESERVED and (payout.lease_until is None or payout.lease_until <= now):
            ends.cancel(s, payout, now)
    elif what is What.WITHDRAWING and payout.state is _S.PREPARED:
        payout.withdrawing = True
    elif what is What.OVER_LIMIT and payout.state is _S.RESERVED:
        ends.cancel(s, payout, now)
        s.incentive.own, s.incentive.own_next_at = _B.BALANCE_LIMIT, None
    elif what is What.REASON_MISSING and payout.state is _S.REJECTED and payout.released_at is None:
        payout.next_at = None
        s.incentive.own, s.incentive.own_next_at = _B.REASON_MISSING, None
        effects.cases.append(ends.new_case(payout, _B.REASON_MISSING, finding.detail))
    elif what is What.ASSUMED_ABSENT and payout.state is _S.UNKNOWN:
        _unknown_case(s, effects, finding.detail)
    elif what is What.LOOKALIKE:
        _perhaps_listed(terms, s, finding.detail, now, effects)
    elif what is What.KEY_OVER and payout.state is _S.PREPARING:
        payout.next_at = payout.sent_deadline = None  # nothing is due any more, not even the end of an attempt
        _unknown_case(s, effects, finding.detail)
    elif what is What.RELEASED and payout.state is _S.REVERSED:
        ends.release_again(s, now)
    elif what is What.TOO_LATE and payout.state is _S.REJECTED and payout.released_at is None:
        effects.answered += [_B.REASON_MISSING, _B.PARTNER_REJECTED]
        ends.release(s, now, None)
    elif what is What.REPLACED and payout.state is _S.REJECTED and payout.released_at is None:
        effects.answered += ends.ANSWERED_BY_AN_END
        ends.release(s, now, None)
    elif what is What.RESTORED and finding.until is not None:
        _restored(terms, s, finding.until, now)
    elif what is What.UNTOUCHED and payout.state is _S.RESERVED:
        payout.attempt, payout.next_at = 0, now
        payout.first_sent_at = payout.sent_at = payout.sent_deadline = None


def _perhaps_listed(terms: Terms, s: Standing, detail: str, now: datetime, effects: Effects) -> None:
    """A credit that names no payout of ours may be this one: staff ask the partner, and nothing else follows."""
    payout = s.payout
    if payout.state is _S.RESERVED and payout.attempt > 0:  # out of a restored database
        ends.move(payout, _S.SUBMITTING)
        _in_doubt(terms, s, now)
    others = any(ends.stands(other) for other in s.others)
    if payout.state is _S.REJECTED and payout.confirmed_at is None and not others:
        payout.next_at = payout.statements_from = None
        s.incentive.own_next_at = None
    elif payout.state is not _S.UNKNOWN:
        return
    _unknown_case(s, effects, detail)


def _restored(terms: Terms, s: Standing, until: datetime, now: datetime) -> None:
    """Take a payout as if its next attempt had left and nobody had heard of it since; nothing is sent until it is
    `UNTOUCHED`. What proved its absence before proves nothing now, and where one more attempt may have been the last
    one allowed, only statements prove it.
    """
    payout = s.payout
    payout.lease_until = None
    if payout.state is _S.SUBMITTING:
        _in_doubt(terms, s, now)
    if payout.state is _S.RESERVED and terms.manifest.two_step:
        ends.move(payout, _S.PREPARING)  # an instruction may stand: asked for under its key, never made anew
        payout.first_sent_at, payout.sent_at, payout.next_at = payout.created_at, until, None
    elif payout.state is _S.RESERVED and payout.attempt == 0:
        payout.attempt, payout.first_sent_at, payout.sent_at = 1, payout.created_at, until
    elif payout.state is _S.UNKNOWN and not terms.manifest.two_step:
        payout.attempt = max(payout.attempt, 2)
    if payout.state is _S.PREPARING:
        payout.looks = max(payout.looks, 1)  # whatever the next create is answered, an earlier one may stand
    if payout.state in OPEN_STATES and payout.state is not _S.PREPARED:
        payout.sent_deadline = until
    if payout.state in _FOLLOWED or (payout.state is _S.REJECTED and payout.reason_due_at is None):
        payout.looks, payout.next_at = 0, now
