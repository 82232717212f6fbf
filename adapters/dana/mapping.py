"""DANA's answers in our words; a code that no table here lists is never a verdict (dana.md, decisions D1-D14)."""

from __future__ import annotations

from collections.abc import Mapping

from adapters import accounts, answers
from adapters.dana import sign
from adapters.snap import links, statements
from adapters.snap.payouts import Payouts
from contracts.incentive import BlockerCode
from contracts.linking import LinkFinish, LinkGranted, LinkReturn, LinkStep
from contracts.observation import StatementKind
from contracts.partner import Context
from contracts.plan import Response

RETURN_REFUSALS: dict[str, BlockerCode] = {
    "access_denied": BlockerCode.CONSENT_DENIED,
    "pin_blocked": BlockerCode.CONSENT_DENIED,
    "4041011": BlockerCode.ACCOUNT_NOT_FOUND,
    "4031018": BlockerCode.ACCOUNT_BLOCKED,
}
"""`error`, or `responseCode`, on the way back (decision D5, assumed)."""

EXCHANGE_OVER: dict[str, BlockerCode] = {"4047411": BlockerCode.CONSENT_ABANDONED}
"""The authCode is no longer good: the participant starts again (decision D6, assumed)."""
CODE_OVER, OF_A_CODE = {"4017400": BlockerCode.CONSENT_ABANDONED}, "auth code"
"""The same in the code that also refuses our signature: only the words tell which (seen: UAT, decision D6)."""

_REFUSALS = dict.fromkeys(("40305", "40318"), BlockerCode.ACCOUNT_BLOCKED) | {
    "40302": BlockerCode.BALANCE_LIMIT,
    "40411": BlockerCode.ACCOUNT_NOT_FOUND,
}
PAYOUTS = Payouts(
    inquiry=sign.INQUIRY,
    transfer=sign.TOPUP,
    status=sign.STATUS,
    inquiry_refusals=sign.INQUIRY.coded(_REFUSALS),
    refusals=sign.TOPUP.coded(_REFUSALS),
    account="customerNumber",
    account_of=accounts.mobile,
    named_by=("referenceNo", "partnerReferenceNo"),  # the first is optional
    word=("additionalInfo", "resultMsg"),
    words={"PAYEE_USER_NOT_EXIST": BlockerCode.ACCOUNT_NOT_FOUND},  # beside 05; frozen: PAYEE_USER_STATUS_DISABLE
)
"""Final (decisions D11, D12; 02, 05 and words seen: UAT); 5003800 only says that an earlier attempt failed."""

HISTORY = statements.History(
    call=sign.HISTORY,
    kinds={"TOPUP": StatementKind.CREDIT, "REVERSAL": StatementKind.REVERSAL, "FEE": StatementKind.FEE},
    booked="SUCCESS",
    unbooked={
        **dict.fromkeys(("FAILED", "CANCELLED"), StatementKind.OTHER),
        **dict.fromkeys(("INIT", "PENDING", "PAYING", "PROCESSING"), StatementKind.PENDING),
    },  # all but the first assumed
    below=("additionalInfo",),
    number="pageNumber",
)
"""Bookings of our merchant (decision D14, assumed)."""

UNBOUND = frozenset({"4010902", "4010904"})
"""The customer's token, alive by its date, is refused: already gone (decision D10, assumed)."""


def returned(query: Mapping[str, str]) -> LinkReturn:
    """The browser's way back: authCode, `error`, or the `responseCode` of a page that did not open (decision D5)."""
    error = answers.told(query.get("error")) or query.get("responseCode")
    return links.returned(query, state=query.get("state") or None, error=error, table=RETURN_REFUSALS)


def exchanged(ctx: Context, finish: LinkFinish, reply: Response) -> LinkStep:
    """What the exchange said. The account is kept beside the token: whose that is, nobody knows yet (D8)."""
    envelope = sign.EXCHANGE.read(reply)
    of_the_code = OF_A_CODE in answers.written(envelope.body.get("responseMessage")).casefold()
    if refusal := links.refused(envelope, EXCHANGE_OVER | CODE_OVER if of_the_code else EXCHANGE_OVER):
        return refusal
    return LinkGranted(grant=links.granted(ctx, sign.EXCHANGE.expect(reply), extra={"account": finish.account}))
