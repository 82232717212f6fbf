"""DANA's answers in our words; a code that no table here lists is never a verdict (wallets.md 9, decisions D1-D14)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from adapters import accounts, answers
from adapters.dana import sign
from adapters.dana.wire import DanaHistoryRow
from adapters.snap import links, statements, values
from adapters.snap.payouts import Payouts
from contracts.errors import PartnerProtocolError
from contracts.incentive import BlockerCode
from contracts.linking import Grant, LinkFinish, LinkGranted, LinkReturn, LinkStep, Unlinked
from contracts.observation import StatementKind, StatementLine, StatementPage
from contracts.partner import Context
from contracts.plan import Response

CUSTOMER_TOKEN_LIFE_S = 1_296_000.0
"""15 days, where the answer names no life (decision D6, assumed)."""

RETURN_REFUSALS: dict[str, BlockerCode] = {
    "access_denied": BlockerCode.CONSENT_DENIED,
    "pin_blocked": BlockerCode.CONSENT_DENIED,
    "4041011": BlockerCode.ACCOUNT_NOT_FOUND,
    "4031018": BlockerCode.ACCOUNT_BLOCKED,
}
"""`error`, or `responseCode`, on the way back (decision D5, assumed)."""

EXCHANGE_OVER: dict[str, BlockerCode] = {"4047411": BlockerCode.CONSENT_ABANDONED}
"""The authCode is no longer good: the participant starts again (decision D6, assumed)."""

INQUIRY_REFUSALS: dict[str, BlockerCode] = {
    "4033702": BlockerCode.BALANCE_LIMIT,
    "4033718": BlockerCode.ACCOUNT_BLOCKED,
    "4043711": BlockerCode.ACCOUNT_NOT_FOUND,
}
"""Final at the inquiry of a payout (decision D11, assumed)."""

TOPUP_REFUSALS: dict[str, BlockerCode] = {
    "4033802": BlockerCode.BALANCE_LIMIT,
    "4033818": BlockerCode.ACCOUNT_BLOCKED,
    "4043811": BlockerCode.ACCOUNT_NOT_FOUND,
}
"""Final refusals of a top-up (decision D12, assumed); 5003800 only says that an earlier attempt failed: looked up."""

PAYOUTS = Payouts(
    inquiry=sign.INQUIRY,
    transfer=sign.TOPUP,
    status=sign.STATUS,
    inquiry_refusals=INQUIRY_REFUSALS,
    refusals=TOPUP_REFUSALS,
    account="customerNumber",
    account_of=accounts.mobile,
)

STATEMENT: dict[str, StatementKind] = {
    "TOPUP": StatementKind.CREDIT,
    "REVERSAL": StatementKind.REVERSAL,
    "FEE": StatementKind.FEE,
}
"""Types of history rows (decision D14, assumed)."""


def returned(query: Mapping[str, str]) -> LinkReturn:
    """The browser's way back: authCode, `error`, or the `responseCode` of a page that did not open (decision D5)."""
    error = query.get("error", query.get("responseCode"))
    return links.returned(query, state=query.get("state") or None, error=error, table=RETURN_REFUSALS)


def exchanged(ctx: Context, finish: LinkFinish, reply: Response) -> LinkStep:
    """What the exchange said. The account is kept beside the token, of which it is not known yet whose it is (D8)."""
    envelope = sign.EXCHANGE.read(reply)
    if envelope.code == sign.EXCHANGE.done:
        grant = links.granted(ctx, envelope, CUSTOMER_TOKEN_LIFE_S)
        return LinkGranted(grant=msgspec.structs.replace(grant, extra={"account": finish.account}))
    if refusal := links.refused(envelope, EXCHANGE_OVER):
        return refusal
    raise sign.EXCHANGE.unavailable(envelope)


def refreshed(ctx: Context, grant: Grant, reply: Response) -> Grant | None:
    """What a refresh said."""
    return links.refreshed(ctx, grant, sign.REFRESH, reply, CUSTOMER_TOKEN_LIFE_S)


def unbound(reply: Response) -> Unlinked:
    """What unbinding said; a token that is refused, though alive by its date, has nothing left to unbind."""
    envelope = sign.UNBIND.read(reply)
    if envelope.case not in {"40102", "40104"}:
        sign.UNBIND.expect(reply)
    return Unlinked(partner_code=envelope.code)


def history(asked: int, reply: Response) -> StatementPage:
    """One page of bookings (decision D14)."""
    envelope = sign.HISTORY.expect(reply)
    rows = answers.typed(envelope.body.get("detailData"), list[Any], "field detailData")
    return statements.page(asked, more=statements.follows(asked, envelope, "pageNumber"), rows=rows, read=_line)


def _line(value: object) -> StatementLine:
    row = answers.typed(value, DanaHistoryRow, "a row of detailData")
    kind = STATEMENT.get(row.type)
    if kind is None or row.status != "SUCCESS":
        raise PartnerProtocolError("field detailData.type or status has an unlisted value")
    return StatementLine(
        kind=kind,
        amount_rupiah=values.rupiah(row.amount, "detailData.amount"),
        reference=answers.number(answers.at(row.additional_info, "partnerReferenceNo")),
        partner_reference=answers.number(answers.at(row.additional_info, "referenceNo")),
        account=accounts.listed(answers.at(row.additional_info, "customerNumber"), accounts.mobile),
        booked_at=values.moment(row.date_time, "detailData.dateTime"),
    )
