"""What BNI's sandbox would have handed over. Everything here is invented or a published sample and protects nothing."""

from __future__ import annotations

from typing import Any

from mock_partners.kit.keys import Key, private_key, private_pem, public_pem
from mock_partners.kit.snap.tokens import Client
from mock_partners.kit.world import Account, sandbox_accounts

SOURCE_ACCOUNT = "0115476117"
"""The programme's own account, whose balance is the deposit (number: snap-bni.md 2.3, BNI's SDK tests)."""
SOURCE_ACCOUNTS = (SOURCE_ACCOUNT, "1000161562", "113183203", "0316031099")
"""Accounts that draw on the one deposit: those that BNI's SDK tests and samples pay from (snap-bni.md 2.2, 2.3)."""
CLEARING_SOURCE_ACCOUNTS = (*SOURCE_ACCOUNTS, "0115476151")
"""BNI's SDK tests pay RTGS and SKN from an account that is a beneficiary elsewhere (snap-bni.md 2.3)."""
EMPTY_SOURCE_ACCOUNTS = ("0114754574", "0317709144")
"""Source accounts that are always without money: 4031714 and 4031814 (snap-bni.md 2.3, BNI's SDK tests)."""

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

ONE_GATE_PAYMENT = {
    "app_name": "Test APP",
    "client_id": VALUES["client_id"],
    "client_secret": "bni-oauth-secret-test",
    "api_key": VALUES["api_key"],
    "api_secret": VALUES["api_secret"],
}
"""Opens the H2H calls, which the gateway does not use; so it is no credential of decisions S1. The body's clientId
is made of `app_name`; `client_id` is OAuth's and X-CLIENT-KEY's (snap-bni.md 2.1, 2.2)."""

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
    {
        "account": "317125693", "phone": "+6281200000693", "holder_name": "DEWI LESTARI",
        "nik_on_file": "3174016304909905", "kyc": "full", "status": "active", "card_no": "1946340000000693",
        "shows": "an account of nine digits, as BNI's SDK tests ask for",
    },
    {
        "account": "1000287621", "phone": "+6281200000621", "holder_name": "EKO PRASETYO",
        "nik_on_file": "3174012304909906", "kyc": "full", "status": "blocked", "card_no": "1946340000000621",
        "shows": "an inactive account, as BNI's SDK tests ask for",
    },
    {
        "account": "115471119", "phone": "+6281200000119", "holder_name": "JONO MADE",
        "nik_on_file": "3174012304909907", "kyc": "full", "status": "active", "card_no": "1946340000000119",
        "shows": "the in-house account of One Gate Payment's samples",
    },
)  # fmt: skip

CREDENTIALS: dict[str, Any] = {
    "credentials": VALUES,
    "test_accounts": list(TEST_ACCOUNTS),
    "one_gate_payment": ONE_GATE_PAYMENT,
    "notification_public_key_pem": public_pem(Key.BNI),
    "next_keys": {"private_key_pem": private_pem(Key.CLIENT_NEXT)},
}


def test_accounts() -> list[Account]:
    """Fresh copies of the fixed sandbox accounts, for a world."""
    return sandbox_accounts("bni", TEST_ACCOUNTS)


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
