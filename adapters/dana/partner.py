"""DANA's operations as plans (dana.md; decisions D1-D14)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from adapters import paging
from adapters.base import Adapter
from adapters.dana import identity, mapping, sign, wire
from adapters.dana.manifest import MANIFEST
from adapters.dana.mapping import PAYOUTS
from adapters.dana.sign import DANA, DEVICE
from adapters.snap import calls, links
from contracts.identity import IdentityAnswer, IdentityQuery
from contracts.linking import Grant, LinkFinish, LinkHealth, LinkReturn, LinkStart, LinkStep, UnlinkOrder, UnlinkStep
from contracts.observation import StatementPage
from contracts.partner import Context
from contracts.payout import Outcome, PayoutOrder
from contracts.plan import Plan


class Dana(Adapter):
    """DANA behind the contract."""

    manifest = MANIFEST

    def begin_link(self, ctx: Context, start: LinkStart) -> Plan[LinkStep]:
        """No call: the browser opens the signed page itself (decision D4)."""
        return links.page(ctx, sign.page(ctx, start))

    def read_return(self, query: Mapping[str, str]) -> LinkReturn:
        """authCode or a refusal, and our state echoed (decision D5)."""
        return mapping.returned(query)

    def finish_link(self, ctx: Context, finish: LinkFinish) -> Plan[LinkStep]:
        """The authCode for the customer's token (decision D6); whose it is, the NIK check finds out (D8)."""
        reply = yield DANA.ask(ctx, sign.EXCHANGE, wire.auth_code(finish))
        return mapping.exchanged(ctx, finish, reply)

    def link_health(self, ctx: Context, grant: Grant) -> Plan[LinkHealth]:
        """The profile query for LOGIN_ID alone (decision D9)."""
        reply = yield sign.profile(ctx, sign.HEALTH, grant.access_token, ["LOGIN_ID"])
        return identity.health(ctx, grant.extra["account"], reply)

    def refresh_grant(self, ctx: Context, grant: Grant) -> Plan[Grant | None]:
        """A fresh customer token, or None where it is refused (D6); a look-up of nothing shows whether we are."""
        look = sign.STATUS, wire.status(ctx.external_id(1))
        return links.refresh(ctx, DANA, grant, sign.REFRESH, wire.refresh, second_look=look)

    def unlink(self, ctx: Context, order: UnlinkOrder) -> Plan[UnlinkStep]:
        """Unbinding under the customer's token (decision D10)."""
        links.must_live(ctx, order.grant)
        reply = yield DEVICE.ask(ctx, sign.UNBIND, wire.unbinding(ctx, order), grant=order.grant)
        return links.unbound(sign.UNBIND, reply, mapping.UNBOUND)

    def verify_nik(self, ctx: Context, query: IdentityQuery) -> Plan[IdentityAnswer]:
        """The profile query: the NIK is told, compared here and dropped, if LOGIN_ID is the declared account (D7, D8);
        ours never leaves.
        """
        reply = yield sign.profile(ctx, sign.IDENTITY, query.grant.access_token, ["KTP_NUMBER", "LOGIN_ID", "USER_KYC"])
        return identity.verdict(ctx, query, reply)

    def frozen_body(self, ctx: Context, order: PayoutOrder) -> bytes:
        """The whole body of the top-up."""
        return calls.encode(wire.topup(order))

    def payout(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """account-inquiry, then the top-up (decisions D11, D12); neither is under the customer's token."""
        reply = yield DANA.ask(ctx, sign.INQUIRY, wire.inquiry(order))
        refusal = PAYOUTS.inquired(order, reply)
        if refusal is not None:
            return refusal
        reply = yield DANA.ask(ctx, sign.TOPUP, wire.topup(order), n=1)
        return PAYOUTS.transferred(order, reply)

    def find_payout(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """topup-status (decision D13)."""
        reply = yield DANA.ask(ctx, sign.STATUS, wire.status(order.reference))
        return PAYOUTS.found(order, reply)

    def statement(self, ctx: Context, day: date, cursor: str | None) -> Plan[StatementPage]:
        """The bookings of a day, page by page (assumed, decision D14)."""
        page = paging.page_number(cursor)
        reply = yield DANA.ask(ctx, sign.HISTORY, wire.history(ctx.external_id(0), day, page))
        return mapping.HISTORY.read(page, reply)


PARTNER = Dana()
