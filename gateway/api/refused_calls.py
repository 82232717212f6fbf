"""What a known caller was refused goes on record: what is another's to do, and what is another organisation's."""

from __future__ import annotations

import re

import asyncpg
import structlog
from litestar.types import Message, Scope

from contracts.errors import Forbidden, GatewayError
from gateway.core import Core
from gateway.security.limits import REFUSALS_NOTED, Limits, TooManyRequests
from gateway.security.tenancy import NotTheirs

_KEY = "refused"
_NOTED = frozenset({"second_person_needed"})
"""Refusals that tell of a try, though they are no `Forbidden`."""
_OURS = re.compile(r"[A-Za-z]{0,2}(?:[0-9]{1,8}|[0-9]{17,20})", re.ASCII)
"""How ids look; what else stands in an address may be anything that was typed: a name, 9 to 16 digits of somebody."""
_log = structlog.get_logger(__name__)


def mark(scope: Scope, error: GatewayError) -> None:
    """An answer is about to tell this."""
    if isinstance(error, Forbidden | NotTheirs) or error.code in _NOTED:
        scope.setdefault("state", {})[_KEY] = error.code


async def noted(message: Message, scope: Scope) -> None:
    """Before a marked answer is sent: who, what and about which row, within an allowance for each caller. A row that is
    another's and one that is not there take the same time, as both are written.
    """
    if message["type"] != "http.response.start" or (code := scope.get("state", {}).get(_KEY)) is None:
        return
    caller, app = scope.get("auth"), scope["litestar_app"]
    if caller is None:
        return  # nobody known: whoever refused has written what there is to say
    core: Core = app.state.core
    limits: Limits = app.state.limits
    ids = [str(value) for value in scope.get("path_params", {}).values()]
    about = {"code": code, "ids": [one for one in ids if _OURS.fullmatch(one)]}
    try:
        await limits.take(core.resources.redis, REFUSALS_NOTED, caller.client_id)
        await core.clients.note(caller.client_id, "act.refused", str(scope.get("path_template")), about)
    except TooManyRequests:
        return
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        _log.warning("refusal_not_noted", error=type(error).__name__)
