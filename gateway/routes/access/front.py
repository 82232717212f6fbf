"""`/` and `/docs`: where to go from here, and the API as a page; nothing is fetched from elsewhere."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from litestar import MediaType, Request, Response, Router, get
from litestar.di import NamedDependency

from gateway import pages
from gateway.api.openapi import describe
from gateway.api.reference import contents
from gateway.core import Core

_PAGE = "api_page"


@get("/")
async def show_front(core: NamedDependency[Core]) -> Response[str]:
    """Where to go from here."""
    settings = core.resources.settings
    return _html(pages.render("front.html", base=_base(core), console=settings.console_url))


@get("/docs")
async def show_api(core: NamedDependency[Core], request: Request[Any, Any, Any]) -> Response[str]:
    """Every operation, scope, code and schema."""
    page = request.app.state.get(_PAGE)
    if page is None:  # made once: the routes do not change
        page = pages.render("api.html", base=_base(core), **contents(describe(request.app)))
        request.app.state[_PAGE] = page
    return _html(page)


def _base(core: Core) -> str:
    """The path under which a proxy shows the gateway."""
    return urlsplit(core.resources.settings.public_url).path.rstrip("/")


def _html(page: str) -> Response[str]:
    return Response(page, media_type=MediaType.HTML, headers=pages.headers())


router = Router(path="/", route_handlers=[show_front, show_api], include_in_schema=False)
