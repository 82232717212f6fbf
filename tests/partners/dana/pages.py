"""How a browser begins at DANA, written from the decisions on it."""

from __future__ import annotations

import json
from datetime import datetime
from urllib.parse import urlencode

from mock_partners.dana.look import LOOK
from mock_partners.kit.clock import JAKARTA
from mock_partners.kit.look import Step
from mock_partners.pytest import PartnerServer
from tests.browser.wallet import PHONE, Wallet
from tests.mock_partners.signing import rsa_signature


def begin(server: PartnerServer, back: str) -> str:
    """The address of the page, by the programme's own signed query."""
    given = server.credentials
    data = json.dumps({"mobile": PHONE[1:], "externalUid": "u-1"}, separators=(",", ":"))
    query = {
        "partnerId": given["client_id"], "timestamp": datetime.now(JAKARTA).isoformat(timespec="seconds"),
        "externalId": "u-1", "channelId": "95221", "merchantId": given["merchant_id"],
        "scopes": "DEFAULT_BASIC_PROFILE,MINI_DANA", "redirectUrl": back, "state": "s1", "isSnapBI": "true",
        "seamlessData": data, "seamlessSign": rsa_signature(given["private_key_pem"], data),
    }  # fmt: skip
    return f"{server.url}/v1.0/get-auth-code?{urlencode(query)}"


WALLET = Wallet(
    "dana", LOOK, (Step.AGREE, Step.OTP, Step.PIN), begin, {"error": "access_denied", "state": "s1"},
    {"error": "pin_blocked", "state": "s1"},
)  # fmt: skip
