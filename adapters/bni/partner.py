"""BNI's operations as plans (snap-bni.md 2.3, 2.4; decisions B1-B10)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

from adapters.bni import identity, mapping, sign, wire
from adapters.bni.callbacks import CALLBACKS
from adapters.bni.manifest import MANIFEST
from adapters.snap import sign as snap
from adapters.snap import values
from contracts.errors import InvalidRequest, NotSupported
from contracts.identity import IdentityAnswer, IdentityQuery
from contracts.linking import (
    Grant,
    LinkAnswer,
    LinkFinish,
    LinkHealth,
    LinkInputs,
    LinkReturn,
    LinkStart,
    LinkStep,
    UnlinkOrder,
    UnlinkStep,
)
from contracts.observation import Balance, StatementPage
from contracts.partner import AccessToken, Context
from contracts.payout import Outcome, PayoutOrder
from contracts.plan import Plan, done
from contracts.secret import Secret


class Bni:
    """Bank Negara Indonesia."""

    manifest = MANIFEST
    callbacks = CALLBACKS

    def fetch_token(self, ctx: Context, name: str, held: AccessToken | None) -> Plan[AccessToken]:
        """snap-bni.md 1.3, 2.3, 2.4; nothing is refreshed, a new one is asked for."""
        reply = yield sign.token(ctx, sign.SIDES[name])
        return values.b2b_token(reply, MANIFEST.tokens[name].life_s)

    def begin_link(self, ctx: Context, start: LinkStart) -> Plan[LinkStep]:
        """BNI has no page: the gateway's form asks for the card number (decision B1)."""
        step: LinkStep = LinkInputs(names=MANIFEST.first_inputs)
        return done(step)

    def answer_link(self, ctx: Context, answer: LinkAnswer) -> Plan[LinkStep]:
        """The card number binds and makes BNI send an SMS; the OTP completes it. What was kept says which is due."""
        if answer.carry:
            return self._verify_otp(ctx, answer)
        return self._bind(ctx, answer)

    def _bind(self, ctx: Context, answer: LinkAnswer) -> Plan[LinkStep]:
        body = wire.BniBind(
            partner_reference_no=answer.reference,
            merchant_id=ctx.credential("autopay_merchant_id"),
            additional_data=wire.BniBindData(
                bank_account_no=answer.account, bank_card_no=_typed(answer.inputs, "card_no")
            ),
            additional_info=wire.BniCustomer(cust_id_merchant=answer.link_id),
        )
        reply = yield sign.post(ctx, sign.BIND, wire.encode(body))
        return mapping.bound(reply, answer.reference)

    def _verify_otp(self, ctx: Context, answer: LinkAnswer) -> Plan[LinkStep]:
        body = wire.BniVerifyOtp(
            merchant_id=ctx.credential("autopay_merchant_id"),
            original_partner_reference_no=answer.carry["partnerReferenceNo"],
            original_reference_no=answer.carry["referenceNo"],
            charge_token=answer.carry["chargeToken"],
            otp=_typed(answer.inputs, "otp"),
        )
        reply = yield sign.post(ctx, sign.VERIFY_OTP, wire.encode(body))
        return mapping.otp_verified(reply, LinkInputs(names=("otp",), carry=answer.carry, again=True))

    def read_return(self, query: Mapping[str, str]) -> LinkReturn:
        """Not declared: nobody comes back from a page that does not exist."""
        raise NotSupported("BNI links without a redirect")

    def finish_link(self, ctx: Context, finish: LinkFinish) -> Plan[LinkStep]:
        """Not declared."""
        raise NotSupported("BNI links without a redirect")

    def link_health(self, ctx: Context, grant: Grant) -> Plan[LinkHealth]:
        """Not declared: Autopay shows no binding inquiry (snap-bni.md 4.2)."""
        raise NotSupported("BNI has no call that looks at a link")

    def refresh_grant(self, ctx: Context, grant: Grant) -> Plan[Grant | None]:
        """Not declared: a bankCardToken has no refresh token."""
        raise NotSupported("BNI's customer tokens are not refreshed")

    def unlink(self, ctx: Context, order: UnlinkOrder) -> Plan[UnlinkStep]:
        """First an SMS with an OTP, then the unbinding with it (snap-bni.md 2.4, decision S6)."""
        if order.carry:
            return self._unbind(ctx, order)
        return self._send_otp(ctx, order)

    def _send_otp(self, ctx: Context, order: UnlinkOrder) -> Plan[UnlinkStep]:
        body = wire.BniSendOtp(
            merchant_id=ctx.credential("autopay_merchant_id"),
            partner_reference_no=order.reference,
            journey_id=ctx.external_id(0),
            bank_card_token=order.grant.access_token,
            additional_info=wire.BniOtpLife(expired_otp=snap.timestamp(ctx.now + wire.OTP_LIFE)),
        )
        reply = yield sign.post(ctx, sign.SEND_OTP, wire.encode(body))
        return mapping.otp_sent(reply)

    def _unbind(self, ctx: Context, order: UnlinkOrder) -> Plan[UnlinkStep]:
        body = wire.BniUnbind(
            merchant_id=ctx.credential("autopay_merchant_id"),
            partner_reference_no=order.reference,
            otp=_typed(order.inputs, "otp"),
            bank_card_token=order.grant.access_token,
            charge_token=order.carry["chargeToken"],
            additional_info=wire.BniCustomer(cust_id_merchant=order.link_id),
        )
        reply = yield sign.post(ctx, sign.UNBIND, wire.encode(body))
        return mapping.unbound(reply, LinkInputs(names=("otp",), carry=order.carry, again=True))

    def verify_nik(self, ctx: Context, query: IdentityQuery) -> Plan[IdentityAnswer]:
        """The assumed NIK check (decision B6)."""
        reply = yield identity.request(ctx, query)
        return identity.verdict(reply, query)

    def frozen_body(self, ctx: Context, order: PayoutOrder) -> bytes:
        """The whole body of the transfer."""
        return wire.transfer(order, ctx.credentials["source_account"])

    def payout(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """Internal account inquiry, then the transfer (decision B7)."""
        inquiry = wire.BniInquiry(partner_reference_no=ctx.external_id(0), beneficiary_account_no=order.account)
        reply = yield sign.post(ctx, sign.INQUIRY, wire.encode(inquiry))
        refusal = mapping.inquired(reply, order)
        if refusal is not None:
            return refusal
        reply = yield sign.post(ctx, sign.TRANSFER, self.frozen_body(ctx, order), n=1)
        return mapping.transferred(reply, order)

    def prepare(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """Not declared."""
        raise NotSupported("BNI pays in one step")

    def approve(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """Not declared."""
        raise NotSupported("BNI pays in one step")

    def withdraw(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """Not declared."""
        raise NotSupported("BNI pays in one step")

    def find_payout(self, ctx: Context, order: PayoutOrder) -> Plan[Outcome]:
        """Transfer status by our reference (snap-bni.md 4.2, decisions B9, B10)."""
        reply = yield sign.post(ctx, sign.STATUS, wire.status(order))
        return mapping.found(reply, order)

    def statement(self, ctx: Context, day: date, cursor: str | None) -> Plan[StatementPage]:
        """One page of the source account's statement; the cursor is the page's number (decision S5)."""
        page = 1 if cursor is None else int(cursor)
        body = wire.statement(ctx.external_id(0), ctx.credentials["source_account"], day, page)
        reply = yield sign.post(ctx, sign.STATEMENT, body)
        return mapping.statement_page(reply, page)

    def balance(self, ctx: Context) -> Plan[Balance]:
        """What the source account has available."""
        body = wire.BniBalance(partner_reference_no=ctx.external_id(0), account_no=ctx.credentials["source_account"])
        reply = yield sign.post(ctx, sign.BALANCE, wire.encode(body))
        return mapping.balance(reply)


def _typed(inputs: Mapping[str, Secret], name: str) -> Secret:
    """The input that is due, in the manifest's form; the value is never quoted."""
    value = inputs.get(name)
    if value is None or re.fullmatch(MANIFEST.inputs[name].pattern, value.reveal()) is None:
        raise InvalidRequest(f"{name} is missing or not in the form asked for", field=name)
    return value


PARTNER = Bni()
