"""`/v1/programmes`: the spellings under which incentives are taken."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Router, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from gateway.core import Core
from gateway.security.clients import Caller, require
from gateway.services.intake.programmes import Programme

Slug = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class NewProgramme(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A programme, or purposes that one has besides."""

    programme: Slug
    """Lower-case letters and digits with single hyphens between them."""
    purposes: Annotated[list[Slug], msgspec.Meta(min_length=1, max_length=100)]


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """All programmes."""

    programmes: list[Programme]


@post("/", guards=[require("batches", "incentives", "ops")], status_code=200)
async def register_programme(
    core: NamedDependency[Core], request: Request[Any, Caller, Any], data: JSONBody[NewProgramme]
) -> Programme:
    """Register a programme and its purposes; rows of any other spelling are refused. Doing it again changes nothing."""
    return await core.programmes.register(data.programme, data.purposes, request.auth.client_id)


@get("/", guards=[require("batches", "incentives", "batches:approve", "read", "ops")])
async def list_programmes(core: NamedDependency[Core]) -> Registered:
    """The programmes and purposes that are registered."""
    return Registered(programmes=await core.programmes.find())


router = Router(path="/v1/programmes", route_handlers=[register_programme, list_programmes], tags=["programmes"])
