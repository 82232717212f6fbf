"""The DANA mock, from dana.md and decisions D1-D14; README.md says what it does."""

from mock_partners.dana.app import create_app
from mock_partners.dana.credentials import CREDENTIALS

__all__ = ["CREDENTIALS", "create_app"]
