"""A clean day has no difference; every way of breaking one is found, named, and nothing else is."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

import asyncpg
import msgspec
import pytest

from contracts.errors import PartnerError
from gateway.services.reconciliation import reconcile
from gateway.services.reconciliation.breaks import NEXT_STEPS, BreakClass
from gateway.storage.intake import stopping
from tests.gateway.reconciliation.day import AMOUNT_RUPIAH, WAYS, Breaking, Day, Expected, harmless, near_midnight
from tests.gateway.reconciliation.desk import DAY, Bureau, PartnerProtocolError, PartnerUnavailable


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits between two tries of a page."""
    monkeypatch.setattr(reconcile, "AGAIN_S", 0.0)


async def test_a_clean_day_has_no_difference_to_the_rupiah(bureau: Bureau) -> None:
    day = Day(DAY, 40)
    await bureau.hold(day)
    done, breaks = await bureau.compare()
    assert (done.state, done.complete, done.breaks, breaks) == ("done", True, 0, [])
    assert done.totals is not None
    paid = 40 * AMOUNT_RUPIAH
    totals = done.totals
    assert (totals.credits, totals.credited_rupiah) == (40, paid)
    assert (totals.paid_here_rupiah, totals.instructed_rupiah) == (paid, paid)
    actions = await bureau.town.fetch("SELECT action, actor FROM audit_log ORDER BY seq")
    assert [(row["action"], row["actor"]) for row in actions] == [
        ("reconciliation.begin", "test"),
        ("reconciliation.end", "gateway"),
    ]


async def test_what_looks_odd_and_is_none_is_not_reported(bureau: Bureau) -> None:
    day, rng = Day(DAY, 40), random.Random(1)
    for n in range(0, 40, 2):
        harmless(day, n, rng)
    await bureau.hold(day)
    _, breaks = await bureau.compare()
    assert breaks == []


@pytest.mark.parametrize(
    "what", ["batches SET state = 'stopped', decided_at", "incentives SET approved = false, lapsed_at"]
)
@pytest.mark.parametrize(("seconds", "broken"), [(1, 0), (-30, 8), (-61, 9)])
async def test_what_had_left_when_it_was_stopped_was_instructed(
    bureau: Bureau, what: str, seconds: int, broken: int
) -> None:
    """It is followed to its end: nobody let it be paid after the stop. What left after that was let, but for what left
    in the minute in which two clocks may disagree.
    """
    await bureau.hold(Day(DAY, 9))
    at = f"(SELECT {'max' if seconds > 0 else 'min'}(sent_at) FROM payouts) + interval '{seconds} s'"
    await bureau.town.execute(f"UPDATE {what} = {at}")
    _, breaks = await bureau.compare()
    assert [one.kind for one in breaks] == [BreakClass.NOT_INSTRUCTED.value] * broken


@pytest.mark.parametrize(("under_way", "seconds"), [(True, 90), (False, 30)], ids=["under way", "ended meanwhile"])
async def test_what_left_while_a_stop_waited_for_its_locks_was_instructed(
    bureau: Bureau, under_way: bool, seconds: int
) -> None:
    """Its time is taken before that, and by another clock than the time at which something left."""
    await bureau.hold(Day(DAY, 1))
    if under_way:
        await bureau.town.execute("UPDATE incentives SET payout = 'open'")
    async with bureau.town.database.transaction() as connection:
        began = await connection.fetchval("SELECT sent_at - make_interval(secs => $1) FROM payouts", seconds)
        await stopping.stop_batches(connection, ["b"], began)
    await bureau.town.execute("UPDATE incentives SET payout = 'succeeded'")
    assert (await bureau.compare())[1] == []


@pytest.mark.parametrize("way", WAYS)
async def test_each_break_is_found_alone(bureau: Bureau, way: str) -> None:
    day = Day(DAY, 9)
    Breaking(day, random.Random(way)).apply(way, 4)
    await bureau.hold(day)
    _, breaks = await bureau.compare()
    assert bureau.found(breaks) == day.expected
    (one,) = breaks
    assert one.next_step == NEXT_STEPS[BreakClass(one.kind)].text
    assert one.owner is NEXT_STEPS[BreakClass(one.kind)].owner


@pytest.mark.parametrize("seed", range(4))
async def test_random_breaks_are_found_and_nothing_else(bureau: Bureau, seed: int, long: bool) -> None:
    rng = random.Random(seed)
    count = 2_000 if long else 150
    day = Day(DAY, count)
    breaking = Breaking(day, rng)
    for n in rng.sample(range(count), count // 3):
        if rng.random() < 0.2:
            harmless(day, n, rng)
        else:
            breaking.apply(rng.choice(WAYS), n)
    bureau.shelf.size = rng.choice((7, 64, 1_000))
    await bureau.hold(day)
    done, breaks = await bureau.compare()
    assert bureau.found(breaks) == day.expected
    assert len(breaks) == day.expected.total() == done.breaks


async def test_a_booking_across_midnight_is_looked_for_on_both_days(bureau: Bureau) -> None:
    day = Day(DAY, 12)
    tomorrow = DAY + timedelta(days=1)
    _, early_line = near_midnight(day, 3, sent_before=timedelta(seconds=2), booked_after=timedelta(seconds=-1))
    _, late_line = near_midnight(day, 5, sent_before=timedelta(seconds=1), booked_after=timedelta(seconds=1))
    lost, _ = near_midnight(day, 7, sent_before=timedelta(seconds=1), booked_after=timedelta(seconds=1))
    day.put(3, early_line)
    for n in (5, 7):
        day.put(n)
    await bureau.hold(day, (tomorrow, [late_line]))
    assert (await bureau.compare())[1] == [], "what was learnt tomorrow is tomorrow's"
    _, breaks = await bureau.compare(tomorrow)
    assert bureau.found(breaks) == Expected([("missing_there", lost.id, None)])
    assert set(bureau.shelf.asked) == {DAY, tomorrow}


async def test_a_number_that_the_partner_gives_again_stands_for_no_other_payout(bureau: Bureau) -> None:
    day = Day(DAY, 12)
    tomorrow = DAY + timedelta(days=1)
    lost, _ = near_midnight(day, 3, sent_before=timedelta(seconds=9), booked_after=timedelta(seconds=-5))
    gone, nameless = day.paid(5), msgspec.structs.replace(day.paid(8).line, reference=None)
    _, next_line = near_midnight(day, 7, sent_before=timedelta(seconds=1), booked_after=timedelta(seconds=1))
    for n in (3, 5, 7):
        day.put(n)
    day.put(8, nameless)
    numbers = {
        lost.id: next_line.partner_reference,
        gone.id: day.paid(2).number,
        day.paid(8).id: nameless.partner_reference,
    }
    day.sql += [
        f"UPDATE payouts SET partner_reference = '{number}' WHERE id = {id_}" for id_, number in numbers.items()
    ]
    await bureau.hold(day, (tomorrow, [next_line]))
    _, breaks = await bureau.compare()
    assert bureau.found(breaks) == Expected([("missing_there", one.id, numbers[one.id]) for one in (lost, gone)])


async def test_a_page_that_cannot_be_read_is_a_break_and_proves_nothing_missing(bureau: Bureau) -> None:
    day = Day(DAY, 30)
    await bureau.hold(day)
    bureau.shelf.spoil = [None, None, *[PartnerProtocolError("unreadable")] * 4]
    done, breaks = await bureau.compare()
    assert done.complete is False
    assert [(b.kind, b.payout_id) for b in breaks] == [("format", None)]
    assert "page 3" in breaks[0].detail


@pytest.mark.parametrize("over", [False, True])
async def test_a_day_of_as_many_pages_as_there_may_be_is_compared_and_a_longer_one_is_not(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch, over: bool
) -> None:
    """Compared in part, whatever is listed behind would be told as missing there."""
    monkeypatch.setattr(reconcile, "MOST_PAGES", 3)
    await bureau.hold(Day(DAY, 3 * bureau.shelf.size + over))
    if not over:
        done, breaks = await bureau.compare()
        assert (done.complete, breaks) == (True, [])
        return
    with pytest.raises(PartnerError, match="more than 3 pages"):
        await bureau.compare()
    (row,) = await bureau.town.fetch("SELECT state, breaks FROM reconciliations")
    assert (row["state"], row["breaks"]) == ("failed", None)


async def test_a_page_is_asked_for_again_before_anything_is_said(bureau: Bureau) -> None:
    day = Day(DAY, 30)
    await bureau.hold(day)
    bureau.shelf.spoil = [None, PartnerProtocolError("torn"), PartnerUnavailable("busy"), None]
    done, breaks = await bureau.compare()
    assert (done.complete, breaks) == (True, [])


async def test_a_statement_that_cannot_be_had_is_a_failure_and_no_result(bureau: Bureau) -> None:
    bureau.shelf.spoil = [PartnerUnavailable("busy")] * 4
    with pytest.raises(PartnerUnavailable):
        await bureau.compare()
    (row,) = await bureau.town.fetch("SELECT state, failure, breaks FROM reconciliations")
    assert (row["state"], row["failure"], row["breaks"]) == ("failed", "PartnerUnavailable", None)


async def test_a_partner_that_says_later_is_not_waited_for_without_end(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bureau.hold(Day(DAY, 5))
    bureau.shelf.spoil = [PartnerUnavailable("later", retry_after_s=3_600.0)]
    with monkeypatch.context() as patched:
        patched.setattr(reconcile, "MOST_WAIT_S", 0.01, raising=False)
        async with asyncio.timeout(10):
            assert (await bureau.compare())[0].complete
    bureau.shelf.spoil = [PartnerUnavailable("later", retry_after_s=3_600.0)]
    monkeypatch.setattr(reconcile, "LIMIT_S", 0.2)
    with pytest.raises(PartnerUnavailable, match="not ended"):
        async with asyncio.timeout(10):
            await bureau.compare()
    (row,) = await bureau.town.fetch("SELECT failure FROM reconciliations WHERE state = 'failed'")
    assert row["failure"] == "TimeoutError"


async def test_a_payout_in_flight_today_is_no_difference(bureau: Bureau) -> None:
    town = bureau.town
    today = DAY + timedelta(days=1)
    day = Day(today, 5)
    now = town.clock.now()
    for n in range(5):
        day.sql.append(f"UPDATE payouts SET ended_at = '{now + timedelta(seconds=1)}' WHERE id = {day.paid(n).id}")
        day.put(n)
    flying = day.paid(2)
    day.sql += [
        f"UPDATE payouts SET state = 'submitting', ended_at = NULL, sent_deadline = '{now + timedelta(seconds=40)}'"
        f" WHERE id = {flying.id}",
    ]
    day.put(2, flying.line)
    await bureau.hold(day)
    _, breaks = await bureau.compare(today)
    assert breaks == []


async def test_two_paid_payouts_of_one_incentive_are_a_duplicate(bureau: Bureau) -> None:
    day = Day(DAY, 6)
    first, second = day.paid(1), day.paid(4)
    day.sql += [
        f"UPDATE payouts SET released_at = ended_at WHERE id = {first.id}",
        "SET session_replication_role = replica",  # the store refuses it
        f"UPDATE payouts SET incentive = 2 WHERE id = {second.id}",
        "SET session_replication_role = origin",
        "UPDATE incentives SET payouts = 2 WHERE id = 2",
    ]
    await bureau.hold(day)
    _, breaks = await bureau.compare()
    assert bureau.found(breaks) == Expected(
        [("duplicate", first.id, first.number), ("duplicate", second.id, second.number)]
    )


async def test_results_stay_as_they_are(bureau: Bureau) -> None:
    day = Day(DAY, 6)
    Breaking(day, random.Random(1)).apply("amount", 2)
    await bureau.hold(day)
    await bureau.compare()
    for statement in (
        "UPDATE reconciliations SET breaks = 0",
        "DELETE FROM reconciliations",
        "UPDATE reconciliation_breaks SET detail = ''",
        "DELETE FROM reconciliation_breaks",
    ):
        with pytest.raises(asyncpg.RestrictViolationError):
            await bureau.town.execute(statement)


async def test_no_account_stands_in_what_is_stored(bureau: Bureau) -> None:
    day, rng = Day(DAY, 60), random.Random(3)
    breaking = Breaking(day, rng)
    for n, way in enumerate(WAYS):
        breaking.apply(way, n)
    await bureau.hold(day)
    await bureau.compare()
    text = str(await bureau.town.fetch("SELECT * FROM reconciliation_breaks")) + str(
        await bureau.town.fetch("SELECT * FROM reconciliations")
    )
    assert "reference" in text
    accounts = [day.paid(n).account for n in range(60)] + [f"{5_432_000_000 + n}" for n in range(60)]
    assert [account for account in accounts if account in text] == []
