"""Midtrans' answers in our words: SNAP linking, GoPay ID's KYC pull, Iris' payouts (decisions G1-G11)."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from datetime import datetime

from adapters.gopay import wire
from adapters.snap import codes, values
from contracts import names
from contracts.errors import Hint, PartnerUnavailable
from contracts.identity import IdentityAnswer, Verdict
from contracts.incentive import BlockerCode
from contracts.linking import Grant, LinkGranted, LinkHealth, LinkRefused, LinkReturn, LinkStep, Unlinked
from contracts.nik import Nik
from contracts.observation import Balance, StatementKind, StatementLine, StatementPage
from contracts.partner import protocol_error
from contracts.payout import Outcome, Refusal, not_accepted, pending, queued, rejected, succeeded, unknown
from contracts.plan import Response
from contracts.secret import Secret

_B = BlockerCode
_PARTNER_CODE = re.compile(r"[A-Za-z0-9_.-]{1,32}", re.ASCII)
_AUTH_CODE_MAX = 256
_TOKEN_MAX = 2048
_DIGITS_16 = re.compile(r"[0-9]{16}", re.ASCII)


def partner_code(text: str | None) -> str | None:
    """A partner's code as received, or None where it is anything but a short code."""
    return text if text is not None and _PARTNER_CODE.fullmatch(text) else None


def _unavailable(reply: Response) -> PartnerUnavailable:
    """A READ at Iris or GoPay ID that was not answered: could not tell."""
    hint = {401: Hint.CREDENTIALS, 429: Hint.THROTTLED}.get(reply.status, Hint.NONE)
    return PartnerUnavailable(
        f"HTTP {reply.status}",
        hint=hint,
        partner_code=f"{reply.status:03d}",
        retry_after_s=codes.retry_after_s(reply),
    )


# --- linking ------------------------------------------------------------------------------------------


REFUSED_RETURNS: dict[str, BlockerCode] = {
    "4041012": _B.ACCOUNT_NOT_FOUND,  # seen: wallets.md 2.3.6; decision G1
    "4031018": _B.ACCOUNT_BLOCKED,  # assumed: decision G2
    "4031005": _B.CONSENT_DENIED,  # assumed: decision G3
    "4031011": _B.CONSENT_DENIED,  # assumed: decision G3, PIN locked
}
"""Codes with which the browser comes back for good, as responseCode or as errorCode."""

ABANDONED_RESULTS = frozenset({"abort", "failure"})
"""App flow: the participant backed out, or did not get through (wallets.md 2.3.5)."""


def read_return(query: Mapping[str, str]) -> LinkReturn:
    """What the browser brought back; all spellings of wallets.md 2.3.5 and 14.

    A code is read only beside `success=true` or `result=success`: a failed attempt may still carry one. A failure whose
    code is not listed ends the link too, as loading the address again can never help; its code is kept.
    """
    state = query.get("state") or None
    for name in ("responseCode", "errorCode", "errCode"):
        if code := query.get(name):
            blocker = REFUSED_RETURNS.get(code, _B.LINK_REQUIRED)
            return LinkReturn(refused=blocker, state=state, partner_code=partner_code(code))
    result = query.get("result")
    if result in ABANDONED_RESULTS:
        return LinkReturn(refused=_B.CONSENT_ABANDONED, state=state, partner_code=result)
    code = query.get("authCode", "")
    if not (query.get("success") == "true" or result == "success"):
        raise protocol_error("the linking page ended neither in success nor in a failure")
    if code in ("", "null") or len(code) > _AUTH_CODE_MAX:
        raise protocol_error("the linking page said success without a usable authCode")
    return LinkReturn(code=Secret(code), state=state)


def linked(reply: Response) -> LinkStep:
    """Service 07: the participant's token, which names no life and no refresh (wallets.md 2.3.6)."""
    envelope = codes.read(reply, "07")
    if envelope.code == "4040711":  # used, expired or from a failed attempt: the participant starts again
        return LinkRefused(code=_B.CONSENT_ABANDONED, partner_code=envelope.code)
    if envelope.code != "2000700":
        raise codes.unavailable(envelope, reply)
    token = envelope.text("accessTokenInfo", "accessToken")
    if len(token) > _TOKEN_MAX:
        raise protocol_error("field accessTokenInfo.accessToken is over 2048 characters")
    return LinkGranted(grant=Grant(access_token=Secret(token)))


LINK_HEALTH: dict[str, LinkHealth] = {
    "2000800": LinkHealth.ACTIVE,  # seen: wallets.md 2.3.7
    "4010802": LinkHealth.REVOKED,  # seen: also when the link is inactive; decision G5
    "4030818": LinkHealth.BLOCKED,  # seen for legacy ids, assumed for tokens; decision G5
}
assert set(LINK_HEALTH.values()) == set(LinkHealth), "every health has its code"


def link_health(reply: Response) -> LinkHealth:
    """Service 08; anything not in `LINK_HEALTH` is "could not tell"."""
    envelope = codes.read(reply, "08")
    health = LINK_HEALTH.get(envelope.code)
    if health is None:
        raise codes.unavailable(envelope, reply)
    return health


UNLINKED = frozenset({"2000900", "4010902"})
"""Given back, or the token was already dead (wallets.md 2.3.8)."""


def unlinked(reply: Response) -> Unlinked:
    """Service 09."""
    envelope = codes.read(reply, "09")
    if envelope.code not in UNLINKED:
        raise codes.unavailable(envelope, reply)
    return Unlinked(partner_code=envelope.code)


# --- identity ----------------------------------------------------------------------------------------------------

NO_SUBMISSION = "1519"
"""SUBMISSION_NOT_FOUND: the holder never went through Verify (wallets.md 2.5, decision G6)."""

RUNNING_KYC = frozenset({"INITIATED", "IN_PROGRESS"})


def identity(reply: Response, nik: Nik) -> IdentityAnswer:
    """KYC Data Pull as a verdict; the holder's data ends here (decision G6)."""
    if reply.status not in (200, 401, 404):
        raise _unavailable(reply)
    found = wire.decode(reply.content, wire.GopayIdReply)
    if reply.status == 200 and found.success and found.data is not None:
        return _submission(found.data, nik)
    code = partner_code(found.errors[0].code) if found.errors else None
    if reply.status == 200 or found.success or code is None:
        raise protocol_error(f"HTTP {reply.status} without the envelope that belongs to it")
    if reply.status == 401:
        raise PartnerUnavailable("HTTP 401", hint=Hint.CUSTOMER_TOKEN, partner_code=code)
    if code != NO_SUBMISSION:
        raise PartnerUnavailable("HTTP 404", partner_code=code)
    return IdentityAnswer(verdict=Verdict.KYC_INCOMPLETE, partner_code=code)


def _submission(data: wire.GopayIdSubmission, nik: Nik) -> IdentityAnswer:
    if data.status in RUNNING_KYC:
        return IdentityAnswer(verdict=Verdict.PENDING, partner_code=data.status)
    if (data.status, data.result) == ("COMPLETED", "INVALID"):
        return IdentityAnswer(verdict=Verdict.KYC_INCOMPLETE, partner_code="COMPLETED.INVALID")
    if (data.status, data.result) != ("COMPLETED", "VALID"):
        raise PartnerUnavailable("a KYC status that is no verdict", partner_code=partner_code(data.status))
    ktp = None if data.submission_data is None else data.submission_data.ktp
    if ktp is None or _DIGITS_16.fullmatch(ktp.document_number.reveal()) is None:
        raise protocol_error("field ktp.documentNumber is missing or not 16 digits")
    same = nik.same_as(ktp.document_number.reveal())
    return IdentityAnswer(verdict=Verdict.MATCH if same else Verdict.MISMATCH, partner_code="COMPLETED.VALID")


def holder(reply: Response) -> Secret | None:
    """The name beside the NIK; None where the pull has none."""
    data = wire.decode(reply.content, wire.GopayIdReply).data
    ktp = None if data is None or data.submission_data is None else data.submission_data.ktp
    return None if ktp is None else ktp.name


def proved(answer: IdentityAnswer, name: Secret | None, reply: Response) -> IdentityAnswer:
    """The match, if the declared account is registered under the holder's name; nothing of either name is kept.

    Another name proves no other NIK: it only leaves the account unproved.
    """
    unproved = IdentityAnswer(verdict=Verdict.ACCOUNT_UNPROVED, partner_code=answer.partner_code)
    if reply.status == 400 and _no_such_account(wire.decode(reply.content, wire.IrisErrorReply)):
        return unproved
    if reply.status != 200:
        raise _unavailable(reply)
    found = wire.decode(reply.content, wire.IrisValidation)
    same = name is not None and names.agree(name.reveal(), found.account_name.reveal())
    return answer if same else unproved


def _no_such_account(said: wire.IrisErrorReply) -> bool:
    return isinstance(said.errors, dict) and bool(said.errors.get("account"))


# --- payouts -----------------------------------------------------------------------------------------------------


class IrisStatus(enum.Enum):
    """All states of a payout at Iris (wallets.md 2.6, 13)."""

    QUEUED = "queued"
    APPROVED = "approved"
    PROCESSED = "processed"
    COMPLETED = "completed"
    FAILED = "failed"
    REJECTED = "rejected"


class Failure(enum.Enum):
    """What an error code of a failed payout means for the next step."""

    MONTHLY_LIMIT = _B.MONTHLY_LIMIT
    BALANCE_LIMIT = _B.BALANCE_LIMIT
    ACCOUNT_BLOCKED = _B.ACCOUNT_BLOCKED
    ACCOUNT_NOT_FOUND = _B.ACCOUNT_NOT_FOUND
    FLOAT_SHORT = _B.PARTNER_FLOAT_SHORT
    OTHER = _B.PARTNER_REJECTED
    TECHNICAL = None
    """Neither the person nor the account: a new payout after a confirmed second look."""
    TIMED_OUT = Refusal.STATEMENT_DECIDES
    """The bank did not answer Iris: its statements must show that nothing moved."""
    REPEATED = Refusal.PERHAPS_PAID
    """Iris took it for a request that it had processed before: that one may have paid."""


_TECHNICAL = ("004", "018", "021", "022", "023", "024")
FAILURES: dict[str, Failure] = {f"{number:03d}": Failure.OTHER for number in range(1, 27)} | {
    "002": Failure.ACCOUNT_NOT_FOUND,
    "005": Failure.TIMED_OUT,
    "006": Failure.REPEATED,
    "007": Failure.REPEATED,
    "009": Failure.FLOAT_SHORT,
    "012": Failure.ACCOUNT_BLOCKED,
    "014": Failure.MONTHLY_LIMIT,
    "015": Failure.BALANCE_LIMIT,
    "016": Failure.FLOAT_SHORT,
    **dict.fromkeys(_TECHNICAL, Failure.TECHNICAL),
}
"""Iris' error codes 001-026 (seen: wallets.md 2.6; meaning assumed: decision G8)."""
assert set(FAILURES.values()) == set(Failure), "every failure has its code"


def failed(error_code: str | None, said_at: datetime | None = None) -> Outcome:
    """A payout that Iris calls failed; only the webhook has the code, and it may still follow (decision G8)."""
    if not error_code:
        return rejected(None, partner_code="failed", reason_may_follow=True, said_at=said_at)
    failure = FAILURES.get(error_code, Failure.OTHER)
    reason = _B.PARTNER_REJECTED if failure is Failure.REPEATED else failure.value
    return rejected(
        reason if isinstance(reason, BlockerCode) else None,
        technical=failure in (Failure.TECHNICAL, Failure.TIMED_OUT),
        partner_code=partner_code(error_code) or "failed",
        refusal=failure.value if isinstance(failure.value, Refusal) else None,
        said_at=said_at,
    )


def withdrawn() -> Outcome:
    """Our own reject of a queued payout was taken: nothing moved, and no one is to blame."""
    return rejected(None, technical=True, partner_code="rejected", refusal=Refusal.WITHDRAWN)


def refused_by_approver(said_at: datetime | None = None) -> Outcome:
    """A payout that stands as `rejected`: an approver said no before anything moved.

    After our own `withdraw` it confirms that. If we did not ask for it, a person at Midtrans' dashboard did; that "no"
    is not overridden by a new payout of ours, so it is not technical: staff must read it.
    """
    return rejected(_B.PARTNER_REJECTED, partner_code="rejected", refusal=Refusal.WITHDRAWN, said_at=said_at)


def status_of(text: str) -> IrisStatus:
    """One of Iris' states; a `PartnerProtocolError` for any other word."""
    try:
        return IrisStatus(text)
    except ValueError:
        raise protocol_error("a payout status that Iris' documents do not have") from None


def payout(
    status: IrisStatus,
    number: str,
    *,
    amount: str | None,
    account: Secret | None,
    error_code: str | None,
    updated_at: object = None,
) -> Outcome:
    """A payout's state in our words, from a look-up or a notification; `updated_at` puts them in order."""
    said_at = values.said_at(updated_at)
    outcomes = {
        IrisStatus.QUEUED: lambda: queued(number),
        IrisStatus.APPROVED: lambda: pending(partner_code="approved", partner_reference=number),
        IrisStatus.PROCESSED: lambda: pending(partner_code="processed", partner_reference=number),
        IrisStatus.COMPLETED: lambda: succeeded(
            partner_code="completed",
            partner_reference=number,
            amount_rupiah=wire.rupiah(amount),
            account=account,
            said_at=said_at,
        ),
        IrisStatus.FAILED: lambda: failed(error_code, said_at),
        IrisStatus.REJECTED: lambda: refused_by_approver(said_at),
    }
    return outcomes[status]()


def created(reply: Response) -> Outcome:
    """Answer to a create, a WRITE: queued under Iris' number, refused by validation, or no verdict."""
    if reply.status == 201:
        found = wire.decode(reply.content, wire.IrisCreateReply).payouts
        if len(found) != 1 or found[0].status != IrisStatus.QUEUED.value:
            return unknown(partner_code="201")
        return queued(wire.reference_no(found[0].reference_no))
    if reply.status == 400:
        refusal = wire.decode(reply.content, wire.IrisErrorReply)
        if refusal.error_message == wire.CREATE_REFUSED and isinstance(refusal.errors, list | dict) and refusal.errors:
            return rejected(_B.PARTNER_REJECTED, partner_code="400")  # seen: wallets.md 2.6.1
        return unknown(partner_code="400")  # among others a key already used for another body: something stands there
    return _refused_or_unknown(reply)


def approved(reply: Response, number: str) -> Outcome:
    """Answer to an approve, the WRITE that moves money; a 400 may mean that it was approved before (decision G10)."""
    if reply.status == 202 and wire.decode(reply.content, wire.IrisStatusReply).status == "ok":
        return pending(partner_code="202", partner_reference=number)
    return _refused_or_unknown(reply)


def withdrawal(reply: Response) -> Outcome:
    """Answer to a reject, a WRITE; a 400 may mean that it is no longer queued."""
    if reply.status == 202 and wire.decode(reply.content, wire.IrisStatusReply).status == "ok":
        return withdrawn()
    return _refused_or_unknown(reply)


def _refused_or_unknown(reply: Response) -> Outcome:
    """401 in Iris' own envelope: our key was refused, nothing was done (seen: wallets.md 2.6, 2.2)."""
    if reply.status == 401 and wire.decode(reply.content, wire.IrisErrorReply).error_message:
        return not_accepted(Hint.CREDENTIALS, partner_code="401")
    return unknown(partner_code=f"{reply.status:03d}")


def found_payout(reply: Response, number: str) -> Outcome:
    """Answer to `GET payouts/{reference_no}`; a 404 proves nothing (decision G11)."""
    if reply.status == 404 and wire.decode(reply.content, wire.IrisErrorReply).error_message:
        return unknown(partner_code="404")
    if reply.status != 200:
        raise _unavailable(reply)
    found = wire.decode(reply.content, wire.IrisPayout)
    if found.reference_no != number:
        raise protocol_error("the look-up answered about another reference_no")
    status, account = status_of(found.status), wire.account_from(found.beneficiary_account)
    if status is IrisStatus.COMPLETED and account is None:
        raise protocol_error("field beneficiary_account is not a mobile number")
    return payout(status, number, amount=found.amount, account=account, error_code=None, updated_at=found.updated_at)


# --- statement and balance ---------------------------------------------------------------------------------------

STATEMENT_KINDS: dict[tuple[str, str], StatementKind] = {
    ("Payout", "debit"): StatementKind.CREDIT,
    ("Refund", "credit"): StatementKind.REVERSAL,
    ("Fee", "debit"): StatementKind.FEE,
    ("Topup", "credit"): StatementKind.OTHER,
}
"""Type and direction of a booking (decision S2). Any other pair makes the page unreadable: a payout under a new name
must not pass for "not listed".
"""
assert set(STATEMENT_KINDS.values()) == set(StatementKind), "every kind has its booking"


def statement(reply: Response) -> StatementPage:
    """A day's bookings; Iris has no pages."""
    if reply.status != 200:
        raise _unavailable(reply)
    return StatementPage(lines=tuple(map(_line, wire.decode(reply.content, list[wire.IrisStatementRow]))))


def _line(row: wire.IrisStatementRow) -> StatementLine:
    kind = STATEMENT_KINDS.get((row.type, row.status))
    if kind is None:
        raise protocol_error("a booking of a type that decision S2 does not have")
    ours = kind in (StatementKind.CREDIT, StatementKind.REVERSAL)
    return StatementLine(
        kind=kind,
        amount_rupiah=wire.rupiah(row.amount),
        reference=wire.our_reference(row.notes),
        partner_reference=wire.reference_no(row.reference_no) if ours else None,
        account=None if row.beneficiary_account is None else wire.account_from(row.beneficiary_account),
        booked_at=values.moment(row.created_at, "created_at"),
    )


def balance(reply: Response) -> Balance:
    """What is left of our deposit."""
    if reply.status != 200:
        raise _unavailable(reply)
    return Balance(amount_rupiah=wire.balance_rupiah(wire.decode(reply.content, wire.IrisBalanceReply).balance))
