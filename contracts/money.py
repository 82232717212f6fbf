"""Money: whole rupiah as `int`, named `amount_rupiah` everywhere; partners' decimal strings are converted here and
nowhere else.
"""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

MAX_AMOUNT_RUPIAH = 1_000_000_000
"""Upper bound of one incentive; far above any instalment, far below what would overflow a partner's field."""

AmountRupiah = Annotated[int, msgspec.Meta(ge=1, le=MAX_AMOUNT_RUPIAH)]
"""A positive whole amount of rupiah within `MAX_AMOUNT_RUPIAH`."""

_DECIMAL = re.compile(r"(0|[1-9][0-9]{0,14})(?:\.0{1,2})?", re.ASCII)


def decimal_string(amount_rupiah: int) -> str:
    """`50000` as `"50000.00"`: SNAP's and Iris' form (snap-bni.md 1.2, wallets.md 2.6)."""
    if amount_rupiah < 0:
        raise ValueError("an amount must not be negative")
    return f"{amount_rupiah}.00"


def parse_decimal_string(text: str) -> int:
    """`"50000.00"`, `"50000.0"` or `"50000"` as whole rupiah.

    Raises ValueError for a fraction other than zero, a sign, an exponent or anything else; the text is not quoted in
    the error.
    """
    found = _DECIMAL.fullmatch(text)
    if found is None:
        raise ValueError("not a whole amount of rupiah")
    return int(found.group(1))
