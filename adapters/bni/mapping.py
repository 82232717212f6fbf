"""BNI's answers in our words. Codes are compared whole, never by message text; what no table lists is no verdict."""

from __future__ import annotations

import re

from adapters import accounts, answers, paging
from adapters.bni import sign, wire
from adapters.bni.identity import account_of
from adapters.snap import links, statements, values
from adapters.snap.codes import Envelope
from adapters.snap.payouts import Payouts
from contracts.errors import Hint, PartnerProtocolError
from contracts.incentive import BlockerCode
from contracts.linking import Grant, LinkGranted, LinkInputs, LinkStep, Unlinked, UnlinkStep
from contracts.observation import PAYMENTS, Balance, StatementKind, StatementLine, StatementPage
from contracts.plan import Response
from contracts.secret import Secret

_COUNT = re.compile(r"[0-9]{1,9}", re.ASCII)

BIND_REFUSALS: dict[str, BlockerCode] = {
    "4040711": BlockerCode.ACCOUNT_NOT_FOUND,
    "4030718": BlockerCode.ACCOUNT_BLOCKED,
}
"""Final answers to a bind (assumed, decision B4)."""

OTHER_CARD = frozenset({"4000701", "4030708"})
"""The card is not the account's (assumed, decision B4), or has expired (snap-bni.md 1.8): another one is asked for."""

OTP_REFUSALS: dict[str, BlockerCode] = {
    "4030411": BlockerCode.CONSENT_DENIED,
    "4030412": BlockerCode.CONSENT_ABANDONED,
}
"""Final answers to an OTP: blocked after the third wrong one, too late (assumed, decision B3)."""

UNLINK_GONE = frozenset({"4048111", "4040911"})
"""The card token is unknown at BNI (snap-bni.md 6.2, assumed): the link is given back already."""

UNLINK_EXPIRED = frozenset({"4030911", "4030912"})
"""The OTP for unbinding is blocked or too old (snap-bni.md 1.8; that B3 holds here is assumed): ask for a new one."""

INQUIRY_REFUSALS: dict[str, BlockerCode] = {
    "4001501": BlockerCode.ACCOUNT_BLOCKED,  # inactive: seen, snap-bni.md 2.3; reading, decision B7
    "4031518": BlockerCode.ACCOUNT_BLOCKED,  # standard's inactive: snap-bni.md 1.8, decision B7
    "4031509": BlockerCode.ACCOUNT_BLOCKED,  # dormant: snap-bni.md 1.8
    "4041511": BlockerCode.ACCOUNT_NOT_FOUND,  # snap-bni.md 1.8, decision B7
}
"""What the inquiry before a payout may say about the account."""

TRANSFER_REFUSALS: dict[str, BlockerCode] = {
    "4031702": BlockerCode.PARTNER_REJECTED,  # over the limit of one transaction
    "4031703": BlockerCode.PARTNER_REJECTED,  # suspected fraud
    "4031705": BlockerCode.PARTNER_REJECTED,  # do not honour
    "4031709": BlockerCode.ACCOUNT_BLOCKED,  # dormant
    "4031715": BlockerCode.PARTNER_REJECTED,  # not permitted
    "4031718": BlockerCode.ACCOUNT_BLOCKED,  # inactive
    "4041711": BlockerCode.ACCOUNT_NOT_FOUND,  # seen at another bank for this service
    "4041713": BlockerCode.PARTNER_REJECTED,  # invalid amount
}
"""Final refusals of a transfer: the standard's meanings (snap-bni.md 1.8), final by inference (4.2), so assumed.

What blames our request or our set-up (400xx, 403xx01, 404xx08, 404xx16, 405xx) is left out on purpose: it would refuse
everyone at once, and an earlier attempt may have been booked. It is UNKNOWN and looked up.
"""

PAYOUTS = Payouts(
    inquiry=sign.INQUIRY,  # under a number of its own: its 409 says nothing of the payout
    transfer=sign.TRANSFER,
    status=sign.STATUS,
    inquiry_refusals=INQUIRY_REFUSALS,
    refusals=TRANSFER_REFUSALS,
    account="beneficiaryAccountNo",
    account_of=account_of,
    account_needed=True,
    numbers=("originalReferenceNo", "referenceNumber"),
    refused_before="previousResponseCode",
)

BOOKINGS: dict[str, tuple[StatementKind, str]] = {
    "TRANSFER": (StatementKind.CREDIT, "DEBIT"),
    "REVERSAL": (StatementKind.REVERSAL, "CREDIT"),
    "FEE": (StatementKind.FEE, "DEBIT"),
    "DEPOSIT": (StatementKind.OTHER, "CREDIT"),
}
"""A booking's kind in our words and its side of our account (assumed, decision S5)."""
assert {kind for kind, _ in BOOKINGS.values()} == set(StatementKind) - {StatementKind.PENDING}, "each has BNI's"


def bound(reply: Response, reference: str) -> LinkStep:
    """After a bind: the OTP is next, the card number was wrong, or the account cannot be linked (decisions B2, B4)."""
    envelope = sign.BIND.read(reply)
    if envelope.code == sign.BIND.done:
        return LinkInputs(
            names=("otp",),
            carry={
                "partnerReferenceNo": Secret(reference),
                "referenceNo": Secret(envelope.number("additionalInfo", "referenceNo")),
                "chargeToken": values.token(envelope, "chargeToken"),
                "bankCardToken": values.token(envelope, "bankCardToken"),
            },
        )
    if envelope.code in OTHER_CARD:
        return LinkInputs(names=("card_no",), again=True)
    if refusal := links.refused(envelope, BIND_REFUSALS, of_account=True):
        return refusal
    raise sign.BIND.unavailable(envelope)


def otp_verified(reply: Response, link_id: str, held: LinkInputs) -> LinkStep:
    """After an OTP: linked, asked again with the same carry, or ended (decision B3). The token may be repeated, an
    expiry may be named; the answer may show what only the bind was told.
    """
    envelope = sign.VERIFY_OTP.read(reply)
    envelope.echo(held.carry["partnerReferenceNo"].reveal(), "partnerReferenceNo")
    envelope.echo(link_id, "additionalInfo", "custIdMerchant")
    if envelope.code == sign.VERIFY_OTP.done:
        again = envelope.evidence("bankCardToken") is not None
        token = values.token(envelope, "bankCardToken") if again else held.carry["bankCardToken"]
        return LinkGranted(
            grant=Grant(access_token=token, expires_at=values.expiry(envelope.body.get("tokenExpiryTime")))
        )
    if envelope.code == "4040415":
        return held
    if refusal := links.refused(envelope, OTP_REFUSALS):
        return refusal
    raise sign.VERIFY_OTP.unavailable(envelope)


def otp_sent(reply: Response) -> UnlinkStep:
    """After asking for the OTP that unbinding wants (decision S6)."""
    envelope = sign.SEND_OTP.read(reply)
    if envelope.code in UNLINK_GONE:
        return Unlinked(partner_code=envelope.code)
    charge = values.token(sign.SEND_OTP.expect(reply), "chargeToken")
    return LinkInputs(names=("otp",), carry={"chargeToken": charge})


def unbound(reply: Response, held: LinkInputs) -> UnlinkStep:
    """After the unbinding itself: given back, or the OTP is asked again (decision S6)."""
    envelope = sign.UNBIND.read(reply)
    if envelope.code == "4040915":
        return held
    if envelope.code in UNLINK_EXPIRED:
        raise envelope.unavailable(Hint.SESSION)
    return links.unbound(sign.UNBIND, reply, UNLINK_GONE)


def statement_page(reply: Response, asked: int, source_account: Secret) -> StatementPage:
    """One page of bookings (decision S5)."""
    envelope = statements.listed(sign.STATEMENT, asked, reply)
    if envelope is None:
        return StatementPage(lines=(), proves_absence=False)
    _of_ours(envelope, source_account)
    rows = paging.rows(envelope.body, "detailData")
    more = statements.follows(asked, envelope)
    if more and not rows:
        raise PartnerProtocolError("the statement does not end")
    whole = more or asked > 1 or _entries(envelope) <= len(rows)
    return paging.page(asked, reply, more=more, rows=rows, read=_line, whole=whole)


def _entries(envelope: Envelope) -> int:
    """How many bookings the answer says that there are (service 14), 0 where it does not; it may list fewer."""
    told = (answers.at(envelope.body, side, "numberOfEntries") for side in ("totalCreditEntries", "totalDebitEntries"))
    return sum(int(text) for text in map(answers.written, told) if _COUNT.fullmatch(text))


def balance(reply: Response, source_account: Secret) -> Balance:
    """What our source account has available: one entry (assumed)."""
    envelope = sign.BALANCE.expect(reply)
    _of_ours(envelope, source_account)
    infos = answers.items(envelope.body.get("accountInfos"), "field accountInfos")
    if len(infos) != 1:
        raise PartnerProtocolError("field accountInfos does not hold one account")
    available = answers.at(infos[0], "availableBalance")
    return Balance(amount_rupiah=values.rupiah(available, "accountInfos.availableBalance", sen=True))


def _of_ours(envelope: Envelope, source_account: Secret) -> None:
    """It is about our own account, where it shows one."""
    shown = envelope.evidence("accountNo")
    ours = accounts.digits(source_account.reveal()).lstrip("0")
    if shown is not None and accounts.echoed(shown, Secret(ours), _number_of) not in (None, Secret(ours)):
        raise PartnerProtocolError("field accountNo is not our account")


def _number_of(shown: str) -> Secret | None:
    """An account of our own, of whichever length."""
    number = accounts.digits(shown).lstrip("0")
    return Secret(number) if number.isascii() and number.isdigit() else None


def _line(value: object) -> StatementLine:
    """A booking of an unlisted kind is refused: it might be a payment."""
    booking = answers.typed(value, wire.BniBooking, "a row of detailData")
    info = booking.additional_info
    known = answers.listed(info.kind, BOOKINGS)
    if known is None:
        raise PartnerProtocolError("a booking of an unlisted kind")
    kind, side = known
    if answers.written(booking.type).upper() != side:
        raise PartnerProtocolError("a booking on the wrong side of the account")
    reference = answers.reference(info.partner_reference_no) or answers.within(booking.remark)
    if answers.within(booking.remark) not in (None, reference):
        raise PartnerProtocolError("a booking that names two references of ours")
    if kind in (StatementKind.CREDIT, StatementKind.REVERSAL) and reference is None:
        raise PartnerProtocolError("a transfer without partnerReferenceNo")
    return StatementLine(
        kind=kind,
        amount_rupiah=values.rupiah(booking.amount, "detailData.amount", sen=kind not in PAYMENTS),
        reference=reference,
        partner_reference=answers.number(booking.transaction_id),
        account=accounts.listed(info.beneficiary_account_no, account_of),
        booked_at=answers.moment(booking.transaction_date, "detailData.transactionDate"),
    )
