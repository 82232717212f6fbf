"""No programme waits for what another one handed over before: whoever has something due has its share of each claim."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta

import pytest

from gateway.clock import jakarta_day
from gateway.services.payouts.driver import STANDING_S
from gateway.storage.base.database import Connection
from gateway.storage.payouts import queue
from tests.gateway.payouts.town import Town


async def test_ten_rows_are_paid_beside_a_large_batch_of_another_programme(town: Town) -> None:
    town.partner()
    large = [await town.due(programme="large") for _ in range(40)]
    small = [await town.due(programme="small") for _ in range(3)]
    later = await town.due(programme="later", due_on=town.today(2))
    claimed = [one.payout.incentive for one in await town.worker().claim("fake", 8)]
    assert set(small) < set(claimed) <= {*small, *large} - {later}
    assert len(claimed) == 8, "what one programme does not need is another one's"
    assert [one for one in claimed if one in large] == large[:5], "each in the order of its days"


@pytest.mark.parametrize("seed", range(3))
async def test_each_is_claimed_once_and_each_programme_in_its_share(town: Town, seed: int) -> None:
    dice = random.Random(seed)
    town.partner()
    of: dict[int, str] = {}
    for _ in range(40):
        programme = dice.choice("aaaaaaabc")
        of[await town.due(programme=programme, due_on=town.today(-dice.randrange(5)))] = programme
    worker, left = town.worker(), Counter(of.values())
    while left.total():
        limit = dice.randint(1, 9)
        claimed = [one.payout.incentive for one in await worker.claim("fake", limit)]
        assert len(set(claimed)) == len(claimed) == min(limit, left.total())
        got = Counter(of.pop(one) for one in claimed)
        waiting = sum(1 for rest in left.values() if rest)
        for programme, rest in left.items():
            assert got[programme] >= min(rest, limit // waiting - waiting), (programme, limit, dict(left))
        left -= got
    assert await worker.claim("fake", 5) == []


async def test_a_pass_goes_on_where_it_was_and_finds_programmes_that_came_meanwhile(town: Town) -> None:
    """Beside a transaction that never ends all that was claimed since stays in the index: it is not walked again."""
    town.partner()
    for _ in range(40):
        await town.due(programme="large")
    async with town.database.connection() as old, old.transaction(isolation="repeatable_read"):
        await old.fetchval("SELECT count(*) FROM incentives")
        async with town.database.connection() as connection:
            first, cursor = await queue.reserve(connection, claim(town, 30), queue.START)
        assert len(first) == 30
        assert cursor is not None
        before, after = await town.due(programme="before"), await town.due(programme="small")
        async with town.database.connection() as connection, connection.transaction():
            looked_at = await entries(connection)
            second, _ = await queue.reserve(connection, claim(town, 6), cursor)
            looked_at = await entries(connection) - looked_at
            found = await connection.fetch("SELECT incentive FROM payouts WHERE id = ANY($1::bigint[])", second)
    assert {before, after} < {row["incentive"] for row in found}
    assert len(found) == 4, "two of the large one"
    assert looked_at < 20, "and not the thirty before them"


async def test_what_stands_already_is_looked_for_once_a_second_in_a_pass_and_at_once_before_it(town: Town) -> None:
    town.partner()
    for _ in range(8):
        await town.due()
    worker = town.worker()
    [one] = await worker.claim("fake", 1)
    await town.execute("UPDATE payouts SET lease_until = NULL, leased_by = NULL")  # as an expired lease
    [two] = await worker.claim("fake", 1)
    assert two.payout.id != one.payout.id
    [other] = await town.worker("w2").claim("fake", 1)
    assert other.payout.id == one.payout.id, "whoever begins a pass looks first"
    await worker.give_back([two])
    assert [two.payout.id] == [each.payout.id for each in await worker.claim("fake", 1)], "its own come again at once"
    await town.execute("UPDATE payouts SET lease_until = NULL, leased_by = NULL")
    town.clock.advance(STANDING_S)
    assert {one.payout.id, two.payout.id} == {each.payout.id for each in await worker.claim("fake", 2)}


def claim(town: Town, limit: int) -> queue.Claim:
    """One worker's."""
    now = town.clock.now()
    return queue.Claim(
        partner="fake",
        worker="w1",
        now=now,
        today=jakarta_day(now),
        lease_until=now + timedelta(seconds=30),
        instance="99",
        limit=limit,
    )


async def entries(connection: Connection) -> int:
    """Entries of the index of what may be due that this transaction has read so far."""
    read = "SELECT pg_stat_get_xact_tuples_returned('incentives_ready_in_turn'::regclass)"
    return int(await connection.fetchval(read))
