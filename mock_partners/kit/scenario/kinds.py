"""What a value of the scenario language may be: each kind checks it and says what is allowed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from mock_partners.kit.clock import JAKARTA

LONGEST_S = 366 * 86_400
MOST = 1_000_000
MOST_RUPIAH = 10**15
MAX_TEXT = 100_000


@dataclass(frozen=True)
class Kind:
    """`check` is whether a value will do, `allowed` ends the sentence "must be ..."."""

    allowed: str
    check: Callable[[Any], bool]
    read: Callable[[Any], Any] = lambda value: value


def choice(*names: str) -> Kind:
    """One of some names."""
    return Kind("one of: " + ", ".join(names), lambda value: isinstance(value, str) and value in names)


def choices(*names: str) -> Kind:
    """One name or a list of names, kept as a tuple."""
    allowed = f"one or a list of: {', '.join(names)}"
    return Kind(allowed, lambda value: _each(value, lambda one: one in names), _as_tuple)


def pattern(text: str, allowed: str) -> Kind:
    """A text of a form that `allowed` describes."""
    return Kind(allowed, lambda value: isinstance(value, str) and re.fullmatch(text, value) is not None)


def count(least: int, most: int = MOST) -> Kind:
    """A whole number, both ends included."""
    return Kind(f"a whole number from {least} to {most}", lambda value: _whole(value, least, most))


def table(parts: Mapping[str, Kind], required: tuple[str, ...] = ()) -> Kind:
    """An inline table of fixed keys."""

    def check(value: Any) -> bool:
        known = isinstance(value, dict) and value.keys() <= parts.keys() and set(required) <= value.keys()
        return known and bool(value) and all(parts[name].check(part) for name, part in value.items())

    inside = ", ".join(f"{name} = {kind.allowed}" for name, kind in parts.items())
    return Kind(f"a table of {inside}", check)


def _whole(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _number(value: Any, least: float, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def _each(value: Any, check: Callable[[str], bool]) -> bool:
    values = value if isinstance(value, list) else [value]
    return bool(values) and all(isinstance(one, str) and 0 < len(one) <= 500 and check(one) for one in values)


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list) else (value,)


def _jakarta(value: datetime) -> datetime:
    return value.replace(tzinfo=JAKARTA) if value.tzinfo is None else value


def _amount(value: Any) -> bool:
    if isinstance(value, dict):
        return bool(value) and value.keys() <= {"min", "max"} and all(_amount(part) for part in value.values())
    return _whole(value, 0, MOST_RUPIAH)


def _two_times(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(one, time) for one in value)


def _texts_by_name(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(isinstance(one, str) for one in value.values())


def _plain(value: Any) -> bool:
    """A value that JSON has too."""
    if isinstance(value, dict):
        return all(_plain(part) for part in value.values())
    if isinstance(value, list):
        return all(_plain(part) for part in value)
    return not isinstance(value, datetime | date | time) and value == value


def _spread(value: Any) -> bool:
    """A table of min and max, or of from, to and over_s."""
    if not isinstance(value, dict) or not all(_number(part, 0, LONGEST_S) for part in value.values()):
        return False
    if value.keys() == {"min", "max"}:
        return bool(value["min"] <= value["max"])
    return value.keys() == {"from", "to", "over_s"} and value["over_s"] > 0


FLAG = Kind("true (leave the key out for no)", lambda value: value is True)
TEXT = Kind(f"a text of at most {MAX_TEXT} characters", lambda value: isinstance(value, str) and len(value) <= MAX_TEXT)
TEXTS = Kind("a text or a list of texts", lambda value: _each(value, lambda one: True), _as_tuple)
SECONDS = Kind(f"seconds from 0 to {LONGEST_S}", lambda value: _number(value, 0, LONGEST_S))
DELAY = Kind(
    f"seconds from 0 to {LONGEST_S}, or a table: min and max to draw between, or from, to and over_s to climb",
    lambda value: _number(value, 0, LONGEST_S) or _spread(value),
)
SIGNED_SECONDS = Kind(f"seconds from -{LONGEST_S} to {LONGEST_S}", lambda value: _number(value, -LONGEST_S, LONGEST_S))
RUPIAH = count(0, MOST_RUPIAH)
RATE = Kind("a share from 0 to 1", lambda value: _number(value, 0, 1))
NUMBERS = Kind(
    "a whole number from 1, or a list of them",
    lambda value: bool(values := _as_tuple(value)) and all(_whole(one, 1, MOST) for one in values),
    _as_tuple,
)
MOMENT = Kind(
    "a date and time without quotes, 2026-01-15T23:00:00+07:00 (Jakarta's without an offset)",
    lambda value: isinstance(value, datetime),
    _jakarta,
)
TIMES = Kind("two times without quotes, [23:00:00, 01:00:00] (Jakarta)", _two_times, _as_tuple)
AMOUNT = Kind("rupiah, 600000, or a table of min and max", _amount)
TEXTS_BY_NAME = Kind('a table of texts, { "name" = "text" }', _texts_by_name)
VALUES_BY_NAME = Kind(
    'a table of values, { "additionalInfo.page" = "2" }',
    lambda value: isinstance(value, dict) and bool(value) and _plain(value),
)
