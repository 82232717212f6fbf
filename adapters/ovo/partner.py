"""OVO's operations as plans (wallets.md 3; decisions O1-O12)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from adapters.no_callbacks import NoCallbacks
from adapters.ovo import mapping, sign
from adapters.ovo.callbacks import CALLBACKS
from adapters.ovo.manifest import MANIFEST
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
    Unlinked,
    UnlinkOrder,
    UnlinkStep,
)
from contracts.observation import Balance, StatementPage
from contracts.partner import AccessToken, Context, Manifest
from contracts.payout import Outcome, PayoutOrder
from contracts.plan import Plan

_EXPIRY_MARGIN = timedelta(minutes=5)


class Ovo:
    """OVO behind the contract."""

    @property
    def manifest(self) -> Manifest:
        """What varies and is data."""
        return MANIFEST

    @property
    def callbacks(self) -> NoCallbacks:
        """OVO sends none."""
        return CALLBACKS

    def fetch_token(self, ctx: Context, name: str, held: AccessToken | None) -> Plan[AccessToken]:
        """The B2B token (wallets.md 3.2); it is asked for anew, never refreshed."""
        if name != "snap":
            raise NotSupported("OVO has one token of ours: snap")
        reply = yield sign.b2b_token(ctx)
        return values.b2b_token(reply, MANIFEST.tokens["snap"].life_s)

    def begin_link(self, ctx: Context, start: LinkStart) -> Plan[LinkStep]:
        """Binding: the page to open, and the linkageToken that its authCode will belong to (wallets.md 3.3)."""
        reply = yield sign.bind(ctx, start)
        return mapping.bound(reply)

    def answer_link(self, ctx: Context, answer: LinkAnswer) -> Plan[LinkStep]:
        """Not supported: OVO asks everything on its own page."""
        raise NotSupported("OVO links by redirect and takes no inputs")

    def read_return(self, query: Mapping[str, str]) -> LinkReturn:
        """authCode, or `errorResponse` as JSON (wallets.md 3.3)."""
        return mapping.returned(query)

    def finish_link(self, ctx: Context, finish: LinkFinish) -> Plan[LinkStep]:
        """The authCode under its linkageToken for the customer's token (decisions O6)."""
        reply = yield sign.exchange(ctx, finish)
        return mapping.exchanged(ctx, reply)

    def link_health(self, ctx: Context, grant: Grant) -> Plan[LinkHealth]:
        """Not supported: a link shows whether it stands when it is used."""
        raise NotSupported("OVO has no call that reports on a link")

    def refresh_grant(self, ctx: Context, grant: Grant) -> Plan[Grant | None]:
        """A fresh customer token; None on 401 (wallets.md 3.3).

        4017400 may as well mean that our own signature is refused, which must not end every link there is: it counts
        as *gone* only once OVO has taken a B2B token request signed with the same key.
        """
        if grant.refresh_token is None:
            raise ValueError("an OVO grant has a refresh token")
        reply = yield sign.refresh(ctx, grant.refresh_token)
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
        """Two calls: the first, under the customer's token, hands out the token of the second, which unbinds
        (decisions O10).

        A refused customer token means *already gone* only if it has not simply expired; an expired one is refreshed
        first.
        """
        ends = order.grant.expires_at
        if ends is not None and ends - _EXPIRY_MARGIN <= ctx.now:
            raise PartnerUnavailable("the customer's token has expired", hint=Hint.CUSTOMER_TOKEN)
        reply = yield sign.unbind_begin(ctx, order)
        begun = mapping.unbinding_begun(reply)
        if isinstance(begun, Unlinked):
            return begun
        reply = yield sign.unbind(ctx, order, begun)
        return mapping.unbound(reply)

    def verify_nik(self, ctx: Context, query: IdentityQuery) -> Plan[IdentityAnswer]:
        """account-inquiry with the NIK under the customer's token (assumed, decisions O7)."""
        reply = yield sign.identity_inquiry(ctx, query)
        return mapping.identity(query, reply)

    def frozen_body(self, ctx: Context, order: PayoutOrder) -> bytes:
        """The whole body of the top-up."""
        return sign.topup_body(order)

    def payout(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """account-inquiry under the customer's token, which proves the link, then the top-up (wallets.md 3.6)."""
        if order.grant is None:
            raise ValueError("an OVO payout needs the participant's grant")
        reply = yield sign.payout_inquiry(ctx, order, order.grant)
        refusal = mapping.inquired(order, reply)
        if refusal is not None:
            return refusal
        reply = yield sign.topup(ctx, order)
        return mapping.topped_up(order, reply)

    def prepare(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """Not supported: one step."""
        raise NotSupported("OVO pays in one step")

    def approve(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """Not supported: one step."""
        raise NotSupported("OVO pays in one step")

    def withdraw(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """Not supported: one step."""
        raise NotSupported("OVO pays in one step")

    def find_payout(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """topup-status (wallets.md 3.6)."""
        reply = yield sign.topup_status(ctx, order)
        return mapping.found(order, reply)

    def statement(self, ctx: Context, day: date, cursor: str | None) -> Plan[StatementPage]:
        """The deposit's history of a day, page by page (assumed, decisions O12)."""
        page = mapping.page_number(cursor)
        reply = yield sign.history(ctx, day, page)
        return mapping.history(page, reply)

    def balance(self, ctx: Context) -> Plan[Balance]:
        """What is left of the deposit (decisions S3)."""
        reply = yield sign.balance(ctx)
        return mapping.balance(reply)


PARTNER = Ovo()
