"""When a payout may be sent again, and what statements prove: the rules alone, at their edges."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contracts.observation import Absence, Source
from contracts.partner import AbsenceRule, Lifetimes, Mark
from contracts.payout import OutcomeKind, PayoutState
from gateway.clock import SKEW_S
from gateway.demo.run import WAITS
from gateway.partners.desk import pace
from gateway.services.payouts.absence import (
    Calendar,
    NoPermit,
    ResendPermit,
    enough_readings,
    key_until,
    listed_by,
    only_statements_can_tell,
    resend_permit,
)
from gateway.services.payouts.ends import Standing, Terms, fact, release_again
from gateway.settings import Waits, parse_waits
from gateway.storage.payouts.observations import Heard
from gateway.storage.payouts.payouts import IncentiveFacts, PayoutRow
from tests.gateway.payouts.fake import NOON, manifest
from tests.gateway.payouts.town import Town

HOUR = timedelta(hours=1)
TOLERANCE = timedelta(seconds=SKEW_S)
MIDNIGHT = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)
"""In Jakarta."""
ENOUGH = (60, 600, 1800, 3600)


def terms(**changes: Any) -> Terms:
    made = manifest(**changes)
    return Terms(manifest=made, pace=pace(made, Waits()))


def in_doubt(sent_at: datetime = NOON, **changes: Any) -> PayoutRow:
    """A payout whose one attempt was never answered."""
    values: dict[str, Any] = dict.fromkeys(field.name for field in msgspec.structs.fields(PayoutRow))
    values |= {
        "id": 1, "reference": "10" + "1".zfill(17), "state": PayoutState.UNKNOWN, "attempt": 1, "frozen_hash": b"h",
        "first_sent_at": sent_at, "sent_at": sent_at, "sent_deadline": sent_at,
    }  # fmt: skip
    return PayoutRow(**(values | changes))


def said(kind: OutcomeKind, at: datetime, source: Source = Source.LOOKUP, n: int = 1) -> Heard:
    return Heard(
        id=n, payout=1, source=source, attempt=1, kind=kind, reason=None, technical=False, partner_code=None, at=at
    )


def not_found(payout: PayoutRow, seconds: tuple[int, ...] = ENOUGH) -> list[Heard]:
    assert payout.sent_deadline is not None
    return [
        said(OutcomeKind.NOT_FOUND, payout.sent_deadline + timedelta(seconds=s), n=n)
        for n, s in enumerate(seconds, start=1)
    ]


def permit(
    payout: PayoutRow, heard: list[Heard], *, now: datetime | None = None, act: bool = True, **changes: Any
) -> ResendPermit | NoPermit:
    return resend_permit(terms(**changes), payout, heard, now=now or NOON + HOUR, answer_s=50.0, act_on_assumed=act)


def test_a_permit_carries_reference_window_and_proof() -> None:
    payout = in_doubt()
    given = permit(payout, not_found(payout))
    assert isinstance(given, ResendPermit)
    assert (given.reference, given.frozen_hash, given.last_heard) == (payout.reference, b"h", 4)
    assert given.window_until == MIDNIGHT - TOLERANCE
    assert len(given.proof.not_found_at) == 4


def test_look_ups_that_began_late_prove_it_later() -> None:
    """The first hour nobody could ask; then they are as good, over as long a time."""
    payout, late = in_doubt(), (3_700, 4_200, 5_000, 5_499)
    at = NOON + timedelta(seconds=6_000)
    assert permit(payout, not_found(payout, late), now=at) is NoPermit.NOT_PROVED
    assert isinstance(permit(payout, not_found(payout, (*late, 5_500)), now=at), ResendPermit)


def test_a_permit_is_made_nowhere_else() -> None:
    with pytest.raises(TypeError):
        ResendPermit(
            payout=1,
            reference="",
            frozen_hash=b"",
            window_until=NOON,
            proof=Absence(last_attempt_at=NOON, not_found_at=()),
            last_heard=0,
            seal=object(),
        )


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        ({}, (60, 600, 3600)),
        ({}, (60, 600, 1800, 3599)),
        ({}, (1801, 2400, 3000, 3600)),
        ({}, (-600, -60, 1800, 3600)),
        ({"attempt": 2}, ENOUGH),
        ({"attempt": 0}, ENOUGH),
        ({"state": PayoutState.PENDING}, ENOUGH),
        ({"state": PayoutState.SUBMITTING}, ENOUGH),
        ({"frozen_hash": None}, ENOUGH),
    ],
    ids=[
        "three look-ups",
        "too early",
        "not spread",
        "before it left",
        "sent twice",
        "never sent",
        "pending",
        "in flight",
        "no hash",
    ],
)
def test_no_permit(changes: dict[str, Any], seconds: tuple[int, ...]) -> None:
    payout = in_doubt(**changes)
    assert permit(payout, not_found(payout, seconds)) is NoPermit.NOT_PROVED


@pytest.mark.parametrize(
    "word",
    [
        said(OutcomeKind.PENDING, NOON, Source.REPLY),
        said(OutcomeKind.QUEUED, NOON),
        said(OutcomeKind.UNKNOWN, NOON, Source.LOOKUP),
        said(OutcomeKind.REJECTED, NOON),
    ],
)
def test_a_partner_that_has_spoken_of_it_knows_it(word: Heard) -> None:
    payout = in_doubt()
    assert permit(payout, [word, *not_found(payout)]) is NoPermit.NOT_PROVED
    silence = said(OutcomeKind.UNKNOWN, NOON, Source.REPLY)
    assert isinstance(permit(payout, [silence, *not_found(payout)]), ResendPermit)


def test_the_resends_own_deadline_lies_in_the_day_of_the_first_attempt() -> None:
    """By the clock of a partner that is ahead of ours too, as far as clocks may differ."""
    payout = in_doubt(MIDNIGHT - 3 * HOUR)
    heard = not_found(payout)
    last = MIDNIGHT - TOLERANCE - timedelta(seconds=50)
    assert isinstance(permit(payout, heard, now=last), ResendPermit)
    assert permit(payout, heard, now=last + timedelta(seconds=1)) is NoPermit.NOT_PROVED
    assert permit(payout, heard, now=MIDNIGHT + HOUR) is NoPermit.NOT_PROVED


@pytest.mark.parametrize("early", [True, False])
def test_what_left_as_a_day_began_may_be_the_partners_of_yesterday(early: bool) -> None:
    """By a clock that is behind ours it has been forgotten since: its statements tell."""
    payout = in_doubt(MIDNIGHT + TOLERANCE - timedelta(seconds=early))
    at = MIDNIGHT + 2 * HOUR
    assert isinstance(permit(payout, not_found(payout), now=at), NoPermit if early else ResendPermit)
    assert only_statements_can_tell(terms(), payout, at) is early


def test_the_references_life_bounds_the_window_too() -> None:
    payout = in_doubt()
    short = Lifetimes(
        reference_s=4_600.0, external_id="none", create_key_s=None, lookup_reach_s=1e6, mark=Mark.SEEN, source="test"
    )
    given = permit(payout, not_found(payout), lifetimes=short)
    assert isinstance(given, ResendPermit)
    assert given.window_until == NOON + timedelta(seconds=3_700)
    assert permit(payout, not_found(payout), now=NOON + timedelta(seconds=3_651), lifetimes=short) is (
        NoPermit.NOT_PROVED
    )


def test_what_is_assumed_needs_the_setting_and_what_is_seen_does_not() -> None:
    payout = in_doubt()
    heard = not_found(payout)
    assert permit(payout, heard, act=False) is NoPermit.ASSUMED
    seen = AbsenceRule(by_lookup=True, after_s=3600, lookups=4, mark=Mark.SEEN, source="test")
    assert isinstance(permit(payout, heard, act=False, absence=seen), ResendPermit)
    never = AbsenceRule(by_lookup=False, after_s=3600, lookups=4, mark=Mark.SEEN, source="test")
    assert permit(payout, heard, absence=never) is NoPermit.NOT_PROVED


def test_when_only_statements_can_tell() -> None:
    same_day, next_day = NOON + HOUR, NOON + 24 * HOUR
    assert not only_statements_can_tell(terms(), in_doubt(), same_day)
    assert only_statements_can_tell(terms(), in_doubt(attempt=2), same_day)
    assert only_statements_can_tell(terms(), in_doubt(), next_day)
    assert not only_statements_can_tell(terms(), in_doubt(state=PayoutState.PENDING), next_day)
    assert not only_statements_can_tell(terms(two_step=True), in_doubt(), next_day)


TODAY, YESTERDAY = date(2026, 11, 24), date(2026, 11, 23)


class Reading(NamedTuple):
    day: date
    started_at: datetime
    finished_at: datetime
    proves: bool = True


def read(day: date, minutes: float) -> Reading:
    """A reading begun so many minutes after noon, done a minute later."""
    return Reading(day, NOON + timedelta(minutes=minutes), NOON + timedelta(minutes=minutes + 1))


@pytest.mark.parametrize(
    ("reads", "minutes", "enough", "days"),
    [
        ([], -1, False, ()),
        ([], 1, False, (YESTERDAY, TODAY)),
        ([read(YESTERDAY, -5), read(TODAY, -5)], 1, False, (YESTERDAY, TODAY)),
        ([read(YESTERDAY, 1)], 3, False, (TODAY,)),
        ([read(YESTERDAY, 1), read(TODAY, 2)], 3.2, False, ()),
        ([read(YESTERDAY, 1), read(TODAY, 2)], 4, False, (YESTERDAY, TODAY)),
        ([read(YESTERDAY, 1), read(TODAY, 2), read(TODAY, 4)], 6, False, (YESTERDAY,)),
        ([read(YESTERDAY, 1), read(TODAY, 2), read(TODAY, 3), read(YESTERDAY, 3)], 6, False, (YESTERDAY, TODAY)),
        ([read(YESTERDAY, 1), read(TODAY, 2), read(TODAY, 4), read(YESTERDAY, 4)], 6, True, ()),
    ],
)
def test_two_complete_readings_of_every_day(
    reads: list[Reading], minutes: float, enough: bool, days: tuple[date, ...]
) -> None:
    found = enough_readings(YESTERDAY, NOON, Calendar(reads), now=NOON + timedelta(minutes=minutes), again_s=30.0)
    assert (found.enough, found.days) == (enough, days)


def test_one_reading_where_one_is_asked_for() -> None:
    reads = [read(YESTERDAY, 1), read(TODAY, 2)]
    assert enough_readings(YESTERDAY, NOON, Calendar(reads), now=NOON + HOUR, again_s=None).enough


def test_too_long_ago_is_nothing_for_statements() -> None:
    found = enough_readings(date(2026, 1, 1), NOON, Calendar([]), now=NOON + HOUR, again_s=30.0)
    assert (found.enough, found.days) == (False, ())


@pytest.mark.parametrize(("before_midnight_s", "wait_s"), [(10, 10), (899, 899), (901, 6), (3_600, 6)])
def test_however_short_the_wait_a_partner_ahead_at_midnight_is_asked_about_its_day(
    before_midnight_s: int, wait_s: int
) -> None:
    """A clock that is up to 900 s ahead books what left before midnight under the day that begins then."""
    midnight = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)  # in Jakarta
    sent_deadline = midnight - timedelta(seconds=before_midnight_s)
    quick = pace(manifest(), Waits(absence_s=6.0))
    assert listed_by(quick, sent_deadline) == sent_deadline + timedelta(seconds=wait_s)


@pytest.mark.parametrize("before_midnight_s", [120, 600, 899])
def test_a_demonstration_on_one_machine_does_not_wait_for_midnight(before_midnight_s: int) -> None:
    made, sent = manifest(), MIDNIGHT - timedelta(seconds=before_midnight_s)
    quick = Terms(manifest=made, pace=pace(made, parse_waits(WAITS)))
    payout, now = in_doubt(sent), sent + timedelta(seconds=20)
    heard = not_found(payout, (1, 5, 10, 15))
    found = resend_permit(quick, payout, heard, now=now, answer_s=50.0, act_on_assumed=True)
    assert isinstance(found, ResendPermit) and found.window_until == MIDNIGHT - timedelta(seconds=1)
    assert permit(payout, not_found(payout, (1, 5, 10, 15)), now=now) is NoPermit.NOT_PROVED  # as partners' clocks are
    assert listed_by(quick.pace, sent) < now


@pytest.mark.parametrize("sent_h", [0.5, 7.5, 23.5])
@pytest.mark.parametrize("daily", [False, True])
def test_a_key_is_trusted_no_longer_than_its_life_or_until_it_is_purged(sent_h: float, daily: bool) -> None:
    """What lives a day and is purged at 00:00 UTC once older is good until that midnight, less what clocks differ."""
    sent = datetime(2026, 11, 24, tzinfo=UTC) + timedelta(hours=sent_h)
    lifetimes = msgspec.structs.replace(
        manifest(two_step=True).lifetimes, create_key_s=86_400.0, create_keys_purged_daily=daily
    )
    until = key_until(lifetimes, sent)
    purged = datetime(2026, 11, 26, tzinfo=UTC) - timedelta(seconds=SKEW_S)
    assert until == (purged if daily else sent + timedelta(days=1))


@example(sent_ms=5_000, ahead_s=-15, took_s=0, later_s=86_400 + 36_000)
@given(
    st.integers(0, 86_399_999), st.integers(-int(SKEW_S), int(SKEW_S)), st.integers(0, 60), st.integers(0, 3 * 86_400)
)
def test_no_key_is_trusted_once_a_partner_whose_clock_differs_has_purged_it(
    sent_ms: int, ahead_s: int, took_s: int, later_s: int
) -> None:
    """The partner keeps a key when a create arrives, and purges at its own midnight UTC what is older than a day."""
    sent = datetime(2026, 11, 24, tzinfo=UTC) + timedelta(milliseconds=sent_ms)
    ahead = timedelta(seconds=ahead_s)
    kept_at = sent + timedelta(seconds=took_s) + ahead
    asked_at = sent + timedelta(seconds=later_s)
    midnight = (asked_at + ahead).replace(hour=0, minute=0, second=0, microsecond=0)
    lifetimes = msgspec.structs.replace(
        manifest(two_step=True).lifetimes, create_key_s=86_400.0, create_keys_purged_daily=True
    )
    until = key_until(lifetimes, sent)
    assert until is not None and until >= sent + timedelta(days=1)
    if asked_at < until:
        assert not midnight - kept_at > timedelta(days=1), "a second instruction would be made"


def test_what_came_back_is_released_though_it_came_back_this_very_moment() -> None:
    """A release is told from an older one by its time alone."""
    payout = in_doubt(state=PayoutState.REVERSED, ended_at=NOON)
    incentive = IncentiveFacts(
        id=1,
        participant=1,
        payout="reversed",
        own=None,
        own_next_at=None,
        payouts=1,
        looks=0,
        deadline_on=date(2027, 1, 1),
    )
    standing = Standing(payout=payout, incentive=incentive, others=[])
    assert fact([payout]) == "reversed"
    release_again(standing, NOON)
    assert fact([payout]) is None and incentive.payout is None


async def test_what_has_moved_on_since_it_was_weighed_is_not_judged(town: Town) -> None:
    """Between the reading and the judgement somebody looked it up, or sent it again: weigh it anew."""
    bank = town.partner()
    incentive = await town.due()
    bank.script("transfer", "lost")
    await town.worker().tick_send("fake")
    weighed = await town.payout(incentive)
    for changes, judged in (("", [weighed]), (", looks = looks + 1", [])):
        await town.execute(f"UPDATE payouts SET updated_at = updated_at{changes} WHERE id = $1", weighed.id)
        async with town.database.connection() as connection:
            transaction = connection.transaction()
            await transaction.start()
            still, _ = await town.statements()._unlisted.judge(connection, town.desks["fake"], [weighed])
            assert still == judged
            await transaction.rollback()


def test_a_reading_of_a_day_without_a_list_is_none() -> None:
    reads = [read(YESTERDAY, 1), read(TODAY, 2)._replace(proves=False)]
    found = enough_readings(YESTERDAY, NOON, Calendar(reads), now=NOON + HOUR, again_s=None)
    assert (found.enough, found.days) == (False, (TODAY,))
