"""Signing in at `/ops` and out again, and what every page there shares: who is signed in, and how a page is made."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from urllib.parse import SplitResult, parse_qs, urlencode, urlsplit

from litestar import MediaType, Request, Response, get, post
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, QueryParameter

from contracts.errors import Forbidden, GatewayError, InvalidRequest, NotFound, Unauthenticated
from gateway import ops
from gateway.api import guards, refused_calls
from gateway.core import Core
from gateway.security.limits import SIGN_INS, SIGN_INS_BY_NAME, SIGN_INS_REFUSED
from gateway.services.ops.operators import LIFE_S, Operator, RoleMissing

Browser = Request[Any, Operator, Any]
Connection = ASGIConnection[Any, Any, Any, Any]
FORM_BYTES = 8_192
_FIELDS = 20
_SESSION, _LANGUAGE, _KNOWN = "ops", "ops_language", "ops_known"
_KNOWN_S = 180 * 86_400
_HOME = "/ops"
_SIGN_IN = re.compile(r"/ops/sign-in(?:\?page=[A-Za-z0-9_%.+-]{0,400})?")
_PAGE = re.compile(
    r"/ops/(?!sign-|assets/|language/|live|acts|search)[A-Za-z0-9_/.:-]{1,200}(?:\?[A-Za-z0-9_=&%.+-]{0,200})?"
)
"""Where one may be led after signing in: what is shown, not what is sent in."""


class SignInNeeded(Exception):
    """Nobody is signed in, or no longer."""


def signed_in(*roles: str) -> Callable[[Connection, BaseRouteHandler], Awaitable[None]]:
    """A guard: somebody with one of `roles` (any, when none is named) is signed in; sets `request.auth`."""

    async def guard(connection: Connection, _: BaseRouteHandler) -> None:
        core: Core = connection.app.state.core
        token = connection.cookies.get(session_cookie(core))
        living = "hx-request" in connection.headers
        operator = await core.operators.recognise(token, by_itself=living) if token else None
        if operator is None:
            raise SignInNeeded
        connection.scope["auth"] = operator
        if roles and operator.roles.isdisjoint(roles):
            raise RoleMissing(*roles)

    return guard


def session_cookie(core: Core) -> str:
    """The name of a session's cookie."""
    return _host_cookie(core, _SESSION)


def _host_cookie(core: Core, name: str) -> str:
    """Where the address is https, the prefix keeps other hosts from setting it."""
    return f"__Host-{name}" if core.resources.settings.public_url.startswith("https:") else name


def language(request: Request[Any, Any, Any]) -> str:
    """The page's language: Indonesian unless another was chosen."""
    chosen = request.cookies.get(_LANGUAGE, "")
    return chosen if chosen in ops.LANGUAGES else ops.LANGUAGES[0]


def page(request: Browser, template: str, *, here: str = "", status: int = 200, **values: object) -> Response[str]:
    """One of the pages, for whoever is signed in."""
    me = request.scope.get("auth")
    return Response(
        ops.render(template, language(request), me=me, here=here, **values),
        status_code=status,
        media_type=MediaType.HTML,
        headers=ops.HEADERS,
    )


def to(path: str) -> Response[None]:
    """Go on with a page that may be loaded again."""
    return Response(None, status_code=303, headers={"Location": path, **ops.HEADERS})


async def form(request: Request[Any, Any, Any], *, signed: bool = True) -> dict[str, str]:
    """What was filled in; raises `Forbidden` unless the form is one of this session's own pages'."""
    core: Core = request.app.state.core
    if not guards.from_own_page(request):
        home = core.resources.settings.public_url
        raise Forbidden(
            "The form comes from another site.", code="foreign_form", remedy=f"Open the pages at {home}/ops."
        )
    try:
        fields = parse_qs((await request.body()).decode(), max_num_fields=_FIELDS, keep_blank_values=True)
    except ValueError:
        raise InvalidRequest("The form cannot be read.") from None
    if any(len(values) > 1 for values in fields.values()):
        raise InvalidRequest("A field of the form is there twice.")
    single = {name: values[0].strip() for name, values in fields.items()}
    if signed and not secrets.compare_digest(single.pop("csrf", "").encode(), request.auth.csrf.encode()):
        raise Forbidden(
            "The form belongs to another session.", code="foreign_form", remedy="Load the page again, and send that."
        )
    return single


@get("/sign-in")
async def show_sign_in(request: Browser, page_: Annotated[str, QueryParameter(name="page")] = "") -> Response[str]:
    """The form; it leads to the page that was asked for."""
    return page(request, "login.html", refused=False, wanted=own(page_))


@post("/sign-in", request_max_body_size=FORM_BYTES)
async def sign_in(core: NamedDependency[Core], request: Browser) -> Response[Any]:
    """Name, password and code. A browser in which the person has signed in before has an allowance of its own: what
    others guess, from wherever, keeps nobody out of it.
    """
    typed = await form(request, signed=False)
    name = typed.get("name", "")
    whose = f"name {name.strip().lower()}"
    known = core.operators.is_known(name, request.cookies.get(_host_cookie(core, _KNOWN), ""))
    async with core.operators.at_once:
        if known:
            await guards.take(request, SIGN_INS, f"known {whose}")
        else:
            await guards.look(request, SIGN_INS_REFUSED)
            await guards.take(request, SIGN_INS, f"{guards.address(request)} {whose}")
            await guards.take(request, SIGN_INS_BY_NAME, whose)  # before the try: all nodes would find one left
        try:
            token = await core.operators.sign_in(
                name, typed.get("password", ""), typed.get("code", ""), alone="alone" in typed
            )
        except Unauthenticated:
            if not known:
                await guards.take(request, SIGN_INS_REFUSED)
            return page(request, "login.html", refused=True, wanted=own(typed.get("page", "")), status=403)
    if before := request.cookies.get(session_cookie(core)):
        await core.operators.sign_out(before)  # nothing reaches it any more, and signing out would leave it open
    response: Response[Any] = to(own(typed.get("page", "")))
    response.set_cookie(_cookie(core, session_cookie(core), token, max_age=int(LIFE_S)))
    response.set_cookie(_cookie(core, _host_cookie(core, _KNOWN), core.operators.known(name), max_age=_KNOWN_S))
    return response


@post("/sign-out", guards=[signed_in()], request_max_body_size=FORM_BYTES)
async def sign_out(core: NamedDependency[Core], request: Browser) -> Response[Any]:
    """The session ends here and in the store."""
    await form(request)
    await core.operators.sign_out(request.cookies[session_cookie(core)])
    response: Response[Any] = to("/ops/sign-in")
    response.headers["Clear-Site-Data"] = '"cache"'
    response.set_cookie(_cookie(core, session_cookie(core), "", max_age=0))
    return response


@get("/password", guards=[signed_in()])
async def show_password(request: Browser) -> Response[str]:
    """The form for another password."""
    return page(request, "password.html", problem=None)


@post("/password", guards=[signed_in()], request_max_body_size=FORM_BYTES)
async def change_password(core: NamedDependency[Core], request: Browser) -> Response[Any]:
    """Another password for who is signed in, and knows the present one: theirs ends everywhere else."""
    typed = await form(request)
    await guards.take(request, SIGN_INS, f"changes {request.auth.client_id}")
    present, code, new = (typed.get(name, "") for name in ("present", "code", "new"))
    if new != typed.get("again"):
        return page(request, "password.html", problem="differ", status=422)
    try:
        token = await core.operators.change_password(request.auth, present, code, new)
    except InvalidRequest:
        return page(request, "password.html", problem="weak", status=422)
    except Unauthenticated:
        return page(request, "password.html", problem="refused", status=403)
    response: Response[Any] = to(_HOME)
    response.set_cookie(_cookie(core, session_cookie(core), token, max_age=int(LIFE_S)))
    return response


@get("/language/{chosen:str}")
async def choose_language(core: NamedDependency[Core], request: Browser, chosen: FromPath[str]) -> Response[Any]:
    """Indonesian or English, from now on in this browser."""
    if chosen not in ops.LANGUAGES:
        raise NotFound("There is no such language here.")
    back = _parts(request.headers.get("referer", ""))
    response: Response[Any] = to(own(f"{back.path}?{back.query}" if back.query else back.path, sign_in=True))
    response.set_cookie(_cookie(core, _LANGUAGE, chosen, max_age=365 * 86_400))
    return response


@get("/assets/{name:str}")
async def read_asset(name: FromPath[str]) -> Response[bytes]:
    """Style and script."""
    if name not in ops.ASSETS:
        raise NotFound("There is no such file.")
    return Response(
        ops.asset(name),
        media_type=ops.ASSETS[name],
        headers={"Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff"},
    )


def _cookie(core: Core, name: str, value: str, *, max_age: int) -> Cookie:
    secure = core.resources.settings.public_url.startswith("https:")
    return Cookie(key=name, value=value, max_age=max_age, path="/", httponly=True, samesite="strict", secure=secure)


def to_sign_in(request: Request[Any, Any, Any], _: SignInNeeded) -> Response[Any]:
    """A page leads to the form, and that back to the page; a living part makes the whole page go there."""
    living = request.headers.get("hx-request")
    asked = request.headers.get("hx-current-url" if living else "referer", "")
    if not living and request.method in ("GET", "HEAD"):
        asked = b"?".join((request.scope["raw_path"], request.scope["query_string"])).decode("ascii", "replace")
    parts = _parts(asked)
    wanted = own(f"{parts.path}?{parts.query}" if parts.query else parts.path)
    address = "/ops/sign-in" if wanted == _HOME else f"/ops/sign-in?{urlencode({'page': wanted})}"
    if living:
        return Response(None, status_code=204, headers={"HX-Redirect": address, **ops.HEADERS})
    return to(address)


def _parts(told: str) -> SplitResult:
    """An address that a browser tells; of one that is none, nothing."""
    try:
        return urlsplit(told)
    except ValueError:
        return urlsplit("")


def own(asked: str, *, sign_in: bool = False) -> str:
    """A page here that somebody who has signed in, or has sent a form, is led to (the form to sign in itself where
    `sign_in`); the overview in the place of anything else.
    """
    if sign_in and _SIGN_IN.fullmatch(asked):
        return asked
    return asked if _PAGE.fullmatch(asked) and "//" not in asked and "/." not in asked else _HOME


def told(request: Request[Any, Any, Any], error: GatewayError) -> Response[str]:
    """A problem as a page."""
    refused_calls.mark(request.scope, error)
    return page(
        request, "message.html", code=error.http_status, text=error.detail, remedy=error.remedy,
        status=error.http_status,
    )  # fmt: skip


def told_plainly(request: Request[Any, Any, Any], error: HTTPException) -> Response[str]:
    """What the framework refuses (a number that is none, a body that is too large)."""
    return page(request, "message.html", code=error.status_code, text="", remedy="", status=error.status_code)
