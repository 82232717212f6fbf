"""What every service is built on, opened once per process: settings, clock, store, cache, vault, desks."""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from redis.asyncio import Redis

from adapters.registry import PARTNERS
from gateway import tracing
from gateway.clock import Clock, SystemClock
from gateway.partners import tls
from gateway.partners.desk import Desk
from gateway.partners.executor import Executor
from gateway.partners.quota import Quotas
from gateway.partners.tokens import Tokens
from gateway.partners.transport import Sender
from gateway.security import profile
from gateway.security.vault import Vault
from gateway.settings import Settings
from gateway.storage.base import clocks, migrate, timeline, witness
from gateway.storage.base.clocks import Clocks
from gateway.storage.base.database import Database
from gateway.storage.base.timeline import Timeline
from gateway.storage.ops.journal import StoredJournal

CONNECT_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Resources:
    """One process' means."""

    settings: Settings
    clock: Clock
    database: Database
    redis: Redis
    vault: Vault
    desks: Mapping[str, Desk]
    entropy: random.Random = field(default_factory=random.SystemRandom)
    """Where secrets of a browser's session come from: the operating system, but in a simulation."""
    quotas: Mapping[str, Quotas] = field(default_factory=dict)
    """By partner, what its quotas let leave."""
    on_time: Callable[[], None] = lambda: None
    """Raises `ClockOff` where this process's clock is not the database's: whoever judges by time asks it first."""

    def secret(self) -> str:
        """24 random bytes as 32 characters base64url (SNAP allows a state 32)."""
        return base64.urlsafe_b64encode(self.entropy.randbytes(24)).decode()


@asynccontextmanager
async def open_resources(settings: Settings, *, pool_size: int = 10, by_key: bool = False) -> AsyncIterator[Resources]:
    """Open everything and close it again; one HTTP pool per partner host, so that a slow partner starves no other.

    Raises `WrongKey` where the database belongs to another master key, `MigrationError` where it is older than this
    version, `SettingsError` where production runs on it and the settings are not production's.
    """
    clock = SystemClock()
    vault = Vault(*settings.master_keys())
    async with AsyncExitStack() as stack:
        history = Timeline(list(PARTNERS))
        database = await Database.open(settings.database_url.reveal(), size=pool_size, by_key=by_key, timeline=history)
        stack.push_async_callback(database.close)
        async with database.connection() as connection:
            await witness.check(connection, vault)
            await migrate.demand(connection)
            await profile.agrees(connection, settings)
        redis = Redis.from_url(settings.redis_url.reveal(), socket_timeout=2.0, socket_connect_timeout=2.0)
        stack.push_async_callback(redis.aclose)
        journal = StoredJournal(database)
        writing = asyncio.create_task(journal.run(), name="journal")
        stack.push_async_callback(journal.close, writing)
        tokens = Tokens(redis, vault, clock)
        desks: dict[str, Desk] = {}
        trusted = tls.contexts(settings.tls)
        quotas = {
            slug: Quotas(redis, partner.manifest, settings.quotas.get(slug), clock)
            for slug, partner in PARTNERS.items()
        }
        for slug, partner in PARTNERS.items():
            senders = {}
            for name, base_url in settings.hosts[slug].items():
                sender = Sender(
                    base_url,
                    connect_timeout_s=CONNECT_TIMEOUT_S,
                    pool_size=settings.max_in_flight * 2,
                    tls=trusted.get(slug),
                )
                stack.push_async_callback(sender.aclose)
                senders[name] = sender
            desks[slug] = Desk(
                partner,
                credentials=settings.partners[slug],
                hosts=settings.hosts[slug],
                pages=settings.pages.get(slug, ()),
                executor=Executor(slug, senders, clock, tracing.traced(journal), quotas[slug]),
                tokens=tokens,
                clock=clock,
                waits=settings.waits,
            )
        await stack.enter_async_context(witness.following(database, vault))
        await stack.enter_async_context(timeline.following(database, history, redis))
        both = Clocks(clock)
        await stack.enter_async_context(clocks.following(database, both))
        yield Resources(
            settings=settings,
            clock=clock,
            database=database,
            redis=redis,
            vault=vault,
            desks=desks,
            quotas=quotas,
            on_time=both.agree,
        )
