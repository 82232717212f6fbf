"""What DANA's sandbox would have handed over. Everything here is invented and protects nothing."""

from __future__ import annotations

from typing import Any

from mock_partners.kit.keys import Key, partner_key, private_pem, public_pem
from mock_partners.kit.snap.tokens import Client
from mock_partners.kit.world import Account, sandbox_accounts, wallet_people

VALUES = {
    "client_id": "dana-client-0001",
    "client_secret": "dana-client-secret-test",
    "private_key_pem": private_pem(Key.WALLETS),
    "merchant_id": "dana-merchant-0001",
    "channel_id": "95221",
    "device_id": "prakerja-gateway-0001",
    "dana_public_key_pem": public_pem(partner_key("dana")),
}

TEST_ACCOUNTS = wallet_people("9904", basic="no NIK on file (KYC_NOT_VERIFIED)")

CREDENTIALS: dict[str, Any] = {
    "credentials": VALUES,
    "test_accounts": list(TEST_ACCOUNTS),
    "next_keys": {"private_key_pem": private_pem(Key.CLIENT_NEXT)},
}


def test_accounts() -> list[Account]:
    """Fresh copies of the fixed sandbox accounts, for a world."""
    return sandbox_accounts("dana", TEST_ACCOUNTS)


def snap_client() -> Client:
    """The programme's client as DANA registered it."""
    return Client.of(VALUES, partner_id="client_id")
