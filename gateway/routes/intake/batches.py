"""`/v1/batches`: many incentives at once, as CSV or NDJSON; two approvals; what became of each row."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from contracts.batch import (
    REQUIRED_APPROVALS,
    WARNINGS,
    BatchDoubt,
    BatchState,
    BatchWarning,
    PartnerTotal,
    WarningCode,
)
from contracts.errors import GatewayError, InvalidRequest
from gateway.api.bodies import refuse_coded
from gateway.api.problems import unsupported_media_type
from gateway.core import Core
from gateway.cursors import ByTime
from gateway.routes.access.idempotent import AnsweredMeanwhile, InWork, once
from gateway.routes.intake.results import read_batch_totals, read_results
from gateway.security.clients import Caller, require
from gateway.services.intake.batches import MAX_BATCH_BYTES, BatchView, Decision
from gateway.services.intake.framing import CsvCells, JsonCells
from gateway.services.intake.json_rows import object_lines
from gateway.services.intake.rows import Declared
from gateway.storage.base.database import Connection

Call = Request[Any, Caller, Any]

_SILENCE_S = 30.0
"""An upload that sends nothing for so long is given up."""
_UPLOAD_S = 1_800.0
"""So is one that has not ended after this."""
_LIST = ByTime("batches/", "b")
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
    doubted_at: datetime | None
    """Since when it is in doubt."""
    doubt: BatchDoubt | None
    """Most of its people are refused at a partner, and others are not: are its columns right? Null: no."""
    results_url: str


class DecideBatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is decided, about exactly which content."""

    decision: Decision
    content_root: Annotated[str, msgspec.Meta(pattern="^[0-9a-fA-F]{64}$", max_length=64)]


class BatchPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some batches, newest first; `next_cursor` is null on the last page."""

    batches: list[Batch]
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
        raise unsupported_media_type(f"the file itself as {_CSV}, {_NDJSON} or {_JSON}, not a form with it")
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
        return await answer.replayed(_located)

    async def keep(connection: Connection, view: BatchView, now: datetime) -> None:
        await answer.keep(connection, 201, as_batch(view, core.batches.content_key(view.batch)), now)

    try:
        view = await core.batches.receive(
            request.auth.client_id,
            CsvCells() if kind == _CSV else JsonCells(begun=kind == _JSON),
            object_lines(body()) if kind == _JSON else body(),
            keep,
            declared,
        )
    except AnsweredMeanwhile:
        return await answer.replayed(_located)
    made = as_batch(view, core.batches.content_key(view.batch))
    return Response(made, status_code=201, headers={"Location": f"/v1/batches/{view.batch.id}"})


def _located(answer: Any) -> str:
    return f"/v1/batches/{answer['batch_id']}"


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
    them the one that submitted it (or, of reapprovals, any of what it puts up, or changed a NIK or account there), let
    the money flow; one rejection cancels everything. While an approval is missing who has approved may still withdraw
    or reject. Deciding the same again changes nothing.
    """
    view = await core.batches.decide(request.auth.client_id, batch_id, data.decision, bytes.fromhex(data.content_root))
    return as_batch(view, core.batches.content_key(view.batch))


@post("/{batch_id:str}/stop", guards=[require("batches", "batches:approve", "ops")], status_code=200)
async def stop_batch(core: NamedDependency[Core], request: Call, batch_id: FromPath[str]) -> Batch:
    """Stop an approved batch: whatever has not left is cancelled and may be handed over again, once an instruction that
    waits at the partner was withdrawn there; what has left is followed to its end, and if that is none no other payout
    is made. Stopping again changes nothing.
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
    found = await core.batches.find(request.auth.organisation, state_, _LIST.before(cursor), limit + 1)
    page, last = found[:limit], found[limit - 1].batch if len(found) > limit else None
    more = _LIST.after(last.received_at, last.id) if last else None
    return BatchPage(batches=[as_batch(view) for view in page], next_cursor=more)


@get("/{batch_id:str}", guards=[require("batches", "batches:approve", "read")])
async def read_batch(core: NamedDependency[Core], request: Call, batch_id: FromPath[str]) -> Batch:
    """A batch with its decisions."""
    view = await core.batches.get(batch_id)
    has_the_file = not request.auth.scopes.isdisjoint(("batches", "batches:approve"))
    return as_batch(view, core.batches.content_key(view.batch) if has_the_file else None)


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
        doubted_at=batch.doubted_at,
        doubt=None if batch.doubt is None else msgspec.json.decode(batch.doubt, type=BatchDoubt),
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


router = Router(
    path="/v1/batches",
    route_handlers=[
        submit_batch,
        put_up_lapsed,
        decide_batch,
        stop_batch,
        list_batches,
        read_batch,
        read_batch_totals,
        read_results,
    ],
    tags=["batches"],
)
