"""BNI's calls, signed: which host, token and keys each one uses, and whether it can change anything there.

Both hosts sign alike (snap-bni.md 1.3, 1.7): a token request with RSA-SHA256 over `client|timestamp`, every other call
with HMAC-SHA512 over `METHOD:path:token:hash:timestamp`. The timestamp is read once and used for header and signature.
"""

from __future__ import annotations

import msgspec

from adapters.bni import wire
from adapters.snap import sign as snap
from contracts.partner import Context
from contracts.plan import Effect, Request


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of BNI's two hosts with the names of its credentials; host and token share one name (decision S6)."""

    name: str
    access_path: str
    client_id: str
    private_key: str
    partner_id: str
    hmac_key: str


SNAP = Side(
    name="snap",
    access_path="/snap/v1/access-token/b2b",  # snap-bni.md 2.3
    client_id="client_id",
    private_key="private_key_pem",
    partner_id="api_key",
    hmac_key="api_secret",
)
AUTOPAY = Side(
    name="autopay",
    access_path="/api/v1.0/access-token/b2b",  # snap-bni.md 2.4
    client_id="autopay_client_id",
    private_key="autopay_private_key_pem",
    partner_id="autopay_merchant_id",
    hmac_key="autopay_client_secret",
)
SIDES = {side.name: side for side in (SNAP, AUTOPAY)}


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One operation at BNI: where it goes, what it can change, and the service code its answers carry."""

    operation: str
    side: Side
    target: str
    service: str
    effect: Effect
    timeout_s: float = 15.0


BIND = Call(
    operation="link.begin",
    side=AUTOPAY,
    target="/v1.0/registration-account-binding",
    service="07",
    effect=Effect.WRITE,  # sends an SMS
)
VERIFY_OTP = Call(
    operation="link.exchange",
    side=AUTOPAY,
    target="/v1.0/otp-verification",
    service="04",
    effect=Effect.WRITE,  # an OTP works once
)
SEND_OTP = Call(
    operation="unlink.otp", side=AUTOPAY, target="/v1.0/otp", service="81", effect=Effect.WRITE
)  # sends an SMS
UNBIND = Call(
    operation="unlink",
    side=AUTOPAY,
    target="/v1.0/registration-account-unbinding",
    service="09",
    effect=Effect.WRITE,
)
INQUIRY = Call(
    operation="payout.inquiry",
    side=SNAP,
    target="/snap-service/v1/account-inquiry-internal",
    service="15",
    effect=Effect.READ,
)
TRANSFER = Call(
    operation="payout.transfer",
    side=SNAP,
    target="/snap-service/v1/transfer-intrabank",
    service=wire.PAYOUT_SERVICE,
    effect=Effect.WRITE,
    timeout_s=30.0,
)
STATUS = Call(
    operation="payout.status",
    side=SNAP,
    target="/snap-service/v1/transfer/status",
    service="36",
    effect=Effect.READ,
)
STATEMENT = Call(
    operation="statement",
    side=SNAP,
    target="/snap-service/v1/bank-statement",
    service="14",
    effect=Effect.READ,
)
BALANCE = Call(
    operation="balance",
    side=SNAP,
    target="/snap-service/v1/balance-inquiry",
    service="11",
    effect=Effect.READ,
)


def token(ctx: Context, side: Side) -> Request:
    """A request for our own access token at one of the hosts."""
    return Request(
        operation=f"token.{side.name}",
        effect=Effect.READ,
        host=side.name,
        method="POST",
        target=side.access_path,
        headers=snap.token_headers(
            client_id=ctx.credential(side.client_id),
            private_key_pem=ctx.credential(side.private_key),
            at=snap.timestamp(ctx.now),
        ),
        content=wire.encode(wire.BniTokenRequest()),
        timeout_s=10.0,
    )


def post(ctx: Context, call: Call, content: bytes, *, n: int = 0, frozen: bytes | None = None) -> Request:
    """The `n`-th request of a plan: `content` signed as it stands."""
    return Request(
        operation=call.operation,
        effect=call.effect,
        host=call.side.name,
        method="POST",
        target=call.target,
        headers=snap.transaction_headers(
            method="POST",
            target=call.target,
            content=content,
            at=snap.timestamp(ctx.now),
            secret=ctx.credential(call.side.hmac_key),
            token=ctx.token(call.side.name),
            partner_id=ctx.credential(call.side.partner_id),
            external_id=ctx.external_id(n),
            channel_id=ctx.credential("channel_id"),
        ),
        content=content,
        timeout_s=call.timeout_s,
        frozen=frozen,
    )
