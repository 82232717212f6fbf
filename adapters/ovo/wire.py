"""OVO's JSON field for field, the bytes of each request body, and OVO's forms of phones, amounts, tokens and times
(wallets.md 3, 12.4).
"""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from adapters.snap.codes import Envelope
from contracts.errors import PartnerProtocolError
from contracts.identity import IdentityQuery
from contracts.linking import LinkStart, UnlinkOrder
from contracts.money import decimal_string, parse_decimal_string
from contracts.payout import PayoutOrder
from contracts.secret import Secret

T = TypeVar("T")

_E164 = re.compile(r"\+62(8[0-9]{7,12})", re.ASCII)
_NUMBER = re.compile(r"(?:0|\+?62)(8[0-9]{7,12})", re.ASCII)


class OvoMessage(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One JSON object of OVO's; its repr shows no values."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"


class OvoClientCredentials(OvoMessage, frozen=True, kw_only=True):
    """B2B token request."""

    grant_type: str


class OvoAuthCode(OvoMessage, frozen=True, kw_only=True):
    """Customer token request after linking (service 74)."""

    grant_type: str
    auth_code: str


class OvoRefresh(OvoMessage, frozen=True, kw_only=True):
    """Customer token request with a refresh token (service 74)."""

    grant_type: str
    refresh_token: str


class OvoBindingInfo(OvoMessage, frozen=True, kw_only=True):
    """`additionalInfo` of a binding; the nesting is assumed (wallets.md 3.3)."""

    cust_id_merchant: str
    customer_name: str
    success_registration_url: str
    failed_registration_url: str


class OvoBinding(OvoMessage, frozen=True, kw_only=True):
    """Service 07."""

    phone_no: str
    additional_info: OvoBindingInfo


class OvoUnbindingInfo(OvoMessage, frozen=True, kw_only=True):
    """`additionalInfo` of an unbinding (assumed)."""

    cust_id_merchant: str


class OvoUnbinding(OvoMessage, frozen=True, kw_only=True):
    """Service 09, the same body for both calls (assumed)."""

    partner_reference_no: str
    additional_info: OvoUnbindingInfo


class OvoAmount(OvoMessage, frozen=True, kw_only=True):
    """SNAP's amount."""

    value: str
    currency: str


class OvoIdentification(OvoMessage, frozen=True, kw_only=True):
    """`additionalInfo` that makes an inquiry a NIK check (assumed, decisions O7)."""

    identification_type: str
    identification_no: str


class OvoAccountInquiry(OvoMessage, frozen=True, kw_only=True):
    """Service 37."""

    partner_reference_no: str
    customer_number: str
    amount: OvoAmount
    additional_info: OvoIdentification | None = None


class OvoTopup(OvoMessage, frozen=True, kw_only=True):
    """Service 38."""

    partner_reference_no: str
    customer_number: str
    amount: OvoAmount
    transaction_date: str


class OvoTopupStatus(OvoMessage, frozen=True, kw_only=True):
    """Service 39."""

    original_partner_reference_no: str
    service_code: str


class OvoHistoryRow(OvoMessage, frozen=True, kw_only=True):
    """One booking of the day's history (assumed, decisions S3)."""

    partner_reference_no: str | None = None
    reference_no: str | None = None
    customer_number: str | None = None
    date_time: str
    amount: OvoAmount
    type: str


class OvoHistoryInfo(OvoMessage, frozen=True, kw_only=True):
    """Which page of the history it is (assumed, decisions S3)."""

    page: str
    has_more: str


class OvoAccountInfo(OvoMessage, frozen=True, kw_only=True):
    """One balance of ours (assumed, decisions S3)."""

    balance_type: str
    available_balance: OvoAmount


def local_phone(account: Secret) -> str:
    """`+6281..` as `081..`, the only form OVO takes (wallets.md 3.6)."""
    found = _E164.fullmatch(account.reveal())
    if found is None:
        raise ValueError("an OVO account is an Indonesian mobile number in E.164")
    return f"0{found.group(1)}"


def account_of(number: str) -> Secret:
    """OVO's `081..` (62.. and +62.. are taken too) in our form."""
    found = _NUMBER.fullmatch(number)
    if found is None:
        raise PartnerProtocolError("field customerNumber is not a mobile number")
    return Secret(f"+62{found.group(1)}")


def rupiah(amount_rupiah: int) -> OvoAmount:
    """An amount in SNAP's form."""
    return OvoAmount(value=decimal_string(amount_rupiah), currency="IDR")


CLIENT_CREDENTIALS = msgspec.json.encode(OvoClientCredentials(grant_type="client_credentials"))
"""Body of a B2B token request."""


def auth_code(code: Secret) -> bytes:
    """Body that exchanges an authCode; OVO writes the grant in lower case (wallets.md 12.4)."""
    return msgspec.json.encode(OvoAuthCode(grant_type="authorization_code", auth_code=code.reveal()))


def refresh(refresh_token: Secret) -> bytes:
    """Body that asks for a fresh customer token."""
    return msgspec.json.encode(OvoRefresh(grant_type="refresh_token", refresh_token=refresh_token.reveal()))


def binding(start: LinkStart) -> bytes:
    """Body that begins a link; both returns come to the same address, which carries our own state (decisions X1)."""
    return msgspec.json.encode(
        OvoBinding(
            phone_no=local_phone(start.account),
            additional_info=OvoBindingInfo(
                cust_id_merchant=start.link_id,
                customer_name=start.name.reveal(),
                success_registration_url=start.redirect_uri,
                failed_registration_url=start.redirect_uri,
            ),
        )
    )


def unbinding(order: UnlinkOrder) -> bytes:
    """Body of both unbinding calls."""
    return msgspec.json.encode(
        OvoUnbinding(
            partner_reference_no=order.reference, additional_info=OvoUnbindingInfo(cust_id_merchant=order.link_id)
        )
    )


def identity_inquiry(query: IdentityQuery) -> bytes:
    """Body of an inquiry that checks the NIK; its amount is a dummy (decisions O7)."""
    return msgspec.json.encode(
        OvoAccountInquiry(
            partner_reference_no=query.reference,
            customer_number=local_phone(query.account),
            amount=rupiah(1),
            additional_info=OvoIdentification(identification_type="KTP", identification_no=query.nik.reveal()),
        )
    )


def payout_inquiry(order: PayoutOrder) -> bytes:
    """Body of the inquiry before a top-up, with the amount to come (decisions O8)."""
    return msgspec.json.encode(
        OvoAccountInquiry(
            partner_reference_no=order.reference,
            customer_number=local_phone(order.account),
            amount=rupiah(order.amount_rupiah),
        )
    )


def topup(order: PayoutOrder, transaction_date: str) -> bytes:
    """Body of the top-up; nothing in it changes between attempts."""
    return msgspec.json.encode(
        OvoTopup(
            partner_reference_no=order.reference,
            customer_number=local_phone(order.account),
            amount=rupiah(order.amount_rupiah),
            transaction_date=transaction_date,
        )
    )


def topup_status(order: PayoutOrder) -> bytes:
    """Body of the look-up."""
    return msgspec.json.encode(OvoTopupStatus(original_partner_reference_no=order.reference, service_code="38"))


def rupiah_of(amount: OvoAmount) -> int:
    """SNAP's amount as whole rupiah."""
    if amount.currency != "IDR":
        raise PartnerProtocolError("field amount.currency is not IDR")
    try:
        return parse_decimal_string(amount.value)
    except ValueError:
        raise PartnerProtocolError("field amount.value is not a whole amount of rupiah") from None


def converted(envelope: Envelope, field: str, kind: type[T]) -> T:
    """A field as one of the structs above."""
    try:
        return msgspec.convert(envelope.body.get(field), kind)
    except msgspec.ValidationError:  # its text may quote the value
        raise PartnerProtocolError(f"field {field} cannot be read") from None
