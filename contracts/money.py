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

_DECIMAL = re.compile(r"(0|[1-9][0-9]{0,14})(?:\.(?:0{1,2}|0{4,14}))?", re.ASCII)
_GROUPED = re.compile(
    r"([1-9][0-9]{0,2}(?:,[0-9]{3}){1,4})\.0{1,2}|([1-9][0-9]{0,2}(?:\.[0-9]{3}){1,4}),0{1,2}"
    r"|([1-9][0-9]{0,2}(?:,[0-9]{3}){2,4}|[1-9][0-9]{0,2}(?:\.[0-9]{3}){2,4})",
    re.ASCII,
)
"""Groups of three, where another sign for the decimals or a second group tells them from decimals."""
_SEN = re.compile(r"([.,])(?:[0-9]{1,2}|[0-9]{4,14})$", re.ASCII)
_EXPONENT = re.compile(r"([1-9](?:\.[0-9]{1,12})?)E\+?([0-9]{1,2})", re.ASCII | re.IGNORECASE)


def decimal_string(amount_rupiah: int) -> str:
    """`50000` as `"50000.00"`: SNAP's and Iris' form (snap-bni.md 1.2, wallets.md 2.6)."""
    if amount_rupiah < 0:
        raise ValueError("an amount must not be negative")
    return f"{amount_rupiah}.00"


def parse_decimal_string(text: str) -> int:
    """`"50000.00"`, `"50000"`, `"50,000.00"`, `"50.000,00"` or `"5E+4"` as whole rupiah.

    Raises ValueError for a fraction other than zero, a sign, one group of three behind a single sign (`"50.000"` may be
    fifty or fifty thousand), or anything else; the text is not quoted in the error.
    """
    if found := _DECIMAL.fullmatch(text):
        return int(found.group(1))
    if found := _GROUPED.fullmatch(text):
        return int("".join(filter(str.isdigit, found[1] or found[2] or found[3])))
    if found := _EXPONENT.fullmatch(text):
        whole, _, fraction = found[1].partition(".")
        if len(fraction) <= (shift := int(found[2])) <= 14:
            return int(whole + fraction.ljust(shift, "0"))
    raise ValueError("not a whole amount of rupiah")


def without_sen(text: str) -> str:
    """`"12,345.67"` as `"12,345.00"`: what a bank adds by itself (interest, its tax, a fee) has sen, no payment has."""
    return _SEN.sub(r"\g<1>00", text)
