"""What a partner's answer to one call tells about the partner itself, for whoever decides whether to go on feeding it.

A refusal about a person tells nothing: neither that the partner works nor that it does not.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

import httpx
import msgspec

from adapters.answers import retry_after_s
from contracts.errors import Hint, OutcomeUnknown, PartnerError
from contracts.hold import CallFault
from contracts.identity import IdentityAnswer, Verdict
from contracts.linking import LinkHealth, LinkHeld, LinkRefused
from contracts.partner import Blame, Manifest
from contracts.payout import Outcome, OutcomeKind
from contracts.plan import Plan
from gateway.partners.transport import NEVER_SENT

T = TypeVar("T")

_BY_HINT = {
    Hint.OUR_TOKEN: CallFault.UNAUTHORIZED,
    Hint.THROTTLED: CallFault.THROTTLED,
    Hint.LATER: CallFault.LATER,
    Hint.FLOAT_SHORT: CallFault.FLOAT_SHORT,
    Hint.CREDENTIALS: CallFault.CREDENTIALS,
}
_OF_THE_PERSON = frozenset({Hint.CUSTOMER_TOKEN, Hint.SESSION})


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What one operation told about its partner."""

    good: bool
    """It did what it was asked."""
    fault: CallFault | None = None
    words: str = ""
    """The partner's own code, or the HTTP status; never free text."""
    retry_after_s: float | None = None


class Watch(Protocol):
    """Who wants to know."""

    def told(self, operation: str, told: Told) -> None:
        """An operation of `Partner` ended; never blocks, never raises."""


class LastAnswer:
    """What of the last answer that a plan got is about the partner; None: it got none."""

    def __init__(self) -> None:
        self.operation: str | None = None
        self.status: int | None = None
        self.retry_after_s: float | None = None


def seen_by(plan: Plan[T], seen: LastAnswer) -> Plan[T]:
    """The same plan, whose answers' status is kept in `seen`."""
    try:
        request = next(plan)
        while True:
            seen.operation, seen.status, seen.retry_after_s = request.operation, None, None
            response = yield request
            seen.status, seen.retry_after_s = response.status, retry_after_s(response)
            request = plan.send(response)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        plan.close()


def of_error(error: PartnerError | OutcomeUnknown, seen: LastAnswer, manifest: Manifest) -> Told:
    """What an error tells."""
    if error.hint in _OF_THE_PERSON:
        return Told(good=False)
    if manifest.blames(error.partner_code) is Blame.OURS:
        return _told(_BY_HINT.get(error.hint, CallFault.CREDENTIALS), error.partner_code, seen, error.retry_after_s)
    fault = _BY_HINT.get(error.hint) or _by_transport(error) or _by_status(seen.status) or CallFault.UNREADABLE
    return _told(fault, error.partner_code, seen, error.retry_after_s or seen.retry_after_s)


def of_result(result: object, seen: LastAnswer, manifest: Manifest) -> Told:
    """What an answer tells."""
    if isinstance(result, IdentityAnswer | Outcome) and manifest.blames(result.partner_code) is Blame.OURS:
        hint = result.hint if isinstance(result, Outcome) else Hint.NONE
        return _told(_BY_HINT.get(hint, CallFault.CREDENTIALS), result.partner_code, seen, None)
    if isinstance(result, IdentityAnswer):
        return Told(good=result.verdict in (Verdict.MATCH, Verdict.PENDING))
    if isinstance(result, LinkHealth):
        return Told(good=result is LinkHealth.ACTIVE)
    if not isinstance(result, Outcome):  # None: a grant that the partner does not renew
        return Told(good=result is not None and not isinstance(result, LinkRefused | LinkHeld))
    if result.kind is OutcomeKind.NOT_ACCEPTED and result.hint not in _OF_THE_PERSON:
        fault = _BY_HINT.get(result.hint) or _by_status(seen.status) or CallFault.LATER
        return _told(fault, result.partner_code, seen, result.retry_after_s or seen.retry_after_s)
    if result.kind is OutcomeKind.UNKNOWN:
        fault = _by_status(seen.status) or CallFault.UNREADABLE
        return _told(fault, result.partner_code, seen, seen.retry_after_s)
    return Told(good=result.kind in (OutcomeKind.SUCCEEDED, OutcomeKind.PENDING, OutcomeKind.QUEUED))


def _told(fault: CallFault, code: str | None, seen: LastAnswer, wait_s: float | None) -> Told:
    words = code or (f"HTTP {seen.status}" if seen.status is not None else "no answer")
    return Told(good=False, fault=fault, words=words, retry_after_s=wait_s)


def _by_status(status: int | None) -> CallFault | None:
    if status is None:
        return None
    if status >= 500:
        return CallFault.SERVER_ERROR
    return {401: CallFault.UNAUTHORIZED, 429: CallFault.THROTTLED}.get(status)


def _by_transport(error: BaseException) -> CallFault | None:
    """By the transport's own exception, which the ones above it name as their cause."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, httpx.TimeoutException):
            return CallFault.TIMED_OUT
        if isinstance(cause, NEVER_SENT):
            return CallFault.REFUSED
        if isinstance(cause, httpx.TransportError):
            return CallFault.BROKEN
        cause = cause.__cause__
    return None
