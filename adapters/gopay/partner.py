"""GoPay's operations as plans: SNAP linking, GoPay ID's KYC pull, Iris payouts (wallets.md 2.2, 2.3, 2.5, 2.6)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from adapters.gopay import mapping, sign, wire
from adapters.gopay.callbacks import CALLBACKS, GopayCallbacks
from adapters.gopay.manifest import MANIFEST
from adapters.gopay.sign import IrisRole
from adapters.snap import values
from contracts.errors import NotSupported
from contracts.identity import IdentityAnswer, IdentityQuery, Verdict
from contracts.linking import (
    Grant,
    LinkAnswer,
    LinkFinish,
    LinkHealth,
    LinkRedirect,
    LinkReturn,
    LinkStart,
    LinkStep,
    UnlinkOrder,
    UnlinkStep,
)
from contracts.observation import Balance, StatementPage
from contracts.partner import AccessToken, Context, Manifest
from contracts.payout import Outcome, PayoutOrder, unknown
from contracts.plan import Effect, Plan, done


class Gopay:
    """GoPay behind the contract."""

    @property
    def manifest(self) -> Manifest:
        """What varies and is data."""
        return MANIFEST

    @property
    def callbacks(self) -> GopayCallbacks:
        """Inbound notifications."""
        return CALLBACKS

    def fetch_token(self, ctx: Context, name: str, held: AccessToken | None) -> Plan[AccessToken]:
        """The SNAP token (service 73); there is no refresh."""
        if name not in MANIFEST.tokens:
            raise NotSupported("GoPay has one token of ours: snap")
        reply = yield sign.token_request(ctx)
        return values.b2b_token(reply, MANIFEST.tokens[name].life_s)

    def begin_link(self, ctx: Context, start: LinkStart) -> Plan[LinkStep]:
        """No call: the browser opens the signed linking page itself (service 10)."""
        return done(LinkRedirect(url=sign.auth_code_url(ctx, start)))

    def answer_link(self, ctx: Context, answer: LinkAnswer) -> Plan[LinkStep]:
        """Not declared."""
        raise NotSupported("GoPay asks for OTP and PIN on its own page")

    def read_return(self, query: Mapping[str, str]) -> LinkReturn:
        """What GoPay's page sent the browser back with."""
        return mapping.read_return(query)

    def finish_link(self, ctx: Context, finish: LinkFinish) -> Plan[LinkStep]:
        """Service 07: swap the authCode, which works once, for the participant's token."""
        reply = yield sign.snap_request(
            ctx,
            "/v1.0/registration-account-binding",
            wire.binding(ctx.credential("payment_handle"), finish.code),
            operation="link.exchange",
            effect=Effect.WRITE,
        )
        return mapping.linked(reply)

    def link_health(self, ctx: Context, grant: Grant) -> Plan[LinkHealth]:
        """Service 08 under the participant's token."""
        reply = yield sign.snap_request(
            ctx,
            "/v1.0/registration-account-inquiry",
            wire.INQUIRY,
            operation="link.health",
            effect=Effect.READ,
            customer=grant.access_token,
        )
        return mapping.link_health(reply)

    def refresh_grant(self, ctx: Context, grant: Grant) -> Plan[Grant | None]:
        """Not declared."""
        raise NotSupported("GoPay's customer token is not refreshed")

    def unlink(self, ctx: Context, order: UnlinkOrder) -> Plan[UnlinkStep]:
        """Service 09."""
        reply = yield sign.snap_request(
            ctx,
            "/v1.0/registration-account-unbinding",
            wire.unbinding(ctx.credential("payment_handle")),
            operation="unlink",
            effect=Effect.WRITE,
            customer=order.grant.access_token,
        )
        return mapping.unlinked(reply)

    def verify_nik(self, ctx: Context, query: IdentityQuery) -> Plan[IdentityAnswer]:
        """KYC Data Pull: the NIK behind the token is compared here and dropped; ours never leaves. Nothing says which
        phone the token is of, so the name beside the NIK must be the one that the declared account is registered under
        (decisions X10).
        """
        reply = yield sign.identity_request(ctx, query.grant.access_token)
        answer = mapping.identity(reply, query.nik)
        if answer.verdict is not Verdict.MATCH:
            return answer
        holder = mapping.holder(reply)
        path = wire.validation(query.account)
        reply = yield sign.iris_request(ctx, "GET", path, operation="identity.name", effect=Effect.READ)
        return mapping.proved(answer, holder, reply)

    def frozen_body(self, ctx: Context, order: PayoutOrder) -> bytes:
        """The body of the create."""
        return wire.create(order)

    def payout(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """Not declared."""
        raise NotSupported("GoPay pays in two steps: prepare, then approve")

    def prepare(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """Create at Iris, under our reference as key."""
        reply = yield sign.iris_request(
            ctx,
            "POST",
            "payouts",
            wire.create(order),
            operation="payout.create",
            effect=Effect.WRITE,
            idempotency_key=order.reference,
            timeout_s=sign.PAYOUT_TIMEOUT_S,
        )
        return mapping.created(reply)

    def approve(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """Approve at Iris, by the approver's key: this moves money."""
        number = _number(order)
        reply = yield sign.iris_request(
            ctx,
            "POST",
            "payouts/approve",
            wire.approve(number),
            operation="payout.approve",
            effect=Effect.WRITE,
            role=IrisRole.APPROVER,
            timeout_s=sign.PAYOUT_TIMEOUT_S,
        )
        return mapping.approved(reply, number)

    def withdraw(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """Reject at Iris, by the approver's key."""
        number = _number(order)
        reply = yield sign.iris_request(
            ctx,
            "POST",
            "payouts/reject",
            wire.reject(number),
            operation="payout.reject",
            effect=Effect.WRITE,
            role=IrisRole.APPROVER,
            timeout_s=sign.PAYOUT_TIMEOUT_S,
        )
        return mapping.withdrawal(reply)

    def find_payout(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """By Iris' number; while a create has not told it, nothing can be asked: the create is sent again instead."""
        if order.partner_reference is None:
            return unknown()
        number = _number(order)
        reply = yield sign.iris_request(ctx, "GET", f"payouts/{number}", operation="payout.status", effect=Effect.READ)
        return mapping.found_payout(reply, number)

    def statement(self, ctx: Context, day: date, cursor: str | None) -> Plan[StatementPage]:
        """One Jakarta day, whole (decision S2)."""
        if cursor is not None:
            raise NotSupported("an Iris statement has no pages")
        reply = yield sign.iris_request(
            ctx,
            "GET",
            "statements",
            wire.statement(day),
            operation="statement",
            effect=Effect.READ,
            timeout_s=sign.PAYOUT_TIMEOUT_S,
            max_response_bytes=sign.STATEMENT_MAX_BYTES,
        )
        return mapping.statement(reply)

    def balance(self, ctx: Context) -> Plan[Balance]:
        """The Iris deposit."""
        reply = yield sign.iris_request(ctx, "GET", "balance", operation="balance", effect=Effect.READ)
        return mapping.balance(reply)


def _number(order: PayoutOrder) -> str:
    if order.partner_reference is None:
        raise ValueError("a payout without Iris' number cannot be approved, withdrawn or asked about")
    return wire.reference_no(order.partner_reference)


PARTNER = Gopay()
