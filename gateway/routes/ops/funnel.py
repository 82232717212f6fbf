"""`/v1/funnel`, `/v1/activity`, `/v1/burn-down`: where everyone stands, what still moves, and until when."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
from litestar import Request, Router, get
from litestar.di import NamedDependency
from litestar.params import FromQuery

from gateway.clock import jakarta_day
from gateway.core import Core
from gateway.security.clients import Caller, require
from gateway.services.ops import funnel
from gateway.services.ops.funnel import Funnel
from gateway.services.ops.plan import BurnDown
from gateway.services.ops.standstill import WAITING
from gateway.storage.ops import moving as counted

Call = Request[Any, Caller, Any]

HORIZON_S = 60.0
"""What the gateway will try again within this counts as moving."""


class Activity(msgspec.Struct, frozen=True, kw_only=True):
    """What still changes by itself. All of `moving` zero: the backlog is drained as far as the gateway can."""

    as_of: datetime
    moving: counted.Moving
    statement_age_s: dict[str, float | None]
    """How long ago each partner's statement was last read to its end; null: never."""


@get("/v1/funnel", guards=[require("read")])
async def read_funnel(core: NamedDependency[Core], request: Call, programme: FromQuery[str | None] = None) -> Funnel:
    """Stages, blockers with who must act, amounts, and beside them the rows refused at intake."""
    async with core.resources.database.connection() as connection:
        return await funnel.read(connection, programme, core.incentives.moment(), request.auth.organisation)


@get("/v1/activity", guards=[require("read")])
async def read_activity(core: NamedDependency[Core], request: Call) -> Activity:
    """What still moves by itself within a minute, and how fresh the partners' statements are."""
    now = core.resources.clock.now()
    async with core.resources.database.transaction() as connection:
        moving = await counted.moving(
            connection,
            request.auth.organisation,
            today=jakarta_day(now),
            until=now + timedelta(seconds=HORIZON_S),
            waiting=WAITING,
        )
    return Activity(as_of=now, moving=moving, statement_age_s=await core.partners.statement_ages_s())


@get("/v1/burn-down", guards=[require("read")])
async def read_burn_down(core: NamedDependency[Core]) -> BurnDown:
    """What is still due at each partner, whoever handed it over, as all wait in one queue; how fast it shrinks, and
    when it will be done; samples of the last hour.
    """
    return await core.plan.burn_down()


router = Router(path="/", route_handlers=[read_funnel, read_activity, read_burn_down], tags=["funnel"])
