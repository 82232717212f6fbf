"""What Midtrans tells the merchant about links: SNAP's notification under RSA, the legacy one under SHA512."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

import msgspec

from mock_partners.gopay.credentials import CORE_SERVER_KEY, VALUES
from mock_partners.kit.clock import Clock
from mock_partners.kit.keys import Key, private_key
from mock_partners.kit.notice import Notice
from mock_partners.kit.notify import Notifier
from mock_partners.kit.snap.signatures import asymmetric_text, sign_asymmetric, timestamp
from mock_partners.kit.world import Account, World

SNAP_PATH = "/callbacks/gopay/v1.0/registration-account/notify"
CORE_PATH = "/callbacks/gopay/v2/pay/account"
"""Assumed: decisions X2 names no path, since the gateway does not use the legacy flow."""
RETRIES_S = (0.02, 0.04, 0.08)


class Change(StrEnum):
    """Why a link changed, in Midtrans' words (`statusMessage`)."""

    LINKED = "Account linked"
    PHONE_CHANGED = "User changed phone number"
    UNLINKED = "Account unlinked"


@dataclass(repr=False)
class Link:
    """One customer's account and its one long-lived token; `core_id`: the account_id if Core made the link."""

    account: Account
    token: str
    enabled: bool = True
    core_id: str = ""


class LinkNotices:
    """Posts a notification for each change of a link, on the flow that made the link."""

    def __init__(self, world: World, clock: Clock, notifier: Notifier, notify_base: str) -> None:
        self._world, self._clock, self._notifier = world, clock, notifier
        self._signed_path = urlsplit(notify_base).path.rstrip("/") + SNAP_PATH

    def post(self, link: Link, change: Change) -> None:
        """Sends at once, then after 20, 40 and 80 ms while the answer is not 2xx (decisions G12)."""
        notice = self._core(link, change) if link.core_id else self._snap(link, change)
        self._notifier.post(notice, retries_s=RETRIES_S)

    def _snap(self, link: Link, change: Change) -> Notice:
        """Service 88, signed with Midtrans' own key over the full request path (decisions X2)."""
        info = {
            "accessToken": link.token,
            "merchantId": VALUES["snap_partner_id"],
            "subMerchantId": VALUES["payment_handle"],
            "paymentType": "gopay",
            "accountStatus": _status(change),
            "statusMessage": change.value,
        }
        body = msgspec.json.encode({"additionalInfo": info})
        at = timestamp(self._clock.now())
        text = asymmetric_text("POST", self._signed_path, body, at)
        headers = {
            "Content-Type": "application/json",
            "X-TIMESTAMP": at,
            "X-SIGNATURE": sign_asymmetric(private_key(Key.MIDTRANS), text),
            "X-PARTNER-ID": VALUES["snap_partner_id"],
            "X-EXTERNAL-ID": f"{self._world.number():018d}",
        }

        def rotated() -> dict[str, str]:
            return {"X-SIGNATURE": sign_asymmetric(private_key(Key.MIDTRANS_NEXT), text)}

        return Notice("POST", SNAP_PATH, body, headers, rotated)

    @staticmethod
    def _core(link: Link, change: Change) -> Notice:
        linked = change is Change.LINKED
        status, status_code = _status(change), "200" if linked else "204"
        told = {
            "account_id": link.core_id,
            "merchant_id": VALUES["snap_partner_id"],
            "payment_type": "gopay",
            "signature_key": core_signature(link.core_id, status, status_code, CORE_SERVER_KEY),
            "status_code": status_code,
            "account_status": status,
            "status_message": f"Midtrans account_{'linked' if linked else 'unlinked'} notification",
        }
        return Notice("POST", CORE_PATH, msgspec.json.encode(told), {"Content-Type": "application/json"})


def core_signature(account_id: str, account_status: str, status_code: str, server_key: str) -> str:
    """signature_key of the pay-account notification (wallets.md 2.4)."""
    return hashlib.sha512(f"{account_id}{account_status}{status_code}{server_key}".encode()).hexdigest()


def _status(change: Change) -> str:
    return "ENABLED" if change is Change.LINKED else "DISABLED"
