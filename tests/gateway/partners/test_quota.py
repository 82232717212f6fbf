"""A partner's quota in virtual time over a real store: any number of workers, stalls, clocks that differ, a restart."""

from __future__ import annotations

import asyncio
import math
import random

import pytest

from contracts.partner import Mark, Quota
from contracts.quotas import UNKNOWN_QUOTA
from gateway.clock import SystemClock
from gateway.partners.quota import MOST_WAIT_S, NoTurn, Quotas, Room, Turn, Turns
from tests.gateway.partners.paced import CHECKS_A_SECOND, World, check_all, in_virtual_time, most_in
from tests.gateway.payouts.fake import NOON, VirtualClock, manifest


@pytest.mark.parametrize(
    ("per_s", "workers"), [(3.0, 1), (3.0, 4), (40.0, 1), (40.0, 2), (40.0, 4), (200.0, 1), (200.0, 4)]
)
def test_the_quota_is_used_up_and_no_second_is_above_it(redis_url: str, per_s: float, workers: int, long: bool) -> None:
    seconds = 60.0 if long or per_s < 10.0 else 20.0 if per_s < 100.0 else 11.0
    world = in_virtual_time(redis_url, 7, lambda w: w.run(per_s, workers=workers, seconds=seconds))
    assert most_in(world.left, 1.0) <= per_s
    used = [at for at in world.left if at >= world.left[0] + 5.0]
    calls = (len(used) - 1) // int(per_s) * int(per_s)  # whole rounds: calls of a second come close together
    mean = calls / (used[calls] - used[0])
    assert mean >= 0.98 * per_s


@pytest.mark.parametrize(("per_s", "slow_s"), [(8.0, 0.06), (15.0, 0.1), (40.0, 0.04)])
def test_a_process_that_is_slow_to_use_its_turns_loses_few(redis_url: str, per_s: float, slow_s: float) -> None:
    """On a busy machine a turn is used tens of milliseconds late: that costs so much of each second, and no half of it.
    Once the machine is quiet again all of the quota is used.
    """

    async def play(world: World) -> None:
        world.slow_s = slow_s
        await world.run(per_s, workers=2, seconds=20.0)
        world.slow_s = 0.0
        await world.run(per_s, workers=2, seconds=20.0)

    world = in_virtual_time(redis_url, 7, play)
    assert most_in(world.left, 1.0) <= per_s
    begun = world.left[0]
    slow = sum(begun + 4.0 <= at < begun + 16.0 for at in world.left)
    last = world.left[-1]
    calm = sum(last - 12.0 < at <= last for at in world.left)
    assert slow >= (0.95 - 2 * slow_s) * per_s * 12 and calm >= 0.97 * per_s * 12, (slow, calm)


@pytest.mark.parametrize(("per_s", "workers"), [(3.0, 2), (50.0, 4), (200.0, 2)])
@pytest.mark.parametrize("held_s", [0.02, 0.6])
def test_a_call_that_leaves_when_its_turn_is_over_is_counted_when_it_leaves(
    redis_url: str, per_s: float, workers: int, held_s: float
) -> None:
    """A process stands still after its last look, or must connect first: others wait for that call as for any other."""

    async def play(world: World) -> None:
        world.held_s = held_s
        await world.run(per_s, workers=workers, seconds=20.0)

    world = in_virtual_time(redis_url, 11, play)
    assert most_in(world.left, 1.0) <= per_s
    used = [at for at in world.left if at >= world.left[0] + 5.0]
    assert len(used) >= 0.85 * per_s * (used[-1] - used[0])


@pytest.mark.parametrize(("per_s", "workers"), [(8.0, 1), (50.0, 4), (200.0, 2)])
@pytest.mark.parametrize("connects_s", [0.03, 0.15])
def test_a_partner_that_closes_each_connection_costs_no_half_of_its_quota(
    redis_url: str, per_s: float, workers: int, connects_s: float
) -> None:
    """Every call connects first, and leaves tens of milliseconds after its last look: turns become good for as long."""

    async def play(world: World) -> None:
        world.connects_s = connects_s
        await world.run(per_s, workers=workers, seconds=20.0)

    world = in_virtual_time(redis_url, 5, play)
    assert most_in(world.left, 1.0) <= per_s
    used = [at for at in world.left if at >= world.left[0] + 5.0]
    assert len(used) >= (0.95 - 2 * connects_s) * per_s * (used[-1] - used[0])


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_no_second_is_above_the_quota(redis_url: str, seed: int, long: bool) -> None:
    """Random quotas, workers and stalls; the store goes away, comes back, loses its memory or has its clock moved."""
    chance = random.Random(seed)
    seconds = 300.0 if long else 45.0
    per_s = chance.choice([0.4, 1.0, 7.5, 20.0, 40.0])
    workers = chance.randint(1, 4)

    async def play(world: World) -> None:
        async def trouble() -> None:
            for _ in range(20 if long else 3):
                await asyncio.sleep(chance.uniform(3.0, 12.0))
                world.down = True
                await asyncio.sleep(chance.choice([0.0, 0.3, 2.5, 9.0]))
                if chance.random() < 0.6:
                    world.loop.busy += 1
                    await world.redis.flushall()
                    world.loop.busy -= 1
                world.down = False

        await asyncio.gather(world.run(per_s, workers=workers, seconds=seconds), trouble())

    world = in_virtual_time(redis_url, seed, play, rough=True)
    assert len(world.left) >= seconds * per_s / 10, f"{len(world.left)} calls: {workers} workers, {per_s:g}/s"
    # Of a quota that is less than the number of workers, each may make one call at a time while nobody can count.
    most = max(1, math.floor(per_s), workers)
    assert most_in(world.left, max(1.0, 1.0 / per_s)) <= most, f"{workers} workers, {per_s:g}/s"


class Limiter:
    """A partner that takes so many calls in any second, and refuses the rest."""

    def __init__(self, world: World, most: int) -> None:
        self._world, self.most = world, most
        self.taken: list[float] = []

    def allows(self, now: float) -> bool:
        if sum(at > now - 1.0 for at in self.taken[-400:]) >= self.most:
            return False
        self.taken.append(now)
        return True


def test_a_partner_that_takes_less_than_was_said_loses_little(redis_url: str) -> None:
    async def play(world: World) -> None:
        limiter = Limiter(world, 10)
        world.allows = limiter.allows
        begun = world.loop.now_s

        async def lifted() -> None:
            await asyncio.sleep(70.0)
            limiter.most = 10_000

        await asyncio.gather(world.run(20.0, workers=2, seconds=200.0, lanes=4), lifted())
        early = sum(at < begun + 70.0 for at in limiter.taken)
        assert early >= 0.93 * 10 * 62, "0.97 of a larger one: 10 cannot be slowed down by less than one"
        assert sum(begun + 10.0 < at < begun + 70.0 for at in world.refused) <= 0.02 * early
        late = sum(begun + 175.0 <= at < begun + 200.0 for at in limiter.taken)
        assert late >= 0.97 * 20 * 25, "when it takes more again it gets more"

    in_virtual_time(redis_url, 3, play)


def test_it_slows_down_within_five_seconds_and_nothing_leaves_before_it_may_again(redis_url: str) -> None:
    async def play(world: World) -> None:
        limiter = Limiter(world, 10)
        world.allows = limiter.allows
        await world.run(200.0, workers=4, seconds=9.0, lanes=10)
        last = world.loop.now_s
        assert sum(last - 4.0 < at for at in world.left) <= 4 * 13
        quota = world.quota(200.0)
        await quota.refused(30.0)
        others = [world.quota(200.0) for _ in range(3)]
        before = world.loop.now_s
        await asyncio.gather(*(world.call(one) for one in others))
        assert world.left[-3] >= before + 30.0, "also of those who were not told"

    in_virtual_time(redis_url, 5, play)


@pytest.mark.parametrize(("name", "ahead_s"), [("next", 3_600.0), ("closed", 36_000.0), ("refused_at", 3_600.0)])
def test_the_stores_clock_put_back_holds_a_partner_for_no_longer(redis_url: str, name: str, ahead_s: float) -> None:
    """After a pause, in which what was counted is forgotten and what was decided is not."""

    async def play(world: World) -> None:
        await world.run(20.0, workers=1, seconds=6.0)
        quota, now_s = world.quota(20.0), world.loop.now_s
        also = {"refused": 2.0} if name == "refused_at" else {}
        world.loop.busy += 1
        await world.redis.hset(quota._keys[0], mapping={name: (now_s + ahead_s) * 1_000} | also)
        await world.redis.delete(quota._keys[1])
        world.loop.busy -= 1
        for _ in range(30):
            await world.call(quota)
        assert world.loop.now_s - now_s < 12.0

    in_virtual_time(redis_url, 5, play)


def test_one_refusal_halves_the_rate_at_once(redis_url: str) -> None:
    async def play(world: World) -> None:
        await world.run(200.0, workers=2, seconds=6.0)
        left = sum(world.loop.now_s - 1.0 < at for at in world.left)
        assert left > 100
        assert await world.quota(200.0).refused(0.0) <= 0.6 * left

    in_virtual_time(redis_url, 5, play)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_checks_at_a_slow_partner_go_as_fast_as_its_quota(redis_url: str, workers: int, long: bool) -> None:
    """Half a second an answer, sometimes ten, against 50 a second; all 456,265: `python -m tests.bench.checks`."""
    if workers == 2 and not long:
        pytest.skip("two workers were NOT tried, but one and four (--long)")
    checks = 15_000 if long else 1_500
    world = in_virtual_time(redis_url, 11, lambda world: check_all(world, checks, workers=workers))
    assert most_in(world.left, 1.0) <= CHECKS_A_SECOND
    assert world.left[-1] - world.left[0] <= 1.05 * checks / CHECKS_A_SECOND


def test_whoever_waits_too_long_is_told(redis_url: str) -> None:
    async def play(world: World) -> None:
        quota = world.quota(200.0)
        await quota.refused(60.0)
        begun = world.loop.now_s
        with pytest.raises(NoTurn):
            await quota.turn()
        assert world.loop.now_s - begun == pytest.approx(MOST_WAIT_S, abs=0.1)

    in_virtual_time(redis_url, 1, play)


def test_who_writes_goes_before_who_asks(redis_url: str) -> None:
    async def play(world: World) -> None:
        quota = world.quota(2.0)
        order: list[str] = []

        async def one(name: str, first: bool) -> None:
            await quota.turn(first=first)
            order.append(name)

        await one("the first that a new store hears of", False)
        asks = [asyncio.create_task(one(f"ask {n}", False)) for n in range(4)]
        await asyncio.sleep(0.01)
        write = asyncio.create_task(one("write", True))
        await asyncio.gather(*asks, write)
        assert order.index("write") <= 3

    in_virtual_time(redis_url, 1, play)


def test_each_operation_counts_to_the_quota_that_names_it(redis_url: str) -> None:
    declared = (
        Quota(operations=("payout.", "identity."), per_s=7.0, mark=Mark.ASSUMED, source="test"),
        Quota(operations=("payout.create",), per_s=2.0, mark=Mark.ASSUMED, source="test"),
    )
    clock = SystemClock()
    quotas = Quotas(None, manifest(quotas=declared), None, clock)
    assert quotas.of("payout.status") is quotas.of("identity.verify")
    assert quotas.of("payout.create.again").per_s == 2.0
    assert quotas.of("link.begin").per_s == UNKNOWN_QUOTA.per_s
    agreed = Quotas(None, manifest(quotas=declared), 3.0, clock)
    assert agreed.of("payout.create") is agreed.of("token.b2b")
    assert agreed.of("token.b2b").per_s == 3.0


async def test_room_is_for_what_leaves_soon() -> None:
    quota = Turns(None, "fake:", 40.0, SystemClock())
    room = Room([quota])
    pieces = [room.enter() for _ in range(10)]
    assert room.free == 0
    waiting = asyncio.create_task(room.wait())
    for _ in range(2):  # none is counted twice
        for piece in pieces[:4]:
            piece.gone()
    await asyncio.sleep(0)
    assert not waiting.done(), "a half of it at a time"
    pieces[4].gone()
    await waiting
    assert room.free == 5


async def test_a_turn_is_good_for_a_moment() -> None:
    clock = VirtualClock(NOON)
    turn: Turn = await Turns(None, "fake:", 1_000.0, clock).turn()
    clock.advance(0.01)
    assert turn.good()
    clock.advance(0.01)
    assert not turn.good()
