"""`/v1/settlements`: a partner's document about a payout in doubt, brought by one person, confirmed by another."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Router, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from contracts.incentive import BlockerCode
from contracts.payout import PayoutState
from gateway.api.queries import the_number
from gateway.core import Core
from gateway.security.clients import Caller, require
from gateway.security.tenancy import must_own
from gateway.services.payouts.settlements import SettledAs

Call = Request[Any, Caller, Any]
_Text = Annotated[str, msgspec.Meta(min_length=3, max_length=300)]


class Proposal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the document says; no personal data."""

    payout_id: Annotated[str, msgspec.Meta(pattern="^[0-9]{1,18}$")]
    verdict: SettledAs
    document: _Text
    """The partner's number or name of the document."""
    why: _Text
    reason: BlockerCode | None = None
    """Of a refusal that blames the account or the person: `account_not_found`, `account_blocked`, `balance_limit`,
    `monthly_limit`, `partner_rejected`. Without it, it is technical and a new payout may follow.
    """


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """What was brought, and whether it counts yet."""

    settlement_id: str
    payout_id: str
    verdict: SettledAs
    reason: BlockerCode | None
    document: str
    why: str
    proposed_by: str
    proposed_at: datetime
    confirmed_by: str | None
    """Null: it waits for another client's word."""
    confirmed_at: datetime | None


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """How the payout stands now."""

    payout_id: str
    state: PayoutState


@post("/", guards=[require("ops")], status_code=201)
async def propose_settlement(core: NamedDependency[Core], request: Call, data: JSONBody[Proposal]) -> Settlement:
    """Bring a document. Nothing changes until another client confirms it."""
    payout_id = the_number(data.payout_id, "payout_id")
    await must_own(core.resources.database, request.auth.organisation, {"payout_id": payout_id})
    made = await core.settlements.propose(
        payout_id,
        data.verdict,
        reason=data.reason,
        document=data.document,
        why=data.why,
        actor=request.auth.client_id,
    )
    return Settlement(
        settlement_id=str(made.id),
        payout_id=str(made.payout),
        verdict=SettledAs(made.verdict),
        reason=None if made.reason is None else BlockerCode(made.reason),
        document=made.document,
        why=made.why,
        proposed_by=made.proposed_by,
        proposed_at=made.proposed_at,
        confirmed_by=made.confirmed_by,
        confirmed_at=made.confirmed_at,
    )


@post("/{settlement_id:int}/confirm", guards=[require("ops")], status_code=200)
async def confirm_settlement(core: NamedDependency[Core], request: Call, settlement_id: FromPath[int]) -> Settled:
    """Take the document for the partner's word; by another client than the one that brought it."""
    row = await core.settlements.confirm(settlement_id, actor=request.auth.client_id)
    return Settled(payout_id=str(row.id), state=row.state)


router = Router(path="/v1/settlements", route_handlers=[propose_settlement, confirm_settlement], tags=["payouts"])
