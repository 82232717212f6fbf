"""`/v1/batches/{batch_id}/results`: what became of each row, a page at a time, as CSV or as NDJSON."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get
from litestar.datastructures.headers import Accept
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Stream

from contracts.batch import NOTES, Fault, RowCode, RowFault, notes_of, row_fault
from contracts.incentive import BlockerCode, Owner, Stage, owner_of
from gateway.core import Core
from gateway.cursors import cursor_of, numbers_of
from gateway.security.clients import Caller, require
from gateway.services.intake.batches import RowOutcome
from gateway.services.intake.cells import plain
from gateway.services.intake.row_faults import faults_of
from gateway.storage.intake.batches import ResultRow, StageTotal

_PAGE = 1_000
_JSON, _CSV, _NDJSON = "application/json", "text/csv", "application/x-ndjson"


class RowResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one line: an incentive with its stage and blocker (of a repeated line the one that it repeats), or
    why the row was refused.
    """

    line: int
    programme: str | None
    purpose: str | None
    period: str | None
    participant_id: str | None
    incentive_id: str | None = None
    stage: Stage | None = None
    blocker: BlockerCode | None = None
    owner: Owner | None = None
    partner: str | None = None
    amount_rupiah: int | None = None
    paid_at: datetime | None = None
    """Of a paid incentive: when the partner's word of it came."""
    partner_reference: str | None = None
    """Of a paid incentive: the partner's number of the payment, where it gives one; its statement has the same."""
    not_taken: tuple[str, ...] = ()
    """Fields of an accepted row that say something else than what is known of the participant, which stays: a phone is
    corrected with `PUT /v1/participants/{id}`, a name differs without harm."""
    faults: tuple[RowFault, ...] = ()
    """Everything that is wrong with a refused row; an accepted one has none."""
    field: str | None = None
    """Of the first fault, as `code`."""
    code: RowCode | None = None
    outcome: RowOutcome = RowOutcome.ACCEPTED


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """Some lines in the order of the file; `next_cursor` is null on the last page."""

    rows: list[RowResult]
    next_cursor: str | None


class BatchTotals(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch's accepted rows come to; `paid` is what was paid and did not come back."""

    batch_id: str
    totals: list[StageTotal]
    """By stage and blocker: `returned` with `payment_reversed` came back, with `deadline_passed` was never paid."""


@get("/{batch_id:str}/totals", guards=[require("batches", "batches:approve", "read")])
async def read_batch_totals(core: NamedDependency[Core], batch_id: FromPath[str]) -> BatchTotals:
    """How many of a batch's incentives stand at each stage, and how many rupiah: paid, returned, cancelled, and what is
    still to be paid. They add up to what was accepted.
    """
    return BatchTotals(batch_id=batch_id, totals=await core.batches.totals(batch_id))


@get("/{batch_id:str}/results", guards=[require("batches", "batches:approve", "read")])
async def read_results(
    core: NamedDependency[Core],
    request: Request[Any, Caller, Any],
    batch_id: FromPath[str],
    outcome: FromQuery[RowOutcome | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=_PAGE)] = 100,
) -> Response[Results]:
    """What became of each line, or of those of one `outcome`: a page at a time as JSON, or all of them as
    `Accept: text/csv` or `application/x-ndjson`.
    """
    after = numbers_of(cursor, 1, f"{batch_id}/")[0]
    await core.batches.get(batch_id)
    kind = Accept(request.headers.get("accept", _JSON).lower()).best_match([_JSON, _CSV, _NDJSON], _JSON)
    if (encode := {_CSV: _csv, _NDJSON: _ndjson}.get(kind)) is not None:
        return Stream(encode(_all(core, batch_id, outcome, after)), media_type=kind)  # type: ignore[return-value]
    rows = await core.batches.results(batch_id, outcome, after, limit + 1)
    more = len(rows) > limit
    page = [as_result(row) for row in rows[:limit]]
    return Response(Results(rows=page, next_cursor=cursor_of(page[-1].line, of=f"{batch_id}/") if more else None))


def as_result(row: ResultRow) -> RowResult:
    """One row's result with what is wrong with it, for the API and `/ops`."""
    blocker = None if row.blocker is None else BlockerCode(row.blocker)
    faults = tuple(faults_of(row.faults))
    if row.code is not None and not faults:
        faults = (row_fault(Fault(row.field, row.code)),)
    return RowResult(
        line=row.line,
        programme=row.programme,
        purpose=row.purpose,
        period=row.period,
        participant_id=row.participant_id,
        incentive_id=None if row.incentive_id is None else str(row.incentive_id),
        stage=None if row.stage is None else Stage(row.stage),
        blocker=blocker,
        owner=None if blocker is None else owner_of(blocker),
        partner=row.partner,
        amount_rupiah=row.amount_rupiah,
        paid_at=row.paid_at,
        partner_reference=row.partner_reference,
        not_taken=tuple(row.not_taken.split(", ")) if row.not_taken else (),
        faults=faults,
        field=row.field,
        code=None if row.code is None else RowCode(row.code),
        outcome=RowOutcome(row.outcome),
    )


async def _all(core: Core, batch_id: str, outcome: RowOutcome | None, after: int) -> AsyncIterator[list[RowResult]]:
    while rows := await core.batches.results(batch_id, outcome, after, _PAGE):
        yield [as_result(row) for row in rows]
        after = rows[-1].line


async def _ndjson(pages: AsyncIterator[list[RowResult]]) -> AsyncIterator[bytes]:
    async for page in pages:
        yield msgspec.json.Encoder().encode_lines(page)


async def _csv(pages: AsyncIterator[list[RowResult]]) -> AsyncIterator[bytes]:
    names = [name for name in RowResult.__struct_fields__ if name not in ("faults", "not_taken")]
    yield (",".join([*names, "not_taken", *NOTES]) + "\r\n").encode()
    async for page in pages:
        text = io.StringIO()
        writer = csv.writer(text)
        for row in page:
            builtins = msgspec.to_builtins(row)
            cells = (*(builtins[name] for name in names), " ".join(row.not_taken), *notes_of(row.faults))
            writer.writerow(map(plain, cells))  # the partner's number is whatever the partner says
        yield text.getvalue().encode()
