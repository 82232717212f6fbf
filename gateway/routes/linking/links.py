"""`/v1/links`: account linking as the core platform sees it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from contracts.linking import LinkState
from contracts.secret import Secret
from gateway.core import Core
from gateway.routes.access.idempotent import once
from gateway.security.clients import Caller, require
from gateway.security.tenancy import must_own
from gateway.services.linking.view import LinkView

Call = Request[Any, Caller, Any]


class StartLink(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose account is to be linked, and where the browser goes afterwards."""

    participant_id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    return_url: Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]


class LinkAnswers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the participant typed, by the names that the challenge asks for; passed on and kept nowhere."""

    inputs: Annotated[dict[str, Annotated[str, msgspec.Meta(max_length=64)]], msgspec.Meta(min_length=1, max_length=10)]

    def __repr__(self) -> str:
        return "LinkAnswers(***)"


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


router = Router(path="/v1/links", route_handlers=[start_link, read_link, answer_link, end_link], tags=["links"])
