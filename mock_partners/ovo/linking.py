"""Linking at OVO (wallets.md 3.3): binding, consent pages, the customer's token, and unbinding in two steps."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from uuid import UUID

from mock_partners.kit.clock import Clock
from mock_partners.kit.http import Call, Handler, Reply, gated
from mock_partners.kit.look import Step
from mock_partners.kit.pages import End, Page, Pages
from mock_partners.kit.redirects import RegisteredRedirect, own_url, with_parameters
from mock_partners.kit.snap.fields import Fields
from mock_partners.kit.snap.gate import Asked, Gate
from mock_partners.kit.snap.links import ACCESS_LIFE_S, AUTH_CODE_LIFE_S, Links
from mock_partners.kit.snap.magic import refuse_if_magic
from mock_partners.kit.snap.refusals import Refusal, malformed
from mock_partners.kit.snap.tokens import Token, Tokens, jwt_minter
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import Account, World
from mock_partners.ovo.look import LOOK

PHONE = "08[0-9]{6,13}"
"""OVO takes a phone as 08..., in no other spelling (wallets.md 3.6)."""
UNBIND_TOKEN_LIFE_S = 900.0
ALREADY_LINKED = {"additionalInfo": {"reason": "ALREADY_LINKED"}}
DENIED, LOCKED = "OV00006", "OV00007"
RETURN_URLS = ("successRegistrationUrl", "failedRegistrationUrl")


@dataclass(frozen=True, repr=False)
class Binding:
    """What a binding was asked with; the subject of its linkageToken and of its page."""

    account: Account
    customer: str
    success_url: str
    failed_url: str


class Linking:
    """The handlers of linking; links, pages and tokens are kept in the world."""

    def __init__(
        self, world: World, clock: Clock, gate: Gate, waits: Waits, registered: RegisteredRedirect
    ) -> None:  # fmt: skip
        self._world, self._clock, self._gate, self._waits, self._registered = world, clock, gate, waits, registered
        self.links = world.keep("links", lambda: Links(world, clock, gate.customer_tokens))
        self._linkage = world.keep(
            "linkage_tokens", lambda: Tokens(jwt_minter(world, lambda: {"iat": int(clock.seconds())}))
        )
        self._unbinding = world.keep("unbinding_tokens", lambda: Tokens(lambda: f"{world.rng.getrandbits(256):064x}"))
        self.pages = Pages(world, clock, waits, prefix="/linkage", look=LOOK, finish=self._finish)

    async def look_up(self, asked: Asked) -> Reply:
        """GET /user/v2/account/lookup: what a phone number is at OVO. Served, though nobody need call it (O2)."""
        phone = Fields(dict(asked.call.query_values())).text("phone", 15, pattern=PHONE)
        account = self._world.wallet(phone)
        if account is None:
            status = "CAN_REGISTER"
        elif not account.active:
            status = "BLOCKED_MSISDN"
        elif self.links.holder(account) is not None:
            status = "LINKED"
        else:
            status = "ACTIVE" if account.pin else "ACTIVE_NO_PIN"
        return self._gate.say(200, "00", "00", "Success", status=status)

    async def bind(self, asked: Asked) -> Reply:
        """registration-account-binding, service 07: answers the page's URL and the linkageToken (decisions O1, O3)."""
        fields = Fields(asked.body)
        phone = fields.text("phoneNo", 15, pattern=PHONE)
        account = self._world.wallet(phone)
        more = fields.object("additionalInfo")
        customer = more.text("custIdMerchant", 64)
        more.text("customerName", 128, required=False)
        more.text("email", 254, pattern=r"[^@\s]+@[^@\s]+", required=False)
        success_url, failed_url = (self._return_url(more, name) for name in RETURN_URLS)
        refuse_if_magic(phone)
        account = self._linkable(account)
        binding = Binding(account, customer, success_url, failed_url)
        linkage = self._linkage.issue(self._clock.seconds(), self._waits.link_life_s + AUTH_CODE_LIFE_S, binding)
        path = self.pages.open(linkage, phone=account.phone, pin=account.pin, steps=(Step.AGREE, Step.OTP, Step.PIN))
        return self._gate.say(
            200, "07", referenceNo=f"ovo-ref-{self._world.number()}", linkageToken=linkage.value,
            redirectUrl=own_url(asked.call, path),
        )  # fmt: skip

    def _finish(self, page: Page, end: End) -> str:
        """Where the browser goes after the page: `state` is OVO's own and says nothing (decisions O4, O5)."""
        linkage: Token = page.subject
        binding: Binding = linkage.subject
        state = f"{self._world.rng.randrange(10_000):04d}"
        if end is End.AGREED:
            code = self.links.give_code(binding.account, binding.customer, linkage.value)
            return with_parameters(binding.success_url, authCode=code, state=state, displayMessage="SUCCESS")
        error = {"code": DENIED if end is End.DENIED else LOCKED, "state": state}
        return with_parameters(binding.failed_url, errorResponse=json.dumps(error, separators=(",", ":")))

    async def token(self, asked: Asked) -> Reply:
        """access-token/b2b2c, service 74: a code with its linkageToken, or a refresh token (decisions O6)."""
        return self._told(self.links.granted(asked, lambda code: self._exchange(asked, code)))

    def _exchange(self, asked: Asked, code: str) -> Token:
        linkage = self._gate.bearer_of(asked.call, self._linkage)
        consent = self.links.consented(code, linkage.value)
        self._linkable(consent.account)
        self._linkage.revoke(linkage.value)
        return self.links.establish(consent)

    def _told(self, token: Token) -> Reply:
        link = token.subject
        seed = f"{link.account.account}|{link.customer}".encode()
        return self._gate.say(
            200, "74", accessToken=token.value, refreshToken=link.refresh_token, tokenExpiresIn=ACCESS_LIFE_S,
            ilp=str(UUID(bytes=hashlib.sha256(seed).digest()[:16])),
        )  # fmt: skip

    def unbinding(self) -> Handler:
        """registration-account-unbinding, service 09: first with the customer's token, then with the answer's (O10).

        Under a B2B token with custIdMerchant it is the way back of who never learnt the customer's token (O15).
        """
        first = self._gate.symmetric("09", self._begin_unbinding, tokens=self._gate.customer_tokens)
        second = self._gate.symmetric("09", self._unbind, tokens=self._unbinding)

        by_customer = self._gate.symmetric("09", self._unbind_customer)

        async def one_of_three(call: Call) -> Reply:
            bearer = call.header("authorization").partition(" ")[2].strip()
            if self._gate.tokens.find(bearer) is not None and b'"custIdMerchant"' in call.body:
                return await by_customer(call)
            return await (first if self._unbinding.find(bearer) is None else second)(call)

        return gated(one_of_three, "09")

    async def _begin_unbinding(self, asked: Asked) -> Reply:
        assert asked.bearer is not None
        token = self._unbinding.issue(self._clock.seconds(), UNBIND_TOKEN_LIFE_S, asked.bearer.subject)
        return self._gate.say(200, "09", referenceNo=f"ovo-ref-{self._world.number()}", accessToken=token.value)

    async def _unbind_customer(self, asked: Asked) -> Reply:
        """Ends whatever links a customer of ours has (assumed: O15)."""
        customer = Fields(asked.body).object("additionalInfo").text("custIdMerchant", 64)
        links = self.links.of_customer(customer)
        if not links:
            raise Refusal(404, "11", "Invalid Customer [custIdMerchant]")
        for link in links:
            self.links.end(link)
        return self._gate.say(200, "09", referenceNo=f"ovo-ref-{self._world.number()}")

    async def _unbind(self, asked: Asked) -> Reply:
        assert asked.bearer is not None
        self._unbinding.revoke_subject(asked.bearer.subject)
        self.links.end(asked.bearer.subject)
        return self._gate.say(200, "09", referenceNo=f"ovo-ref-{self._world.number()}")

    def _linkable(self, account: Account | None) -> Account:
        """At bind and at the exchange alike: the account exists, is not blocked, and is linked to nobody (O3)."""
        if account is None:
            raise Refusal(404, "11", "Invalid Account")
        if not account.active:
            raise Refusal(403, "07", "Card Blocked. [User Blocked]")
        if self.links.holder(account) is not None:
            raise Refusal(403, "05", "Do Not Honor", **ALREADY_LINKED)
        return account

    def _return_url(self, more: Fields, name: str) -> str:
        url = more.text(name, 512)
        if not self._registered.matches(url):
            raise malformed(f"additionalInfo.{name}")
        return url
