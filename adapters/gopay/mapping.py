"""Midtrans' answers in our words: SNAP linking, Iris' payouts (decisions G1-G11)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from adapters import accounts, answers, paging
from adapters.answers import typed
from adapters.gopay import sign, wire
from adapters.snap import links, values
from contracts.errors import Hint, PartnerProtocolError
from contracts.identity import Verdict
from contracts.incentive import BlockerCode
from contracts.linking import Grant, LinkGranted, LinkHealth, LinkReturn, LinkStep
from contracts.observation import Balance, StatementKind, StatementLine, StatementPage
from contracts.payout import (
    Outcome,
    PayoutOrder,
    Refusal,
    not_accepted,
    pending,
    queued,
    rejected,
    safe_detail,
    succeeded,
    unknown,
)
from contracts.plan import Response
from contracts.secret import Secret

_B = BlockerCode


def _told(reply: Response) -> Any:
    """What a READ at Iris was answered. Raises where it was not: all that is shown there is a key of ours."""
    if reply.status != 200:
        raise answers.no_answer(reply, "not what was asked for", Hint.CREDENTIALS)
    return answers.json_value(reply)


# --- linking ------------------------------------------------------------------------------------------------------

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

    A code is read only beside `success=true` or `result=success`: a failed attempt may still carry one. Whatever is
    neither a code nor a listed refusal is a linking that was not finished, since no reload could help; the partner's
    code is kept.
    """
    state = query.get("state") or None
    for name in ("responseCode", "errorCode", "errCode"):
        if code := answers.told(query.get(name)):
            refused = REFUSED_RETURNS.get(code, _B.LINK_REQUIRED)
            return LinkReturn(refused=refused, state=state, partner_code=answers.plain(code))
    result, code = query.get("result", "").lower() or None, answers.auth_code(query)
    if result in ABANDONED_RESULTS or not (answers.flag(query.get("success")) or result == "success"):
        return LinkReturn(refused=_B.CONSENT_ABANDONED, state=state, partner_code=answers.plain(result))
    if not code:
        return LinkReturn(refused=_B.CONSENT_ABANDONED, state=state, partner_code="success")
    return LinkReturn(code=Secret(code), state=state)


def linked(reply: Response) -> LinkStep:
    """Service 07: the participant's token, which names no life and no refresh (wallets.md 2.3.6)."""
    envelope = sign.EXCHANGE.read(reply)
    # Used, expired or from a failed attempt: the participant starts again.
    if refusal := links.refused(envelope, {"4040711": _B.CONSENT_ABANDONED}):
        return refusal
    token = values.token(sign.EXCHANGE.expect(reply), "accessTokenInfo", "accessToken")
    return LinkGranted(grant=Grant(access_token=token))


LINK_HEALTH: dict[str, LinkHealth] = {
    "2000800": LinkHealth.ACTIVE,  # seen: wallets.md 2.3.7
    "4010802": LinkHealth.REVOKED,  # seen: also when the link is inactive; decision G5
    "4030818": LinkHealth.BLOCKED,  # seen for legacy ids, assumed for tokens; decision G5
}
assert set(LINK_HEALTH.values()) == set(LinkHealth), "every health has its code"


def link_health(reply: Response) -> LinkHealth:
    """Service 08; anything not in `LINK_HEALTH` is "could not tell"."""
    envelope = sign.HEALTH.read(reply)
    health = LINK_HEALTH.get(envelope.code)
    options = answers.at(envelope.body, "additionalInfo", "paymentOptions")
    can_pay = isinstance(options, list) and any(answers.flag(answers.at(each, "active")) for each in options)
    if health is not LinkHealth.ACTIVE and can_pay:
        raise PartnerProtocolError("a link that was refused can be paid with")
    if health is None and envelope.unusable is not None:
        unknown_now = envelope.unusable is Verdict.ACCOUNT_NOT_FOUND  # whoever links again finds out
        return LinkHealth.REVOKED if unknown_now else LinkHealth.BLOCKED
    if health is None:
        raise sign.HEALTH.unavailable(envelope)
    return health


UNLINKED = frozenset({"4010902"})
"""The token was already dead (wallets.md 2.3.8)."""


# --- payouts -----------------------------------------------------------------------------------------------------


Meaning = tuple[BlockerCode | None, Refusal | None]
_OTHER: Meaning = (_B.PARTNER_REJECTED, None)
FAILURES: dict[str, Meaning] = {
    **{f"{number:03d}": _OTHER for number in range(1, 27)},
    "002": (_B.ACCOUNT_NOT_FOUND, None),
    "005": (None, Refusal.STATEMENT_DECIDES),  # no answer of the bank's: its statements must show that nothing moved
    "006": (_B.PARTNER_REJECTED, Refusal.PERHAPS_PAID),  # taken for a request processed before: that may have paid
    "007": (_B.PARTNER_REJECTED, Refusal.PERHAPS_PAID),
    "009": (_B.PARTNER_FLOAT_SHORT, None),
    "012": (_B.ACCOUNT_BLOCKED, None),
    "014": (_B.MONTHLY_LIMIT, None),
    "015": (_B.BALANCE_LIMIT, None),
    "016": (_B.PARTNER_FLOAT_SHORT, None),
    **dict.fromkeys(("004", "018", "021", "022", "023", "024"), (None, None)),
}
"""Iris' error codes 001-026 (seen: wallets.md 2.6) and what each means for the next step (assumed: decision G8): why,
and what is peculiar about it. Without a why it is neither the person nor the account: technical, a new payout follows
after a confirmed second look.
"""


def failed(error_code: object, said_at: datetime | None = None, error_message: object = None) -> Outcome:
    """A payout that Iris calls failed; only the webhook has the code, and it may still follow (decision G8). A code
    counts by its value: `15`, `"15"` and `"015"` are one.
    """
    code = answers.digits(error_code, 3)
    if not code:
        return rejected(None, partner_code="failed", reason_may_follow=True, said_at=said_at)
    reason, refusal = FAILURES.get(code, _OTHER)
    return rejected(
        reason,
        technical=reason is None,
        partner_code=answers.plain(code) or "failed",
        detail=safe_detail(answers.written(error_message)),
        refusal=refusal,
        said_at=said_at,
    )


def refused_by_approver(said_at: datetime | None = None) -> Outcome:
    """A payout that stands as `rejected`: an approver said no before anything moved.

    After our own `withdraw` it confirms that. If we did not ask for it, a person at Midtrans' dashboard did; that "no"
    is not overridden by a new payout of ours, so it is not technical: staff must read it.
    """
    return rejected(_B.PARTNER_REJECTED, partner_code="rejected", refusal=Refusal.WITHDRAWN, said_at=said_at)


def payout(said: wire.IrisPayout | wire.IrisNotice, number: str, account: Secret | None = None) -> Outcome:
    """A payout's state in our words, from a look-up or a notification; `updated_at` puts them in order. `account` is
    the one that a look-up shows. All states are those of wallets.md 2.6 and 13.
    """
    said_at = answers.said_at(said.updated_at)
    match answers.written(said.status).lower():
        case "queued":
            return queued(number)
        case "approved" | "processed":
            return pending(partner_code=answers.plain(said.status), partner_reference=number)
        case "completed":
            return succeeded(
                partner_code="completed",
                partner_reference=number,
                amount_rupiah=None if said.amount in (None, "") else answers.whole(said.amount, "amount"),
                account=account,
                said_at=said_at,
            )
        case "failed" if isinstance(said, wire.IrisNotice):
            return failed(said.error_code, said_at, said.error_message)
        case "failed":
            return failed(None, said_at)
        case "rejected":
            return refused_by_approver(said_at)
    raise PartnerProtocolError("a payout status that Iris' documents do not have")


def created(reply: Response, order: PayoutOrder) -> Outcome:
    """Answer to a create, a WRITE: queued under Iris' number, refused by validation, or no verdict."""
    if reply.status == 201:
        payouts = answers.items(answers.at(answers.json_value(reply), "payouts"), "an accepted create")
        found = typed(payouts, list[wire.IrisPayout], "an accepted create")
        if len(found) != 1 or answers.written(found[0].status).lower() != "queued":
            return unknown(partner_code="201")
        if found[0].amount not in (None, "") and answers.whole(found[0].amount, "amount") != order.amount_rupiah:
            return unknown(partner_code="201")
        return queued(wire.reference_no(found[0].reference_no))
    if reply.status == 400:
        refusal = _refusal(reply)
        refused = refusal.error_message == wire.CREATE_REFUSED and wire.texts(refusal.errors)
        if refused and wire.ours(refusal.words) is None:  # seen: wallets.md 2.6.1
            return rejected(_B.PARTNER_REJECTED, partner_code="400", detail=_words(refusal, order))
    # Among others a key already used for another body: something stands there.
    return _refused_or_unknown(reply, order)


def approved(reply: Response, order: PayoutOrder) -> Outcome:
    """Answer to an approve, the WRITE that moves money; a 400 may mean that it was approved before (decision G10)."""
    number = order.partner_reference
    return pending(partner_code="202", partner_reference=number) if _taken(reply) else _refused_or_unknown(reply, order)


def withdrawal(reply: Response, order: PayoutOrder) -> Outcome:
    """Answer to a reject, a WRITE: nothing moved, no one is to blame. A 400 may mean that it is no longer queued."""
    if _taken(reply):
        return rejected(None, technical=True, partner_code="rejected", refusal=Refusal.WITHDRAWN)
    return _refused_or_unknown(reply, order)


def _taken(reply: Response) -> bool:
    said = answers.json_object(reply) if reply.status == 202 else {}
    return answers.written(said.get("status")).lower() == "ok" and not (said.get("errors") or said.get("error_message"))


def _refusal(reply: Response) -> wire.IrisErrorReply:
    """Iris' own error envelope; raises where it is not."""
    return typed(answers.json_object(reply, Hint.CREDENTIALS), wire.IrisErrorReply, "an error of Iris")


def _words(refusal: wire.IrisErrorReply, order: PayoutOrder) -> str | None:
    return safe_detail(refusal.words, order.name, order.account, accounts.local(order.account))


def _refused_or_unknown(reply: Response, order: PayoutOrder) -> Outcome:
    """In Iris' own words our key was refused, or our deposit is too small (its 016): nothing was done (wallets.md 2.6;
    a number is approved once). Anything else is unknown, what stands in front of Iris included.
    """
    detail, wait_s = None, answers.retry_after_s(reply)
    if reply.status == 401 and wire.DENIED in reply.content:
        return not_accepted(Hint.CREDENTIALS, partner_code="401", retry_after_s=wait_s)
    if reply.status in (400, 401, 403, 404):
        refusal = _refusal(reply)
        ours = wire.ours(refusal.words)
        if reply.status in (400, 403) and ours is Hint.FLOAT_SHORT:
            return not_accepted(Hint.FLOAT_SHORT, partner_code="016", retry_after_s=wait_s)
        if reply.status == 401 and refusal.error_message or reply.status == 403 and ours is Hint.CREDENTIALS:
            return not_accepted(Hint.CREDENTIALS, partner_code=f"{reply.status}", retry_after_s=wait_s)
        detail = _words(refusal, order)
    return unknown(partner_code=f"{reply.status:03d}", detail=detail, retry_after_s=wait_s)


def found_payout(reply: Response, number: str, order: PayoutOrder) -> Outcome:
    """Answer to `GET payouts/{reference_no}`; a 404 proves nothing (decision G11)."""
    if reply.status == 404 and _refusal(reply).error_message:
        return unknown(partner_code="404", retry_after_s=answers.retry_after_s(reply))
    found = typed(_told(reply), wire.IrisPayout, "a payout")
    if answers.number(found.reference_no) != number:
        raise PartnerProtocolError("the look-up answered about another reference_no")
    if answers.within(found.notes) not in (None, order.reference):
        raise PartnerProtocolError("the look-up answered about another payout of ours")
    paid, account = answers.written(found.status).lower() == "completed", found.beneficiary_account
    told = paid and account not in (None, "")
    shown = accounts.echoed(answers.written(account), order.account, accounts.mobile) if told else None
    return answers.lasting(payout(found, number, shown), reply)


# --- statement and balance ---------------------------------------------------------------------------------------

STATEMENT_KINDS: dict[str, dict[str, StatementKind]] = {
    "Payout": {"debit": StatementKind.CREDIT},
    "Refund": {"credit": StatementKind.REVERSAL},
    **{each: {"debit": StatementKind.FEE} for each in ("Payout fee", "Fee")},
    **{each: {"credit": StatementKind.OTHER} for each in ("Topup", "Manual")},
    **{each: {"debit": StatementKind.OTHER} for each in ("Topup reversal", "Account validation fee")},
}
"""Type and direction of a booking (seen: MT/transaction-history, decision S2). Any other pair makes the page
unreadable: a payout under a new name must not pass for "not listed".
"""
assert {kind for one in STATEMENT_KINDS.values() for kind in one.values()} == {*StatementKind} - {StatementKind.PENDING}


def statement(reply: Response) -> StatementPage:
    """A day's bookings; Iris has no pages."""
    rows = typed(_told(reply), list[Any], "the day's bookings")
    return paging.page(1, reply, more=False, rows=rows, read=_line)


def _line(value: object) -> StatementLine:
    row = typed(value, wire.IrisStatementRow, "a booking")
    sides = answers.listed(row.type, STATEMENT_KINDS)
    kind = None if sides is None else answers.listed(row.status, sides)
    if kind is None:
        raise PartnerProtocolError("a booking of a type that decision S2 does not have")
    ours = kind in (StatementKind.CREDIT, StatementKind.REVERSAL)
    return StatementLine(
        kind=kind,
        amount_rupiah=answers.whole(row.amount, "amount", sen=not ours),
        reference=answers.within(row.notes),
        partner_reference=wire.reference_no(row.reference_no) if ours else None,
        account=accounts.listed(row.beneficiary_account, accounts.mobile),
        booked_at=answers.moment(row.created_at, "created_at"),
    )


def balance(reply: Response) -> Balance:
    """What is left of our deposit."""
    return Balance(amount_rupiah=answers.whole(answers.at(_told(reply), "balance"), "balance", sen=True))
