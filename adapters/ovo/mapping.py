"""OVO's answers in our words; a code that no table here lists is never a verdict (wallets.md 3, decisions O1-O12)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import msgspec

from adapters.ovo import wire
from adapters.ovo.manifest import CUSTOMER_TOKEN_LIFE_S
from adapters.snap import codes, values
from contracts.errors import Hint, PartnerProtocolError, PartnerUnavailable
from contracts.identity import IdentityAnswer, IdentityQuery, Verdict
from contracts.incentive import BlockerCode
from contracts.linking import (
    Grant,
    LinkGranted,
    LinkHeld,
    LinkRedirect,
    LinkRefused,
    LinkReturn,
    LinkStep,
    Unlinked,
)
from contracts.observation import Balance, StatementKind, StatementLine, StatementPage
from contracts.partner import Context
from contracts.payout import (
    Outcome,
    OutcomeKind,
    PayoutOrder,
    not_accepted,
    not_found,
    pending,
    rejected,
    reversed_,
    succeeded,
    unknown,
)
from contracts.plan import Response
from contracts.secret import Secret

_AUTH_CODE = re.compile(r"[!-~]{1,1024}", re.ASCII)
_URL = re.compile(r"https?://[!-~]{1,2040}", re.ASCII)
_OV_CODE = re.compile(r"OV[0-9]{5}", re.ASCII)
_PAGE = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_MAX_PAGES: Final = 10_000

LINK_REFUSALS: dict[str, BlockerCode] = {
    "4040711": BlockerCode.ACCOUNT_NOT_FOUND,
    "4030707": BlockerCode.ACCOUNT_BLOCKED,
}
"""Binding's refusals (decisions O3, assumed; 4030707 seen in wallets.md 3.3)."""

HELD = frozenset({"4030705", "4037405"})
"""With additionalInfo.reason ALREADY_LINKED: linked to another of our customers (decisions O3, assumed)."""

EXCHANGE_OVER = frozenset({"4017401", "4017403", "4047401"})
"""The linkageToken or the authCode is no longer good: the participant starts again (4047401 recalled, rest assumed)."""

GRANT_GONE = frozenset({"4017401", "4017402", "4017403", "4017404"})
"""No bearer is sent at a refresh, so these can only speak of the refresh token: unlinked (wallets.md 3.3, recalled)."""

RETURN_REFUSALS: dict[str, BlockerCode] = {
    "OV00006": BlockerCode.CONSENT_DENIED,
    "OV00007": BlockerCode.CONSENT_DENIED,
}
"""Codes of `errorResponse`: refused, and locked out (decisions O5, assumed)."""

INQUIRY_REFUSALS: dict[str, BlockerCode] = {
    "4033702": BlockerCode.BALANCE_LIMIT,
    "4033707": BlockerCode.ACCOUNT_BLOCKED,
    "4033718": BlockerCode.ACCOUNT_BLOCKED,
    "4043711": BlockerCode.ACCOUNT_NOT_FOUND,
}
"""Final at the inquiry of a payout (decisions O8, wallets.md 3.5, 3.6, assumed)."""

INQUIRY_VERDICTS: dict[str, Verdict] = {
    "4033707": Verdict.ACCOUNT_BLOCKED,
    "4033718": Verdict.ACCOUNT_BLOCKED,
    "4043711": Verdict.ACCOUNT_NOT_FOUND,
}
"""Refusals of a NIK check that are verdicts (wallets.md 3.5, 3.6, assumed)."""

CONSENT_MISSING = "4033705"
"""At account-inquiry: the customer's consent is missing (wallets.md 3.5, assumed); treated like a dead token."""

IDENTITY: dict[str, Verdict] = {
    "MATCH": Verdict.MATCH,
    "NOT_MATCH": Verdict.MISMATCH,
    "NOT_AVAILABLE": Verdict.KYC_INCOMPLETE,
    "IN_PROGRESS": Verdict.PENDING,
}
"""`identificationMatch` (decisions O7, assumed)."""

TOPUP_REFUSALS: dict[str, BlockerCode] = {
    "4033802": BlockerCode.BALANCE_LIMIT,
    "4033803": BlockerCode.PARTNER_REJECTED,
    "4033805": BlockerCode.PARTNER_REJECTED,
    "4033807": BlockerCode.ACCOUNT_BLOCKED,
    "4033818": BlockerCode.ACCOUNT_BLOCKED,
    "4043811": BlockerCode.ACCOUNT_NOT_FOUND,
}
"""Final refusals of a top-up (decisions O8, wallets.md 3.6, assumed after SNAP's table)."""

NOT_ACCEPTED = frozenset({"40100", "40101", "40103", "40306", "40314", "42900"})
"""Cases in which the standard promises that nothing was done (snap-bni.md 1.8, 4.2)."""

ALREADY_KNOWN = frozenset({"40901", "40418"})
"""The reference is known at the partner: look it up (decisions X7)."""

STATUS: dict[str, OutcomeKind] = {
    "00": OutcomeKind.SUCCEEDED,
    "01": OutcomeKind.PENDING,
    "02": OutcomeKind.PENDING,
    "03": OutcomeKind.PENDING,
    "04": OutcomeKind.REVERSED,
    "05": OutcomeKind.REJECTED,
    "06": OutcomeKind.REJECTED,
    "07": OutcomeKind.NOT_FOUND,
}
"""`latestTransactionStatus` (snap-bni.md 1.12)."""

STATEMENT: dict[str, StatementKind] = {
    "TOPUP": StatementKind.CREDIT,
    "REVERSAL": StatementKind.REVERSAL,
    "FEE": StatementKind.FEE,
    "DEPOSIT": StatementKind.OTHER,
}
"""Types of history rows (decisions S3, assumed)."""

assert set(codes.HINTS) >= NOT_ACCEPTED, "every case that is not accepted has a hint"
assert set(STATUS) == {f"{n:02d}" for n in range(8)}, "every status of the standard has its word"
assert len(set(IDENTITY.values())) == len(IDENTITY), "one verdict an answer"
assert set(STATEMENT.values()) == set(StatementKind), "every kind of booking has its type"
assert not set(TOPUP_REFUSALS) & {f"{case[:3]}38{case[3:]}" for case in NOT_ACCEPTED | ALREADY_KNOWN}, "one word a code"


def bound(reply: Response) -> LinkStep:
    """What binding said: the page to open, or why not."""
    envelope = codes.read(reply, "07")
    if envelope.code == "2000700":
        url = envelope.text("redirectUrl")
        if _URL.fullmatch(url) is None:
            raise PartnerProtocolError("field redirectUrl is not an http address")
        return LinkRedirect(url=url, carry={"linkage_token": values.token(envelope, "linkageToken")})
    if envelope.code in LINK_REFUSALS:
        return LinkRefused(code=LINK_REFUSALS[envelope.code], partner_code=envelope.code)
    if _held(envelope):
        return LinkHeld(partner_code=envelope.code)
    raise codes.unavailable(envelope, reply)


def returned(query: Mapping[str, str]) -> LinkReturn:
    """The browser's way back. Whatever is neither a code nor a listed refusal is a linking that was not finished."""
    error = query.get("errorResponse")
    if error is not None:
        code = _error_code(error)
        return LinkReturn(refused=RETURN_REFUSALS.get(code or "", BlockerCode.CONSENT_ABANDONED), partner_code=code)
    auth_code = query.get("authCode", "")
    if _AUTH_CODE.fullmatch(auth_code) is None:
        return LinkReturn(refused=BlockerCode.CONSENT_ABANDONED)
    return LinkReturn(code=Secret(auth_code))


def exchanged(ctx: Context, reply: Response) -> LinkStep:
    """What the exchange of the authCode said."""
    envelope = codes.read(reply, "74")
    if envelope.code == "2007400":
        return LinkGranted(grant=_grant(ctx, envelope, values.token(envelope, "refreshToken")))
    if _held(envelope):
        return LinkHeld(partner_code=envelope.code)
    if envelope.code in EXCHANGE_OVER:
        return LinkRefused(code=BlockerCode.CONSENT_ABANDONED, partner_code=envelope.code)
    raise codes.unavailable(envelope, reply)


def refreshed(ctx: Context, envelope: codes.Envelope, refresh_token: Secret) -> Grant:
    """The fresh grant; the old refresh token stays where no new one came."""
    if envelope.optional_text("refreshToken") is not None:
        refresh_token = values.token(envelope, "refreshToken")
    return _grant(ctx, envelope, refresh_token)


def unbinding_begun(reply: Response) -> Secret | Unlinked:
    """The token for the second call; or that there is nothing to unbind: the customer's token, alive by its date, is
    refused.
    """
    envelope = codes.read(reply, "09")
    if envelope.code == "2000900":
        return values.token(envelope, "accessToken")
    if envelope.case in {"40101", "40102", "40103", "40104"}:  # the only bearer sent is the customer's
        return Unlinked(partner_code=envelope.code)
    raise codes.unavailable(envelope, reply)


def unbound(reply: Response) -> Unlinked:
    """What the second call of unbinding said."""
    envelope = codes.read(reply, "09")
    if envelope.code != "2000900":
        raise codes.unavailable(envelope, reply)
    return Unlinked(partner_code=envelope.code)


def identity(query: IdentityQuery, reply: Response) -> IdentityAnswer:
    """The verdict on the NIK; everything else in the answer is dropped."""
    envelope = codes.read(reply, "37")
    if envelope.code in INQUIRY_VERDICTS:
        return IdentityAnswer(verdict=INQUIRY_VERDICTS[envelope.code], partner_code=envelope.code)
    _inquiry_done(envelope, reply)
    echoed = _account(envelope)
    if echoed is None:
        raise PartnerProtocolError("field customerNumber is missing: which account was checked?")
    if echoed != query.account:
        return IdentityAnswer(verdict=Verdict.ACCOUNT_UNPROVED, partner_code=envelope.code)
    verdict = IDENTITY.get(envelope.text("additionalInfo", "identificationMatch"))
    if verdict is None:
        raise PartnerProtocolError("field additionalInfo.identificationMatch has an unlisted value")
    return IdentityAnswer(verdict=verdict, partner_code=envelope.code)


def inquired(order: PayoutOrder, reply: Response) -> Outcome | None:
    """None: the account takes this amount, go on. Otherwise what ends the payout before any money moved."""
    envelope = codes.read(reply, "37")
    if envelope.code in INQUIRY_REFUSALS:
        return rejected(INQUIRY_REFUSALS[envelope.code], partner_code=envelope.code)
    if envelope.case in ALREADY_KNOWN:
        return unknown(partner_code=envelope.code)
    _inquiry_done(envelope, reply)
    _check_account(envelope, order.account)
    return None


def topped_up(order: PayoutOrder, reply: Response) -> Outcome:
    """What the top-up said; a code without a line in the tables is no verdict."""
    envelope = codes.read(reply, "38")
    code = envelope.code
    if code == "2003800":
        _check_reference(envelope, order.reference, "partnerReferenceNo")
        return succeeded(
            partner_code=code,
            partner_reference=envelope.text("referenceNo"),
            amount_rupiah=_amount(envelope),
            account=_account(envelope),
        )
    if code == "2023800":
        return pending(partner_code=code, partner_reference=envelope.optional_text("referenceNo"))
    if code in TOPUP_REFUSALS:
        return rejected(TOPUP_REFUSALS[code], partner_code=code)
    if envelope.case in NOT_ACCEPTED:
        hint = codes.HINTS[envelope.case]
        return not_accepted(hint, partner_code=code, retry_after_s=codes.retry_after_s(reply))
    return unknown(partner_code=code)


def found(order: PayoutOrder, reply: Response) -> Outcome:
    """What the look-up said about the top-up."""
    envelope = codes.read(reply, "39")
    if envelope.code == "4043901":
        return not_found(partner_code=envelope.code)
    if envelope.code != "2003900":
        raise codes.unavailable(envelope, reply)
    _check_reference(envelope, order.reference, "originalPartnerReferenceNo")
    status = envelope.text("latestTransactionStatus")
    kind = STATUS.get(status)
    if kind is OutcomeKind.SUCCEEDED:
        return succeeded(
            partner_code=status,
            partner_reference=envelope.optional_text("originalReferenceNo"),
            amount_rupiah=_amount(envelope),
            account=_account(envelope),
        )
    if kind is OutcomeKind.PENDING:
        return pending(partner_code=status, partner_reference=envelope.optional_text("originalReferenceNo"))
    if kind is OutcomeKind.REVERSED:
        return reversed_(partner_code=status)
    if kind is OutcomeKind.REJECTED:
        return rejected(None, technical=True, partner_code=status)
    if kind is OutcomeKind.NOT_FOUND:
        return not_found(partner_code=status)
    raise PartnerProtocolError("field latestTransactionStatus has an unlisted value")


def history(page: int, reply: Response) -> StatementPage:
    """One page of bookings; a row that cannot be read spoils the page, since a statement also proves absence."""
    envelope = codes.read(reply, "12")
    if envelope.code != "2001200":
        raise codes.unavailable(envelope, reply)
    rows = wire.converted(envelope, "detailData", list[wire.OvoHistoryRow])
    info = wire.converted(envelope, "additionalInfo", wire.OvoHistoryInfo)
    if info.page != str(page) or info.has_more not in ("Y", "N"):
        raise PartnerProtocolError("field additionalInfo is not of the page asked for")
    if info.has_more == "Y" and page >= _MAX_PAGES:
        raise PartnerProtocolError("the history has too many pages")
    next_cursor = str(page + 1) if info.has_more == "Y" else None
    return StatementPage(lines=tuple(_line(row) for row in rows), next_cursor=next_cursor)


def balance(reply: Response) -> Balance:
    """What is left of our deposit."""
    envelope = codes.read(reply, "11")
    if envelope.code != "2001100":
        raise codes.unavailable(envelope, reply)
    infos = wire.converted(envelope, "accountInfos", list[wire.OvoAccountInfo])
    deposits = [info for info in infos if info.balance_type == "DEPOSIT"]
    if len(deposits) != 1:
        raise PartnerProtocolError("field accountInfos does not hold one DEPOSIT")
    return Balance(amount_rupiah=wire.rupiah_of(deposits[0].available_balance))


def page_number(cursor: str | None) -> int:
    """A statement's cursor is a page number; ours alone, so a bad one is a bug."""
    if cursor is None:
        return 1
    if _PAGE.fullmatch(cursor) is None or int(cursor) > _MAX_PAGES:
        raise ValueError("not a cursor of this statement")
    return int(cursor)


def _inquiry_done(envelope: codes.Envelope, reply: Response) -> None:
    if envelope.code == CONSENT_MISSING:
        raise PartnerUnavailable(f"responseCode {envelope.code}", hint=Hint.CUSTOMER_TOKEN, partner_code=envelope.code)
    if envelope.code != "2003700":
        raise codes.unavailable(envelope, reply)


def _held(envelope: codes.Envelope) -> bool:
    return envelope.code in HELD and envelope.optional_text("additionalInfo", "reason") == "ALREADY_LINKED"


def _grant(ctx: Context, envelope: codes.Envelope, refresh_token: Secret) -> Grant:
    """OVO names the life `tokenExpiresIn`, the standard `accessTokenExpiryTime` (wallets.md 12.4): either is read."""
    life_s = values.seconds(envelope, "tokenExpiresIn")
    ends = envelope.optional_text("accessTokenExpiryTime")
    if life_s is not None or ends is None:
        expires_at = ctx.now + timedelta(seconds=life_s or CUSTOMER_TOKEN_LIFE_S)
    else:
        expires_at = values.moment(ends, "accessTokenExpiryTime")
    return Grant(access_token=values.token(envelope, "accessToken"), refresh_token=refresh_token, expires_at=expires_at)


def _error_code(error: str) -> str | None:
    """The OV code of `errorResponse`, or None where it cannot be read."""
    try:
        decoded = msgspec.json.decode(error.encode()[:2048])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    code = decoded.get("code") if isinstance(decoded, dict) else None
    return code if isinstance(code, str) and _OV_CODE.fullmatch(code) else None


def _check_reference(envelope: codes.Envelope, reference: str, field: str) -> None:
    echoed = envelope.optional_text(field)
    if echoed is not None and echoed != reference:
        raise PartnerProtocolError(f"field {field} is not ours")


def _check_account(envelope: codes.Envelope, account: Secret) -> None:
    echoed = _account(envelope)
    if echoed is not None and echoed != account:
        raise PartnerProtocolError("field customerNumber is not the account asked about")


def _account(envelope: codes.Envelope) -> Secret | None:
    number = envelope.optional_text("customerNumber")
    return wire.account_of(number) if number is not None else None


def _amount(envelope: codes.Envelope) -> int | None:
    if envelope.body.get("amount") is None:
        return None
    return wire.rupiah_of(wire.converted(envelope, "amount", wire.OvoAmount))


def _line(row: wire.OvoHistoryRow) -> StatementLine:
    kind = STATEMENT.get(row.type)
    if kind is None:
        raise PartnerProtocolError("field detailData.type has an unlisted value")
    return StatementLine(
        kind=kind,
        amount_rupiah=wire.rupiah_of(row.amount),
        reference=row.partner_reference_no or None,
        partner_reference=row.reference_no or None,
        account=wire.account_of(row.customer_number) if row.customer_number else None,
        booked_at=values.moment(row.date_time, "detailData.dateTime"),
    )
