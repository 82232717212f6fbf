"""What LinkAja would have handed over for its dev gateway. Everything here is invented and protects nothing."""

from __future__ import annotations

from typing import Any

from mock_partners.kit.keys import Key, private_pem
from mock_partners.kit.snap.tokens import Client
from mock_partners.kit.world import Account, sandbox_accounts, wallet_people

VALUES = {
    "hmac_username": "test-partner",
    "hmac_secret": "test-secret",
    "client_id": "linkaja-client-0001",
    "client_secret": "lj-client-secret-test",
    "private_key_pem": private_pem(Key.WALLETS),
    "partner_id": "linkaja-partner-0001",
    "merchant_id": "506300000000000",
    "channel_id": "95221",
}

TEST_ACCOUNTS = wallet_people("9903", basic="Basic service: no NIK on file (U)", full="linking, match, cash-in")

CREDENTIALS: dict[str, Any] = {
    "credentials": VALUES,
    "test_accounts": list(TEST_ACCOUNTS),
    "next_keys": {"private_key_pem": private_pem(Key.CLIENT_NEXT)},
}


def test_accounts() -> list[Account]:
    """Fresh copies of the fixed sandbox accounts, for a world."""
    return sandbox_accounts("linkaja", TEST_ACCOUNTS)


def snap_client() -> Client:
    """The programme's client as LinkAja's SNAP gateway registered it."""
    return Client.of(VALUES)
