"""The partners that have a mock, a line each, as package `mock_partners.<name>`: `create_app`, `CREDENTIALS`."""

from __future__ import annotations

import re

PHONE = re.compile(r"\+62[0-9]{7,13}")
NUMBER = re.compile(r"[0-9]{10}")
PARTNERS: dict[str, re.Pattern[str]] = {
    "bni": NUMBER,
    "gopay": PHONE,
    "linkaja": PHONE,
    "ovo": PHONE,
    "dana": PHONE,
}
"""What an account is called there. They answer in this order on the ports above --port-base: a new one stands last."""


_NAMES = {"bni": "BNI", "gopay": "GoPay", "linkaja": "LinkAja", "ovo": "OVO", "dana": "DANA"}


def name_of(partner: str) -> str:
    """How people write it."""
    return _NAMES.get(partner, partner.capitalize())


def port_of(name: str, base: int) -> int:
    """Where a partner's mock answers."""
    return base + 1 + list(PARTNERS).index(name)
