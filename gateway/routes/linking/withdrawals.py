"""The page on which a participant withdraws their consent; core asks for its address (`routes/linking/links.py`)."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, PathParameter

from contracts.errors import GatewayError
from contracts.linking import LinkState
from gateway import pages
from gateway.core import Core
from gateway.pages import Words
from gateway.routes.linking.browsers import (
    FORM_BYTES,
    Browser,
    binding,
    bounded,
    cookies,
    form_address,
    html,
    language,
    prefix,
    refused,
    render,
    sent_form,
    standing,
    to,
)
from gateway.services.linking.bound import is_of
from gateway.services.linking.view import return_address
from gateway.storage.linking.links import LinkRow

_TITLE: Words = ("Cabut izin", "Withdraw your consent")
Until = Annotated[int, PathParameter(ge=0, le=2**53)]


@get("/connect/{link_id:str}/withdrawal/{until:int}/{token:str}")
async def open_withdrawal(
    core: NamedDependency[Core], request: Browser, link_id: FromPath[str], until: Until, token: FromPath[str]
) -> Response[Any]:
    """What withdrawing means, and a button. Loading it ends nothing, as chat apps do it too."""
    link = await bounded(request, core.linking.withdrawal(link_id, until, token))
    if link.state is not LinkState.ACTIVE:
        return _after(core, request, link, mine=is_of(link, cookies(core, request)))
    page = render(
        request,
        "withdraw.html",
        title=_TITLE[pages.LANGUAGES.index(language(request))],
        partner=core.resources.desks[link.partner].manifest.name,
        account=core.linking.masked_account(link),
        action=f"{prefix(core)}/connect/{link.id}/withdrawal/{until}/{token}",
        csrf=core.linking.withdrawal_csrf(link, until),
        back=return_address(link),
    )
    return html(page, pages.headers(link.return_url))


@post("/connect/{link_id:str}/withdrawal/{until:int}/{token:str}", request_max_body_size=FORM_BYTES)
async def withdraw(
    core: NamedDependency[Core], request: Browser, link_id: FromPath[str], until: Until, token: FromPath[str]
) -> Response[Any]:
    """The button."""
    csrf, _, _ = await sent_form(request)
    link, cookie = await bounded(request, core.linking.withdraw(link_id, until, token, csrf))
    response = _after(core, request, link, mine=cookie is not None or is_of(link, cookies(core, request)))
    if cookie is not None:
        response.set_cookie(binding(core, link, cookie))
    return response


def _after(core: Core, request: Browser, link: LinkRow, *, mine: bool) -> Response[Any]:
    """Where it stands; the browser that withdrew (`mine`) is asked for the code that the partner wants."""
    if mine and link.wants and link.state is LinkState.UNLINKING:
        return to(form_address(core, link), link)
    return standing(request, link)


router = Router(
    path="/",
    route_handlers=[open_withdrawal, withdraw],
    exception_handlers={GatewayError: refused},
    include_in_schema=False,
)
