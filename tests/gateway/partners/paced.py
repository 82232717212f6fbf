"""Calls of one partner in virtual time over a real Valkey: any number of workers, stalls, clocks that differ."""

from __future__ import annotations

import asyncio
import itertools
import random
import selectors
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as NoRedis

from gateway.clock import SystemClock
from gateway.partners.quota import PIECE, SCRIPT, NoTurn, Room, Turns
from gateway.worker.lanes import Lanes
from gateway.worker.loops import Wake

CHECKS_A_SECOND = 50.0
_TIME = "redis.call('TIME')"


class VirtualSelector(selectors.DefaultSelector):
    """Lets time pass as soon as nothing real is waited for."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(0)
        if found or timeout == 0:
            return found
        if self.loop.busy or timeout is None:
            return super().select(0.01)
        self.loop.now_s += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Sleeps and time-outs take no time; answers of the store come at once."""

    def __init__(self) -> None:
        self.now_s, self.busy = 1_000_000.0, 0
        selector = VirtualSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now_s


class OffClock(SystemClock):
    """One machine's, which tells another time than the store's."""

    def __init__(self, loop: VirtualLoop, offset_s: float) -> None:
        self._loop, self._offset_s = loop, offset_s

    def monotonic(self) -> float:
        return self._loop.now_s + self._offset_s


class Store:
    """The store as one worker reaches it: after a while, and not at all while it is down."""

    def __init__(self, world: World) -> None:
        self._world = world

    def register_script(self, text: str) -> Callable[..., Awaitable[Any]]:
        assert text == SCRIPT and text.count(_TIME) == 1
        world = self._world
        script = world.redis.register_script(text.replace(_TIME, "{KEYS[#KEYS - 1], KEYS[#KEYS]}"))

        async def call(*, keys: Sequence[str], args: Sequence[str]) -> Any:
            await asyncio.sleep(world.delay())
            if world.down:
                await asyncio.sleep(world.chance.uniform(0.0, 2.0))
                raise NoRedis("down")
            world.loop.busy += 1
            try:
                at = map(str, divmod(round(world.loop.now_s * 1_000_000), 1_000_000))
                answer = await script(keys=[*keys, *at], args=args)
            finally:
                world.loop.busy -= 1
            await asyncio.sleep(world.delay())
            return answer

        return call


class World:
    """Some workers that call one partner as often as they may, and when each call left."""

    def __init__(self, loop: VirtualLoop, redis: Redis, seed: int, *, rough: bool) -> None:
        self.loop, self.redis, self.rough = loop, redis, rough
        self.chance = random.Random(seed)
        self.down = False
        self.slow_s = 0.0
        """So long at most a process takes to use a turn that it has."""
        self.held_s = 0.0
        """So long at most one call of ten is held between its last look and its connection."""
        self.connects_s = 0.0
        """So long each call takes to connect: the partner closes after each answer."""
        self.left: list[float] = []
        self.refused: list[float] = []
        self.allows: Callable[[float], bool] = lambda _: True
        self.retry_after_s: float | None = None

    def delay(self) -> float:
        if self.rough and self.chance.random() < 0.02:
            return self.chance.uniform(0.0, 0.5)
        return self.chance.uniform(0.0002, 0.002)

    def quota(self, per_s: float) -> Turns:
        clock = OffClock(self.loop, self.chance.uniform(-1e5, 1e5))
        return Turns(Store(self), "fake:", per_s, clock)  # type: ignore[arg-type]

    async def call(self, quota: Turns) -> None:
        while True:
            try:
                turn = await quota.turn(first=self.chance.random() < 0.5)
            except NoTurn:
                continue
            if self.rough and self.chance.random() < 0.05:
                await asyncio.sleep(self.chance.uniform(0.0, 0.4))  # the process stands still
            if self.slow_s:
                await asyncio.sleep(self.chance.uniform(0.0, self.slow_s))
            if turn.good():
                break
            turn.give_back()
        if self.held_s and self.chance.random() < 0.1:
            await asyncio.sleep(self.chance.uniform(0.0, self.held_s))
        await asyncio.sleep(self.connects_s)
        now = self.loop.now_s
        self.left.append(now)
        turn.gone()
        if not self.allows(now):
            self.refused.append(now)
            await quota.refused(self.retry_after_s)

    async def work(self, quota: Turns, until: float) -> None:
        while self.loop.now_s < until:
            await self.call(quota)
            if self.rough and self.chance.random() < 0.01:
                await asyncio.sleep(self.chance.expovariate(1.0))
            else:
                await asyncio.sleep(self.chance.uniform(0.01, 0.1))

    async def run(self, per_s: float, *, workers: int, seconds: float, lanes: int = 0) -> None:
        until = self.loop.now_s + seconds
        lanes = lanes or max(4, int(per_s * 0.3))
        quotas = [self.quota(per_s) for _ in range(workers)]
        await asyncio.gather(*(self.work(quota, until) for quota in quotas for _ in range(lanes)))


def in_virtual_time(
    redis_url: str, seed: int, play: Callable[[World], Awaitable[None]], *, rough: bool = False
) -> World:
    async def main() -> World:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        async with Redis.from_url(redis_url) as redis:
            world = World(loop, redis, seed, rough=rough)
            await asyncio.wait_for(play(world), 100_000)
            return world

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())


def most_in(calls: Sequence[float], span_s: float) -> int:
    """The most calls in any such span, wherever it begins."""
    found, first = 0, 0
    for n, at in enumerate(calls):
        while calls[first] <= at - span_s:
            first += 1
        found = max(found, n - first + 1)
    return found


async def check_all(world: World, checks: int, *, workers: int) -> None:
    """So many NIK checks, half a second an answer, in a worker's lanes; `world.left`: when each left."""
    stopping = asyncio.Event()
    waiting, done = iter(range(checks)), Counter[int]()

    async def claim(limit: int) -> list[int]:
        await asyncio.sleep(0.005)
        return list(itertools.islice(waiting, limit))

    async def work(quota: Turns) -> None:
        async def check(one: int) -> None:
            while True:
                try:
                    turn = await quota.turn()
                    break
                except NoTurn:  # four workers' pieces stand for less than a second: then it is taken up again
                    continue
            assert turn.good()
            world.left.append(world.loop.now_s)
            piece = PIECE.get()
            assert piece is not None
            piece.gone()
            await asyncio.sleep(10.0 if one % 300 == 7 else world.chance.uniform(0.4, 0.6))
            done[one] += 1
            if len(done) == checks:
                stopping.set()

        await Lanes("checks", claim, check, room=Room([quota])).run(Wake(), stopping)

    await asyncio.gather(*(work(world.quota(CHECKS_A_SECOND)) for _ in range(workers)))
    assert done == Counter(range(checks)), "each was made once"
