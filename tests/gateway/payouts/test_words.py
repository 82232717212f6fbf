"""Partners' words in any order: every permutation of a set ends the same, and contradictions stop what they must."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from contracts.incentive import BlockerCode
from contracts.observation import PayoutNotice, Source
from contracts.payout import (
    Outcome,
    PayoutState,
    Refusal,
    not_found,
    pending,
    queued,
    rejected,
    reversed_,
    succeeded,
    unknown,
)
from gateway.clock import jakarta_day, start_of_jakarta_day
from gateway.services.payouts import ends
from gateway.services.payouts.absence import Calendar, enough_readings
from gateway.services.payouts.words import Word
from gateway.storage.payouts import ledger
from tests.gateway.payouts.fake import NOON
from tests.gateway.payouts.ticks import Ticking
from tests.gateway.payouts.town import Town

S = PayoutState
LIMIT = BlockerCode.BALANCE_LIMIT

Said = tuple[Source, Outcome]
PAID: Said = (Source.NOTIFICATION, succeeded())
PAID_LOOKUP: Said = (Source.LOOKUP, succeeded(amount_rupiah=600_000))
FAILED: Said = (Source.NOTIFICATION, rejected(None, technical=True))
REFUSED: Said = (Source.LOOKUP, rejected(LIMIT))
BACK: Said = (Source.STATEMENT, reversed_())
PENDING: Said = (Source.REPLY, pending())
UNKNOWN: Said = (Source.REPLY, unknown())
ABSENT: Said = (Source.LOOKUP, not_found())
QUEUED: Said = (Source.LOOKUP, queued("n1"))
LISTED: Said = (Source.STATEMENT, succeeded())
TIMED_OUT: Said = (Source.NOTIFICATION, rejected(None, technical=True, refusal=Refusal.STATEMENT_DECIDES))
REPEATED: Said = (Source.NOTIFICATION, rejected(BlockerCode.PARTNER_REJECTED, refusal=Refusal.PERHAPS_PAID))


def at(second: int, said: Said) -> Said:
    """A word, dated by the partner."""
    source, outcome = said
    return source, msgspec.structs.replace(outcome, said_at=NOON + timedelta(seconds=second))


def night(second: int, said: Said) -> Said:
    """A word, dated by the partner so long after midnight in Jakarta."""
    source, outcome = said
    midnight = start_of_jakarta_day(jakarta_day(NOON) + timedelta(days=1))
    return source, msgspec.structs.replace(outcome, said_at=midnight + timedelta(seconds=second))


async def submitting(town: Town, worker: Ticking, count: int) -> list[int]:
    """Incentives whose payouts have left, each one attempt, unanswered."""
    incentives = [await town.due() for _ in range(count)]
    while await worker.claim("fake", 200):
        pass
    now = town.clock.now()
    await town.execute(
        "UPDATE payouts SET state = 'submitting', attempt = 1, first_sent_at = $1, sent_at = $1, sent_deadline = $2,"
        " next_at = NULL, lease_until = NULL, frozen_hash = '' WHERE state = 'reserved'",
        now,
        now + timedelta(seconds=50),
    )
    return incentives


async def outcomes_of(town: Town, worker: Ticking, words: tuple[Said, ...], *, twice: bool = False) -> set[Any]:
    """How payouts end to which the words came in every order."""
    orders = list(itertools.permutations(words))
    found = set()
    for incentive, order in zip(await submitting(town, worker, len(orders)), orders, strict=True):
        payout = (await town.payout(incentive)).id
        for n, (source, outcome) in enumerate(order):
            for _ in range(2 if twice else 1):
                await worker.observe(
                    None, payout, source, outcome, f"k{words.index((source, outcome))}" if twice else None
                )
            town.clock.advance(1.0)
            assert n >= 0
        after = await town.payout(incentive)
        found.add((after.state, *await town.stands(incentive), after.released_at is not None))
    await town.check()
    return found


@pytest.mark.parametrize(
    ("words", "end"),
    [
        ((PAID, PENDING, UNKNOWN, ABSENT), (S.SUCCEEDED, "paid", None, False)),
        ((PAID, PAID_LOOKUP, PENDING, ABSENT), (S.SUCCEEDED, "paid", None, False)),
        ((REFUSED, PENDING, UNKNOWN, ABSENT), (S.REJECTED, "scheduled", "balance_limit", True)),
        ((REFUSED, FAILED, PENDING, ABSENT), (S.REJECTED, "scheduled", "balance_limit", True)),
        ((FAILED, PENDING, UNKNOWN, ABSENT), (S.REJECTED, "paying", None, False)),
        ((PAID, FAILED, PENDING, ABSENT), (S.SUCCEEDED, "paid", "contradiction", False)),
        ((PAID, REFUSED, UNKNOWN, ABSENT), (S.SUCCEEDED, "paid", "contradiction", False)),
        ((PAID, BACK, PENDING, UNKNOWN), (S.REVERSED, "returned", "payment_reversed", False)),
        ((PAID, BACK, FAILED, REFUSED), (S.REVERSED, "returned", "payment_reversed", False)),
    ],
)
async def test_every_order_of_words_ends_the_same(town: Town, words: tuple[Said, ...], end: tuple[Any, ...]) -> None:
    town.partner()
    assert await outcomes_of(town, town.worker(), words) == {end}


@pytest.mark.parametrize(
    ("words", "end"),
    [
        ((PAID, FAILED, PENDING, UNKNOWN), (S.SUCCEEDED, "paid", "contradiction", False)),
        ((PAID, REFUSED, FAILED, PENDING), (S.SUCCEEDED, "paid", "contradiction", False)),
        ((PAID, BACK, FAILED), (S.REVERSED, "returned", "payment_reversed", False)),
        ((at(1, PAID), at(2, FAILED), PENDING, UNKNOWN), (S.REVERSED, "returned", "payment_reversed", False)),
        ((at(2, PAID), at(1, FAILED), PENDING, UNKNOWN), (S.SUCCEEDED, "paid", None, False)),
        ((at(1, PAID), at(1, FAILED), QUEUED), (S.SUCCEEDED, "paid", "contradiction", False)),
        ((at(1, PAID), at(2, FAILED), at(3, PAID_LOOKUP)), (S.REVERSED, "returned", "payment_reversed", False)),
        ((at(1, LISTED), at(2, FAILED), QUEUED), (S.SUCCEEDED, "paid", "contradiction", False)),
        ((QUEUED, FAILED, UNKNOWN), (S.REJECTED, "paying", None, False)),
        ((QUEUED, TIMED_OUT, UNKNOWN), (S.REJECTED, "paying", "outcome_unknown", False)),
        ((REPEATED, FAILED, QUEUED, PENDING), (S.REJECTED, "paying", "outcome_unknown", False)),
        ((REPEATED, REFUSED), (S.REJECTED, "paying", "outcome_unknown", False)),
    ],
)
async def test_where_completed_can_fail(town: Town, words: tuple[Said, ...], end: tuple[Any, ...]) -> None:
    town.partner(two_step=True)
    assert await outcomes_of(town, town.worker(), words) == {end}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((at(1, PAID), at(2, FAILED)), False),
        ((at(1, PAID), at(2, FAILED), at(3, PAID_LOOKUP)), True),
        ((at(1, PAID), at(2, BACK)), False),
        ((at(2, BACK), at(3, LISTED)), True),
        ((night(-1, BACK), night(91, PAID)), False),  # posted under yesterday, as partners may
        ((night(-1, BACK), night(91, LISTED)), False),
        ((night(-1, BACK), night(901, PAID)), True),
        ((night(1, BACK), night(91, PAID)), True),
        ((night(-60, PAID), night(-1, BACK), night(91, LISTED)), True),  # two payments, of which one came back
    ],
)
async def test_paid_once_more_after_it_came_back_is_told(town: Town, words: tuple[Said, ...], told: bool) -> None:
    """Whoever reads *returned* would pay again: that the partner says so after a later credit is a person's to see."""
    town.partner(two_step=True)
    await outcomes_of(town, town.worker(), words)
    found = await town.fetch("SELECT count(DISTINCT payout) AS n FROM cases WHERE code = 'contradiction'")
    assert bool(found[0]["n"]) is told
    if told:  # in whatever order the words came
        assert found[0]["n"] == len(list(itertools.permutations(words)))


async def test_repeats_change_nothing(town: Town) -> None:
    town.partner()
    words = (PAID, FAILED, PENDING)
    assert await outcomes_of(town, town.worker(), words, twice=True) == {(S.SUCCEEDED, "paid", "contradiction", False)}
    rows = await town.fetch("SELECT count(*) AS n FROM observations GROUP BY payout")
    assert {row["n"] for row in rows} == {3}


async def replaced(town: Town, worker: Ticking) -> tuple[int, int]:
    """An incentive whose first payout was refused, confirmed and replaced by a reserved one; and the first's id."""
    (incentive,) = await submitting(town, worker, 1)
    first = (await town.payout(incentive)).id
    await worker.observe(None, first, *FAILED)
    town.clock.advance(31.0)
    await worker.observe(None, first, Source.LOOKUP, rejected(None, technical=True))
    assert len(await worker.claim("fake", 5)) == 1
    assert await town.states(incentive) == [S.REJECTED, S.RESERVED]
    return incentive, first


async def test_paid_after_all_cancels_a_replacement_that_has_not_left(town: Town) -> None:
    bank = town.partner()
    worker = town.worker()
    incentive, first = await replaced(town, worker)
    await worker.observe(None, first, *PAID)
    assert await town.states(incentive) == [S.SUCCEEDED, S.CANCELLED]
    assert await town.stands(incentive) == ("paid", "contradiction")
    assert await town.cases() == ["contradiction"]
    assert await town.fetch("SELECT * FROM partner_switches") == []
    assert bank.seen == []
    await town.check()


async def test_paid_after_all_pauses_the_partner_where_a_replacement_has_left(town: Town) -> None:
    bank = town.partner()
    worker = town.worker()
    incentive, first = await replaced(town, worker)
    bank.script("transfer", "lost")
    town.clock.advance(31.0)
    await worker.tick_send("fake")
    await worker.observe(None, first, *PAID)
    assert await town.states(incentive) == [S.SUCCEEDED, S.UNKNOWN]
    (switch,) = await town.fetch("SELECT * FROM partner_switches")
    assert switch["paused_by"] == "gateway"
    await town.due()
    assert await worker.tick_send("fake") == 0
    town.clock.advance(60.0)
    await worker.tick_lookups("fake")
    assert await town.states(incentive) == [S.SUCCEEDED, S.SUCCEEDED], "both are told as they are"
    assert await town.stands(incentive) == ("paid", "contradiction")
    assert await town.cases() == ["contradiction", "contradiction"], "one for each payout"
    async with town.database.connection() as connection:
        assert await ledger.imbalance(connection) == 0


async def test_paid_after_all_pauses_while_the_replacement_is_being_sent(town: Town) -> None:
    """The word comes while the replacement's request is under way: it has left as far as anyone knows."""
    bank = town.partner()
    worker = town.worker()
    incentive, first = await replaced(town, worker)
    seen: list[Any] = []

    async def tell(operation: str) -> None:
        if operation == "transfer":
            await town.worker("other").observe(None, first, *PAID)
            seen.append(await town.states(incentive))
            seen.append([row["paused_by"] for row in await town.fetch("SELECT paused_by FROM partner_switches")])

    bank.before = tell
    town.clock.advance(31.0)
    await worker.tick_send("fake")
    assert seen == [[S.SUCCEEDED, S.SUBMITTING], ["gateway"]]
    assert await town.cases() != []


@pytest.mark.parametrize(
    ("now", "first"),
    [
        ("2026-12-31T16:59:59+00:00", "2026-12-31T17:00:00+00:00"),  # a second before the new year in Jakarta
        ("2026-12-01T00:00:00+07:00", "2027-01-01T00:00:00+07:00"),
        ("2026-12-31T17:00:00+00:00", "2027-02-01T00:00:00+07:00"),
        ("2026-11-30T23:00:00+07:00", "2026-12-01T00:00:00+07:00"),
        ("2028-01-31T12:00:00+07:00", "2028-02-01T00:00:00+07:00"),
    ],
)
def test_a_monthly_limit_begins_anew_with_the_month_in_jakarta(now: str, first: str) -> None:
    assert ends.next_month(datetime.fromisoformat(now)) == datetime.fromisoformat(first)


async def test_a_reading_is_as_old_as_its_beginning(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was booked while it was read may stand on a page that had been read."""
    bank = town.partner()
    for n in range(8):
        bank.book(f"99{n:017d}", 1000, "0000000001")
    began, read = town.clock.now(), bank._statement

    def slowly(asked: dict[str, Any]) -> dict[str, Any]:
        town.clock.advance(60.0)
        return read(asked)

    monkeypatch.setattr(bank, "_statement", slowly)
    done = await town.statements().read("fake", town.today())
    assert (done.started_at, done.finished_at > began) == (began, True)
    since = began + timedelta(seconds=90)
    assert not enough_readings(done.day, since, Calendar([done]), now=town.clock.now(), again_s=None).enough


async def test_given_back_after_a_replacement_was_made(town: Town) -> None:
    town.partner(two_step=True)
    worker = town.worker()
    incentive, first = await replaced(town, worker)
    await worker.observe(None, first, *at(5, PAID))
    assert await town.states(incentive) == [S.SUCCEEDED, S.CANCELLED]
    await worker.observe(None, first, *at(6, FAILED))
    assert await town.states(incentive) == [S.REVERSED, S.CANCELLED]
    assert await town.stands(incentive) == ("returned", "payment_reversed")
    assert await worker.claim("fake", 5) == []
    await town.check()


async def test_perhaps_paid_takes_back_what_has_not_left_in_its_place(town: Town) -> None:
    town.partner()
    worker = town.worker()
    incentive, first = await replaced(town, worker)
    await worker.observe(None, first, *REPEATED, "n1")
    await worker.observe(None, first, *REPEATED, "n1")
    assert await town.states(incentive) == [S.REJECTED, S.CANCELLED]
    assert await town.stands(incentive) == ("paying", "outcome_unknown")
    assert await town.cases() == ["outcome_unknown"]
    await town.drive(worker, town.statements(), hours=100, step_s=3600)
    assert await town.states(incentive) == [S.REJECTED, S.CANCELLED], "only a person lets it be replaced"
    await worker.observe(None, first, *at(9, LISTED))
    assert (await town.payout(incentive)).state is not S.REJECTED
    await town.check()


@pytest.mark.parametrize("booked", [False, True])
async def test_a_time_out_at_the_bank_waits_for_the_statements_of_its_day_and_the_next(
    town: Town, booked: bool
) -> None:
    bank = town.partner()
    worker, statements = town.worker(), town.statements()
    (incentive,) = await submitting(town, worker, 1)
    first = await town.payout(incentive)
    bank.script("status", *[{"act": "say", "kind": "rejected", "technical": True}] * 10_000)
    await worker.observe(None, first.id, *TIMED_OUT, "n1")
    await town.drive(worker, statements, hours=30, step_s=1800)
    assert await town.states(incentive) == [S.REJECTED]
    assert await town.stands(incentive) == ("paying", "outcome_unknown")
    if booked:
        bank.book(first.reference, first.amount_rupiah, "0000000001")
    await town.drive(worker, statements, hours=40, step_s=1800)
    wanted = [S.SUCCEEDED] if booked else [S.REJECTED, S.SUCCEEDED]
    assert await town.states(incentive) == wanted
    assert sum(1 for one in bank.booked if one["kind"] == "credit") == 1
    await town.check()


async def test_a_stale_refusal_says_nothing_about_the_attempt_after_it(town: Town) -> None:
    town.partner()
    worker = town.worker()
    (incentive,) = await submitting(town, worker, 1)
    payout = (await town.payout(incentive)).id
    await town.execute("UPDATE payouts SET attempt = 2")
    stale = Word(payout=payout, source=Source.REPLY, outcome=rejected(None, technical=True), attempt=1)
    await worker._commits.apply([stale])
    assert (await town.payout(incentive)).state is S.SUBMITTING
    await worker.observe(None, payout, *PAID)
    assert await town.stands(incentive) == ("paid", None)


async def test_a_reason_that_comes_late_updates_the_rejection(town: Town) -> None:
    town.partner()
    worker = town.worker()
    (incentive,) = await submitting(town, worker, 1)
    payout = await town.payout(incentive)
    await worker.observe(None, payout.id, *FAILED)
    assert await town.stands(incentive) == ("paying", None)
    notice = PayoutNotice(outcome=rejected(BlockerCode.MONTHLY_LIMIT), reference=payout.reference)
    await worker.notice("fake", notice, "x")
    assert await town.stands(incentive) == ("scheduled", "monthly_limit")
    (row,) = await town.fetch("SELECT own_next_at FROM incentives")
    assert str(row["own_next_at"]) == "2026-11-30 17:00:00+00:00", (
        "the first of next month in Jakarta, unless a look-up confirms it"
    )


async def test_the_reversal_shows_in_the_statement(town: Town) -> None:
    bank = town.partner()
    incentive = await town.due()
    worker, statements = town.worker(), town.statements()
    await worker.tick_send("fake")
    payout = await town.payout(incentive)
    bank.book(payout.reference, payout.amount_rupiah, "0000000001", kind="reversal")
    await town.drive(worker, statements, hours=0.02)
    assert await town.stands(incentive) == ("returned", "payment_reversed")
    rows = await town.fetch("SELECT kind FROM ledger ORDER BY id")
    assert [row["kind"] for row in rows] == ["reserve", "settle", "return"]


async def test_the_funnel_follows_the_amounts_of_incentives_that_change_places(town: Town) -> None:
    bank = town.partner()
    worker = town.worker()
    (first,) = await submitting(town, worker, 1)
    second = await town.due(amount=50_000)
    await worker.observe(None, (await town.payout(first)).id, *PAID)
    bank.script("transfer", "lost")
    await worker.tick_send("fake")
    given_back, paid = (await town.payout(first)).id, (await town.payout(second)).id
    await worker._commits.apply(
        [
            Word(payout=given_back, source=Source.STATEMENT, outcome=reversed_()),
            Word(payout=paid, source=Source.STATEMENT, outcome=succeeded()),
        ]
    )
    await town.check()


async def test_a_day_whose_statement_could_not_be_had_is_read_days_later(town: Town) -> None:
    bank = town.partner()
    incentive = await town.due()
    worker, statements = town.worker(), town.statements()
    await worker.tick_send("fake")
    payout = await town.payout(incentive)
    bank.book(payout.reference, payout.amount_rupiah, "0000000001", kind="reversal")
    bank.script("statement", *["garbage"] * 6)  # the second in a row ends a round
    for _ in range(3):
        assert await statements.tick("fake") == 0
        town.clock.advance(24 * 3600.0)
    assert await statements.tick("fake") == 4, "from the day of the first payout to today"
    assert await town.stands(incentive) == ("returned", "payment_reversed")


async def test_a_day_that_cannot_be_read_keeps_no_other_from_being_read(town: Town) -> None:
    bank = town.partner()
    await town.due()
    await town.worker().tick_send("fake")
    statements = town.statements()
    bank.script("statement", {"act": "say", "lines": [{}], "next": None})
    assert await statements.tick("fake") == 1
    days = await town.fetch("SELECT day FROM statement_reads")
    assert [str(row["day"]) for row in days] == ["2026-11-24"], "the oldest one was asked for first"


async def test_a_day_that_the_partner_refuses_keeps_no_other_from_being_read(town: Town) -> None:
    """Some give the day that still runs only once it is over. A second refusal in a row is the partner's trouble."""
    bank = town.partner()
    await town.due()
    await town.worker().tick_send("fake")
    town.clock.advance(2 * 24 * 3600.0)
    statements = town.statements()
    bank.script("statement", "refused_connection", "refused_connection")
    assert (await statements.tick("fake"), bank.seen.count("statement")) == (0, 2)
    town.clock.advance(31.0)
    bank.script("statement", "refused_connection")
    read = await statements.tick("fake")
    days = {str(row["day"]) for row in await town.fetch("SELECT day FROM statement_reads")}
    assert read == len(days) >= 2 and "2026-11-25" not in days, "the one not asked for yet came first, and was refused"
    assert await statements.tick("fake") == 0, "it is not asked again at once"
    town.clock.advance(31.0)
    assert await statements.tick("fake") == 1


async def test_credits_that_are_not_ours_are_counted_and_shown(town: Town) -> None:
    bank = town.partner()
    statements = town.statements()
    for n in range(8):
        bank.book(f"99{n:017d}", 1000, "0000000001")
    await statements.tick("fake")
    town.clock.advance(901.0)
    await statements.tick("fake")
    (last,) = await statements.last_reads()
    assert (last.lines, last.unknown_lines) == (8, 8)
    assert await town.cases() == ["contradiction"]


async def test_a_second_credit_under_one_reference_pauses_the_partner(town: Town) -> None:
    bank = town.partner()
    incentive = await town.due()
    worker, statements = town.worker(), town.statements()
    await worker.tick_send("fake")
    payout = await town.payout(incentive)
    bank.book(payout.reference, payout.amount_rupiah, "0000000001")
    await statements.tick("fake")
    assert await town.cases() == ["contradiction"]
    assert len(await town.fetch("SELECT * FROM partner_switches WHERE paused_at IS NOT NULL")) == 1


async def test_a_statement_cut_short_counts_as_not_read(town: Town) -> None:
    bank = town.partner()
    statements = town.statements()
    for n in range(8):
        bank.book(f"99{n:017d}", 1000, "0000000001")
    bank.script("statement", "ok", "garbage")
    assert await statements.tick("fake") == 1
    assert [str(row["day"]) for row in await town.fetch("SELECT day FROM statement_reads")] == ["2026-11-23"]
    town.clock.advance(31.0)
    assert await statements.tick("fake") == 1
    days = await town.fetch("SELECT day FROM statement_reads ORDER BY day")
    assert [str(row["day"]) for row in days] == ["2026-11-23", "2026-11-24"]


async def test_a_word_is_about_the_partner_that_says_it(town: Town) -> None:
    town.partner()
    town.partner("other")
    incentive = await town.due()
    worker = town.worker()
    await worker.claim("fake", 1)
    reference = (await town.payout(incentive)).reference
    notice = PayoutNotice(outcome=succeeded(), reference=reference)
    assert await worker.notice("other", notice, "n1") == "no_such_payout"
    assert await town.states(incentive) == [S.RESERVED]


async def test_days_that_a_partner_no_longer_gives_keep_today_from_nothing(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = town.partner()
    await town.due()
    worker, statements = town.worker(), town.statements()
    await worker.tick_send("fake")
    town.clock.advance(20 * 24 * 3600.0)
    today = jakarta_day(town.clock.now())
    read = bank._statement
    monkeypatch.setattr(bank, "_statement", lambda asked: read(asked) if asked["day"] == str(today) else {"kind": "no"})
    assert await statements.tick("fake") == 1
    assert [one.day for one in await statements.last_reads()] == [today]


async def test_what_never_left_and_is_called_paid_is_told_of(town: Town) -> None:
    """Reserved and never tried: the word is of money that nobody asked for, or of a store that forgot."""
    town.partner()
    incentive, worker = await town.due(), town.worker()
    await worker.claim("fake", 1)
    payout = await town.payout(incentive)
    await worker.observe(None, payout.id, Source.NOTIFICATION, succeeded(), "one")
    assert await town.states(incentive) == [S.SUCCEEDED]
    assert await town.cases() == ["contradiction"]
