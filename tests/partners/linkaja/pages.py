"""How a browser begins at LinkAja, written from the fact sheet."""

from __future__ import annotations

from mock_partners.kit.look import Step
from mock_partners.linkaja.look import LOOK
from mock_partners.pytest import PartnerServer
from tests.browser.wallet import PHONE, Wallet, send, signer
from tests.partners.kit import Endpoint


def begin(server: PartnerServer, back: str) -> str:
    """The address of the page, by the programme's own signed call."""
    client = signer("linkaja", server.credentials)
    client.token = send(server.url, client.token_call())["accessToken"]
    body = {
        "merchantId": server.credentials["merchant_id"], "msisdn": PHONE[1:],
        "additionalInfo": {"partnerRedirectUrl": back, "state": "s1", "scope": "DIRECT_DEBIT_TRANSACTION"},
    }  # fmt: skip
    asked = Endpoint("linkaja", "POST", "/bi/v1.0/registration-account-binding", "07", body)
    return str(send(server.url, client.sign(asked))["redirectUrl"])


WALLET = Wallet(
    "linkaja", LOOK, (Step.AGREE, Step.PIN), begin, {"error": "access_denied", "state": "s1"},
    {"error": "pin_blocked", "state": "s1"},
)  # fmt: skip
