"""A wallet's list of bookings, whatever it calls its fields, and the cursor of its pages."""

from __future__ import annotations

from typing import Any

import pytest

from adapters import paging
from adapters.snap.calls import READ, Call
from adapters.snap.statements import History
from contracts.errors import PartnerProtocolError, PartnerUnavailable
from contracts.observation import StatementKind
from contracts.secret import Secret
from gateway.services.reconciliation.listing import MOST_PAGES
from tests.adapters.playing import snap_reply

LIST = Call("statement", READ, "/list", "12")
KINDS = {"TOPUP": StatementKind.CREDIT, "FEE": StatementKind.FEE}
PLAIN = History(call=LIST, kinds=KINDS)
DEEP = History(
    call=LIST,
    kinds=KINDS,
    booked="SUCCESS",
    unbooked={"FAILED": StatementKind.OTHER, "INIT": StatementKind.PENDING},
    below=("additionalInfo",),
    number="pageNumber",
)
NAMES = {"partnerReferenceNo": "0112345678901234567", "referenceNo": "tx-1", "customerNumber": "081234567890"}
BOOKED = {
    "type": "TOPUP",
    "dateTime": "2026-01-02T03:04:05+07:00",
    "amount": {"value": "600000.00", "currency": "IDR"},
}
ROWS: dict[str, tuple[History, dict[str, Any]]] = {
    "plain": (PLAIN, {**BOOKED, **NAMES}),
    "deep": (DEEP, {**BOOKED, "status": "SUCCESS", "additionalInfo": NAMES}),
}


def listed(history: History, *rows: Any, more: str = "N") -> Any:
    return history.read(
        1, snap_reply("2001200", detailData=rows, additionalInfo={history.number: "1", "hasMore": more})
    )


@pytest.mark.parametrize("shape", ROWS)
def test_a_booking_is_read_where_it_stands(shape: str) -> None:
    history, row = ROWS[shape]
    page = listed(history, row, more="Y")
    (line,) = page.lines
    assert (line.kind, line.amount_rupiah) == (StatementKind.CREDIT, 600_000)
    assert (line.reference, line.partner_reference) == (NAMES["partnerReferenceNo"], NAMES["referenceNo"])
    assert (line.account, page.next_cursor, page.unreadable) == (Secret("+6281234567890"), "2", 0)


@pytest.mark.parametrize("shape", ROWS)
def test_the_sen_of_a_fee_spoil_no_day(shape: str) -> None:
    history, row = ROWS[shape]
    amount = {"amount": {"value": "2500.5", "currency": "IDR"}}
    page = listed(history, row, {**row, **amount, "type": "FEE"}, {**row, **amount})
    assert ([line.amount_rupiah for line in page.lines], page.unreadable) == ([600_000, 2_500], 1)


@pytest.mark.parametrize(
    "odd", [{"type": "OTHER"}, {"type": ["TOPUP"]}, {"amount": None}, {"dateTime": 7}, {"dateTime": "2026-01-02"}]
)
@pytest.mark.parametrize("shape", ROWS)
def test_an_odd_booking_is_counted_and_spoils_no_other(shape: str, odd: dict[str, Any]) -> None:
    history, row = ROWS[shape]
    page = listed(history, row, {**row, **odd}, None, row)
    assert (len(page.lines), page.unreadable) == (2, 2)


def test_what_did_not_succeed_is_no_booking_and_is_not_passed_over() -> None:
    """A statement also proves absence: a row whose status nobody knows makes the page incomplete."""
    _, row = ROWS["deep"]
    for status in ("PENDING", "", None, 1):
        page = listed(DEEP, {**row, "status": status})
        assert (page.lines, page.unreadable) == ((), 1)
    assert len(listed(PLAIN, {**ROWS["plain"][1], "status": "PENDING"}).lines) == 1, "where rows have no status"


def test_what_failed_or_is_under_way_is_read_and_is_no_payment() -> None:
    """Lists of transactions have those beside the ones that paid: they make no day unreadable."""
    _, row = ROWS["deep"]
    page = listed(
        DEEP, row, {**row, "status": "failed"}, {**row, "status": "INIT"}, {**row, "type": 1, "status": "INIT"}
    )
    assert [line.kind for line in page.lines] == [StatementKind.CREDIT, StatementKind.OTHER, StatementKind.PENDING]
    assert page.lines[2].reference == NAMES["partnerReferenceNo"]
    assert page.unreadable == 1, "of a type that nobody knows"


def test_not_found_on_the_first_page_is_no_list_and_proves_nothing() -> None:
    page = DEEP.read(1, snap_reply("4041201"))
    assert (page.lines, page.next_cursor, page.unreadable, page.proves_absence) == ((), None, 0, False)
    assert listed(DEEP).proves_absence
    with pytest.raises(PartnerUnavailable):
        DEEP.read(2, snap_reply("4041201"))


def test_a_list_of_none_may_be_null_but_not_left_out() -> None:
    info = {"page": "1", "hasMore": False}
    assert PLAIN.read(1, snap_reply("2001200", detailData=None, additionalInfo=info)).lines == ()
    with pytest.raises(PartnerProtocolError):
        PLAIN.read(1, snap_reply("2001200", additionalInfo=info))


def test_a_booking_of_no_year_that_can_be_meant_is_unreadable() -> None:
    """The first date of a calendar is no time in another zone, and would break whoever keeps it."""
    _, row = ROWS["plain"]
    for date in ("0001-01-01T00:00:00+07:00", "9999-12-31T23:59:59-12:00"):
        page = listed(PLAIN, row, {**row, "dateTime": date})
        assert (len(page.lines), page.unreadable) == (1, 1)


def test_names_elsewhere_in_a_row_are_not_taken() -> None:
    """Where a partner has them below another field, one at the top is not ours to know."""
    (line,) = listed(DEEP, {**ROWS["deep"][1], **NAMES, "additionalInfo": None}).lines
    assert (line.reference, line.partner_reference, line.account) == (None, None, None)


def test_the_page_is_the_one_asked_for() -> None:
    with pytest.raises(PartnerProtocolError):
        PLAIN.read(2, snap_reply("2001200", detailData=[], additionalInfo={"page": "1", "hasMore": "N"}))


@pytest.mark.parametrize("cursor", ["0", "-1", "x", "10001", "1.0"])
def test_a_foreign_cursor_is_a_bug(cursor: str) -> None:
    with pytest.raises(ValueError):
        paging.page_number(cursor)


def test_the_last_page_that_there_may_be_is_one_and_none_follows_it() -> None:
    """As many are asked for by whoever reads a statement."""
    assert paging.page_number(str(MOST_PAGES)) == MOST_PAGES == paging.MAX_PAGES
    nothing: dict[str, Any] = {"reply": snap_reply("2001200"), "rows": (), "read": None}
    assert paging.page(MOST_PAGES, more=False, **nothing).next_cursor is None
    assert paging.page(MOST_PAGES - 1, more=True, **nothing).next_cursor == str(MOST_PAGES)
    with pytest.raises(PartnerProtocolError):
        paging.page(MOST_PAGES, more=True, **nothing)
