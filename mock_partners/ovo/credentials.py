"""What OVO's staging would have handed over. Everything here is invented or a published sample and protects nothing."""

from __future__ import annotations

from typing import Any

from mock_partners.kit.keys import Key, private_pem
from mock_partners.kit.snap.tokens import Client
from mock_partners.kit.world import Account, sandbox_accounts, wallet_people

VALUES = {
    "client_id": "ovo-client-0001",
    "client_secret": "ovo-client-secret-test",
    "private_key_pem": private_pem(Key.WALLETS),
    "partner_id": "ovo-partner-0001",
    "channel_id": "95221",
    "device_id": "prakerja-gateway-0001",
}

PUSH_APP_ID = "hypermart"
PUSH_APP_KEY = "a4f6bf89b2a85781b7c1cab997b7ee0c89be03f7ac6ef29b63a45d07253cc401"
"""OVO's own published documentation sample (wallets.md 8, V11)."""

TEST_ACCOUNTS = wallet_people("9902", basic="OVO Club: no NIK on file (NOT_AVAILABLE)")

CREDENTIALS: dict[str, Any] = {
    "credentials": VALUES,
    "test_accounts": list(TEST_ACCOUNTS),
    "push_to_pay": {"app_id": PUSH_APP_ID, "app_key": PUSH_APP_KEY},
    "next_keys": {"private_key_pem": private_pem(Key.CLIENT_NEXT)},
}


def test_accounts() -> list[Account]:
    """Fresh copies of the fixed sandbox accounts, for a world."""
    return sandbox_accounts("ovo", TEST_ACCOUNTS)


def snap_client() -> Client:
    """The programme's client as OVO registered it."""
    return Client.of(VALUES)
