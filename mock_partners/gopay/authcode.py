"""The browser's way to an authCode (wallets.md 2.3 points 2-5): get-auth-code, GoPay's page, the redirect back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, unquote_plus

from mock_partners.gopay.credentials import VALUES
from mock_partners.gopay.linking import Linking
from mock_partners.gopay.look import LOOK
from mock_partners.kit.clock import Clock
from mock_partners.kit.http import Call, Reply, Route, redirect
from mock_partners.kit.keys import Key, private_key
from mock_partners.kit.look import Step, gone
from mock_partners.kit.pages import MERCHANT, End, Page, Pages
from mock_partners.kit.redirects import RegisteredRedirect, with_parameters
from mock_partners.kit.snap.magic import refuse_if_magic
from mock_partners.kit.snap.refusals import Refusal
from mock_partners.kit.snap.signatures import asymmetric_ok
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import Account, World

PAGE_PREFIX, ERROR_PAGE = "/app/authorize", "/app/error"
LIMITS = {"redirectUrl": 256, "state": 32, "seamlessData": 512, "seamlessSign": 512, "merchantId": 64}
CHOICES = {"scopes": ("DEFAULT",), "lang": ("id", "en")}
FAILURES = {End.DENIED: ("4031005", "Consent denied by customer"), End.LOCKED: ("4031011", "PIN blocked")}


class AuthCodeRefusal(Exception):
    """Ends get-auth-code with a code in the redirect; the HTTP status stays 302."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code} {message}")
        self.code, self.message = code, message


@dataclass(frozen=True, repr=False)
class Request:
    """What a page was opened for."""

    account: Account
    redirect_url: str
    state: str


class AuthCode:
    """`GET /v1.0/get-auth-code` and the pages behind it. The SNAP headers are deprecated there and not looked at."""

    def __init__(self, world: World, clock: Clock, waits: Waits, linking: Linking, notify_base: str) -> None:
        self._world, self._linking = world, linking
        self._registered = RegisteredRedirect(notify_base, "gopay")
        self._pages = Pages(
            world, clock, waits, prefix=PAGE_PREFIX, look=LOOK, finish=self._finish, once=True
        )  # fmt: skip

    def routes(self) -> list[Route]:
        """get-auth-code, GoPay's pages, and the page for a redirectUrl that cannot be trusted."""
        return [
            Route("GET", "/v1.0/get-auth-code", self._begin),
            Route("GET", ERROR_PAGE, self._error_page),
            *self._pages.routes(),
        ]

    async def _begin(self, call: Call) -> Reply:
        raw = _raw_query(call.query)
        name = "redirectURL" if "redirectURL" in raw else "redirectUrl"
        redirect_url = unquote_plus(raw.get(name, ""))
        if len(redirect_url) > LIMITS["redirectUrl"] or not self._registered.matches(redirect_url):
            return redirect(with_parameters(ERROR_PAGE, responseCode="4001001", responseMessage="redirectUrl"))
        try:
            request = self._read(raw, redirect_url)
        except AuthCodeRefusal as refusal:
            return redirect(with_parameters(redirect_url, responseCode=refusal.code, responseMessage=refusal.message))
        steps = (Step.AGREE, Step.PHONE, Step.OTP, Step.PIN)
        return redirect(self._pages.open(request, phone=request.account.phone, pin=request.account.pin, steps=steps))

    def _read(self, raw: dict[str, str], redirect_url: str) -> Request:
        for name in ("state", "merchantId", "seamlessData", "seamlessSign"):
            if not raw.get(name):
                raise AuthCodeRefusal("4001002", f"Invalid Mandatory Field {name}")
            value = raw[name] if name.startswith("seamless") else unquote_plus(raw[name])
            if len(value) > LIMITS[name]:
                raise AuthCodeRefusal("4001001", f"Invalid Field Format {name}")
        for name, allowed in CHOICES.items():
            if name in raw and unquote_plus(raw[name]) not in allowed:
                raise AuthCodeRefusal("4001001", f"Invalid Field Format {name}")
        if unquote_plus(raw["merchantId"]) != VALUES["payment_handle"]:
            raise AuthCodeRefusal("4011000", "Unauthorized. [merchantId]")
        signed = signed_data(raw["seamlessData"], raw["seamlessSign"])
        if signed is None:
            raise AuthCodeRefusal("4011000", "Unauthorized. [Signature]")
        return Request(self._account(signed), redirect_url, unquote_plus(raw["state"]))

    def _account(self, signed: str) -> Account:
        """The account of the signed phone number, or G1 (unregistered) and G2 (blocked)."""
        data = parse_qs(unquote(signed), keep_blank_values=True)
        for name in ("mobileNumber", "paymentType"):
            if not data.get(name, [""])[0]:
                raise AuthCodeRefusal("4001002", f"Invalid Mandatory Field {name}")
        phone = data["mobileNumber"][0]
        if not re.fullmatch("62[0-9]{7,13}", phone):
            raise AuthCodeRefusal("4001001", "Invalid Field Format mobileNumber")
        try:
            refuse_if_magic(phone)
        except Refusal as refusal:
            raise AuthCodeRefusal(f"{refusal.status}10{refusal.case}", refusal.message) from None
        if data["paymentType"][0] != "gopay":
            raise AuthCodeRefusal("4001001", "Invalid Field Format paymentType")
        account = self._world.wallet(phone)
        if account is None:
            raise AuthCodeRefusal("4041012", "Phone number is not registered on GoPay")
        if not account.active:
            raise AuthCodeRefusal("4031018", "Inactive Account")
        return account

    def _finish(self, page: Page, end: End) -> str:
        """The redirect of the webview flow; a failed one carries no state (wallets.md 2.3 point 5)."""
        request: Request = page.subject
        if end is not End.AGREED:
            code, message = FAILURES[end]
            return with_parameters(request.redirect_url, errorCode=code, errorDesc=message)
        code = self._linking.issue_code(request.account)
        return with_parameters(request.redirect_url, authCode=code, state=request.state, success="true")

    async def _error_page(self, call: Call) -> Reply:
        return gone(LOOK, MERCHANT, 400)


def signed_data(raw_data: str, raw_sign: str) -> str | None:
    """seamlessData as it was signed, or None if seamlessSign is wrong (wallets.md 2.3 point 1 and 12.1).

    The signed text is the once-encoded value, as it stands in the query. A second encoding of either value, as a
    helper that builds queries would add it, is taken too (assumed); a signature over the decoded text is not.
    """
    key = private_key(Key.WALLETS).public_key()
    for data in (raw_data, unquote(raw_data)):
        if re.search("[=&]", data):
            continue
        sign = unquote_plus(raw_sign)
        if any(asymmetric_ok(key, data.encode(), given) for given in (sign, unquote_plus(sign))):
            return data
    return None


def _raw_query(query: str) -> dict[str, str]:
    """The query's values as they stand, undecoded; the first of each name."""
    raw: dict[str, str] = {}
    for part in query.split("&"):
        name, _, value = part.partition("=")
        raw.setdefault(unquote(name), value)
    return raw
