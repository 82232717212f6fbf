"""Cursors of lists: opaque to clients, so that what they are made of may change; ids and times of their filters."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime, timedelta

from contracts.errors import InvalidRequest

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ID = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)
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


def number(text: str | None, field: str) -> int | None:
    """An id that is a number, as a filter names it; raises `InvalidRequest`."""
    return None if text is None else the_number(text, field)


def the_number(text: str, field: str) -> int:
    """An id that is a number, as a body names it, in its one spelling: what is looked at and what is acted on must be
    one row, and a schema's `$` lets a line end pass. Raises `InvalidRequest`.
    """
    if _ID.fullmatch(text) is None:
        raise InvalidRequest(
            f"{field} is not an id of ours.",
            field=field,
            code="field_invalid",
            remedy="Ids are digits, 18 at most, without leading zeros.",
        )
    return int(text)


def moment_of(us: int) -> datetime:
    """A time out of a cursor, from microseconds since 1970; raises `InvalidRequest` where there is no such time."""
    try:
        return _EPOCH + timedelta(microseconds=us)
    except OverflowError:
        raise InvalidRequest("The cursor is not one of this list.", field="cursor") from None


def us_of(at: datetime) -> int:
    """Microseconds since 1970, for a cursor."""
    return (at - _EPOCH) // timedelta(microseconds=1)
