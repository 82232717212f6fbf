"""How a browser begins at GoPay, written from the fact sheet."""

from __future__ import annotations

from urllib.parse import quote

from mock_partners.gopay.look import LOOK
from mock_partners.kit.look import Step
from mock_partners.pytest import PartnerServer
from tests.browser.wallet import PHONE, Wallet
from tests.mock_partners.signing import rsa_signature


def begin(server: PartnerServer, back: str) -> str:
    """The address of the page, by the programme's own signed call."""
    given = server.credentials
    data = quote(f"mobileNumber={PHONE[1:]}&paymentType=gopay", safe="")
    sign = quote(rsa_signature(given["snap_private_key_pem"], data), safe="")
    query = f"state=s1&merchantId={given['payment_handle']}&lang=id&scopes=DEFAULT&redirectUrl={quote(back, safe='')}"
    return f"{server.url}/v1.0/get-auth-code?{query}&seamlessData={data}&seamlessSign={sign}"


WALLET = Wallet(
    "gopay", LOOK, (Step.AGREE, Step.PHONE, Step.OTP, Step.PIN), begin, {"errorCode": "4031005"},
    {"errorCode": "4031011"}, opens_once=True,
)  # fmt: skip
