"""Health for load balancers, and metrics for Prometheus."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import msgspec
from litestar import Request, Response, Router, get
from litestar.di import NamedDependency
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from redis.exceptions import RedisError

from contracts.errors import Unauthenticated
from contracts.secret import Secret
from gateway.api.guards import take
from gateway.core import Core
from gateway.security.limits import ACCESS_REFUSED
from gateway.services.ops import gauges
from gateway.storage.base import witness
from gateway.storage.base.clocks import ClockOff
from gateway.storage.base.witness import WrongKey

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
    clock: str
    """`good`, or `off`: this machine's clock is over a minute from the database's. What it gives out (challenges,
    tokens) would end too soon or too late on all others.
    """


@get("/health/live")
async def live() -> Live:
    """Whether the process runs."""
    return Live()


@get("/health/ready")
async def ready(core: NamedDependency[Core]) -> Response[Ready]:
    """Whether the store answers, belongs to our key and has our time (503 if not), and whether the cache answers."""
    (database, key), redis = await asyncio.gather(_database(core), _redis(core))
    clock = _on_time(core)
    good = database and key and clock
    status = "down" if not good else "ready" if redis else "degraded"
    body = Ready(
        status=status,
        database="up" if database else "down",
        redis="up" if redis else "down",
        key="good" if key else "other",
        clock="good" if clock else "off",
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


def _on_time(core: Core) -> bool:
    try:
        core.resources.on_time()
    except ClockOff:
        return False
    return True


async def _redis(core: Core) -> bool:
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            await core.resources.redis.get("health")
    except (TimeoutError, OSError, RedisError):
        return False
    return True


@get("/metrics", media_type="text/plain")
async def metrics(core: NamedDependency[Core], request: Request[Any, Any, Any]) -> Response[bytes]:
    """Incentives by stage and blocker, partners that are held or paused, and what has waited for long. Where
    GATEWAY_METRICS_TOKEN is set, under that token.
    """
    token = core.resources.settings.metrics_token
    if token and Secret(request.headers.get("authorization", "")) != Secret(f"Bearer {token.reveal()}"):
        await take(request, ACCESS_REFUSED)
        raise Unauthenticated("The request does not carry the token of GATEWAY_METRICS_TOKEN.")
    views = await core.partners.all()
    async with core.resources.database.transaction() as connection:
        registry = await gauges.measured(connection, core.incentives.moment(), views)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


router = Router(path="/", route_handlers=[live, ready, metrics], tags=["health"])
