"""The funnel as it is told: every accepted incentive once, by stage and blocker, with who must act."""

from __future__ import annotations

from datetime import datetime

import msgspec

from contracts.batch import RowCode, remedy_of
from contracts.incentive import BlockerCode, Owner, Stage, owner_of
from contracts.text import Text
from gateway.storage.base.database import Connection
from gateway.storage.base.moment import Moment
from gateway.storage.ops import funnel as stored


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


async def read(
    connection: Connection, programme: str | None, moment: Moment, organisation: str | None = None
) -> Funnel:
    """Stages, blockers with who must act, amounts, and beside them the rows refused at intake; of one organisation or
    of all.
    """
    rows = await counts(connection, programme, moment, organisation)
    refused = await stored.refused(connection, organisation, programme)
    stages = dict.fromkeys((stage.value for stage in Stage), 0)
    for row in rows:
        stages[row.stage.value] += row.incentives
    return Funnel(
        as_of=moment.now,
        incentives=sum(row.incentives for row in rows),
        amount_rupiah=sum(row.amount_rupiah for row in rows),
        stages=stages,
        rows=rows,
        rows_refused=[
            RefusedRow(
                programme=row.programme, code=RowCode(row.code), remedy=remedy_of(RowCode(row.code)), rows=row.rows
            )
            for row in refused
        ],
    )


async def counts(
    connection: Connection, programme: str | None, moment: Moment, organisation: str | None = None
) -> list[FunnelRow]:
    """Stages and blockers with who must act."""
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
        for row in await stored.counts(connection, programme, moment, organisation=organisation)
    ]
