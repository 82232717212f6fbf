"""`/v1/incentives`: one instalment, where it stands, and why it does not move."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, PathParameter, QueryParameter

from contracts.batch import COLUMNS, RowCode, row_fault
from contracts.incentive import BlockerCode, Stage
from contracts.money import MAX_AMOUNT_RUPIAH
from gateway.api.bodies import StrictBody
from gateway.api.problems import invalid
from gateway.core import Core
from gateway.cursors import cursor_of, numbers_of
from gateway.routes.access.idempotent import InWork, as_stored
from gateway.routes.intake.batches import Batch, as_batch
from gateway.security.clients import Caller, require
from gateway.services.intake.batches import BatchView
from gateway.services.intake.framing import json_record
from gateway.services.intake.incentives import IncentiveView
from gateway.services.intake.row_faults import RowInvalid
from gateway.storage.intake.incentives import IncentiveFilter

Call = Request[Any, Caller, Any]
_LIST = "incentives/"
IncentiveId = Annotated[int, PathParameter(ge=1, le=2**63 - 1)]
Text = Annotated[str, msgspec.Meta(max_length=200)]


class NewIncentive(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of a batch, with the same rules."""

    programme: Text
    purpose: Text
    period: Text | Annotated[int, msgspec.Meta(ge=0, le=9_999)]
    """A whole number, as text or not."""
    participant_id: Text
    nik: Text
    full_name: Text
    phone: Text
    """+62 and 8 to 13 digits."""
    partner: Text
    account: Text
    """The account number at a bank, the phone at a wallet."""
    amount_rupiah: Annotated[int, msgspec.Meta(ge=1, le=MAX_AMOUNT_RUPIAH)]
    due_on: date
    deadline_on: date

    def __repr__(self) -> str:
        return f"NewIncentive({self.participant_id}, ***)"


class RowBody(StrictBody):
    """Reads the body as a line of NDJSON is read: the row's faults are told all at once, in the same words."""

    def read(self, handler_id: str, value: bytes) -> NewIncentive:
        """The fields as text, as they stand; the checks of a batch's rows are still to come."""
        record = json_record(value.decode(errors="surrogateescape"))
        if record.fault is not None:
            if record.fault.code in (RowCode.ROW_MALFORMED.value, RowCode.ENCODING_INVALID.value):
                raise invalid("JSON is malformed")
            raise RowInvalid([row_fault(record.fault)])
        cells: dict[str, Any] = dict(zip(COLUMNS, record.cells, strict=True))
        return NewIncentive(**cells)


assert NewIncentive.__struct_fields__ == COLUMNS, "one incentive has the fields of one row"


class Submitted(msgspec.Struct, frozen=True, kw_only=True):
    """An incentive with the batch that it is approved by."""

    incentive: IncentiveView
    batch: Batch


class Incentives(msgspec.Struct, frozen=True, kw_only=True):
    """Some incentives; `next_cursor` is null on the last page."""

    incentives: list[IncentiveView]
    next_cursor: str | None


@post("/", guards=[require("incentives")], dto=RowBody)
async def submit_incentive(
    core: NamedDependency[Core], request: Call, data: JSONBody[NewIncentive]
) -> Response[Submitted]:
    """Hand over one incentive: a batch of one, which needs the same two approvals. One that was handed over before with
    the same content is found again.
    """
    answer = InWork(request, core)
    answer.body_sha256 = hashlib.sha256(await request.body()).hexdigest()
    told: list[bytes] = []

    def seal(incentive: IncentiveView, batch: BatchView) -> bytes:
        told.append(msgspec.json.encode(Submitted(incentive=incentive, batch=as_batch(batch))))
        return answer.seal(told[-1])

    cells = tuple([getattr(data, name) for name in COLUMNS])
    try:
        handed = await core.singles.hand_over(request.auth.client_id, cells, answer.key, answer.fingerprint(), seal)
    except RowInvalid:
        if await answer.earlier():  # the key is looked at first, whatever the row says
            return await answer.replayed(_located)
        raise
    if handed is None:
        return await answer.replayed(_located)
    response = as_stored(told[-1], 201)
    response.headers["Location"] = f"/v1/incentives/{handed.incentive.incentive_id}"
    return response


def _located(answer: Any) -> str:
    return f"/v1/incentives/{answer['incentive']['incentive_id']}"


@get("/{incentive_id:int}", guards=[require("incentives", "read")])
async def read_incentive(core: NamedDependency[Core], incentive_id: IncentiveId) -> IncentiveView:
    """Where an incentive stands, and why it does not move."""
    return await core.incentives.get(incentive_id)


@get("/", guards=[require("incentives", "read")])
async def list_incentives(
    core: NamedDependency[Core],
    request: Call,
    programme: FromQuery[str | None] = None,
    batch_id: FromQuery[str | None] = None,
    participant_id: FromQuery[str | None] = None,
    stage: FromQuery[Stage | None] = None,
    blocker: FromQuery[BlockerCode | None] = None,
    partner: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> Incentives:
    """Incentives in the order in which they were handed over."""
    wanted = IncentiveFilter(
        organisation=request.auth.organisation,
        programme=programme,
        batch_id=batch_id,
        participant_id=participant_id,
        partner=partner,
        stage=stage,
        blocker=blocker,
    )
    found = await core.incentives.find(wanted, numbers_of(cursor, 1, _LIST)[0], limit + 1)
    page = found[:limit]
    return Incentives(
        incentives=page, next_cursor=cursor_of(int(page[-1].incentive_id), of=_LIST) if len(found) > limit else None
    )


@post("/{incentive_id:int}/cancel", guards=[require("incentives")], status_code=200)
async def cancel_incentive(core: NamedDependency[Core], request: Call, incentive_id: IncentiveId) -> IncentiveView:
    """Stop future payouts. One that has left is followed to its end: 409. Cancelling again changes nothing."""
    return await core.incentives.cancel(incentive_id, actor=request.auth.client_id)


router = Router(
    path="/v1/incentives",
    route_handlers=[submit_incentive, read_incentive, list_incentives, cancel_incentive],
    tags=["incentives"],
)
