"""The OVO mock, built from wallets.md (sections 1, 3, 12.4, 13) and decisions O1-O15; README.md says what it does."""

from mock_partners.ovo.app import create_app
from mock_partners.ovo.credentials import CREDENTIALS

__all__ = ["CREDENTIALS", "create_app"]
