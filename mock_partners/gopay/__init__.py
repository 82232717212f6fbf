"""The GoPay (Midtrans) mock, built from wallets.md 2, 7, 12-14 and decisions G1-G12; README.md says what it does."""

from mock_partners.gopay.app import create_app
from mock_partners.gopay.credentials import CREDENTIALS

__all__ = ["CREDENTIALS", "create_app"]
