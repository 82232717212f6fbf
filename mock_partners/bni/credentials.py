"""What BNI's sandbox would have handed over. Everything here is invented or a published sample and protects nothing."""

from __future__ import annotations

from typing import Any

from mock_partners.kit.keys import Key, private_key, private_pem
from mock_partners.kit.snap import Client
from mock_partners.kit.world import Account

SOURCE_ACCOUNT = "0115476117"
"""The programme's own account, whose balance is the deposit (number: snap-bni.md 2.3, BNI's SDK tests)."""
EMPTY_SOURCE_ACCOUNT = "0114754574"
"""Another source account, always without money: answers 4031714 (snap-bni.md 2.3, BNI's SDK tests)."""

VALUES = {
    "client_id": "bni-snap-client-0001",
    "api_key": "bni-snap-api-key-0001",
    "api_secret": "bni-snap-api-secret-test",
    "private_key_pem": private_pem(Key.T0),
    "source_account": SOURCE_ACCOUNT,
    "channel_id": "95221",
    "autopay_merchant_id": "bni-autopay-merchant-0001",
    "autopay_client_id": "bni-autopay-client-0001",
    "autopay_client_secret": "bni-autopay-secret-test",
    "autopay_private_key_pem": private_pem(Key.T0),
}

TEST_ACCOUNTS: tuple[dict[str, str], ...] = (
    {
        "account": "0115476151", "phone": "+6281200000151", "holder_name": "BUDI SANTOSO",
        "nik_on_file": "3174052209989901", "kyc": "full", "status": "active", "card_no": "1946340000000151",
        "shows": "linking, match, payout",
    },
    {
        "account": "0115476152", "phone": "+6281200000152", "holder_name": "SITI AMINAH",
        "nik_on_file": "", "kyc": "basic", "status": "active", "card_no": "1946340000000152",
        "shows": "no NIK on file (U)",
    },
    {
        "account": "0115476286", "phone": "+6281200000286", "holder_name": "AGUS SALIM",
        "nik_on_file": "3174056209989901", "kyc": "full", "status": "blocked", "card_no": "1946340000000286",
        "shows": "an inactive account",
    },
)  # fmt: skip

CREDENTIALS: dict[str, Any] = {"credentials": VALUES, "test_accounts": list(TEST_ACCOUNTS)}


def test_accounts() -> list[Account]:
    """Fresh copies of the fixed sandbox accounts, for a world."""
    return [
        Account(partner="bni", **{name: value for name, value in account.items() if name != "shows"})  # type: ignore[arg-type]
        for account in TEST_ACCOUNTS
    ]


def snap_client() -> Client:
    """The client of the SNAP services as BNI knows it."""
    return Client(
        VALUES["client_id"], VALUES["api_key"], VALUES["api_secret"].encode(), private_key(Key.T0).public_key()
    )


def autopay_client() -> Client:
    """The client of Autopay as BNI knows it."""
    return Client(
        VALUES["autopay_client_id"], VALUES["autopay_merchant_id"], VALUES["autopay_client_secret"].encode(),
        private_key(Key.T0).public_key(),
    )  # fmt: skip
