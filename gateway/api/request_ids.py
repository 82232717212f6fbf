"""`X-Request-Id`: one name for a request, in its answer, in a refusal and in the log; the caller's, if one was sent."""

from __future__ import annotations

import re
import uuid
from typing import Any

import structlog
from litestar.datastructures import Headers, MutableScopeHeaders
from litestar.types import Message, Scope

HEADER = "X-Request-Id"
_SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}", re.ASCII)
_NUMBER = re.compile(r"[0-9]{10}", re.ASCII)
"""So many digits may be somebody's NIK or phone, which no log may hold."""
_KEY = "request_id"
_log = structlog.get_logger(__name__)


def request_id_of(scope: Scope) -> str:
    """The request's id: what the caller sent if it looks like an id, else one made here."""
    state: dict[str, Any] = scope.setdefault("state", {})
    if _KEY not in state:
        sent = Headers.from_scope(scope).get(HEADER, "")
        taken = _SANE.fullmatch(sent) is not None and _NUMBER.search(sent) is None
        state[_KEY] = sent if taken else uuid.uuid4().hex
    made: str = state[_KEY]
    return made


async def told(message: Message, scope: Scope) -> None:
    """Before an answer is sent: name the request in it, and write one line about it."""
    if message["type"] != "http.response.start":
        return
    request_id = request_id_of(scope)
    MutableScopeHeaders.from_message(message)[HEADER] = request_id
    if str(scope["path"]).startswith("/v1/"):
        caller = scope.get("auth")
        _log.info(
            "request",
            request_id=request_id,
            method=scope.get("method"),
            route=scope.get("path_template"),
            status=message["status"],
            client_id=getattr(caller, "client_id", None),
        )
