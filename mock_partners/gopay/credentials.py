"""What Midtrans' sandbox would have handed over. All of it is invented or printed in the sheet; it protects nothing."""

from __future__ import annotations

from typing import Any

from mock_partners.kit.keys import Key, private_key, private_pem, public_pem
from mock_partners.kit.snap.tokens import Client
from mock_partners.kit.world import Account, sandbox_accounts

VALUES = {
    "snap_client_id": "G990000001-SNAP",
    "snap_client_secret": "gopay-snap-secret-test",
    "snap_private_key_pem": private_pem(Key.WALLETS),
    "snap_partner_id": "G990000001",
    "payment_handle": "303b4f89-0000-4000-8000-62a8ffaefaf3",
    "midtrans_public_key_pem": public_pem(Key.MIDTRANS),
    "identity_merchant_id": "PRAKERJA",
    "iris_creator_key": "IRIS-creator-TEST1234",
    "iris_approver_key": "IRIS-approver-TEST1234",
    "iris_merchant_key": "IRIS-merchant-TEST1234",
    "channel_id": "12345",
    "device_id": "prakerja-gateway-0001",
}
CORE_SERVER_KEY = "SB-Mid-server-TEST1234"
"""Opens the legacy Core calls only, which the gateway does not use; so it is no credential of decisions S1."""
NEXT_MERCHANT_KEY = "IRIS-merchant-NEXT1234"
"""Valid beside the first once it is changed (decisions X13)."""
SANDBOX_OTP, SANDBOX_PIN = "987654", "112233"
"""Midtrans' sandbox constants (wallets.md 2.3)."""

TEST_ACCOUNTS: tuple[dict[str, str], ...] = (
    {
        "account": "+628215023424", "holder_name": "BUDI SANTOSO", "nik_on_file": "3174012304909901",
        "kyc": "full", "status": "active", "shows": "linking, match, payout",
    },
    {
        "account": "+628242974268", "holder_name": "SITI AMINAH", "nik_on_file": "",
        "kyc": "basic", "status": "active", "shows": "linking, no KYC submission (1519)",
    },
    {
        "account": "+628271939753", "holder_name": "AGUS SALIM", "nik_on_file": "3174056209989901",
        "kyc": "full", "status": "blocked", "shows": "a blocked GoPay account",
    },
    {
        "account": "+628242014881", "holder_name": "DEWI LESTARI", "nik_on_file": "3174016304909902",
        "kyc": "full", "status": "active", "shows": "Midtrans: insufficient balance (of payments; here like any)",
    },
    {
        "account": "+628237435829", "holder_name": "EKO PRASETYO", "nik_on_file": "3174012304909903",
        "kyc": "full", "status": "active", "shows": "Midtrans: promo (of payments; here like any)",
    },
    {
        "account": "+628103001242", "holder_name": "RINA WATI", "nik_on_file": "3174016304909904",
        "kyc": "full", "status": "active", "shows": "Midtrans: GoPayLater (of payments; here like any)",
    },
    {
        "account": "+62800900091", "holder_name": "TONO PRABOWO", "nik_on_file": "3174012304909908",
        "kyc": "full", "status": "active", "shows": "a KYC submission that stays INITIATED (assumed)",
    },
    {
        "account": "+62800900092", "holder_name": "WATI SUSANTI", "nik_on_file": "3174016304909909",
        "kyc": "full", "status": "active", "shows": "a KYC submission that ended in ERROR (assumed)",
    },
)  # fmt: skip
"""The documented sandbox numbers (wallets.md 2.8) with invented holders, and two that no customer can have."""
SANDBOX_PHONES = tuple(account["account"] for account in TEST_ACCOUNTS)

CREDENTIALS: dict[str, Any] = {
    "credentials": VALUES,
    "test_accounts": [{**account, "otp": SANDBOX_OTP, "pin": SANDBOX_PIN} for account in TEST_ACCOUNTS],
    "core_server_key": CORE_SERVER_KEY,
    "next_keys": {
        "snap_private_key_pem": private_pem(Key.CLIENT_NEXT),
        "midtrans_public_key_pem": public_pem(Key.MIDTRANS_NEXT),
        "iris_merchant_key": NEXT_MERCHANT_KEY,
    },
}


def test_accounts() -> list[Account]:
    """Fresh copies of the documented sandbox accounts, for a world."""
    return sandbox_accounts("gopay", ({**account, "pin": SANDBOX_PIN} for account in TEST_ACCOUNTS))


def sandbox_account(phone: str) -> Account:
    """Whoever answers to another number of the old sandbox, with its constant PIN."""
    return Account(
        partner="gopay", account=phone, phone=phone, holder_name="PELANGGAN GOPAY", nik_on_file="", kyc="basic",
        status="active", pin=SANDBOX_PIN,
    )  # fmt: skip


def snap_client() -> Client:
    """The merchant as the SNAP hosts know it."""
    return Client(
        VALUES["snap_client_id"], VALUES["snap_partner_id"], VALUES["snap_client_secret"].encode(),
        private_key(Key.WALLETS).public_key(),
    )  # fmt: skip
