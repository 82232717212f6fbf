"""The web console on the port base: what every mock saw and keeps, with buttons for the control API."""

from mock_partners.kit.console.app import console

__all__ = ["console"]
