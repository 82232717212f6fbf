"""Midtrans' endpoints and its four kinds of signature and credential over bytes.

SNAP: wallets.md 2.2, snap-bni.md 1.6, 1.7; linking page: wallets.md 2.3; Iris: wallets.md 2.6; GoPay ID: 2.5.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import uuid
from urllib.parse import quote

from adapters import accounts, answers, rsa
from adapters.snap import sign as snap
from adapters.snap.calls import PAYOUT_S, READ, WRITE, Bearer, Call, Side, encode, token_call
from contracts.errors import Hint, PartnerUnavailable
from contracts.linking import LinkStart
from contracts.partner import Context, Notification
from contracts.plan import Request
from contracts.secret import Secret

SNAP = Side(
    client_id="snap_client_id",
    private_key="snap_private_key_pem",
    partner_id="snap_partner_id",
    secret="snap_client_secret",  # noqa: S106 - a name
    headers={"X-DEVICE-ID": "device_id"},
)
TOKEN = token_call("token.snap", READ, "/v1.0/access-token/b2b", "73")  # 2.2
EXCHANGE = Call("link.exchange", WRITE, "/v1.0/registration-account-binding", "07")  # 2.3.6: a code works once
HEALTH = Call("link.health", READ, "/v1.0/registration-account-inquiry", "08")  # 2.3.7
UNLINK = Call("unlink", WRITE, "/v1.0/registration-account-unbinding", "09")  # 2.3.8

_IRIS = "/iris/api/v1"
CREATE = Call("payout.create", WRITE, f"{_IRIS}/payouts", timeout_s=PAYOUT_S)
APPROVE = Call("payout.approve", WRITE, f"{_IRIS}/payouts/approve", timeout_s=PAYOUT_S)
REJECT = Call("payout.reject", WRITE, f"{_IRIS}/payouts/reject", timeout_s=PAYOUT_S)
BY_APPROVER = (APPROVE, REJECT)  # these two refuse the creator's key
STATUS = Call("payout.status", READ, f"{_IRIS}/payouts/", method="GET")
STATEMENT = Call(  # a day has no pages (decision S2): room for some 150,000 bookings
    "statement", READ, f"{_IRIS}/statements", method="GET", timeout_s=PAYOUT_S, max_response_bytes=67_108_864
)
BALANCE = Call("balance", READ, f"{_IRIS}/balance", method="GET")
NAME = Call("identity.name", READ, f"{_IRIS}/account_validation?bank=gopay&account=", method="GET")

KYC = Call(
    "identity.verify", READ, "/forward/gopay-id/kyc/inbound/v1/users/submissions/current",
    method="GET", bearer=Bearer.GIVEN,
)  # fmt: skip

_SEPARATOR = re.compile(r"[,\s]+")
_MOST_SIGNATURES = 4


def seamless(private_key_pem: str, account: Secret) -> tuple[str, str]:
    """seamlessData and seamlessSign; the text signed is the data's URL-encoded form (wallets.md 2.3.1)."""
    data = f"mobileNumber={accounts.msisdn(account).reveal()}&paymentType=gopay"
    return data, rsa.sign(private_key_pem, quote(data, safe=""))


def page(ctx: Context, start: LinkStart) -> dict[str, str]:
    """What the browser opens the linking page with (service 10), by itself and without headers.

    It names the phone because Midtrans asks for `mobileNumber` there (4001002 without it, wallets.md 2.3.3).
    """
    data, signature = seamless(ctx.credential("snap_private_key_pem"), start.account)
    # Limits of wallets.md 2.3.2, in characters; the signature's is that of its encoded form.
    for text, most in ((start.redirect_uri, 256), (start.state, 32), (quote(signature, safe=""), 512)):
        if len(text) > most:
            what = f"a parameter of the linking page is over its {most} characters"
            raise PartnerUnavailable(what, hint=Hint.CREDENTIALS)
    return {
        "state": start.state,
        "merchantId": ctx.credential("payment_handle"),
        "lang": "id",
        "scopes": "DEFAULT",
        "redirectUrl": start.redirect_uri,
        "seamlessData": data,
        "seamlessSign": signature,
    }


def kyc(ctx: Context, customer: Secret) -> Request:
    """KYC Data Pull: the participant's token without `Bearer`, and a correlation id in UUID form."""
    headers = {
        "Accept": "application/json",
        "x-merchant-id": ctx.credential("identity_merchant_id"),
        "authorization": customer.reveal(),
        "correlation-id": str(uuid.uuid5(uuid.NAMESPACE_OID, ctx.external_id(0))),
    }
    return KYC.request("identity", KYC.target, headers)


def iris(
    ctx: Context, call: Call, body: object = None, *, tail: str = "", idempotency_key: str | None = None
) -> Request:
    """An Iris call under the key of whoever may make it; `tail` ends its path."""
    key = ctx.credential("iris_approver_key" if call in BY_APPROVER else "iris_creator_key")
    headers = {"Content-Type": "application/json", "Accept": "application/json", "Authorization": basic(key)}
    if idempotency_key is not None:
        headers["X-Idempotency-Key"] = idempotency_key
    content = b"" if body is None else encode(body)
    return call.request("iris", call.target + quote(tail, safe=""), headers, content)


def basic(key: str) -> str:
    """`Basic base64(key:)` (wallets.md 2.6)."""
    return "Basic " + base64.b64encode(f"{key}:".encode()).decode()


def link_notice_valid(ctx: Context, note: Notification) -> bool:
    """Whether a key of Midtrans' signed this link notification, and recently (wallets.md 2.3.9, decision X2)."""
    at = note.headers.get("x-timestamp", "")
    said_at = answers.said_at(at)
    if said_at is None or not answers.of_now(said_at, ctx.now):
        return False
    text = snap.asymmetric_string_to_sign(note.method, note.target, snap.minify(note.body), at)
    signature = note.headers.get("x-signature", "")
    return rsa.valid(ctx.credential("midtrans_public_key_pem"), text, signature)


def iris_notice_valid(ctx: Context, note: Notification) -> bool:
    """Whether Iris signed this body: SHA-512 over the raw bytes and the merchant key (wallets.md 2.6), or one of two
    with a comma or a space between them (decision X13). Of two signatures one must be under a key that we have.
    """
    header = note.headers.get("iris-signature", "").strip().lower().encode("utf-8", "replace")
    given = [each for each in _SEPARATOR.split(header.decode()) if each][:_MOST_SIGNATURES]
    # An empty key would let everybody sign.
    keys = [key for key in _SEPARATOR.split(ctx.credential("iris_merchant_key")) if key]
    wanted = [hashlib.sha512(note.body + key.encode()).hexdigest().encode() for key in keys]
    return any([hmac.compare_digest(one, each.encode()) for one in wanted for each in given])  # noqa: C419 - all compared, whichever it is
