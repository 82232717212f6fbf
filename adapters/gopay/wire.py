"""Midtrans' JSON field for field, the bytes of each request, and the forms of a phone number it wants.

A field that holds personal data or a secret is a `Secret`, so that no repr shows it; what is not needed is not decoded.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Any, TypeVar

import msgspec

from contracts.money import decimal_string, parse_decimal_string
from contracts.partner import protocol_error
from contracts.payout import PayoutOrder
from contracts.secret import Secret

T = TypeVar("T")

ACCOUNT_PATTERN = r"\+628[0-9]{7,11}"
"""A GoPay account in our form: an Indonesian mobile number, E.164."""

_ACCOUNT = re.compile(ACCOUNT_PATTERN, re.ASCII)
_THEIR_PHONE = re.compile(r"(?:0|\+?62)(8[0-9]{7,11})", re.ASCII)
_REFERENCE_NO = re.compile(r"[A-Za-z0-9]{1,32}", re.ASCII)
_OUR_REFERENCE = re.compile(r"[0-9]{19}", re.ASCII)

CREATE_REFUSED = "An error occurred when creating payouts"
"""Iris' words for a create that failed validation; it has no code for it (wallets.md 2.6)."""


class GopayBindingRequest(msgspec.Struct, frozen=True, rename="camel"):
    """Service 07 (wallets.md 2.3.6)."""

    merchant_id: str
    auth_code: Secret
    grant_type: str = "AUTHORIZATION_CODE"


class GopayUnbindingRequest(msgspec.Struct, frozen=True, rename="camel"):
    """Service 09 (wallets.md 2.3.8)."""

    merchant_id: str


class IrisPayoutItem(msgspec.Struct, frozen=True):
    """One payout of a create (wallets.md 2.6.1); `notes` is our reference (decision G7)."""

    beneficiary_name: Secret
    beneficiary_account: Secret
    beneficiary_bank: str
    amount: str
    notes: str


class IrisCreateRequest(msgspec.Struct, frozen=True):
    """An array at Iris; one payout a call here (decision G7)."""

    payouts: tuple[IrisPayoutItem]


class IrisApproveRequest(msgspec.Struct, frozen=True):
    """Approval without a one-time code (decision G10)."""

    reference_nos: tuple[str]


class IrisRejectRequest(msgspec.Struct, frozen=True):
    """Refusal of a queued payout (wallets.md 2.6.2)."""

    reference_nos: tuple[str]
    reject_reason: str


class IrisStatementRequest(msgspec.Struct, frozen=True):
    """Jakarta days, in the body of a GET (decision S2)."""

    from_date: str
    to_date: str


class IrisCreated(msgspec.Struct, frozen=True):
    """One accepted payout of a create."""

    status: str
    reference_no: str


class IrisCreateReply(msgspec.Struct, frozen=True):
    """In input order."""

    payouts: list[IrisCreated]


class IrisStatusReply(msgspec.Struct, frozen=True):
    """`{"status":"ok"}` of approve and reject."""

    status: str


class IrisErrorReply(msgspec.Struct, frozen=True):
    """Iris' error envelope; `errors` is free-form (wallets.md 2.6.1)."""

    error_message: str
    errors: Any = None

    def __repr__(self) -> str:
        return "IrisErrorReply(***)"


class IrisPayout(msgspec.Struct, frozen=True):
    """Answer of `GET payouts/{reference_no}` (wallets.md 2.6.3)."""

    reference_no: str
    status: str
    amount: str
    beneficiary_account: Secret
    updated_at: Any = None


class IrisStatementRow(msgspec.Struct, frozen=True):
    """One booking (decision S2: field names recalled, `notes` assumed)."""

    type: str
    status: str
    amount: str
    created_at: str
    reference_no: str | None = None
    beneficiary_account: Secret | None = None
    notes: Secret | None = None


class IrisBalanceReply(msgspec.Struct, frozen=True):
    """A string in one client's tests, a number in another's (wallets.md 2.6)."""

    balance: msgspec.Raw


class IrisValidation(msgspec.Struct, frozen=True):
    """Answer of `GET account_validation` (wallets.md 2.6); with bank=gopay its use is assumed."""

    account_name: Secret
    account_no: Secret | None = None


class IrisNotice(msgspec.Struct, frozen=True):
    """Webhook body (wallets.md 2.6); a top-up event has no `reference_no`."""

    status: str
    reference_no: str | None = None
    amount: str | None = None
    error_code: str | None = None
    updated_at: Any = None


class GopayLinkNoticeInfo(msgspec.Struct, frozen=True, rename="camel"):
    """What a link notification is about; whether it says enabled or disabled is only a hint (decision G4)."""

    access_token: Secret


class GopayLinkNotice(msgspec.Struct, frozen=True, rename="camel"):
    """Webhook of service 88 (wallets.md 2.3.9)."""

    additional_info: GopayLinkNoticeInfo


class GopayIdNotice(msgspec.Struct, frozen=True, rename="camel"):
    """Body of GoPay ID's PUT (wallets.md 2.5); its result is not trusted, the pull decides."""

    submission_id: str
    status: str


class GopayIdKtp(msgspec.Struct, frozen=True, rename="camel"):
    """The two fields of the identity card that are read; all others are dropped undecoded."""

    document_number: Secret
    name: Secret | None = None


class GopayIdSubmissionData(msgspec.Struct, frozen=True, rename="camel"):
    """What the holder submitted."""

    ktp: GopayIdKtp | None = None


class GopayIdSubmission(msgspec.Struct, frozen=True, rename="camel"):
    """The KYC submission of the linked account."""

    status: str
    result: str | None = None
    submission_data: GopayIdSubmissionData | None = None


class GopayIdError(msgspec.Struct, frozen=True):
    """One error of the identity host."""

    code: str


class GopayIdReply(msgspec.Struct, frozen=True):
    """Envelope of the identity host (wallets.md 2.5)."""

    success: bool
    data: GopayIdSubmission | None = None
    errors: list[GopayIdError] = msgspec.field(default_factory=list)


def encode(value: msgspec.Struct) -> bytes:
    """Compact UTF-8 JSON in the order of the fields: encoded once, signed and sent as it is."""
    return msgspec.json.encode(value, enc_hook=_reveal)


def decode(content: bytes, shape: type[T]) -> T:
    """`content` as `shape`; a `PartnerProtocolError` names the shape only, as a decoder's own text may quote values."""
    try:
        content.decode()  # msgspec looks at no text that it skips, and what is not UTF-8 is damaged as a whole
        return msgspec.json.decode(content, type=shape, dec_hook=_wrap)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise protocol_error(f"not readable as {getattr(shape, '__name__', 'a list')}") from None


def _reveal(value: object) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError("only secrets need help")


def _wrap(shape: type, value: object) -> Secret:
    if shape is Secret and isinstance(value, str):
        return Secret(value)
    raise TypeError("a string is wanted")


def snap_phone(account: Secret) -> str:
    """`+62812...` as `62812...` (wallets.md 2.3.1)."""
    return _checked(account)[1:]


def iris_phone(account: Secret) -> Secret:
    """`+62812...` as `0812...` (decision G7)."""
    return Secret("0" + _checked(account)[3:])


def account_from(theirs: Secret) -> Secret | None:
    """A beneficiary as Iris shows it (`08..` or `628..`) in our form; None where it is no mobile number."""
    found = _THEIR_PHONE.fullmatch(theirs.reveal())
    return None if found is None else Secret("+62" + found.group(1))


def _checked(account: Secret) -> str:
    text = account.reveal()
    if _ACCOUNT.fullmatch(text) is None:
        raise ValueError("a GoPay account is an Indonesian mobile number in E.164")
    return text


def reference_no(text: str | None) -> str:
    """Iris' number of a payout, safe in a path; a `PartnerProtocolError` where it is not one."""
    if text is None or _REFERENCE_NO.fullmatch(text) is None:
        raise protocol_error("reference_no is missing or malformed")
    return text


def our_reference(notes: Secret | None) -> str | None:
    """Our reference out of a statement's `notes`, None where it is somebody else's text."""
    return notes.reveal() if notes is not None and _OUR_REFERENCE.fullmatch(notes.reveal()) else None


def rupiah(text: str | None) -> int:
    """An amount as whole rupiah; a `PartnerProtocolError` for fractions and anything else."""
    try:
        return parse_decimal_string(text or "")
    except ValueError:
        raise protocol_error("an amount is missing or not whole rupiah") from None


def balance_rupiah(raw: msgspec.Raw) -> int:
    """The balance's digits as they stand in the JSON, quoted or not: no float is ever involved."""
    text = bytes(raw).decode("ascii", "replace")
    return rupiah(text[1:-1] if text.startswith('"') else text)


def binding(payment_handle: str, auth_code: Secret) -> bytes:
    """Body of service 07."""
    return encode(GopayBindingRequest(payment_handle, auth_code))


def unbinding(payment_handle: str) -> bytes:
    """Body of service 09."""
    return encode(GopayUnbindingRequest(payment_handle))


INQUIRY = b'{"additionalInfo":{}}'
"""Body of service 08 (wallets.md 2.3.7)."""

TOKEN = b'{"grantType":"client_credentials"}'
"""Body of service 73 (wallets.md 2.2)."""


def create(order: PayoutOrder) -> bytes:
    """Body of an Iris create: the same for every attempt of one order."""
    return encode(
        IrisCreateRequest(
            (
                IrisPayoutItem(
                    beneficiary_name=order.name,
                    beneficiary_account=iris_phone(order.account),
                    beneficiary_bank="gopay",
                    amount=decimal_string(order.amount_rupiah),
                    notes=order.reference,
                ),
            )
        )
    )


def validation(account: Secret) -> str:
    """Path of the name inquiry of a GoPay account; Iris wants the phone in the query (wallets.md 2.6)."""
    return f"account_validation?bank=gopay&account={iris_phone(account).reveal()}"


def approve(number: str) -> bytes:
    """Body of an Iris approve."""
    return encode(IrisApproveRequest((number,)))


def reject(number: str) -> bytes:
    """Body of an Iris reject."""
    return encode(IrisRejectRequest((number,), "withdrawn by the creator"))


def statement(day: date) -> bytes:
    """Body of the statement GET, for one Jakarta day."""
    return encode(IrisStatementRequest(day.isoformat(), day.isoformat()))
