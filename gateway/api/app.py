"""The composition root of the API: `create_app` puts services, routes, problems and OpenAPI together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide

from contracts.hold import HoldStage
from gateway import tracing
from gateway.api import guards
from gateway.api.bodies import MAX_BODY_BYTES, StrictBody
from gateway.api.openapi import CONFIG as OPENAPI
from gateway.api.problems import HANDLERS
from gateway.api.queries import refuse_unknown
from gateway.api.refused_calls import noted
from gateway.api.request_ids import told
from gateway.core import Core, build_core
from gateway.resources import open_resources
from gateway.routes.access import front, oauth
from gateway.routes.intake import batches, entitlements, incentives, participants, plans, programmes
from gateway.routes.linking import connect, links, proofs, verifications, withdrawals
from gateway.routes.messages import callbacks, events, webhooks
from gateway.routes.ops import cases, decisions, funnel, health, partners
from gateway.routes.payouts import payouts, settlements
from gateway.routes.reconciliation import reconciliations
from gateway.security.limits import Limits
from gateway.services.ops.holds import REFRESH_S
from gateway.settings import Settings
from gateway.worker.loops import Loop, Wake, run_loop
from gateway.worker.outage import Outages

ROUTES = (
    front, oauth, connect, withdrawals, callbacks, links, verifications, participants, proofs, programmes, incentives,
    payouts, batches, plans, entitlements, events, webhooks, partners, settlements, funnel, reconciliations, cases,
    health, decisions,
)  # fmt: skip


def create_app(settings: Settings | None = None, *, core: Core | None = None) -> Litestar:
    """The API on `settings`, which it opens and closes itself, or on a `core` that someone else keeps open (tests)."""

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        assert settings is not None, "settings or a core"
        async with open_resources(settings) as resources:
            app.state.core = build_core(resources)
            stopping, news = asyncio.Event(), Wake()
            # Who links comes through this process alone: what it sees of the partners' linking is told to all.
            outages = Outages(resources, f"api-{uuid4().hex[:8]}", news, (HoldStage.LINK,))
            watching = asyncio.create_task(run_loop(Loop("holds", outages.tick, REFRESH_S), news, stopping))
            try:
                yield
            finally:
                stopping.set()
                await watching
                await app.state.core.reconciliations.close()

    app = Litestar(
        route_handlers=[module.router for module in ROUTES],
        openapi_config=OPENAPI,
        dependencies={"core": Provide(_core, sync_to_thread=False)},
        middleware=[guards.one_reading],
        before_request=refuse_unknown,
        before_send=[told, noted, guards.protect],
        dto=StrictBody,
        return_dto=None,
        exception_handlers=HANDLERS,
        state=State({"core": core, "limits": Limits()}),
        lifespan=[lifespan] if core is None else [],
        logging_config=None,
        request_max_body_size=MAX_BODY_BYTES,
    )
    app.asgi_handler = tracing.served(guards.plain_target(guards.other_methods(app.asgi_handler)))
    return app


def _core(state: State) -> Core:
    core: Core = state.core
    return core
