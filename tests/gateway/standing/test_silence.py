"""Whatever stands still without a word becomes a case by itself, once, and only that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from contracts.hold import CallFault, HoldKind, HoldStage
from contracts.incentive import BlockerCode
from gateway.partners.watch import Told
from gateway.services.ops.silence import AWAY_FOR, LATE, REFUSED_FOR, UNDECIDED_FOR, UNLOOKED_FOR, UNRENEWED_FOR, Guard
from gateway.storage.ops import holds, switches
from gateway.storage.ops.holds import NewHold
from gateway.storage.reconciliation import recovery
from gateway.worker.outage import FAILURES, QUIET_S, Outages
from tests.gateway.payouts.town import Town

LATE_S = LATE.total_seconds()
Plant = Callable[[Town], Awaitable[None]]


def guard(town: Town) -> Guard:
    return Guard(town.database, town.clock, town.desks)


async def told(town: Town) -> list[tuple[str, str]]:
    """Code and first words of what is open."""
    rows = await town.fetch("SELECT code, detail FROM cases WHERE closed_at IS NULL ORDER BY id")
    return [(row["code"], " ".join(row["detail"].split()[:2])) for row in rows]


async def lost_next_step(town: Town) -> None:
    """A payout that is unknown and will never be looked up."""
    town.banks["fake"].script("transfer", "lost")
    await town.due()
    await town.worker().tick_send("fake")
    await town.execute("UPDATE payouts SET next_at = NULL, sent_deadline = NULL")


async def never_taken_up(town: Town) -> None:
    await town.due()


async def own_without_end(town: Town) -> None:
    """Blocked by what only time lifts, and no time is set."""
    incentive = await town.due()
    await town.execute("UPDATE incentives SET own = 'partner_unavailable', own_next_at = NULL WHERE id = $1", incentive)


async def never_checked(town: Town) -> None:
    await town.due()
    await town.execute("UPDATE participants SET verified = false, verified_until = NULL")


async def check_forgotten(town: Town) -> None:
    await never_checked(town)
    await town.execute(
        "INSERT INTO verifications (id, participant, link_id, nik_index, state, created_at)"
        " SELECT 1, participant, id, '', 'open', $1 FROM links",
        town.clock.now(),
    )


async def exchange_forgotten(town: Town) -> None:
    await town.person()
    await town.execute("UPDATE participants SET verified = false, verified_until = NULL, link_active = false")
    await town.execute("UPDATE links SET state = 'exchanging'")


async def notice_forgotten(town: Town) -> None:
    await town.execute(
        "INSERT INTO inbox (id, partner, kind, event_key, raw_sealed, received_at)"
        " VALUES (1, 'fake', 'k', 'e', '', $1)",
        town.clock.now(),
    )


PLANTED: dict[str, tuple[Plant, str]] = {
    "a payout's next step": (lost_next_step, "this payout"),
    "due, and nobody takes it": (never_taken_up, "due payments"),
    "a wait without an end": (own_without_end, "due payments"),
    "linked, and no check was opened": (never_checked, "people without"),
    "a check without a next time": (check_forgotten, "NIK checks"),
    "a link half exchanged": (exchange_forgotten, "links stand"),
    "a notification that nobody applies": (notice_forgotten, "notifications stand"),
}


@pytest.mark.parametrize("planted", PLANTED)
async def test_what_is_silent_is_a_case_once_and_closes_when_it_moves(town: Town, planted: str) -> None:
    plant, words = PLANTED[planted]
    town.partner()
    await plant(town)
    watch = guard(town)
    await town.pass_time(LATE_S - 60)
    await watch.tick()
    assert await told(town) == [], "not late yet"
    await town.pass_time(120)
    for _ in range(3):
        await watch.tick()
    assert await told(town) == [("stalled", words)]
    await town.execute("DELETE FROM inbox")
    await town.execute("UPDATE incentives SET cancelled = true")
    await town.execute("UPDATE verifications SET state = 'dropped'")
    await town.execute("UPDATE links SET state = 'failed'")
    await town.execute("UPDATE payouts SET next_at = $1", town.clock.now())
    await watch.tick()
    assert await told(town) == []


async def test_more_silence_than_one_look_takes_in_is_told_in_the_next(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.services.ops.silence.MOST", 2)
    town.partner()
    for _ in range(5):
        await lost_next_step(town)
    await town.pass_time(LATE_S + 60)
    watch = guard(town)
    for n in (2, 4, 5, 5):
        await watch.tick()
        assert len(await told(town)) == n
    await town.execute("UPDATE payouts SET next_at = $1", town.clock.now())
    await watch.tick()
    assert await told(town) == []


@pytest.mark.parametrize("why", ["held", "paused", "recovering", "case"])
async def test_what_says_why_it_waits_is_not_silent(town: Town, why: str) -> None:
    town.partner()
    await lost_next_step(town)
    await never_taken_up(town)
    now = town.clock.now()
    async with town.database.transaction() as connection:
        if why == "held":
            await holds.hold(connection, now, a_hold(town, HoldKind.OUTAGE, "5xx"))
        elif why == "paused":
            await switches.pause(connection, now, "fake", by="ann", reason="wait")
        elif why == "recovering":
            await recovery.begin(connection, "fake", since=now, opened_at=now, settled_at=now)
    if why == "case":
        await town.execute("UPDATE incentives SET cancelled = true WHERE payout IS NULL")
        await town.execute(
            "INSERT INTO cases (id, code, partner, payout, detail, opened_at, due_at)"
            " SELECT 1, 'outcome_unknown', 'fake', id, 'd', $1, $1 FROM payouts",
            now,
        )
    await town.pass_time(LATE_S + 60)
    await guard(town).tick()
    assert [code for code, _ in await told(town) if code == "stalled"] == []


async def test_a_backlog_that_moves_is_not_silent(town: Town) -> None:
    """Hundreds wait for their turn for longer than the bound; one of them is paid now and then."""
    town.partner()
    for _ in range(6):
        await town.due()
    watch = guard(town)
    for _ in range(4):
        await town.pass_time(LATE_S / 2)
        await town.worker().tick_send("fake", 1)
        await watch.tick()
        assert await told(town) == []


def a_hold(town: Town, kind: HoldKind, fault: str, stage: HoldStage = HoldStage.PAYOUT) -> NewHold:
    return NewHold(
        partner="fake", stage=stage, kind=kind, fault=fault, words="4010000 merchant unknown", opened_by="w1",
        next_canary_at=town.clock.now() + timedelta(seconds=3),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "fault", "code"),
    [
        (HoldKind.OURS, "credentials", BlockerCode.PARTNER_UNAVAILABLE),
        (HoldKind.OURS, "float_short", BlockerCode.PARTNER_FLOAT_SHORT),
        (HoldKind.OUTAGE, "401", BlockerCode.PARTNER_UNAVAILABLE),
        (HoldKind.OUTAGE, "5xx", None),
    ],
)
async def test_who_refuses_us_for_an_hour_is_one_case_in_their_words(
    town: Town, kind: HoldKind, fault: str, code: BlockerCode | None
) -> None:
    town.partner()
    async with town.database.transaction() as connection:
        await holds.hold(connection, town.clock.now(), a_hold(town, kind, fault))
    watch = guard(town)
    await town.pass_time(REFUSED_FOR.total_seconds() - 60)
    await watch.tick()
    assert await told(town) == []
    for _ in range(3):
        await town.pass_time(120)
        async with town.database.transaction() as connection:  # the same refusal, in other words
            await holds.hold(connection, town.clock.now(), a_hold(town, kind, fault))
        await watch.tick()
    rows = await town.fetch("SELECT code, detail FROM cases WHERE closed_at IS NULL")
    assert [row["code"] for row in rows] == ([] if code is None else [code.value])
    assert all("4010000 merchant unknown" in row["detail"] for row in rows)
    async with town.database.transaction() as connection:
        await holds.release(connection, town.clock.now(), "fake", HoldStage.PAYOUT, [kind], by="w1")
    await watch.tick()
    assert await told(town) == []


async def test_linking_that_fails_at_the_api_is_told_to_all_and_ends(town: Town) -> None:
    """A good answer ends it; so does a while in which nobody tried, as nobody but participants ever tries."""
    town.partner()
    outages = Outages(town.resources, "api-1", asyncio.Event(), (HoldStage.LINK,))
    bad = Told(good=False, fault=CallFault.SERVER_ERROR, words="HTTP 502")
    desk = town.desks["fake"]

    async def shown() -> list[tuple[str, str | None, str]]:
        await outages.tick()
        rows = await town.fetch("SELECT stage, fault, words FROM holds WHERE released_at IS NULL")
        return [(row["stage"], row["fault"], row["words"]) for row in rows]

    for end in ("good", "quiet"):
        for n in range(FAILURES):
            assert await shown() == [], n
            desk._tell("begin_link", bad)
        assert await shown() == [("link", "5xx", "HTTP 502")]
        if end == "good":
            desk._tell("finish_link", Told(good=True))
        else:
            await town.pass_time(QUIET_S - 1)
            assert len(await shown()) == 1
            await town.pass_time(2)
        assert await shown() == []
    events = await town.fetch("SELECT type FROM events WHERE type LIKE 'partner.%' ORDER BY seq")
    assert [row["type"] for row in events] == ["partner.held", "partner.released"] * 2


async def test_checks_that_get_no_verdict_for_a_week_are_one_case_a_partner(town: Town) -> None:
    """However many people wait, whether the partner says *running* or nothing that can be read; while it is held, the
    hold says so.
    """
    watch = guard(town)
    for n in (1, 2):
        await town.person()
        await town.execute(
            "INSERT INTO verifications (id, participant, link_id, nik_index, state, created_at, tries, next_attempt_at,"
            " partner_code) SELECT $1, participant, id, '', 'open', $2, 9, $2::timestamptz + interval '30 days', $3"
            " FROM links l"
            " WHERE NOT EXISTS (SELECT 1 FROM verifications v WHERE v.link_id = l.id)",
            n,
            town.clock.now() + timedelta(hours=n),
            f"P{n}",
        )
    await town.pass_time(UNDECIDED_FOR.total_seconds())
    await watch.tick()
    assert await told(town) == []
    await town.pass_time(3 * 3_600.0)
    for _ in range(2):
        await watch.tick()
    (case,) = await town.fetch("SELECT code, partner, detail FROM cases WHERE closed_at IS NULL")
    assert (case["code"], case["partner"]) == ("verification_pending", "fake")
    assert case["detail"].endswith("of 2 people; its words on the first: P1")
    await town.execute(
        "UPDATE verifications SET state = 'decided', verdict = 'match', decided_at = $1", town.clock.now()
    )
    await watch.tick()
    assert await told(town) == []
    await town.execute("UPDATE verifications SET state = 'open', verdict = NULL, decided_at = NULL")
    async with town.database.transaction() as connection:
        await holds.hold(connection, town.clock.now(), a_hold(town, HoldKind.OUTAGE, "timeout", HoldStage.VERIFY))
    await watch.tick()
    assert await told(town) == []


async def test_who_is_away_or_too_busy_for_a_day_is_one_case_a_stage(town: Town) -> None:
    town.partner()
    watch = guard(town)
    busy = {HoldStage.PAYOUT: (HoldKind.THROTTLED, "429"), HoldStage.VERIFY: (HoldKind.OUTAGE, "later")}
    async with town.database.transaction() as connection:
        for stage, (kind, fault) in busy.items():
            await holds.hold(connection, town.clock.now(), a_hold(town, kind, fault, stage))
    await town.pass_time(AWAY_FOR.total_seconds() - 60)
    await watch.tick()
    assert await told(town) == []
    await town.pass_time(120)
    for _ in range(2):
        await watch.tick()
    rows = await town.fetch("SELECT code, detail FROM cases WHERE closed_at IS NULL ORDER BY detail")
    assert [(row["code"], row["detail"].split(" for more")[0].split(" at ")[-1]) for row in rows] == [
        ("partner_unavailable", "payout"),
        ("partner_unavailable", "verify"),
    ]
    async with town.database.transaction() as connection:
        await holds.release(connection, town.clock.now(), "fake", HoldStage.PAYOUT, [HoldKind.THROTTLED], by="w1")
    await watch.tick()
    assert len(await told(town)) == 1


async def test_access_that_cannot_be_renewed_for_a_week_is_one_case_a_partner(town: Town) -> None:
    """Neither a fresh token nor a refusal; who is in doubt, or not to be renewed, is told in another way."""
    watch = guard(town)
    for _ in range(4):
        await town.person()
    ended = town.clock.now()
    await town.execute("UPDATE links SET grant_expires_at = $1, refresh_at = $1", ended)
    first, second, doubted, kept = [row["id"] for row in await town.fetch("SELECT id FROM links ORDER BY id")]
    await town.execute("UPDATE links SET doubted_at = $1 WHERE id = $2", ended, doubted)
    await town.execute("UPDATE links SET refresh_at = NULL WHERE id = $1", kept)
    await town.pass_time(UNRENEWED_FOR.total_seconds())
    await town.execute("UPDATE links SET refresh_at = $1 WHERE refresh_at IS NOT NULL", town.clock.now())
    await watch.tick()
    assert await told(town) == []
    await town.pass_time(1.0)
    for _ in range(2):
        await watch.tick()
    (case,) = await town.fetch("SELECT code, partner, detail FROM cases WHERE closed_at IS NULL")
    assert (case["code"], case["partner"]) == ("partner_unavailable", "fake")
    assert "more than a week, of 2 people" in case["detail"]
    later = town.clock.now() + UNRENEWED_FOR
    await town.execute("UPDATE links SET grant_expires_at = $1, refresh_at = $1 WHERE id = $2", later, first)
    await watch.tick()
    assert len(await told(town)) == 1, "one is left"
    await town.execute("UPDATE links SET grant_expires_at = $1, refresh_at = $1 WHERE id = $2", later, second)
    await watch.tick()
    assert await told(town) == []


async def test_links_that_nothing_readable_is_said_of_for_a_week_are_one_case_a_partner(town: Town) -> None:
    watch = guard(town)
    for _ in range(3):
        await town.person()
    first, second, doubted = [row["id"] for row in await town.fetch("SELECT id FROM links ORDER BY id")]
    await town.execute("UPDATE links SET health_due_at = $1", town.clock.now())
    await town.execute("UPDATE links SET doubted_at = $1 WHERE id = $2", town.clock.now(), doubted)
    await town.pass_time(UNLOOKED_FOR.total_seconds())
    await town.execute("UPDATE links SET health_due_at = $1", town.clock.now())  # each try puts the next one off
    await watch.tick()
    assert await told(town) == []
    await town.pass_time(1.0)
    for _ in range(2):
        await watch.tick()
    (case,) = await town.fetch("SELECT code, partner, detail FROM cases WHERE closed_at IS NULL")
    assert (case["code"], case["partner"]) == ("partner_unavailable", "fake")
    assert "more than a week, of 2 people" in case["detail"]
    await town.execute("UPDATE links SET health_due_at = NULL WHERE id = $1", first)
    await watch.tick()
    assert len(await told(town)) == 1, "one is left"
    await town.execute("UPDATE links SET health_due_at = NULL WHERE id = $1", second)
    await town.execute("UPDATE links SET health_due_at = $1 WHERE id = $2", town.clock.now(), second)
    await watch.tick()
    assert await told(town) == [], "asked for anew, it counts anew"
