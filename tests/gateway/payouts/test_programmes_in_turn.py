"""No programme waits for what another one handed over before: whoever has something due has its share of each claim."""

from __future__ import annotations

import random
from collections import Counter

import pytest

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
