"""What the store itself refuses, whoever writes; and commits in groups."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import asyncpg
import pytest

from contracts.errors import NotFound
from contracts.observation import Source
from contracts.payout import succeeded
from gateway.storage.base.database import GroupCommit
from tests.gateway.payouts.town import Town

_COPY = (
    "INSERT INTO payouts (id, reference, incentive, participant, link_id, partner, amount_rupiah, state, released_at,"
    " created_at, updated_at) SELECT id + $3, gen_random_uuid()::text, incentive, participant, link_id, partner,"
    " amount_rupiah, $1, $2, created_at, updated_at FROM payouts ORDER BY id LIMIT 1"
)


async def test_an_incentive_has_many_payouts_but_one_that_stands(town: Town) -> None:
    town.partner()
    await town.due()
    await town.worker().claim("fake", 1)
    now = town.clock.now()
    for n, (state, released_at) in enumerate([("cancelled", None), ("rejected", now), ("reversed", now)], start=1):
        await town.execute(_COPY, state, released_at, n)
    for state in ("reserved", "unknown", "rejected", "succeeded", "reversed"):
        with pytest.raises(asyncpg.UniqueViolationError, match="payouts_one_standing"):
            await town.execute(_COPY, state, None, 9)


async def test_an_answer_about_a_payout_that_a_failover_has_lost_says_so(town: Town) -> None:
    town.partner()
    heard = succeeded(partner_reference="1", amount_rupiah=600_000)
    with pytest.raises(NotFound) as lost:
        await town.worker().observe(None, 4711, Source.LOOKUP, heard)
    assert "4711" in lost.value.detail and "gateway recover" in lost.value.remedy


async def test_a_group_closes_when_enough_wait() -> None:
    groups: list[list[int]] = []

    async def handle(items: list[int]) -> Sequence[int]:
        groups.append(items)
        if 13 in items:
            raise ValueError("13")
        return [item * 2 for item in items]

    commit: GroupCommit[int, int] = GroupCommit(handle, window_s=600.0, enough=4)
    async with asyncio.timeout(10):
        assert await asyncio.gather(*(commit.add(n) for n in range(4))) == [0, 2, 4, 6]
        assert await asyncio.gather(*(commit.add(n) for n in range(8))) == [n * 2 for n in range(8)]
        failed = await asyncio.gather(*(commit.add(n) for n in (11, 12, 13, 14)), return_exceptions=True)
    assert [one if isinstance(one, int) else type(one) for one in failed] == [22, 24, ValueError, 28]
    assert [len(group) for group in groups] == [4, 8, 4, 1, 1, 1, 1]


async def test_a_small_group_closes_after_its_window() -> None:
    commit: GroupCommit[int, int] = GroupCommit(_same, window_s=0.001, enough=100)
    async with asyncio.timeout(10):
        assert await asyncio.gather(commit.add(1), commit.add(2)) == [1, 2]


async def test_who_stops_waiting_for_a_group_leaves_it_to_the_others() -> None:
    closes = asyncio.Event()

    async def handle(items: list[int]) -> Sequence[int]:
        await closes.wait()
        return items

    commit: GroupCommit[int, int] = GroupCommit(handle, window_s=600.0, enough=2)
    gone, stays = (asyncio.create_task(commit.add(n)) for n in (1, 2))
    async with asyncio.timeout(10):
        await asyncio.sleep(0)
        gone.cancel()
        closes.set()
        assert await stays == 2
    assert gone.cancelled()


async def _same(items: list[int]) -> list[int]:
    return items
