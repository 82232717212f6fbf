"""`/v1/participants`: links, verdict, what is needed, and another account."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Router, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from contracts.secret import Secret
from gateway.core import Core
from gateway.security.clients import Caller, require
from gateway.services.intake.participants import Participants, ParticipantView


class NewAccount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The account that is to be paid from now on."""

    partner: Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
    account: Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
    phone: Annotated[str, msgspec.Meta(min_length=1, max_length=32)]

    def __repr__(self) -> str:
        return f"NewAccount({self.partner}, ***)"


@get("/{participant_id:str}", guards=[require("links", "verifications", "read")])
async def read_participant(core: NamedDependency[Core], participant_id: FromPath[str]) -> ParticipantView:
    """A participant's links, verdict and what is needed; no personal data."""
    return await Participants(core.resources).view(participant_id)


@put("/{participant_id:str}/account", guards=[require("links")])
async def change_account(
    core: NamedDependency[Core],
    request: Request[Any, Caller, Any],
    participant_id: FromPath[str],
    data: JSONBody[NewAccount],
) -> ParticipantView:
    """Another account; the link and the verdict end."""
    return await Participants(core.resources).change_account(
        participant_id, data.partner, Secret(data.account), Secret(data.phone), request.auth.client_id
    )


@post("/{participant_id:str}/stop", guards=[require("incentives", "batches:approve", "ops")], status_code=200)
async def stop_participant(
    core: NamedDependency[Core], request: Request[Any, Caller, Any], participant_id: FromPath[str]
) -> ParticipantView:
    """Stop a person's payments: every incentive that has not left is cancelled and may be handed over again; what has
    left is followed to its end. Stopping again changes nothing.
    """
    return await Participants(core.resources).stop(participant_id, request.auth.client_id)


router = Router(
    path="/v1/participants", route_handlers=[read_participant, change_account, stop_participant], tags=["participants"]
)
