"""OVO's requests, signed over the bytes sent (wallets.md 3.2): timestamps in milliseconds, a device id on each."""

from __future__ import annotations

from datetime import date

from adapters.ovo import wire
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


def headers(
    ctx: Context, *, n: int, method: str, target: str, content: bytes, token: str, customer_token: str | None = None
) -> dict[str, str]:
    """Headers of the plan's n-th transaction call; an empty `token` is binding's form (decisions O1, V16)."""
    return snap.transaction_headers(
        method=method,
        target=target,
        content=content,
        at=snap.timestamp(ctx.now, milliseconds=True),
        secret=ctx.credential("client_secret"),
        token=token,
        partner_id=ctx.credential("partner_id"),
        external_id=ctx.external_id(n),
        channel_id=ctx.credential("channel_id"),
        customer_token=customer_token,
        extra={"X-DEVICE-ID": ctx.credential("device_id")},
    )


def b2b_token(ctx: Context) -> Request:
    """Our own token (service 73)."""
    return _token_request(
        ctx,
        operation="token.snap",
        effect=Effect.READ,
        target=f"/OVOSNAP/{ctx.credential('token_version')}/access-token/b2b",
        content=wire.CLIENT_CREDENTIALS,
    )


def exchange(ctx: Context, finish: LinkFinish) -> Request:
    """The authCode for the customer's token, under the linkageToken it belongs to (decisions O6); a code works once."""
    return _token_request(
        ctx,
        operation="link.exchange",
        effect=Effect.WRITE,
        target=_target(ctx, "access-token/b2b2c"),
        content=wire.auth_code(finish.code),
        bearer=finish.carry["linkage_token"],
    )


def refresh(ctx: Context, refresh_token: Secret) -> Request:
    """A fresh customer token; without any bearer (wallets.md 3.2)."""
    return _token_request(
        ctx,
        operation="link.refresh",
        effect=Effect.READ,
        target=_target(ctx, "access-token/b2b2c"),
        content=wire.refresh(refresh_token),
    )


def bind(ctx: Context, start: LinkStart) -> Request:
    """Begin a link. A second one only opens another page, so it may be asked again."""
    return _post(
        ctx,
        operation="link.begin",
        effect=Effect.READ,
        target=_target(ctx, "oauth/account/registration-account-binding"),
        content=wire.binding(start),
        token="",
    )


def unbind_begin(ctx: Context, order: UnlinkOrder) -> Request:
    """First call of unbinding, under the customer's token: it hands out the token of the second (decisions O10)."""
    return _unbind(ctx, order, operation="unlink.begin", effect=Effect.READ, n=0, bearer=order.grant.access_token)


def unbind(ctx: Context, order: UnlinkOrder, bearer: Secret) -> Request:
    """Second call of unbinding: this one unbinds."""
    return _unbind(ctx, order, operation="unlink", effect=Effect.WRITE, n=1, bearer=bearer)


def identity_inquiry(ctx: Context, query: IdentityQuery) -> Request:
    """The NIK check under the customer's token (decisions O7)."""
    return _post(
        ctx,
        operation="identity.verify",
        effect=Effect.READ,
        target=_target(ctx, "emoney/account-inquiry"),
        content=wire.identity_inquiry(query),
        token=ctx.token("snap"),
        grant=query.grant,
    )


def payout_inquiry(ctx: Context, order: PayoutOrder, grant: Grant) -> Request:
    """The inquiry before a top-up: under the customer's token it also proves that the link stands."""
    return _post(
        ctx,
        operation="payout.inquiry",
        effect=Effect.READ,
        target=_target(ctx, "emoney/account-inquiry"),
        content=wire.payout_inquiry(order),
        token=ctx.token("snap"),
        grant=grant,
    )


def topup_body(order: PayoutOrder) -> bytes:
    """The top-up's body, dated by the payout and not by the attempt."""
    return wire.topup(order, snap.timestamp(order.created_at))


def topup(ctx: Context, order: PayoutOrder) -> Request:
    """The top-up: moves the money."""
    return _post(
        ctx,
        operation="payout.transfer",
        effect=Effect.WRITE,
        target=_target(ctx, "emoney/topup"),
        content=topup_body(order),
        token=ctx.token("snap"),
        n=1,
        timeout_s=PAYOUT_S,
    )


def topup_status(ctx: Context, order: PayoutOrder) -> Request:
    """Look one top-up up."""
    return _post(
        ctx,
        operation="payout.status",
        effect=Effect.READ,
        target=_target(ctx, "emoney/topup-status"),
        content=wire.topup_status(order),
        token=ctx.token("snap"),
    )


def history(ctx: Context, day: date, page: int) -> Request:
    """One page of our deposit's bookings of a Jakarta day (decisions O12, S3)."""
    target = f"/cashin/snap/v2.0/merchant/account/history?date={day.isoformat()}&page={page}"
    return _get(ctx, operation="statement", target=target)


def balance(ctx: Context) -> Request:
    """What is left of our deposit (wallets.md 3.1)."""
    return _get(ctx, operation="balance", target="/cashin/snap/v2.0/merchant/account/balance")


def _target(ctx: Context, path: str) -> str:
    return f"/OVOSNAP/{ctx.credential('api_version')}/{path}"


def _token_request(
    ctx: Context, *, operation: str, effect: Effect, target: str, content: bytes, bearer: Secret | None = None
) -> Request:
    signed = snap.token_headers(
        client_id=ctx.credential("client_id"),
        private_key_pem=ctx.credential("private_key_pem"),
        at=snap.timestamp(ctx.now, milliseconds=True),
    )
    if bearer is not None:
        signed["Authorization"] = f"Bearer {bearer.reveal()}"
    return Request(
        operation=operation,
        effect=effect,
        host="snap",
        method="POST",
        target=target,
        headers=signed,
        content=content,
        timeout_s=TOKEN_S,
    )


def _post(
    ctx: Context,
    *,
    operation: str,
    effect: Effect,
    target: str,
    content: bytes,
    token: str,
    grant: Grant | None = None,
    n: int = 0,
    timeout_s: float = INQUIRY_S,
) -> Request:
    customer_token = grant.access_token.reveal() if grant is not None else None
    return Request(
        operation=operation,
        effect=effect,
        host="snap",
        method="POST",
        target=target,
        headers=headers(
            ctx, n=n, method="POST", target=target, content=content, token=token, customer_token=customer_token
        ),
        content=content,
        timeout_s=timeout_s,
    )


def _get(ctx: Context, *, operation: str, target: str) -> Request:
    return Request(
        operation=operation,
        effect=Effect.READ,
        host="snap",
        method="GET",
        target=target,
        headers=headers(ctx, n=0, method="GET", target=target, content=b"", token=ctx.token("snap")),
        timeout_s=INQUIRY_S,
    )


def _unbind(ctx: Context, order: UnlinkOrder, *, operation: str, effect: Effect, n: int, bearer: Secret) -> Request:
    return _post(
        ctx,
        operation=operation,
        effect=effect,
        target=_target(ctx, "oauth/account/registration-account-unbinding"),
        content=wire.unbinding(order),
        token=bearer.reveal(),
        n=n,
    )
