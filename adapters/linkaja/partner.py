"""LinkAja's operations as plans (wallets.md 4; decisions L1-L14)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from adapters.linkaja import mapping, sign, wire
from adapters.linkaja.callbacks import CALLBACKS
from adapters.linkaja.manifest import MANIFEST
from adapters.no_callbacks import NoCallbacks
from adapters.snap import codes, values
from contracts.errors import Hint, NotSupported, PartnerUnavailable
from contracts.identity import IdentityAnswer, IdentityQuery
from contracts.linking import (
    Grant,
    LinkAnswer,
    LinkFinish,
    LinkHealth,
    LinkReturn,
    LinkStart,
    LinkStep,
    UnlinkOrder,
    UnlinkStep,
)
from contracts.observation import Balance, StatementPage
from contracts.partner import AccessToken, Context, Manifest
from contracts.payout import Outcome, PayoutOrder
from contracts.plan import Plan

_EXPIRY_MARGIN = timedelta(minutes=5)


class LinkAja:
    """LinkAja behind the contract."""

    @property
    def manifest(self) -> Manifest:
        """What varies and is data."""
        return MANIFEST

    @property
    def callbacks(self) -> NoCallbacks:
        """LinkAja sends none."""
        return CALLBACKS

    def fetch_token(self, ctx: Context, name: str, held: AccessToken | None) -> Plan[AccessToken]:
        """`snap`: the B2B token (wallets.md 4.4). `legacy`: refreshed where one is held, else or after a refusal
        created (wallets.md 4.2).
        """
        if name == "snap":
            reply = yield sign.b2b_token(ctx)
            return values.b2b_token(reply, MANIFEST.tokens["snap"].life_s)
        if name != "legacy":
            raise NotSupported("LinkAja has two tokens of ours: snap and legacy")
        if held is not None and held.refresh is not None:
            reply = yield sign.refresh_token(ctx, held.value, held.refresh)
            fresh = mapping.refreshed_token(reply)
            if fresh is not None:
                return fresh
        reply = yield sign.create_token(ctx)
        return mapping.created_token(reply)

    def begin_link(self, ctx: Context, start: LinkStart) -> Plan[LinkStep]:
        """Binding: the page to open (wallets.md 4.5)."""
        reply = yield sign.bind(ctx, start)
        return mapping.bound(reply)

    def answer_link(self, ctx: Context, answer: LinkAnswer) -> Plan[LinkStep]:
        """Not supported: LinkAja asks everything on its own page."""
        raise NotSupported("LinkAja links by redirect and takes no inputs")

    def read_return(self, query: Mapping[str, str]) -> LinkReturn:
        """authCode or error, and our state echoed (decisions L2)."""
        return mapping.returned(query)

    def finish_link(self, ctx: Context, finish: LinkFinish) -> Plan[LinkStep]:
        """The authCode for the customer's token, which is the `token` of cash-in too (decisions L1)."""
        reply = yield sign.exchange(ctx, finish)
        return mapping.exchanged(ctx, reply)

    def link_health(self, ctx: Context, grant: Grant) -> Plan[LinkHealth]:
        """Not supported: a link shows whether it stands when it is used."""
        raise NotSupported("LinkAja has no call that reports on a link")

    def refresh_grant(self, ctx: Context, grant: Grant) -> Plan[Grant | None]:
        """A fresh customer token; None on 401 (decisions L14).

        4017400 may as well mean that our own signature is refused, which must not end every link there is: it counts
        as *gone* only once LinkAja has taken a B2B token request signed with the same key.
        """
        if grant.refresh_token is None:
            raise ValueError("a LinkAja grant has a refresh token")
        reply = yield sign.refresh_grant(ctx, grant.refresh_token)
        envelope = codes.read(reply, "74")
        if envelope.code == "2007400":
            return mapping.refreshed(ctx, envelope, grant.refresh_token)
        if envelope.code in mapping.GRANT_GONE:
            return None
        if envelope.code != "4017400":
            raise codes.unavailable(envelope, reply)
        reply = yield sign.b2b_token(ctx)
        values.b2b_token(reply, MANIFEST.tokens["snap"].life_s)
        return None

    def unlink(self, ctx: Context, order: UnlinkOrder) -> Plan[UnlinkStep]:
        """Unbinding under the customer's token (decisions L12). A refused customer token means *already gone* only if
        it has not simply expired; an expired one is refreshed first.
        """
        ends = order.grant.expires_at
        if ends is not None and ends - _EXPIRY_MARGIN <= ctx.now:
            raise PartnerUnavailable("the customer's token has expired", hint=Hint.CUSTOMER_TOKEN)
        reply = yield sign.unbind(ctx, order)
        return mapping.unbound(reply)

    def verify_nik(self, ctx: Context, query: IdentityQuery) -> Plan[IdentityAnswer]:
        """POST /v1/custbind/verify/kyc (assumed, decisions L3)."""
        reply = yield sign.kyc(ctx, query)
        return mapping.identity(query, reply)

    def frozen_body(self, ctx: Context, order: PayoutOrder) -> bytes:
        """The confirm's body without the customer's token and the session."""
        return wire.frozen(order)

    def payout(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """Inquiry, which proves the link and opens a session, then confirm (wallets.md 4.7)."""
        if order.grant is None:
            raise ValueError("a LinkAja payout needs the participant's grant")
        reply = yield sign.inquiry(ctx, order, order.grant)
        session = mapping.inquired(order, reply)
        if isinstance(session, Outcome):
            return session
        reply = yield sign.confirm(ctx, order, order.grant, session)
        return mapping.confirmed(order, reply)

    def prepare(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """Not supported: an inquiry leaves nothing that could be approved later."""
        raise NotSupported("LinkAja pays in one step")

    def approve(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """Not supported: one step."""
        raise NotSupported("LinkAja pays in one step")

    def withdraw(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """Not supported: one step."""
        raise NotSupported("LinkAja pays in one step")

    def find_payout(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """POST /v1/cashin/check (wallets.md 4.7)."""
        reply = yield sign.check(ctx, order)
        return mapping.checked(order, reply)

    def statement(self, ctx: Context, day: date, cursor: str | None) -> Plan[StatementPage]:
        """The report of a day, page by page (assumed, decisions L13)."""
        page = mapping.page_number(cursor)
        reply = yield sign.report(ctx, day, page)
        return mapping.report(page, reply)

    def balance(self, ctx: Context) -> Plan[Balance]:
        """Not supported: LinkAja has no call for the deposit's balance."""
        raise NotSupported("LinkAja does not tell the balance of our deposit")


PARTNER = LinkAja()
