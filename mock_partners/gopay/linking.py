"""Linked accounts on Midtrans' SNAP host (wallets.md 2.3): binding, inquiry, unbinding and the signed notification."""

from __future__ import annotations

from dataclasses import dataclass, field

from mock_partners.gopay.credentials import VALUES
from mock_partners.gopay.notices import Change, Link, LinkNotices
from mock_partners.kit.clock import Clock
from mock_partners.kit.http import Reply
from mock_partners.kit.snap.fields import Fields
from mock_partners.kit.snap.gate import Asked, Gate, customer_bearer
from mock_partners.kit.snap.refusals import Refusal, missing
from mock_partners.kit.world import Account, World

CODE_LIFE_S = 300.0
"""How long an authCode can be exchanged (wallets.md 2.3 point 6, assumed)."""
GRANTS = "AUTHORIZATION_CODE|authorization_code"
PROCESSED = "Request has been processed successfully"
MAX_TOKEN = 2048


@dataclass(repr=False)
class Desk:
    """All links by token, the enabled one of each account, and unspent auth codes; it outlives a restarted app."""

    links: dict[str, Link] = field(default_factory=dict)
    enabled: dict[str, Link] = field(default_factory=dict)
    by_core_id: dict[str, Link] = field(default_factory=dict)
    codes: dict[str, tuple[Account, float]] = field(default_factory=dict)

    def alive(self, token: str) -> Link | None:
        """The link of a token that is known and enabled."""
        link = self.links.get(token)
        return link if link is not None and link.enabled else None


class Linking:
    """The handlers of the SNAP host; customers' own changes come in through `disable`."""

    def __init__(self, world: World, clock: Clock, gate: Gate, desk: Desk, notices: LinkNotices) -> None:
        self._world, self._clock, self._gate, self._desk, self._notices = world, clock, gate, desk, notices

    def uuid(self) -> str:
        """A random UUID out of the world's seeded generator."""
        text = f"{self._world.rng.getrandbits(128):032x}"
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))

    def issue_code(self, account: Account) -> str:
        """An authCode for a customer who agreed; good once, for five minutes."""
        now_s = self._clock.seconds()
        for stale in [code for code, (_, expires_s) in self._desk.codes.items() if expires_s <= now_s]:
            del self._desk.codes[stale]
        code = f"{self._world.rng.getrandbits(160):040x}"
        self._desk.codes[code] = (account, now_s + CODE_LIFE_S)
        return code

    async def bind(self, asked: Asked) -> Reply:
        """registration-account-binding, service 07. A phone that is linked gets its same token (decisions G4)."""
        fields = Fields(asked.body)
        fields.text("grantType", 32, pattern=GRANTS)
        code = fields.text("authCode", 256)
        if fields.text("merchantId", 64) != VALUES["payment_handle"]:
            raise Refusal(404, "05", "Merchant is not registered for this service")
        account, expires_s = self._desk.codes.get(code, (None, 0.0))
        if account is None or expires_s <= self._clock.seconds():
            raise Refusal(404, "11", "Invalid Customer AuthCode")
        del self._desk.codes[code]
        link = self.enable(account)
        return self._gate.say(
            200, "07", "00", PROCESSED, referenceNo=self.uuid(), accessTokenInfo={"accessToken": link.token}
        )

    def enable(self, account: Account, core_id: str = "") -> Link:
        """Links an account, or gives the link that it has; Midtrans notifies if that is new to the flow."""
        link = self._desk.enabled.get(account.account)
        if link is None:
            link = Link(account, f"{self._world.rng.getrandbits(1024):0256x}")
            self._desk.links[link.token] = self._desk.enabled[account.account] = link
        elif not core_id:
            return link
        if core_id:
            self._desk.by_core_id[core_id] = link
            link.core_id = core_id
        self._notices.post(link, Change.LINKED)
        return link

    def disable(self, link: Link, change: Change) -> None:
        """Ends a link, whoever wanted it; Midtrans notifies."""
        link.enabled = False
        del self._desk.enabled[link.account.account]
        self._notices.post(link, change)

    async def inquire(self, asked: Asked) -> Reply:
        """registration-account-inquiry, service 08, by customer token or (swap) by a legacy account_id."""
        info = Fields(asked.body).object("additionalInfo", required=False)
        core_id = info.text("accountId", 64, required=False)
        link = self._by_core_id(core_id) if core_id and not customer_bearer(asked.call) else self._customer(asked)
        if not link.account.active:
            raise Refusal(403, "18", "Inactive Account")
        balance = {"value": link.account.balance_rupiah, "currency": "IDR"}
        option = {"name": "GOPAY_WALLET", "active": True, "balance": balance, "token": self.uuid()}
        details = {"accessToken": link.token, "paymentType": "gopay", "paymentOptions": [option]}
        return self._gate.say(200, "08", "00", PROCESSED, referenceNo=self.uuid(), additionalInfo=details)

    async def unbind(self, asked: Asked) -> Reply:
        """registration-account-unbinding, service 09; 4010900 for another merchantId (wallets.md 2.3 point 8)."""
        merchant = Fields(asked.body).text("merchantId", 64)
        link = self._customer(asked)
        if merchant != VALUES["payment_handle"]:
            raise Refusal(401, "00", "Unauthorized. [merchantId]")
        self.disable(link, Change.UNLINKED)
        return self._gate.say(200, "09", "00", PROCESSED, referenceNo=self.uuid())

    def _customer(self, asked: Asked) -> Link:
        """The link of Authorization-Customer; X-DEVICE-ID is mandatory on customer calls (wallets.md 2.2)."""
        token = customer_bearer(asked.call)
        if not token:
            raise missing("AUTHORIZATION-CUSTOMER")
        if not asked.call.header("x-device-id"):
            raise missing("X-DEVICE-ID")
        link = self._desk.alive(token) if len(token) <= MAX_TOKEN else None
        if link is None:
            raise Refusal(401, "02", "Invalid Customer Token")
        return link

    def _by_core_id(self, core_id: str) -> Link:
        link = self._desk.by_core_id.get(core_id)
        if link is None:
            raise Refusal(404, "05", "Account not found")
        if not link.enabled:
            raise Refusal(403, "18", "Inactive Account")
        return link
