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

PAYOUTS = Payouts(
    inquiry=sign.INQUIRY,
    transfer=sign.TOPUP,
    status=sign.STATUS,
    inquiry_refusals={
        "4033702": BlockerCode.BALANCE_LIMIT,
        "4033718": BlockerCode.ACCOUNT_BLOCKED,
        "4043711": BlockerCode.ACCOUNT_NOT_FOUND,
    },
    refusals={
        "4033802": BlockerCode.BALANCE_LIMIT,
        "4033818": BlockerCode.ACCOUNT_BLOCKED,
        "4043811": BlockerCode.ACCOUNT_NOT_FOUND,
    },
    account="customerNumber",
    account_of=accounts.mobile,
)
"""Refusals are final (decisions D11, D12, assumed); 5003800 only says that an earlier attempt failed: looked up."""

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
    """What the exchange said. The account is kept beside the token, of which it is not known yet whose it is (D8)."""
    envelope = sign.EXCHANGE.read(reply)
    if refusal := links.refused(envelope, EXCHANGE_OVER):
        return refusal
    return LinkGranted(grant=links.granted(ctx, sign.EXCHANGE.expect(reply), extra={"account": finish.account}))
