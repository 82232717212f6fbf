"""`/v1/verifications`: is this participant's NIK the one on the account?"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter

from gateway.core import Core
from gateway.routes.access.idempotent import once
from gateway.security.clients import Caller, require
from gateway.security.tenancy import must_own
from gateway.services.linking.verification import VerificationView

VerificationId = Annotated[int, PathParameter(ge=1, le=2**63 - 1)]


class RequestVerification(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose NIK is to be checked, under the participant's active link."""

    participant_id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


@post("/", guards=[require("verifications")])
async def request_verification(
    core: NamedDependency[Core], request: Request[Any, Caller, Any], data: JSONBody[RequestVerification]
) -> Response[VerificationView]:
    """Check now: after an upgrade of the account, say. The gateway checks by itself after linking and before expiry."""
    await must_own(core.resources.database, request.auth.organisation, {"participant_id": data.participant_id})
    return await once(request, core, lambda: core.verification.request(data.participant_id), required=False)


@get("/{verification_id:int}", guards=[require("verifications", "read")])
async def read_verification(core: NamedDependency[Core], verification_id: VerificationId) -> VerificationView:
    """Where a check stands."""
    return await core.verification.view(verification_id)


router = Router(
    path="/v1/verifications", route_handlers=[request_verification, read_verification], tags=["verifications"]
)
