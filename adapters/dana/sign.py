"""DANA's endpoints (dana.md, decisions D1-D14), and its two signatures that are not SNAP's."""

from __future__ import annotations

import msgspec

from adapters import accounts, rsa
from adapters.snap import sign as snap
from adapters.snap.calls import PAYOUT_S, READ, WRITE, Bearer, Call, Side, encode, token_call
from contracts.linking import LinkStart
from contracts.partner import Context
from contracts.plan import Request
from contracts.secret import Secret

DANA = Side(secret="", partner_id="client_id", token_headers={"X-PARTNER-ID": "client_id", "CHANNEL-ID": "channel_id"})
DEVICE = Side(secret="", partner_id="client_id", headers={"X-DEVICE-ID": "device_id"})
"""Unbinding alone names the device (decision D10)."""

_EMONEY, _CUSTOMER = "/rest/v1.0/emoney", "/v1.0/access-token/b2b2c.htm"
EXCHANGE = token_call("link.exchange", WRITE, _CUSTOMER, "74")
REFRESH = token_call("link.refresh", READ, _CUSTOMER, "74")
UNBIND = Call("unlink", WRITE, "/v1.0/registration-account-unbinding.htm", "09", bearer=Bearer.NONE)
INQUIRY = Call("payout.inquiry", READ, f"{_EMONEY}/account-inquiry", "37", bearer=Bearer.NONE)
TOPUP = Call("payout.transfer", WRITE, f"{_EMONEY}/topup", "38", bearer=Bearer.NONE, timeout_s=PAYOUT_S)
STATUS = Call("payout.status", READ, f"{_EMONEY}/topup-status", "39", bearer=Bearer.NONE)
HISTORY = Call("statement", READ, "/v1.0/transaction-history-list.htm", "12", bearer=Bearer.NONE)  # decision D14
HEALTH = Call("link.health", READ, "/dana/member/query/queryUserProfile.htm")  # not SNAP: decisions D7, D9
IDENTITY = Call("identity.verify", READ, HEALTH.target)


def page(ctx: Context, start: LinkStart) -> dict[str, str]:
    """What the browser opens DANA's page with (decision D4). It names the phone, as DANA asks for it there; the text
    signed is the compact JSON, before it is encoded (dana.md).
    """
    data = encode({"mobile": accounts.msisdn(start.account), "externalUid": start.link_id}).decode()
    return {
        "partnerId": ctx.credential("client_id"),
        "timestamp": snap.timestamp(ctx.now),
        "externalId": start.link_id,
        "channelId": ctx.credential("channel_id"),
        "merchantId": ctx.credential("merchant_id"),
        "scopes": "DEFAULT_BASIC_PROFILE,MINI_DANA",
        "redirectUrl": start.redirect_uri,
        "state": start.state,
        "isSnapBI": "true",
        "lang": "id",
        "allowRegistration": "false",
        "seamlessData": data,
        "seamlessSign": rsa.sign(ctx.credential("private_key_pem"), data),
    }


def profile(ctx: Context, call: Call, token: Secret, resources: list[str]) -> Request:
    """Asks what DANA knows of the holder of a token (decision D7); signed is the text of `request` as it is sent."""
    head = {
        "version": "2.0",
        "function": "dana.member.query.queryUserProfile",
        "clientId": ctx.credential("client_id"),
        "clientSecret": ctx.credentials["client_secret"],
        "reqTime": snap.timestamp(ctx.now),
        "reqMsgId": ctx.external_id(0),
        "accessToken": token,
        "reserve": "{}",
    }
    asked = encode({"head": head, "body": {"userResources": resources}})
    signature = rsa.sign(ctx.credential("private_key_pem"), asked.decode())
    content = encode({"request": msgspec.Raw(asked), "signature": signature})
    return call.request(DANA.host, call.target, {"Content-Type": "application/json"}, content)
