"""How a browser begins at OVO, written from the fact sheet."""

from __future__ import annotations

from mock_partners.kit.look import Step
from mock_partners.ovo.look import LOOK
from mock_partners.pytest import PartnerServer
from tests.browser.wallet import LOCAL, Wallet, send, signer
from tests.partners.kit import Endpoint


def begin(server: PartnerServer, back: str) -> str:
    """The address of the page, by the programme's own signed call."""
    info = {
        "custIdMerchant": "u-1", "customerName": "BUDI SANTOSO", "email": "budi@example.test",
        "successRegistrationUrl": back, "failedRegistrationUrl": back,
    }  # fmt: skip
    path = "/OVOSNAP/v2.0/oauth/account/registration-account-binding"
    asked = Endpoint("ovo", "POST", path, "07", {"phoneNo": LOCAL, "additionalInfo": info}, bearer="")
    return str(send(server.url, signer("ovo", server.credentials).sign(asked, bearer=""))["redirectUrl"])


WALLET = Wallet(
    "ovo", LOOK, (Step.AGREE, Step.OTP, Step.PIN), begin, {"errorResponse": "OV00006"}, {"errorResponse": "OV00007"}
)
