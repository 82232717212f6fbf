"""`/ops`: batches and their approval, the last reconciliations, and the record of who decided what."""

from __future__ import annotations

from typing import Any

from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.params import FromPath, FromQuery

from contracts.errors import GatewayError, InvalidRequest
from gateway.core import Core
from gateway.routes.ops import overview, people, session
from gateway.routes.ops.session import FORM_BYTES, Browser, SignInNeeded, form, page, signed_in, to
from gateway.services.intake.batches import Decision
from gateway.storage.ops import story


@get("/batches", guards=[signed_in()])
async def list_batches(core: NamedDependency[Core], request: Browser) -> Response[str]:
    """Batches, those that wait for approval first."""
    async with core.resources.database.connection() as connection:
        rows = await story.batches(connection)
    return page(request, "batches.html", here="/ops/batches", rows=rows)


@get("/batches/{batch_id:str}", guards=[signed_in()])
async def show_batch(core: NamedDependency[Core], request: Browser, batch_id: FromPath[str]) -> Response[str]:
    """What one batch would pay, by partner, and who has decided."""
    view = await core.batches.get(batch_id)
    async with core.resources.database.connection() as connection:
        totals = await story.batch_totals(connection, batch_id)
    return page(
        request,
        "batch.html",
        view=view,
        totals=totals,
        root=view.batch.content_root.hex(),
        may_decide="approver" in request.auth.roles,
    )


@post("/batches/{batch_id:str}", guards=[signed_in("approver")], request_max_body_size=FORM_BYTES)
async def decide_batch(core: NamedDependency[Core], request: Browser, batch_id: FromPath[str]) -> Response[Any]:
    """Approve or reject exactly the content that was shown."""
    typed = await form(request)
    try:
        decision, root = Decision(typed.get("decision", "")), bytes.fromhex(typed.get("content_root", ""))
    except ValueError:
        raise InvalidRequest("Load the page again and choose approve or reject.") from None
    await core.batches.decide(request.auth.client_id, batch_id, decision, root)
    return to(f"/ops/batches/{batch_id}")


@get("/reconciliations", guards=[signed_in()])
async def list_reconciliations(core: NamedDependency[Core], request: Browser) -> Response[str]:
    """Each partner's days, the newest first: compared or not, and what differed."""
    async with core.resources.database.connection() as connection:
        rows = await story.reconciliations(connection)
    return page(request, "reconciliations.html", here="/ops/reconciliations", rows=rows)


@get("/audit", guards=[signed_in()])
async def list_decisions(
    core: NamedDependency[Core], request: Browser, before: FromQuery[int | None] = None
) -> Response[str]:
    """Who decided what, newest first."""
    async with core.resources.database.connection() as connection:
        rows = await story.decisions(connection, before)
    return page(request, "audit.html", here="/ops/audit", rows=rows)


router = Router(
    path="/ops",
    route_handlers=[
        session.show_sign_in, session.sign_in, session.sign_out, session.choose_language, session.read_asset,
        *overview.HANDLERS, *people.HANDLERS,
        list_batches, show_batch, decide_batch, list_reconciliations, list_decisions,
    ],
    exception_handlers={
        SignInNeeded: session.to_sign_in, GatewayError: session.told, HTTPException: session.told_plainly,
    },
    include_in_schema=False,
)  # fmt: skip
