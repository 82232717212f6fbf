"""OVO's endpoints (wallets.md 3.1), signed as in wallets.md 3.2: times in milliseconds, a device id on each call."""

from __future__ import annotations

from adapters.snap.calls import PAYOUT_S, READ, WRITE, Bearer, Call, Side, token_call
from adapters.snap.codes import HINTS
from contracts.errors import Hint

OVO = Side(milliseconds=True, headers={"X-DEVICE-ID": "device_id"})

_V2 = "/OVOSNAP/{api_version}"
_CUSTOMERS = HINTS | {"40100": Hint.CUSTOMER_TOKEN, "OV00502": Hint.CUSTOMER_TOKEN}
"""Under a customer's token these mean: refresh it (wallets.md 3.3, decisions O13)."""
_INQUIRY = _CUSTOMERS | {"4033705": Hint.CUSTOMER_TOKEN}
"""Consent missing (wallets.md 3.5, assumed) is treated like a dead token."""

TOKEN = token_call("token.snap", READ, "/OVOSNAP/{token_version}/access-token/b2b", "73")
BIND = Call(  # a second one only opens another page; the token part is signed empty (decisions O1, V16)
    "link.begin", READ, f"{_V2}/oauth/account/registration-account-binding", "07", bearer=Bearer.NONE
)
EXCHANGE = token_call("link.exchange", WRITE, f"{_V2}/access-token/b2b2c", "74", Bearer.GIVEN)  # linkageToken: O6
REFRESH = token_call("link.refresh", READ, f"{_V2}/access-token/b2b2c", "74")  # without any bearer: 3.2
_UNBIND = f"{_V2}/oauth/account/registration-account-unbinding"
UNBIND_BEGIN = Call("unlink.begin", READ, _UNBIND, "09", bearer=Bearer.GIVEN, hints=_CUSTOMERS)  # the customer's: O10
UNBIND = Call("unlink", WRITE, _UNBIND, "09", bearer=Bearer.GIVEN)  # the token that the first call gave: O10
IDENTITY = Call("identity.verify", READ, f"{_V2}/emoney/account-inquiry", "37", hints=_INQUIRY)  # decisions O7
INQUIRY = Call("payout.inquiry", READ, f"{_V2}/emoney/account-inquiry", "37", hints=_INQUIRY)  # 3.6
TOPUP = Call("payout.transfer", WRITE, f"{_V2}/emoney/topup", "38", timeout_s=PAYOUT_S)  # 3.6
STATUS = Call("payout.status", READ, f"{_V2}/emoney/topup-status", "39")  # 3.6
HISTORY = Call("statement", READ, "/cashin/snap/v2.0/merchant/account/history", "12", "GET")  # decisions O12, S3
BALANCE = Call("balance", READ, "/cashin/snap/v2.0/merchant/account/balance", "11", "GET")  # 3.1, decisions S3
