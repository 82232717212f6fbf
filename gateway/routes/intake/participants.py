"""`/v1/participants`: links, verdict, what is needed; putting right what was handed over about a person."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from contracts.batch import PERSON
from contracts.secret import Masked, Secret
from gateway.core import Core
from gateway.security.clients import Caller, require
from gateway.services.intake.participants import Participants, ParticipantView

_Field = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
_HANDS_OVER = frozenset({"incentives", "batches"})


class NewAccount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The account that is to be paid from now on."""

    partner: Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
    account: Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
    phone: Annotated[str, msgspec.Meta(min_length=1, max_length=32)]

    def __repr__(self) -> str:
        return f"NewAccount({self.partner}, ***)"


class Correction(Masked, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a participant's data should be, in the forms of a batch's row; what is left out stays as it is."""

    nik: _Field | None = None
    full_name: _Field | None = None
    phone: _Field | None = None
    """+62 and 8 to 13 digits."""
    partner: _Field | None = None
    """Another partner comes with its `account`."""
    account: _Field | None = None


assert Correction.__struct_fields__ == PERSON, "what is of the person can be corrected"


@get("/{participant_id:str}", guards=[require("links", "verifications", "read")])
async def read_participant(core: NamedDependency[Core], participant_id: FromPath[str]) -> ParticipantView:
    """A participant's links, verdict and what is needed; no personal data."""
    return await Participants(core.resources).view(participant_id)


@put("/{participant_id:str}", guards=[require("incentives", "batches", "batches:approve")])
async def correct_participant(
    core: NamedDependency[Core],
    request: Request[Any, Caller, Any],
    participant_id: FromPath[str],
    data: JSONBody[Correction],
) -> Response[ParticipantView]:
    """Correct what was handed over about a person. Another NIK or account ends the approvals of what is not paid (`POST
    /v1/batches/reapprovals` puts it up again) and is verified anew.

    Once the person was paid, another NIK needs two people: 202 with `correction` after the first, until a second one
    sends the same NIK within seven days. A client that may only approve batches can only be that second one.
    """
    given = {name: Secret(value) for name in PERSON if (value := getattr(data, name)) is not None}
    done = await core.corrections.correct(
        participant_id, given, request.auth.client_id, may_begin=not request.auth.scopes.isdisjoint(_HANDS_OVER)
    )
    return Response(done.participant, status_code=202 if done.waits_for_second else 200)


@put("/{participant_id:str}/account", guards=[require("links")])
async def change_account(
    core: NamedDependency[Core],
    request: Request[Any, Caller, Any],
    participant_id: FromPath[str],
    data: JSONBody[NewAccount],
) -> ParticipantView:
    """Another account, perhaps at another partner; the link, the verdict and the approvals of what is not paid end.
    Refused while a payout is open.
    """
    given = {name: Secret(getattr(data, name)) for name in ("partner", "account", "phone")}
    return (await core.corrections.correct(participant_id, given, request.auth.client_id)).participant


@post("/{participant_id:str}/stop", guards=[require("incentives", "batches:approve", "ops")], status_code=200)
async def stop_participant(
    core: NamedDependency[Core], request: Request[Any, Caller, Any], participant_id: FromPath[str]
) -> ParticipantView:
    """Stop a person's payments: every incentive that has not left is cancelled and may be handed over again, every
    entitlement under a plan ends, and what has left is followed to its end, with no other payout after it. So does what
    your organisation has handed over for the same NIK under another participant_id. Stopping again changes nothing. A
    later batch with a row of theirs warns its approvers.
    """
    return await Participants(core.resources).stop(participant_id, request.auth.client_id)


router = Router(
    path="/v1/participants",
    route_handlers=[read_participant, correct_participant, change_account, stop_participant],
    tags=["participants"],
)
