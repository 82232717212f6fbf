"""Health for load balancers and metrics for Prometheus; no data, so no token."""

from __future__ import annotations

import asyncio

import asyncpg
import msgspec
from litestar import Response, Router, get
from litestar.di import NamedDependency
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from redis.exceptions import RedisError

from gateway.core import Core
from gateway.storage.base import witness
from gateway.storage.base.witness import WrongKey
from gateway.storage.ops import funnel

_TIMEOUT_S = 3.0


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """The process answers."""

    status: str = "live"


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """Whether requests can be served. Without Redis they can, only slower: tokens are fetched more often."""

    status: str
    database: str
    redis: str
    key: str
    """`good`, or `other`: the database belongs to another master key, and nothing is served."""


@get("/health/live")
async def live() -> Live:
    """Whether the process runs."""
    return Live()


@get("/health/ready")
async def ready(core: NamedDependency[Core]) -> Response[Ready]:
    """Whether the store answers and belongs to our key (503 if not), and whether the cache answers."""
    (database, key), redis = await asyncio.gather(_database(core), _redis(core))
    good = database and key
    status = "down" if not good else "ready" if redis else "degraded"
    body = Ready(
        status=status,
        database="up" if database else "down",
        redis="up" if redis else "down",
        key="good" if key else "other",
    )
    return Response(body, status_code=200 if good else 503)


async def _database(core: Core) -> tuple[bool, bool]:
    """Whether the store answers, and whether it is this key's: it may have been put back from somewhere else."""
    try:
        async with asyncio.timeout(_TIMEOUT_S), core.resources.database.connection() as connection:
            await witness.check(connection, core.resources.vault)
    except WrongKey:
        return True, False
    except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False, True
    return True, True


async def _redis(core: Core) -> bool:
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            await core.resources.redis.get("health")
    except (TimeoutError, OSError, RedisError):
        return False
    return True


async def _partners(core: Core, registry: CollectorRegistry) -> None:
    """Which partners are not fed as usual, and what waits for them."""
    labels = ("partner", "stage", "kind", "fault")
    held = Gauge("gateway_partner_held_seconds", "How long a partner's stage is held.", labels, registry=registry)
    paused = Gauge("gateway_partner_paused_seconds", "How long a partner is paused.", ("partner",), registry=registry)
    flying = Gauge("gateway_partner_in_flight", "Unanswered attempts, while held.", ("partner",), registry=registry)
    waiting = Gauge("gateway_partner_backlog", "Due incentives, while held.", ("partner",), registry=registry)
    now = core.resources.clock.now()
    for view in await core.partners.all():
        for hold in view.holds:
            names = (view.partner, hold.stage.value, hold.kind.value, hold.fault or "")
            held.labels(*names).set((now - hold.since).total_seconds())
        if view.paused is not None:
            paused.labels(view.partner).set((now - view.paused.since).total_seconds())
        if view.load is not None:
            flying.labels(view.partner).set(view.load.in_flight)
            waiting.labels(view.partner).set(view.load.backlog)


@get("/metrics", media_type="text/plain")
async def metrics(core: NamedDependency[Core]) -> Response[bytes]:
    """Incentives by stage and blocker, from the counters that change with the facts."""
    registry = CollectorRegistry()
    labels = ("programme", "partner", "stage", "blocker")
    incentives = Gauge("gateway_incentives", "Incentives by stage and blocker.", labels, registry=registry)
    rupiah = Gauge("gateway_incentives_rupiah", "Their amount.", labels, registry=registry)
    async with core.resources.database.connection() as connection:
        rows = await funnel.counts(connection, None, core.incentives.moment())
    for row in rows:
        names = (row.programme, row.partner, row.stage.value, row.blocker.value if row.blocker else "")
        incentives.labels(*names).inc(row.incentives)
        rupiah.labels(*names).inc(row.amount_rupiah)
    await _partners(core, registry)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


router = Router(path="/", route_handlers=[live, ready, metrics], tags=["health"])
