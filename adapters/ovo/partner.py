"""OVO's operations as plans (wallets.md 3; decisions O1-O15)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from adapters import paging
from adapters.base import Adapter
from adapters.ovo import mapping, sign, wire
from adapters.ovo.manifest import MANIFEST
from adapters.ovo.mapping import PAYOUTS
from adapters.ovo.sign import OVO
from adapters.snap import calls, links, values
from contracts.identity import IdentityAnswer, IdentityQuery
from contracts.linking import Grant, LinkFinish, LinkReturn, LinkStart, LinkStep, Unlinked, UnlinkOrder, UnlinkStep
from contracts.observation import Balance, StatementPage
from contracts.partner import AccessToken, Context
from contracts.payout import Outcome, PayoutOrder
from contracts.plan import Plan


class Ovo(Adapter):
    """OVO behind the contract."""

    manifest = MANIFEST

    def fetch_token(self, ctx: Context, name: str, held: AccessToken | None) -> Plan[AccessToken]:
        """The B2B token (wallets.md 3.2); it is asked for anew, never refreshed."""
        life_s = MANIFEST.tokens[name].life_s
        reply = yield OVO.ask(ctx, sign.TOKEN, wire.TOKEN)
        return values.b2b_token(sign.TOKEN, reply, life_s)

    def begin_link(self, ctx: Context, start: LinkStart) -> Plan[LinkStep]:
        """Binding: the page to open, and the linkageToken that its authCode will belong to (wallets.md 3.3)."""
        reply = yield OVO.ask(ctx, sign.BIND, wire.binding(start))
        return mapping.bound(reply)

    def read_return(self, query: Mapping[str, str]) -> LinkReturn:
        """authCode, or `errorResponse` as JSON (wallets.md 3.3)."""
        return mapping.returned(query)

    def finish_link(self, ctx: Context, finish: LinkFinish) -> Plan[LinkStep]:
        """The authCode under its linkageToken for the customer's token (decisions O6); a code works once."""
        reply = yield OVO.ask(ctx, sign.EXCHANGE, wire.auth_code(finish), bearer=finish.carry["linkage_token"])
        return mapping.exchanged(ctx, finish.link_id, reply)

    def refresh_grant(self, ctx: Context, grant: Grant) -> Plan[Grant | None]:
        """A fresh customer token; None on 401 (wallets.md 3.3), seen twice where it may be our signature."""
        return links.refresh(ctx, OVO, grant, sign.REFRESH, wire.refresh, second_look=(sign.TOKEN, wire.TOKEN))

    def unlink(self, ctx: Context, order: UnlinkOrder) -> Plan[UnlinkStep]:
        """Two calls: the first, under the customer's token, hands out the token of the second, which unbinds (O10)."""
        links.must_live(ctx, order.grant)
        reply = yield OVO.ask(ctx, sign.UNBIND_BEGIN, wire.unbinding(order), bearer=order.grant.access_token)
        begun = mapping.unbinding_begun(reply)
        if isinstance(begun, Unlinked):
            return begun
        reply = yield OVO.ask(ctx, sign.UNBIND, wire.unbinding(order), n=1, bearer=begun)
        return links.unbound(sign.UNBIND, reply)

    def verify_nik(self, ctx: Context, query: IdentityQuery) -> Plan[IdentityAnswer]:
        """account-inquiry with the NIK under the customer's token (assumed, decisions O7)."""
        reply = yield OVO.ask(ctx, sign.IDENTITY, wire.identity(query), grant=query.grant)
        return mapping.identity(query, reply)

    def frozen_body(self, ctx: Context, order: PayoutOrder) -> bytes:
        """The whole body of the top-up."""
        return calls.encode(wire.topup(order))

    def payout(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """account-inquiry under the customer's token, which proves the link, then the top-up (wallets.md 3.6)."""
        if order.grant is None:
            raise ValueError("an OVO payout needs the participant's grant")
        reply = yield OVO.ask(ctx, sign.INQUIRY, wire.inquiry(order), grant=order.grant)
        refusal = PAYOUTS.inquired(order, reply)
        if refusal is not None:
            return refusal
        reply = yield OVO.ask(ctx, sign.TOPUP, wire.topup(order), n=1)
        return PAYOUTS.transferred(order, reply)

    def find_payout(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """topup-status (wallets.md 3.6)."""
        reply = yield OVO.ask(ctx, sign.STATUS, wire.status(order))
        return PAYOUTS.found(order, reply)

    def statement(self, ctx: Context, day: date, cursor: str | None) -> Plan[StatementPage]:
        """The deposit's history of a day, page by page (assumed, decisions O12)."""
        page = paging.page_number(cursor)
        reply = yield OVO.ask(ctx, sign.HISTORY, query=f"?date={day.isoformat()}&page={page}")
        return mapping.HISTORY.read(page, reply)

    def balance(self, ctx: Context) -> Plan[Balance]:
        """What is left of the deposit (decisions S3)."""
        reply = yield OVO.ask(ctx, sign.BALANCE)
        return mapping.balance(reply)


PARTNER = Ovo()
