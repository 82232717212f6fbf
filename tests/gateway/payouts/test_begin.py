"""The compare-and-set decides on what is committed once it holds its rows and shares the fence, not on what was."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from contracts.payout import PayoutState
from gateway.services.intake.incentives import Incentives
from gateway.services.payouts.sending import Answer
from gateway.storage.base.database import Connection
from gateway.storage.ops import switches
from gateway.storage.payouts import payouts, queue
from gateway.storage.reconciliation import recovery
from tests.gateway.payouts.town import Town

S = PayoutState
FENCE = "pg_advisory_xact_lock(partner_fence(), hashtext('two'))"


async def waiting(town: Town) -> None:
    """Until a statement waits for a lock."""
    for _ in range(500):
        (row,) = await town.fetch(
            "SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        if row["n"]:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("nobody waits")


async def _pause(town: Town, connection: Connection) -> object:
    return await switches.pause(connection, town.clock.now(), "two", by="op", reason="x")


async def _recover(town: Town, connection: Connection) -> object:
    now = town.clock.now()
    return await recovery.begin(connection, "two", since=now, opened_at=now, settled_at=now)


CHANGES: dict[str, Callable[[Town, Connection], Awaitable[object]]] = {
    "pause": _pause,
    "recovery": _recover,
    "verdict expires": lambda town, c: c.execute("UPDATE participants SET verified = false, verified_until = NULL"),
    "another link": lambda town, c: c.execute("UPDATE participants SET link_id = 'other'"),
    "account left": lambda town, c: c.execute("UPDATE participants SET link_active = false, verified = false"),
    "cancelled": lambda town, c: c.execute("UPDATE incentives SET cancelled = true"),
    "not approved": lambda town, c: c.execute("UPDATE incentives SET approved = false"),
    "deadline": lambda town, c: c.execute("UPDATE incentives SET past_deadline = true"),
    "due later": lambda town, c: c.execute("UPDATE incentives SET due_on = due_on + 1"),
}


@pytest.mark.parametrize("change", list(CHANGES))
async def test_an_approval_waits_for_its_rows_and_then_looks(town: Town, change: str) -> None:
    """The second step of a two-step partner, while somebody else holds its payout."""
    bank = town.partner("two", two_step=True)
    incentive = await town.due("two")
    worker = town.worker()
    bank.script("approve", "refused_connection")
    await worker.tick_send("two")
    town.clock.advance(40)
    (leased,) = await worker.claim("two", 1)
    assert leased.payout.state is S.PREPARED
    async with town.database.transaction() as holder:
        await holder.execute("SELECT FROM payouts FOR NO KEY UPDATE")
        sending = asyncio.create_task(worker.send(leased))
        await waiting(town)
        async with town.database.transaction() as other:
            await CHANGES[change](town, other)
    assert await sending is Answer.SKIPPED
    assert bank.seen.count("approve") == 1, "that was the connection that was refused"
    assert await town.states(incentive) == [S.PREPARED]


@pytest.mark.parametrize("change", ["pause", "recovery", "account left"])
async def test_who_stops_waits_for_intents_being_committed(town: Town, change: str) -> None:
    """The fence, at its commit: whoever is about to begin goes first and is counted, or does not go."""
    town.partner("two")
    await town.due("two")
    async with town.database.transaction() as beginning:
        await beginning.execute(f"SELECT {FENCE.replace('xact_lock', 'xact_lock_shared')}")

        async def stop() -> None:
            async with town.database.transaction() as connection:
                await CHANGES[change](town, connection)

        stopping = asyncio.create_task(stop())
        await waiting(town)
        assert not stopping.done()
    await stopping


async def test_an_intent_waits_for_the_fence_and_then_looks(town: Town) -> None:
    bank = town.partner("two")
    incentive = await town.due("two")
    worker = town.worker()
    (leased,) = await worker.claim("two", 1)
    async with town.database.transaction() as pausing:
        await pausing.execute(f"SELECT {FENCE}")
        sending = asyncio.create_task(worker.send(leased))
        await waiting(town)
        await _pause(town, pausing)
    assert await sending is Answer.SKIPPED
    assert bank.seen == []
    assert await town.states(incentive) == [S.RESERVED]


async def test_it_refuses_a_callers_older_snapshot(town: Town) -> None:
    town.partner()
    await town.due()
    await town.worker().claim("fake", 1)
    now = town.clock.now()
    for level in ("repeatable_read", "serializable"):
        async with town.database.connection() as connection:
            transaction = connection.transaction(isolation=level)  # type: ignore[arg-type]
            await transaction.start()
            with pytest.raises(asyncpg.FeatureNotSupportedError, match="READ COMMITTED"):
                await queue.begin(connection, now, town.today(), "w1", [])
            await transaction.rollback()


async def test_losers_of_a_group_are_not_sent(town: Town) -> None:
    bank = town.partner()
    for _ in range(4):
        await town.due()
    worker = town.worker(grouped=True)
    leased = await worker.claim("fake", 4)
    lost = leased[2]
    await town.execute("UPDATE payouts SET leased_by = 'w2' WHERE id = $1", lost.payout.id)
    answers = await asyncio.gather(*(worker.send(one) for one in leased))
    assert [answer is Answer.SKIPPED for answer in answers] == [False, False, True, False]
    assert len(bank.booked) == bank.seen.count("inquiry") == 3 and bank.credits(lost.payout.reference) == 0
    (row,) = await town.fetch("SELECT state, sent_deadline, first_sent_at FROM payouts WHERE id = $1", lost.payout.id)
    assert (row["state"], row["sent_deadline"], row["first_sent_at"]) == ("reserved", None, None)


async def test_a_deadlock_is_tried_again(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever locks rows the other way round ends one of the two; that is no reason to lose a group."""
    bank = town.partner()
    incentive = await town.due()
    worker = town.worker()
    begin, tries = queue.begin, []

    async def breaks_off(*values: object) -> object:
        tries.append(1)
        if len(tries) < 3:
            raise asyncpg.DeadlockDetectedError("deadlock detected")
        return await begin(*values)  # type: ignore[arg-type]

    monkeypatch.setattr(queue, "begin", breaks_off)
    await worker.tick_send("fake")
    assert len(tries) == 3 and len(bank.booked) == 1
    assert await town.states(incentive) == [S.SUCCEEDED]


async def test_words_lock_payouts_their_incentives_and_siblings(town: Town) -> None:
    """Nobody else changes a row that a word is being applied to."""
    bank = town.partner()
    incentive = await town.due()
    worker = town.worker()
    bank.script("transfer", {"act": "say", "kind": "rejected", "reason": "balance_limit"})
    await worker.tick_send("fake")
    await town.execute("UPDATE incentives SET own = NULL")
    await worker.claim("fake", 1)
    first, second = await town.fetch("SELECT id FROM payouts ORDER BY id")
    async with town.database.transaction() as held:
        await payouts.lock(held, [first["id"]])
        for table, one in (("payouts", first["id"]), ("payouts", second["id"]), ("incentives", incentive)):
            with pytest.raises(asyncpg.LockNotAvailableError):
                await town.fetch(f"SELECT FROM {table} WHERE id = $1 FOR NO KEY UPDATE NOWAIT", one)


async def test_cancelling_takes_the_payout_away_from_who_holds_it(town: Town) -> None:
    town.partner()
    incentive = await town.due()
    worker = town.worker()
    (leased,) = await worker.claim("fake", 1)
    service = Incentives(town.database, town.clock, {slug: desk.manifest for slug, desk in town.desks.items()})
    await service.cancel(incentive, actor="core")
    (row,) = await town.fetch("SELECT lease_until, leased_by FROM payouts")
    assert (row["lease_until"], row["leased_by"]) == (None, None)
    assert await worker.tick_unpayable("fake") == 1, "at once, and not when the lease is over"
    assert await town.states(incentive) == [S.CANCELLED]
    assert await worker.send(leased) is Answer.SKIPPED
    await town.check()


async def test_a_withdrawn_payout_keeps_no_lease(town: Town) -> None:
    """Ended while a worker holds it: nothing that looks for leases finds it again."""
    bank = town.partner()
    incentive = await town.due()
    worker = town.worker()
    bank.script("transfer", *(["refused_connection"] * 6))
    for _ in range(6):
        await worker.tick_send("fake")
        town.clock.advance(60.0)
    assert await town.states(incentive) == [S.CANCELLED]
    (row,) = await town.fetch("SELECT lease_until, next_at FROM payouts")
    assert (row["lease_until"], row["next_at"]) == (None, None)


async def test_a_withdrawal_does_not_take_what_was_approved_meanwhile(town: Town) -> None:
    bank = town.partner("two", two_step=True)
    incentive = await town.due("two")
    first, second = town.worker("w1"), town.worker("w2")
    bank.script("approve", "refused_connection")
    await first.tick_send("two")
    town.clock.advance(40)
    payout = (await town.payout(incentive)).id
    (leased,) = await first.claim("two", 1)
    bank.script("approve", "lost")
    await first.send(leased)  # in doubt now, and nobody's
    async with town.database.connection() as connection:
        taken = await queue.take(connection, second._claim("two", 1), [payout], S.PREPARED)
    assert taken == set()
