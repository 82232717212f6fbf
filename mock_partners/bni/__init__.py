"""The BNI mock, built from snap-bni.md (sections 1, 2.3, 2.4, 6) and decisions B1-B10; README.md says what it does."""

from mock_partners.bni.app import create_app
from mock_partners.bni.credentials import CREDENTIALS

__all__ = ["CREDENTIALS", "create_app"]
