"""DANA's JSON, field for field (dana.md, decisions D6-D14): bodies as the documents print them."""

from __future__ import annotations

from datetime import date

import msgspec

from adapters import accounts
from adapters.snap.sign import timestamp
from adapters.snap.values import idr
from contracts.linking import LinkFinish, UnlinkOrder
from contracts.partner import Context
from contracts.payout import PayoutOrder
from contracts.secret import Masked, Secret


def auth_code(finish: LinkFinish) -> object:
    """Exchanges an authCode (D6)."""
    return {"grantType": "AUTHORIZATION_CODE", "authCode": finish.code, "refreshToken": "", "additionalInfo": {}}


def refresh(token: Secret) -> object:
    """Asks for a fresh customer token (D6)."""
    return {"grantType": "REFRESH_TOKEN", "authCode": "", "refreshToken": token, "additionalInfo": {}}


def unbinding(ctx: Context, order: UnlinkOrder) -> object:
    """Gives a link back (D10)."""
    info = {"accessToken": order.grant.access_token, "deviceId": ctx.credential("device_id")}
    return {"merchantId": ctx.credential("merchant_id"), "additionalInfo": info}


def inquiry(order: PayoutOrder) -> dict[str, object]:
    """The inquiry before a top-up (D11), dated by the payout and not by the attempt."""
    return {
        "partnerReferenceNo": order.reference,
        "customerNumber": accounts.msisdn(order.account),
        "amount": idr(order.amount_rupiah),
        "transactionDate": timestamp(order.created_at),
        "additionalInfo": {"fundType": "AGENT_TOPUP_FOR_USER_SETTLE"},
    }


def topup(order: PayoutOrder) -> object:
    """The top-up (D12): nothing in it changes between attempts."""
    return {**inquiry(order), "feeAmount": idr(0), "notes": order.reference}


def status(reference: str) -> object:
    """Looks one top-up up (D13)."""
    return {"originalPartnerReferenceNo": reference, "serviceCode": "38"}


def history(reference: str, day: date, page: int) -> object:
    """One page of a Jakarta day's bookings (assumed, D14)."""
    return {
        "partnerReferenceNo": reference,
        "fromDateTime": f"{day.isoformat()}T00:00:00+07:00",
        "toDateTime": f"{day.isoformat()}T23:59:59+07:00",
        "pageSize": "1000",
        "pageNumber": str(page),
    }


class DanaSigned(Masked, frozen=True):
    """An answer to the profile query: what is signed, as it stands, and its signature."""

    response: msgspec.Raw
    signature: str
