"""`/v1/partners`: what each partner can do, what is assumed about it, and its switch."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, PathParameter, QueryParameter

from contracts.errors import InvalidRequest
from contracts.hold import HoldStage
from gateway.core import Core
from gateway.security.clients import Caller, require
from gateway.services.ops.partners import HoldView, PartnerView
from gateway.storage.ops.holds import Hold

Call = Request[Any, Caller, Any]


class Partners(msgspec.Struct, frozen=True, kw_only=True):
    """All of them."""

    partners: list[PartnerView]


class PastHold(HoldView, frozen=True, kw_only=True):
    """A hold of one partner, open or released."""

    partner: str
    released_at: datetime | None
    released_by: str | None


class Holds(msgspec.Struct, frozen=True, kw_only=True):
    """A page of them."""

    holds: list[PastHold]


class Pause(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why; for the record, no personal data."""

    reason: Annotated[str, msgspec.Meta(min_length=3, max_length=300)]


class Resume(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was read before."""

    read: Annotated[str, msgspec.Meta(min_length=16, max_length=16)] | None = None
    """`paused.read` of the partner: needed where others have it paused too, or the gateway."""


@get("/", guards=[require("read", "ops", "batches", "links")])
async def list_partners(core: NamedDependency[Core], request: Call) -> Partners:
    """Capabilities, limits, quotas, assumptions, switches and the last complete statement."""
    return Partners(partners=await core.partners.all(organisation=request.auth.organisation))


@post("/{partner:str}/pause", guards=[require("ops")], status_code=200)
async def pause_partner(
    core: NamedDependency[Core], request: Call, partner: FromPath[str], data: JSONBody[Pause]
) -> PartnerView:
    """Stop payouts at a partner: `pausing` while attempts begun before may not have left yet (how many, and by when the
    last one has), then `paused`. What has not left is held back; what has left is followed to its end.
    """
    return await core.partners.pause(partner, data.reason, actor=request.auth.client_id)


@post("/{partner:str}/resume", guards=[require("ops")], status_code=200)
async def resume_partner(
    core: NamedDependency[Core], request: Call, partner: FromPath[str], data: JSONBody[Resume | None] = None
) -> PartnerView:
    """Let payouts flow again. Without a body only what this client alone has paused: a clock that ends its own pause
    lifts nobody else's. Others' reasons, and the gateway's, are read first, and `read` says that they were.
    """
    return await core.partners.resume(partner, actor=request.auth.client_id, read=data.read if data else None)


def _past(hold: Hold) -> PastHold:
    return PastHold(
        hold_id=str(hold.id),
        partner=hold.partner,
        stage=hold.stage,
        kind=hold.kind,
        fault=hold.fault,
        words=hold.words,
        since=hold.since,
        next_canary_at=hold.next_canary_at,
        canaries=hold.canaries,
        by=hold.opened_by,
        released_at=hold.released_at,
        released_by=hold.released_by,
    )


@get("/holds", guards=[require("read", "ops")])
async def list_holds(
    core: NamedDependency[Core],
    partner: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=500)] = 50,
) -> Holds:
    """Why partners are, or were, not fed as usual: open and released holds, newest first."""
    return Holds(holds=[_past(hold) for hold in await core.partners.holds(partner, limit)])


@post("/holds/{hold_id:int}/release", guards=[require("ops")], status_code=200)
async def release_hold(
    core: NamedDependency[Core],
    request: Call,
    hold_id: Annotated[int, PathParameter(ge=1, le=2**63 - 1)],
    data: JSONBody[Pause],
) -> PartnerView:
    """End a hold by hand: what waited is due at once. The next run of failures holds the partner anew."""
    return await core.partners.release(hold_id, data.reason, actor=request.auth.client_id)


class AskAgain(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who was refused wrongly: at one stage, in a time, for one reason."""

    stage: HoldStage
    """`link`: they are invited to link again."""
    since: datetime
    """From when on they were refused."""
    until: datetime | None = None
    """Until when; null: now."""
    code: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None
    """Only who was refused with this blocker or partner's code; null: whatever the reason."""


class AskedAgain(msgspec.Struct, frozen=True, kw_only=True):
    """How many refusals are asked about again; the partner decides each anew."""

    asked: int


@post("/{partner:str}/ask-again", guards=[require("ops")], status_code=200)
async def ask_again(
    core: NamedDependency[Core], request: Call, partner: FromPath[str], data: JSONBody[AskAgain]
) -> AskedAgain:
    """Have a partner asked again about people whom it refused in a time, up to 90 days back. What it refused moved no
    money; nobody is taken to be right, and nobody is asked about twice for one refusal.
    """
    core.partners.known(partner)
    if data.since.tzinfo is None or (data.until is not None and data.until.tzinfo is None):
        raise InvalidRequest("Times name their offset: 2026-11-28T09:00:00+07:00.", field="since")
    asked = await core.brake.ask_again(
        partner, data.stage, since=data.since, until=data.until, code=data.code, actor=request.auth.client_id
    )
    return AskedAgain(asked=asked)


router = Router(
    path="/v1/partners",
    route_handlers=[list_partners, pause_partner, resume_partner, list_holds, release_hold, ask_again],
    tags=["partners"],
)
