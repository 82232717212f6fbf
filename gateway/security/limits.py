"""How often somebody may ask: a rate by client, address or person, kept in Redis and so shared by all nodes.

The generic cell rate algorithm: one number for each key, the time at which its allowance will be whole again. Without
Redis every process counts for itself, which is said once and is never "no limit".

Of a large allowance a process takes some at once and uses them up before it asks again: nobody is ever given more than
his rate, and a process that stops has taken a few too many.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import time
from collections import OrderedDict
from typing import Any

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from contracts.errors import CallerError

_log = structlog.get_logger(__name__)
_MOST_KEYS = 20_000
"""Kept by one process while Redis is away; the oldest go first."""
_TAKE = """
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]
local each, most, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local whole = tonumber(redis.call('GET', KEYS[1]) or '') or 0
if whole < now or whole > now + most then whole = now end
local left = most - (whole - now)
if left < each then return {0, each - left} end
local given = math.min(wanted, math.floor(left / each))
if given > 0 then
    local after = whole + given * each
    redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000))
end
return {given, 0}
"""
"""Takes as many of those `wanted` as are left (none: it only looks); what it answers: how many, and where not even one
is left in how many microseconds it is. A number that no allowance comes to is none: the store's clock was put back, or
somebody else writes there, and nobody is refused until it is over.
"""
_ROUND_TRIPS_SAVED = 256
"""A lease is this part of what may be used at once; of a smaller allowance each one is asked for."""
_LEASE_S = 0.25
"""What is not used by then is lost, so that a lease is never an allowance kept for later."""


class Rate(msgspec.Struct, frozen=True):
    """`burst` at once, and `per_s` a second afterwards."""

    name: str
    burst: int
    per_s: float


TOKENS = Rate("token", 60, 1.0)
"""Access tokens of one client."""
TOKENS_REFUSED = Rate("token-refused", 30, 0.5)
"""Wrong credentials from one address. The right ones are taken all the same, as those of others may come from there."""
PAGES = Rate("connect", 600, 20.0)
"""Linking pages for one address; behind one of a mobile network are many people."""
PAGES_REFUSED = Rate("connect-refused", 30, 0.5)
"""Addresses of no challenge, from one address."""
NOTICES_REFUSED = Rate("callback-refused", 60, 1.0)
"""Notifications that were not taken, from one address."""
CALLS = Rate("client", 6_000, 2_000.0)
"""Requests of one client to /v1, whatever they are."""
ACCESS_REFUSED = Rate("access-refused", 60, 1.0)
"""Unknown tokens from one address, and what one client asks for without the scope."""
REFUSALS_NOTED = Rate("refusals-noted", 60, 0.2)
"""What one known caller was refused, as far as it is written down."""
SIGN_INS_REFUSED = Rate("sign-in-refused", 30, 0.2)
"""Wrong passwords or codes from one address, whatever the names."""
SIGN_INS = Rate("sign-in", 10, 1 / 60)
"""Tries under one name from one address."""
SIGN_INS_BY_NAME = Rate("sign-in-name", 100, 1 / 36)
"""Tries under one name from everywhere, in browsers in which the person has not signed in before: what one address may
try leaves the person some of it.
"""


def network_of(host: str) -> str:
    """An address as who it is counted for, however it is spelled: of IPv6 the network of 64 bits, which one host has to
    itself; what is no address (behind a proxy that says anything) as it is.
    """
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Address(int(address) >> 64 << 64))


class TooManyRequests(CallerError):
    """The allowance is used up."""

    code = "too_many_requests"
    http_status = 429
    title = "Too many requests"
    remedy = "Wait as long as Retry-After says, and ask less often."

    def __init__(self, rate: Rate, retry_after_s: float) -> None:
        super().__init__("The allowance for such requests is used up.")
        self.retry_after_s = retry_after_s
        wait = max(1, round(retry_after_s))
        self.headers = {
            "RateLimit-Policy": f'"{rate.name}";q={rate.burst};w={max(1, round(rate.burst / rate.per_s))}',
            "RateLimit": f'"{rate.name}";r=0;t={wait}',
        }


class _Lease:
    """What one process has taken of somebody's allowance and not used yet."""

    def __init__(self) -> None:
        self.left = 0
        self.until = 0.0
        self.asking = asyncio.Lock()

    def use(self) -> bool:
        """One of it, if there is one."""
        if not self.left or time.monotonic() >= self.until:
            return False
        self.left -= 1
        return True


class Limits:
    """Takes from allowances."""

    def __init__(self) -> None:
        self._leases: OrderedDict[str, _Lease] = OrderedDict()
        self._own: OrderedDict[str, float] = OrderedDict()
        self._away = False

    async def take(self, redis: Redis | None, rate: Rate, whose: str) -> None:
        """Use one of `whose` allowance; raises `TooManyRequests` and uses none where there is none left."""
        key = _key(rate, whose)
        size = rate.burst // _ROUND_TRIPS_SAVED
        if size < 2:
            await self._ask(redis, rate, key, 1)
            return
        lease = self._leases.setdefault(key, _Lease())
        self._leases.move_to_end(key)
        while len(self._leases) > _MOST_KEYS:
            self._leases.popitem(last=False)
        if lease.use():
            return
        async with lease.asking:  # one question for all that wait
            if not lease.use():
                given = await self._ask(redis, rate, key, size)
                lease.left, lease.until = given - 1, time.monotonic() + _LEASE_S

    async def look(self, redis: Redis | None, rate: Rate, whose: str) -> None:
        """Raise `TooManyRequests` where nothing is left; uses none."""
        await self._ask(redis, rate, _key(rate, whose), 0)

    async def _ask(self, redis: Redis | None, rate: Rate, key: str, wanted: int) -> int:
        """How many of those wanted are given; raises `TooManyRequests` where not even one is left."""
        each_us = 1e6 / rate.per_s
        given, wait_us = 0, 0.0
        asked = redis is not None
        if redis is not None:
            try:
                answer: Any = await redis.eval(_TAKE, 1, key, each_us, each_us * rate.burst, wanted)
                given, wait_us = int(answer[0]), float(answer[1])
                self._away = False
            except (RedisError, OSError, TimeoutError):
                asked = False
        if not asked:
            if not self._away:
                self._away = True
                _log.warning("limits_by_process", because="Redis cannot be reached")
            given = min(wanted, 1)
            wait_us = self._by_process(key, each_us, rate.burst, spend=given > 0) or 0.0
        if wait_us:
            raise TooManyRequests(rate, wait_us / 1e6)
        return given

    def _by_process(self, key: str, each_us: float, burst: int, *, spend: bool) -> float | None:
        now = time.monotonic() * 1e6
        after = max(self._own.get(key, 0.0), now) + each_us
        if after - now > each_us * burst:
            return after - now - each_us * burst
        if spend:
            self._own[key] = after
            self._own.move_to_end(key)
            while len(self._own) > _MOST_KEYS:
                self._own.popitem(last=False)
        return None


def _key(rate: Rate, whose: str) -> str:
    return f"limit:{rate.name}:{hashlib.sha256(whose.encode('utf-8', 'replace')).hexdigest()[:32]}"
