"""Where two cassettes disagree, field by field.

Plans are paired by operation and turn, exchanges by their operation within the plan. Of a field, its presence, its JSON
type and its class are compared; codes, words and flags also by value. What differs by nature (ids, moments, amounts,
signatures, whatever was hidden) has a class and no more: a moment is a moment, whenever it was.
"""

from __future__ import annotations

import enum
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import msgspec

from gateway.workbench.cassette import Cassette, Exchange, Kept
from gateway.workbench.hiding import is_hidden

T = TypeVar("T")

_ID = re.compile(r"(reference|ref|trx|transaction|correlation|external|journey|submission|link|idempotency)", re.I)
_ID_END = re.compile(r"(no|num|number|id|key|reference)s?$", re.I)
_ADDRESSED = re.compile(r"\d{4}-\d\d-\d\d|[0-9a-f-]{8,}", re.I)
"""Days and numbers in a path or query."""
_CLASSES = (
    ("moment with zone", re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|[+-]\d\d:?\d\d)")),
    ("moment without zone", re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?")),
    ("HTTP date", re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [A-Z]{3}")),
    ("date", re.compile(r"\d{4}-\d\d-\d\d")),
    ("UUID", re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.I)),
    ("phone +62..", re.compile(r"\+628\d{7,12}")),
    ("phone 62..", re.compile(r"628\d{7,12}")),
    ("phone 08..", re.compile(r"08\d{7,12}")),
    ("amount with decimals", re.compile(r"-?\d+\.\d{2}")),
    ("digits", re.compile(r"\d{8,}")),
    ("id", re.compile(r"(?=[^\d]*\d)(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9_-]{12,}")),
    ("URL", re.compile(r"https?://\S+")),
)  # fmt: skip


class Kind(enum.Enum):
    """How two recordings differ in one place. `added`: the mock has what the recording does not."""

    ADDED = "added"
    MISSING = "missing"
    TYPE = "type"
    CLASS = "value class"
    VALUE = "value"


class Difference(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One place where they differ; `recorded` and `mock` hold placeholders wherever a value is private."""

    operation: str
    """The plan, as `contracts.partner.Partner` names it."""
    request: str
    """Which of its requests, as the adapter names it; empty where the plan as a whole is meant."""
    field: str
    """Path from `request`, `reply` or `outcome` on; `[]` stands for every element of a list."""
    kind: str
    recorded: str | None
    mock: str | None


def differences(recorded: Cassette, mock: Cassette) -> list[Difference]:
    """Every disagreement once, in the order of the recording."""
    found: dict[Difference, None] = {}
    for operation, ours, theirs in _pairs(
        [(take.operation, take) for take in recorded.takes], [(take.operation, take) for take in mock.takes]
    ):
        for difference in _takes(operation, ours, theirs):
            found.setdefault(difference)
    return list(found)


def _takes(operation: str, recorded: Kept | None, mock: Kept | None) -> Iterator[Difference]:
    if recorded is None or mock is None:
        yield _difference(operation, "", "plan", *_there(recorded is not None))
        return
    for request, one, other in _pairs(_named(recorded), _named(mock)):
        if one is None or other is None:
            yield _difference(operation, request, "request", *_there(one is not None))
            continue
        for part in ("request", "reply"):
            a, b = msgspec.to_builtins(getattr(one, part)), msgspec.to_builtins(getattr(other, part))
            for field, kind, left, right in _walk(a, b, part):
                yield _difference(operation, request, field, kind, left, right)
    for field, kind, left, right in _walk(recorded.outcome, mock.outcome, "outcome"):
        yield _difference(operation, "", field, kind, left, right)


def _named(take: Kept) -> list[tuple[str, Exchange]]:
    return [(exchange.request.operation, exchange) for exchange in take.exchanges]


def _there(recorded: bool) -> tuple[Kind, str | None, str | None]:
    """What only one of the two has: the recording, or else the mock."""
    return (Kind.MISSING, "there", None) if recorded else (Kind.ADDED, None, "there")


def _pairs(recorded: list[tuple[str, T]], mock: list[tuple[str, T]]) -> Iterator[tuple[str, T | None, T | None]]:
    """By name and turn, in the recording's order; what only the mock has comes last."""
    left: defaultdict[str, list[T]] = defaultdict(list)
    for name, item in mock:
        left[name].append(item)
    for name, item in recorded:
        yield name, item, left[name].pop(0) if left[name] else None
    for name, items in left.items():
        for item in items:
            yield name, None, item


Found = tuple[str, Kind, str | None, str | None]


def _walk(recorded: Any, mock: Any, path: str, name: str = "") -> Iterator[Found]:
    if isinstance(recorded, Mapping) and isinstance(mock, Mapping):
        for key in dict.fromkeys((*recorded, *mock)):
            where = f"{path}.{key}"
            if key not in mock:
                yield where, Kind.MISSING, _shown(recorded[key]), None
            elif key not in recorded:
                yield where, Kind.ADDED, None, _shown(mock[key])
            else:
                yield from _walk(recorded[key], mock[key], where, key)
    elif isinstance(recorded, list) and isinstance(mock, list):
        if bool(recorded) != bool(mock):
            yield f"{path}[]", *_there(bool(recorded))
        for one, other in zip(recorded, mock, strict=False):
            yield from _walk(one, other, f"{path}[]", name)
    elif _type(recorded) != _type(mock):
        yield path, Kind.TYPE, _type(recorded), _type(mock)
    elif recorded != mock:
        yield from _values(recorded, mock, path, name)


def _values(recorded: Any, mock: Any, path: str, name: str) -> Iterator[Found]:
    """Two leaves of one type and different value."""
    if name == "signed" or (name == "target" and _ADDRESSED.sub("*", recorded) == _ADDRESSED.sub("*", mock)):
        return  # a signed text is made of what is compared already
    ours, theirs = _class(recorded, name), _class(mock, name)
    if ours != theirs:
        yield path, Kind.CLASS, ours or _shown(recorded), theirs or _shown(mock)
    elif ours is None:
        yield path, Kind.VALUE, _shown(recorded), _shown(mock)


def _class(value: Any, name: str) -> str | None:
    """What a value is where its exact text says nothing; None where it does: codes, words, flags."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return "number" if abs(value) > 99_999 else None
    if value == "":
        return "empty text"
    if (_ID.search(name) and _ID_END.search(name)) or name == "remark":
        return "id"
    for word, form in _CLASSES:
        if form.fullmatch(value):
            return word
    return "hidden text" if is_hidden(name) else None


def _type(value: Any) -> str:
    names: dict[type, str] = {dict: "object", list: "list", str: "text", bool: "flag", int: "number", float: "number"}
    return "null" if value is None else names[type(value)]


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return _type(value)
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else f"{text[:57]}..."


def _difference(
    operation: str, request: str, field: str, kind: Kind, recorded: str | None, mock: str | None
) -> Difference:
    return Difference(operation=operation, request=request, field=field, kind=kind.value, recorded=recorded, mock=mock)
