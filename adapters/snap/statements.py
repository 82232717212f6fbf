"""What SNAP lists of bookings (services 12, 14): read once; a partner says under which names."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from adapters import accounts, answers, paging
from adapters.snap import values
from adapters.snap.calls import Call
from adapters.snap.codes import Envelope
from contracts.errors import PartnerProtocolError
from contracts.observation import PAYMENTS, StatementKind, StatementLine, StatementPage
from contracts.plan import Response


def follows(asked: int, envelope: Envelope, number: str = "page") -> bool:
    """Whether another page follows, as SNAP's history lists say it in `additionalInfo` (decisions S3, S5, D14);
    `number` is the field there with the page's own number.
    """
    if envelope.evidence("additionalInfo", number) != str(asked):
        raise PartnerProtocolError(f"field additionalInfo.{number} is not the page asked for")
    more = answers.flag(answers.at(envelope.body, "additionalInfo", "hasMore"))
    if more is None:
        raise PartnerProtocolError("field additionalInfo.hasMore is neither Y nor N")
    return more


def listed(call: Call, asked: int, reply: Response) -> Envelope | None:
    """The answer with a page of bookings; None where the partner says "transaction not found" of the day, which is
    taken for none (snap-bni.md 1.8, assumed) and proves nothing absent.
    """
    envelope = call.read(reply)
    none = asked == 1 and envelope.code == f"404{call.service}01" and not envelope.body.get("detailData")
    return None if none else call.expect(reply)


class History(msgspec.Struct, frozen=True, kw_only=True):
    """A wallet's list of bookings."""

    call: Call
    kinds: Mapping[str, StatementKind]
    """By the `type` of a row; another one makes the row unreadable: it might be a payment."""
    booked: str = ""
    """The `status` of a booking, where rows have one."""
    unbooked: Mapping[str, StatementKind] = {}
    """What a row of another `status` is; one that is not listed makes the row unreadable."""
    below: tuple[str, ...] = ()
    """Where in a row both references and the customer stand."""
    number: str = "page"

    def read(self, asked: int, reply: Response) -> StatementPage:
        """One page of bookings."""
        envelope = listed(self.call, asked, reply)
        if envelope is None:
            return StatementPage(lines=(), proves_absence=False)
        more = follows(asked, envelope, self.number)
        rows = paging.rows(envelope.body, "detailData")
        return paging.page(asked, reply, more=more, rows=rows, read=self._line)

    def _line(self, row: object) -> StatementLine:
        kind, status = answers.listed(answers.at(row, "type"), self.kinds), answers.written(answers.at(row, "status"))
        if kind is not None and self.booked and status.upper() != self.booked:
            kind = answers.listed(status, self.unbooked)
        if kind is None:
            raise PartnerProtocolError("field detailData.type or status has an unlisted value")
        within = answers.at(row, *self.below)
        return StatementLine(
            kind=kind,
            amount_rupiah=values.rupiah(answers.at(row, "amount"), "detailData.amount", sen=kind not in PAYMENTS),
            reference=answers.reference(answers.at(within, "partnerReferenceNo")),
            partner_reference=answers.number(answers.at(within, "referenceNo")),
            account=accounts.listed(answers.at(within, "customerNumber"), accounts.mobile),
            booked_at=answers.moment(answers.at(row, "dateTime"), "detailData.dateTime"),
        )
