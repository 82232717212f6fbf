"""Waits that grow are bounded, one row's error is its own, and what nobody says twice is not dropped."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import AsyncMock

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gateway
from contracts.errors import NotFound, PartnerUnavailable
from contracts.partner import AccessToken
from contracts.payout import PayoutState
from contracts.secret import Secret
from gateway.clock import growing_s
from gateway.partners.tokens import Tokens
from gateway.services.each import each, together
from gateway.services.payouts import apply as applying
from gateway.services.payouts import driver
from gateway.services.payouts.ends import Effects
from gateway.services.reconciliation.rounds import Round
from gateway.storage.base.database import Connection
from tests.gateway.payouts.fake import Bank, VirtualClock
from tests.gateway.payouts.town import NOON, Town

S = PayoutState
POWERS = {  # where a counter is in an exponent, and what bounds it
    "clock.py": "growing_s itself: never more steps than it takes to the longest wait",
    "services/linking/endings.py": "UNLINK_TRIES",
    "services/linking/verification.py": "verification_tries, and min(..., 10)",
    "services/messages/inbox.py": "_TRIES",
    "services/messages/delivery.py": "min(..., 20) and min(..., 10)",
    "client/http.py": "its own few tries",
    "services/ops/operators.py": "min(..., 10)",
}


@given(st.floats(1e-3, 1e6), st.floats(0.5, 1e6), st.integers(-1, 10**12), st.floats(1e-3, 1e9), st.integers(0, 10**6))
def test_a_growing_wait_never_ends_in_an_error_and_never_shrinks(
    first_s: float, factor: float, steps: int, most_s: float, more: int
) -> None:
    wait_s = growing_s(first_s, factor, steps, most_s)
    assert 0.0 < wait_s <= most_s
    assert growing_s(first_s, factor, steps + more, most_s) >= wait_s
    if factor > 1.0:
        assert growing_s(first_s, factor, 10**9, most_s) == most_s


def test_no_counter_is_an_exponent_anywhere_else() -> None:
    root = Path(gateway.__file__).parent
    found = set()
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            power = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow)
            if power and not all(isinstance(side, ast.Constant) for side in (node.left, node.right)):
                found.add(path.relative_to(root).as_posix())
    assert found <= set(POWERS), "use growing_s, or say here what bounds it"


async def test_one_rows_error_is_its_own(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the error: here a bug in the rules that only one payout meets."""
    bank = town.partner()
    incentives = [await town.due() for _ in range(8)]
    worker = town.worker(grouped=True)
    leased = await worker.claim("fake", 8)
    odd = leased[3].payout
    decide = applying.decide

    def broken(terms, standing, heard, item, now):  # type: ignore[no-untyped-def]
        if standing.payout.id == odd.id and standing.payout.state is S.SUBMITTING:
            raise ZeroDivisionError("a bug that one row meets")
        effects: Effects = decide(terms, standing, heard, item, now)
        return effects

    monkeypatch.setattr(applying, "decide", broken)
    arrived = asyncio.Barrier(8)

    async def together(operation: str) -> None:
        if operation == "transfer":
            await arrived.wait()

    bank.before = together
    ended = await asyncio.gather(*(worker.send(one) for one in leased), return_exceptions=True)
    assert [type(one) for one in ended if isinstance(one, Exception)] == [ZeroDivisionError]
    states = {incentive: (await town.payout(incentive)).state for incentive in incentives}
    assert states.pop(odd.incentive) is S.SUBMITTING
    assert set(states.values()) == {S.SUCCEEDED}
    monkeypatch.setattr(applying, "decide", decide)
    await town.drive(worker, town.statements(), hours=1, step_s=60)
    assert await town.stands(odd.incentive) == ("paid", None), "and is looked up like any that was never answered"


async def test_one_rows_error_is_its_own_where_a_tick_takes_many(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts that were never answered, lines of one day, payouts that no statement lists."""
    bank = town.partner()
    incentives = [await town.due() for _ in range(8)]
    worker, statements = town.worker(), town.statements()
    bank.script("transfer", *["lost"] * 5, *["reset"] * 9)
    bank.script("status", *["unavailable"] * 999)
    await worker.tick_send("fake")
    payouts = {one: await town.payout(one) for one in incentives}
    booked = [one for one in incentives if bank.credits(payouts[one].reference)]
    others = [one for one in incentives if one not in booked]
    assert (len(booked), len(others)) == (5, 3)
    await town.execute("UPDATE payouts SET state = 'submitting', next_at = NULL, sent_deadline = $1", town.clock.now())
    odd = {booked[0], others[0]}
    decide = applying.decide

    def broken(terms, standing, heard, item, now):  # type: ignore[no-untyped-def]
        if standing.payout.incentive in odd:
            raise ZeroDivisionError("a bug that two rows meet")
        effects: Effects = decide(terms, standing, heard, item, now)
        return effects

    async def are(state: S, among: list[int]) -> None:
        for one in among:
            assert (await town.payout(one)).state is (S.SUBMITTING if one in odd else state)

    monkeypatch.setattr(applying, "decide", broken)
    await town.pass_time(1.0)
    with pytest.raises(ZeroDivisionError):
        await worker.tick_deadlines()
    await are(S.UNKNOWN, incentives)
    with pytest.raises(ZeroDivisionError):
        await statements.tick("fake")
    await are(S.SUCCEEDED, booked)  # on both pages
    await are(S.UNKNOWN, others)
    rows = [await town.payout(one) for one in others]
    await town.execute("UPDATE payouts SET state = 'unknown', attempt = 2 WHERE incentive = $1", others[0])
    rows[0] = await town.payout(others[0])
    with pytest.raises(ZeroDivisionError):
        await together("unlisted", rows, partial(statements._unlisted._judged, town.desks["fake"], Round()))
    assert [(await town.payout(one)).state for one in others] == [S.UNKNOWN, S.REJECTED, S.REJECTED]
    days = [read.day for read in await statements.last_reads()]
    assert town.today() not in days, "a day of which something was not applied proves nothing"


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError("gone"),
        TimeoutError("no connection to be had"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.AdminShutdownError("terminating connection due to administrator command"),
        asyncpg.CannotConnectNowError("the database system is starting up"),
        asyncpg.ReadOnlySQLTransactionError("cannot execute UPDATE in a read-only transaction"),
    ],
)
async def test_answers_outlive_a_database_that_is_away(
    town: Town, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paid, pending and unknown alike; nothing is asked of the partner a second time."""
    bank = town.partner()
    for _ in range(3):
        await town.due()
    bank.script("transfer", {"act": "say", "kind": "pending"}, "lost")
    worker = town.worker(grouped=True)
    leased = await worker.claim("fake", 3)
    transaction, away = town.database.transaction, 4

    @asynccontextmanager
    async def flaky() -> AsyncIterator[Connection]:
        nonlocal away
        if away:
            away -= 1
            raise error
        async with transaction() as connection:
            yield connection

    monkeypatch.setattr(town.database, "transaction", flaky)
    await asyncio.gather(*(worker.send(one) for one in leased))
    states = [row["state"] for row in await town.fetch("SELECT state FROM payouts ORDER BY state")]
    assert states == ["pending", "succeeded", "unknown"]
    assert bank.seen.count("transfer") == 3


async def test_who_waits_for_a_token_shares_the_try_it_waits_for(town: Town) -> None:
    """A queue in which each tries for itself would keep the last one waiting for all of their time-outs."""
    tokens, tries = Tokens(None, town.vault, VirtualClock(NOON)), 0

    async def fetch(held: AccessToken | None) -> AccessToken:
        nonlocal tries
        tries += 1
        await asyncio.sleep(0.01)
        if tries == 1:
            raise PartnerUnavailable("no answer")
        return AccessToken(value=Secret("x"), life_s=900.0)

    ended = await asyncio.gather(*(tokens.get("fake", "t", fetch) for _ in range(6)), return_exceptions=True)
    assert [type(one) for one in ended] == [PartnerUnavailable] * 6
    assert tries == 1
    assert (await tokens.get("fake", "t", fetch)).reveal() == "x", "and whoever comes later tries again"
    assert tries == 2


def over_at(monkeypatch: pytest.MonkeyPatch, bank: Bank, operation: str) -> None:
    """An attempt's time is over once the partner is asked this, which it never answers; no other limit is ever met."""
    limits: list[tuple[float, asyncio.Timeout]] = []

    def timeout(_: VirtualClock, seconds: float) -> asyncio.Timeout:
        limits.append((seconds, asyncio.timeout(None)))
        return limits[-1][1]

    async def silent(asked: str) -> None:
        if asked == operation:
            _, longest = max(limits, key=lambda limit: limit[0])
            longest.reschedule(asyncio.get_running_loop().time())
            await asyncio.Event().wait()

    monkeypatch.setattr(VirtualClock, "timeout", timeout)
    bank.before = silent


async def test_a_read_that_takes_all_of_an_attempts_time_leaves_no_doubt(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = town.partner()
    over_at(monkeypatch, bank, "inquiry")
    incentive = await town.due()
    await town.worker().tick_send("fake")
    payout = await town.payout(incentive)
    assert (payout.state, payout.attempt) == (S.RESERVED, 0)
    assert bank.seen == ["inquiry"]


async def test_a_write_that_takes_all_of_an_attempts_time_does(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    over_at(monkeypatch, town.partner(), "transfer")
    incentive = await town.due()
    await town.worker().tick_send("fake")
    assert (await town.payout(incentive)).state is S.UNKNOWN


async def test_a_row_that_cannot_be_done_keeps_no_other_work_of_its_tick(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is raised, so that it is told: last."""
    worker, blocked, withdrawn = town.worker(), AsyncMock(return_value=0), AsyncMock()
    monkeypatch.setattr(driver, "_block_paid_before", blocked)
    monkeypatch.setattr(driver.payouts, "refused_too_late", AsyncMock(return_value=[7]))
    with pytest.raises(NotFound):
        await worker.tick_timers()
    blocked.assert_awaited_once()
    rows = [SimpleNamespace(id=7, state=S.RESERVED), SimpleNamespace(id=8, state=S.PREPARED)]
    monkeypatch.setattr(driver.queue, "unpayable", AsyncMock(return_value=rows))
    monkeypatch.setattr(driver.queue, "take", AsyncMock(return_value={8}))
    monkeypatch.setattr(worker, "_load", AsyncMock(side_effect=lambda ids: ids))
    monkeypatch.setattr(worker._following, "withdraw", withdrawn)
    with pytest.raises(NotFound):
        await worker.tick_unpayable("fake")
    withdrawn.assert_awaited_once_with(8)


async def test_a_group_of_which_each_can_be_done_by_itself_is_done() -> None:
    """Two that cannot stand in one transaction, say: nothing is left to try again."""

    async def work(rows: Sequence[int]) -> list[int]:
        if len(rows) > 1:
            raise ValueError("not in one transaction")
        return [row * 10 for row in rows]

    assert await together("ticks", [1, 2, 3], work) == [10, 20, 30]


@pytest.mark.parametrize("how", ["inquiry", "answer"])
async def test_a_payment_that_cannot_begin_is_tried_ever_more_seldom_and_at_once_when_core_asks(
    town: Town, how: str
) -> None:
    """One person's alone, so that nothing holds the partner: each round of tries leaves a payout that ended unsent."""
    bank = town.partner()
    busy = {"act": "say", "kind": "unavailable"} if how == "inquiry" else {"act": "say", "kind": "not_accepted"}
    bank.script("inquiry" if how == "inquiry" else "transfer", *[busy] * 10_000)
    incentive, worker = await town.due(), town.worker()
    for _ in range(10 * 60):
        town.clock.advance(60.0)
        await worker.tick_timers()
        await worker.tick_send("fake")
    ended = await town.states(incentive)
    assert 8 <= ended.count(S.CANCELLED) <= 13, "an hour apart in the end"
    (row,) = await town.fetch("SELECT own, own_next_at FROM incentives")
    assert row["own_next_at"] is None or row["own_next_at"] <= town.clock.now() + timedelta(hours=1)
    bank.acts.clear()
    for _ in range(10):
        await worker.hasten(incentive)
        town.clock.advance(60.0)
        await worker.tick_timers()
        await worker.tick_send("fake")
    assert (await town.stands(incentive)) == ("paid", None)
    await town.check()


class _Dies(BaseException):
    """As the simulator's death of a process, which nothing that goes on after an exception may catch."""


async def test_nothing_goes_on_behind_whoever_dies_in_the_middle_of_a_tick() -> None:
    begun: list[int] = []
    about: ContextVar[int | None] = ContextVar("about", default=None)

    async def work(row: int) -> None:
        assert about.get() is None, "what one row is about is told of no other"
        about.set(row)
        begun.append(row)
        await asyncio.sleep(0)
        if row == 2:
            raise _Dies
        if row == 1:
            raise ValueError

    with pytest.raises(_Dies):
        await each("test", range(5), work)
    for _ in range(20):
        await asyncio.sleep(0)
    assert begun == [0, 1, 2], "one that fails holds up no other, and after a death there is none"
