"""How a link begins at each wallet: by the programme's own signed call, written from the fact sheets."""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx

from adapters.registry import PARTNERS
from contracts.partner import Capability
from mock_partners.gopay.look import LOOK as GOPAY
from mock_partners.kit.clock import JAKARTA
from mock_partners.kit.look import Look, Step
from mock_partners.linkaja.look import LOOK as LINKAJA
from mock_partners.ovo.look import LOOK as OVO
from mock_partners.pytest import PartnerServer
from tests.mock_partners.signers import Endpoint, Signer
from tests.mock_partners.signing import rsa_signature
from tests.mock_partners.wire import Sent

PHONE, LOCAL, PIN = "+6281100000001", "081100000001", "135790"
WORLD = [{"account": PHONE, "phone": PHONE, "pin": PIN}]


def signer(partner: str, secrets: dict[str, str], product: str = "snap") -> Signer:
    """A SNAP client of a mock that runs elsewhere."""
    clock = types.SimpleNamespace(now=lambda: datetime.now(JAKARTA))
    return Signer(types.SimpleNamespace(partner=partner, secrets=secrets, clock=clock), product)


def send(url: str, sent: Sent) -> dict[str, Any]:
    """Sends signed bytes over a socket; the JSON answer."""
    target = f"{url}{sent.path}" + (f"?{sent.query}" if sent.query else "")
    reply = httpx.request(sent.method, target, headers=sent.headers, content=sent.body, timeout=30, trust_env=False)
    told: dict[str, Any] = reply.json()
    return told


def begin_gopay(server: PartnerServer, back: str) -> str:
    given = server.credentials
    data = quote(f"mobileNumber={PHONE[1:]}&paymentType=gopay", safe="")
    sign = quote(rsa_signature(given["snap_private_key_pem"], data), safe="")
    query = f"state=s1&merchantId={given['payment_handle']}&lang=id&scopes=DEFAULT&redirectUrl={quote(back, safe='')}"
    return f"{server.url}/v1.0/get-auth-code?{query}&seamlessData={data}&seamlessSign={sign}"


def begin_ovo(server: PartnerServer, back: str) -> str:
    info = {
        "custIdMerchant": "u-1", "customerName": "BUDI SANTOSO", "email": "budi@example.test",
        "successRegistrationUrl": back, "failedRegistrationUrl": back,
    }  # fmt: skip
    path = "/OVOSNAP/v2.0/oauth/account/registration-account-binding"
    asked = Endpoint("ovo", "POST", path, "07", {"phoneNo": LOCAL, "additionalInfo": info}, bearer="")
    return str(send(server.url, signer("ovo", server.credentials).sign(asked, bearer=""))["redirectUrl"])


def begin_linkaja(server: PartnerServer, back: str) -> str:
    client = signer("linkaja", server.credentials)
    client.token = send(server.url, client.token_call())["accessToken"]
    body = {
        "merchantId": server.credentials["merchant_id"], "msisdn": PHONE[1:],
        "additionalInfo": {"partnerRedirectUrl": back, "state": "s1", "scope": "DIRECT_DEBIT_TRANSACTION"},
    }  # fmt: skip
    asked = Endpoint("linkaja", "POST", "/bi/v1.0/registration-account-binding", "07", body)
    return str(send(server.url, client.sign(asked))["redirectUrl"])


@dataclass(frozen=True)
class Wallet:
    """One wallet's linking: `denied` and `locked` are parameters that the browser comes back with."""

    name: str
    look: Look
    steps: tuple[Step, ...]
    begin: Callable[[PartnerServer, str], str]
    denied: dict[str, str]
    locked: dict[str, str]
    opens_once: bool = False


WALLETS = (
    Wallet(
        "gopay", GOPAY, (Step.AGREE, Step.PHONE, Step.OTP, Step.PIN), begin_gopay, {"errorCode": "4031005"},
        {"errorCode": "4031011"}, opens_once=True,
    ),
    Wallet(
        "linkaja", LINKAJA, (Step.AGREE, Step.PIN), begin_linkaja, {"error": "access_denied", "state": "s1"},
        {"error": "pin_blocked", "state": "s1"},
    ),
    Wallet(
        "ovo", OVO, (Step.AGREE, Step.OTP, Step.PIN), begin_ovo, {"errorResponse": "OV00006"},
        {"errorResponse": "OV00007"},
    ),
)  # fmt: skip
"""BNI has no page: its OTP is asked for by the programme's own form (decisions B1)."""
_WITH_PAGES = {slug for slug, one in PARTNERS.items() if Capability.LINK_REDIRECT in one.manifest.capabilities}
assert {wallet.name for wallet in WALLETS} == _WITH_PAGES, "a browser walks through every partner's pages"
