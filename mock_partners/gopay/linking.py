"""Linked accounts on Midtrans' SNAP host (wallets.md 2.3): binding, inquiry, unbinding and the signed notification."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

import msgspec

from mock_partners.gopay.credentials import VALUES
from mock_partners.kit.clock import Clock
from mock_partners.kit.fields import Fields
from mock_partners.kit.http import Reply
from mock_partners.kit.keys import Key, private_key
from mock_partners.kit.notify import Notice, Notifier
from mock_partners.kit.snap import Asked, Gate, Refusal, asymmetric_text, missing, sign_asymmetric, timestamp
from mock_partners.kit.world import Account, World

CODE_LIFE_S = 300.0
"""How long an authCode can be exchanged (wallets.md 2.3 point 6, assumed)."""
NOTIFY_PATH = "/callbacks/gopay/v1.0/registration-account/notify"
NOTIFY_RETRIES_S = (0.02, 0.04, 0.08)
GRANTS = "AUTHORIZATION_CODE|authorization_code"
PROCESSED = "Request has been processed successfully"
MAX_TOKEN = 2048


class Change(StrEnum):
    """Why a link changed, in Midtrans' words (`statusMessage`)."""

    LINKED = "Account linked"
    PHONE_CHANGED = "User changed phone number"
    UNLINKED = "Account unlinked"


@dataclass(repr=False)
class Link:
    """One customer's account and its one long-lived token; `core_id` is the account_id of the legacy Core flow."""

    account: Account
    token: str
    enabled: bool = True
    core_id: str = ""


@dataclass(repr=False)
class Desk:
    """All links by token, the enabled one of each account, and unspent auth codes; it outlives a restarted app."""

    links: dict[str, Link] = field(default_factory=dict)
    enabled: dict[str, Link] = field(default_factory=dict)
    codes: dict[str, tuple[Account, float]] = field(default_factory=dict)

    def alive(self, token: str) -> Link | None:
        """The link of a token that is known and enabled."""
        link = self.links.get(token)
        return link if link is not None and link.enabled else None


class Linking:
    """The handlers of the SNAP host; customers' own changes come in through `disable`."""

    def __init__(
        self, world: World, clock: Clock, gate: Gate, desk: Desk, notifier: Notifier, notify_base: str
    ) -> None:  # fmt: skip
        self._world, self._clock, self._gate, self._desk, self._notifier = world, clock, gate, desk, notifier
        self._signed_path = urlsplit(notify_base).path.rstrip("/") + NOTIFY_PATH

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

    def enable(self, account: Account) -> Link:
        """Links an account; Midtrans notifies when that is new."""
        link = self._desk.enabled.get(account.account)
        if link is None:
            link = Link(account, f"{self._world.rng.getrandbits(1024):0256x}")
            self._desk.links[link.token] = self._desk.enabled[account.account] = link
            self._notify(link, Change.LINKED)
        return link

    def disable(self, link: Link, change: Change) -> None:
        """Ends a link, whoever wanted it; Midtrans notifies."""
        link.enabled = False
        del self._desk.enabled[link.account.account]
        self._notify(link, change)

    async def inquire(self, asked: Asked) -> Reply:
        """registration-account-inquiry, service 08, by customer token or (swap) by a legacy account_id."""
        info = Fields(asked.body).object("additionalInfo", required=False)
        core_id = info.text("accountId", 64, required=False)
        link = self._by_core_id(core_id) if core_id and not _customer_token(asked) else self._customer(asked)
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
        token = _customer_token(asked)
        if not token:
            raise missing("AUTHORIZATION-CUSTOMER")
        if not asked.call.header("x-device-id"):
            raise missing("X-DEVICE-ID")
        link = self._desk.alive(token) if len(token) <= MAX_TOKEN else None
        if link is None:
            raise Refusal(401, "02", "Invalid Customer Token")
        return link

    def _by_core_id(self, core_id: str) -> Link:
        for link in self._desk.links.values():
            if link.core_id == core_id:
                if not link.enabled:
                    raise Refusal(403, "18", "Inactive Account")
                return link
        raise Refusal(404, "05", "Account not found")

    def _notify(self, link: Link, change: Change) -> None:
        """Posts service 88, signed with Midtrans' own key over the full request path (decisions X2)."""
        info = {
            "accessToken": link.token,
            "merchantId": VALUES["snap_partner_id"],
            "subMerchantId": VALUES["payment_handle"],
            "paymentType": "gopay",
            "accountStatus": "ENABLED" if change is Change.LINKED else "DISABLED",
            "statusMessage": change.value,
        }
        body = msgspec.json.encode({"additionalInfo": info})
        at = timestamp(self._clock.now())
        headers = {
            "Content-Type": "application/json",
            "X-TIMESTAMP": at,
            "X-SIGNATURE": notice_signature(self._signed_path, body, at),
            "X-PARTNER-ID": VALUES["snap_partner_id"],
            "X-EXTERNAL-ID": f"{self._world.number():018d}",
        }
        self._notifier.post(Notice("POST", NOTIFY_PATH, body, headers), retries_s=NOTIFY_RETRIES_S)


def notice_signature(path: str, body: bytes, at: str) -> str:
    """Midtrans' RSA signature of a link notification: no access token in the text (wallets.md 2.3 point 9)."""
    return sign_asymmetric(private_key(Key.MIDTRANS), asymmetric_text("POST", path, body, at))


def _customer_token(asked: Asked) -> str:
    """Authorization-Customer, with or without `Bearer` (decisions X9)."""
    return asked.call.header("authorization-customer").removeprefix("Bearer ").strip()
