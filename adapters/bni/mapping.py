"""BNI's answers in our words. Codes are compared whole, never by message text; what no table lists is no verdict."""

from __future__ import annotations

from adapters.bni import sign, wire
from adapters.snap import codes, values
from adapters.snap.codes import Envelope
from contracts.errors import Hint, PartnerError, PartnerProtocolError, PartnerUnavailable
from contracts.incentive import BlockerCode
from contracts.linking import Grant, LinkGranted, LinkInputs, LinkRefused, LinkStep, Unlinked, UnlinkStep
from contracts.money import parse_decimal_string
from contracts.observation import Balance, StatementKind, StatementLine, StatementPage
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

BIND_REFUSALS: dict[str, BlockerCode] = {
    "4040711": BlockerCode.ACCOUNT_NOT_FOUND,
    "4030718": BlockerCode.ACCOUNT_BLOCKED,
}
"""Final answers to a bind (assumed, decision B4)."""

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

NOT_ACCEPTED = frozenset({"40100", "40101", "40103", "40306", "40314", "42900"})
"""Cases for which "nothing was done" is promised (snap-bni.md 1.8 and 4.2)."""
assert set(codes.HINTS) >= NOT_ACCEPTED, "every one has its hint"

PAYOUT_STATUS: dict[str, OutcomeKind] = {
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
assert set(PAYOUT_STATUS) == {f"{n:02d}" for n in range(8)}, "the standard has eight"

STATUS_NOT_FOUND = "4043601"
"""Assumed, decision B9."""

BOOKINGS: dict[str, tuple[StatementKind, str]] = {
    "TRANSFER": (StatementKind.CREDIT, "DEBIT"),
    "REVERSAL": (StatementKind.REVERSAL, "CREDIT"),
    "FEE": (StatementKind.FEE, "DEBIT"),
    "DEPOSIT": (StatementKind.OTHER, "CREDIT"),
}
"""A booking's kind in our words and its side of our account (assumed, decision S5)."""
assert {kind for kind, _ in BOOKINGS.values()} == set(StatementKind), "each of our kinds has BNI's"


def bound(reply: Response, reference: str) -> LinkStep:
    """After a bind: the OTP is next, the card number was wrong, or the account cannot be linked (decisions B2, B4)."""
    envelope = codes.read(reply, sign.BIND.service)
    if envelope.code == "2000700":
        answer = wire.read(envelope, wire.BniBound)
        return LinkInputs(
            names=("otp",),
            carry={
                "partnerReferenceNo": Secret(reference),
                "referenceNo": answer.additional_info.reference_no,
                "chargeToken": answer.charge_token,
                "bankCardToken": answer.bank_card_token,
            },
        )
    if envelope.code == "4000701":
        return LinkInputs(names=("card_no",), again=True)
    if envelope.code in BIND_REFUSALS:
        return LinkRefused(code=BIND_REFUSALS[envelope.code], partner_code=envelope.code)
    raise _no_step(envelope, reply)


def otp_verified(reply: Response, held: LinkInputs) -> LinkStep:
    """After an OTP: linked, asked again with the same carry, or ended (decision B3)."""
    envelope = codes.read(reply, sign.VERIFY_OTP.service)
    if envelope.code == "2000400":
        answer = wire.read(envelope, wire.BniOtpVerified)
        expiry = answer.token_expiry_time
        return LinkGranted(
            grant=Grant(
                access_token=answer.bank_card_token or held.carry["bankCardToken"],
                expires_at=values.moment(expiry, "tokenExpiryTime") if expiry else None,
            )
        )
    if envelope.code == "4040415":
        return held
    if envelope.code in OTP_REFUSALS:
        return LinkRefused(code=OTP_REFUSALS[envelope.code], partner_code=envelope.code)
    raise _no_step(envelope, reply)


def otp_sent(reply: Response) -> UnlinkStep:
    """After asking for the OTP that unbinding wants (decision S6)."""
    envelope = codes.read(reply, sign.SEND_OTP.service)
    if envelope.code == "2008100":
        answer = wire.read(envelope, wire.BniOtpSent)
        return LinkInputs(names=("otp",), carry={"chargeToken": answer.charge_token})
    if envelope.code in UNLINK_GONE:
        return Unlinked(partner_code=envelope.code)
    raise _no_step(envelope, reply)


def unbound(reply: Response, held: LinkInputs) -> UnlinkStep:
    """After the unbinding itself: given back, or the OTP is asked again (decision S6)."""
    envelope = codes.read(reply, sign.UNBIND.service)
    if envelope.code == "2000900" or envelope.code in UNLINK_GONE:
        return Unlinked(partner_code=envelope.code)
    if envelope.code == "4040915":
        return held
    if envelope.code in UNLINK_EXPIRED:
        raise PartnerUnavailable("the OTP is used up", hint=Hint.SESSION, partner_code=envelope.code)
    raise _no_step(envelope, reply)


def inquired(reply: Response, order: PayoutOrder) -> Outcome | None:
    """Why the account cannot be paid, or None where the transfer may follow."""
    envelope = codes.read(reply, sign.INQUIRY.service)
    if envelope.code in INQUIRY_REFUSALS:
        return rejected(INQUIRY_REFUSALS[envelope.code], partner_code=envelope.code)
    if envelope.code != "2001500":
        raise codes.unavailable(envelope, reply)
    if wire.read(envelope, wire.BniInquired).beneficiary_account_no != order.account:
        raise PartnerProtocolError("the inquiry answered about another account")
    return None


def transferred(reply: Response, order: PayoutOrder) -> Outcome:
    """What the transfer's own answer says; 409xx01 and 404xx18 are looked up like everything unlisted."""
    envelope = codes.read(reply, sign.TRANSFER.service)
    code = envelope.code
    if code == "2001700":
        answer = wire.read(envelope, wire.BniTransferred)
        _same("partnerReferenceNo", answer.partner_reference_no, order.reference)
        return succeeded(
            partner_code=code,
            partner_reference=answer.reference_no,
            amount_rupiah=_rupiah(answer.amount) if answer.amount is not None else None,
            account=answer.beneficiary_account_no,
        )
    if code == "2021700":
        return pending(partner_code=code, partner_reference=envelope.optional_text("referenceNo"))
    if code in TRANSFER_REFUSALS:
        return rejected(TRANSFER_REFUSALS[code], partner_code=code)
    if envelope.case in NOT_ACCEPTED:
        return not_accepted(codes.HINTS[envelope.case], partner_code=code, retry_after_s=codes.retry_after_s(reply))
    return unknown(partner_code=code)


def found(reply: Response, order: PayoutOrder) -> Outcome:
    """What a look-up says (decision B9); its own responseCode only says that the asking worked (snap-bni.md 1.11)."""
    envelope = codes.read(reply, sign.STATUS.service)
    if envelope.code == STATUS_NOT_FOUND:
        return not_found(partner_code=envelope.code)
    if envelope.code != "2003600":
        raise codes.unavailable(envelope, reply)
    answer = wire.read(envelope, wire.BniPayoutStatus)
    _same("originalPartnerReferenceNo", answer.original_partner_reference_no, order.reference)
    _same("serviceCode", answer.service_code, sign.TRANSFER.service)
    status = answer.latest_transaction_status
    kind = PAYOUT_STATUS.get(status)
    if kind is None:
        raise PartnerProtocolError("latestTransactionStatus is none of 00 to 07")
    number = answer.original_reference_no or answer.reference_number or None
    if kind is OutcomeKind.SUCCEEDED:
        if not answer.beneficiary_account_no:
            raise PartnerProtocolError("a completed transfer without beneficiaryAccountNo")
        return succeeded(
            partner_code=status,
            partner_reference=number,
            amount_rupiah=_rupiah(answer.amount) if answer.amount is not None else None,
            account=answer.beneficiary_account_no,
        )
    if kind is OutcomeKind.PENDING:
        return pending(partner_code=status, partner_reference=number)
    if kind is OutcomeKind.REVERSED:
        return reversed_(partner_code=status)
    if kind is OutcomeKind.NOT_FOUND:
        return not_found(partner_code=status)
    reason = TRANSFER_REFUSALS.get(answer.previous_response_code or "")
    if reason is not None:
        return rejected(reason, partner_code=answer.previous_response_code)
    return rejected(None, technical=True, partner_code=status)


def statement_page(reply: Response, page: int) -> StatementPage:
    """One page of bookings (decision S5). An unlisted kind is refused: it might be a payment."""
    envelope = _expect(reply, sign.STATEMENT.service)
    answer = wire.read(envelope, wire.BniStatementPage)
    _same("additionalInfo.page", answer.additional_info.page, str(page))
    lines = tuple(_line(booking) for booking in answer.detail_data)
    more = {"Y": True, "N": False}.get(answer.additional_info.has_more)
    if more is None:
        raise PartnerProtocolError("hasMore is neither Y nor N")
    if more and (not lines or page >= wire.STATEMENT_PAGE_LIMIT):
        raise PartnerProtocolError("the statement does not end")
    return StatementPage(lines=lines, next_cursor=str(page + 1) if more else None)


def balance(reply: Response) -> Balance:
    """What our source account has available."""
    envelope = _expect(reply, sign.BALANCE.service)
    (account,) = wire.read(envelope, wire.BniBalances).account_infos
    return Balance(amount_rupiah=_rupiah(account.available_balance))


def _line(booking: wire.BniBooking) -> StatementLine:
    info = booking.additional_info
    if info.kind not in BOOKINGS:
        raise PartnerProtocolError("a booking of an unlisted kind")
    kind, side = BOOKINGS[info.kind]
    if booking.type != side:
        raise PartnerProtocolError("a booking on the wrong side of the account")
    if kind in (StatementKind.CREDIT, StatementKind.REVERSAL) and not info.partner_reference_no:
        raise PartnerProtocolError("a transfer without partnerReferenceNo")
    return StatementLine(
        kind=kind,
        amount_rupiah=_rupiah(booking.amount),
        reference=info.partner_reference_no or None,
        partner_reference=booking.transaction_id or None,
        account=info.beneficiary_account_no or None,
        booked_at=values.moment(booking.transaction_date, "transactionDate"),
    )


def _expect(reply: Response, service: str) -> Envelope:
    envelope = codes.read(reply, service)
    if envelope.code != f"200{service}00":
        raise codes.unavailable(envelope, reply)
    return envelope


def _no_step(envelope: Envelope, reply: Response) -> PartnerError:
    """A linking call that led nowhere: not done where the standard promises so, else unreadable."""
    if envelope.case in codes.HINTS:
        return codes.unavailable(envelope, reply)
    return PartnerProtocolError(f"responseCode {envelope.code}", partner_code=envelope.code)


def _same(field: str, echoed: str | None, ours: str) -> None:
    if echoed and echoed != ours:
        raise PartnerProtocolError(f"{field} is not the one asked for")


def _rupiah(amount: wire.BniAmount) -> int:
    if amount.currency != wire.CURRENCY:
        raise PartnerProtocolError("an amount in another currency")
    try:
        return parse_decimal_string(amount.value)
    except ValueError as error:
        raise PartnerProtocolError("an amount is not a whole number of rupiah") from error
