"""LinkAja's legacy customer binding (wallets.md 4.5 B) and the NIK check, which is assumed (4.6, decisions L3)."""

from __future__ import annotations

from typing import Any

from mock_partners.kit.http import Call, Reply, json_reply, redirect
from mock_partners.kit.identity import Match, checked
from mock_partners.kit.redirects import RegisteredRedirect
from mock_partners.kit.snap.refusals import Refusal
from mock_partners.kit.world import Account
from mock_partners.linkaja.cashin import CashIn, msisdn
from mock_partners.linkaja.credentials import VALUES
from mock_partners.linkaja.legacy import Refused, as_status, text_of
from mock_partners.linkaja.linking import PHONE, SESSION_ID, Linking, PageRequest

REFUSED_LINKS = {"11": "14", "18": "62", "68": "68"}
"""The legacy code for each case of a refused SNAP link (assumed)."""
WORDS = {Match.SAME: "Y", Match.OTHER: "N", Match.NONE: "U", Match.RUNNING: "P"}
LEVEL = {"full": "FULL", "basic": "BASIC"}


class CustBind:
    """The handlers of `/v1/custbind` and of the page that stands for LinkAja's app."""

    def __init__(self, linking: Linking, cashin: CashIn, registered: RegisteredRedirect) -> None:
        self._linking, self._cashin, self._registered = linking, cashin, registered

    async def authorize(self, call: Call) -> Reply:
        """GET /custbind/authorize: opens the page that comes back with a sessionID (assumed extension)."""
        query = call.query_values()
        try:
            text_of(query, "username", VALUES["hmac_username"])
            return_url = text_of(query, "redirectUrl", ".{1,512}")
            if not self._registered.matches(return_url):
                raise Refused("30", "Format Error: redirectUrl")
            state = text_of(query, "state", ".{1,32}")
            account = _linkable(self._linking, text_of(query, "msisdn", PHONE))
        except Refused as refused:
            return json_reply(400, as_status(refused.code, refused.message))
        return redirect(self._linking.open_page(PageRequest(account, return_url, state, SESSION_ID)))

    async def verify_session(self, _call: Call, body: dict[str, Any]) -> Reply:
        """POST /v1/custbind/verify/sessionid: swaps a sessionID, once, for the customer's number and token."""
        consent = self._linking.links.take_code(text_of(body, "sessionID", ".{1,256}"), SESSION_ID)
        if consent is None:
            raise Refused("40", "Invalid Session")
        account = _linkable(self._linking, consent.account.phone)
        token = self._linking.links.establish(consent)
        data = {"customerNumber": msisdn(account), "customerAccessToken": token.value}
        return json_reply(200, {"status": "00", "data": data})

    async def verify_kyc(self, _call: Call, body: dict[str, Any]) -> Reply:
        """POST /v1/custbind/verify/kyc: whether a NIK is the account's; it never tells the NIK on file."""
        token = text_of(body, "token", ".{1,2048}")
        nik = text_of(body, "nik", "[0-9]{16}")
        account = self._cashin.account_of(token)
        if not account.active:
            raise Refused("62", "Account Blocked")
        match = checked(account, nik)
        if match is Match.UNAVAILABLE:
            raise Refused("96", "System Error", status=500)
        data = {"customerNumber": msisdn(account), "serviceLevel": LEVEL[account.kyc], "nikMatch": WORDS[match]}
        return json_reply(200, {"status": "00", "data": data})


def _linkable(linking: Linking, phone: str) -> Account:
    """The SNAP gateway's rules of linking, in two-digit codes."""
    try:
        return linking.linkable(phone)
    except Refusal as refusal:
        raise Refused(REFUSED_LINKS[refusal.case], refusal.message) from None
