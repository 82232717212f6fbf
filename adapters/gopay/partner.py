"""GoPay's operations as plans: SNAP linking, GoPay ID's KYC pull, Iris payouts (wallets.md 2.2, 2.3, 2.5, 2.6)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from adapters import accounts
from adapters.base import Adapter
from adapters.gopay import identity, mapping, sign, wire
from adapters.gopay.callbacks import GopayCallbacks
from adapters.gopay.manifest import MANIFEST
from adapters.gopay.sign import SNAP
from adapters.snap import calls, links, values
from contracts.errors import Hint, NotSupported, PartnerUnavailable
from contracts.identity import IdentityAnswer, IdentityQuery, Verdict
from contracts.linking import Grant, LinkFinish, LinkHealth, LinkReturn, LinkStart, LinkStep, UnlinkOrder, UnlinkStep
from contracts.observation import Balance, StatementPage
from contracts.partner import AccessToken, Context
from contracts.payout import Outcome, PayoutOrder, unknown
from contracts.plan import Plan


class Gopay(Adapter):
    """GoPay behind the contract."""

    manifest = MANIFEST
    callbacks = GopayCallbacks()

    def fetch_token(self, ctx: Context, name: str, held: AccessToken | None) -> Plan[AccessToken]:
        """The SNAP token (service 73); there is no refresh."""
        life_s = MANIFEST.tokens[name].life_s
        reply = yield SNAP.ask(ctx, sign.TOKEN, wire.TOKEN)
        return values.b2b_token(sign.TOKEN, reply, life_s)

    def begin_link(self, ctx: Context, start: LinkStart) -> Plan[LinkStep]:
        """No call: the browser opens the signed linking page itself (service 10)."""
        return links.page(ctx, sign.page(ctx, start))

    def read_return(self, query: Mapping[str, str]) -> LinkReturn:
        """What GoPay's page sent the browser back with."""
        return mapping.read_return(query)

    def finish_link(self, ctx: Context, finish: LinkFinish) -> Plan[LinkStep]:
        """Service 07: swap the authCode, which works once, for the participant's token."""
        reply = yield SNAP.ask(ctx, sign.EXCHANGE, wire.binding(ctx, finish.code))
        return mapping.linked(reply)

    def link_health(self, ctx: Context, grant: Grant) -> Plan[LinkHealth]:
        """Service 08 under the participant's token."""
        reply = yield SNAP.ask(ctx, sign.HEALTH, wire.INQUIRY, grant=grant)
        return mapping.link_health(reply)

    def unlink(self, ctx: Context, order: UnlinkOrder) -> Plan[UnlinkStep]:
        """Service 09."""
        reply = yield SNAP.ask(ctx, sign.UNLINK, wire.unbinding(ctx), grant=order.grant)
        return links.unbound(sign.UNLINK, reply, mapping.UNLINKED)

    def verify_nik(self, ctx: Context, query: IdentityQuery) -> Plan[IdentityAnswer]:
        """KYC Data Pull: the NIK behind the token is compared here and dropped; ours never leaves. Nothing says which
        phone the token is of, so the name beside the NIK must be the one that the declared account is registered under
        (decisions X10). A refused token is looked at by service 08 before it counts as dead (G6).
        """
        pull = yield sign.kyc(ctx, query.grant.access_token)
        try:
            answer = identity.verdict(pull, query.nik)
        except PartnerUnavailable as refused:
            if refused.hint is not Hint.CUSTOMER_TOKEN:
                raise
            reply = yield SNAP.ask(ctx, sign.HEALTH, wire.INQUIRY, n=1, grant=query.grant)
            raise identity.sure(refused, mapping.link_health(reply)) from None
        if answer.verdict is not Verdict.MATCH:
            return answer
        reply = yield sign.iris(ctx, sign.NAME, tail=accounts.local(query.account).reveal())
        return identity.proved(answer, identity.holder(pull), query.account, reply)

    def frozen_body(self, ctx: Context, order: PayoutOrder) -> bytes:
        """The body of the create."""
        return calls.encode(wire.create(order))

    def prepare(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """Create at Iris, under our reference as key."""
        reply = yield sign.iris(ctx, sign.CREATE, wire.create(order), idempotency_key=order.reference)
        return mapping.created(reply, order)

    def approve(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """Approve at Iris, by the approver's key: this moves money."""
        reply = yield sign.iris(ctx, sign.APPROVE, wire.approve(_number(order)))
        return mapping.approved(reply, order)

    def withdraw(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """Reject at Iris, by the approver's key."""
        reply = yield sign.iris(ctx, sign.REJECT, wire.reject(_number(order)))
        return mapping.withdrawal(reply, order)

    def find_payout(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """By Iris' number; while a create has not told it, nothing can be asked: the create is sent again instead."""
        if order.partner_reference is None:
            return unknown()
        reply = yield sign.iris(ctx, sign.STATUS, tail=(number := _number(order)))
        return mapping.found_payout(reply, number, order)

    def statement(self, ctx: Context, day: date, cursor: str | None) -> Plan[StatementPage]:
        """One Jakarta day, whole (decision S2)."""
        if cursor is not None:
            raise NotSupported("an Iris statement has no pages")
        reply = yield sign.iris(ctx, sign.STATEMENT, wire.statement(day))
        return mapping.statement(reply)

    def balance(self, ctx: Context) -> Plan[Balance]:
        """The Iris deposit."""
        reply = yield sign.iris(ctx, sign.BALANCE)
        return mapping.balance(reply)


def _number(order: PayoutOrder) -> str:
    if order.partner_reference is None:
        raise ValueError("a payout without Iris' number cannot be approved, withdrawn or asked about")
    return wire.reference_no(order.partner_reference)


PARTNER = Gopay()
