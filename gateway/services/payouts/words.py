"""What reaches a payout: a partner's word, or something that the gateway found out by itself."""

from __future__ import annotations

import enum
from datetime import datetime

import msgspec

from contracts.errors import Hint
from contracts.observation import Source
from contracts.payout import Outcome, OutcomeKind, unknown
from contracts.secret import Secret
from gateway.storage.payouts.payouts import PayoutRow

OTHER_AMOUNT = "other_amount"
OTHER_ACCOUNT = "other_account"
MISMATCH = frozenset({OTHER_AMOUNT, OTHER_ACCOUNT})
"""Codes of our own under which money that is not ours is kept: it ends nothing and is a contradiction."""
OTHER_NUMBER = "other_number"
"""Code of our own: the partner's number in an answer is another payout's, so that the answer may be another's too."""
REFUSED_US = frozenset({"401", "403", "407", "429"})
"""HTTP statuses by which what stands in front of a partner refuses us, kept as the code of an answer that has none."""
ABSENT = "absent_in_statement"
"""Code of our own: two complete readings of the statements do not list the payout."""


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """A partner's word on one payout; stored as an observation."""

    payout: int
    source: Source
    outcome: Outcome
    attempt: int | None = None
    """The attempt it is about; None: the current one."""
    event_key: str | None = None
    """What makes two deliveries one; None: each counts."""
    worker: str | None = None
    """Whose lease ends with this word."""
    keep_lease: bool = False
    """The worker goes on to the next step at once."""


class What(enum.Enum):
    """What the gateway found out by itself; never an observation, never an end of anything that may have left."""

    NOTHING_LEFT = "nothing_left"
    REFUSED = "refused"
    """The partner refused the person before the WRITE left: no end of anything, and no word on a payout."""
    STOPPED = "stopped"
    """Its WRITE was about to leave, and was held back: the same, and no try that the partner could have taken."""
    APPROVAL_MISMATCH = "approval_mismatch"
    """The rows about to be paid are not the ones that two people approved."""
    OVERDUE = "overdue"
    """The deadline for an answer is over."""
    LOOKED_IN_VAIN = "looked_in_vain"
    OVER_LIMIT = "over_limit"
    """The partner credits no such amount (the participant's account moved to another partner, say)."""
    UNPAYABLE = "unpayable"
    """The link, verdict, approval or deadline is gone before anything was sent."""
    WITHDRAWING = "withdrawing"
    """The partner is about to be asked to reject an instruction that stands there."""
    REASON_MISSING = "reason_missing"
    ASSUMED_ABSENT = "assumed_absent"
    """Absence is proved only under an assumption that this installation does not act on."""
    LOOKALIKE = "lookalike"
    """Statements do not list it, but a credit that may be it all the same."""
    KEY_OVER = "key_over"
    """A create is in doubt and the life of its key is over."""
    RELEASED = "released"
    """A payment that came back may be made again: to another account."""
    TOO_LATE = "too_late"
    """The incentive's deadline is over, and a refusal still waits for its reason: nothing may follow it any more."""
    REPLACED = "replaced"
    """Refused, and the payment that took its place is known: nothing about it is waited for any more."""
    RESTORED = "restored"
    """The database was restored: anything may have been done with the payout since that is forgotten now."""
    UNTOUCHED = "untouched"
    """Neither a look-up nor the statements know of a payout that had not been sent when the database was copied."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something found out about one payout."""

    payout: int
    what: What
    attempt: int | None = None
    """NOTHING_LEFT, REFUSED, STOPPED, APPROVAL_MISMATCH: the attempt that was to be made."""
    refused: Outcome | None = None
    """REFUSED: what the partner said, with its reason."""
    hint: Hint = Hint.NONE
    retry_after_s: float | None = None
    until: datetime | None = None
    """RESTORED: by when what is forgotten had left us."""
    detail: str = ""
    worker: str | None = None
    keep_lease: bool = False


WordOrFinding = Word | Finding


def agreed(outcome: Outcome, payout: PayoutRow, account: Secret | None) -> Outcome:
    """The outcome, unless it reports money of another amount or account than ours: that is no verdict. What came back
    in part is no payment given back, and must not be made again whole.
    """
    if outcome.kind not in (OutcomeKind.SUCCEEDED, OutcomeKind.REVERSED):
        return outcome
    if outcome.amount_rupiah is not None and outcome.amount_rupiah != payout.amount_rupiah:
        return unknown(partner_code=OTHER_AMOUNT)
    if outcome.account is not None and account is not None and outcome.account != account:
        return unknown(partner_code=OTHER_ACCOUNT)
    return outcome
