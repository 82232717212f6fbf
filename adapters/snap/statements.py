"""Pages of a partner's statement: a cursor is a page's number, and an answer says whether another one follows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TypeVar

from adapters.snap.codes import Envelope
from contracts.errors import PartnerProtocolError
from contracts.observation import StatementLine, StatementPage, read_rows

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


def page(asked: int, *, more: bool, rows: Iterable[T], read: Callable[[T], StatementLine]) -> StatementPage:
    """One page, row by row: what cannot be read is counted, since a statement also proves absence."""
    if more and asked >= MAX_PAGES:
        raise PartnerProtocolError("the statement does not end")
    lines, unreadable = read_rows(rows, read)
    return StatementPage(lines=lines, next_cursor=str(asked + 1) if more else None, unreadable=unreadable)


def follows(asked: int, envelope: Envelope, number: str = "page") -> bool:
    """Whether another page follows, as SNAP's history lists say it in `additionalInfo` (decisions S3, S5, D14);
    `number` is the field there with the page's own number.
    """
    envelope.echo(str(asked), "additionalInfo", number)
    envelope.text("additionalInfo", number)
    more = {"Y": True, "N": False}.get(envelope.text("additionalInfo", "hasMore"))
    if more is None:
        raise PartnerProtocolError("field additionalInfo.hasMore is neither Y nor N")
    return more
