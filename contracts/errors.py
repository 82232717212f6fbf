"""What can go wrong, by whose problem it is. A partner's "no" is not here: it is an outcome, a value.

GatewayError
  CallerError              4xx  the caller can mend it
    InvalidRequest 422 · NotFound 404 · Conflict 409 · IdempotencyConflict 409 · NotSupported 422
    LinkStateInvalid 400 · SignatureInvalid 401 · Unauthenticated 401 · Forbidden 403 · TooLarge 413
  PartnerError             could not tell; raised by plans and by the executor, never shown to participants
    PartnerUnavailable     no WRITE left: nothing was done, the operation may be tried again
    PartnerProtocolError   an answer that cannot be read; after a WRITE the executor turns it into OutcomeUnknown
  OutcomeUnknown           a WRITE left and no readable verdict came back: look up, never resend
"""

from __future__ import annotations

import enum
from typing import ClassVar


class GatewayError(Exception):
    """Base of all; `code` is stable, `remedy` says what to do, neither ever holds a NIK, a secret or an offending
    value.
    """

    code: str = "internal_error"
    http_status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    remedy: str = "Try again later; if it persists, tell the operators the time of the request."

    def __init__(self, detail: str = "", *, code: str | None = None, remedy: str | None = None) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        if code is not None:
            self.code = code
        if remedy is not None:
            self.remedy = remedy


class CallerError(GatewayError):
    """The request was refused and changed nothing."""

    code = "bad_request"
    http_status = 400
    title = "Bad request"
    remedy = "Correct the request and send it again."


class InvalidRequest(CallerError):
    """The shape or a field is wrong; `field` names it, the value is never quoted."""

    code = "invalid_request"
    http_status = 422
    title = "Invalid request"

    def __init__(
        self, detail: str, *, field: str | None = None, code: str | None = None, remedy: str | None = None
    ) -> None:
        super().__init__(detail, code=code, remedy=remedy)
        self.field = field


class NotFound(CallerError):
    """No such resource, or none that this client may see."""

    code = "not_found"
    http_status = 404
    title = "Not found"
    remedy = "Check the identifier."


class Conflict(CallerError):
    """The request contradicts what is stored."""

    code = "conflict"
    http_status = 409
    title = "Conflict"
    remedy = "Read the resource and decide again."


class IdempotencyConflict(Conflict):
    """An `Idempotency-Key` came back with another body."""

    code = "idempotency_conflict"
    title = "Idempotency-Key already used with another request"
    remedy = "Use a new Idempotency-Key for a new request; send the same body to get the first answer again."


class NotSupported(CallerError):
    """The partner's manifest does not declare what was asked for."""

    code = "not_supported"
    http_status = 422
    title = "Not supported by this partner"
    remedy = "GET /v1/partners lists what each partner can do."


class LinkStateInvalid(CallerError):
    """A callback or page came with a state that is unknown, used, expired, or bound to another browser."""

    code = "link_state_invalid"
    http_status = 400
    title = "This link is no longer valid"
    remedy = "Start again from the programme's page."


class SignatureInvalid(CallerError):
    """An inbound notification failed verification; nothing was stored."""

    code = "signature_invalid"
    http_status = 401
    title = "Signature verification failed"
    remedy = "Sign the exact bytes sent with the key agreed for this endpoint."


class Unauthenticated(CallerError):
    """No valid access token."""

    code = "unauthenticated"
    http_status = 401
    title = "Authentication required"
    remedy = "Get a token from POST /oauth/token and send it as Authorization: Bearer."


class Forbidden(CallerError):
    """The token lacks a scope, or this client may not do this."""

    code = "forbidden"
    http_status = 403
    title = "Forbidden"
    remedy = "Ask for a client with the scope named in the detail."


class TooLarge(CallerError):
    """A body, page or file is over its bound."""

    code = "too_large"
    http_status = 413
    title = "Too large"
    remedy = "Send less at a time; the bound is in the detail."


class Hint(enum.Enum):
    """Why a partner did not do it, as far as that helps to choose the next step."""

    NONE = "none"
    OUR_TOKEN = "our_token"  # noqa: S105 - names a reason
    """Our access token was refused: fetch a new one, try again."""
    CUSTOMER_TOKEN = "customer_token"  # noqa: S105 - names a reason
    """The participant's token was refused: refresh it if the partner has that, else the link is revoked."""
    THROTTLED = "throttled"
    LATER = "later"
    """Cut-off or maintenance: nothing was done, try later."""
    FLOAT_SHORT = "float_short"
    """Our deposit at the partner does not cover it."""
    SESSION = "session"
    """A session between two steps expired; begin again under the same reference."""
    CREDENTIALS = "credentials"
    """Our own credentials or configuration were refused: an operator must look."""


class PartnerError(GatewayError):
    """Could not tell what the partner would say."""

    code = "partner_error"
    http_status = 503
    title = "The payment partner could not be asked"
    remedy = "Nothing was done; try again later."

    def __init__(
        self,
        detail: str = "",
        *,
        hint: Hint = Hint.NONE,
        otherwise: Hint = Hint.NONE,
        partner_code: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.hint = hint
        self.otherwise = otherwise
        """What is meant if it is not what `hint` says: two tokens were shown, and the code may speak of either."""
        self.partner_code = partner_code
        self.retry_after_s = retry_after_s


class PartnerUnavailable(PartnerError):
    """No WRITE left for the partner; nothing was done."""

    code = "partner_unavailable"


class PartnerProtocolError(PartnerError):
    """The partner's answer cannot be read as what its documents promise."""

    code = "partner_protocol_error"
    http_status = 502
    title = "The payment partner answered unreadably"


class OutcomeUnknown(GatewayError):
    """A WRITE left and no readable verdict came back. Not a failure: it is looked up."""

    code = "outcome_unknown"
    http_status = 202
    title = "The outcome is not known yet"
    remedy = "Read the payout later; the gateway looks it up by itself."

    def __init__(
        self,
        detail: str = "",
        *,
        hint: Hint = Hint.NONE,
        partner_code: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.hint = hint
        self.partner_code = partner_code
        self.retry_after_s = retry_after_s
