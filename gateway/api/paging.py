"""Cursors of lists: opaque to clients, so that what they are made of may change."""

from __future__ import annotations

import base64
import binascii
import re

from contracts.errors import InvalidRequest

_NUMBERS = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})*", re.ASCII)


def cursor_of(*numbers: int) -> str:
    """Where the next page begins."""
    return base64.urlsafe_b64encode(".".join(map(str, numbers)).encode()).decode().rstrip("=")


def numbers_of(cursor: str | None, count: int) -> tuple[int, ...]:
    """The numbers in a cursor, zeros without one; raises `InvalidRequest`."""
    if not cursor:
        return (0,) * count
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    numbers = text.split(".")
    if _NUMBERS.fullmatch(text) is None or len(numbers) != count:
        raise InvalidRequest(
            "The cursor is not one of this list.", field="cursor", remedy="Use a cursor from the last page, or none."
        )
    return tuple(int(number) for number in numbers)
