"""Midtrans' JSON field for field: request bodies as the documents print them, typed answers.

A field that holds personal data or a secret is a `Secret`, so that no repr shows it; what is not needed is not decoded,
or is an `object` that nobody's verdict depends on.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec

from adapters import accounts, answers
from contracts import names
from contracts.errors import Hint, PartnerProtocolError
from contracts.money import decimal_string
from contracts.partner import Context
from contracts.payout import PayoutOrder
from contracts.secret import Masked, Secret

CREATE_REFUSED = "An error occurred when creating payouts"
"""Iris' words for a create that failed validation; it has no code for it (wallets.md 2.6)."""
DENIED = b"HTTP Basic: Access denied"
"""What Iris' own server says in plain text to a key that it does not know (seen: wallets.md 2.6)."""
OURS = {
    "sufficient balance": Hint.FLOAT_SHORT,
    "not authorized": Hint.CREDENTIALS,
    **dict.fromkeys(("currently unavailable", "cannot reach", "something went wrong"), Hint.NONE),
}
"""Words of refusals that speak of us, or of nobody; all others are of the instruction (seen: MT error-mapping)."""

TOKEN = {"grantType": "client_credentials"}
"""Service 73 (wallets.md 2.2)."""
INQUIRY: object = {"additionalInfo": {}}
"""Service 08 (wallets.md 2.3.7)."""


def binding(ctx: Context, auth_code: Secret) -> object:
    """Service 07 (wallets.md 2.3.6)."""
    return {"merchantId": ctx.credential("payment_handle"), "authCode": auth_code, "grantType": "AUTHORIZATION_CODE"}


def unbinding(ctx: Context) -> object:
    """Service 09 (wallets.md 2.3.8)."""
    return {"merchantId": ctx.credential("payment_handle")}


def create(order: PayoutOrder) -> object:
    """An Iris create (wallets.md 2.6.1): one payout a call, `notes` is our reference (decision G7). The same for every
    attempt of one order.
    """
    payout = {
        # Letters and digits alone (seen: MT error-mapping).
        "beneficiary_name": Secret(names.plain(order.name.reveal())),
        "beneficiary_account": accounts.local(order.account),
        "beneficiary_bank": "gopay",
        "amount": decimal_string(order.amount_rupiah),
        "notes": order.reference,
    }
    return {"payouts": [payout]}


def approve(number: str) -> object:
    """An approval without a one-time code (decision G10)."""
    return {"reference_nos": [number]}


def reject(number: str) -> object:
    """Refusal of a queued payout (wallets.md 2.6.2)."""
    return {"reference_nos": [number], "reject_reason": "withdrawn by the creator"}


def statement(day: date) -> object:
    """One Jakarta day, in the body of a GET (decision S2)."""
    return {"from_date": day.isoformat(), "to_date": day.isoformat()}


class IrisErrorReply(Masked, frozen=True):
    """Iris' error envelope; `errors` is free-form (wallets.md 2.6.1)."""

    error_message: str
    errors: Any = None

    @property
    def words(self) -> str:
        """All that it says, for staff."""
        return "; ".join([self.error_message, *texts(self.errors)])


class IrisPayout(Masked, frozen=True):
    """A payout as a create accepts it (wallets.md 2.6.1), or as `GET payouts/{reference_no}` shows it (2.6.3)."""

    reference_no: Any
    status: Any
    amount: Any = None
    beneficiary_account: Any = None
    updated_at: Any = None
    notes: Any = None


class IrisNotice(msgspec.Struct, frozen=True):
    """Webhook body (wallets.md 2.6); a top-up event has no `reference_no`."""

    status: Any
    reference_no: Any = None
    partner_reference_no: Any = None
    amount: Any = None
    error_code: Any = None
    error_message: Any = None
    updated_at: Any = None


class IrisStatementRow(Masked, frozen=True):
    """One booking (decision S2: field names recalled, `notes` assumed)."""

    type: Any
    status: Any
    amount: Any
    created_at: Any
    reference_no: Any = None
    beneficiary_account: Any = None
    notes: Any = None


class IrisValidation(Masked, frozen=True):
    """Answer of `GET account_validation` (wallets.md 2.6); with bank=gopay its use is assumed."""

    account_name: Secret
    account_no: Any = None


class GopayIdSubmission(Masked, frozen=True, rename="camel"):
    """The KYC submission of the linked account."""

    status: Any
    result: Any = None
    submission_data: Any = None


class GopayIdReply(msgspec.Struct, frozen=True):
    """Envelope of the identity host (wallets.md 2.5), but for its errors, which a success does not need."""

    success: Any
    data: GopayIdSubmission | None = None


def reference_no(value: object) -> str:
    """Iris' number of a payout: opaque; a `PartnerProtocolError` where it is none, or none that a path can end in."""
    number = answers.number(value)
    if number is None or not number.strip("."):
        raise PartnerProtocolError("reference_no is missing or malformed")
    return number


def texts(value: object) -> list[str]:
    """Every text in a free-form value."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for each in inner for text in texts(each)]


def ours(said: object) -> Hint | None:
    """What a refusal in words means that is none of the person's or the instruction's; None: it is."""
    words = " ".join(texts(said)).casefold()
    return next((hint for each, hint in OURS.items() if each in words), None)
