"""Pages of a partner's statement: a cursor is a page's number, and an answer says whether another one follows. What
SNAP lists of bookings (service 12) is read once; a partner says under which names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from adapters import accounts, answers
from adapters.snap import values
from adapters.snap.calls import Call
from adapters.snap.codes import Envelope
from contracts.errors import PartnerProtocolError
from contracts.observation import StatementKind, StatementLine, StatementPage, read_rows
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


def rows(envelope: Envelope) -> list[Any]:
    """The bookings of an answer, each still to be read."""
    return answers.typed(envelope.body.get("detailData"), list[Any], "field detailData")


class History(msgspec.Struct, frozen=True, kw_only=True):
    """A wallet's list of bookings."""

    call: Call
    kinds: Mapping[str, StatementKind]
    """By the `type` of a row; another one makes the row unreadable: it might be a payment."""
    status: str | None = None
    """What `status` says of a booking that counts, where rows have one."""
    below: tuple[str, ...] = ()
    """Where in a row both references and the customer stand."""
    number: str = "page"

    def read(self, asked: int, reply: Response) -> StatementPage:
        """One page of bookings."""
        envelope = self.call.expect(reply)
        return page(asked, more=follows(asked, envelope, self.number), rows=rows(envelope), read=self._line)

    def _line(self, row: object) -> StatementLine:
        kind = self.kinds.get(answers.written(answers.at(row, "type")))
        if kind is None or (self.status is not None and answers.at(row, "status") != self.status):
            raise PartnerProtocolError("field detailData.type or status has an unlisted value")
        within = answers.at(row, *self.below)
        return StatementLine(
            kind=kind,
            amount_rupiah=values.rupiah(answers.at(row, "amount"), "detailData.amount"),
            reference=answers.number(answers.at(within, "partnerReferenceNo")),
            partner_reference=answers.number(answers.at(within, "referenceNo")),
            account=accounts.listed(answers.at(within, "customerNumber"), accounts.mobile),
            booked_at=values.moment(answers.at(row, "dateTime"), "detailData.dateTime"),
        )
