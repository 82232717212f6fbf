"""OVO's JSON, field for field (wallets.md 3, 12.4): request bodies as the documents print them."""

from __future__ import annotations

from adapters import accounts
from adapters.snap.sign import timestamp
from adapters.snap.values import idr
from contracts.identity import IdentityQuery
from contracts.linking import LinkFinish, LinkStart, UnlinkOrder
from contracts.payout import PayoutOrder
from contracts.secret import Secret

TOKEN = {"grantType": "client_credentials"}


def auth_code(finish: LinkFinish) -> object:
    """Exchanges an authCode; OVO writes the grant in lower case (12.4)."""
    return {"grantType": "authorization_code", "authCode": finish.code}


def refresh(token: Secret) -> object:
    """Asks for a fresh customer token."""
    return {"grantType": "refresh_token", "refreshToken": token}


def binding(start: LinkStart) -> object:
    """Begins a link; both returns come to the same address, which carries our own state (X1). Nesting assumed (3.3)."""
    return {
        "phoneNo": accounts.local(start.account),
        "additionalInfo": {
            "custIdMerchant": start.link_id,
            "customerName": start.name,
            "successRegistrationUrl": start.redirect_uri,
            "failedRegistrationUrl": start.redirect_uri,
        },
    }


def unbinding(order: UnlinkOrder) -> object:
    """Both unbinding calls (assumed)."""
    return {"partnerReferenceNo": order.reference, "additionalInfo": {"custIdMerchant": order.link_id}}


def identity(query: IdentityQuery) -> object:
    """An inquiry that checks the NIK (assumed, decisions O7); its amount is a dummy."""
    return {
        "partnerReferenceNo": query.reference,
        "customerNumber": accounts.local(query.account),
        "amount": idr(1),
        "additionalInfo": {"identificationType": "KTP", "identificationNo": query.nik},
    }


def inquiry(order: PayoutOrder) -> object:
    """The inquiry before a top-up, with the amount to come (decisions O8)."""
    return {
        "partnerReferenceNo": order.reference,
        "customerNumber": accounts.local(order.account),
        "amount": idr(order.amount_rupiah),
    }


def topup(order: PayoutOrder) -> object:
    """The top-up, dated by the payout and not by the attempt: nothing in it changes between attempts."""
    return {
        "partnerReferenceNo": order.reference,
        "customerNumber": accounts.local(order.account),
        "amount": idr(order.amount_rupiah),
        "transactionDate": timestamp(order.created_at),
    }


def status(order: PayoutOrder) -> object:
    """Looks one top-up up."""
    return {"originalPartnerReferenceNo": order.reference, "serviceCode": "38"}
