"""The payout: one movement of money to one link, for one incentive. Everything that decides its state is in this file.

A payout that left us without a readable verdict is `unknown`: neither failed nor permission to send again. Only a
partner's word ends a payout (`cancelled` excepted: it never reached the partner, or the partner withdrew it).

    one step:   reserved -> submitting -> pending | unknown | succeeded | rejected
    two steps:  reserved -> preparing -> prepared -> submitting -> ...      (an instruction stands at the partner;
    only the approval moves money)
"""

from __future__ import annotations

import enum
import re
from datetime import datetime

import msgspec

from contracts.errors import Hint
from contracts.incentive import BlockerCode
from contracts.linking import Grant
from contracts.money import AmountRupiah
from contracts.secret import Secret


class PayoutState(enum.Enum):
    """Where a payout stands; stored, and changed only along `TRANSITIONS`."""

    RESERVED = "reserved"
    """Money set aside; nothing has left."""
    PREPARING = "preparing"
    """A create was sent (two-step partners); its outcome may be unknown. It moves nothing."""
    PREPARED = "prepared"
    """An instruction stands at the partner and waits for our approval. It moves nothing."""
    SUBMITTING = "submitting"
    """The intent is committed; the WRITE that moves money may have left."""
    UNKNOWN = "unknown"
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    REVERSED = "reversed"
    CANCELLED = "cancelled"


_S = PayoutState
TRANSITIONS: dict[PayoutState, frozenset[PayoutState]] = {
    _S.RESERVED: frozenset({_S.SUBMITTING, _S.PREPARING, _S.CANCELLED}),
    _S.PREPARING: frozenset({_S.PREPARED, _S.RESERVED, _S.REJECTED}),
    _S.PREPARED: frozenset({_S.SUBMITTING, _S.CANCELLED}),
    _S.SUBMITTING: frozenset(
        {_S.RESERVED, _S.PREPARED, _S.PENDING, _S.UNKNOWN, _S.SUCCEEDED, _S.REJECTED, _S.REVERSED}
    ),
    _S.UNKNOWN: frozenset({_S.PENDING, _S.SUCCEEDED, _S.REJECTED, _S.PREPARED, _S.SUBMITTING, _S.REVERSED}),
    _S.PENDING: frozenset({_S.SUCCEEDED, _S.REJECTED, _S.UNKNOWN, _S.REVERSED}),
    _S.SUCCEEDED: frozenset({_S.REVERSED}),
    _S.REJECTED: frozenset({_S.REVERSED, _S.SUCCEEDED}),
    _S.REVERSED: frozenset(),
    _S.CANCELLED: frozenset({_S.SUCCEEDED, _S.REVERSED}),
}
"""Which state may follow which.

`rejected | cancelled -> reversed` only where the manifest says `completed_can_fail`; either `-> succeeded` only as a
contradiction; `submitting -> reserved | prepared` only when no WRITE left or the partner did not accept it.
"""

OPEN_STATES = frozenset({_S.RESERVED, _S.PREPARING, _S.PREPARED, _S.SUBMITTING, _S.UNKNOWN, _S.PENDING})
"""Not ended yet."""
IN_DOUBT = frozenset({_S.PREPARING, _S.SUBMITTING, _S.UNKNOWN, _S.PENDING})
"""Something left for the partner and is followed to its end."""
assert set(TRANSITIONS) == set(PayoutState), "every state has its row"


class IllegalTransition(Exception):
    """A bug in the gateway: a payout was about to move along an edge that the table does not have."""


def check_transition(before: PayoutState, after: PayoutState) -> None:
    """Raise `IllegalTransition` unless `before -> after` is in the table."""
    if after not in TRANSITIONS[before]:
        raise IllegalTransition(f"{before.value} -> {after.value}")


DETAIL_MAX = 300
NAME_MIN = 3
"""A part of a name with this many letters is enough to know a person by."""


def safe_detail(text: str, *private: Secret) -> str | None:
    """A partner's free words, cut to `DETAIL_MAX`, on one line, without runs of four or more digits (accounts, phones,
    NIKs) and without the values of `private` and the names in them, in whatever case; None where nothing is left.
    """
    for secret in private:
        whole = secret.reveal().strip()
        for value in (whole, *(part for part in whole.split() if len(part) >= NAME_MIN)):
            if value:
                text = re.sub(re.escape(value), "***", text, flags=re.IGNORECASE)
    text = re.sub(r"[0-9]{4,}", "***", text)
    text = "".join(each if each.isprintable() else " " for each in text)
    return " ".join(text.split())[:DETAIL_MAX] or None


class OutcomeKind(enum.Enum):
    """What a partner said about one payout, in our words."""

    SUCCEEDED = "succeeded"
    PENDING = "pending"
    """Accepted, moving, not final."""
    QUEUED = "queued"
    """An instruction stands at the partner and waits for approval (two-step partners)."""
    REJECTED = "rejected"
    """Final: no money moved. `reason` and `technical` say why."""
    REVERSED = "reversed"
    """Completed, then given back."""
    NOT_ACCEPTED = "not_accepted"
    """The partner's documents promise that nothing was done; same reference, later. `hint` says why."""
    UNKNOWN = "unknown"
    NOT_FOUND = "not_found"
    """A look-up that does not know the reference: alone it proves nothing."""


class Refusal(enum.Enum):
    """A REJECTED that is not simply final."""

    WITHDRAWN = "withdrawn"
    """An instruction was taken back before it was approved (two-step partners): it moved nothing."""
    STATEMENT_DECIDES = "statement_decides"
    """Nobody knows yet: nothing takes its place until the statements of its day and of the next do not list it."""
    PERHAPS_PAID = "perhaps_paid"
    """Refused as a repeat of an earlier request, which may have paid: only a person may have it replaced."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """A partner's word on one payout; a refusal is an outcome, never an exception."""

    kind: OutcomeKind
    reason: BlockerCode | None = None
    """REJECTED: the blocker it means for the incentive, None where the partner gave no reason."""
    technical: bool = False
    """REJECTED: nothing about the person or account; a new payout may follow once the rejection is confirmed."""
    reason_may_follow: bool = False
    """REJECTED without a reason, where only a notification carries it (Iris)."""
    refusal: Refusal | None = None
    """REJECTED: what is peculiar about it; None: it is final, nothing moved."""
    said_at: datetime | None = None
    """Since when it holds by the partner's own clock (aware); None where the partner does not say. Words are put in
    order by this time alone, never by when they reached us."""
    hint: Hint = Hint.NONE
    retry_after_s: float | None = None
    partner_code: str | None = None
    """The partner's own code, at most 32 characters of `[A-Za-z0-9_.-]`; no free text. A number is written in the
    form that `Manifest.codes` lists (Iris' `15` is `015`).
    """
    detail: str | None = None
    """The partner's own words for staff to read, at most `DETAIL_MAX` printable characters: `safe_detail` has taken
    out of them what names a person.
    """
    partner_reference: str | None = None
    """The partner's number for the payout."""
    amount_rupiah: int | None = None
    """The amount the partner says it booked, or gave back, where it says so; must equal ours."""
    account: Secret | None = None
    """The beneficiary of that, in our form of the account, where the partner says so; must equal ours."""


def succeeded(
    *,
    partner_code: str | None = None,
    partner_reference: str | None = None,
    amount_rupiah: int | None = None,
    account: Secret | None = None,
    said_at: datetime | None = None,
) -> Outcome:
    """The partner credited the account."""
    return Outcome(
        said_at=said_at,
        kind=OutcomeKind.SUCCEEDED,
        partner_code=partner_code,
        partner_reference=partner_reference,
        amount_rupiah=amount_rupiah,
        account=account,
    )


def pending(*, partner_code: str | None = None, partner_reference: str | None = None) -> Outcome:
    """The partner accepted it and has not finished."""
    return Outcome(kind=OutcomeKind.PENDING, partner_code=partner_code, partner_reference=partner_reference)


def queued(partner_reference: str) -> Outcome:
    """An instruction stands at the partner under `partner_reference` and waits for approval."""
    return Outcome(kind=OutcomeKind.QUEUED, partner_reference=partner_reference)


def rejected(
    reason: BlockerCode | None,
    *,
    technical: bool = False,
    partner_code: str | None = None,
    reason_may_follow: bool = False,
    detail: str | None = None,
    refusal: Refusal | None = None,
    said_at: datetime | None = None,
) -> Outcome:
    """The partner said no, finally; `technical` where neither the person nor the account is the cause."""
    return Outcome(
        kind=OutcomeKind.REJECTED,
        reason=reason,
        technical=technical,
        partner_code=partner_code,
        reason_may_follow=reason_may_follow,
        detail=detail,
        refusal=refusal,
        said_at=said_at,
    )


def not_accepted(hint: Hint, *, partner_code: str | None = None, retry_after_s: float | None = None) -> Outcome:
    """A code the manifest lists, with its source, as "nothing was done"."""
    return Outcome(kind=OutcomeKind.NOT_ACCEPTED, hint=hint, partner_code=partner_code, retry_after_s=retry_after_s)


def unknown(
    *, partner_code: str | None = None, retry_after_s: float | None = None, detail: str | None = None
) -> Outcome:
    """No readable verdict; with `retry_after_s` it is looked up no earlier."""
    return Outcome(kind=OutcomeKind.UNKNOWN, partner_code=partner_code, retry_after_s=retry_after_s, detail=detail)


def not_found(*, partner_code: str | None = None) -> Outcome:
    """The look-up does not know the reference (yet)."""
    return Outcome(kind=OutcomeKind.NOT_FOUND, partner_code=partner_code)


def reversed_(
    *,
    partner_code: str | None = None,
    amount_rupiah: int | None = None,
    account: Secret | None = None,
    said_at: datetime | None = None,
) -> Outcome:
    """The partner gave a completed payout back."""
    return Outcome(
        kind=OutcomeKind.REVERSED,
        partner_code=partner_code,
        amount_rupiah=amount_rupiah,
        account=account,
        said_at=said_at,
    )


class PayoutOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a payout plan may put into a WRITE: only stored facts, so that every attempt has the same body."""

    reference: str
    """Ours at the partner, constant over all attempts: 19 digits."""
    amount_rupiah: AmountRupiah
    account: Secret
    """10-digit account number at a bank, E.164 phone (`+62...`) at a wallet."""
    phone: Secret
    """E.164."""
    name: Secret
    created_at: datetime
    """When the payout row was created (aware); the date that goes into a body."""
    grant: Grant | None
    """The participant's access at the partner, where the payout needs it."""
    partner_reference: str | None = None
    """The partner's number, once known (two-step partners; look-ups)."""
    first_sent_at: datetime | None = None
    """When the first attempt was sent; look-ups that name a day use it."""
