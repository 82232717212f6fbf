"""BNI's operations as plans (snap-bni.md 2.3, 2.4; decisions B1-B10)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

from adapters import paging
from adapters.base import Adapter
from adapters.bni import identity, mapping, sign, wire
from adapters.bni.manifest import MANIFEST
from adapters.bni.mapping import PAYOUTS
from adapters.bni.sign import AUTOPAY, SNAP
from adapters.snap import calls, values
from contracts.errors import InvalidRequest
from contracts.identity import IdentityAnswer, IdentityQuery
from contracts.linking import LinkAnswer, LinkInputs, LinkStart, LinkStep, UnlinkOrder, UnlinkStep
from contracts.observation import Balance, StatementPage
from contracts.partner import AccessToken, Context
from contracts.payout import Outcome, PayoutOrder
from contracts.plan import Plan, done
from contracts.secret import Secret


class Bni(Adapter):
    """Bank Negara Indonesia behind the contract."""

    manifest = MANIFEST

    def fetch_token(self, ctx: Context, name: str, held: AccessToken | None) -> Plan[AccessToken]:
        """snap-bni.md 1.3, 2.3, 2.4; nothing is refreshed, a new one is asked for."""
        side, call = sign.TOKENS[name]
        reply = yield side.ask(ctx, call, wire.TOKEN)
        return values.b2b_token(call, reply, MANIFEST.tokens[name].life_s)

    def begin_link(self, ctx: Context, start: LinkStart) -> Plan[LinkStep]:
        """BNI has no page: the gateway's form asks for the card number (decision B1)."""
        step: LinkStep = LinkInputs(names=MANIFEST.first_inputs)
        return done(step)

    def answer_link(self, ctx: Context, answer: LinkAnswer) -> Plan[LinkStep]:
        """The card number binds and makes BNI send an SMS; the OTP completes it. What was kept says which is due."""
        if answer.carry:
            otp = wire.verify_otp(ctx, answer, _typed(answer.inputs, "otp"))
            reply = yield AUTOPAY.ask(ctx, sign.VERIFY_OTP, otp)
            again = LinkInputs(names=("otp",), carry=answer.carry, again=True)
            return mapping.otp_verified(reply, answer.link_id, again)
        reply = yield AUTOPAY.ask(ctx, sign.BIND, wire.bind(ctx, answer, _typed(answer.inputs, "card_no")))
        return mapping.bound(reply, answer.reference)

    def unlink(self, ctx: Context, order: UnlinkOrder) -> Plan[UnlinkStep]:
        """First an SMS with an OTP, then the unbinding with it (snap-bni.md 2.4, decision S6)."""
        if order.carry:
            reply = yield AUTOPAY.ask(ctx, sign.UNBIND, wire.unbind(ctx, order, _typed(order.inputs, "otp")))
            return mapping.unbound(reply, LinkInputs(names=("otp",), carry=order.carry, again=True))
        reply = yield AUTOPAY.ask(ctx, sign.SEND_OTP, wire.send_otp(ctx, order))
        return mapping.otp_sent(reply)

    def verify_nik(self, ctx: Context, query: IdentityQuery) -> Plan[IdentityAnswer]:
        """The assumed NIK check (decision B6)."""
        reply = yield SNAP.ask(ctx, identity.KYC, identity.body(query))
        return identity.verdict(reply, query)

    def frozen_body(self, ctx: Context, order: PayoutOrder) -> bytes:
        """The whole body of the transfer."""
        return calls.encode(wire.transfer(order, ctx.credentials["source_account"]))

    def payout(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """Internal account inquiry, then the transfer (decision B7)."""
        reply = yield SNAP.ask(ctx, sign.INQUIRY, wire.inquiry(ctx.external_id(0), order))
        refusal = PAYOUTS.inquired(order, reply)
        if refusal is not None:
            return refusal
        reply = yield SNAP.ask(ctx, sign.TRANSFER, wire.transfer(order, ctx.credentials["source_account"]), n=1)
        return PAYOUTS.transferred(order, reply)

    def find_payout(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """Transfer status by our reference (snap-bni.md 4.2, decisions B9, B10)."""
        reply = yield SNAP.ask(ctx, sign.STATUS, wire.status(order))
        return PAYOUTS.found(order, reply)

    def statement(self, ctx: Context, day: date, cursor: str | None) -> Plan[StatementPage]:
        """One page of the source account's statement; the cursor is the page's number (decision S5)."""
        page = paging.page_number(cursor)
        request, ours = ctx.external_id(0), ctx.credentials["source_account"]
        reply = yield SNAP.ask(ctx, sign.STATEMENT, wire.statement(request, ours, day, page))
        return mapping.statement_page(reply, page, ours)

    def balance(self, ctx: Context) -> Plan[Balance]:
        """What the source account has available."""
        request, ours = ctx.external_id(0), ctx.credentials["source_account"]
        reply = yield SNAP.ask(ctx, sign.BALANCE, wire.balance(request, ours))
        return mapping.balance(reply, ours)


def _typed(inputs: Mapping[str, Secret], name: str) -> Secret:
    """The input that is due, in the manifest's form; the value is never quoted."""
    value = inputs.get(name)
    if value is None or re.fullmatch(MANIFEST.inputs[name].pattern, value.reveal()) is None:
        raise InvalidRequest(f"{name} is missing or not in the form asked for", field=name)
    return value


PARTNER = Bni()
