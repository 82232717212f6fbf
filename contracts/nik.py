"""The NIK (Nomor Induk Kependudukan): Indonesia's 16-digit national ID number (snap-bni.md section 3)."""

from __future__ import annotations

import hmac
import re
from typing import final

_SHAPE = re.compile(r"[0-9]{16}", re.ASCII)
_PLAIN = re.compile(r"[0-9]{6}(?:[04][1-9]|[15][0-9]|[26][0-8])(?:0[1-9]|1[0-2])[0-9]{2}(?!0000)[0-9]{4}", re.ASCII)
"""A NIK with a day that every month has, told at once."""


class NikInvalid(ValueError):
    """The text is not a NIK; the message names the rule that failed and never the value."""


@final
class Nik:
    """A well-formed NIK that prints as `Nik(***)`.

    Checked by hand (snap-bni.md 3.2): 16 ASCII digits; day 1-31, or 41-71 for women; a real date in 19YY or 20YY;
    serial other than 0000. Regions are never checked: they are places of first issue and outlive the regions.
    """

    __slots__ = ("_digits",)

    def __init__(self, text: str) -> None:
        if (fault := _fault(text)) is not None:
            raise NikInvalid(fault)
        self._digits = text

    def reveal(self) -> str:
        """The 16 digits: only for a partner request, for sealing or for the blind index."""
        return self._digits

    def same_as(self, digits: str) -> bool:
        """Whether a partner's digits are this NIK, compared in constant time."""
        return hmac.compare_digest(self._digits.encode(), digits.encode())

    def __repr__(self) -> str:
        return "Nik(***)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return self.same_as(other._digits) if isinstance(other, Nik) else NotImplemented

    def __hash__(self) -> int:
        return hash((Nik, self._digits))

    def __reduce__(self) -> str:
        raise TypeError("a NIK is not pickled; seal it")


def is_nik(text: str) -> bool:
    """Whether the text is a well-formed NIK."""
    return _PLAIN.fullmatch(text) is not None or _fault(text) is None


def _fault(text: str) -> str | None:
    """The rule that the text breaks."""
    if not isinstance(text, str) or _SHAPE.fullmatch(text) is None:
        return "a NIK has exactly 16 digits"
    day, month, year = int(text[6:8]), int(text[8:10]), int(text[10:12])
    if 41 <= day <= 71:
        day -= 40
    if not _is_date(year, month, day):
        return "digits 7-12 of a NIK are a date of birth"
    if text[12:] == "0000":
        return "the serial number of a NIK is not 0000"
    return None


_DAYS = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
"""In each month of a year that is no leap year; month 0 has none."""


def _is_date(year: int, month: int, day: int) -> bool:
    """Whether there is such a day in 19YY or in 20YY: of 1900 and 2000 one is a leap year."""
    return 1 <= month <= 12 and (1 <= day <= _DAYS[month] or (day, month, year % 4) == (29, 2, 0))
