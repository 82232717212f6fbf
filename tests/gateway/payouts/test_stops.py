"""A pause that has been answered is one: what has not left by then does not leave, whichever process was about to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import asyncpg
import pytest

from contracts.observation import Source
from contracts.payout import PayoutState, succeeded
from gateway.services.ops.partners import Partners, PausedView, SwitchState
from gateway.services.payouts import stops
from gateway.services.payouts.sending import Answer
from gateway.storage.base.database import Connection, Database
from gateway.storage.intake import participants, stopping
from gateway.storage.ops import switches
from gateway.storage.payouts import queue
from gateway.storage.reconciliation import recovery
from gateway.worker.loops import Wakes
from tests.gateway.payouts.fake import Bank
from tests.gateway.payouts.test_begin import CHANGES
from tests.gateway.payouts.ticks import Ticking
from tests.gateway.payouts.town import Town

S = PayoutState
Stop = Callable[[Town, Connection], Awaitable[object]]


async def _stray(town: Town, connection: Connection) -> object:
    return await connection.execute(
        "INSERT INTO strays (partner, reference, amount_rupiah, account_index, booked_at, seen_at)"
        " SELECT partner, '1', 1, account_index, now(), now() FROM links"
    )


async def _person(town: Town, connection: Connection) -> object:
    person = await participants.find(connection, "P00001", lock=True)
    assert person is not None
    await stopping.stop_incentives(connection, "participant", [person.id], town.clock.now())
    return await participants.stop(connection, person, town.clock.now())


STOPS: dict[str, Stop] = {
    **{
        name: CHANGES[name]
        for name in ("pause", "recovery", "verdict expires", "another link", "cancelled", "not approved")
    },
    "link revoked": lambda town, c: c.execute("UPDATE links SET state = 'revoked'"),
    "mismatch": lambda town, c: c.execute(
        "UPDATE participants SET verified = false, verified_until = NULL, standing = 'nik_mismatch'"
    ),
    "batch stopped": lambda town, c: stopping.stop_batches(c, ["b"], town.clock.now()),
    "person stopped": _person,
    "forgotten credit": _stray,
}
TOLD = [name for name in STOPS if name != "forgotten credit"]
"""What the database tells at once; the rest is found by the poll."""


async def _during_the_inquiry(town: Town, worker: Ticking, do: Callable[[], Awaitable[object]]) -> Answer:
    """Send one payout; when its inquiry is on its way, `do` happens, and 14 s later the partner answers it."""
    bank = town.banks["two"]

    async def then(operation: str) -> None:
        if operation == "inquiry":
            await do()
            town.clock.advance(14.0)

    bank.before = then
    (leased,) = await worker.claim("two", 1)
    try:
        return await worker.send(leased)
    finally:
        bank.before = None


async def _resume(town: Town) -> None:
    await town.execute("UPDATE recoveries SET released_at = now()")
    async with town.database.transaction() as connection:
        await switches.resume(connection, town.clock.now(), "two", by="op")


async def _do(town: Town, name: str) -> None:
    async with town.database.transaction() as connection:
        await STOPS[name](town, connection)


@pytest.mark.parametrize("stop", list(STOPS))
async def test_nothing_leaves_that_was_stopped_during_its_inquiry(town: Town, stop: str) -> None:
    bank = town.partner("two")
    incentive = await town.due("two")
    answer = await _during_the_inquiry(town, town.worker(), lambda: _do(town, stop))
    assert answer is Answer.SKIPPED, "the partner has nothing to do with it"
    assert bank.seen == ["inquiry"] and bank.booked == []
    payout = await town.payout(incentive)
    assert (payout.state, payout.attempt, payout.refusals, payout.first_sent_at) == (S.RESERVED, 0, 0, None)
    await town.check()


async def test_what_was_held_back_is_paid_after_the_pause(town: Town) -> None:
    bank = town.partner("two")
    incentive = await town.due("two")
    worker = town.worker()
    for _ in range(8):  # more often than a partner may refuse
        await _during_the_inquiry(town, worker, lambda: _do(town, "pause"))
        await _resume(town)
        town.clock.advance(2.0)
    assert bank.booked == []
    assert await worker.tick_send("two") == 1
    assert await town.states(incentive) == [S.SUCCEEDED]
    await town.check()


@pytest.mark.parametrize("stop", ["pause", "recovery", "link revoked", "mismatch"])
async def test_an_instruction_is_not_approved_once_stopped(town: Town, stop: str) -> None:
    bank = town.partner("two", two_step=True)
    incentive = await town.due("two")
    worker = town.worker()
    look, looks = worker.stops.look, []

    async def look_late(watch: stops.Watched) -> None:
        looks.append(watch)
        if len(looks) == 2:  # the create has been answered, the approval is about to leave
            await _do(town, stop)
        await look(watch)

    worker.stops.look = look_late  # type: ignore[method-assign]
    await worker.tick_send("two")
    assert bank.seen == ["create"] and bank.booked == []
    assert await town.states(incentive) == [S.PREPARED]
    await town.check()


async def _create_in_doubt(town: Town) -> tuple[Bank, int, Ticking]:
    """Whether the instruction stands at the partner nobody knows; the bank, the incentive and the worker that asked."""
    bank, worker = town.partner("two", two_step=True), town.worker()
    incentive = await town.due("two")
    bank.script("create", "lost")
    await worker.tick_send("two")
    return bank, incentive, worker


async def test_a_create_in_doubt_is_stopped_by_a_recovery_alone(town: Town) -> None:
    """It moves nothing, and without it nobody can withdraw what may stand there."""
    _, incentive, _ = await _create_in_doubt(town)
    await _do(town, "pause")
    payout = await town.payout(incentive)
    one = queue.Attempt(payout.id, moves_nothing=True, again=False)
    async with town.database.connection() as connection:
        assert await queue.stopped(connection, [one]) == set()
        assert await queue.stopped(connection, [one._replace(moves_nothing=False)]) == {payout.id}
        now = town.clock.now()
        await recovery.begin(connection, "two", since=now, opened_at=now, settled_at=now)
        assert await queue.stopped(connection, [one]) == {payout.id}


async def test_a_create_in_doubt_is_not_taken_up_each_second_of_a_recovery(town: Town) -> None:
    """It lasts a day at Iris, and each time is a lease and an answer of the store."""
    bank, incentive, worker = await _create_in_doubt(town)
    await town.execute("UPDATE payouts SET next_at = $1", town.clock.now())
    await _do(town, "recovery")
    taken = 0
    for _ in range(120):
        taken += await worker.tick_lookups("two")
        town.clock.advance(1.0)
    pace = town.desks["two"].pace
    assert 1 <= taken <= 1 + 120 / pace.lookup_after_s(1)
    assert bank.seen == ["create"]
    await _resume(town)
    town.clock.advance(pace.lookup_after_s(1))
    await worker.tick_lookups("two")
    assert bank.seen[:2] == ["create", "create"]
    assert await town.states(incentive) == [S.PENDING]


async def _paid_after_all(town: Town, worker: Ticking, payout: int) -> None:
    await worker.observe(None, payout, Source.NOTIFICATION, succeeded())


async def _listed_under_another_name(town: Town, worker: Ticking, payout: int) -> None:
    await town.execute("INSERT INTO lookalikes VALUES ($1, $2, 'x', $3, $3)", payout, town.today(), town.clock.now())


@pytest.mark.parametrize("learnt", [_paid_after_all, _listed_under_another_name])
async def test_one_more_attempt_asks_the_store_right_before_it_leaves(
    town: Town, learnt: Callable[[Town, Ticking, int], Awaitable[None]]
) -> None:
    """What its absence was proved by may be over, and nobody tells a worker of that."""
    bank = town.partner("two")
    incentive = await town.due("two")
    worker = town.worker()
    bank.script("transfer", "reset")
    bank.script("status", *["not_found"] * 50)
    await worker.tick_send("two")
    payout = await town.payout(incentive)

    async def meanwhile(operation: str) -> None:
        if operation == "inquiry":
            bank.before = None
            worker.stops.listens(True)
            await worker.stops.poll()
            await learnt(town, worker, payout.id)

    bank.before = meanwhile
    await town.drive(worker, town.statements(), hours=3)
    assert bank.seen.count("inquiry") == 2, "it was about to leave"
    assert bank.seen.count("transfer") == 1 and bank.booked == []
    assert len(await town.states(incentive)) == 1


class Listening:
    """A worker's ear at the database, as the worker process has it."""

    def __init__(self, town: Town, worker: Ticking) -> None:
        self._stops, self._stopping = worker.stops, asyncio.Event()
        wakes = Wakes(town.settings.database_url.reveal(), {stops.CHANNEL: worker.stops})
        self._task = asyncio.create_task(wakes.listen(self._stopping))

    async def __aenter__(self) -> None:
        for _ in range(500):
            if self._stops._listening:
                await self._stops.poll()
                return
            await asyncio.sleep(0.01)
        raise AssertionError("nobody listens")

    async def __aexit__(self, *_: object) -> None:
        self._stopping.set()
        await self._task


@pytest.mark.parametrize("stop", TOLD)
async def test_a_worker_is_told_and_asks_nobody(town: Town, stop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = town.partner("two")
    await town.due("two")
    worker = town.worker()

    async def asked(*_: object) -> set[int]:
        raise AssertionError("the last look is in memory")

    async def told() -> None:
        await _do(town, stop)
        for _ in range(500):
            if any(watch.stopped for watches in worker.stops._watches.values() for watch in watches):
                return
            await asyncio.sleep(0.01)
        raise AssertionError("nobody was told")

    monkeypatch.setattr(stops, "FRESH_S", 60.0)
    async with Listening(town, worker):
        monkeypatch.setattr(queue, "stopped", asked)
        assert await _during_the_inquiry(town, worker, told) is Answer.SKIPPED
        assert bank.seen == ["inquiry"]
        await _resume(town)
        await town.due("two")
        assert await worker.tick_send("two") >= 1
    assert len(bank.booked) == 1


async def test_one_workers_ear_is_not_anothers(town: Town) -> None:
    """Two processes: one was told, one has lost its connection; neither sends, and each other partner's payout goes."""
    banks = {slug: town.partner(slug) for slug in ("two", "other")}
    for slug in ("two", "two", "other", "other"):
        await town.due(slug)
    hears, deaf = town.worker("w1"), town.worker("w2")
    await deaf.stops.poll()
    asked: list[str] = []
    all_asked = asyncio.Event()

    async def wait(operation: str) -> None:
        if operation == "inquiry":
            asked.append(operation)
            if len(asked) == 4:
                await _do(town, "pause")
                async with asyncio.timeout(30):  # however loaded the machine is, it is told
                    while not any(watch.stopped for watch in hears.stops._watches["partner:two"]):
                        await asyncio.sleep(0.01)
                all_asked.set()
            await all_asked.wait()

    async with Listening(town, hears):
        for bank in banks.values():
            bank.before = wait
        leased = [(w, one) for w in (hears, deaf) for slug in banks for one in await w.claim(slug, 1)]
        answers = await asyncio.gather(*(w.send(one) for w, one in leased))
    assert [answer is Answer.SKIPPED for answer in answers] == [True, False, True, False]
    assert banks["two"].booked == [] and len(banks["other"].booked) == 2
    assert not hears.stops._watches and not deaf.stops._watches, "nothing is watched that is not under way"


async def test_a_poll_finds_what_nobody_told(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = town.partner("two")
    await town.due("two")
    worker = town.worker()
    monkeypatch.setattr(stops, "FRESH_S", 60.0)

    async def unheard() -> None:
        await _do(town, "forgotten credit")
        await worker.stops.poll()

    async with Listening(town, worker):
        await _during_the_inquiry(town, worker, unheard)
    assert bank.seen == ["inquiry"]


async def test_nothing_leaves_while_nobody_can_say_whether_it_may(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = town.partner("two")
    incentive = await town.due("two")

    async def away(*_: object) -> set[int]:
        raise asyncpg.ConnectionDoesNotExistError("the database is away")

    async def lose_it() -> None:
        monkeypatch.setattr(queue, "stopped", away)

    await _during_the_inquiry(town, town.worker(), lose_it)
    assert bank.seen == ["inquiry"]
    assert await town.states(incentive) == [S.RESERVED]


async def test_a_pause_says_what_is_under_way_until_nothing_is(town: Town) -> None:
    town.partner("two")
    town.partner("idle")
    await town.due("two")
    manifests = {slug: desk.manifest for slug, desk in town.desks.items()}
    service, seen = Partners(town.database, town.clock, manifests, {}), []

    async def state(slug: str) -> PausedView:
        view = next(view for view in await service.all() if view.partner == slug)
        assert view.paused is not None
        return view.paused

    async def pause() -> None:
        seen.append((await service.pause("two", "why", actor="op")).paused)
        seen.append((await service.pause("idle", "why", actor="op")).paused)

    begun = town.clock.now()
    await _during_the_inquiry(town, town.worker(), pause)
    pausing, idle = seen
    assert pausing is not None and idle is not None
    assert (pausing.state, pausing.under_way) == (SwitchState.PAUSING, 1)
    assert pausing.last_leaves_by == begun + timedelta(seconds=25)
    assert (idle.state, idle.under_way, idle.last_leaves_by) == (SwitchState.PAUSED, 0, None)
    assert (await state("two")).state is SwitchState.PAUSED, "it was held back"


async def test_what_a_dead_worker_had_begun_may_leave_until_its_time_is_over(town: Town) -> None:
    bank = town.partner("two")
    await town.due("two")

    class Killed(BaseException):
        pass

    async def kill(operation: str) -> None:
        raise Killed

    bank.before = kill
    worker = town.worker()
    (leased,) = await worker.claim("two", 1)
    with pytest.raises(Killed):
        await worker.send(leased)
    await _do(town, "pause")
    for after_s, attempts in ((0.0, 1), (24.9, 1), (0.2, 0)):
        town.clock.advance(after_s)
        async with town.database.connection() as connection:
            under_way = await switches.under_way(connection, town.clock.now())
        assert (under_way["two"].attempts if under_way else 0) == attempts


async def test_pausing_beside_senders_stops_the_set_of_what_is_under_way(town: Town, long: bool) -> None:
    """Intents in groups, words and pauses all at once: no payout turns `submitting` once a pause was answered."""
    bank = town.partner("two")
    for _ in range(400 if long else 120):
        await town.due("two")

    async def hold(operation: str) -> None:
        await asyncio.sleep(0.01)

    bank.before = hold
    database = await Database.open(town.settings.database_url.reveal(), size=4)
    finished, late, pauses = asyncio.Event(), [], 0

    async def send(name: str) -> None:
        worker = town.worker(name, grouped=True)
        while not finished.is_set():
            leased = await worker.claim("two", 24)
            await asyncio.gather(*(worker.send(one) for one in leased))
            if not leased:
                await asyncio.sleep(0.005)

    async def operate() -> None:
        nonlocal pauses
        while (await town.fetch("SELECT count(*)::int AS n FROM payouts WHERE state = 'succeeded'"))[0]["n"] < 60:
            async with database.transaction() as connection:
                await switches.pause(connection, town.clock.now(), "two", by="op", reason="x")
            async with database.connection() as connection:
                text = "SELECT id, attempt FROM payouts WHERE state = 'submitting'"
                before = {tuple(row) for row in await connection.fetch(text)}
                await asyncio.sleep(0.03)
                late.extend({tuple(row) for row in await connection.fetch(text)} - before)
            async with database.transaction() as connection:
                await switches.resume(connection, town.clock.now(), "two", by="op")
            pauses += 1
            town.clock.advance(2.0)
            await asyncio.sleep(0.02)
        finished.set()

    async with asyncio.timeout(120):
        await asyncio.gather(operate(), *(send(f"w{n}") for n in range(3)))
    await database.close()
    assert pauses >= 3 and late == []
    (row,) = await town.fetch("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    assert row["deadlocks"] == 0
    await town.check()


async def test_what_we_hold_back_tells_nothing_about_the_partner(town: Town) -> None:
    """Else a pause would look like its outage."""
    town.partner("two")
    await town.due("two")
    told: list[str] = []

    class Keeps:
        def told(self, operation: str, told_: object) -> None:
            told.append(operation)

    town.desks["two"].watched_by(Keeps())  # type: ignore[arg-type]
    await _during_the_inquiry(town, town.worker(), lambda: _do(town, "pause"))
    assert told == []
