"""Query parameters and bodies that an operation does not have are refused: a filter that is silently ignored lists
everybody. Each address and each number has one spelling.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any, get_args
from urllib.parse import unquote

from litestar import Litestar, Request
from litestar.openapi.spec import Parameter, Reference, Schema

from contracts.errors import InvalidRequest, NotFound
from gateway.api.examples import BODIES
from gateway.services.intake.programmes import is_slug
from gateway.services.intake.rows import is_key

_NAME = re.compile(r"[A-Za-z_][A-Za-z_-]{0,39}", re.ASCII)
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}", re.ASCII)
"""The framework would take 1e2, 100.0 and 0100 for 100 too."""
_ID = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)
_CURSORS = ("cursor", "after")
"""May be empty, as programs that read page by page send it with their first request."""
_FORMS: Mapping[str, tuple[Callable[[str], object], str]] = {
    "participant_id": (is_key, "Give one participant_id as it was handed over; for each other one ask again."),
    "programme": (is_slug, "Give one programme as GET /v1/programmes lists it."),
    "batch_id": (re.compile(r"b[0-9]{1,19}", re.ASCII).fullmatch, "Give one batch_id as GET /v1/batches lists it."),
    "plan_id": (re.compile(r"pl[0-9]{1,19}", re.ASCII).fullmatch, "Give one plan_id as GET /v1/plans lists it."),
    "number": (re.compile(r"[^\s,;]{1,128}").fullmatch, "Give one number of a payout; for each other one ask again."),
}
"""What nothing of ours can be called (two ids with a comma) finds nothing, and an empty list is read as if there were
nothing.
"""
_READS = ("GET", "HEAD", "OPTIONS")
_UNREADABLE = "\N{REPLACEMENT CHARACTER}"
"""What stands for bytes that are not UTF-8."""
_SPELLED = re.compile(rb"%(?:2[D-F]|3[0-9]|4[1-9A-F]|5[0-9AF]|6[1-9A-F]|7[0-9A])|//", re.IGNORECASE)
"""Letters, digits, `-._` and `/` written as numbers, as no library writes them, and an empty part."""
_PREFIX = "/v1/"
"""Where participants' browsers and partners come in, others put their own parameters into the address."""


async def refuse_unknown(request: Request[Any, Any, Any]) -> None:
    """Raise `InvalidRequest` for the first parameter that the operation does not have, or whose number is in another
    form than digits, and for a body where it takes none; it never quotes a value. And `NotFound` for an address in
    another spelling than its one: what stands in front may look at it.
    """
    path = str(request.scope["path"])
    numbers = [str(value) for value in request.path_params.values() if isinstance(value, int)]
    if _SPELLED.search(request.scope.get("raw_path", b"")) or not set(numbers) <= set(path.split("/")):
        raise NotFound("There is nothing at this address.")
    _refuse_other_numbers(request)
    if path.startswith(_PREFIX):
        _refuse_parameters(request)
        await _refuse_body(request)


def _refuse_parameters(request: Request[Any, Any, Any]) -> None:
    names = [name for name, _ in request.query_params.multi_items()]
    if not names:
        return
    if _UNREADABLE in unquote(request.scope["query_string"].decode("latin-1")):
        raise InvalidRequest(
            "The query is text in another charset than UTF-8.", code="charset_unsupported",
            remedy="Encode its values as UTF-8, then percent-encode them.",
        )  # fmt: skip
    known = _known(request.app, str(request.scope.get("path_template")), request.method.lower())
    for name in names:
        if name not in known:
            shown = name if _NAME.fullmatch(name) else None
            raise InvalidRequest(
                f"This operation has no query parameter {shown or 'of that name'}.",
                field=shown,
                code="parameter_unknown",
                remedy=f"It has {', '.join(sorted(known))}." if known else "It has none: leave it out.",
            )
        if name == "partner":
            _refuse_unknown_partner(request)
        if "" in request.query_params.getall(name) and name not in _CURSORS and not values_of(request, name):
            raise InvalidRequest(
                f"The query parameter {name} has no value.", field=name, code="field_invalid",
                remedy="Give it one, or leave it out: an empty one would find nothing.",
            )  # fmt: skip
        form = _FORMS.get(name)
        if form is not None and not all(map(form[0], request.query_params.getall(name))):
            raise InvalidRequest(
                f"The query parameter {name} has another form.", field=name, code="field_invalid", remedy=form[1]
            )
        if names.count(name) > 1 and not known[name]:
            raise InvalidRequest(
                f"The query parameter {name} is there twice.", field=name, code="parameter_repeated",
                remedy="Give it once.",
            )  # fmt: skip


async def _refuse_body(request: Request[Any, Any, Any]) -> None:
    """Who sends a reason, or for whom alone it is to be, must not think that it was heard."""
    if request.method in _READS or request.route_handler.handler_name in BODIES:
        return
    if b"".join((await request.body()).split()) not in (b"", b"{}", b"null"):
        raise InvalidRequest(
            "This operation takes no body.", code="field_unknown",
            remedy="Leave it out: nothing in it would be looked at.",
        )  # fmt: skip


def _refuse_other_numbers(request: Request[Any, Any, Any]) -> None:
    """Wherever a handler takes a whole number from the query."""
    kinds = request.route_handler.parsed_fn_signature.parameters
    for name, text in request.query_params.multi_items():
        kind = kinds[name].annotation if name in kinds else None
        if int in (kind, *get_args(kind)) and _WHOLE.fullmatch(text) is None:
            raise InvalidRequest(
                f"The query parameter {name} is not a whole number in digits.", field=name, code="field_invalid",
                remedy="Write digits alone, 18 at most, without a sign, a point, an exponent or leading zeros.",
            )  # fmt: skip


def _refuse_unknown_partner(request: Request[Any, Any, Any]) -> None:
    """A list of a partner that is none would be empty, and read as good news."""
    partners = sorted(request.app.state.core.resources.desks)
    if not set(request.query_params.getall("partner")) <= set(partners):
        raise InvalidRequest(
            "There is no such partner.", field="partner", code="field_invalid",
            remedy=f"Give one of: {', '.join(partners)}.",
        )  # fmt: skip


@functools.lru_cache(maxsize=1_024)
def _known(app: Litestar, path: str, method: str) -> dict[str, bool]:
    """Names of an operation's query parameters, as the API's description has them, and whether each is a list."""
    return {
        each.name: each.schema is not None and "'array'" in str(each.schema.to_schema())
        for each in _parameters(app, path, method)
    }


def values_of(request: Request[Any, Any, Any], name: str) -> tuple[str, ...]:
    """What one of the request's query parameters takes, where that is a closed list; else nothing."""
    app, path = request.app, str(request.scope.get("path_template"))
    for each in _parameters(app, path, request.method.lower()):
        if each.name == name:
            return tuple(_listed(app, each.schema))
    return ()


def _parameters(app: Litestar, path: str, method: str) -> list[Parameter]:
    item = (app.openapi_schema.paths or {}).get(path)
    operation = getattr(item, method, None)
    parameters = [] if operation is None else operation.parameters or []
    return [each for each in parameters if isinstance(each, Parameter) and each.param_in == "query"]


def _listed(app: Litestar, schema: Schema | Reference | None) -> list[str]:
    if isinstance(schema, Reference):
        schema = app.openapi_schema.components.schemas.get(schema.ref.rpartition("/")[2])
    if schema is None:
        return []
    below = [*(schema.one_of or ()), *(schema.any_of or ())]
    if isinstance(schema.items, Schema | Reference):
        below.append(schema.items)
    return [*(schema.enum or ()), *(value for each in below for value in _listed(app, each))]


def number(text: str | None, field: str) -> int | None:
    """An id that is a number, as a filter names it; raises `InvalidRequest`."""
    return None if text is None else the_number(text, field)


def the_number(text: str, field: str) -> int:
    """An id that is a number, as a body names it, in its one spelling: what is looked at and what is acted on must be
    one row, and a schema's `$` lets a line end pass. Raises `InvalidRequest`.
    """
    if _ID.fullmatch(text) is None:
        raise InvalidRequest(
            f"{field} is not an id of ours.",
            field=field,
            code="field_invalid",
            remedy="Ids are digits, 18 at most, without leading zeros.",
        )
    return int(text)
