"""LinkAja's answers in our words; a code that no table here lists is never a verdict (wallets.md 4, decisions L1-L14).

Which token an HTTP 401 means needs no guessing. The partner API is shown two: our `Access-Token` header, of which a 401
speaks (code 401, or the words of the gateway in front, which may mean our hmac signature too: a fresh token then says
so), and the customer's `token` in the body, whose refusal is code 14 in HTTP 200 (decisions L11, wallets.md 4.7). Below
/bi SNAP's cases tell the two apart (01 and 03 ours, 02 and 04 the customer's).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from adapters import accounts, answers, paging
from adapters.linkaja import sign, wire
from adapters.linkaja.wire import LinkAjaAnswer
from adapters.snap import links, values
from contracts.errors import Hint, PartnerProtocolError, PartnerUnavailable
from contracts.identity import IdentityAnswer, IdentityQuery, Verdict
from contracts.incentive import BlockerCode
from contracts.linking import LinkGranted, LinkHeld, LinkRedirect, LinkReturn, LinkStep
from contracts.observation import PAYMENTS, StatementKind, StatementLine, StatementPage
from contracts.partner import AccessToken, Context
from contracts.payout import (
    Outcome,
    OutcomeKind,
    PayoutOrder,
    not_accepted,
    not_found,
    pending,
    rejected,
    succeeded,
    unknown,
)
from contracts.plan import Response
from contracts.secret import Secret

LEGACY_TOKEN_LIFE_S = 3_600.0
"""wallets.md 4.2, assumed: no answer names one."""

_COUNT = re.compile(r"[0-9]{1,9}", re.ASCII)
_SESSION = re.compile(r"[!-~]{1,128}", re.ASCII)

LINK_REFUSALS: dict[str, BlockerCode] = {
    "4040711": BlockerCode.ACCOUNT_NOT_FOUND,
    "4030718": BlockerCode.ACCOUNT_BLOCKED,
}
"""Binding's refusals (decisions L2, assumed)."""

HELD = frozenset({"4030768", "4037468"})
"""Linked to another of our customers (4030768 seen, wallets.md 4.5; 4037468 decisions L2, assumed)."""

UNBOUND = frozenset({"4010902", "4010904"})
"""The customer's token, alive by its date, is refused: already gone (decisions L12, assumed)."""

RETURN_REFUSALS: dict[str, BlockerCode] = {
    "access_denied": BlockerCode.CONSENT_DENIED,
    "pin_blocked": BlockerCode.CONSENT_DENIED,
}
"""`error` on the way back (decisions L2, assumed)."""

HINTS: dict[str, Hint] = {"14": Hint.CUSTOMER_TOKEN, "51": Hint.FLOAT_SHORT, "401": Hint.OUR_TOKEN}
"""Codes of a READ that say why it could not tell (wallets.md 4.7, assumed)."""

NIK_MATCH: dict[str, Verdict] = {
    "Y": Verdict.MATCH,
    "N": Verdict.MISMATCH,
    "U": Verdict.KYC_INCOMPLETE,
    "P": Verdict.PENDING,
}
"""`nikMatch` (decisions L3, assumed)."""

INQUIRY: dict[str, OutcomeKind] = {
    "15": OutcomeKind.REJECTED,
    "62": OutcomeKind.REJECTED,
    "26": OutcomeKind.PENDING,
    "94": OutcomeKind.UNKNOWN,
}
"""What ends a payout at its inquiry: a refusal, or a merchantTrxID that is already known (decisions L6, L8)."""

CONFIRM: dict[str, OutcomeKind] = {
    "00": OutcomeKind.SUCCEEDED,
    "26": OutcomeKind.PENDING,
    "15": OutcomeKind.REJECTED,
    "40": OutcomeKind.NOT_ACCEPTED,
    "51": OutcomeKind.NOT_ACCEPTED,
    "89": OutcomeKind.UNKNOWN,
    "94": OutcomeKind.UNKNOWN,
}
"""Codes at confirm (00, 15, 26, 89 seen, wallets.md 4.7; the rest assumed, decisions L6-L8)."""

REASONS: dict[str, BlockerCode] = {"15": BlockerCode.BALANCE_LIMIT, "62": BlockerCode.ACCOUNT_BLOCKED}
"""What a refusal means for the incentive (decisions L8)."""

NOT_ACCEPTED: dict[str, Hint] = {"40": Hint.SESSION, "51": Hint.FLOAT_SHORT}
"""Codes at confirm that promise that nothing was done (decisions L6; wallets.md 4.7, assumed)."""

CHECK: dict[str, OutcomeKind] = {
    "COMPLETED": OutcomeKind.SUCCEEDED,
    "PENDING": OutcomeKind.PENDING,
    "FAILED": OutcomeKind.REJECTED,
}
"""`status` of a cash-in (names seen, strings assumed, wallets.md 4.7)."""

STATEMENT: dict[str, StatementKind] = {
    "CASHIN": StatementKind.CREDIT,
    "REVERSAL": StatementKind.REVERSAL,
    "FEE": StatementKind.FEE,
}
"""Types of report rows (decisions S4, assumed)."""

assert {code for table in (INQUIRY, CONFIRM) for code in table if table[code] is OutcomeKind.REJECTED} == set(REASONS)
assert {code for code in CONFIRM if CONFIRM[code] is OutcomeKind.NOT_ACCEPTED} == set(NOT_ACCEPTED)
assert len(set(NIK_MATCH.values())) == len(NIK_MATCH), "one verdict an answer"


# --- linking, by SNAP ---------------------------------------------------------------------------------------------


def bound(reply: Response) -> LinkStep:
    """What binding said: the page to open, or why not."""
    envelope = sign.BIND.read(reply)
    if envelope.code == sign.BIND.done:
        return LinkRedirect(url=values.url(envelope, "redirectUrl"))
    if envelope.code in HELD:
        return LinkHeld(partner_code=envelope.code)
    if refusal := links.refused(envelope, LINK_REFUSALS, of_account=True):
        return refusal
    raise sign.BIND.unavailable(envelope)


def returned(query: Mapping[str, str]) -> LinkReturn:
    """The browser's way back: an authCode or an error, and our state echoed (decisions L2)."""
    return links.returned(query, state=query.get("state"), error=query.get("error"), table=RETURN_REFUSALS)


def exchanged(ctx: Context, reply: Response) -> LinkStep:
    """What the exchange of the authCode said."""
    envelope = sign.EXCHANGE.read(reply)
    if envelope.code in HELD:
        return LinkHeld(partner_code=envelope.code)
    return LinkGranted(grant=links.granted(ctx, sign.EXCHANGE.expect(reply)))


# --- the partner API ----------------------------------------------------------------------------------------------


def created_token(reply: Response) -> AccessToken:
    """Our legacy token as issued. No token is shown for it: a 401 can only mean our hmac signature."""
    said = _read(reply, Hint.CREDENTIALS)
    if said.code != "00":
        raise _unavailable(said, reply)
    return _legacy_token(said)


def refreshed_token(reply: Response) -> AccessToken | None:
    """Our legacy token as refreshed; None: start over with a new one (wallets.md 4.2)."""
    if reply.status == 401:
        return None
    said = _read(reply)
    return _legacy_token(said) if said.code == "00" else None


def identity(query: IdentityQuery, reply: Response) -> IdentityAnswer:
    """The verdict on the NIK; everything else in the answer is dropped."""
    said = _read(reply)
    verdict = answers.listed(said.fields.get("nikMatch"), NIK_MATCH)
    blocked = said.code == "62" and verdict is None
    if said.code != "00" and not blocked:
        raise _unavailable(said, reply)
    shown = accounts.proof(said.fields.get("customerNumber"), query.account)
    if blocked and shown in (None, query.account):
        return IdentityAnswer(verdict=Verdict.ACCOUNT_BLOCKED, partner_code=said.code)
    if blocked or shown is None:
        raise PartnerProtocolError("field customerNumber does not show which account was checked")
    if shown != query.account:
        return IdentityAnswer(verdict=Verdict.ACCOUNT_UNPROVED, partner_code=said.code)
    accounts.must_be_of_nik(query.nik, said.fields.get("nik"))
    if verdict is None:
        raise PartnerProtocolError("field nikMatch is missing or has an unlisted value")
    return IdentityAnswer(verdict=verdict, partner_code=said.code)


def inquired(order: PayoutOrder, reply: Response) -> str | Outcome:
    """The session to confirm; or what ends the payout before any money moved."""
    said = _read(reply)
    kind = INQUIRY.get(said.code)
    if said.code == "00" or kind is OutcomeKind.REJECTED:
        _must_be_of(said, order.account)
    if kind is OutcomeKind.REJECTED:
        return rejected(REASONS[said.code], partner_code=said.code)
    if kind is OutcomeKind.PENDING:
        return pending(partner_code=said.code)
    if kind is OutcomeKind.UNKNOWN:
        return unknown(partner_code=said.code, retry_after_s=answers.retry_after_s(reply))
    if said.code != "00":
        raise _unavailable(said, reply)
    if _amount(said, order) not in (None, order.amount_rupiah):
        raise PartnerProtocolError("field amount is not the amount asked for")
    session = answers.written(said.fields.get("sessionID"))
    if _SESSION.fullmatch(session) is None:
        raise PartnerProtocolError("field sessionID is not a session")
    return session


def confirmed(order: PayoutOrder, reply: Response) -> Outcome:
    """What the confirm said; a code without a line in the table is no verdict, nor is any HTTP status but 200 and the
    401 of our own token (decisions L9, L11).
    """
    wait_s = answers.retry_after_s(reply)
    if reply.status == 401 and wire.answer(reply).code == "401":
        return not_accepted(Hint.OUR_TOKEN, partner_code="401", retry_after_s=wait_s)
    said = _read(reply)
    kind = CONFIRM.get(said.code, OutcomeKind.UNKNOWN)
    stands = answers.listed(said.fields.get("status"), CHECK)
    if kind is not OutcomeKind.SUCCEEDED:
        _must_be_of(said, order.account)
    if kind is not OutcomeKind.SUCCEEDED and stands in (OutcomeKind.SUCCEEDED, OutcomeKind.PENDING):
        kind = OutcomeKind.UNKNOWN  # no refusal: looked up
    if kind is OutcomeKind.SUCCEEDED:
        if not answers.named(said.fields.get("linkRefNum")):
            raise PartnerProtocolError("field linkRefNum is missing")
        if stands not in (None, kind):
            raise PartnerProtocolError("field status disagrees with the code")
        return _booked(said, order, _number(said))
    if kind is OutcomeKind.PENDING:
        return pending(partner_code=said.code, partner_reference=_number(said))
    if kind is OutcomeKind.REJECTED:
        return rejected(REASONS[said.code], partner_code=said.code)
    if kind is OutcomeKind.NOT_ACCEPTED:
        return not_accepted(NOT_ACCEPTED[said.code], partner_code=said.code, retry_after_s=wait_s)
    return unknown(partner_code=said.code, retry_after_s=wait_s)


def checked(order: PayoutOrder, reply: Response) -> Outcome:
    """What the look-up said about the cash-in."""
    return answers.lasting(_checked(order, reply), reply)


def _checked(order: PayoutOrder, reply: Response) -> Outcome:
    said = _read(reply)
    kind = answers.listed(said.fields.get("status"), CHECK)
    if said.code == "25":
        if kind is not None:
            raise PartnerProtocolError("field status disagrees with the code")
        return not_found(partner_code=said.code)
    if said.code == "26":
        return pending(partner_code=said.code)
    if said.code != "00":
        raise _unavailable(said, reply)
    if kind is OutcomeKind.SUCCEEDED:
        return _booked(said, order, _number(said))
    if kind is OutcomeKind.PENDING:
        return pending(partner_code=said.code, partner_reference=_number(said))
    if kind is OutcomeKind.REJECTED:
        _must_be_of(said, order.account)
        return rejected(None, technical=True, partner_code="FAILED")
    raise PartnerProtocolError("field status is missing or has an unlisted value")


def report(asked: int, reply: Response) -> StatementPage:
    """One page of bookings (decisions S4)."""
    said = _read(reply)
    if said.code != "00":
        raise _unavailable(said, reply)
    page, pages = (_count(said, name) for name in ("page", "pages"))
    if page != asked or pages > paging.MAX_PAGES:
        raise PartnerProtocolError("field data is not the page asked for")
    return paging.page(asked, reply, more=asked < pages, rows=paging.rows(said.fields, "rows"), read=_line)


def _read(reply: Response, our_token: Hint = Hint.OUR_TOKEN) -> LinkAjaAnswer:
    """An answer of the partner API; raises what its HTTP status means where that is not 200 (wallets.md 4.8)."""
    if reply.status != 200:
        raise answers.no_answer(reply, "no answer of the partner API", our_token)
    return wire.answer(reply, our_token)


def _unavailable(said: LinkAjaAnswer, reply: Response) -> PartnerUnavailable:
    """A READ's code that is no verdict: could not tell."""
    return answers.unavailable(reply, f"code {said.code}", HINTS.get(said.code, Hint.NONE), said.code)


def _legacy_token(said: LinkAjaAnswer) -> AccessToken:
    return AccessToken(
        value=answers.secret(said.text("accessToken"), "accessToken"),
        life_s=LEGACY_TOKEN_LIFE_S,
        refresh=answers.secret(fresh, "refreshToken") if (fresh := said.evidence("refreshToken")) else None,
    )


def _account(said: LinkAjaAnswer, field: str, ours: Secret) -> Secret | None:
    number = said.fields.get(field)
    return None if number in (None, "") else accounts.echoed(answers.written(number), ours, accounts.mobile)


def _must_be_of(said: LinkAjaAnswer, ours: Secret) -> None:
    if _account(said, "msisdn", ours) not in (None, ours):
        raise PartnerProtocolError("field msisdn is not the account asked about")


def _amount(said: LinkAjaAnswer, order: PayoutOrder) -> int | None:
    """Amounts come back as plain rupiah (wallets.md 4.7), or as they were sent."""
    amount = said.fields.get("amount")
    if answers.written(amount) == wire.padded_amount(order.amount_rupiah):
        return order.amount_rupiah
    return None if amount in (None, "") else answers.whole(amount, "amount")


def _count(said: LinkAjaAnswer, field: str) -> int:
    text = answers.written(said.fields.get(field))
    if _COUNT.fullmatch(text) is None:
        raise PartnerProtocolError(f"field {field} is missing or no count")
    return int(text)


def _number(said: LinkAjaAnswer) -> str | None:
    return answers.number(said.fields.get("linkRefNum"))


def _booked(said: LinkAjaAnswer, order: PayoutOrder, number: str | None) -> Outcome:
    return succeeded(
        partner_code=said.code,
        partner_reference=number,
        amount_rupiah=_amount(said, order),
        account=_account(said, "msisdn", order.account),
    )


def _line(value: object) -> StatementLine:
    row = answers.typed(value, wire.LinkAjaReportRow, "a row of the report")
    kind = answers.listed(row.type, STATEMENT)
    if kind is None:
        raise PartnerProtocolError("field rows.type has an unlisted value")
    return StatementLine(
        kind=kind,
        amount_rupiah=answers.whole(row.amount, "rows.amount", sen=kind not in PAYMENTS),
        reference=answers.reference(row.merchant_trx_id),
        partner_reference=answers.number(row.link_ref_num),
        account=accounts.listed(row.msisdn, accounts.mobile),
        booked_at=answers.moment(row.trx_date, "rows.trxDate"),
    )
