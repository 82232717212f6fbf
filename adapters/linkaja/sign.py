"""LinkAja's requests, signed over the bytes sent: SNAP below /bi (wallets.md 4.4), the gateway's hmac scheme elsewhere
(wallets.md 4.2).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, date, datetime

from adapters.linkaja import wire
from adapters.snap import sign as snap
from contracts.identity import IdentityQuery
from contracts.linking import Grant, LinkFinish, LinkStart, UnlinkOrder
from contracts.partner import Context
from contracts.payout import PayoutOrder
from contracts.plan import Effect, Request
from contracts.secret import Secret

PAYOUT_S = 30.0
INQUIRY_S = 15.0
TOKEN_S = 10.0

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def http_date(now: datetime) -> str:
    """`Fri, 02 Jan 2026 03:04:05 UTC` (wallets.md 4.2), whatever the machine's language."""
    at = now.astimezone(UTC)
    return f"{_DAYS[at.weekday()]}, {at.day:02d} {_MONTHS[at.month - 1]} {at.year:04d} {at:%H:%M:%S} UTC"


def digest(content: bytes) -> str:
    """`SHA-256=` and base64 of the bytes sent; of nothing for a GET."""
    return f"SHA-256={base64.b64encode(hashlib.sha256(content).digest()).decode()}"


def hmac_signature(secret: str, *, method: str, target: str, at: str, body_digest: str) -> str:
    """Base64 of HMAC-SHA256 over date, request line and digest; the request line has the query (decisions L10)."""
    text = f"date: {at}\n{method} {target} HTTP/1.1\ndigest: {body_digest}"
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), "sha256")).decode()


def hmac_headers(ctx: Context, *, method: str, target: str, content: bytes, access_token: str | None) -> dict[str, str]:
    """Headers of a call to the partner API; only creating a token goes without `Access-Token` (wallets.md 4.2)."""
    at, body_digest = http_date(ctx.now), digest(content)
    signature = hmac_signature(
        ctx.credential("hmac_secret"), method=method, target=target, at=at, body_digest=body_digest
    )
    signed = {
        "Content-Type": "application/json",
        "Date": at,
        "Digest": body_digest,
        "Authorization": (
            f'hmac username="{ctx.credential("hmac_username")}", algorithm="hmac-sha256", '
            f'headers="date request-line digest", signature="{signature}"'
        ),
    }
    if access_token is not None:
        signed["Access-Token"] = access_token
    return signed


def snap_headers(
    ctx: Context, *, target: str, content: bytes, token: str, customer_token: str | None = None
) -> dict[str, str]:
    """Headers of a SNAP call; the signed path includes /bi (wallets.md 4.4)."""
    return snap.transaction_headers(
        method="POST",
        target=target,
        content=content,
        at=snap.timestamp(ctx.now),
        secret=ctx.credential("client_secret"),
        token=token,
        partner_id=ctx.credential("partner_id"),
        external_id=ctx.external_id(0),
        channel_id=ctx.credential("channel_id"),
        customer_token=customer_token,
    )


def b2b_token(ctx: Context) -> Request:
    """Our SNAP token (service 73)."""
    return _snap_token(
        ctx,
        operation="token.snap",
        effect=Effect.READ,
        target="/bi/v1.0/access-token/b2b",
        content=wire.CLIENT_CREDENTIALS,
    )


def create_token(ctx: Context) -> Request:
    """Our legacy token, anew."""
    target = "/v1/oauth/create"
    headers = hmac_headers(ctx, method="GET", target=target, content=b"", access_token=None)
    return _request("token.legacy", Effect.READ, "GET", target, headers, timeout_s=TOKEN_S)


def refresh_token(ctx: Context, access: Secret, refresh: Secret) -> Request:
    """Our legacy token, refreshed."""
    target, content = "/v1/oauth/refresh", wire.tokens(access, refresh)
    headers = hmac_headers(ctx, method="POST", target=target, content=content, access_token=access.reveal())
    return _request("token.legacy.refresh", Effect.READ, "POST", target, headers, content, timeout_s=TOKEN_S)


def bind(ctx: Context, start: LinkStart) -> Request:
    """Begin a link. A second one only opens another page, so it may be asked again."""
    target = "/bi/v1.0/registration-account-binding"
    content = wire.binding(start, ctx.credential("merchant_id"))
    headers = snap_headers(ctx, target=target, content=content, token=ctx.token("snap"))
    return _request("link.begin", Effect.READ, "POST", target, headers, content)


def exchange(ctx: Context, finish: LinkFinish) -> Request:
    """The authCode for the customer's token; a code works once."""
    return _snap_token(
        ctx,
        operation="link.exchange",
        effect=Effect.WRITE,
        target="/bi/v1.0/access-token/b2b2c",
        content=wire.auth_code(finish.code),
    )


def refresh_grant(ctx: Context, refresh: Secret) -> Request:
    """A fresh customer token (decisions L14)."""
    return _snap_token(
        ctx,
        operation="link.refresh",
        effect=Effect.READ,
        target="/bi/v1.0/access-token/b2b2c",
        content=wire.refresh_grant(refresh),
    )


def unbind(ctx: Context, order: UnlinkOrder) -> Request:
    """Give the link back, under the customer's token (decisions L12)."""
    target = "/bi/v1.0/registration-account-unbinding"
    content = wire.unbinding(ctx.credential("merchant_id"))
    headers = snap_headers(
        ctx,
        target=target,
        content=content,
        token=ctx.token("snap"),
        customer_token=order.grant.access_token.reveal(),
    )
    return _request("unlink", Effect.WRITE, "POST", target, headers, content)


def kyc(ctx: Context, query: IdentityQuery) -> Request:
    """The NIK check (assumed, decisions L3)."""
    return _post(ctx, "identity.verify", Effect.READ, "/v1/custbind/verify/kyc", wire.kyc(query))


def inquiry(ctx: Context, order: PayoutOrder, grant: Grant) -> Request:
    """Open a cash-in session; the customer's token in it proves that the link stands."""
    return _post(ctx, "payout.inquiry", Effect.READ, "/v1/cashin/inquiry", wire.inquiry(order, grant.access_token))


def confirm(ctx: Context, order: PayoutOrder, grant: Grant, session: str) -> Request:
    """Confirm the session: moves the money."""
    target, content = "/v1/cashin/confirm", wire.confirm(order, grant.access_token, session)
    headers = hmac_headers(ctx, method="POST", target=target, content=content, access_token=ctx.token("legacy"))
    return _request(
        "payout.transfer",
        Effect.WRITE,
        "POST",
        target,
        headers,
        content,
        timeout_s=PAYOUT_S,
        frozen=wire.frozen(order),
    )


def check(ctx: Context, order: PayoutOrder) -> Request:
    """Look one cash-in up."""
    return _post(ctx, "payout.status", Effect.READ, "/v1/cashin/check", wire.check(order))


def report(ctx: Context, day: date, page: int) -> Request:
    """One page of a Jakarta day's bookings (decisions L13, S4)."""
    target = f"/v1/cashin/report?date={day.isoformat()}&page={page}"
    headers = hmac_headers(ctx, method="GET", target=target, content=b"", access_token=ctx.token("legacy"))
    return _request("statement", Effect.READ, "GET", target, headers)


def _snap_token(ctx: Context, *, operation: str, effect: Effect, target: str, content: bytes) -> Request:
    headers = snap.token_headers(
        client_id=ctx.credential("client_id"),
        private_key_pem=ctx.credential("private_key_pem"),
        at=snap.timestamp(ctx.now),
    )
    return _request(operation, effect, "POST", target, headers, content, timeout_s=TOKEN_S)


def _post(ctx: Context, operation: str, effect: Effect, target: str, content: bytes) -> Request:
    headers = hmac_headers(ctx, method="POST", target=target, content=content, access_token=ctx.token("legacy"))
    return _request(operation, effect, "POST", target, headers, content)


def _request(
    operation: str,
    effect: Effect,
    method: str,
    target: str,
    headers: Mapping[str, str],
    content: bytes = b"",
    *,
    timeout_s: float = INQUIRY_S,
    frozen: bytes | None = None,
) -> Request:
    return Request(
        operation=operation,
        effect=effect,
        host="gateway",
        method=method,
        target=target,
        headers=headers,
        content=content,
        timeout_s=timeout_s,
        frozen=frozen,
    )
