"""Calls a second at a partner, shared by all workers: tokens leased from Redis in lots; without it, a share of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from contracts.partner import Manifest
from gateway.clock import Clock

LOT_S = 0.05
"""A lot is what the quota allows in this time, between 1 and `MOST_IN_LOT` calls."""
MOST_IN_LOT = 256
HELD_S = 1.0
"""Tokens not used within this time are dropped: a partner counts seconds."""
ALONE_SHARE = 0.25
"""What one worker allows itself of a quota while Redis cannot be asked: others may be doing the same."""
ASK_AGAIN_S = 2.0
CALLS_A_PAYOUT = 2
"""Inquiry and transfer, or create and approve."""

_TAKE = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local rate, most, want = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local held = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = tonumber(held[1]) or most
local at = tonumber(held[2]) or now
tokens = math.min(most, tokens + math.max(0, now - at) * rate / 1000)
local granted = math.min(want, math.floor(tokens))
tokens = tokens - granted
redis.call('HSET', KEYS[1], 'tokens', tokens, 'at', now)
redis.call('PEXPIRE', KEYS[1], 60000)
return {granted, math.ceil(math.max(0, 1 - tokens) * 1000 / rate)}
"""
_log = structlog.get_logger(__name__)


class Quota:
    """One partner's calls of some kinds; `key` is where all workers count them."""

    def __init__(
        self,
        redis: Redis | None,
        name: str,
        per_s: float,
        clock: Clock,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._redis = redis
        self.key = f"quota:{name}"
        self.per_s = per_s
        self._clock = clock
        self._sleep = sleep
        self._lot = max(1, min(MOST_IN_LOT, int(per_s * LOT_S)))
        self._held = 0
        self._held_until = 0.0
        self._alone_until = 0.0
        self._alone = 1.0
        self._alone_at = clock.monotonic()
        self._turn = asyncio.Lock()

    async def take(self, calls: int = 1) -> None:
        """Wait until so many calls may be made."""
        async with self._turn:
            for _ in range(calls):
                while self._held == 0 or self._clock.monotonic() > self._held_until:
                    granted, wait_s = await self._lease()
                    if granted:
                        self._held, self._held_until = granted, self._clock.monotonic() + HELD_S
                    else:
                        await self._sleep(wait_s)
                self._held -= 1

    async def _lease(self) -> tuple[int, float]:
        if self._redis is None or self._clock.monotonic() < self._alone_until:
            return self._from_own_share()
        try:
            answer = await self._redis.eval(_TAKE, 1, self.key, str(self.per_s), str(2 * self._lot), str(self._lot))
        except RedisError as error:
            _log.warning("quota_without_redis", key=self.key, error=type(error).__name__)
            self._alone_until = self._clock.monotonic() + ASK_AGAIN_S
            return self._from_own_share()
        return int(answer[0]), int(answer[1]) / 1000

    def _from_own_share(self) -> tuple[int, float]:
        rate, now = self.per_s * ALONE_SHARE, self._clock.monotonic()
        self._alone = min(float(self._lot), self._alone + (now - self._alone_at) * rate)
        self._alone_at = now
        granted = min(self._lot, int(self._alone))
        self._alone -= granted
        return granted, max(0.001, (1.0 - self._alone) / rate)


def quota_of(
    redis: Redis | None, manifest: Manifest, family: str, agreed_per_s: float | None, clock: Clock, *, calls: int = 1
) -> Quota | None:
    """The quota of one family of calls (`payout.`, `identity.`): the contract's figure for all of a partner's, else the
    manifest's tightest; None: none is known. Families that are counted together share it.

    `calls`: how many one piece of work takes, where the manifest allows so many of each (`payout.create`, say).
    """
    if agreed_per_s is not None:
        return Quota(redis, manifest.slug, agreed_per_s, clock)
    declared = [
        (q.per_s * (1 if any(family.startswith(one) for one in q.operations) else calls), q.operations)
        for q in manifest.quotas
        if any(one.startswith(family) or family.startswith(one) for one in q.operations)
    ]
    if not declared:
        return None
    per_s, operations = min(declared)
    return Quota(redis, f"{manifest.slug}:{','.join(operations)}", per_s, clock)
