"""Midtrans' four kinds of signature and credential over bytes, and the requests that carry them.

SNAP: wallets.md 2.2, snap-bni.md 1.6, 1.7; linking page: wallets.md 2.3; Iris: wallets.md 2.6; GoPay ID: 2.5.
"""

from __future__ import annotations

import base64
import enum
import hashlib
import hmac
import re
import uuid
from datetime import datetime
from urllib.parse import quote

from adapters.gopay import wire
from adapters.snap import sign as snap
from contracts.errors import Hint, PartnerUnavailable
from contracts.linking import LinkStart
from contracts.partner import Context, Notification
from contracts.plan import Effect, Request
from contracts.secret import Secret

TOKEN_TIMEOUT_S = 10.0
INQUIRY_TIMEOUT_S = 15.0
PAYOUT_TIMEOUT_S = 30.0
STATEMENT_MAX_BYTES = 67_108_864
"""A day's statement has no pages (decision S2): room for some 150,000 bookings."""

TOLERANCE_S = 900
"""How far X-TIMESTAMP of a notification may lie from our clock (decision X6)."""

_REDIRECT_MAX, _STATE_MAX, _SEAMLESS_MAX = 256, 32, 512
"""Limits of the linking page's parameters, in characters (wallets.md 2.3.2)."""

_PEM = re.compile(r"-----BEGIN [A-Z ]*PUBLIC KEY-----.*?-----END [A-Z ]*PUBLIC KEY-----", re.DOTALL)

_IDENTITY_PATH = "/forward/gopay-id/kyc/inbound/v1/users/submissions/current"


class IrisRole(enum.Enum):
    """Whose key a call is made with; the value is the credential's name. Approve and reject refuse the creator's."""

    CREATOR = "iris_creator_key"
    APPROVER = "iris_approver_key"


def token_request(ctx: Context) -> Request:
    """SNAP access token, service 73."""
    return Request(
        operation="token.snap",
        effect=Effect.READ,
        host="snap",
        method="POST",
        target="/v1.0/access-token/b2b",
        headers=snap.token_headers(
            client_id=ctx.credential("snap_client_id"),
            private_key_pem=ctx.credential("snap_private_key_pem"),
            at=snap.timestamp(ctx.now),
        ),
        content=wire.TOKEN,
        timeout_s=TOKEN_TIMEOUT_S,
    )


def snap_request(
    ctx: Context, target: str, content: bytes, *, operation: str, effect: Effect, customer: Secret | None = None
) -> Request:
    """A signed SNAP call about a link, under the participant's token where there is one already."""
    return Request(
        operation=operation,
        effect=effect,
        host="snap",
        method="POST",
        target=target,
        headers=snap.transaction_headers(
            method="POST",
            target=target,
            content=content,
            at=snap.timestamp(ctx.now),
            secret=ctx.credential("snap_client_secret"),
            token=ctx.token("snap"),
            partner_id=ctx.credential("snap_partner_id"),
            external_id=ctx.external_id(0),
            channel_id=ctx.credential("channel_id"),
            customer_token=None if customer is None else customer.reveal(),
            extra={"X-DEVICE-ID": ctx.credential("device_id")},
        ),
        content=content,
        timeout_s=INQUIRY_TIMEOUT_S,
    )


def seamless(private_key_pem: str, account: Secret) -> tuple[str, str]:
    """seamlessData and seamlessSign, each URL-encoded once; the text signed is the encoded form (wallets.md 2.3.1)."""
    data = quote(f"mobileNumber={wire.snap_phone(account)}&paymentType=gopay", safe="")
    return data, quote(snap.rsa_sha256(private_key_pem, data), safe="")


def auth_code_url(ctx: Context, start: LinkStart) -> str:
    """The linking page (service 10), opened by the browser itself without headers.

    It names the phone because Midtrans asks for `mobileNumber` there (4001002 without it, wallets.md 2.3.3).
    """
    data, signature = seamless(ctx.credential("snap_private_key_pem"), start.account)
    for text, most in (
        (start.redirect_uri, _REDIRECT_MAX),
        (start.state, _STATE_MAX),
        (data, _SEAMLESS_MAX),
        (signature, _SEAMLESS_MAX),
    ):
        if len(text) > most:
            raise PartnerUnavailable(
                f"a parameter of the linking page is over its {most} characters", hint=Hint.CREDENTIALS
            )
    query = "&".join(
        f"{name}={quote(value, safe='')}"
        for name, value in (
            ("state", start.state),
            ("merchantId", ctx.credential("payment_handle")),
            ("lang", "id"),
            ("scopes", "DEFAULT"),
            ("redirectUrl", start.redirect_uri),
        )
    )
    return f"{ctx.hosts['app']}/v1.0/get-auth-code?{query}&seamlessData={data}&seamlessSign={signature}"


def identity_request(ctx: Context, customer: Secret) -> Request:
    """KYC Data Pull: the participant's token without `Bearer`, and a correlation id in UUID form."""
    return Request(
        operation="identity.verify",
        effect=Effect.READ,
        host="identity",
        method="GET",
        target=_IDENTITY_PATH,
        headers={
            "Accept": "application/json",
            "x-merchant-id": ctx.credential("identity_merchant_id"),
            "authorization": customer.reveal(),
            "correlation-id": str(uuid.uuid5(uuid.NAMESPACE_OID, ctx.external_id(0))),
        },
        timeout_s=INQUIRY_TIMEOUT_S,
    )


def iris_request(
    ctx: Context,
    method: str,
    path: str,
    content: bytes = b"",
    *,
    operation: str,
    effect: Effect,
    role: IrisRole = IrisRole.CREATOR,
    idempotency_key: str | None = None,
    timeout_s: float = INQUIRY_TIMEOUT_S,
    max_response_bytes: int = 1_048_576,
) -> Request:
    """An Iris call under the key of `role`."""
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json",
        "Authorization": basic(ctx.credential(role.value)),
    }
    if idempotency_key is not None:
        headers["X-Idempotency-Key"] = idempotency_key
    return Request(
        operation=operation,
        effect=effect,
        host="iris",
        method=method,
        target=f"/iris/api/v1/{path}",
        headers=headers,
        content=content,
        timeout_s=timeout_s,
        max_response_bytes=max_response_bytes,
    )


def basic(key: str) -> str:
    """`Basic base64(key:)` (wallets.md 2.6)."""
    return "Basic " + base64.b64encode(f"{key}:".encode()).decode()


def link_notice_valid(ctx: Context, note: Notification) -> bool:
    """Whether Midtrans' key signed this link notification, and recently (wallets.md 2.3.9, decision X2)."""
    at = note.headers.get("x-timestamp", "")
    if not _recent(at, ctx.now):
        return False
    text = snap.asymmetric_string_to_sign(note.method, note.target, snap.minify(note.body), at)
    signature = note.headers.get("x-signature", "")
    return any(snap.rsa_sha256_valid(key, text, signature) for key in pems(ctx.credential("midtrans_public_key_pem")))


def iris_notice_valid(ctx: Context, note: Notification) -> bool:
    """Whether Iris signed this body: SHA-512 over the raw bytes and the merchant key (wallets.md 2.6)."""
    given = note.headers.get("iris-signature", "").encode("utf-8", "replace")
    wanted = [
        hashlib.sha512(note.body + key.strip().encode()).hexdigest().encode()
        for key in ctx.credential("iris_merchant_key").split(",")
        if key.strip()  # an empty key would let everybody sign
    ]
    return any(hmac.compare_digest(each, given) for each in wanted)


def pems(text: str) -> list[str]:
    """The keys of a setting that may hold two of them, one behind the other: both are good while a partner changes from
    one to the next (decision X13).
    """
    return _PEM.findall(text)


def _recent(at: str, now: datetime) -> bool:
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return False
    return moment.tzinfo is not None and abs((now - moment).total_seconds()) <= TOLERANCE_S
