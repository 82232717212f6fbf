"""`/v1/funnel`, `/v1/activity`, `/v1/burn-down`: where everyone stands, what still moves, and until when."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import FromQuery

from contracts.batch import RowCode, remedy_of
from contracts.incentive import BLOCKERS, BlockerCode, Owner, Stage, owner_of
from contracts.text import Text
from gateway.clock import jakarta_day
from gateway.core import Core
from gateway.security.clients import require
from gateway.services.ops.plan import BurnDown
from gateway.storage.base.database import Connection
from gateway.storage.ops import funnel as stored

HORIZON_S = 60.0
"""What the gateway will try again within this counts as moving."""
_WAITING = tuple(code for code, text in BLOCKERS.items() if text.owner in (Owner.GATEWAY, Owner.PARTNER))
"""Blockers that nobody but the gateway or the partner lifts."""


class FunnelRow(msgspec.Struct, frozen=True, kw_only=True):
    """How many incentives stand there, and who must act."""

    programme: str
    partner: str
    stage: Stage
    blocker: BlockerCode | None
    owner: Owner | None
    incentives: int
    amount_rupiah: int


class RefusedRow(msgspec.Struct, frozen=True, kw_only=True):
    """Rows refused at intake, which are no incentives."""

    programme: str | None
    code: RowCode
    remedy: Text
    rows: int


class Funnel(msgspec.Struct, frozen=True, kw_only=True):
    """Every accepted incentive, counted once; the rows add up to `incentives` at any moment."""

    as_of: datetime
    incentives: int
    amount_rupiah: int
    stages: dict[str, int]
    rows: list[FunnelRow]
    rows_refused: list[RefusedRow]


class Activity(msgspec.Struct, frozen=True, kw_only=True):
    """What still changes by itself. All of `moving` zero: the backlog is drained as far as the gateway can."""

    as_of: datetime
    moving: stored.Moving
    statement_age_s: dict[str, float | None]
    """How long ago each partner's statement was last read to its end; null: never."""


@get("/v1/funnel", guards=[require("read")])
async def read_funnel(core: NamedDependency[Core], programme: FromQuery[str | None] = None) -> Funnel:
    """Stages, blockers with who must act, amounts, and beside them the rows refused at intake."""
    async with core.resources.database.connection() as connection:
        rows = await read_counts(core, connection, programme)
        refused = await stored.refused(connection, programme)
    stages = dict.fromkeys((stage.value for stage in Stage), 0)
    for row in rows:
        stages[row.stage.value] += row.incentives
    return Funnel(
        as_of=core.resources.clock.now(),
        incentives=sum(row.incentives for row in rows),
        amount_rupiah=sum(row.amount_rupiah for row in rows),
        stages=stages,
        rows=rows,
        rows_refused=[
            RefusedRow(
                programme=row.programme,
                code=RowCode(row.code),
                remedy=remedy_of(RowCode(row.code)),
                rows=row.rows,
            )
            for row in refused
        ],
    )


async def read_counts(core: Core, connection: Connection, programme: str | None) -> list[FunnelRow]:
    """Stages and blockers with who must act, for this page and the operators'."""
    return [
        FunnelRow(
            programme=row.programme,
            partner=row.partner,
            stage=row.stage,
            blocker=row.blocker,
            owner=None if row.blocker is None else owner_of(row.blocker, past_horizon=row.given_up),
            incentives=row.incentives,
            amount_rupiah=row.amount_rupiah,
        )
        for row in await stored.counts(connection, programme, core.incentives.moment())
    ]


@get("/v1/activity", guards=[require("read")])
async def read_activity(core: NamedDependency[Core]) -> Activity:
    """What still moves by itself within a minute, and how fresh the partners' statements are."""
    now = core.resources.clock.now()
    async with core.resources.database.connection() as connection:
        moving = await stored.moving(
            connection, today=jakarta_day(now), until=now + timedelta(seconds=HORIZON_S), waiting=_WAITING
        )
    return Activity(as_of=now, moving=moving, statement_age_s=await core.partners.statement_ages_s())


@get("/v1/burn-down", guards=[require("read")])
async def read_burn_down(core: NamedDependency[Core]) -> BurnDown:
    """What is still due at each partner, how fast it shrinks, and when it will be done; samples of the last hour."""
    return await core.plan.burn_down()


router = Router(path="/", route_handlers=[read_funnel, read_activity, read_burn_down], tags=["funnel"])
