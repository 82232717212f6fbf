"""Two workers with grouped commits, an operator and others truly side by side on one PostgreSQL: what the simulator,
which makes one database call at a time, cannot show. The seed chooses who does what and waits how long; the database
and the event loop choose the rest.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import asyncpg
import pytest
from structlog.testing import capture_logs

from contracts.errors import Conflict
from contracts.incentive import BlockerCode
from gateway.embedded import EmbeddedPostgres, create_database_from_template, drop_database
from gateway.services.intake.incentives import Incentives
from gateway.services.ops.partners import Partners, SwitchState
from gateway.services.payouts import stops
from gateway.storage.intake import participants
from tests.gateway.payouts.fake import Bank
from tests.gateway.payouts.ticks import Ticking
from tests.gateway.payouts.town import Town, open_town

SLUGS = {"one": False, "two": True}
"""Partners, and whether they take two steps."""
PEOPLE, PAUSES = 8, 16
HEARD_AFTER_S = (0.0, 0.005, 0.02, 0.05)
"""How late a worker hears what the database tells: its loop is busy, the network slow. No pause may depend on it."""
WRITES = ("transfer", "create", "approve")
PAUSED_WITHIN = 2_000
SLOW_COMMIT = """
    CREATE FUNCTION slow_commit() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_sleep(random() * 0.012); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER slow_commit AFTER UPDATE ON payouts DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW WHEN (NEW.state IN ('submitting', 'preparing')) EXECUTE FUNCTION slow_commit();
"""
"""Intents that are decided and not committed yet, as on a slow disk: a pause that is answered must know them."""


class Crowded:
    """One town, and those who act in it at once."""

    def __init__(self, town: Town, rng: random.Random) -> None:
        self.town, self.rng = town, rng
        self.over = asyncio.Event()
        self.left: list[str] = []
        self.waited = self.cancelled = self.revoked = 0
        manifests = {slug: desk.manifest for slug, desk in town.desks.items()}
        self.partners = Partners(town.database, town.clock, manifests, {})
        self.incentives = Incentives(town.database, town.clock, manifests)

    async def slow(self, operation: str) -> None:
        """An answer takes a moment: others come between."""
        await asyncio.sleep(self.rng.choice((0.0, 0.001, 0.004)))

    @asynccontextmanager
    async def ear(self, dsn: str, worker: Ticking) -> AsyncIterator[None]:
        """A worker hears what stops, after a while: what must not leave is then not known to it yet."""
        loop = asyncio.get_running_loop()

        def told(_connection: object, _pid: object, _channel: object, payload: object) -> None:
            loop.call_later(self.rng.choice(HEARD_AFTER_S), worker.stops.heard, str(payload))

        connection = await asyncpg.connect(dsn)
        try:
            await connection.add_listener(stops.CHANNEL, told)
            worker.stops.listens(True)
            yield
        finally:
            worker.stops.listens(False)
            await connection.close()

    async def work(self, dsn: str, worker: Ticking) -> None:
        """A worker's loops, until nothing more is to be done."""
        async with self.ear(dsn, worker):
            await self._loops(worker)

    async def _loops(self, worker: Ticking) -> None:
        while not self.over.is_set():
            await worker.stops.poll()
            slug = self.rng.choice(list(SLUGS))
            await worker.tick_send(slug, self.rng.randint(1, 6))
            await worker.tick_unpayable(slug)
            await worker.tick_lookups(slug)
            await worker.tick_timers()
            self.town.clock.advance(0.5)

    async def operate(self) -> None:
        """An operator pauses a partner, is answered, looks, and resumes it."""
        for _ in range(PAUSES):
            await asyncio.sleep(self.rng.uniform(0.0, 0.02))
            slug = self.rng.choice(list(SLUGS))
            view = await self.partners.pause(slug, "side by side", actor="operator")
            for _ in range(PAUSED_WITHIN):
                assert view.paused is not None
                if view.paused.state is SwitchState.PAUSED:
                    break
                self.waited += 1
                await asyncio.sleep(0.002)
                view = next(one for one in await self.partners.all() if one.partner == slug)
            else:
                raise AssertionError(f"{slug} is never paused: {view.paused}")
            before = self._writes(slug)
            await asyncio.sleep(self.rng.uniform(0.02, 0.05))
            if self._writes(slug) != before:
                self.left.append(f"{slug}: {before} became {self._writes(slug)} after the answered pause")
            view = next(one for one in await self.partners.all() if one.partner == slug)
            await self.partners.resume(slug, actor="operator", read=view.paused.read if view.paused else None)
        self.over.set()

    def _writes(self, slug: str) -> Counter[str]:
        return Counter(one for one in self.town.banks[slug].seen if one in WRITES)

    async def change_minds(self, incentives: list[int]) -> None:
        """Some are cancelled, some links revoked, at any moment."""
        for incentive in self.rng.sample(incentives, len(incentives) // 3):
            await asyncio.sleep(self.rng.uniform(0.0, 0.02))
            if self.rng.random() < 0.5:
                try:
                    await self.incentives.cancel(incentive, actor="core")
                    self.cancelled += 1
                except Conflict:
                    continue
            else:
                await self._revoke(incentive)
                self.revoked += 1

    async def _revoke(self, incentive: int) -> None:
        """As the service that hears of it does: the person locked first, link and facts in one transaction."""
        (row,) = await self.town.fetch(
            "SELECT t.id, t.link_id FROM incentives i JOIN participants t ON t.id = i.participant WHERE i.id = $1",
            incentive,
        )
        now = self.town.clock.now()
        async with self.town.database.transaction() as connection:
            await participants.get(connection, row["id"], lock=True)
            await connection.execute("UPDATE links SET state = 'revoked' WHERE id = $1", row["link_id"])
            await participants.link_ended(connection, row["id"], row["link_id"], BlockerCode.LINK_REVOKED, now)


async def run(dsn: str, seed: int) -> Crowded:
    """One seed."""
    rng = random.Random(f"side by side {seed}")
    async with open_town(dsn) as town:
        banks: dict[str, Bank] = {slug: town.partner(slug, two_step=two) for slug, two in SLUGS.items()}
        people = [await town.person(slug) for slug in SLUGS for _ in range(PEOPLE)]
        incentives = [await town.incentive(one, period=str(n)) for one in people for n in range(2)]
        crowded = Crowded(town, rng)
        for bank in banks.values():
            bank.before = crowded.slow
            bank.script("transfer", *rng.choices(["ok", "lost", "refused_connection"], weights=[6, 1, 1], k=30))
            bank.script("approve", *rng.choices(["ok", "lost", "refused_connection"], weights=[6, 1, 1], k=30))
        async with town.database.connection() as connection:
            await connection.execute(SLOW_COMMIT)
        workers = [town.worker(name, grouped=True) for name in ("w1", "w2")]
        acts: list[Awaitable[None]] = [crowded.work(dsn, worker) for worker in workers]
        with capture_logs() as logs:
            async with asyncio.timeout(250):
                await asyncio.gather(*acts, crowded.operate(), crowded.change_minds(incentives))
        failed = [one for one in logs if one["event"] == "tick_row_failed"]
        assert failed == [], "a deadlock is tried again, and nothing else may fail"
        await town.drive(town.worker("after"), town.statements(), hours=5, step_s=600)
        await _each_once(town, banks)
        return crowded


async def _each_once(town: Town, banks: dict[str, Bank]) -> None:
    paid: Counter[int] = Counter()
    for row in await town.fetch("SELECT incentive, partner, reference FROM payouts"):
        paid[row["incentive"]] += banks[row["partner"]].credits(row["reference"])
    for row in await town.fetch("SELECT id, stage, blocker, cancelled FROM incentives"):
        assert paid[row["id"]] == (row["stage"] == "paid"), dict(row)
        assert row["stage"] in ("paid", "cancelled") or row["blocker"] == "link_revoked", dict(row)


@pytest.mark.parametrize("seed", range(2))
async def test_nothing_leaves_after_an_answered_pause_and_nobody_is_paid_twice(database: str, seed: int) -> None:
    crowded = await run(database, seed)
    assert crowded.left == []


async def test_many_seeds_side_by_side(postgres: EmbeddedPostgres, template: str, long: bool) -> None:
    """More of them in the full size; in all of them together each thing happened that is to be withstood."""
    waited = cancelled = revoked = 0
    for seed in range(100, 180 if long else 101):
        name = f"side_by_side_{seed}"
        crowded = await run(await create_database_from_template(postgres.dsn, template, name), seed)
        await drop_database(postgres.dsn, name)
        assert crowded.left == [], seed
        waited, cancelled, revoked = (
            waited + crowded.waited, cancelled + crowded.cancelled, revoked + crowded.revoked
        )  # fmt: skip
    assert waited or not long
    assert cancelled + revoked > 0


async def test_a_create_that_is_under_way_is_told_until_it_is_answered(town: Town) -> None:
    bank = town.partner("two", two_step=True)
    await town.due("two")
    partners = Partners(town.database, town.clock, {"two": town.desks["two"].manifest}, {})
    told = []

    async def paused(operation: str) -> None:
        if operation == "create":
            told.append((await partners.pause("two", "side by side", actor="operator")).paused)

    bank.before = paused
    await town.worker().tick_send("two")
    (view,) = await partners.all()
    assert [one.state for one in told if one is not None] == [SwitchState.PAUSING]
    assert view.paused is not None and view.paused.state is SwitchState.PAUSED
    assert "approve" not in bank.seen
