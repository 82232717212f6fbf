"""RFC 9457 problem documents: every refusal in one shape, with a stable code, a remedy, and never what was sent."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Sequence
from typing import Any

import asyncpg
import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, InternalServerException, ValidationException
from litestar.types import ExceptionHandlersMap, Scope

from contracts.batch import RowFault
from contracts.errors import GatewayError, InvalidRequest, TooLarge
from gateway import pages
from gateway.api import refused_calls
from gateway.api.queries import values_of
from gateway.api.request_ids import request_id_of
from gateway.logs import frames
from gateway.storage.access.owners import OWNERS
from gateway.storage.base.out_of_time import OutOfTime

MEDIA_TYPE = "application/problem+json"
_GONE = "client disconnected prematurely"
"""The framework's words for a body that breaks off."""
_log = structlog.get_logger(__name__)


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One refusal; `code` is stable, `field` names what is wrong where that is known."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    remedy: str
    request_id: str
    """As in the answer's `X-Request-Id` and in the gateway's log."""
    field: str | None = None
    faults: tuple[RowFault, ...] = ()
    """Everything that is wrong with a row, the first of which is told above too."""


class _UnsupportedMediaType(InvalidRequest):
    code = "unsupported_media_type"
    http_status = 415
    title = "Unsupported media type"
    remedy = "Send the Content-Type that the operation names."


class _OutOfTime(GatewayError):
    code = "out_of_time"
    http_status = 503
    title = "Out of time"
    remedy = (
        "Ask again after the time in Retry-After, for less: a smaller `limit`, one batch, one participant. If it"
        " persists, tell the operators the request_id."
    )
    retry_after_s = 30

    def __init__(self) -> None:
        super().__init__("The store did not answer within its time; nothing was changed.")


def unsupported_media_type(expected: str, remedy: str | None = None) -> GatewayError:
    """The body has another type than the operation takes."""
    return _UnsupportedMediaType(f"The body must be {expected}.", remedy=remedy)


_BY_STATUS: dict[int, tuple[str, str, str]] = {
    400: ("bad_request", "Bad request", "Correct the request and send it again."),
    404: ("not_found", "Not found", "Check the address; GET /schema lists what there is."),
    405: ("method_not_allowed", "Method not allowed", "Use a method that the Allow header names."),
    413: (TooLarge.code, TooLarge.title, "Send less at a time."),
    415: (_UnsupportedMediaType.code, _UnsupportedMediaType.title, _UnsupportedMediaType.remedy),
    422: (InvalidRequest.code, InvalidRequest.title, InvalidRequest.remedy),
    503: ("unavailable", "Unavailable", "Try again later."),
}

_STORE_AWAY = (
    ConnectionError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
)

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\[\]-]{0,79}", re.ASCII)
_PLAIN = re.compile(
    r"Expected `[a-z ,|]+`(?:, got `[a-z]+`)?"
    r"|Expected `(?:int|float)` (?:<=|>=|<|>) -?[0-9.]+"
    r"|Expected `(?:str|array|object)` of length (?:<=|>=|==) [0-9]+"
    r"|Expected `array` of at (?:most|least) length [0-9]+"
    r"|Missing required query parameter"
)
_TYPE = re.compile("`([a-z |]+)`")
_KINDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
}
"""What msgspec names in Python's words."""
_MISSING = re.compile(r"Object missing required field `([^`]+)`")
_UNKNOWN = re.compile(r"Object contains unknown field `([^`]*)`")
_PATTERN = re.compile(r"Expected `str` matching regex '([^']*)'")
_FORMS = {
    "Invalid RFC3339 encoded date": "Give a day as YYYY-MM-DD, 2026-11-20 for example, without a time.",
    "Invalid RFC3339 encoded datetime": "Give a time with its offset: 2026-11-20T09:30:00+07:00.",
}
"""By msgspec's words: how it is written."""
_BYTE = re.compile(r"\(byte ([0-9]{1,7})\)$")
_AT = re.compile(r" - at `(?:key in )?\$?\.?([^`]*)`$")


Values = Callable[[str], Sequence[str]]


def _nothing(_: str) -> Sequence[str]:
    return ()


def invalid(
    message: str, *, path: str | None = None, takes: Sequence[str] = (), values: Values = _nothing
) -> InvalidRequest:
    """msgspec's message about a body or parameter as ours: it may quote a value, so only known wordings pass.

    `takes`: the fields that there are; `values`: what a field takes, where that is a closed list.
    """
    at = _AT.search(message)
    text = message[: at.start()] if at else message
    where = path or (at.group(1) if at else None)
    field = where if where and _NAME.fullmatch(where) else None
    if found := _MISSING.match(text):
        name = f"{field}.{found.group(1)}" if field else found.group(1)
        return InvalidRequest(f"The field {name} is missing.", field=name, code="field_missing")
    if found := _UNKNOWN.match(text):
        # A key is the caller's text too: it is named only where it looks like a name.
        name = found.group(1) if _NAME.fullmatch(found.group(1)) else "?"
        name = f"{field}.{name}" if field else name
        return InvalidRequest(
            "The body has a field that this operation does not take.",
            field=name,
            code="field_unknown",
            remedy=f"Take it out; the fields are: {', '.join(takes)}." if takes and not field else None,
        )
    if text.startswith(("JSON is malformed", "Input data was truncated")):
        byte = _BYTE.search(text)
        where = f": see its byte {byte.group(1)}, counted from 0" if byte else ""
        return InvalidRequest(
            f"The body is not well-formed JSON{where}.", code="json_malformed",
            remedy="Have a library write it: double quotes around names and texts, no comma at an end, no comments.",
        )  # fmt: skip
    detail = _in_words(text) if _PLAIN.fullmatch(text) else "not an allowed value"
    subject = f"The field {field}" if field else "The body"
    allowed = values(field.partition("[")[0]) if field else ()
    remedy = f"Give one of: {', '.join(allowed)}." if allowed else _FORMS.get(text)
    if found := _PATTERN.fullmatch(text):
        detail, remedy = "it has another form", f"Its form is {found.group(1)}."
    return InvalidRequest(f"{subject} is not valid: {detail}.", field=field, code="field_invalid", remedy=remedy)


def key_repeated(name: str) -> InvalidRequest:
    """An object of the body has a key twice; named where it looks like a name."""
    field = name if _NAME.fullmatch(name) else None
    return InvalidRequest(
        "A key stands twice in an object of the body.", field=field, code="key_repeated", remedy="Give each key once."
    )


def _in_words(text: str) -> str:
    return _TYPE.sub(lambda one: " or ".join(_KINDS.get(kind, kind) for kind in one.group(1).split(" | ")), text)


_OWNED = frozenset(told for _, told in OWNERS.values())
_OWN_ROWS = "Check the identifier, and the client: it sees what was handed over by its own organisation alone."


def respond(error: GatewayError, scope: Scope) -> Response[Problem]:
    """A problem document for one of our own errors, met by the request of `scope`."""
    refused_calls.mark(scope, error)
    headers: dict[str, str] = {}
    if error.http_status == 401:
        headers["WWW-Authenticate"] = (
            'Bearer error="invalid_token"' if error.code == "invalid_token" else 'Bearer realm="gateway"'
        )
    elif error.code == "scope_missing":
        headers["WWW-Authenticate"] = 'Bearer error="insufficient_scope"'
    headers |= getattr(error, "headers", {})
    retry_after_s = getattr(error, "retry_after_s", None)
    if error.http_status == 503 or retry_after_s is not None:
        headers["Retry-After"] = str(max(1, round(retry_after_s or 5)))
    return _response(
        scope,
        error.http_status,
        error.code,
        error.title,
        error.detail,
        _OWN_ROWS if error.detail in _OWNED else error.remedy,
        field=getattr(error, "field", None),
        faults=getattr(error, "faults", ()),
        headers=headers,
    )


def _response(
    scope: Scope,
    status: int,
    code: str,
    title: str,
    detail: str,
    remedy: str,
    *,
    field: str | None = None,
    faults: tuple[RowFault, ...] = (),
    headers: dict[str, str] | None = None,
) -> Response[Problem]:
    problem = Problem(
        type=f"urn:prakerja-gateway:problem:{code}",
        title=title,
        status=status,
        detail=detail,
        code=code,
        remedy=remedy,
        request_id=request_id_of(scope),
        field=field,
        faults=faults,
    )
    return Response(problem, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def _gateway_error(request: Request[Any, Any, Any], error: GatewayError) -> Response[Problem]:
    return respond(error, request.scope)


def _http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """What the framework refuses. Somebody at a browser who mistyped an address is told in a page."""
    if isinstance(error, ValidationException):
        return respond(_of_parameters(error, lambda name: values_of(request, name)), request.scope)
    if error.status_code == 404 and "text/html" in request.headers.get("accept", ""):
        page = pages.render("missing.html", title="Halaman tidak ada")
        return Response(page, status_code=404, media_type="text/html", headers=pages.headers())
    if isinstance(error, InternalServerException) and error.detail == _GONE:
        # Whoever asked has hung up within the body: nobody reads the answer, and nothing failed here.
        return _response(request.scope, 400, *_BY_STATUS[400][:2], "The body has no end.", _BY_STATUS[400][2])
    code, title, remedy = _BY_STATUS.get(
        error.status_code, (GatewayError.code, GatewayError.title, GatewayError.remedy)
    )
    if error.status_code >= 500:
        _log.error(
            "request_failed",
            request_id=request_id_of(request.scope),
            error=type(error).__name__,
            frames=frames(error),
        )
    headers = dict(error.headers or {})
    if "GET" in (allowed := headers.get("allow", "").split(", ")):
        headers["allow"] = ", ".join(sorted({*allowed, "HEAD"}))
    return _response(request.scope, error.status_code, code, title, f"{title}.", remedy, headers=headers)


def _of_parameters(error: ValidationException, values: Values) -> GatewayError:
    first = error.extra[0] if isinstance(error.extra, list) and error.extra else {}
    key = first.get("key") if isinstance(first, dict) else None
    if key == "data":
        return InvalidRequest("The request has no body.", code="body_missing")
    message = str(first.get("message", "")) if isinstance(first, dict) else ""
    path = key or _parameter(error.detail)
    # `state_` of a handler is the parameter `state`: only there a name ends so.
    return invalid(message, path=path and path.removesuffix("_"), values=values)


def _parameter(detail: str) -> str | None:
    found = re.match(r"Missing required (?:query|header|path|cookie) parameter '([A-Za-z_-]{1,40})'", detail)
    return found.group(1) if found else None


def _named(error: Exception) -> str:
    """Its class, and of what the system refuses why (`OSError ENOSPC`: a disk is full): words may quote anything."""
    why = errno.errorcode.get(error.errno or 0, "") if isinstance(error, OSError) else ""
    return f"{type(error).__name__} {why}".rstrip()


def _unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    if isinstance(error, asyncpg.CharacterNotInRepertoireError):
        # PostgreSQL's texts hold every character but this one; it may stand in any parameter or field.
        return respond(InvalidRequest("A text holds the character NUL.", code="field_invalid"), request.scope)
    if isinstance(error, asyncpg.DataError | UnicodeEncodeError):
        # No value of its column's type can be so: a number beyond all ids, half of a surrogate pair.
        _log.warning("value_refused", method=request.method, route=request.scope.get("path_template"))
        return respond(
            InvalidRequest("A number or text is beyond what any can be.", code="field_invalid"), request.scope
        )
    _log.error(
        "request_failed",
        request_id=request_id_of(request.scope),
        error=_named(error),
        method=request.method,
        route=request.scope.get("path_template"),
        frames=frames(error),
    )
    if isinstance(error, OutOfTime):
        return respond(_OutOfTime(), request.scope)
    if isinstance(error, (*_STORE_AWAY, asyncpg.InvalidCachedStatementError)):
        code, title, remedy = _BY_STATUS[503]
        # Prepared before a migration, and not to be prepared anew in a transaction: it is undone, and the next one can.
        migrated = isinstance(error, asyncpg.InvalidCachedStatementError)
        said = "The store is being upgraded." if migrated else "The store cannot be reached."
        retry_after = {"Retry-After": "1" if migrated else "5"}
        return _response(request.scope, 503, code, title, said, remedy, headers=retry_after)
    return _response(request.scope, 500, GatewayError.code, GatewayError.title, GatewayError.title, GatewayError.remedy)


HANDLERS: ExceptionHandlersMap = {
    GatewayError: _gateway_error,
    HTTPException: _http_error,
    Exception: _unexpected,
}
"""For `Litestar(exception_handlers=...)`."""
