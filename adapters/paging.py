"""A list of bookings page by page, SNAP's or not: a cursor is a page's number, and an answer says whether another one
follows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from adapters import answers
from contracts.errors import PartnerProtocolError
from contracts.observation import StatementLine, StatementPage, read_rows
from contracts.plan import Response

T = TypeVar("T")

_PAGE = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
MAX_PAGES = 10_000


def page_number(cursor: str | None) -> int:
    """A statement's cursor is a page number; ours alone, so that a bad one is a bug."""
    if cursor is None:
        return 1
    if _PAGE.fullmatch(cursor) is None or int(cursor) > MAX_PAGES:
        raise ValueError("not a cursor of this statement")
    return int(cursor)


def page(
    asked: int,
    reply: Response,
    *,
    more: bool,
    rows: Iterable[T],
    read: Callable[[T], StatementLine],
    whole: bool = True,
) -> StatementPage:
    """One page, row by row: what cannot be read is counted, since a statement also proves absence; one out of a cache,
    or one that says that it is not the `whole`, proves none.
    """
    if more and asked >= MAX_PAGES:
        raise PartnerProtocolError("the statement does not end")
    lines, unreadable = read_rows(rows, read)
    return StatementPage(
        lines=lines,
        next_cursor=str(asked + 1) if more else None,
        unreadable=unreadable,
        proves_absence=whole and not answers.stale(reply),
    )


def rows(body: Mapping[str, Any], field: str) -> list[Any]:
    """The bookings of an answer, each still to be read; a list of none may be written as null, but not left out."""
    return [] if body.get(field, "") is None else answers.items(body.get(field), f"field {field}")
