"""How a payout ends, and what its end means for the incentive: paid, refused and by whom, given back, withdrawn."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from contracts.incentive import BlockerCode
from contracts.observation import Source
from contracts.partner import Manifest
from contracts.payout import OPEN_STATES, Outcome, OutcomeKind, PayoutState, Refusal, check_transition
from gateway.clock import JAKARTA
from gateway.partners.desk import Pace
from gateway.storage.ops.cases import NewCase
from gateway.storage.payouts.observations import Heard
from gateway.storage.payouts.payouts import IncentiveFacts, PayoutRow

LIFTED_BY_LINK = frozenset(
    {
        BlockerCode.ACCOUNT_NOT_FOUND,
        BlockerCode.ACCOUNT_BLOCKED,
        BlockerCode.LINK_REVOKED,
        BlockerCode.KYC_INCOMPLETE,
    }
)
"""Blockers met while paying that a new grant of access to the same account answers."""
LIFTED_BY_ACCOUNT = LIFTED_BY_LINK | {BlockerCode.BALANCE_LIMIT, BlockerCode.MONTHLY_LIMIT}
"""Those that another account answers."""
UNSENT = frozenset({PayoutState.RESERVED, PayoutState.PREPARING, PayoutState.PREPARED})
"""States in which nothing that moves money has left."""

_S, _K, _B = PayoutState, OutcomeKind, BlockerCode
ANSWERED_BY_AN_END = (_B.OUTCOME_UNKNOWN, _B.REASON_MISSING, _B.PARTNER_REJECTED)
"""What may have been asked of staff about a payout, and is known once it has ended for good."""
_PAID = (_S.PENDING, _S.SUCCEEDED, _S.REVERSED)
_VIA: dict[tuple[PayoutState, PayoutState], tuple[PayoutState, ...]] = {
    **{(_S.RESERVED, end): (_S.SUBMITTING,) for end in (*_PAID, _S.REJECTED)},
    **{(_S.PREPARED, end): (_S.SUBMITTING,) for end in (*_PAID, _S.REJECTED)},
    **{(_S.PREPARING, end): (_S.PREPARED, _S.SUBMITTING) for end in _PAID},
    (_S.SUBMITTING, _S.CANCELLED): (_S.RESERVED,),
    (_S.PREPARING, _S.CANCELLED): (_S.RESERVED,),
    (_S.UNKNOWN, _S.CANCELLED): (_S.PREPARED,),
    (_S.PENDING, _S.CANCELLED): (_S.UNKNOWN, _S.PREPARED),
}
"""Steps between, where a partner tells of an attempt that we had given up, or a try is given up for good."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What of a partner decides how its words are taken."""

    manifest: Manifest
    pace: Pace


class Standing(msgspec.Struct, kw_only=True):
    """Locked copies of a payout, its incentive and the incentive's other payouts; changed in place."""

    payout: PayoutRow
    incentive: IncentiveFacts
    others: list[PayoutRow]
    recovering: bool = False
    """A recovery is under way at its partner: the store may have forgotten what has left."""


class Effects(msgspec.Struct, kw_only=True):
    """What follows beside the rows."""

    cases: list[NewCase] = []
    answered: list[BlockerCode] = []
    """Codes of cases that this answers."""
    refused: Outcome | None = None
    """A refusal that blames the person, to be weighed with the partner's others."""
    look: bool = False
    """It answers a payout that was tried again for an earlier refusal."""
    lapsed: bool = False
    """The incentive's approval does not hold."""
    pauses: dict[str, str] = {}
    """The partners that must be paused, and why."""


def move(payout: PayoutRow, to: PayoutState) -> None:
    """Take a payout to another state, along the table and nowhere else."""
    for step in (*_VIA.get((payout.state, to), ()), to):
        check_transition(payout.state, step)
        payout.state = step


def stands(payout: PayoutRow) -> bool:
    """Whether it keeps another payout of its incentive from being made."""
    return payout.released_at is None and payout.state is not _S.CANCELLED


def fact(payouts: Sequence[PayoutRow]) -> str | None:
    """What the payouts of one incentive amount to."""
    if any(p.state is _S.SUCCEEDED for p in payouts):
        return "succeeded"
    if any(p.state in OPEN_STATES or (p.state is _S.REJECTED and stands(p)) for p in payouts):
        return "open"
    # A release older than the reversal was the one of its rejection, not the recorded decision after it.
    if any(p.state is _S.REVERSED and (stands(p) or p.released_at <= p.ended_at) for p in payouts):  # type: ignore[operator]
        return "reversed"
    return None


def counts(heard: Heard, attempt: int) -> bool:
    """Whether a word is about every attempt made so far. A refusal of an earlier attempt says nothing about the one
    that left after it; one in reply to a resend nothing about the first, which may itself be why (it filled the
    balance, say).
    """
    if heard.kind is not _K.REJECTED:
        return True
    return heard.attempt >= attempt and not (heard.source is Source.REPLY and heard.attempt > 1)


def dated(heard: Heard) -> datetime | None:
    """When a word holds. What was taken back unapproved gives nothing back, whenever that was: with *completed* beside
    it, it is a contradiction.
    """
    return None if heard.refusal is Refusal.WITHDRAWN else heard.said_at


def new_case(payout: PayoutRow, code: BlockerCode, detail: str) -> NewCase:
    """A case about one payout."""
    return NewCase(code=code, partner=payout.partner, payout=payout.id, incentive=payout.incentive, detail=detail)


def contradiction(s: Standing, effects: Effects, detail: str) -> None:
    """The partner said two things that cannot both be true: a case, and a blocker that says so."""
    effects.cases.append(new_case(s.payout, _B.CONTRADICTION, detail))
    s.incentive.own, s.incentive.own_next_at = _B.CONTRADICTION, None


def cancel(s: Standing, payout: PayoutRow, now: datetime) -> None:
    """A payout that never moved anything ends; it counts as none."""
    move(payout, _S.CANCELLED)
    close(payout, now)
    s.incentive.payouts -= 1
    s.incentive.payout = fact([s.payout, *s.others])


def succeeded(s: Standing, now: datetime, effects: Effects) -> None:
    """The partner credited the account."""
    payout = s.payout
    move(payout, _S.SUCCEEDED)
    close(payout, now)
    payout.reason, payout.technical, payout.reason_due_at = None, False, None
    s.incentive.own = s.incentive.own_next_at = None
    _withdraw_replacements(s, now, effects)
    s.incentive.payout = "succeeded"
    if any(other.state is _S.SUCCEEDED for other in s.others):
        contradiction(s, effects, "two payouts of this incentive were paid: have one given back")
        effects.pauses[payout.partner] = f"payout {payout.id} was the second one paid for its incentive"
    effects.answered += ANSWERED_BY_AN_END


def reversed_(s: Standing, now: datetime, effects: Effects) -> None:
    """The partner gave the money back; only another account and a release start a new payout."""
    payout = s.payout
    move(payout, _S.REVERSED)
    close(payout, now)
    payout.reason, payout.technical, payout.reason_due_at = None, False, None
    cancel_reserved(s, now)
    if not any(stands(other) for other in s.others):
        payout.released_at = None
    s.incentive.payout = fact([payout, *s.others])
    if s.incentive.payout == "reversed":
        s.incentive.own = s.incentive.own_next_at = None
    effects.answered += ANSWERED_BY_AN_END


def release(s: Standing, now: datetime, own: BlockerCode | None) -> None:
    """Another payout may follow, now or once `own` is lifted: this is the recorded decision."""
    payout, incentive = s.payout, s.incentive
    payout.released_at = payout.released_at or now
    payout.next_at = payout.statements_from = None
    incentive.payout = fact([payout, *s.others])
    if incentive.payout is None:
        incentive.own, incentive.own_next_at = own, None
        if own is _B.MONTHLY_LIMIT:
            incentive.own_next_at = next_month(now)


def release_again(s: Standing, now: datetime) -> None:
    """What came back may be paid again: a decision after the reversal, which is how it is told from an older one."""
    payout, incentive = s.payout, s.incentive
    assert payout.ended_at is not None
    payout.released_at = max(now, payout.ended_at + timedelta(microseconds=1))
    incentive.payout = fact([payout, *s.others])
    if incentive.payout is None:
        incentive.own = incentive.own_next_at = None


def next_month(now: datetime) -> datetime:
    """When a monthly limit begins anew: 00:00 Jakarta on the first."""
    local = now.astimezone(JAKARTA)
    return datetime(local.year + local.month // 12, local.month % 12 + 1, 1, tzinfo=JAKARTA)


def close(payout: PayoutRow, now: datetime) -> None:
    """It has ended: nothing is due for it any more."""
    payout.ended_at, payout.next_at, payout.lease_until, payout.statements_from = now, None, None, None


def cancel_reserved(s: Standing, now: datetime) -> None:
    """End what was made in its place and has not left."""
    for other in s.others:
        if other.state is _S.RESERVED:
            cancel(s, other, now)


def paid_again(s: Standing, now: datetime, effects: Effects) -> None:
    """A payout that was given back was paid once more: the decision to make another in its place holds no longer. What
    was made by it and has not left is withdrawn, for the incentive counts as given back.
    """
    _withdraw_replacements(s, now, effects, "given back")
    left = [other for other in s.others if stands(other) and other.state not in UNSENT]
    s.incentive.payout = fact([s.payout, *s.others]) if left else "reversed"


def _withdraw_replacements(s: Standing, now: datetime, effects: Effects, before: str = "refused") -> None:
    """A payout that had been refused turned out paid: what was made in its place must not be paid too."""
    cancel_reserved(s, now)
    for other in s.others:
        if stands(other) and other.state not in UNSENT:
            reason = f"payout {s.payout.id} was paid after it had been {before}, and a second one has left"
            effects.pauses |= {s.payout.partner: reason, other.partner: reason}
            contradiction(s, effects, f"paid after it had been {before}, and a second payout has left in its place")
    if not any(stands(other) for other in s.others):
        s.payout.released_at = None
