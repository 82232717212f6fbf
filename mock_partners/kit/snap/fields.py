"""Reads the fields of a SNAP body strictly: type, length, pattern, money, times (snap-bni.md 1.2)."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Any

from mock_partners.kit.clock import JAKARTA
from mock_partners.kit.snap.refusals import Refusal, malformed, missing
from mock_partners.kit.snap.signatures import parse_timestamp

AMOUNT = re.compile(r"([0-9]{1,16})\.00")
"""IDR has two decimals and they are zero: a fraction of a rupiah cannot be moved."""


class Fields:
    """The fields of one object in a body; `empty_is_malformed`: an empty mandatory field is 400xx01, not 02 (BNI)."""

    def __init__(self, values: dict[str, Any], *, empty_is_malformed: bool = False, inside: str = "") -> None:
        self._values = values
        self._empty_is_malformed = empty_is_malformed
        self._inside = inside

    def text(self, name: str, limit: int, *, pattern: str = "", required: bool = True) -> str:
        """A string of at most `limit` characters; "" for an optional one that is absent, null or empty."""
        value = self._values.get(name)
        if value is None or value == "":
            if required:
                raise self._absent(name)
            return ""
        if not isinstance(value, str) or len(value) > limit or (pattern and not re.fullmatch(pattern, value)):
            raise malformed(self._inside + name)
        return value

    def amount(self, name: str, *, zero: bool = False) -> int:
        """Whole rupiah out of {"value":"10000.00","currency":"IDR"}; zero is malformed, but for a fee."""
        money = self.object(name)
        found = AMOUNT.fullmatch(money.text("value", 19))
        if money.text("currency", 3) != "IDR":
            raise malformed(f"{self._inside}{name}.currency")
        if found is None or not (zero or int(found[1])):
            raise malformed(f"{self._inside}{name}.value")
        return int(found[1])

    def count(self, name: str, digits: int, default: int) -> int:
        """A number from 1 on, written as text of at most so many digits; may be absent."""
        return int(self.text(name, digits, pattern="[1-9][0-9]*", required=False) or default)

    def moment(self, name: str, limit: int, *, required: bool = True) -> datetime | None:
        """An ISO 8601 time; None for an optional one that is absent."""
        text = self.text(name, limit, required=required)
        moment = parse_timestamp(text)
        if text and moment is None:
            raise malformed(self._inside + name)
        return moment

    def days(self, limit: int, most: int) -> tuple[date, int]:
        """`fromDateTime` and `toDateTime` as the first Jakarta day and how many there are, at most `most`."""
        first, last = (self._day(name, limit) for name in ("fromDateTime", "toDateTime"))
        count = (last - first).days + 1
        if not 0 < count <= most:
            raise malformed(self._inside + "toDateTime")
        return first, count

    def object(self, name: str, *, required: bool = True) -> Fields:
        """A nested object; an empty one for an optional one that is absent."""
        value = self._values.get(name)
        if value is None:
            if required:
                raise self._absent(name)
            value = {}
        if not isinstance(value, dict):
            raise malformed(self._inside + name)
        return Fields(value, empty_is_malformed=self._empty_is_malformed, inside=f"{self._inside}{name}.")

    def _day(self, name: str, limit: int) -> date:
        moment = self.moment(name, limit)
        assert moment is not None  # needed: an absent one was refused
        return moment.astimezone(JAKARTA).date()

    def _absent(self, name: str) -> Refusal:
        return (malformed if self._empty_is_malformed else missing)(self._inside + name)


def rupiah(amount_rupiah: int) -> dict[str, str]:
    """SNAP's money object."""
    return {"value": f"{amount_rupiah}.00", "currency": "IDR"}
