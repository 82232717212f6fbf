"""`/v1/participants/{id}/account-proof`: a partner's document about whose an account is, where no call proves it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Router, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from gateway.core import Core
from gateway.security.clients import Caller, require
from gateway.services.linking.proof import DOCUMENT, AccountProofs, ProofView


class AccountDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The document, by the name or number under which it is filed; nothing of the person belongs here."""

    document: Annotated[str, msgspec.Meta(pattern=DOCUMENT)]


@post("/{participant_id:str}/account-proof", guards=[require("ops")], status_code=200)
async def give_proof(
    core: NamedDependency[Core],
    request: Request[Any, Caller, Any],
    participant_id: FromPath[str],
    data: JSONBody[AccountDocument],
) -> ProofView:
    """Of two people: that the partner has said in writing whose the participant's present account is."""
    return await AccountProofs(core.resources).give(participant_id, data.document, request.auth.client_id)


router = Router(path="/v1/participants", route_handlers=[give_proof], tags=["participants"])
