"""The legacy Core linking flow, `/v2/pay/account` (wallets.md 2.4); the gateway does not use it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import msgspec

from mock_partners.gopay.credentials import CORE_SERVER_KEY, SANDBOX_OTP, sandbox_account
from mock_partners.gopay.linking import Linking
from mock_partners.gopay.look import LOOK
from mock_partners.gopay.notices import Change, Link
from mock_partners.kit.basic import basic_ok
from mock_partners.kit.clock import Clock
from mock_partners.kit.http import Call, Handler, Reply, Route, json_reply, redirect
from mock_partners.kit.look import Step
from mock_partners.kit.pages import End, Page, Pages
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import Account, World

NOT_REGISTERED, BLOCKED = "123450001", "123450002"
"""Magic numbers of the old sandbox."""
REFUSALS = {"105": "User Not Found", "106": "Wallet is Blocked", "2903": "invalid scheme"}
"""channel_response_code; 106 is assumed."""
STATUS_CODES = {"PENDING": "201", "ENABLED": "200", "EXPIRED": "204", "DISABLED": "204"}


@dataclass(repr=False)
class PayAccount:
    """One account_id; it expires `link_life_s` after its creation if the customer never agreed."""

    id: str
    account: Account
    redirect_url: str
    expires_s: float
    link: Link | None = None

    def status(self, now_s: float) -> str:
        """PENDING, EXPIRED, ENABLED or DISABLED."""
        if self.link is None:
            return "PENDING" if now_s < self.expires_s else "EXPIRED"
        return "ENABLED" if self.link.enabled and self.link.core_id == self.id else "DISABLED"


@dataclass(repr=False)
class PayAccounts:
    """All of the merchant's, by account_id."""

    by_id: dict[str, PayAccount] = field(default_factory=dict)


class Core:
    """The handlers of the Core host; `status_code` in the body is what counts."""

    def __init__(
        self, world: World, clock: Clock, waits: Waits, linking: Linking, accounts: PayAccounts
    ) -> None:  # fmt: skip
        self._world, self._clock, self._waits, self._linking = world, clock, waits, linking
        self._accounts = accounts.by_id
        self._pages = Pages(world, clock, waits, prefix="/app/activate", look=LOOK, finish=self._finish, once=True)

    def routes(self) -> list[Route]:
        """Create, get, unbind, the activation link and the pages behind it."""
        return [
            Route("POST", "/v2/pay/account", self._guarded(self._create)),
            Route("GET", "/v2/pay/account/{account_id:str}", self._guarded(self._get)),
            Route("POST", "/v2/pay/account/{account_id:str}/unbind", self._guarded(self._unbind)),
            Route("GET", "/v2/gopay/redirect/{link_id:str}/link", self._activate),
            *self._pages.routes(),
        ]

    def no_such_path(self, _path: str, status: int) -> Reply:
        """An unknown path of the Core host (assumed)."""
        return self._refused(str(status), "The requested resource is not found")

    def _guarded(self, handler: Callable[[Call], Awaitable[Reply]]) -> Handler:
        async def admitted(call: Call) -> Reply:
            if not basic_ok(call, CORE_SERVER_KEY):
                return self._refused("401", "Transaction cannot be authorized with the current client/server key.")
            return await handler(call)

        return admitted

    async def _create(self, call: Call) -> Reply:
        try:
            body = msgspec.json.decode(call.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._refused("413", "The request cannot be processed due to malformed syntax in the request body")
        partner = body.get("gopay_partner") if isinstance(body, dict) else None
        if not isinstance(partner, dict) or body.get("payment_type") != "gopay":
            return self._invalid("payment_type must be gopay, with gopay_partner")
        phone, country, back = (partner.get(name) for name in ("phone_number", "country_code", "redirect_url"))
        if not isinstance(phone, str) or not phone.isascii() or not phone.isdecimal() or phone[0] == "0":
            return self._invalid("gopay_partner.phone_number must be numeric digits and must not begin with 0")
        if country != "62":
            return self._invalid("gopay_partner.country_code must be 62")
        if not isinstance(back, str) or urlsplit(back).scheme not in ("http", "https"):
            return _denied("2903")
        found = self._world.by_phone(f"+62{phone}")
        if phone == BLOCKED or (found and not found[0].active):
            return _denied("106")
        if phone == NOT_REGISTERED:
            return _denied("105")
        made = PayAccount(
            self._linking.uuid(),
            found[0] if found else self._anybody(phone),
            back,
            self._clock.seconds() + self._waits.link_life_s,
        )
        self._accounts[made.id] = made
        base = f"http://{call.header('host')}/v2/gopay/redirect"
        actions = [
            {"name": name, "method": "GET", "url": f"{base}/{prefix}_{made.id}/link"}
            for name, prefix in (("activation-link-url", "gpar"), ("activation-link-app", "gpad"))
        ]
        return json_reply(201, {**self._state(made), "actions": actions})

    def _anybody(self, phone: str) -> Account:
        """In the old sandbox every number but two can be linked (wallets.md 2.4); the rest of the mock knows it not."""
        account = sandbox_account(f"+62{phone}")
        self._world.sms.fixed[account.phone] = SANDBOX_OTP
        return account

    async def _get(self, call: Call) -> Reply:
        known = self._accounts.get(call.params["account_id"])
        return json_reply(200, self._state(known)) if known is not None else self._unknown()

    async def _unbind(self, call: Call) -> Reply:
        known = self._accounts.get(call.params["account_id"])
        if known is None:
            return self._unknown()
        if known.link is None or known.status(self._clock.seconds()) != "ENABLED":
            return self._refused("412", "Account status cannot be updated.", 200)
        self._linking.disable(known.link, Change.UNLINKED)
        return json_reply(200, {**self._state(known), "channel_response_code": "0"})

    async def _activate(self, call: Call) -> Reply:
        kind, _, account_id = call.params["link_id"].partition("_")
        known = self._accounts.get(account_id)
        if kind not in ("gpar", "gpad") or known is None or known.status(self._clock.seconds()) != "PENDING":
            return self._refused("404", "The requested resource is not found")
        steps = (Step.AGREE, Step.OTP, Step.PIN)
        return redirect(self._pages.open(known, phone=known.account.phone, pin=known.account.pin, steps=steps))

    def _finish(self, page: Page, end: End) -> str:
        """Back to redirect_url with nothing added: what Core adds is not documented."""
        known: PayAccount = page.subject
        if end is End.AGREED and known.status(self._clock.seconds()) == "PENDING":
            known.link = self._linking.enable(known.account, core_id=known.id)
        return known.redirect_url

    def _state(self, known: PayAccount) -> dict[str, Any]:
        status = known.status(self._clock.seconds())
        state: dict[str, Any] = {
            "status_code": STATUS_CODES[status],
            "payment_type": "gopay",
            "account_id": known.id,
            "account_status": status,
        }
        if status == "ENABLED":
            balance = {"value": f"{known.account.balance_rupiah}.00", "currency": "IDR"}
            option = {"name": "GOPAY_WALLET", "active": True, "balance": balance, "metadata": {}}
            state["metadata"] = {"payment_options": [{**option, "token": self._linking.uuid()}]}
        return state

    def _unknown(self) -> Reply:
        return self._refused("404", "Account doesn't exist.", 200)

    def _invalid(self, problem: str) -> Reply:
        text = "One or more parameters in the payload is invalid."
        return self._refused("400", text, validation_messages=[problem])

    def _refused(self, code: str, text: str, status: int = 0, **more: object) -> Reply:
        """A refusal on the HTTP status that its code names, or on 200: Midtrans' Node client expects 404 and 412 so."""
        told = {"status_code": code, "status_message": text, **more, "id": self._linking.uuid()}
        return json_reply(status or int(code), told)


def _denied(code: str) -> Reply:
    """The provider's refusal, which is no HTTP error."""
    told = {"status_code": "202", "payment_type": "gopay", "channel_response_code": code}
    return json_reply(202, {**told, "channel_response_message": REFUSALS[code]})
