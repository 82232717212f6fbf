"""`/v1/batches`: many incentives at once, as CSV or NDJSON; two approvals; what became of each row."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import re
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.datastructures.headers import Accept
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import Stream

from contracts.batch import (
    NOTES,
    REQUIRED_APPROVALS,
    WARNINGS,
    BatchState,
    BatchWarning,
    Fault,
    PartnerTotal,
    RowCode,
    RowFault,
    WarningCode,
    notes_of,
    row_fault,
)
from contracts.errors import GatewayError, InvalidRequest
from contracts.incentive import BlockerCode, Owner, Stage, owner_of
from gateway.api.bodies import refuse_coded
from gateway.api.paging import cursor_of, moment_of, numbers_of, us_of
from gateway.api.problems import unsupported_media_type
from gateway.core import Core
from gateway.routes.access.idempotent import AnsweredMeanwhile, InWork, once
from gateway.security.clients import Caller, require
from gateway.services.intake.batches import MAX_BATCH_BYTES, BatchView, Decision, RowOutcome
from gateway.services.intake.framing import CsvCells, JsonCells
from gateway.services.intake.json_rows import object_lines
from gateway.services.intake.refusals import faults_of
from gateway.services.intake.rows import Declared
from gateway.storage.base.database import Connection
from gateway.storage.intake.batches import ResultRow

Call = Request[Any, Caller, Any]

_SILENCE_S = 30.0
"""An upload that sends nothing for so long is given up."""
_UPLOAD_S = 1_800.0
"""So is one that has not ended after this."""
_PAGE = 1_000
_LIST = "batches/"
_PARTNER_RUPIAH = re.compile(r"([a-z0-9]{1,32}):(0|[1-9][0-9]{0,14})", re.ASCII)
_CSV, _NDJSON, _JSON = "text/csv", "application/x-ndjson", "application/json"
_EXCEL = "application/vnd.ms-excel"
"""What browsers call a .csv where a spreadsheet program is installed; a workbook is told by its first bytes."""


class UploadStalled(GatewayError):
    """The client stopped sending in the middle of a batch."""

    code = "upload_stalled"
    http_status = 408
    title = "The upload stalled"
    remedy = "Send the batch again under the same Idempotency-Key; nothing of it was stored."


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """One decision."""

    client_id: str
    decision: str
    at: datetime
    counts: bool
    """Whether the client is still enabled: the approval of one that is not no longer counts."""


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch as it stands."""

    batch_id: str
    state: BatchState
    submitted_by: str
    reapproval: bool
    """Its rows are incentives of other batches whose approval lapsed."""
    plan_id: str | None
    """The plan whose notices made it and whose approvers approved it; null: it was handed over."""
    rows_accepted: int
    rows_rejected: int
    rows_repeated: int
    """Rows handed over before with the same content: counted once, and no error."""
    amount_rupiah: int
    partners: tuple[PartnerTotal, ...]
    """What was accepted for each partner."""
    warnings: tuple[BatchWarning, ...]
    """What is odd about it: read them before you approve."""
    content_root: str
    """Merkle root over the accepted rows: what an approval is for."""
    content_key: str | None
    """Key of the root's leaves in hex digits, for whoever has the file (`gateway batch root`); null for other readers
    and for batches made before they had keys."""
    approvals: tuple[Approval, ...]
    approvals_missing: int
    received_at: datetime
    decided_at: datetime | None
    results_url: str


class DecideBatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is decided, about exactly which content."""

    decision: Decision
    content_root: Annotated[str, msgspec.Meta(pattern="^[0-9a-fA-F]{64}$", max_length=64)]


class BatchPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some batches, newest first; `next_cursor` is null on the last page."""

    batches: list[Batch]
    next_cursor: str | None


class RowResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one line: an incentive with its stage and blocker, or why the row was refused."""

    line: int
    programme: str | None
    purpose: str | None
    period: str | None
    participant_id: str | None
    incentive_id: str | None = None
    stage: Stage | None = None
    blocker: BlockerCode | None = None
    owner: Owner | None = None
    not_taken: tuple[str, ...] = ()
    """Fields of an accepted row that say something else than what is known of the participant, which stays: a phone is
    corrected with `PUT /v1/participants/{id}`, a name differs without harm."""
    faults: tuple[RowFault, ...] = ()
    """Everything that is wrong with a refused row; an accepted one has none."""
    field: str | None = None
    """Of the first fault, as `code`."""
    code: RowCode | None = None


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """Some lines in the order of the file; `next_cursor` is null on the last page."""

    rows: list[RowResult]
    next_cursor: str | None


@post("/", guards=[require("batches")], request_max_body_size=MAX_BATCH_BYTES, dto=None)
async def submit_batch(
    core: NamedDependency[Core],
    request: Call,
    rows: Annotated[int | None, QueryParameter(ge=1)] = None,
    amount_rupiah: Annotated[int | None, QueryParameter(ge=0)] = None,
    partner_rupiah: FromQuery[list[str] | None] = None,
) -> Response[Batch]:
    """Hand over incentives: `text/csv` with a header line, `application/x-ndjson`, or up to 1,000 rows (the first is
    line 1) as `application/json`, `{"rows": [...]}`. Refused rows do not stop the others; nothing is paid before two
    other clients have approved the batch's `content_root`.

    What the file should hold may be declared: `rows`, `amount_rupiah`, and `partner_rupiah` as `bni:600000`, once for
    each partner; refused rows count too. A file that holds anything else is refused as a whole.
    """
    declared = _declared(rows, amount_rupiah, partner_rupiah or [])
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    kind = _CSV if kind == _EXCEL else kind
    if kind not in (_CSV, _NDJSON, _JSON):
        raise unsupported_media_type(f"{_CSV}, {_NDJSON} or {_JSON}")
    refuse_coded(request)
    answer = InWork(request, core)
    sha = hashlib.sha256()

    async def body() -> AsyncIterator[bytes]:
        stream = request.stream()
        clock = core.resources.clock
        give_up = clock.monotonic() + _UPLOAD_S
        while True:
            if clock.monotonic() > give_up:
                raise UploadStalled
            try:
                chunk = await asyncio.wait_for(anext(stream), _SILENCE_S)
            except StopAsyncIteration:
                answer.body_sha256 = sha.hexdigest()
                return
            except TimeoutError:
                raise UploadStalled from None
            sha.update(chunk)
            yield chunk

    if await answer.earlier():
        async for _ in body():
            pass
        return await answer.replayed()

    async def keep(connection: Connection, view: BatchView, now: datetime) -> None:
        await answer.keep(connection, 201, as_batch(view, core.batches.content_key(view.batch)), now)

    try:
        view = await core.batches.receive(
            request.auth.client_id,
            CsvCells() if kind == _CSV else JsonCells(),
            object_lines(body()) if kind == _JSON else body(),
            keep,
            declared,
        )
    except AnsweredMeanwhile:
        return await answer.replayed()
    made = as_batch(view, core.batches.content_key(view.batch))
    return Response(made, status_code=201, headers={"Location": f"/v1/batches/{view.batch.id}"})


@post("/reapprovals", guards=[require("batches")])
async def put_up_lapsed(core: NamedDependency[Core], request: Call) -> Response[Batch]:
    """Put every incentive whose approval has lapsed (its account changed, or its row is not the one that was approved)
    up for approval as it stands now: a batch of its own, to be approved as any other. A rejection changes nothing.
    """

    async def work() -> Batch:
        return as_batch(await core.batches.reapprove(request.auth.client_id))

    return await once(request, core, work)


@post("/{batch_id:str}/approvals", guards=[require("batches:approve")], status_code=200)
async def decide_batch(
    core: NamedDependency[Core], request: Call, batch_id: FromPath[str], data: JSONBody[DecideBatch]
) -> Batch:
    """Approve or reject, or withdraw what you said before. Two approvals by two clients that are enabled, neither of
    them the one that submitted it, let the money flow; one rejection cancels everything. While an approval is missing
    who has approved may still withdraw or reject. Deciding the same again changes nothing.
    """
    view = await core.batches.decide(request.auth.client_id, batch_id, data.decision, bytes.fromhex(data.content_root))
    return as_batch(view, core.batches.content_key(view.batch))


@post("/{batch_id:str}/stop", guards=[require("batches", "batches:approve", "ops")], status_code=200)
async def stop_batch(core: NamedDependency[Core], request: Call, batch_id: FromPath[str]) -> Batch:
    """Stop an approved batch: whatever has not left is cancelled and may be handed over again; what has left is
    followed to its end. Stopping again changes nothing.
    """
    return as_batch(await core.batches.stop(request.auth.client_id, batch_id))


@get("/", guards=[require("batches", "batches:approve", "read")])
async def list_batches(
    core: NamedDependency[Core],
    request: Call,
    state_: Annotated[BatchState | None, QueryParameter(name="state")] = None,
    cursor: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> BatchPage:
    """Batches, newest first: those of one `state`, `awaiting_approval` say, or all."""
    at_us, number = numbers_of(cursor, 2, _LIST)
    before = (moment_of(at_us), f"b{number}") if cursor else None
    found = await core.batches.find(request.auth.organisation, state_, before, limit + 1)
    page = found[:limit]
    more = (
        cursor_of(us_of(page[-1].batch.received_at), int(page[-1].batch.id[1:]), of=_LIST)
        if len(found) > limit
        else None
    )
    return BatchPage(batches=[as_batch(view) for view in page], next_cursor=more)


@get("/{batch_id:str}", guards=[require("batches", "batches:approve", "read")])
async def read_batch(core: NamedDependency[Core], request: Call, batch_id: FromPath[str]) -> Batch:
    """A batch with its decisions."""
    view = await core.batches.get(batch_id)
    has_the_file = not request.auth.scopes.isdisjoint(("batches", "batches:approve"))
    return as_batch(view, core.batches.content_key(view.batch) if has_the_file else None)


@get("/{batch_id:str}/results", guards=[require("batches", "batches:approve", "read")])
async def read_results(
    core: NamedDependency[Core],
    request: Call,
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
    page = [_as_result(row) for row in rows[:limit]]
    return Response(Results(rows=page, next_cursor=cursor_of(page[-1].line, of=f"{batch_id}/") if more else None))


def as_batch(view: BatchView, content_key: str | None = None) -> Batch:
    """The batch for clients; `content_key` only for those that have its file."""
    batch = view.batch
    approvals = [row for row in view.approvals if row.decision == Decision.APPROVE.value and row.enabled]
    waiting = batch.state is BatchState.AWAITING_APPROVAL
    return Batch(
        batch_id=batch.id,
        state=batch.state,
        submitted_by=batch.client_id,
        reapproval=batch.reapproval,
        plan_id=batch.plan_id,
        rows_accepted=batch.rows_accepted,
        rows_rejected=batch.rows_rejected,
        rows_repeated=batch.rows_repeated,
        amount_rupiah=batch.amount_rupiah,
        partners=msgspec.json.decode(batch.partners, type=tuple[PartnerTotal, ...]),
        warnings=tuple(
            BatchWarning(code=code, rows=rows, text=WARNINGS[code])
            for code, rows in msgspec.json.decode(batch.warnings, type=list[tuple[WarningCode, int]])
        ),
        content_root=batch.content_root.hex(),
        content_key=content_key,
        approvals=tuple(
            Approval(client_id=r.client_id, decision=r.decision, at=r.at, counts=r.enabled) for r in view.approvals
        ),
        approvals_missing=max(0, REQUIRED_APPROVALS - len(approvals)) if waiting else 0,
        received_at=batch.received_at,
        decided_at=batch.decided_at,
        results_url=f"/v1/batches/{batch.id}/results",
    )


def _declared(rows: int | None, amount_rupiah: int | None, partners: list[str]) -> Declared | None:
    by_partner: dict[str, int] = {}
    for text in partners:
        found = _PARTNER_RUPIAH.fullmatch(text)
        if found is None or found.group(1) in by_partner:
            raise InvalidRequest(
                "Declare each partner once, as bni:600000.", field="partner_rupiah", code="field_invalid"
            )
        by_partner[found.group(1)] = int(found.group(2))
    if rows is None and amount_rupiah is None and not by_partner:
        return None
    return Declared(rows=rows, amount_rupiah=amount_rupiah, partners=by_partner)


def _as_result(row: ResultRow) -> RowResult:
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
        not_taken=tuple(row.not_taken.split(", ")) if row.not_taken else (),
        faults=faults,
        field=row.field,
        code=None if row.code is None else RowCode(row.code),
    )


async def _all(core: Core, batch_id: str, outcome: RowOutcome | None, after: int) -> AsyncIterator[list[RowResult]]:
    while rows := await core.batches.results(batch_id, outcome, after, _PAGE):
        yield [_as_result(row) for row in rows]
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
            plain = msgspec.to_builtins(row)
            writer.writerow([*(plain[name] for name in names), " ".join(row.not_taken), *notes_of(row.faults)])
        yield text.getvalue().encode()


router = Router(
    path="/v1/batches",
    route_handlers=[submit_batch, put_up_lapsed, decide_batch, stop_batch, list_batches, read_batch, read_results],
    tags=["batches"],
)
