"""From a due incentive to the partner's answer: every transition that sending can make."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from structlog.testing import capture_logs

from contracts.linking import LinkHealth
from contracts.observation import Source
from contracts.payout import PayoutState, not_found
from gateway.clock import jakarta_day, start_of_jakarta_day
from gateway.services.payouts.ends import LIFTED_BY_ACCOUNT
from gateway.services.payouts.sending import Answer
from gateway.storage.intake import incentive_timers
from gateway.storage.payouts import queue
from gateway.storage.payouts.queue import Intent
from tests.gateway.payouts.town import Town

S = PayoutState


async def test_a_due_incentive_is_paid_once(town: Town) -> None:
    bank = town.partner()
    incentive = await town.due()
    worker = town.worker()
    assert await worker.tick_send("fake") == 1
    assert await town.stands(incentive) == ("paid", None)
    payout = await town.payout(incentive)
    assert payout.state is S.SUCCEEDED
    assert payout.reference == f"10{payout.id:017d}"
    assert bank.credits(payout.reference) == 1
    assert await worker.tick_send("fake") == 0
    assert bank.seen == ["inquiry", "transfer"]
    await town.check()


async def test_what_may_not_be_paid_is_not_claimed(town: Town) -> None:
    town.partner()
    today = jakarta_day(town.clock.now())
    await town.due(due_on=today + timedelta(days=1))
    await town.due(approved=False)
    await town.due(due_on=today - timedelta(days=9), deadline_on=today - timedelta(days=1))
    unlinked = await town.due()
    await town.execute(
        "UPDATE participants SET link_active = false, verified = false"
        " WHERE id = (SELECT participant FROM incentives WHERE id = $1)",
        unlinked,
    )
    expired = await town.due()
    await town.execute(
        "UPDATE participants SET verified_until = $2 WHERE id = (SELECT participant FROM incentives WHERE id = $1)",
        expired,
        town.clock.now(),
    )
    assert await town.worker().tick_send("fake") == 0
    assert await town.fetch("SELECT * FROM payouts") == []


async def test_two_workers_never_claim_the_same(town: Town) -> None:
    bank = town.partner()
    for _ in range(9):
        await town.due()
    first, second = town.worker("w1"), town.worker("w2")
    a, b = await first.claim("fake", 5), await second.claim("fake", 5)
    assert {x.payout.id for x in a}.isdisjoint(x.payout.id for x in b)
    assert len(a) + len(b) == 9
    for one in a:
        await second.send(one)  # w2 holds no lease on these
    assert bank.seen == []
    for one in a:
        await first.send(one)
    for one in b:
        await second.send(one)
    assert len(bank.booked) == 9
    await town.check()


async def test_nothing_left_goes_back_and_is_tried_again_later(town: Town) -> None:
    bank = town.partner()
    incentive = await town.due()
    worker = town.worker()
    bank.script("transfer", "refused_connection")
    await worker.tick_send("fake")
    payout = await town.payout(incentive)
    assert (payout.state, payout.attempt, payout.refusals, payout.first_sent_at) == (S.RESERVED, 0, 1, None)
    assert await worker.tick_send("fake") == 0
    town.clock.advance(1.0)
    assert await worker.tick_send("fake") == 1
    assert await town.states(incentive) == [S.SUCCEEDED]
    await town.check()


async def test_not_accepted_keeps_reference_and_waits_as_told(town: Town) -> None:
    bank = town.partner()
    incentive = await town.due()
    worker = town.worker()
    bank.script("transfer", {"act": "say", "kind": "not_accepted", "hint": "throttled", "retry_after_s": 20})
    await worker.tick_send("fake")
    before = await town.payout(incentive)
    town.clock.advance(19.0)
    assert await worker.tick_send("fake") == 0
    town.clock.advance(1.0)
    assert await worker.tick_send("fake") == 1
    after = await town.payout(incentive)
    assert (after.state, after.reference, after.attempt) == (S.SUCCEEDED, before.reference, 1)


async def test_too_many_refusals_become_a_blocker_that_lifts_itself(town: Town) -> None:
    bank = town.partner()
    incentive = await town.due()
    worker = town.worker()
    bank.script("transfer", *({"act": "say", "kind": "not_accepted", "hint": "float_short"} for _ in range(6)))
    for _ in range(6):
        assert await worker.tick_send("fake") == 1
        town.clock.advance(60.0)
    assert await town.stands(incentive) == ("scheduled", "partner_float_short")
    assert await town.states(incentive) == [S.CANCELLED]
    await town.check()
    assert await worker.tick_send("fake") == 0
    town.clock.advance(300.0)
    assert await worker.tick_timers() == 1
    assert await worker.tick_send("fake") == 1
    assert await town.states(incentive) == [S.CANCELLED, S.SUCCEEDED]
    (row,) = await town.fetch("SELECT payouts FROM incentives")
    assert row["payouts"] == 1, "what never left does not count"
    await town.check()


async def test_a_refusal_by_a_read_of_the_plan_ends_nothing(town: Town) -> None:
    bank = town.partner()
    person = await town.person()
    paid, other = await town.incentive(person), await town.incentive(person, period="2", due_on=None)
    await town.execute("UPDATE incentives SET due_on = due_on + 30 WHERE id = $1", other)
    bank.script("inquiry", {"act": "say", "kind": "rejected", "reason": "account_blocked"})
    await town.worker().tick_send("fake")
    assert await town.stands(paid) == ("scheduled", "account_blocked")
    assert await town.stands(other) == ("scheduled", None), "the partner is asked about it when it is due"
    assert await town.states(paid) == [S.CANCELLED], "nothing had left"
    assert bank.booked == []
    await town.check()


async def test_a_limit_holds_for_the_row_that_met_it(town: Town) -> None:
    bank = town.partner()
    person = await town.person()
    first, second = await town.incentive(person), await town.incentive(person, period="2")
    bank.script("transfer", {"act": "say", "kind": "rejected", "reason": "balance_limit"})
    worker = town.worker()
    await worker.tick_send("fake")
    assert await town.stands(first) == ("scheduled", "balance_limit")
    assert await town.stands(second) == ("paid", None)
    answer = await worker.hasten(first)
    assert answer["hastened"] is True
    await worker.tick_timers()
    await worker.tick_send("fake")
    assert await town.stands(first) == ("paid", None)
    await town.check()


async def test_a_renewal_that_fails_is_tried_again_with_the_next_attempt(town: Town) -> None:
    bank = town.partner()
    incentive = await town.due()
    worker = town.worker()
    bank.script("inquiry", *[{"act": "say", "kind": "unavailable", "hint": "customer_token"}] * 2)
    town.links.unavailable = True
    (leased,) = await worker.claim("fake", 1)
    assert await worker.send(leased) is Answer.SPOKE
    town.links.unavailable = False
    town.clock.advance(60.0)
    await worker.tick_send("fake")
    assert len(town.links.refused) == 2
    town.clock.advance(60.0)
    await worker.tick_send("fake")
    assert await town.stands(incentive) == ("paid", None)


async def test_what_lost_the_compare_and_set_is_withdrawn_before_it_is_tried_again(town: Town) -> None:
    """Else the next try takes it away from whoever would withdraw it, for ever."""
    town.partner()
    incentive = await town.due()
    worker = town.worker()
    (leased,) = await worker.claim("fake", 1)
    await town.execute("UPDATE links SET state = 'revoked'")
    await worker.send(leased)
    assert await town.states(incentive) == [S.RESERVED]
    assert await worker.tick_send("fake") == 0
    assert await worker.tick_unpayable("fake") == 1
    assert await town.states(incentive) == [S.CANCELLED]


async def test_the_customers_token_is_renewed_or_the_payout_withdrawn(town: Town) -> None:
    bank = town.partner()
    incentive = await town.due()
    worker = town.worker()
    bank.script("inquiry", {"act": "say", "kind": "unavailable", "hint": "customer_token"})
    await worker.tick_send("fake")
    payout = await town.payout(incentive)
    assert payout.state is S.RESERVED
    assert town.links.refused == [payout.link_id]
    await town.execute("UPDATE links SET state = 'revoked'")
    await town.execute("UPDATE participants SET link_active = false, verified = false, standing = 'link_revoked'")
    town.clock.advance(5.0)
    assert await worker.tick_send("fake") == 1
    assert bank.seen == ["inquiry"], "the compare-and-set refuses a revoked link"
    town.clock.advance(1.0)
    assert await worker.tick_unpayable("fake") == 1
    assert await town.stands(incentive) == ("awaiting_link", "link_revoked")
    assert await town.states(incentive) == [S.CANCELLED]
    await town.check()


async def test_every_condition_is_asked_again_in_the_compare_and_set(town: Town) -> None:
    bank = town.partner()
    worker = town.worker()
    spoil = {
        "UPDATE participants SET link_active = false, verified = false": None,
        "UPDATE participants SET verified_until = now() - interval '20 years'": None,
        "UPDATE participants SET link_id = 'other'": None,
        "UPDATE links SET state = 'revoked'": None,
        "UPDATE incentives SET cancelled = true": None,
        "UPDATE incentives SET approved = false": None,
        "UPDATE incentives SET past_deadline = true": None,
        "UPDATE incentives SET deadline_on = '2026-11-23', due_on = '2026-11-01'": None,
        "UPDATE incentives SET due_on = '2026-11-25'": None,
        "UPDATE payouts SET leased_by = 'w2'": None,
        "UPDATE payouts SET lease_until = lease_until - interval '1 hour'": None,
        "UPDATE payouts SET state = 'submitting'": None,
        "INSERT INTO partner_switches VALUES ('fake', '2026-11-24', 'me', 'why')": None,
    }
    for statement in spoil:
        await town.due()
        leased = await worker.claim("fake", 10)
        assert len(leased) == 1, statement
        await town.execute(statement)
        await worker.send(leased[0])
        assert bank.seen == [], statement
        await town.execute(
            "TRUNCATE payouts, incentives, observations, ledger, links, verifications, account_owners, participants,"
            " partner_switches, cases, funnel_counts CASCADE"
        )


@pytest.mark.parametrize(
    ("steps_s", "due", "ends", "leaves"),
    [(2.0, 0, 0, False), (2.0, 0, 1, True), (-2.0, 1, 9, False), (-2.0, 0, 9, True)],
    ids=["past its last day", "its last day", "too early", "early, and due before"],
)
async def test_a_day_that_turns_after_the_claim_is_seen(
    town: Town, steps_s: float, due: int, ends: int, leaves: bool
) -> None:
    """Over midnight, and back over it where this machine's clock was ahead and is set right."""
    bank, worker = town.partner(), town.worker()
    today = jakarta_day(town.clock.now())
    midnight = start_of_jakarta_day(today + timedelta(days=1))
    town.clock.advance((midnight - town.clock.now()).total_seconds() - steps_s / 2)
    await town.due(due_on=today + timedelta(days=due), deadline_on=today + timedelta(days=ends))
    (leased,) = await worker.claim("fake", 10)
    town.clock.advance(steps_s)
    await worker.send(leased)
    assert ("transfer" in bank.seen) is leaves


async def test_a_pause_stops_claims_and_what_was_claimed(town: Town) -> None:
    town.partner()
    incentive = await town.due()
    worker = town.worker()
    await town.execute("INSERT INTO partner_switches VALUES ('fake', $1, 'me', 'why')", town.clock.now())
    assert await worker.tick_send("fake") == 0
    await town.execute("UPDATE partner_switches SET paused_at = NULL")
    assert await worker.tick_send("fake") == 1
    assert await town.stands(incentive) == ("paid", None)


async def test_wallets_prove_the_link_within_a_day(town: Town) -> None:
    bank = town.partner(payout_needs_live_link=True, payout_proves_link=False)
    incentive = await town.due()
    worker = town.worker()

    async def proved(link_id: str) -> None:
        await town.execute("UPDATE links SET proved_at = $1 WHERE id = $2", town.clock.now(), link_id)

    await worker.tick_send("fake")
    assert bank.seen == [], "asked, but nothing was proved: the compare-and-set refuses"
    town.links.on_prove = proved
    town.clock.advance(1.0)
    await worker.tick_send("fake")
    assert await town.stands(incentive) == ("paid", None)
    assert len(town.links.proved) == 2
    second = await town.incentive((await town.payout(incentive)).participant, period="2")
    await worker.tick_send("fake")
    assert await town.stands(second) == ("paid", None)
    assert len(town.links.proved) == 2, "still fresh"


async def test_a_write_never_leaves_after_its_deadline(town: Town) -> None:
    bank = town.partner()
    incentive = await town.due()

    async def stall(operation: str) -> None:
        if operation == "inquiry":
            town.clock.advance(25.0)

    bank.before = stall
    await town.worker().tick_send("fake")
    assert bank.seen == ["inquiry"]
    assert (await town.payout(incentive)).state is S.RESERVED
    await town.check()


async def test_a_worker_killed_between_intent_and_send_leaves_no_double(town: Town) -> None:
    bank = town.partner()
    incentive = await town.due()

    class Killed(BaseException):
        pass

    async def kill(operation: str) -> None:
        raise Killed

    bank.before = kill
    worker = town.worker()
    (leased,) = await worker.claim("fake", 1)
    with pytest.raises(Killed):
        await worker.send(leased)
    bank.before = None
    assert (await town.payout(incentive)).state is S.SUBMITTING
    restarted = town.worker("w2")
    assert await restarted.tick_deadlines() == 0
    assert await restarted.tick_send("fake") == 0
    town.clock.advance(51.0)
    assert await restarted.tick_deadlines() == 1
    payout = await town.payout(incentive)
    assert payout.state is S.UNKNOWN
    assert await town.stands(incentive) == ("paying", "outcome_unknown")
    await town.drive(restarted, town.statements(), hours=2)
    assert await town.states(incentive) == [S.SUCCEEDED]
    assert bank.credits(payout.reference) == 1
    assert await town.cases() == []


async def test_another_account_lifts_what_named_the_old_one(town: Town) -> None:
    bank = town.partner()
    person = await town.person()
    first, second = await town.incentive(person), await town.incentive(person, period="2")
    bank.script("inquiry", *[{"act": "say", "kind": "rejected", "reason": "account_blocked"}] * 2)
    await town.worker().tick_send("fake")
    assert [await town.stands(one) for one in (first, second)] == [("scheduled", "account_blocked")] * 2
    async with town.database.transaction() as connection:
        assert await incentive_timers.lift(connection, town.clock.now(), person, LIFTED_BY_ACCOUNT) == 2
    await town.worker().tick_send("fake")
    assert [await town.stands(one) for one in (first, second)] == [("paid", None)] * 2


async def test_an_incentive_is_not_paid_over_a_link_at_another_partner(town: Town) -> None:
    town.partner()
    town.partner("other")
    incentive = await town.due()
    await town.execute("UPDATE incentives SET partner = 'other' WHERE id = $1", incentive)
    assert await town.worker().tick_send("other") == 0


async def test_an_amount_over_the_partners_limit_is_never_sent(town: Town) -> None:
    bank = town.partner(max_amount_rupiah=500_000)
    incentive = await town.due(amount=500_001)
    await town.worker().tick_send("fake")
    assert bank.seen == []
    assert await town.stands(incentive) == ("scheduled", "balance_limit")
    await town.check()


@pytest.mark.parametrize("two_step", [False, True])
async def test_no_transaction_is_open_while_a_partner_is_asked(town: Town, two_step: bool) -> None:
    bank = town.partner(two_step=two_step)
    asked: list[str] = []

    async def nothing_is_held(operation: str) -> None:
        held = await town.fetch("SELECT query FROM pg_stat_activity WHERE datname = current_database()"
                                " AND state LIKE 'idle in transaction%'")  # fmt: skip
        assert held == [], operation
        asked.append(operation)

    incentive = await town.due()
    bank.script("approve" if two_step else "transfer", "lost")
    bank.before = nothing_is_held
    worker = town.worker()
    await worker.tick_send("fake")
    town.clock.advance(60.0)
    await worker.tick_lookups("fake")
    await town.statements().tick("fake")
    assert await town.states(incentive) == [S.SUCCEEDED]
    assert set(asked) == {"status", "statement"} | ({"create", "approve"} if two_step else {"inquiry", "transfer"})


async def test_a_permits_conditions_are_asked_again_in_the_compare_and_set(town: Town) -> None:
    town.partner()
    incentive = await town.due()
    worker = town.worker()
    (leased,) = await worker.claim("fake", 1)
    now = town.clock.now()
    intent = Intent(
        payout=leased.payout.id, before=S.RESERVED, after=S.SUBMITTING, attempt=1, hash=b"h", answer_s=50.0
    )  # fmt: skip
    too_late = msgspec.structs.replace(intent, not_after=now + timedelta(seconds=49))
    async with town.database.connection() as connection:
        assert await queue.begin(connection, now, jakarta_day(now), "w1", [too_late]) == {}
    before = await town.fetch("SELECT coalesce(max(id), 0) AS id FROM observations")
    await worker.observe(None, leased.payout.id, Source.LOOKUP, not_found())
    stale = msgspec.structs.replace(intent, last_heard=before[0]["id"])
    async with town.database.connection() as connection:
        assert await queue.begin(connection, now, jakarta_day(now), "w1", [stale]) == {}
        in_time = msgspec.structs.replace(intent, not_after=now + timedelta(seconds=50))
        assert await queue.begin(connection, now, jakarta_day(now), "w1", [in_time]) != {}
    assert await town.states(incentive) == [S.SUBMITTING]


async def test_nothing_personal_is_logged_or_stored_in_clear(town: Town) -> None:
    bank = town.partner()
    for _ in range(3):
        await town.due()
    bank.script("inquiry", "ok", "garbage", {"act": "say", "kind": "unavailable", "hint": "customer_token"})
    bank.script("transfer", "reset")
    worker = town.worker()
    with capture_logs() as logged:
        await worker.tick_send("fake")
        town.clock.advance(60.0)
        await worker.tick_lookups("fake")
        await town.statements().tick("fake")
    tables = ("payouts", "observations", "events", "cases", "incentives", "audit_log", "exchanges")
    stored = [await town.fetch(f"SELECT t::text AS row FROM {table} t") for table in tables]
    said = repr(logged) + repr(stored)
    assert logged
    for n in (1, 2, 3):
        for secret in (f"{n:010d}", f"Name {n}", f"62811{n:07d}", f"token-{n}"):
            assert secret not in said, secret


@pytest.mark.parametrize(
    ("operation", "act", "told"),
    [
        ("transfer", "ok", Answer.SPOKE),
        ("transfer", {"act": "say", "kind": "rejected", "reason": "account_blocked"}, Answer.SPOKE),
        ("inquiry", {"act": "say", "kind": "unavailable", "hint": "customer_token"}, Answer.SPOKE),
        ("transfer", "reset", Answer.NO_ANSWER),
        ("transfer", "garbage", Answer.NO_ANSWER),
        ("transfer", {"act": "say", "kind": "not_accepted", "hint": "throttled"}, Answer.NOTHING_DONE),
        ("transfer", "refused_connection", Answer.NOTHING_DONE),
        ("inquiry", "garbage", Answer.NOTHING_DONE),
    ],
)
async def test_what_a_try_tells_about_the_partner(
    town: Town, operation: str, act: str | dict[str, object], told: Answer
) -> None:
    bank = town.partner()
    await town.due()
    bank.script(operation, act)
    worker = town.worker()
    (leased,) = await worker.claim("fake", 1)
    assert await worker.send(leased) is told


async def test_nothing_is_paid_over_a_link_that_does_not_stand(town: Town) -> None:
    bank = town.partner(payout_needs_live_link=True, payout_proves_link=False)
    await town.due()
    town.links.health = LinkHealth.BLOCKED

    async def looked(link_id: str) -> None:
        await town.execute("UPDATE links SET proved_at = $1 WHERE id = $2", town.clock.now(), link_id)

    town.links.on_prove = looked
    await town.worker().tick_send("fake")
    assert town.links.proved and bank.seen == []
