"""What lifts each blocker: for its owner an operation that exists, for time or the partner nothing but waiting."""

from __future__ import annotations

from contracts.incentive import BlockerCode

_B = BlockerCode
_LINK = "POST /v1/links"
_ACCOUNT = "PUT /v1/participants/{participant_id}/account"
_PERSON = "PUT /v1/participants/{participant_id}"
_CANCEL = "POST /v1/incentives/{incentive_id}/cancel"
_CHECK = "POST /v1/verifications"
_MOVE = "POST /v1/payouts"
_SETTLE = "POST /v1/settlements"
_RELEASE = "POST /v1/partners/holds/{hold_id}/release"
_COMPARE = "POST /v1/reconciliations"
_PUT_UP = "POST /v1/batches/reapprovals"
CLOSE = "POST /v1/cases/{case_id}/close"

LIFTED_BY: dict[BlockerCode, tuple[str, ...]] = {
    _B.NIK_INVALID: (_PERSON, _CANCEL),
    _B.NIK_MISMATCH: (_PERSON, _ACCOUNT, _LINK),
    _B.NIK_DUPLICATE: (_PERSON, _CANCEL),
    _B.PARTICIPANT_CONFLICT: (_PERSON, _CANCEL),
    _B.KYC_INCOMPLETE: (_CHECK, _LINK),
    _B.ACCOUNT_NOT_FOUND: (_ACCOUNT, _LINK, _MOVE),
    _B.ACCOUNT_BLOCKED: (_ACCOUNT, _LINK, _MOVE),
    _B.ACCOUNT_SHARED: (_ACCOUNT,),
    _B.ACCOUNT_UNPROVED: ("POST /v1/participants/{participant_id}/account-proof", _ACCOUNT, _LINK),
    _B.LINK_REQUIRED: (_LINK,),
    _B.LINK_PENDING: (_LINK,),
    _B.LINK_REVOKED: (_LINK,),
    _B.LINK_HALF_DONE: (_LINK, CLOSE),
    _B.NOTIFICATION_DROPPED: (_COMPARE, CLOSE),
    _B.CONSENT_DENIED: (_LINK,),
    _B.CONSENT_ABANDONED: (_LINK,),
    _B.CONSENT_WITHDRAWN: (_LINK, CLOSE),
    _B.VERIFICATION_PENDING: (_CHECK,),
    _B.VERIFICATION_UNSUPPORTED: (_ACCOUNT,),
    _B.VERIFICATION_EXPIRED: (_CHECK,),
    _B.BALANCE_LIMIT: (_MOVE, _ACCOUNT),
    _B.MONTHLY_LIMIT: (_MOVE, _ACCOUNT),
    _B.PAYMENT_REVERSED: (_ACCOUNT, _LINK, _MOVE),
    _B.PARTNER_REJECTED: (_SETTLE, _CANCEL),
    _B.REASON_MISSING: (_SETTLE,),
    _B.PARTNER_UNAVAILABLE: (_MOVE, _CHECK, _RELEASE),
    _B.PARTNER_PAUSED: ("POST /v1/partners/{partner}/resume",),
    _B.PARTNER_FLOAT_SHORT: (_MOVE, _RELEASE),
    _B.OUTCOME_UNKNOWN: (_SETTLE,),
    _B.CONTRADICTION: (_COMPARE, _SETTLE, CLOSE, _CANCEL),
    _B.APPROVAL_MISSING: (_PUT_UP,),
    _B.APPROVAL_MISMATCH: (_PUT_UP, _CANCEL),
    _B.DEADLINE_PASSED: (_CANCEL,),
    _B.STALLED: (_MOVE, _CHECK, _COMPARE),
}
"""By blocker, the first that helps first; as `METHOD path` of the API."""

CLOSED_BY_HAND = frozenset(code for code, ways in LIFTED_BY.items() if CLOSE in ways)
"""Cases about what is settled between people, outside of the gateway: only they can say that it is. All others close by
themselves once what they tell of is over."""
