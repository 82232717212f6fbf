"""Seeded disorder: lost and damaged answers, crashes, two workers, midnight; afterwards everyone is paid once."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from gateway.embedded import EmbeddedPostgres, create_database_from_template, drop_database
from gateway.partners.transport import Reply
from gateway.services.reconciliation.statements import Statements
from tests.gateway.payouts.fake import Bank, VirtualClock
from tests.gateway.payouts.ticks import Ticking
from tests.gateway.payouts.town import Town, open_town

EVENING = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)  # 19:00 in Jakarta: the disorder runs over midnight
STEPS = 150


class Crash(BaseException):
    """The process dies here."""


class WildBank(Bank):
    """A partner on a bad day; it stays honest about what it booked, if not always at once."""

    def __init__(self, clock: VirtualClock, rng: random.Random) -> None:
        super().__init__(clock)
        self.rng = rng
        self.wild = True
        self.failing: set[str] = set()
        self.denied: Counter[str] = Counter()

    async def send(
        self, method: str, target: str, headers: Mapping[str, str], content: bytes, timeout_s: float, limit_bytes: int
    ) -> Reply:
        operation, body = target.lstrip("/"), json.loads(content)
        self.seen.append(operation)
        luck = self.rng.random() if self.wild else 1.0
        if luck < 0.02:
            raise Crash
        if luck < 0.08:
            raise httpx.ConnectError("ConnectError")
        if luck < 0.14 and operation in ("transfer", "create", "approve"):
            return self._say({"kind": "not_accepted", "hint": "later"})
        if luck < 0.24:
            raise httpx.ReadTimeout("ReadTimeout")  # the request never arrived
        reference = body.get("reference", "")
        if operation in ("transfer", "approve") and luck < 0.30:
            return self._fail(operation, body)
        if operation == "status":
            return self._tell(reference, luck)
        answer = self._do(operation, body)
        if luck < 0.36:
            raise Crash  # done, and nobody is there to hear it
        if luck < 0.50:
            raise httpx.ReadError("ReadError")
        if luck < 0.55:
            return Reply(200, {}, b"\xff<html>")
        if operation == "transfer" and luck < 0.65:
            return self._say({"kind": "pending"})
        return self._say(answer)

    def _fail(self, operation: str, body: dict[str, Any]) -> Reply:
        """Taken, and later said to have failed."""
        reference = body.get("reference") or body["number"][1:]
        if self.credits(reference):
            return self._say({"kind": "pending"})
        self.queued.pop(reference, None)
        self.failing.add(reference)
        return self._say({"kind": "pending"})

    def _tell(self, reference: str, luck: float) -> Reply:
        if reference in self.failing:
            return self._say({"kind": "rejected", "technical": True})
        if luck < 0.35 and self.denied[reference] < 2:
            self.denied[reference] += 1
            return self._say({"kind": "not_found"})
        return self._say(self._status(reference))

    def _do(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        if body.get("reference") in self.failing:
            return {"kind": "pending"}
        return super()._do(operation, body)

    def _say(self, value: dict[str, Any]) -> Reply:
        return Reply(200, {}, json.dumps(value).encode())


async def act(rng: random.Random, town: Town, workers: list[Ticking], statements: list[Statements]) -> None:
    """One thing that a worker does, at random; a crash replaces the worker by a new one."""
    n, slug = rng.randrange(2), rng.choice(sorted(town.desks))
    worker = workers[n]
    try:
        match rng.randrange(8):
            case 0 | 1:
                await worker.tick_send(slug, rng.randint(1, 4))
            case 2:
                leased = await worker.claim(slug, 2)  # leased and forgotten
                assert len(leased) <= 2
            case 3 | 4:
                await worker.tick_lookups(slug, rng.randint(1, 6))
            case 5:
                await worker.tick_deadlines()
                await worker.tick_timers()
            case 6:
                await worker.tick_unpayable(slug)
            case _:
                await statements[n].tick(slug)
    except Crash:
        workers[n] = town.worker(f"w{n}-{rng.randrange(10**6)}")
        statements[n] = town.statements()


async def run(dsn: str, seed: int) -> None:
    """One seed."""
    rng = random.Random(seed)
    async with open_town(dsn, start=EVENING) as town:
        banks = {}
        for slug, two_step in (("one", False), ("two", True)):
            banks[slug] = WildBank(town.clock, rng)
            town.partner(slug, two_step=two_step, bank=banks[slug])
        incentives = [await town.due(slug) for slug in banks for _ in range(4)]
        workers, statements = [town.worker("w0"), town.worker("w1")], [town.statements(), town.statements()]
        for _ in range(STEPS):
            await act(rng, town, workers, statements)
            town.clock.advance(rng.choice((0.5, 5.0, 40.0, 300.0)))
        await town.check()
        for bank in banks.values():
            bank.wild = False
        await town.drive(town.worker("calm"), town.statements(), hours=60, step_s=1200)
        for incentive in incentives:
            await _settled(town, banks, incentive)


async def _settled(town: Town, banks: dict[str, WildBank], incentive: int) -> None:
    rows = await town.fetch("SELECT partner, reference FROM payouts WHERE incentive = $1", incentive)
    credited = sum(banks[row["partner"]].credits(row["reference"]) for row in rows)
    stage, blocker = await town.stands(incentive)
    assert credited == (stage == "paid"), (stage, blocker, await town.states(incentive))
    assert stage == "paid" or blocker in ("partner_rejected", "outcome_unknown"), (stage, blocker)
    if blocker == "outcome_unknown":
        assert "outcome_unknown" in await town.cases(), "an operator must know"


@pytest.mark.parametrize("seed", range(4))
async def test_a_bad_day(database: str, seed: int) -> None:
    await run(database, seed)


async def test_many_bad_days(postgres: EmbeddedPostgres, template: str, long: bool) -> None:
    """More seeds, in the full size only."""
    for seed in range(1_000, 1_060 if long else 1_001):
        name = f"bad_day_{seed}"
        await run(await create_database_from_template(postgres.dsn, template, name), seed)
        await drop_database(postgres.dsn, name)
