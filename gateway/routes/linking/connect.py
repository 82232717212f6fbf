"""What participants' browsers open: the linking page, the gateway's own form, and the way back from the partner."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, parse_qsl

import msgspec
from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from adapters import answers
from contracts.errors import GatewayError, InvalidRequest, NotFound
from contracts.linking import LinkState
from gateway import pages
from gateway.clock import JAKARTA
from gateway.core import Core
from gateway.pages import Words
from gateway.routes.linking.browsers import (
    FORM_BYTES,
    FORM_FIELDS,
    RELOAD_S,
    Browser,
    binding,
    bounded,
    cookies,
    form_address,
    html,
    language,
    language_cookie,
    prefix,
    refused,
    render,
    same_site,
    sent_form,
    standing,
    to,
)
from gateway.services.linking.bound import cookie_name
from gateway.services.linking.links import not_begun
from gateway.services.linking.steps import Shown
from gateway.services.linking.view import return_address
from gateway.storage.linking.links import LinkRow

_QUERY_BYTES, _QUERY_FIELDS = 8_192, 64
_OWN_STATE = re.compile(rb"((?:^|&)st=[A-Za-z0-9_-]{32})\?")
"""Some partners append their query with a question mark though the address has one already (decision X1)."""
_OWN_PAGE = r"/connect/[A-Za-z0-9_/-]{1,120}"
_SILENT_AT_THE_BUTTON: Words = (
    "Mitra pembayaran sedang tidak dapat dihubungi. Muat ulang, atau tekan lagi tombol ini.",
    "The payment partner cannot be reached just now. Reload, or press this button again.",
)
_SILENT_AT_THE_FORM: Words = (
    "Mitra pembayaran sedang tidak dapat dihubungi. Coba lagi sebentar lagi.",
    "The payment partner cannot be reached just now. Try again in a moment.",
)
_CHECK_INPUT: Words = ("periksa lagi isian Anda.", "check what you typed.")
_NOT_OF_THIS_PAGE: Words = ("Isian tidak sesuai dengan halaman ini.", "This is not what the page asks for.")
_REFUSED_INPUT: Words = (
    "Isian ditolak oleh mitra. Periksa dan coba lagi.",
    "The partner refused what you typed. Check it and try again.",
)
_TITLE: Words = ("Sambungkan akun", "Link your account at")
_ENDING: Words = ("Lepaskan akun", "Unlink your account at")


@get("/connect/{token:str}")
async def open_page(core: NamedDependency[Core], request: Browser, token: FromPath[str]) -> Response[Any]:
    """The address of a challenge: what is asked, and a button. Loading it spends nothing, as chat apps do it too."""
    link, account = await bounded(request, core.linking.look(token, cookies(core, request)))
    if link.state is LinkState.CHALLENGED or not_begun(link):
        return _start(request, link, token, account)
    return _show(request, Shown(link=link))


@post("/connect/{token:str}", request_max_body_size=FORM_BYTES)
async def begin(core: NamedDependency[Core], request: Browser, token: FromPath[str]) -> Response[Any]:
    """The button: this browser goes on."""
    csrf, _, _ = await sent_form(request)
    shown = await bounded(request, core.linking.begin(token, cookies(core, request), csrf, language(request)))
    if shown.unavailable:
        fresh = {} if shown.cookie is None else {cookie_name(shown.link): shown.cookie.reveal()}
        _, account = await core.linking.look(token, cookies(core, request) | fresh)
        response = _start(request, shown.link, token, account, problem=_SILENT_AT_THE_BUTTON)
    elif shown.redirect is None and shown.link.state is LinkState.OPENED and shown.link.wants:
        response = to(form_address(core, shown.link), shown.link)
    else:
        response = _show(request, shown)
    if shown.cookie is not None:
        response.set_cookie(binding(core, shown.link, shown.cookie))
    return response


@post("/connect/again", request_max_body_size=FORM_BYTES)
async def begin_again(core: NamedDependency[Core], request: Browser) -> Response[Any]:
    """In another browser than the one that began: a fresh challenge, at once."""
    same_site(request)
    fields = parse_qs((await request.body()).decode("ascii", "replace"), max_num_fields=FORM_FIELDS)
    path = await bounded(request, core.linking.again(fields.get("st", [""])[-1]))
    return Response(b"", status_code=303, headers={**pages.headers(), "Location": prefix(core) + path})


@get("/connect/language/{chosen:str}")
async def choose_language(
    core: NamedDependency[Core], request: Browser, chosen: FromPath[str], page: FromQuery[str] = ""
) -> Response[Any]:
    """Indonesian or English from now on in this browser, and back to the `page` that asked: some browsers do not
    say where they come from.
    """
    if chosen not in pages.LANGUAGES:
        raise NotFound("There is no such language here.")
    root = prefix(core)
    back = page if re.fullmatch(re.escape(root) + _OWN_PAGE, page, re.ASCII) else f"{root}/"
    response: Response[Any] = Response(b"", status_code=303, headers={**pages.headers(), "Location": back})
    response.set_cookie(language_cookie(core, chosen))
    return response


@get("/connect/{link_id:str}/inputs")
async def show_form(core: NamedDependency[Core], request: Browser, link_id: FromPath[str]) -> Response[Any]:
    """The gateway's form, or where the link stands by now."""
    return _show(request, await bounded(request, core.linking.page(link_id, cookies(core, request))))


@post("/connect/{link_id:str}/inputs", request_max_body_size=FORM_BYTES)
async def submit_form(core: NamedDependency[Core], request: Browser, link_id: FromPath[str]) -> Response[Any]:
    """The form was sent in. Its fields are passed on now and kept nowhere."""
    csrf, action, typed = await sent_form(request)
    mine = cookies(core, request)
    if action == "anew":
        shown = await bounded(request, core.linking.anew(link_id, mine, csrf))
    else:
        shown = await bounded(request, core.linking.submit(link_id, mine, csrf, None if action == "deny" else typed))
    if shown.unavailable or shown.rejected_input is not None:
        return _show(request, shown)
    if shown.link.state in (LinkState.OPENED, LinkState.EXCHANGING, LinkState.UNLINKING):
        # Another address than the form's own, so that a reload sends nothing again.
        return to(form_address(core, shown.link), shown.link)
    return to(return_address(shown.link), shown.link)


@get("/callbacks/{partner:str}/link")
async def come_back(core: NamedDependency[Core], request: Browser, partner: FromPath[str]) -> Response[Any]:
    """The partner sent the browser back."""
    if len(request.scope["query_string"]) > _QUERY_BYTES:
        raise InvalidRequest("The query is too long.")
    query = _OWN_STATE.sub(rb"\1&", request.scope["query_string"]).decode("latin-1")
    brought = answers.brought(parse_qsl(query, keep_blank_values=True, max_num_fields=_QUERY_FIELDS))
    shown = await bounded(request, core.linking.callback(partner, brought, cookies(core, request)))
    if shown.link.state is LinkState.OPENED:
        # The first arrival could not ask the partner: nothing was done, the same address may be loaded again.
        shown = msgspec.structs.replace(shown, unavailable=True)
    if shown.link.state in (LinkState.OPENED, LinkState.EXCHANGING):
        return _show(request, shown)
    return to(return_address(shown.link), shown.link)


def _show(request: Browser, shown: Shown) -> Response[Any]:
    link = shown.link
    if shown.redirect is not None:
        return to(shown.redirect, link)
    if link.wants and link.state in (LinkState.OPENED, LinkState.UNLINKING):
        return _form(request, shown)
    return standing(request, link, unavailable=shown.unavailable)


def _start(request: Browser, link: LinkRow, token: str, account: str, *, problem: Words = ("", "")) -> Response[Any]:
    core: Core = request.app.state.core
    manifest, at = core.resources.desks[link.partner].manifest, pages.LANGUAGES.index(language(request))
    page = render(
        request,
        "start.html",
        title=f"{_TITLE[at]} {manifest.name}",
        partner=manifest.name,
        account=account,
        inputs=bool(manifest.first_inputs),
        problem=problem[at],
        action=f"{prefix(core)}/connect/{token}",
        csrf=core.linking.start_token(link),
        back=return_address(link),
    )
    partner = core.resources.settings.hosts.get(link.partner, {}).values()
    headers = pages.headers(link.return_url, "https:", *(url for url in partner if url.startswith("http:")))
    if problem[at]:
        headers["Retry-After"] = str(RELOAD_S)
    return html(page, headers, 503 if problem[at] else 200)


def _form(request: Browser, shown: Shown) -> Response[Any]:
    core: Core = request.app.state.core
    link, at = shown.link, pages.LANGUAGES.index(language(request))
    manifest = core.resources.desks[link.partner].manifest
    labels = {name: (one.label_indonesian, one.label_english)[at] for name, one in manifest.inputs.items()}
    status, problem, wrong = 200, "", ""
    if shown.unavailable:
        status, problem = 503, _SILENT_AT_THE_FORM[at]
    elif shown.rejected_input is not None and shown.rejected_input in manifest.inputs:
        status, wrong = 422, shown.rejected_input
        problem = f"{labels[wrong]}: {_CHECK_INPUT[at]}"
    elif shown.rejected_input is not None:
        status, problem = 422, _NOT_OF_THIS_PAGE[at]
    elif link.last_input_wrong:
        wrong, problem = link.wants[0], _REFUSED_INPUT[at]
    fields = [
        {
            "name": name,
            "label": labels[name],
            "numeric": manifest.inputs[name].numeric,
            "autocomplete": manifest.inputs[name].autocomplete,
        }
        for name in link.wants
    ]
    ending = link.state is LinkState.UNLINKING
    page = render(
        request,
        "form.html",
        title=f"{(_ENDING if ending else _TITLE)[at]} {manifest.name}",
        partner=manifest.name,
        account=core.linking.masked_account(link),
        ending=ending,
        problem=problem,
        wrong=wrong,
        names=link.wants,
        back=return_address(link),
        action=form_address(core, link),
        csrf=core.linking.csrf_token(link),
        fields=fields,
        **_another_code(core, link),
    )
    return html(page, pages.headers(link.return_url), status)


def _another_code(core: Core, link: LinkRow) -> dict[str, Any]:
    """From when on a code that did not come may be asked for again, and in how many seconds that is, rounded up to a
    step of the pages' countdown.
    """
    at = core.linking.anew_from(link)
    if at is None:
        return {"anew": None, "countdown_s": 0}
    now = core.resources.clock.now()
    left_s = max((at - now).total_seconds(), 0.0)
    countdown_s = math.ceil(left_s / pages.COUNTDOWN_STEP_S) * pages.COUNTDOWN_STEP_S
    shown_at = (now + timedelta(seconds=countdown_s)).astimezone(JAKARTA)
    return {"anew": f"{shown_at:%H.%M.%S}", "countdown_s": countdown_s}


router = Router(
    path="/",
    route_handlers=[open_page, begin, begin_again, choose_language, show_form, submit_form, come_back],
    exception_handlers={GatewayError: refused},
    include_in_schema=False,
)
