"""BNI's JSON, field for field: request bodies as the documents print them (snap-bni.md 1.11, 2.3, 2.4), typed answers.

Names in answers other than those used here (holder names, an `identificationNo` in the OTP answer) are not read.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import msgspec

from adapters.snap.sign import timestamp
from adapters.snap.values import idr
from contracts.linking import LinkAnswer, UnlinkOrder
from contracts.partner import Context
from contracts.payout import PayoutOrder
from contracts.secret import Masked, Secret

BIND_LIMIT = "1.00"
"""The smallest debit limit a binding may ask for: we only pay in (decision B5)."""
OTP_LIFE = timedelta(minutes=5)
"""snap-bni.md 1.1: SMS OTPs live five minutes."""

TOKEN = {"grantType": "client_credentials", "additionalInfo": {}}
"""snap-bni.md 2.3, for both hosts."""


def bind(ctx: Context, answer: LinkAnswer, card_no: Secret) -> object:
    """Service 07. We hold no e-mail address: the field goes out empty, as BNI sends what is optional (2.3)."""
    return {
        "partnerReferenceNo": answer.reference,
        "merchantId": ctx.credential("autopay_merchant_id"),
        "additionalData": {"bankAccountNo": answer.account, "bankCardNo": card_no, "limit": BIND_LIMIT, "email": ""},
        "additionalInfo": {"custIdMerchant": answer.link_id},  # ours: decision B5
    }


def verify_otp(ctx: Context, answer: LinkAnswer, otp: Secret) -> object:
    """Service 04."""
    return {
        "merchantId": ctx.credential("autopay_merchant_id"),
        "originalPartnerReferenceNo": answer.carry["partnerReferenceNo"],
        "originalReferenceNo": answer.carry["referenceNo"],
        "chargeToken": answer.carry["chargeToken"],
        "otp": otp,
        "additionalInfo": {},
    }


def send_otp(ctx: Context, order: UnlinkOrder) -> object:
    """Service 81; `journeyID` is spelt so and equals X-EXTERNAL-ID."""
    return {
        "merchantId": ctx.credential("autopay_merchant_id"),
        "partnerReferenceNo": order.reference,
        "journeyID": ctx.external_id(0),
        "bankCardToken": order.grant.access_token,
        "otpReasonCode": "09",
        "otpReasonMessage": "Account Unbinding",
        "additionalInfo": {"expiredOtp": timestamp(ctx.now + OTP_LIFE)},
        "externalStoreId": "",
    }


def unbind(ctx: Context, order: UnlinkOrder, otp: Secret) -> object:
    """Service 09."""
    return {
        "merchantId": ctx.credential("autopay_merchant_id"),
        "partnerReferenceNo": order.reference,
        "otp": otp,
        "bankCardToken": order.grant.access_token,
        "chargeToken": order.carry["chargeToken"],
        "additionalInfo": {"custIdMerchant": order.link_id},
    }


def inquiry(reference: str, order: PayoutOrder) -> object:
    """Service 15, under a number of its own."""
    return {"partnerReferenceNo": reference, "beneficiaryAccountNo": order.account}


def transfer(order: PayoutOrder, source_account: Secret) -> object:
    """Service 17, in the key order of vector T2. All but our own account comes from the stored payout: the same bytes
    every attempt.
    """
    return {
        "partnerReferenceNo": order.reference,
        "amount": idr(order.amount_rupiah),
        "beneficiaryAccountNo": order.account,
        "beneficiaryEmail": "",
        "currency": "IDR",
        "customerReference": order.reference,
        "feeType": "OUR",
        "remark": order.reference,
        "sourceAccountNo": source_account,
        "transactionDate": timestamp(order.created_at),
    }


def status(order: PayoutOrder) -> object:
    """Service 36: the transfer named by its own reference, date and amount."""
    return {
        "originalPartnerReferenceNo": order.reference,
        "originalReferenceNo": order.partner_reference or "",
        "originalExternalId": "",
        "serviceCode": "17",
        "transactionDate": timestamp(order.created_at),
        "amount": idr(order.amount_rupiah),
    }


def statement(reference: str, source_account: Secret, day: date, page: int) -> object:
    """Service 14: one page of a Jakarta day's statement of our source account (decision S5)."""
    return {
        "partnerReferenceNo": reference,
        "accountNo": source_account,
        "fromDateTime": f"{day.isoformat()}T00:00:00+07:00",
        "toDateTime": f"{day.isoformat()}T23:59:59+07:00",
        "additionalInfo": {"page": str(page)},
    }


def balance(reference: str, source_account: Secret) -> object:
    """Service 11 (recalled from SNAP)."""
    return {"partnerReferenceNo": reference, "accountNo": source_account}


class BniBookingInfo(msgspec.Struct, frozen=True, rename="camel"):
    """decision S5."""

    kind: Any
    partner_reference_no: Any = None
    beneficiary_account_no: Any = None


class BniBooking(Masked, frozen=True, rename="camel"):
    """decision S5: one row of a statement."""

    amount: Any
    transaction_date: Any
    type: Any
    additional_info: BniBookingInfo
    transaction_id: Any = None
    remark: Any = None
