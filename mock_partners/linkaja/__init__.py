"""The LinkAja mock, from wallets.md (sections 1, 4, 12.5, 13) and decisions L1-L14; README.md says what it does."""

from mock_partners.linkaja.app import create_app
from mock_partners.linkaja.credentials import CREDENTIALS

__all__ = ["CREDENTIALS", "create_app"]
