"""LinkAja's answers in our words; a code that no table here lists is never a verdict (wallets.md 4, decisions L1-L14).

Which token an HTTP 401 means needs no guessing. The partner API sends two: our `Access-Token` header, whose refusal is
HTTP 401 with the code 401, and the customer's `token` in the body, whose refusal is code 14 in HTTP 200 (decisions L11,
wallets.md 4.7). A 401 without a code is the gateway's own word on the hmac signature. Below /bi SNAP's cases tell the
two apart (01 and 03 ours, 02 and 04 the customer's).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from adapters.linkaja import wire
from adapters.linkaja.manifest import CUSTOMER_TOKEN_LIFE_S, MANIFEST
from adapters.snap import codes, values
from contracts.errors import Hint, PartnerProtocolError, PartnerUnavailable
from contracts.identity import IdentityAnswer, IdentityQuery, Verdict
from contracts.incentive import BlockerCode
from contracts.linking import Grant, LinkGranted, LinkHeld, LinkRedirect, LinkRefused, LinkReturn, LinkStep, Unlinked
from contracts.observation import StatementKind, StatementLine, StatementPage
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

_AUTH_CODE = re.compile(r"[!-~]{1,1024}", re.ASCII)
_SESSION = re.compile(r"[!-~]{1,128}", re.ASCII)
_URL = re.compile(r"https?://[!-~]{1,2040}", re.ASCII)
_PLAIN = re.compile(r"[A-Za-z0-9_.-]{1,32}", re.ASCII)
_PAGE = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_MAX_PAGES: Final = 10_000

LINK_REFUSALS: dict[str, BlockerCode] = {
    "4040711": BlockerCode.ACCOUNT_NOT_FOUND,
    "4030718": BlockerCode.ACCOUNT_BLOCKED,
}
"""Binding's refusals (decisions L2, assumed)."""

HELD = frozenset({"4030768", "4037468"})
"""Linked to another of our customers (4030768 seen, wallets.md 4.5; 4037468 decisions L2, assumed)."""

GRANT_GONE = frozenset({"4017401", "4017402", "4017403", "4017404"})
"""No bearer is sent at a refresh, so these can only speak of the refresh token (decisions L14, assumed)."""

UNBOUND = frozenset({"2000900", "4010902", "4010904"})
"""Given back, or the customer's token, alive by its date, is refused: already gone (decisions L12, assumed)."""

RETURN_REFUSALS: dict[str, BlockerCode] = {
    "access_denied": BlockerCode.CONSENT_DENIED,
    "pin_blocked": BlockerCode.CONSENT_DENIED,
}
"""`error` on the way back (decisions L2, assumed)."""

HINTS: dict[str, Hint] = {"14": Hint.CUSTOMER_TOKEN, "51": Hint.FLOAT_SHORT}
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


def created_token(reply: Response) -> AccessToken:
    """Our legacy token as issued. No token is sent for it: a 401 can only mean our hmac signature."""
    if reply.status == 401:
        raise PartnerUnavailable("HTTP 401", hint=Hint.CREDENTIALS)
    said = read(reply)
    if said.code != "00":
        raise unavailable(said)
    return _legacy_token(said)


def refreshed_token(reply: Response) -> AccessToken | None:
    """Our legacy token as refreshed; None: start over with a new one (wallets.md 4.2)."""
    if reply.status == 401:
        return None
    said = read(reply)
    return _legacy_token(said) if said.code == "00" else None


def bound(reply: Response) -> LinkStep:
    """What binding said: the page to open, or why not."""
    envelope = codes.read(reply, "07")
    if envelope.code == "2000700":
        url = envelope.text("redirectUrl")
        if _URL.fullmatch(url) is None:
            raise PartnerProtocolError("field redirectUrl is not an http address")
        return LinkRedirect(url=url)
    if envelope.code in LINK_REFUSALS:
        return LinkRefused(code=LINK_REFUSALS[envelope.code], partner_code=envelope.code)
    if envelope.code in HELD:
        return LinkHeld(partner_code=envelope.code)
    raise codes.unavailable(envelope, reply)


def returned(query: Mapping[str, str]) -> LinkReturn:
    """The browser's way back. Whatever is neither a code nor a listed refusal is a linking that was not finished."""
    state = query.get("state")
    error = query.get("error")
    if error is not None:
        refused = RETURN_REFUSALS.get(error, BlockerCode.CONSENT_ABANDONED)
        return LinkReturn(refused=refused, state=state, partner_code=error if _PLAIN.fullmatch(error) else None)
    auth_code = query.get("authCode", "")
    if _AUTH_CODE.fullmatch(auth_code) is None:
        return LinkReturn(refused=BlockerCode.CONSENT_ABANDONED, state=state)
    return LinkReturn(code=Secret(auth_code), state=state)


def exchanged(ctx: Context, reply: Response) -> LinkStep:
    """What the exchange of the authCode said."""
    envelope = codes.read(reply, "74")
    if envelope.code == "2007400":
        refresh_token = values.token(envelope, "refreshToken")
        return LinkGranted(grant=_grant(ctx, envelope, refresh_token))
    if envelope.code in HELD:
        return LinkHeld(partner_code=envelope.code)
    raise codes.unavailable(envelope, reply)


def refreshed(ctx: Context, envelope: codes.Envelope, refresh_token: Secret) -> Grant:
    """The fresh grant; the old refresh token stays where no new one came."""
    fresh = envelope.optional_text("refreshToken")
    return _grant(ctx, envelope, refresh_token if fresh is None else values.secret(fresh, "refreshToken"))


def unbound(reply: Response) -> Unlinked:
    """What unbinding said."""
    envelope = codes.read(reply, "09")
    if envelope.code not in UNBOUND:
        raise codes.unavailable(envelope, reply)
    return Unlinked(partner_code=envelope.code)


def identity(query: IdentityQuery, reply: Response) -> IdentityAnswer:
    """The verdict on the NIK; everything else in the answer is dropped."""
    said = read(reply)
    if said.code == "62":
        return IdentityAnswer(verdict=Verdict.ACCOUNT_BLOCKED, partner_code=said.code)
    if said.code != "00":
        raise unavailable(said)
    if wire.account_of(said.text("customerNumber")) != query.account:
        return IdentityAnswer(verdict=Verdict.ACCOUNT_UNPROVED, partner_code=said.code)
    verdict = NIK_MATCH.get(said.text("nikMatch"))
    if verdict is None:
        raise PartnerProtocolError("field nikMatch has an unlisted value")
    return IdentityAnswer(verdict=verdict, partner_code=said.code)


def inquired(order: PayoutOrder, reply: Response) -> str | Outcome:
    """The session to confirm; or what ends the payout before any money moved."""
    said = read(reply)
    kind = INQUIRY.get(said.code)
    if kind is OutcomeKind.REJECTED:
        return rejected(REASONS[said.code], partner_code=said.code)
    if kind is OutcomeKind.PENDING:
        return pending(partner_code=said.code)
    if kind is OutcomeKind.UNKNOWN:
        return unknown(partner_code=said.code)
    if said.code != "00":
        raise unavailable(said)
    _check_reference(said, order)
    _check_account(said, "msisdn", order.account)
    if _amount(said) not in (None, order.amount_rupiah):
        raise PartnerProtocolError("field amount is not the amount asked for")
    session = said.text("sessionID")
    if _SESSION.fullmatch(session) is None:
        raise PartnerProtocolError("field sessionID is not a session")
    return session


def confirmed(order: PayoutOrder, reply: Response) -> Outcome:
    """What the confirm said; a code without a line in the table is no verdict, nor is any HTTP status but 200 and the
    401 of our own token (decisions L9, L11).
    """
    if reply.status == 401 and wire.answer(reply).code == "401":
        return not_accepted(Hint.OUR_TOKEN, partner_code="401")
    if reply.status != 200:
        return unknown()
    said = wire.answer(reply)
    kind = CONFIRM.get(said.code, OutcomeKind.UNKNOWN)
    if kind is OutcomeKind.SUCCEEDED:
        _check_reference(said, order)
        return _booked(said, said.text("linkRefNum"))
    if kind is OutcomeKind.PENDING:
        return pending(partner_code=said.code, partner_reference=said.optional_text("linkRefNum"))
    if kind is OutcomeKind.REJECTED:
        return rejected(REASONS[said.code], partner_code=said.code)
    if kind is OutcomeKind.NOT_ACCEPTED:
        return not_accepted(NOT_ACCEPTED[said.code], partner_code=said.code)
    return unknown(partner_code=said.code)


def checked(order: PayoutOrder, reply: Response) -> Outcome:
    """What the look-up said about the cash-in."""
    said = read(reply)
    if said.code == "25":
        return not_found(partner_code=said.code)
    if said.code == "26":
        return pending(partner_code=said.code)
    if said.code != "00":
        raise unavailable(said)
    _check_reference(said, order)
    status = said.text("status")
    kind = CHECK.get(status)
    if kind is OutcomeKind.SUCCEEDED:
        return _booked(said, said.optional_text("linkRefNum"))
    if kind is OutcomeKind.PENDING:
        return pending(partner_code=said.code, partner_reference=said.optional_text("linkRefNum"))
    if kind is OutcomeKind.REJECTED:
        return rejected(None, technical=True, partner_code="FAILED")
    raise PartnerProtocolError("field status has an unlisted value")


def report(page: int, reply: Response) -> StatementPage:
    """One page of bookings; a row that cannot be read spoils the page, since a statement also proves absence."""
    said = read(reply)
    if said.code != "00":
        raise unavailable(said)
    data = wire.report(said)
    if data.page != page or not 0 <= data.pages <= _MAX_PAGES:
        raise PartnerProtocolError("field data is not the page asked for")
    next_cursor = str(page + 1) if page < data.pages else None
    return StatementPage(lines=tuple(_line(row) for row in data.rows), next_cursor=next_cursor)


def page_number(cursor: str | None) -> int:
    """A statement's cursor is a page number; ours alone, so a bad one is a bug."""
    if cursor is None:
        return 1
    if _PAGE.fullmatch(cursor) is None or int(cursor) > _MAX_PAGES:
        raise ValueError("not a cursor of this statement")
    return int(cursor)


def read(reply: Response) -> wire.LinkAjaAnswer:
    """The answer to a READ of the partner API; raises where there is none, with the hint that its HTTP status gives."""
    if reply.status == 200:
        return wire.answer(reply)
    if reply.status == 401:
        if not wire.json_object(reply).keys() & {"responseCode", "status", "data"}:
            raise PartnerUnavailable("HTTP 401 without a code", hint=Hint.CREDENTIALS)
        if wire.answer(reply).code == "401":
            raise PartnerUnavailable("HTTP 401", hint=Hint.OUR_TOKEN, partner_code="401")
        raise PartnerProtocolError("HTTP 401 with another code")
    hint = Hint.THROTTLED if reply.status == 429 else Hint.NONE
    raise PartnerUnavailable(f"HTTP {reply.status}", hint=hint, retry_after_s=codes.retry_after_s(reply))


def unavailable(said: wire.LinkAjaAnswer) -> PartnerUnavailable:
    """A READ's code that is no verdict: could not tell."""
    return PartnerUnavailable(f"code {said.code}", hint=HINTS.get(said.code, Hint.NONE), partner_code=said.code)


def _legacy_token(said: wire.LinkAjaAnswer) -> AccessToken:
    return AccessToken(
        value=values.secret(said.text("accessToken"), "accessToken"),
        life_s=MANIFEST.tokens["legacy"].life_s,
        refresh=values.secret(said.text("refreshToken"), "refreshToken"),
    )


def _grant(ctx: Context, envelope: codes.Envelope, refresh_token: Secret) -> Grant:
    ends = envelope.optional_text("accessTokenExpiryTime")
    if ends is None:
        expires_at = ctx.now + timedelta(seconds=CUSTOMER_TOKEN_LIFE_S)
    else:
        expires_at = values.moment(ends, "accessTokenExpiryTime")
    access_token = values.token(envelope, "accessToken")
    return Grant(access_token=access_token, refresh_token=refresh_token, expires_at=expires_at)


def _check_reference(said: wire.LinkAjaAnswer, order: PayoutOrder) -> None:
    if said.optional_text("merchantTrxID") not in (None, order.reference):
        raise PartnerProtocolError("field merchantTrxID is not ours")


def _check_account(said: wire.LinkAjaAnswer, field: str, account: Secret) -> None:
    number = said.optional_text(field)
    if number is not None and wire.account_of(number) != account:
        raise PartnerProtocolError(f"field {field} is not the account asked about")


def _amount(said: wire.LinkAjaAnswer) -> int | None:
    text = said.optional_text("amount")
    return None if text is None else wire.rupiah_of(text)


def _booked(said: wire.LinkAjaAnswer, link_ref_num: str | None) -> Outcome:
    number = said.optional_text("msisdn")
    return succeeded(
        partner_code=said.code,
        partner_reference=link_ref_num,
        amount_rupiah=_amount(said),
        account=None if number is None else wire.account_of(number),
    )


def _line(row: wire.LinkAjaReportRow) -> StatementLine:
    kind = STATEMENT.get(row.type)
    if kind is None:
        raise PartnerProtocolError("field rows.type has an unlisted value")
    return StatementLine(
        kind=kind,
        amount_rupiah=wire.rupiah_of(row.amount),
        reference=row.merchant_trx_id or None,
        partner_reference=row.link_ref_num or None,
        account=wire.account_of(row.msisdn) if row.msisdn else None,
        booked_at=values.moment(row.trx_date, "rows.trxDate"),
    )
