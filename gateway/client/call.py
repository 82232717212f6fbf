"""One request: what is sent, what comes back, whether it may be repeated."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import msgspec

T = TypeVar("T")


class Call(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One request."""

    operation: str
    """The operation's id in the schema."""
    method: str
    path: str
    answer: type[T]
    query: Mapping[str, str | Sequence[str]] = {}
    body: bytes | None = None
    content_type: str | None = None
    key: str | None = None
    """Its `Idempotency-Key`."""
    repeatable: bool = False
    """Whether sending it again can do nothing twice."""
    patience_s: float = 60.0
    """For how long nothing may come of an answer."""

    def __repr__(self) -> str:
        return f"Call({self.operation})"


class Pages(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A list that is read page by page."""

    first: Call[Any]
    items: str
    """The field of the answer that holds them."""
    item: type[T]


def get(operation: str, path: str, answer: type[T], **query: object) -> Call[T]:
    """What reads; a part of the query that is None is left out."""
    asked = {name: str(value) for name, value in query.items() if value is not None}
    return Call(operation=operation, method="GET", path=path, answer=answer, query=asked, repeatable=True)


def do(
    operation: str, method: str, path: str, answer: type[T], body: Mapping[str, object] | None = None, *,
    key: str | None = None, repeatable: bool = False, patience_s: float = 60.0,
) -> Call[T]:  # fmt: skip
    """What changes something; one with a key may be repeated."""
    return Call(
        operation=operation, method=method, path=path, answer=answer, key=key, repeatable=repeatable or key is not None,
        patience_s=patience_s,
        body=None if body is None else msgspec.json.encode(body),
        content_type=None if body is None else "application/json",
    )  # fmt: skip


def new_key() -> str:
    """One for one request."""
    return uuid.uuid4().hex


def part(value: object) -> str:
    """An id as a part of an address."""
    return quote(str(value), safe="")
