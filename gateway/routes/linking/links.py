"""`/v1/links`: account linking as the core platform sees it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from contracts.linking import LinkState
from contracts.secret import Masked, Secret
from gateway.core import Core
from gateway.cursors import ByTime
from gateway.routes.access.idempotent import once
from gateway.security.clients import Caller, require
from gateway.security.tenancy import must_own
from gateway.services.linking.view import LinkView
from gateway.services.linking.withdrawal import Withdrawal
from gateway.storage.linking import listing

Call = Request[Any, Caller, Any]
_LIST = ByTime("links/", "L")


class StartLink(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose account is to be linked, and where the browser goes afterwards."""

    participant_id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    return_url: Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]


class LinkAnswers(Masked, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the participant typed, by the names that the challenge asks for; passed on and kept nowhere."""

    inputs: Annotated[dict[str, Annotated[str, msgspec.Meta(max_length=64)]], msgspec.Meta(min_length=1, max_length=10)]


@post("/", guards=[require("links")])
async def start_link(core: NamedDependency[Core], request: Call, data: JSONBody[StartLink]) -> Response[LinkView]:
    """A challenge for the participant to open, good for ten minutes."""
    caller = request.auth
    await must_own(core.resources.database, caller.organisation, {"participant_id": data.participant_id})
    return await once(
        request,
        core,
        lambda: core.linking.start(caller.client_id, caller.return_urls, data.participant_id, data.return_url),
        required=False,
    )


class LinkLine(msgspec.Struct, frozen=True, kw_only=True):
    """A link in a list; `GET /v1/links/{link_id}` has its challenge."""

    link_id: str
    participant_id: str
    partner: str
    state: LinkState
    ended_because: str | None
    partner_code: str | None
    created_at: datetime
    updated_at: datetime


class Links(msgspec.Struct, frozen=True, kw_only=True):
    """Some links, newest first; `next_cursor` is null on the last page."""

    links: list[LinkLine]
    next_cursor: str | None


@get("/", guards=[require("links", "read")])
async def list_links(
    core: NamedDependency[Core],
    request: Call,
    participant_id: FromQuery[str | None] = None,
    partner: FromQuery[str | None] = None,
    state_: Annotated[LinkState | None, QueryParameter(name="state")] = None,
    cursor: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> Links:
    """Links, newest first: of one person, partner or state, or all."""
    wanted = {
        "participant_id": participant_id,
        "partner": partner,
        "state": state_ and state_.value,
        "organisation": request.auth.organisation,
    }
    async with core.resources.database.transaction() as connection:
        found = await listing.find(connection, wanted, _LIST.before(cursor), limit + 1)
    page = [
        LinkLine(link_id=row.id, **{name: getattr(row, name) for name in row.__struct_fields__ if name != "id"})
        for row in found[:limit]
    ]
    last = found[limit - 1] if len(found) > limit else None
    return Links(links=page, next_cursor=_LIST.after(last.created_at, last.id) if last else None)


@get("/{link_id:str}", guards=[require("links", "read")])
async def read_link(core: NamedDependency[Core], request: Call, link_id: FromPath[str]) -> LinkView:
    """Where a link stands; its challenge only for those who may start one."""
    view: LinkView = await core.linking.view(link_id)
    return view if "links" in request.auth.scopes else msgspec.structs.replace(view, challenge=None)


@post("/{link_id:str}/inputs", guards=[require("links")], status_code=200)
async def answer_link(core: NamedDependency[Core], link_id: FromPath[str], data: JSONBody[LinkAnswers]) -> LinkView:
    """Inputs from a client with screens of its own."""
    view: LinkView = await core.linking.inputs(link_id, {name: Secret(value) for name, value in data.inputs.items()})
    return view


@delete("/{link_id:str}", guards=[require("links")], status_code=200)
async def end_link(core: NamedDependency[Core], request: Call, link_id: FromPath[str]) -> Response[LinkView]:
    """Give a link back: 200 once it is over, 202 while the partner or the participant still has to do something."""
    view: LinkView = await core.linking.unlink(link_id, request.auth.client_id)
    return Response(view, status_code=202 if view.state is LinkState.UNLINKING else 200)


@post("/{link_id:str}/withdrawal", guards=[require("links")], status_code=200)
async def offer_withdrawal(core: NamedDependency[Core], link_id: FromPath[str]) -> Withdrawal:
    """An address, good for ten minutes, at which the participant withdraws their consent: their account is no longer
    read or paid to from then on, and given back to the partner. Show it to nobody else.
    """
    made: Withdrawal = await core.linking.offer_withdrawal(link_id)
    return made


router = Router(
    path="/v1/links",
    route_handlers=[start_link, list_links, read_link, answer_link, end_link, offer_withdrawal],
    tags=["links"],
)
