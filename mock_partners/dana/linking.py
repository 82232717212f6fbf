"""Linking at DANA (dana.md, decisions D4-D6, D10): the OAuth page, the customer's token, unbinding."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from urllib.parse import unquote

from mock_partners.dana.credentials import VALUES, snap_client
from mock_partners.dana.look import LOOK
from mock_partners.kit.clock import Clock
from mock_partners.kit.http import Call, Reply, Route, json_object, redirect
from mock_partners.kit.look import Step, gone
from mock_partners.kit.pages import MERCHANT, End, Page, Pages
from mock_partners.kit.redirects import RegisteredRedirect, with_parameters
from mock_partners.kit.snap.fields import Fields
from mock_partners.kit.snap.gate import Asked, Gate
from mock_partners.kit.snap.links import ERRORS, Link, Links, moment
from mock_partners.kit.snap.payments import active, wallet
from mock_partners.kit.snap.refusals import Refusal, missing
from mock_partners.kit.snap.signatures import parse_timestamp
from mock_partners.kit.snap.tokens import Token
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import World

ERROR_PAGE = "/app/error"
REFRESH_LIFE_S = 180 * 86_400.0
"""Assumed (decisions D6)."""
NEEDED = ("partnerId", "timestamp", "externalId", "channelId", "scopes", "redirectUrl", "state")
NUMBERS = ("mobile", "mobileNumber", "phoneNumber")
"""What seamlessData calls the number: DANA's SDK, its pages and its acceptance tests, which write it 08.. too."""
SCOPES = frozenset({"CASHIER", "AGREEMENT_PAY", "QUERY_BALANCE", "DEFAULT_BASIC_PROFILE", "MINI_DANA"})


@dataclass(frozen=True, repr=False)
class PageRequest:
    """What a page was opened for."""

    customer: str
    scopes: frozenset[str]
    return_url: str
    state: str


class Linking:
    """The handlers of linking; links, pages and the scopes of each link are kept in the world."""

    def __init__(self, world: World, clock: Clock, gate: Gate, waits: Waits, registered: RegisteredRedirect) -> None:
        self._world, self._gate, self._registered = world, gate, registered
        tokens = gate.customer_tokens
        self.links = world.keep("links", lambda: Links(world, clock, tokens, refresh_life_s=REFRESH_LIFE_S))
        self.scopes: dict[str, frozenset[str]] = world.keep("dana.scopes", dict)
        self._spent: set[str] = world.keep("dana.spent_codes", set)
        self._pages = Pages(world, clock, waits, prefix="/app/authorize", look=LOOK, finish=self._finish)

    def routes(self) -> list[Route]:
        """get-auth-code, the pages, and the page for a redirectUrl that cannot be trusted."""
        return [
            Route("GET", "/v1.0/get-auth-code", self._begin),
            Route("GET", ERROR_PAGE, self._error_page),
            *self._pages.routes(),
        ]

    async def _begin(self, call: Call) -> Reply:
        query = call.query_values()
        return_url = query.get("redirectUrl", "")
        if not self._registered.matches(return_url):
            return redirect(ERROR_PAGE)
        try:
            request, phone, pin = self._read(query, return_url)
        except Refusal as refusal:
            code = f"{refusal.status}10{refusal.case}"
            told = {"responseCode": code, "responseMessage": refusal.message, "state": query.get("state", "")}
            return redirect(with_parameters(return_url, **told))
        steps = (Step.AGREE, Step.OTP, Step.PIN) if phone else (Step.PHONE, Step.AGREE, Step.OTP, Step.PIN)
        return redirect(self._pages.open(request, phone=phone, pin=pin, steps=steps))

    def _read(self, query: dict[str, str], return_url: str) -> tuple[PageRequest, str, str]:
        """The request with the phone and PIN of the account that seamlessData names; empty ones if it names none."""
        for name in NEEDED:
            if not query.get(name):
                raise Refusal(400, "02", f"Invalid Mandatory Field {name}")
        scopes = frozenset(query["scopes"].split(","))
        if not scopes <= SCOPES or len(query["state"]) > 32 or parse_timestamp(query["timestamp"]) is None:
            raise Refusal(400, "01", "Invalid Field Format")
        if query["partnerId"] != VALUES["client_id"]:
            raise Refusal(401, "00", "Unauthorized. [partnerId]")
        request = PageRequest(query["externalId"], scopes, return_url, query["state"])
        data = query.get("seamlessData", "")
        given = query.get("seamlessSign", "")
        # DANA's Python client encodes it once for its address, its Node client twice.
        if not data or not any(snap_client().signed(data.encode(), sign) for sign in (given, unquote(given))):
            return request, "", ""  # ignored, as if it had not come (snap-bni.md 1.5)
        told = json_object(data.encode()) or {}
        phone = next((str(told[name]) for name in NUMBERS if told.get(name)), "")
        if not phone:
            return request, "", ""  # every field of it is optional
        if not re.fullmatch("(?:62|0)[0-9]{7,13}", phone):
            raise Refusal(400, "01", "Invalid Field Format mobile")
        account = active(wallet(self._world, phone))
        return request, account.phone, account.pin

    def _finish(self, page: Page, end: End) -> str:
        request: PageRequest = page.subject
        if end is not End.AGREED:
            return with_parameters(request.return_url, error=ERRORS[end], state=request.state)
        account = self._world.wallet(page.phone)
        assert account is not None
        self.scopes[request.customer] = request.scopes
        code = self.links.give_code(account, request.customer)
        return with_parameters(request.return_url, authCode=code, state=request.state)

    async def token(self, asked: Asked) -> Reply:
        """access-token/b2b2c, service 74 (decisions D6)."""
        token = self.links.granted(asked, self._exchange)
        link: Link = token.subject
        return self._gate.say(
            200, asked.service, **self.links.told(token), refreshTokenExpiryTime=moment(link.refresh_until_s),
            additionalInfo={"userInfo": {"publicUserId": public_id(link)}},
        )  # fmt: skip

    def _exchange(self, code: str) -> Token:
        """A code that is no longer good is refused in the code of a wrong signature; only the words tell which."""
        known = self.links.has_code(code)
        consent = self.links.take_code(code)
        if consent is None:
            why = "Auth Code Used" if code in self._spent else "Auth Code Expired" if known else "Invalid Auth Code"
            raise Refusal(401, "00", f"Unauthorized. {why}")
        self._spent.add(code)
        return self.links.establish(consent)

    async def unbind(self, asked: Asked) -> Reply:
        """registration-account-unbinding, service 09 (decisions D10)."""
        fields = Fields(asked.body)
        if fields.text("merchantId", 64, required=False) not in ("", VALUES["merchant_id"]):
            raise Refusal(404, "08", "Invalid Merchant")
        if not asked.call.header("x-device-id"):
            raise missing("X-DEVICE-ID")
        customer: Token | None = asked.customer
        assert customer is not None
        if fields.object("additionalInfo").text("accessToken", 512) != customer.value:
            raise Refusal(401, "02", "Invalid Customer Token")
        self.links.end(customer.subject)
        return self._gate.say(
            200, asked.service, referenceNo=f"dana-ref-{self._world.number()}", merchantId=VALUES["merchant_id"],
            unlinkResult="success", additionalInfo={},
        )  # fmt: skip

    async def _error_page(self, _call: Call) -> Reply:
        return gone(LOOK, MERCHANT, 400)


def public_id(link: Link) -> str:
    """DANA's public number of a customer: the same at every link."""
    return str(int(hashlib.sha256(link.account.account.encode()).hexdigest()[:16], 16)).zfill(20)
