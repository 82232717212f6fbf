"""`/v1/webhook-endpoints`: where a client is called about what happens."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from contracts.errors import InvalidRequest
from contracts.events import EventType
from gateway.core import Core
from gateway.routes.access.idempotent import once
from gateway.security.clients import Caller, require
from gateway.services.messages.webhooks import DeadLetter, EndpointView, NewEndpointView, Tried

Call = Request[Any, Caller, Any]


class NewEndpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where to call, and about what."""

    url: Annotated[str, msgspec.Meta(min_length=8, max_length=2_000)]
    """https; a public address."""
    types: list[EventType] = []
    """Only these event types; empty: all."""


class ChangedEndpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be changed; what is left out stays."""

    url: Annotated[str, msgspec.Meta(min_length=8, max_length=2_000)] | None = None
    """https; a public address. What waits is delivered there."""
    types: list[EventType] | None = None
    """Only these event types from now on; empty: all."""


class Replay(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to deliver again: the events after one cursor up to another, or the dead letters."""

    after: str | None = None
    """A cursor of `/v1/events`; null: from the first event."""
    until: str | None = None
    """The last one; null: the last one that was delivered."""
    dead_letters: bool = False
    """The deliveries that were given up, and no range."""


class Endpoints(msgspec.Struct, frozen=True, kw_only=True):
    """The caller's endpoints, oldest first."""

    webhook_endpoints: list[EndpointView]


class DeadLetters(msgspec.Struct, frozen=True, kw_only=True):
    """Some deliveries that were given up; `next_cursor` is null at the end."""

    dead_letters: list[DeadLetter]
    next_cursor: str | None


@post("/", guards=[require("read")])
async def create_webhook_endpoint(
    core: NamedDependency[Core], request: Call, data: JSONBody[NewEndpoint]
) -> Response[NewEndpointView]:
    """Be called about what happens from now on. The secret in the answer is shown once (and again to the same request
    under its `Idempotency-Key`): it proves who calls.
    """
    client_id = request.auth.client_id

    async def work() -> NewEndpointView:
        return await core.webhooks.create(client_id, data.url, data.types, actor=client_id)

    return await once(request, core, work, required=False)


@get("/", guards=[require("read")])
async def list_webhook_endpoints(core: NamedDependency[Core], request: Call) -> Endpoints:
    """The caller's endpoints and how they stand."""
    return Endpoints(webhook_endpoints=await core.webhooks.all(request.auth.client_id))


@get("/{webhook_endpoint_id:str}", guards=[require("read")])
async def get_webhook_endpoint(
    core: NamedDependency[Core], request: Call, webhook_endpoint_id: FromPath[str]
) -> EndpointView:
    """One endpoint: how far it is, what waits, what was given up."""
    return await core.webhooks.get(request.auth.client_id, webhook_endpoint_id)


@patch("/{webhook_endpoint_id:str}", guards=[require("read")])
async def change_webhook_endpoint(
    core: NamedDependency[Core], request: Call, webhook_endpoint_id: FromPath[str], data: JSONBody[ChangedEndpoint]
) -> EndpointView:
    """Another address or other event types; the secret and the place in the events stay."""
    client_id = request.auth.client_id
    return await core.webhooks.change(client_id, webhook_endpoint_id, data.url, data.types, actor=client_id)


@delete("/{webhook_endpoint_id:str}", guards=[require("read")])
async def delete_webhook_endpoint(
    core: NamedDependency[Core], request: Call, webhook_endpoint_id: FromPath[str]
) -> None:
    """Call it no more; what waits for it is forgotten."""
    await core.webhooks.delete(request.auth.client_id, webhook_endpoint_id, actor=request.auth.client_id)


@post("/{webhook_endpoint_id:str}/rotate-secret", guards=[require("read")], status_code=200)
async def rotate_webhook_secret(
    core: NamedDependency[Core], request: Call, webhook_endpoint_id: FromPath[str]
) -> Response[NewEndpointView]:
    """A new secret. For 24 hours the old one signs beside it, so that receivers can change over without a gap. Send an
    `Idempotency-Key`: where the answer is lost, the same request has the same secret again.
    """
    client_id = request.auth.client_id

    async def work() -> NewEndpointView:
        return await core.webhooks.rotate(client_id, webhook_endpoint_id, actor=client_id)

    return await once(request, core, work, status=200, required=False)


@post("/{webhook_endpoint_id:str}/enable", guards=[require("read")], status_code=200)
async def enable_webhook_endpoint(
    core: NamedDependency[Core], request: Call, webhook_endpoint_id: FromPath[str]
) -> EndpointView:
    """Call a disabled endpoint again, from where it was: nothing is left out."""
    return await core.webhooks.enable(request.auth.client_id, webhook_endpoint_id, actor=request.auth.client_id)


@post("/{webhook_endpoint_id:str}/test", guards=[require("read")], status_code=200)
async def test_webhook_endpoint(
    core: NamedDependency[Core], request: Call, webhook_endpoint_id: FromPath[str]
) -> Tried:
    """Call it now with an event of type `webhook.test`, and say what it answered."""
    return await core.webhooks.test(request.auth.client_id, webhook_endpoint_id)


@post("/{webhook_endpoint_id:str}/replay", guards=[require("read")], status_code=202)
async def replay_webhook_events(
    core: NamedDependency[Core], request: Call, webhook_endpoint_id: FromPath[str], data: JSONBody[Replay]
) -> EndpointView:
    """Deliver a range of events again, or the dead letters. A receiver knows an event by its `webhook-id`."""
    if data.dead_letters and (data.after or data.until):
        raise InvalidRequest("Dead letters have no range.", field="dead_letters", remedy="Send one or the other.")
    client_id = request.auth.client_id
    return await core.webhooks.replay(
        client_id, webhook_endpoint_id, data.after, data.until, dead=data.dead_letters, actor=client_id
    )


@delete("/{webhook_endpoint_id:str}/replay", guards=[require("read")], status_code=200)
async def end_webhook_replay(
    core: NamedDependency[Core], request: Call, webhook_endpoint_id: FromPath[str]
) -> EndpointView:
    """Deliver no more of a range again: what is new goes on. Where none is going on nothing changes."""
    return await core.webhooks.end_replay(request.auth.client_id, webhook_endpoint_id, actor=request.auth.client_id)


@get("/{webhook_endpoint_id:str}/dead-letters", guards=[require("read")])
async def list_dead_letters(
    core: NamedDependency[Core],
    request: Call,
    webhook_endpoint_id: FromPath[str],
    cursor: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=1_000)] = 100,
) -> DeadLetters:
    """Deliveries given up, after 72 hours or as too many waited, in the order of their events."""
    found = await core.webhooks.dead_letters(request.auth.client_id, webhook_endpoint_id, cursor, limit)
    return DeadLetters(dead_letters=found, next_cursor=found[-1].cursor if len(found) == limit else None)


router = Router(
    path="/v1/webhook-endpoints",
    route_handlers=[
        create_webhook_endpoint, list_webhook_endpoints, get_webhook_endpoint, change_webhook_endpoint,
        delete_webhook_endpoint,
        rotate_webhook_secret, enable_webhook_endpoint, test_webhook_endpoint, replay_webhook_events,
        end_webhook_replay, list_dead_letters,
    ],
    tags=["webhooks"],
)  # fmt: skip
