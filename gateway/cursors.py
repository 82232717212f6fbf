"""Cursors of lists: opaque to clients, so that what they are made of may change."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from contracts.errors import InvalidRequest

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBERS = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})*", re.ASCII)


def cursor_of(*numbers: int, of: str = "") -> str:
    """Where the next page begins. `of`: of which list; empty for places in the events, which clients keep for years."""
    return base64.urlsafe_b64encode((of + ".".join(map(str, numbers))).encode()).decode().rstrip("=")


def numbers_of(cursor: str | None, count: int, of: str = "") -> tuple[int, ...]:
    """The numbers in a cursor, zeros without one; raises `InvalidRequest`, also for another list's."""
    if not cursor:
        return (0,) * count
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    text = text.removeprefix(of) if text.startswith(of) else ""
    numbers = text.split(".")
    if _NUMBERS.fullmatch(text) is None or len(numbers) != count:
        raise InvalidRequest(
            "The cursor is not one of this list.", field="cursor", remedy="Use a cursor from the last page, or none."
        )
    return tuple(int(number) for number in numbers)


class ByTime(NamedTuple):
    """A list in order of a time of its rows, then of their ids."""

    name: str
    """In its cursors."""
    prefix: str
    """What its ids begin with."""

    def before(self, cursor: str | None) -> tuple[datetime, str] | None:
        """Time and id of the last row that was shown, None without a cursor; raises `InvalidRequest`."""
        if not cursor:
            return None
        us, number = numbers_of(cursor, 2, self.name)
        try:
            return _EPOCH + timedelta(microseconds=us), f"{self.prefix}{number}"
        except OverflowError:
            raise InvalidRequest("The cursor is not one of this list.", field="cursor") from None

    def after(self, at: datetime, row_id: str) -> str:
        """Where the next page begins once this row was shown."""
        return cursor_of((at - _EPOCH) // timedelta(microseconds=1), int(row_id[len(self.prefix) :]), of=self.name)
