"""A database that has forgotten something holds every partner by itself.

A failover to a standby that was behind, a restore, an older copy: what was committed last is missing, payouts that
have left among it, and would be paid again. So no connection is handed out before it has compared the server's
timeline and a count that only grows with what the store itself says, and with the highest count that anybody
remembers: this process, and Valkey for all of them (`compare_timeline`, schema/0091_store_timeline.sql). Where
something may be missing, each partner is held in that same statement, until a person runs `gateway recover`.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Sequence

import asyncpg
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.storage.base.again import asking
from gateway.storage.base.database import Connection, Database

BEAT_S = 5.0
"""How often a process has the count go on, and asks how far it is."""
_KEPT_S = 90 * 24 * 3600
MOST_AHEAD = 1_000_000_000
"""Beats of more than a century: a count that is so far ahead was not told by one of us."""
_TELL = """
local told = tonumber(redis.call('GET', KEYS[1]) or '') or 0
local mine = tonumber(ARGV[1])
if told < mine or told > mine + tonumber(ARGV[3]) then redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2]) end
"""
"""Who is behind takes nobody's later count away."""
_log = structlog.get_logger(__name__)


class Timeline:
    """What one process remembers of its database's history."""

    def __init__(self, partners: Sequence[str]) -> None:
        """`partners`: who is held where something may be missing."""
        self._partners = sorted(partners)
        self.seen = 0
        """The highest count that was surely committed."""
        self.identity = ""
        """Server and database: another one's counts say nothing here."""

    async def compare(self, connection: Connection) -> None:
        """Hold every partner if this database may have forgotten something. For each new connection, before its use."""
        try:
            row = await connection.fetchrow("SELECT * FROM compare_timeline($1, $2)", self.seen, self._partners)
        except asyncpg.UndefinedFunctionError:
            return  # not migrated so far: nothing else works on it either
        if row is None:  # a standby
            return
        self.identity, self.seen = row["identity"], max(self.seen, row["beat"])
        if row["demanded"] is not None:
            _log.critical("recovery_demanded", why=row["demanded"], remedy="run `gateway recover`")

    async def remember(self, redis: Redis, connection: Connection) -> None:
        """Compare with what other processes have seen, some of which may have ended since; Valkey away: with none."""
        with contextlib.suppress(RedisError, OSError, TimeoutError, ValueError):
            told = int(await redis.get(self._key()) or 0)
            if told > self.seen + MOST_AHEAD:  # written into the store it would end the count for good
                _log.error("timeline_not_believed", remedy="find out who writes to Valkey beside the gateway")
            elif told > self.seen:
                self.seen = told
                await self.compare(connection)

    async def beat(self, redis: Redis, connection: Connection) -> None:
        """Have the count go on, and tell it."""
        self.seen = max(self.seen, await connection.fetchval("SELECT beat_timeline()"))
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            await redis.eval(_TELL, 1, self._key(), self.seen, _KEPT_S, MOST_AHEAD)

    def _key(self) -> str:
        return f"timeline:{self.identity}"


@contextlib.asynccontextmanager
async def following(
    database: Database, timeline: Timeline, redis: Redis, *, every_s: float = BEAT_S
) -> AsyncIterator[None]:
    """Have the count go on for as long as the block runs, and compare it each time with what others have seen: the
    connections of a primary that was left behind stand, and were compared before it was.
    """
    async with database.connection() as connection:
        await timeline.remember(redis, connection)
    beat = functools.partial(_beat, timeline, redis)
    async with asking("timeline", database, beat, every_s=every_s, limit_s=BEAT_S):
        yield


async def _beat(timeline: Timeline, redis: Redis, connection: Connection) -> None:
    await timeline.remember(redis, connection)
    await timeline.beat(redis, connection)
