"""A thousand payouts that only a person can settle cost the others nothing, are told of once, and hide nobody."""

from __future__ import annotations

import random
import statistics
import time
from datetime import date, datetime, timedelta
from typing import NamedTuple

import msgspec
import pytest

from contracts.partner import AbsenceRule, Mark
from contracts.payout import PayoutState
from gateway.clock import jakarta_day
from gateway.services.payouts.absence import Calendar
from gateway.services.reconciliation import rounds, statements, unlisted
from gateway.services.reconciliation.statements import Statements
from tests.gateway.payouts.fake import NOON
from tests.gateway.payouts.town import Town

STUCK, DAYS = 1_000, 30


class Reading(NamedTuple):
    day: date
    started_at: datetime
    finished_at: datetime
    proves: bool = True


def test_a_calendar_finds_the_first_reading_that_ended_among_those_begun_since() -> None:
    dice = random.Random(1)
    for _ in range(300):
        days = [jakarta_day(NOON) + timedelta(days=n) for n in range(3)]
        reads = []
        for _ in range(dice.randint(0, 12)):
            begun = NOON + timedelta(seconds=dice.randint(0, 50))
            reads.append(Reading(dice.choice(days), begun, begun + timedelta(seconds=dice.randint(0, 40))))
        calendar = Calendar(reads)
        for day in days:
            since = NOON + timedelta(seconds=dice.randint(-5, 60))
            ends = [read.finished_at for read in reads if read.day == day and read.started_at >= since]
            assert calendar.first_end(day, since) == min(ends, default=None)


@pytest.fixture
async def unsure(town: Town) -> Town:
    """A town that does not act on assumed absence, as in production."""
    town.settings = msgspec.structs.replace(town.settings, resend_on_assumed_absence=False)
    return town


async def stuck(town: Town, many: int, days: int) -> None:
    """So many payouts in doubt since so many days, whose days' statements have all been read often, but for today's."""
    rule = AbsenceRule(by_lookup=True, after_s=300.0, lookups=4, mark=Mark.ASSUMED, source="test")
    bank = town.partner(absence=rule)
    incentive = await town.due()
    bank.script("transfer", "reset")
    await town.worker().tick_send("fake")
    (made,) = await town.fetch("SELECT * FROM payouts")
    began = town.clock.now()
    await town.execute(
        "INSERT INTO incentives (batch_id, line, programme, purpose, period, participant, participant_id, nik_index,"
        " partner, amount_rupiah, due_on, deadline_on, content_hash, approved, link_active, verified, own, payout,"
        " payouts, facts_at, created_at) SELECT batch_id, n, programme, purpose, 's' || n, participant, participant_id,"
        " nik_index, partner, amount_rupiah, due_on, deadline_on, '', true, true, true, 'outcome_unknown', 'open', 1,"
        " facts_at, created_at FROM incentives, generate_series(2, $1::int) AS n WHERE id = $2",
        many,
        incentive,
    )
    await town.execute(
        "INSERT INTO payouts (id, reference, incentive, participant, link_id, partner, amount_rupiah, state, attempt,"
        " first_sent_at, sent_at, sent_deadline, next_at, looks, created_at, updated_at)"
        " SELECT $1::bigint + i.id, 'stuck' || i.id, i.id, participant, $2, 'fake', amount_rupiah, 'unknown', 1, $3,"
        " $3, $3::timestamptz + make_interval(secs => i.id), $4, 9, $3, $3 FROM incentives i WHERE id <> $5",
        made["id"],
        made["link_id"],
        began,
        began + timedelta(days=days + 9),
        incentive,
    )
    town.clock.advance(days * 86_400)
    await town.execute(
        "INSERT INTO statement_reads SELECT 'fake', d::date, t, t + interval '1 s', 0, 0"
        " FROM generate_series($1::timestamptz, $2::timestamptz, interval '1 day') AS d,"
        " generate_series($2::timestamptz - interval '4 h', $2::timestamptz - interval '2 min', interval '150 s') AS t",
        began + timedelta(hours=7),
        town.clock.now(),
    )


async def ticks(town: Town, service: Statements, times: int, *, step_s: float = 1.0) -> tuple[float, int]:
    """Seconds of this machine that a usual one of some ticks took (in one the interpreter may tidy up what a whole run
    has left), and how many payouts they judged.
    """
    took_s: list[float] = []
    judged, judge = 0, service._unlisted.judge

    async def counting(connection, desk, rows):  # type: ignore[no-untyped-def]
        nonlocal judged
        judged += len(rows)
        return await judge(connection, desk, rows)

    service._unlisted.judge = counting  # type: ignore[method-assign]
    for _ in range(times):
        began_s = time.process_time()
        await service.tick("fake")
        took_s.append(time.process_time() - began_s)
        town.clock.advance(step_s)
    return statistics.median(took_s), judged


async def test_a_thousand_stuck_payouts_stall_nothing_and_are_told_of_once(unsure: Town) -> None:
    await stuck(unsure, STUCK, DAYS)
    service = unsure.statements()
    await ticks(unsure, service, 12, step_s=8.0)
    assert await unsure.cases() == ["outcome_unknown"] * STUCK
    usual_s, judged = await ticks(unsure, service, 30)
    print(f"a tick of {STUCK} told of: {usual_s:.3f} s")
    assert judged == 0
    assert usual_s < 0.5


async def test_those_behind_them_have_their_turn(unsure: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "MOST_WAITING", 10)
    for module in (statements, unlisted):
        monkeypatch.setattr(module, "MOST_WAITING", 10)
    await stuck(unsure, 25, 2)
    service = unsure.statements()
    await ticks(unsure, service, 20, step_s=8.0)
    assert await unsure.cases() == ["outcome_unknown"] * 25


async def test_what_changed_since_is_judged_again(unsure: Town) -> None:
    await stuck(unsure, 3, 2)
    service = unsure.statements()
    await ticks(unsure, service, 12, step_s=8.0)
    assert (await ticks(unsure, service, 5))[1] == 0
    await unsure.execute("UPDATE payouts SET attempt = 2 WHERE id = (SELECT max(id) FROM payouts)")
    assert (await ticks(unsure, service, 5))[1] == 1
    assert {row["state"] for row in await unsure.fetch("SELECT state FROM payouts")} == {PayoutState.UNKNOWN.value}


@pytest.mark.parametrize("kind", ["not_found", "pending"])
async def test_what_is_looked_up_for_two_months_is_heard_once_a_day(unsure: Town, kind: str) -> None:
    """And each time while four of them may prove something."""
    bank = unsure.partner(
        absence=AbsenceRule(by_lookup=True, after_s=300.0, lookups=4, mark=Mark.ASSUMED, source="test")
    )
    await unsure.due()
    bank.script("transfer", "reset")
    bank.script("status", *[{"act": "say", "kind": kind}] * 100_000)
    worker = unsure.worker()
    await worker.tick_send("fake")
    heard, asked = [], []
    for hours, step in ((12, 1), (24 * 60, 3)):
        until = unsure.clock.now() + timedelta(hours=hours)
        while unsure.clock.now() < until:
            await worker.tick_lookups("fake")
            unsure.clock.advance(step * 3_600)
        heard.append((await unsure.fetch("SELECT count(*) AS n FROM observations"))[0]["n"])
        asked.append(bank.seen.count("status"))
    assert asked[0] > 8 and heard[0] >= asked[0]
    assert asked[1] > 400 and heard[1] - heard[0] <= 60 + 24
    assert await unsure.cases() == ["outcome_unknown"]
