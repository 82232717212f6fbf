"""LinkAja's operations as plans (wallets.md 4; decisions L1-L14)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from adapters import paging
from adapters.base import Adapter
from adapters.linkaja import mapping, sign, wire
from adapters.linkaja.manifest import MANIFEST
from adapters.linkaja.sign import SNAP
from adapters.snap import calls, links, values
from contracts.errors import NotSupported
from contracts.identity import IdentityAnswer, IdentityQuery
from contracts.linking import Grant, LinkFinish, LinkReturn, LinkStart, LinkStep, UnlinkOrder, UnlinkStep
from contracts.observation import StatementPage
from contracts.partner import AccessToken, Context
from contracts.payout import Outcome, PayoutOrder
from contracts.plan import Plan


class LinkAja(Adapter):
    """LinkAja behind the contract."""

    manifest = MANIFEST

    def fetch_token(self, ctx: Context, name: str, held: AccessToken | None) -> Plan[AccessToken]:
        """`snap`: the B2B token (wallets.md 4.4). `legacy`: refreshed where one is held, else or after a refusal
        created (wallets.md 4.2).
        """
        if name == "snap":
            reply = yield SNAP.ask(ctx, sign.TOKEN, wire.TOKEN)
            return values.b2b_token(sign.TOKEN, reply, MANIFEST.tokens["snap"].life_s)
        if name != "legacy":
            raise NotSupported("LinkAja has two tokens of ours: snap and legacy")
        if held is not None and held.refresh is not None:
            reply = yield sign.ask(ctx, sign.REFRESH_TOKEN, wire.tokens(held), bearer=held.value)
            fresh = mapping.refreshed_token(reply)
            if fresh is not None:
                return fresh
        reply = yield sign.ask(ctx, sign.CREATE_TOKEN)
        return mapping.created_token(reply)

    def begin_link(self, ctx: Context, start: LinkStart) -> Plan[LinkStep]:
        """Binding: the page to open (wallets.md 4.5)."""
        reply = yield SNAP.ask(ctx, sign.BIND, wire.binding(ctx, start))
        return mapping.bound(reply)

    def read_return(self, query: Mapping[str, str]) -> LinkReturn:
        """authCode or error, and our state echoed (decisions L2)."""
        return mapping.returned(query)

    def finish_link(self, ctx: Context, finish: LinkFinish) -> Plan[LinkStep]:
        """The authCode for the customer's token, which is the `token` of cash-in too (decisions L1)."""
        reply = yield SNAP.ask(ctx, sign.EXCHANGE, wire.auth_code(finish))
        return mapping.exchanged(ctx, reply)

    def refresh_grant(self, ctx: Context, grant: Grant) -> Plan[Grant | None]:
        """A fresh customer token; None on 401 (decisions L14), seen twice where it may be our signature."""
        return links.refresh(ctx, SNAP, grant, sign.REFRESH, wire.refresh_grant, second_look=(sign.TOKEN, wire.TOKEN))

    def unlink(self, ctx: Context, order: UnlinkOrder) -> Plan[UnlinkStep]:
        """Unbinding under the customer's token (decisions L12)."""
        links.must_live(ctx, order.grant)
        reply = yield SNAP.ask(ctx, sign.UNBIND, wire.unbinding(ctx), grant=order.grant)
        return links.unbound(sign.UNBIND, reply, mapping.UNBOUND)

    def verify_nik(self, ctx: Context, query: IdentityQuery) -> Plan[IdentityAnswer]:
        """POST /v1/custbind/verify/kyc (assumed, decisions L3)."""
        reply = yield sign.ask(ctx, sign.KYC, wire.kyc(query))
        return mapping.identity(query, reply)

    def frozen_body(self, ctx: Context, order: PayoutOrder) -> bytes:
        """The confirm's body without the customer's token and the session."""
        return calls.encode(wire.frozen(order))

    def payout(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """Inquiry, which proves the link and opens a session, then confirm (wallets.md 4.7)."""
        if order.grant is None:
            raise ValueError("a LinkAja payout needs the participant's grant")
        token = order.grant.access_token
        reply = yield sign.ask(ctx, sign.INQUIRY, wire.inquiry(order, token))
        session = mapping.inquired(order, reply)
        if isinstance(session, Outcome):
            return session
        confirm = wire.confirm(order, token, session)
        reply = yield sign.ask(ctx, sign.CONFIRM, confirm, frozen=self.frozen_body(ctx, order))
        return mapping.confirmed(order, reply)

    def find_payout(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """POST /v1/cashin/check (wallets.md 4.7)."""
        reply = yield sign.ask(ctx, sign.CHECK, wire.check(order))
        return mapping.checked(order, reply)

    def statement(self, ctx: Context, day: date, cursor: str | None) -> Plan[StatementPage]:
        """The report of a day, page by page (assumed, decisions L13)."""
        page = paging.page_number(cursor)
        reply = yield sign.ask(ctx, sign.REPORT, query=f"?date={day.isoformat()}&page={page}")
        return mapping.report(page, reply)


PARTNER = LinkAja()
