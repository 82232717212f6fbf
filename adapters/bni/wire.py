"""BNI's JSON, field for field, and the bytes of each request body: encoded once, compact, UTF-8, in this key order.

Names in answers other than those used here (holder names, an `identificationNo` in the OTP answer) are dropped while
reading.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from typing import Annotated, Any, TypeVar

import msgspec

from adapters.snap import sign as snap
from adapters.snap.codes import Envelope
from contracts.errors import PartnerProtocolError
from contracts.money import decimal_string
from contracts.payout import PayoutOrder
from contracts.secret import Secret

CURRENCY = "IDR"
BIND_LIMIT = "1.00"
"""The smallest debit limit a binding may ask for: we only pay in (decision B5)."""
OTP_REASON_UNBINDING = ("09", "Account Unbinding")
OTP_LIFE = timedelta(minutes=5)
"""snap-bni.md 1.1: SMS OTPs live five minutes."""
PAYOUT_SERVICE = "17"
STATEMENT_PAGE_LIMIT = 10_000
"""Pages of one day that we would follow: ten million bookings (decision S5: 1,000 a page)."""

Text64 = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
T = TypeVar("T")


class Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Camel-case JSON, fields in the order declared."""


class BniAmount(Wire, frozen=True, kw_only=True):
    """snap-bni.md 1.2: a string with two decimals."""

    value: str
    currency: str = CURRENCY


class BniNothing(Wire, frozen=True, kw_only=True):
    """An empty `additionalInfo`."""


# --- requests -------------------------------------------------------------------------------------------------------


class BniTokenRequest(Wire, frozen=True, kw_only=True):
    """snap-bni.md 2.3, for both hosts."""

    grant_type: str = "client_credentials"
    additional_info: BniNothing = BniNothing()


class BniBindData(Wire, frozen=True, kw_only=True):
    """snap-bni.md 2.4. We hold no e-mail address: the field goes out empty, as BNI sends what is optional (2.3)."""

    bank_account_no: Secret
    bank_card_no: Secret
    limit: str = BIND_LIMIT
    email: str = ""


class BniCustomer(Wire, frozen=True, kw_only=True):
    """Our own name of the customer: the link's id (decision B5)."""

    cust_id_merchant: str


class BniBind(Wire, frozen=True, kw_only=True):
    """snap-bni.md 2.4, service 07."""

    partner_reference_no: str
    merchant_id: str
    additional_data: BniBindData
    additional_info: BniCustomer


class BniVerifyOtp(Wire, frozen=True, kw_only=True):
    """snap-bni.md 2.4, service 04."""

    merchant_id: str
    original_partner_reference_no: Secret
    original_reference_no: Secret
    charge_token: Secret
    otp: Secret
    additional_info: BniNothing = BniNothing()


class BniOtpLife(Wire, frozen=True, kw_only=True):
    """When the OTP asked for shall expire."""

    expired_otp: str


class BniSendOtp(Wire, frozen=True, kw_only=True):
    """snap-bni.md 2.4, service 81; `journeyID` is spelt so and equals X-EXTERNAL-ID."""

    merchant_id: str
    partner_reference_no: str
    journey_id: str = msgspec.field(name="journeyID")
    bank_card_token: Secret
    otp_reason_code: str = OTP_REASON_UNBINDING[0]
    otp_reason_message: str = OTP_REASON_UNBINDING[1]
    additional_info: BniOtpLife
    external_store_id: str = ""


class BniUnbind(Wire, frozen=True, kw_only=True):
    """snap-bni.md 2.4, service 09."""

    merchant_id: str
    partner_reference_no: str
    otp: Secret
    bank_card_token: Secret
    charge_token: Secret
    additional_info: BniCustomer


class BniInquiry(Wire, frozen=True, kw_only=True):
    """snap-bni.md 1.11, service 15."""

    partner_reference_no: str
    beneficiary_account_no: Secret


class BniTransfer(Wire, frozen=True, kw_only=True):
    """snap-bni.md 1.11, service 17, in the key order of vector T2."""

    partner_reference_no: str
    amount: BniAmount
    beneficiary_account_no: Secret
    beneficiary_email: str = ""
    currency: str = CURRENCY
    customer_reference: str
    fee_type: str = "OUR"
    remark: str
    source_account_no: Secret
    transaction_date: str


class BniStatus(Wire, frozen=True, kw_only=True):
    """snap-bni.md 1.11, service 36."""

    original_partner_reference_no: str
    original_reference_no: str
    original_external_id: str = ""
    service_code: str = PAYOUT_SERVICE
    transaction_date: str
    amount: BniAmount


class BniPage(Wire, frozen=True, kw_only=True):
    """decision S5."""

    page: str


class BniStatement(Wire, frozen=True, kw_only=True):
    """decision S5, service 14."""

    partner_reference_no: str
    account_no: Secret
    from_date_time: str
    to_date_time: str
    additional_info: BniPage


class BniBalance(Wire, frozen=True, kw_only=True):
    """snap-bni.md 2.3, service 11."""

    partner_reference_no: str
    account_no: Secret


# --- answers --------------------------------------------------------------------------------------------------------


class Answer(Wire, frozen=True, kw_only=True):
    """What must be there must not be empty either: BNI fills optional fields with empty strings (snap-bni.md 2.3)."""

    def __post_init__(self) -> None:
        for name in _required(type(self)):
            value = getattr(self, name)
            if isinstance(value, str | Secret) and not value:
                raise ValueError("empty")


class BniReference(Answer, frozen=True, kw_only=True):
    """What the OTP call wants to see again (decision B2)."""

    reference_no: Secret


class BniBound(Answer, frozen=True, kw_only=True):
    """decision B2."""

    bank_card_token: Secret
    charge_token: Secret
    additional_info: BniReference


class BniOtpVerified(Answer, frozen=True, kw_only=True):
    """snap-bni.md 1.10, service 04; the token may be repeated, an expiry may be named."""

    bank_card_token: Secret | None = None
    token_expiry_time: str | None = None


class BniOtpSent(Answer, frozen=True, kw_only=True):
    """decision S6."""

    charge_token: Secret


class BniInquired(Answer, frozen=True, kw_only=True):
    """snap-bni.md 1.11, service 15, without the holder's name."""

    beneficiary_account_no: Secret


class BniTransferred(Answer, frozen=True, kw_only=True):
    """snap-bni.md 1.11, service 17."""

    reference_no: Text64
    partner_reference_no: str | None = None
    amount: BniAmount | None = None
    beneficiary_account_no: Secret


class BniPayoutStatus(Answer, frozen=True, kw_only=True):
    """snap-bni.md 1.11, service 36. What only a payout that exists can have may be missing where it does not."""

    latest_transaction_status: str
    original_partner_reference_no: str | None = None
    original_reference_no: str | None = None
    reference_number: str | None = None
    service_code: str | None = None
    amount: BniAmount | None = None
    beneficiary_account_no: Secret | None = None
    previous_response_code: str | None = None


class BniBookingInfo(Answer, frozen=True, kw_only=True):
    """decision S5."""

    kind: str
    partner_reference_no: str | None = None
    beneficiary_account_no: Secret | None = None


class BniBooking(Answer, frozen=True, kw_only=True):
    """decision S5: one row of a statement."""

    amount: BniAmount
    transaction_date: str
    transaction_id: str | None = None
    type: str
    additional_info: BniBookingInfo


class BniPageInfo(Answer, frozen=True, kw_only=True):
    """decision S5."""

    page: str
    has_more: str


class BniStatementPage(Answer, frozen=True, kw_only=True):
    """decision S5."""

    detail_data: Annotated[list[BniBooking], msgspec.Meta(max_length=1000)]
    additional_info: BniPageInfo


class BniAccountInfo(Answer, frozen=True, kw_only=True):
    """One balance of an account (recalled from SNAP service 11)."""

    available_balance: BniAmount


class BniBalances(Answer, frozen=True, kw_only=True):
    """SNAP service 11: `accountInfos` (recalled; exactly one entry is assumed)."""

    account_infos: Annotated[list[BniAccountInfo], msgspec.Meta(min_length=1, max_length=1)]


# --- bytes ----------------------------------------------------------------------------------------------------------


def encode(body: Wire) -> bytes:
    """The bytes that are hashed, signed and sent."""
    return _ENCODER.encode(body)


def read(envelope: Envelope, kind: type[T]) -> T:
    """An answer's fields; a missing or other-typed one is a `PartnerProtocolError` that quotes nothing."""
    try:
        return msgspec.convert(envelope.body, kind, dec_hook=_seal)
    except msgspec.ValidationError:
        problem = f"responseCode {envelope.code} without the fields of {kind.__name__}"
    raise PartnerProtocolError(problem)


def transfer(order: PayoutOrder, source_account: Secret) -> bytes:
    """The transfer's body; all but our own account comes from the stored payout: the same bytes every attempt."""
    return encode(
        BniTransfer(
            partner_reference_no=order.reference,
            amount=BniAmount(value=decimal_string(order.amount_rupiah)),
            beneficiary_account_no=order.account,
            customer_reference=order.reference,
            remark=order.reference,
            source_account_no=source_account,
            transaction_date=snap.timestamp(order.created_at),
        )
    )


def status(order: PayoutOrder) -> bytes:
    """The status inquiry's body: the transfer named by its own reference, date and amount."""
    return encode(
        BniStatus(
            original_partner_reference_no=order.reference,
            original_reference_no=order.partner_reference or "",
            transaction_date=snap.timestamp(order.created_at),
            amount=BniAmount(value=decimal_string(order.amount_rupiah)),
        )
    )


def statement(reference: str, source_account: Secret, day: date, page: int) -> bytes:
    """One page of a Jakarta day's statement of our source account."""
    return encode(
        BniStatement(
            partner_reference_no=reference,
            account_no=source_account,
            from_date_time=f"{day.isoformat()}T00:00:00+07:00",
            to_date_time=f"{day.isoformat()}T23:59:59+07:00",
            additional_info=BniPage(page=str(page)),
        )
    )


def _reveal(value: Any) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError


def _seal(kind: type[Any], value: Any) -> Any:
    if kind is Secret:
        return Secret(value)
    raise NotImplementedError


@lru_cache(maxsize=32)
def _required(kind: type[Answer]) -> tuple[str, ...]:
    return tuple(field.name for field in msgspec.structs.fields(kind) if field.required)


_ENCODER = msgspec.json.Encoder(enc_hook=_reveal)
