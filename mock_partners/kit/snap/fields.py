"""Reads the fields of a SNAP body strictly: type, length, pattern, money (snap-bni.md 1.2)."""

from __future__ import annotations

import re
from typing import Any

from mock_partners.kit.snap.refusals import Refusal, malformed, missing

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

    def amount(self, name: str, *, required: bool = True) -> int | None:
        """Whole rupiah out of {"value":"10000.00","currency":"IDR"}; zero is malformed."""
        if not required and not self._values.get(name):
            return None
        money = self.object(name)
        found = AMOUNT.fullmatch(money.text("value", 19))
        if money.text("currency", 3) != "IDR":
            raise malformed(f"{self._inside}{name}.currency")
        if found is None or int(found[1]) == 0:
            raise malformed(f"{self._inside}{name}.value")
        return int(found[1])

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

    def _absent(self, name: str) -> Refusal:
        return (malformed if self._empty_is_malformed else missing)(self._inside + name)


def rupiah(amount_rupiah: int) -> dict[str, str]:
    """SNAP's money object."""
    return {"value": f"{amount_rupiah}.00", "currency": "IDR"}
