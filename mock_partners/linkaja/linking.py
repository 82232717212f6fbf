"""Linking at LinkAja by SNAP (wallets.md 4.5 A): binding, PIN page, the customer's token, inquiry, unbinding."""

from __future__ import annotations

from dataclasses import dataclass

from mock_partners.kit.clock import Clock
from mock_partners.kit.http import Reply
from mock_partners.kit.look import Step
from mock_partners.kit.pages import End, Page, Pages
from mock_partners.kit.redirects import RegisteredRedirect, own_url, with_parameters
from mock_partners.kit.snap.fields import Fields, rupiah
from mock_partners.kit.snap.gate import Asked, Gate
from mock_partners.kit.snap.links import ERRORS, Link, Links
from mock_partners.kit.snap.payments import active, wallet
from mock_partners.kit.snap.refusals import Refusal, malformed, missing
from mock_partners.kit.snap.tokens import Token
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import Account, World
from mock_partners.linkaja.cashin import msisdn
from mock_partners.linkaja.credentials import VALUES
from mock_partners.linkaja.look import LOOK

PHONE = "62[0-9]{7,13}"
"""LinkAja takes a phone as 62812..., in no other spelling (wallets.md 4.5, 6)."""
SCOPE = "DIRECT_DEBIT_TRANSACTION"
AUTH_CODE, SESSION_ID = "authCode", "sessionID"
"""What the two ways of linking hand back; neither code opens the other's door."""


@dataclass(frozen=True, repr=False)
class PageRequest:
    """What the person is asked at the page; `hands_back` names the code that the browser returns with."""

    account: Account
    return_url: str
    state: str
    hands_back: str


class Linking:
    """The handlers of linking; links and pages are kept in the world."""

    def __init__(
        self, world: World, clock: Clock, gate: Gate, waits: Waits, registered: RegisteredRedirect
    ) -> None:  # fmt: skip
        self._world, self._gate, self._registered = world, gate, registered
        self.links = world.keep("links", lambda: Links(world, clock, gate.customer_tokens))
        self.pages = Pages(world, clock, waits, prefix="/consent", look=LOOK, finish=self._finish)

    async def bind(self, asked: Asked) -> Reply:
        """registration-account-binding, service 07: answers the page's URL (decisions L2)."""
        fields = Fields(asked.body)
        if fields.text("merchantId", 15, pattern="[0-9]{15}") != VALUES["merchant_id"]:
            raise Refusal(404, "08", "Invalid Merchant")
        phones = [fields.text(name, 15, pattern=PHONE, required=False) for name in ("msisdn", "phoneNo")]
        phone = phones[0] or phones[1]
        if not phone:
            raise missing("msisdn")
        more = fields.object("additionalInfo")
        return_url = more.text("partnerRedirectUrl", 512)
        if not self._registered.matches(return_url):
            raise malformed("additionalInfo.partnerRedirectUrl")
        state = more.text("state", 32)
        more.text("scope", 32, pattern=SCOPE)
        account = self.linkable(phone)
        path = self.open_page(PageRequest(account, return_url, state, AUTH_CODE))
        return self._gate.say(
            200, asked.service, referenceNo=self._reference(), redirectUrl=own_url(asked.call, path)
        )  # fmt: skip

    def open_page(self, request: PageRequest) -> str:
        """The path of a page that asks for consent and the PIN."""
        account = request.account
        return self.pages.open(request, phone=account.phone, pin=account.pin, steps=(Step.AGREE, Step.PIN))

    def _finish(self, page: Page, end: End) -> str:
        request: PageRequest = page.subject
        if end is not End.AGREED:
            return with_parameters(request.return_url, error=ERRORS[end], state=request.state)
        code = self.links.give_code(request.account, request.state, request.hands_back)
        return with_parameters(request.return_url, **{request.hands_back: code}, state=request.state)

    async def token(self, asked: Asked) -> Reply:
        """access-token/b2b2c, service 74: a code, or a refresh token, against a customer token (decisions L14)."""
        token = self.links.granted(asked, self._exchange)
        return self._gate.say(200, asked.service, **self.links.told(token))

    def _exchange(self, code: str) -> Token:
        consent = self.links.consented(code, AUTH_CODE)
        self.linkable(consent.account.phone)
        return self.links.establish(consent)

    async def inquire(self, asked: Asked) -> Reply:
        """registration-account-inquiry, service 08: the linked account, if link and account are alive."""
        link = self._link(asked)
        active(link.account)
        return self._gate.say(
            200, asked.service, referenceNo=self._reference(),
            additionalInfo={"msisdn": msisdn(link.account), "accountStatus": "ACTIVE"},
        )  # fmt: skip

    async def unbind(self, asked: Asked) -> Reply:
        """registration-account-unbinding, service 09 (decisions L12)."""
        self.links.end(self._link(asked))
        return self._gate.say(200, asked.service, referenceNo=self._reference(), unlinkResult="success")

    async def balance(self, asked: Asked) -> Reply:
        """balance-inquiry, service 11: the customer's own balance, not the programme's deposit."""
        link = self._link(asked)
        active(link.account)
        amount = rupiah(link.account.balance_rupiah)
        info = {"balanceType": "Cash", "amount": amount, "availableBalance": amount, "status": "0001"}
        return self._gate.say(
            200, asked.service, referenceNo=self._reference(), name=link.account.holder_name, accountInfos=[info]
        )  # fmt: skip

    def _link(self, asked: Asked) -> Link:
        """The link of Authorization-Customer, after the merchant, who may be named or not."""
        if Fields(asked.body).text("merchantId", 15, required=False) not in ("", VALUES["merchant_id"]):
            raise Refusal(404, "08", "Invalid Merchant")
        assert asked.customer is not None
        link: Link = asked.customer.subject
        return link

    def linkable(self, phone: str) -> Account:
        """At bind and at the exchange alike: the account exists, is not blocked, is linked to nobody (decisions L2)."""
        account = active(wallet(self._world, phone))
        if self.links.holder(account) is not None:
            raise Refusal(403, "68", "Card / Account Already In Use")
        return account

    def _reference(self) -> str:
        return f"lj-ref-{self._world.number()}"
