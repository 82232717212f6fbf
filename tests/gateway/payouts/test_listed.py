"""What a partner's list shows while it moves, late, twice, or in part; and what is told of it, once."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from contracts.errors import PartnerError, PartnerProtocolError
from contracts.observation import StatementPage
from contracts.payout import PayoutState
from gateway.clock import jakarta_day
from gateway.services.reconciliation import statements
from gateway.services.reconciliation.listing import MOST_BARREN, Listing
from gateway.services.reconciliation.statements import Statements
from gateway.storage.ops import switches
from tests.gateway.payouts.fake import Bank, _line
from tests.gateway.payouts.town import Town

S = PayoutState
DAY_S = 86_400.0


def listed(bank: Bank, arrange: Callable[[list[dict[str, Any]], int], list[dict[str, Any]]], size: int = 3) -> None:
    """Let the bank list a day's bookings as `arrange(bookings, page)` gives them."""

    def statement(body: dict[str, Any]) -> dict[str, Any]:
        page = int(body["cursor"] or 0)
        lines = arrange([b for b in bank.booked if str(jakarta_day(b["at"])) == body["day"]], page)
        part = lines[page * size : (page + 1) * size]
        more = len(lines) > (page + 1) * size
        return {"lines": [b | {"at": b["at"].isoformat()} for b in part], "next": str(page + 1) if more else None}

    bank._statement = statement  # type: ignore[method-assign]


async def paused(town: Town) -> bool:
    return bool(await town.fetch("SELECT 1 FROM partner_switches WHERE paused_at IS NOT NULL"))


@pytest.mark.parametrize("over", [False, True])
async def test_as_many_pages_are_read_as_there_may_be_and_no_more(
    town: Town, monkeypatch: pytest.MonkeyPatch, over: bool
) -> None:
    """A list of exactly so many proves what it does not list; of a longer one nothing is believed to be absent."""
    monkeypatch.setattr(statements, "MOST_PAGES", 3)
    bank, reading = town.partner(), town.statements()
    for n in range(10 if over else 9):
        bank.book(f"R{n}", 50_000, town.account("fake", n + 1))
    if over:
        with pytest.raises(PartnerError, match="more than 3 pages"):
            await reading.read("fake", town.today())
    else:
        await reading.read("fake", town.today())
    read = await town.fetch("SELECT 1 FROM statement_reads")
    assert len(read) == (0 if over else 1)


async def paid(town: Town, count: int = 1) -> list[int]:
    incentives = [await town.due() for _ in range(count)]
    worker = town.worker()
    while await worker.tick_send("fake"):
        pass
    return incentives


async def test_a_line_that_one_reading_omits_is_found_by_the_next(town: Town) -> None:
    """The payment in doubt is left out of the first reading of several pages: it must not be called absent."""
    bank = town.partner()
    bank.script("transfer", "lost")
    bank.script("status", *["garbage"] * 10_000)
    (doubtful,) = await paid(town)
    town.clock.advance(5)
    await paid(town, 7)
    reference, readings = (await town.payout(doubtful)).reference, 0

    def omit(lines: list[dict[str, Any]], page: int) -> list[dict[str, Any]]:
        nonlocal readings
        readings += page == 0
        return [b for b in lines if b["reference"] != reference] if readings == 1 else lines

    listed(bank, omit)
    read = await town.statements().read("fake", town.today())
    assert readings == 3, "the second reading had what the first one lacked, and the third bore it out"
    assert read.lines == 8
    assert await town.states(doubtful) == [S.SUCCEEDED]


async def test_a_list_that_never_holds_still_proves_nothing(town: Town) -> None:
    bank = town.partner()
    await paid(town, 9)
    rng = random.Random(1)
    listed(bank, lambda lines, page: rng.sample(lines, len(lines)))
    statements = town.statements()
    bank.seen.clear()
    await statements.tick("fake")
    assert await town.fetch("SELECT 1 FROM statement_reads WHERE day = $1", town.today()) == []
    assert bank.seen.count("statement") <= 4 * 3 + 1, "bounded"
    assert not await paused(town)


@pytest.mark.parametrize("days", [1, 2])
async def test_a_second_credit_on_another_day_is_found(town: Town, days: int) -> None:
    bank = town.partner()
    (incentive,) = await paid(town)
    worker, statements = town.worker(), town.statements()
    await town.drive(worker, statements, hours=1, step_s=900)
    town.clock.advance(days * DAY_S)
    payout = await town.payout(incentive)
    bank.book(payout.reference, payout.amount_rupiah, "0000000001")
    await town.statements().tick("fake")
    assert await town.cases() == ["contradiction"]
    assert await paused(town)


async def test_what_was_told_once_pauses_once_but_a_third_credit_is_news(town: Town) -> None:
    bank = town.partner()
    (incentive,) = await paid(town)
    payout = await town.payout(incentive)
    for n in (2, 3):
        town.clock.advance(5)
        bank.book(payout.reference, payout.amount_rupiah, "0000000001")
        await town.statements().read("fake", town.today())
        assert await paused(town), n
        async with town.database.transaction() as connection:
            await switches.resume(connection, town.clock.now(), "fake", by="operator")
            await connection.execute("UPDATE cases SET closed_at = now(), closed_by = 'operator'")
        await town.statements().read("fake", town.today())
        assert not await paused(town)
        assert await town.cases() == []


@pytest.mark.parametrize("number", [None, "0", "N-other"])
async def test_a_line_whose_number_comes_in_another_form_is_no_second_credit(town: Town, number: str | None) -> None:
    """What nobody needs to tell whose it is makes no booking of its own; a second one at another moment is one."""
    bank = town.partner()
    (incentive,) = await paid(town)
    statements = town.statements()
    await statements.read("fake", town.today())
    bank.booked[-1]["number"] = number
    await statements.read("fake", town.today())
    assert await town.cases() == [] and not await paused(town)
    assert await town.stands(incentive) == ("paid", None)
    payout = await town.payout(incentive)
    town.clock.advance(1)
    bank.book(payout.reference, payout.amount_rupiah, "0000000001")
    await statements.read("fake", town.today())
    assert await town.cases() == ["contradiction"] and await paused(town)


@pytest.mark.parametrize("moves", [False, True])
async def test_two_equal_credits_on_either_side_of_a_page_are_two_and_a_line_moved_there_is_one(
    town: Town, moves: bool
) -> None:
    """The partner booked one payment twice within a second; the pages end between the two. A list that moves between
    its pages shows the same: one credit, listed twice.
    """
    bank = town.partner()
    incentives = await paid(town, 6)
    doubled = (await town.payout(incentives[0])).reference
    credit = next(b for b in bank.booked if b["reference"] == doubled)
    rest = [b for b in bank.booked if b is not credit]
    turn = 0

    def arrange(lines: list[dict[str, Any]], page: int) -> list[dict[str, Any]]:
        nonlocal turn
        if moves and page == 0:
            turn += 1
        if moves and turn > 1:
            return [*rest[:2], credit, *rest[2:]]
        return [*rest[:2], credit, credit, *rest[2:]]

    listed(bank, arrange)
    await town.statements().read("fake", town.today())
    assert await town.cases() == ([] if moves else ["contradiction"])
    assert await paused(town) is not moves


async def test_a_credit_to_another_account_is_found_though_the_payout_is_paid(town: Town) -> None:
    bank = town.partner()
    (incentive,) = await paid(town)
    bank.booked[-1]["account"] = "0000000009"
    await town.statements().tick("fake")
    assert await town.stands(incentive) == ("paid", "contradiction")
    assert await town.cases() == ["contradiction"]


@pytest.mark.parametrize("back", [{"amount": 597_500}, {"amount": 600_001}, {"account": "0000000009"}])
async def test_what_comes_back_in_part_or_from_elsewhere_is_no_payment_given_back(
    town: Town, back: dict[str, Any]
) -> None:
    """Released to another account it would be paid whole once more. Staff are told, once."""
    bank = town.partner()
    (incentive,) = await paid(town)
    payout = await town.payout(incentive)
    bank.book(payout.reference, payout.amount_rupiah, "0000000001", kind="reversal")
    bank.booked[-1] |= back
    for expected in (["contradiction"], []):
        await town.statements().read("fake", town.today())
        assert await town.states(incentive) == [S.SUCCEEDED]
        assert await town.cases() == expected
        await town.execute("UPDATE cases SET closed_at = now(), closed_by = 'operator'")
    bank.book(payout.reference, payout.amount_rupiah, "0000000001", kind="reversal")
    await town.statements().read("fake", town.today())
    assert await town.states(incentive) == [S.REVERSED]


@pytest.mark.parametrize("other", [{"amount": 597_500}, {"account": "0000000009"}])
async def test_another_amount_or_account_listed_for_a_payout_in_doubt_is_told_and_it_is_never_sent_again(
    town: Town, other: dict[str, Any]
) -> None:
    """The partner kept a fee back, say: money moved under our reference, whatever look-ups say."""
    bank = town.partner()
    bank.script("transfer", "lost")
    bank.script("status", *["not_found"] * 100)
    (incentive,) = await paid(town)
    bank.booked[-1] |= other
    await town.drive(town.worker(), town.statements(), hours=14, step_s=1800)
    assert bank.seen.count("transfer") == 1
    assert await town.states(incentive) == [S.UNKNOWN]
    assert await town.stands(incentive) == ("paying", "contradiction")
    assert await town.cases() == ["contradiction"]


async def test_a_refund_posted_into_yesterday_is_heard(town: Town) -> None:
    bank = town.partner()
    (incentive,) = await paid(town)
    worker, statements = town.worker(), town.statements()
    await town.drive(worker, statements, hours=14, step_s=1800)  # past midnight: yesterday was read whole
    payout = await town.payout(incentive)
    bank.book(payout.reference, payout.amount_rupiah, "0000000001", kind="reversal")
    bank.booked[-1]["at"] -= timedelta(hours=6)
    await town.drive(worker, statements, hours=8, step_s=1800)
    assert await town.stands(incentive) == ("returned", "payment_reversed")


async def test_a_partner_ahead_of_us_at_midnight_books_tomorrow(town: Town) -> None:
    """Sent at 23:59:30; the partner's clock, a minute ahead, books it under the day that has not begun here."""
    bank = town.partner()
    town.clock.advance(12 * 3600 - 30)
    incentive = await town.due()
    book = bank.book

    def ahead(reference: str, amount: int, account: str, kind: str = "credit") -> None:
        book(reference, amount, account, kind)
        bank.booked[-1]["at"] = town.clock.now() + timedelta(seconds=60)

    bank.book = ahead  # type: ignore[method-assign]
    bank.script("transfer", "lost")
    bank.script("status", *["garbage"] * 10_000)
    worker, statements = town.worker(), town.statements()
    await worker.tick_send("fake")
    await town.drive(worker, statements, hours=30, step_s=600)
    assert await town.states(incentive) == [S.SUCCEEDED]


async def test_a_partner_behind_us_at_midnight_books_yesterday(town: Town) -> None:
    """Sent at 00:00:10, after yesterday's statement was read for the last time in hours; the partner's clock, a minute
    behind, books it there.
    """
    bank = town.partner()
    worker, statements = town.worker(), town.statements()
    await paid(town)
    town.clock.advance(12 * 3600 + 2)
    await statements.tick("fake")
    town.clock.advance(8)
    incentive = await town.due()
    book = bank.book

    def behind(reference: str, amount: int, account: str, kind: str = "credit") -> None:
        book(reference, amount, account, kind)
        bank.booked[-1]["at"] = town.clock.now() - timedelta(seconds=60)

    bank.book = behind  # type: ignore[method-assign]
    bank.script("transfer", "lost", "lost")
    bank.script("status", *["not_found"] * 10_000)  # so that the statements are all that can tell
    await worker.tick_send("fake")
    await town.drive(worker, statements, hours=30, step_s=600)
    assert bank.seen.count("transfer") == 2, "not sent again: by its clock that is another day"
    assert await town.states(incentive) == [S.SUCCEEDED]
    assert len(bank.booked) == 2


async def test_lines_without_an_owner_spoil_no_page_and_are_told_once(town: Town) -> None:
    bank = town.partner()
    incentives = await paid(town, 5)
    for n in range(2):
        bank.book("", 1_000 + n, "0000000000")
        bank.booked[-1] |= {"reference": None, "number": None}
    refunded = await town.payout(incentives[3])
    bank.book(refunded.reference, refunded.amount_rupiah, "0000000004", kind="reversal")
    statements = town.statements()
    for _ in range(60):
        await statements.tick("fake")
        town.clock.advance(1800)
    assert await town.stands(incentives[3]) == ("returned", "payment_reversed")
    assert await town.cases() == ["contradiction"]
    await town.execute("UPDATE cases SET closed_at = now(), closed_by = 'operator'")
    for _ in range(6):
        await statements.tick("fake")
        town.clock.advance(1800)
    assert await town.cases() == []


async def test_a_list_of_one_page_with_an_odd_line_is_not_read_to_its_end(town: Town) -> None:
    """It holds still, and proves nothing absent all the same."""
    bank = town.partner()
    incentives = await paid(town, 2)
    bank.book("", 1_000, "0000000000")
    bank.booked[-1] |= {"reference": None, "number": None}
    await town.statements().tick("fake")
    assert await town.fetch("SELECT 1 FROM statement_reads WHERE day = $1", town.today()) == []
    assert [await town.states(one) for one in incentives] == [[S.SUCCEEDED]] * 2


def odd(bank: Bank) -> None:
    """A line without an owner: it cannot be read."""
    bank.book("", 1_000, "0000000000")
    bank.booked[-1] |= {"reference": None, "number": None}


def foreign(bank: Bank) -> None:
    bank.book("0000000000000000077", 1_000, "0000000000")


@pytest.mark.parametrize("strange", [odd, foreign])
async def test_what_the_next_reading_does_not_bear_out_is_not_told_and_what_it_does_is(
    town: Town, strange: Callable[[Bank], None]
) -> None:
    """Each reading by a process of its own. A finding seen, denied and seen again is as new as at first."""
    bank = town.partner()
    await paid(town)
    good = list(bank.booked)
    for _ in range(2):
        strange(bank)
        await town.statements().tick("fake")
        town.clock.advance(1800)
        bank.booked[:] = good
        await town.statements().tick("fake")
        town.clock.advance(1800)
    assert await town.cases() == []
    strange(bank)
    for expected in ([], ["contradiction"]):
        await town.statements().tick("fake")
        town.clock.advance(1800)
        assert await town.cases() == expected
    assert not await paused(town)


async def test_readings_side_by_side_bear_out_nothing(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers ask in the same moment, and something between them and the partner answers both."""
    bank = town.partner()
    await paid(town)
    odd(bank)
    slow, page = town.statements(), Statements._page

    async def meanwhile(self: Statements, *asked: Any) -> StatementPage:
        if self is slow:
            town.clock.advance(1)
            with pytest.raises(PartnerProtocolError):
                await town.statements().read("fake", town.today())
        return await page(self, *asked)

    with monkeypatch.context() as patched:
        patched.setattr(Statements, "_page", meanwhile)
        with pytest.raises(PartnerProtocolError):
            await slow.read("fake", town.today())
    assert await town.cases() == []
    with pytest.raises(PartnerProtocolError):
        await slow.read("fake", town.today())
    assert await town.cases() == ["contradiction"]


async def test_what_the_last_reading_of_a_day_finds_is_looked_for_once_more(town: Town) -> None:
    """Nothing else would read that day again. A stranger's credits that grow meanwhile are borne out as they were."""
    bank = town.partner()
    await paid(town)
    worker, statements = town.worker(), town.statements()
    await town.drive(worker, statements, hours=41, step_s=3600)
    at = bank.booked[-1]["at"]
    for n in range(2):
        foreign(bank)
        bank.booked[-1] |= {"at": at, "number": f"F{n}"}
        town.clock.advance(3600)
        await town.statements().tick("fake")
    assert await town.cases() == ["contradiction"]
    await town.execute("UPDATE cases SET closed_at = now(), closed_by = 'operator'")
    town.clock.advance(3600)
    await town.statements().tick("fake")
    assert await town.cases() == ["contradiction"], "the second one is news of its own"
    bank.seen.clear()
    town.clock.advance(3600)
    await town.statements().tick("fake")
    assert bank.seen.count("statement") == 1, "today's alone: the old day is settled"


def test_any_list_that_only_grows_is_listed_once() -> None:
    """Newest first and oldest first, growing between pages: each line once, also where one payout has several a second
    apart, and a later reading bears out the first.
    """
    rng = random.Random(7)
    for _ in range(200):
        bank = [_booked(n) for n in range(rng.randint(1, 40))]
        newest_first, readings = rng.random() < 0.5, []
        for _ in range(2):
            listing, page, before = Listing(), 0, len(bank)
            while True:
                lines = bank[::-1] if newest_first else bank
                part = lines[page * 3 : page * 3 + 3]
                listing.add(StatementPage(lines=tuple(_line(b) for b in part)))
                page += 1
                if len(lines) <= page * 3:
                    break
                if rng.random() < 0.3:
                    bank.append(_booked(len(bank)))
            readings.append(listing)
        assert readings[0].identities <= readings[1].identities
        assert before <= len(readings[1].identities) <= len(bank)


@pytest.mark.parametrize("size", [0, 1, 3])
def test_a_list_that_has_lost_its_place_goes_in_no_circle(size: int) -> None:
    """The partner forgets its cursor and shows the same page, or an empty one, under whatever cursor."""
    page, listing = StatementPage(lines=tuple(_line(_booked(n)) for n in range(size)), next_cursor="again"), Listing()
    for _ in range(MOST_BARREN - (size == 0)):
        listing.add(page)
    with pytest.raises(PartnerProtocolError, match="repeat"):
        listing.add(page)


def _booked(n: int) -> dict[str, Any]:
    at = f"2026-11-24T12:{n // 60:02d}:{n % 60:02d}+07:00"
    return {"kind": "credit", "amount": 5, "reference": f"{n % 7:019d}", "number": "N", "account": "1", "at": at}
