"""What participants' browsers open: the linking page, the gateway's own form, and the way back from the partner."""

from __future__ import annotations

import re
from collections.abc import Coroutine
from typing import Any, TypeVar
from urllib.parse import parse_qs, parse_qsl, urlsplit

import msgspec
from litestar import MediaType, Request, Response, Router, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import FromPath

from contracts.errors import GatewayError, InvalidRequest, LinkStateInvalid, PartnerError
from contracts.incentive import BLOCKERS, BlockerCode
from contracts.linking import LinkState
from contracts.secret import Secret
from gateway import pages
from gateway.api import guards
from gateway.api.problems import respond
from gateway.core import Core
from gateway.security.limits import PAGES, PAGES_REFUSED, TooManyRequests
from gateway.services.linking.links import OtherBrowser, cookie_name, not_begun
from gateway.services.linking.steps import Shown
from gateway.services.linking.view import return_address
from gateway.storage.linking.links import LinkRow

Browser = Request[Any, Any, Any]
T = TypeVar("T")

_QUERY_BYTES, _QUERY_FIELDS = 8_192, 64
_OWN_STATE = re.compile(rb"((?:^|&)st=[A-Za-z0-9_-]{32})\?")
"""Some partners append their query with a question mark though the address has one already (decision X1)."""
_FORM_BYTES = 4_096
_FORM_FIELDS = 10
_COOKIE_BEYOND_LIFE_S = 3_600
"""So that a late or repeated way back is still recognised."""
_RELOAD_S = 2

_TEXTS = {
    LinkState.CHALLENGED: ("Penyambungan akun", "Buka lagi halaman penyambungan dari Prakerja."),
    LinkState.OPENED: (
        "Penyambungan akun sedang berjalan",
        "Lanjutkan di halaman mitra. Jika halaman itu sudah tertutup, mulai lagi dari Prakerja.",
    ),
    LinkState.EXCHANGING: ("Sebentar", "Kami sedang menyelesaikan penyambungan akun Anda."),
    LinkState.WAITING: (
        "Akun masih tercatat tersambung di mitra",
        "Kami akan meminta Anda menyambungkan lagi setelah sambungan itu dilepas.",
    ),
    LinkState.ACTIVE: ("Akun tersambung", "Akun Anda sudah tersambung. Terima kasih."),
    LinkState.UNLINKING: ("Akun sedang dilepas", "Sambungan akun Anda sedang dilepas."),
    LinkState.FAILED: ("Akun tidak tersambung", "Mulai lagi dari Prakerja."),
    LinkState.REVOKED: ("Sambungan dicabut", "Mulai lagi dari Prakerja."),
    LinkState.UNLINKED: ("Sambungan dilepas", "Sambungan akun Anda sudah dilepas."),
}
assert set(_TEXTS) == set(LinkState), "every state has its page"
_PARTNER_SILENT = "Mitra pembayaran sedang tidak dapat dihubungi. Muat ulang halaman ini sebentar lagi."


_PARTNER_SILENT_AT_THE_BUTTON = "Mitra pembayaran sedang tidak dapat dihubungi. Muat ulang, atau tekan lagi tombol ini."
_OTHER_BROWSER = (
    "Anda kembali lewat browser (peramban) lain daripada tempat Anda mulai, sehingga sambungan ini tidak dapat"
    " diselesaikan di sini. Kembalilah ke browser tadi, atau mulai lagi di browser ini."
)
_OPENED_ELSEWHERE = (
    "Tautan ini sudah dibuka di browser (peramban) lain. Lanjutkan di browser tadi, atau mulai lagi dari Prakerja."
)
_HOST = "__Host-"


@get("/connect/{token:str}")
async def open_page(core: NamedDependency[Core], request: Browser, token: FromPath[str]) -> Response[Any]:
    """The address of a challenge: what is asked, and a button. Loading it spends nothing, as chat apps do it too."""
    link, account = await _bounded(request, core.linking.look(token, _cookies(core, request)))
    if link.state is LinkState.CHALLENGED or not_begun(link):
        return _start(core, link, token, account)
    return _show(core, Shown(link=link))


@post("/connect/{token:str}", request_max_body_size=_FORM_BYTES)
async def begin(core: NamedDependency[Core], request: Browser, token: FromPath[str]) -> Response[Any]:
    """The button: this browser goes on."""
    _same_site(request)
    csrf, _ = _typed(await request.body())
    shown = await _bounded(request, core.linking.begin(token, _cookies(core, request), csrf))
    if shown.unavailable:
        _, account = await core.linking.look(token, _with_cookie(core, request, shown))
        response = _start(core, shown.link, token, account, problem=_PARTNER_SILENT_AT_THE_BUTTON)
    elif shown.redirect is None and shown.link.state is LinkState.OPENED and shown.link.wants:
        response = _to(_form_address(core, shown.link), shown.link)
    else:
        response = _show(core, shown)
    if shown.cookie is not None:
        response.set_cookie(_cookie(core, shown.link, shown.cookie))
    return response


@post("/connect/again", request_max_body_size=_FORM_BYTES)
async def begin_again(core: NamedDependency[Core], request: Browser) -> Response[Any]:
    """In another browser than the one that began: a fresh challenge, at once."""
    _same_site(request)
    fields = parse_qs((await request.body()).decode("ascii", "replace"), max_num_fields=_FORM_FIELDS)
    path = await _bounded(request, core.linking.again(fields.get("st", [""])[-1]))
    return Response(b"", status_code=303, headers={**pages.headers(), "Location": _prefix(core) + path})


@get("/connect/{link_id:str}/inputs")
async def show_form(core: NamedDependency[Core], request: Browser, link_id: FromPath[str]) -> Response[Any]:
    """The gateway's form, or where the link stands by now."""
    return _show(core, await _bounded(request, core.linking.page(link_id, _cookies(core, request))))


@post("/connect/{link_id:str}/inputs", request_max_body_size=_FORM_BYTES)
async def submit_form(core: NamedDependency[Core], request: Browser, link_id: FromPath[str]) -> Response[Any]:
    """The form was sent in. Its fields are passed on now and kept nowhere."""
    _same_site(request)
    csrf, typed = _typed(await request.body())
    shown = await _bounded(request, core.linking.submit(link_id, _cookies(core, request), csrf, typed))
    if shown.unavailable or shown.rejected_input is not None:
        return _show(core, shown)
    if shown.link.state in (LinkState.OPENED, LinkState.EXCHANGING):
        # Another address than the form's own, so that a reload sends nothing again.
        return _to(_form_address(core, shown.link), shown.link)
    return _to(return_address(shown.link), shown.link)


@get("/callbacks/{partner:str}/link")
async def come_back(core: NamedDependency[Core], request: Browser, partner: FromPath[str]) -> Response[Any]:
    """The partner sent the browser back."""
    if len(request.scope["query_string"]) > _QUERY_BYTES:
        raise InvalidRequest("The query is too long.")
    query = _OWN_STATE.sub(rb"\1&", request.scope["query_string"]).decode("latin-1")
    brought = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=_QUERY_FIELDS))
    shown = await _bounded(request, core.linking.callback(partner, brought, _cookies(core, request)))
    if shown.link.state is LinkState.OPENED:
        # The first arrival could not ask the partner: nothing was done, the same address may be loaded again.
        shown = msgspec.structs.replace(shown, unavailable=True)
    if shown.link.state in (LinkState.OPENED, LinkState.EXCHANGING):
        return _show(core, shown)
    return _to(return_address(shown.link), shown.link)


async def _bounded(request: Browser, work: Coroutine[Any, Any, T]) -> T:
    """What a browser asks, within the allowance of its address; the one for addresses that lead nowhere is small."""
    try:
        await guards.take(request, PAGES)
    except BaseException:
        work.close()
        raise
    try:
        return await work
    except OtherBrowser:
        raise
    except LinkStateInvalid:
        await guards.take(request, PAGES_REFUSED)
        raise


def _typed(body: bytes) -> tuple[str, dict[str, Secret] | None]:
    """The CSRF token and what was typed; None where the participant refused."""
    try:
        fields = parse_qs(body.decode(), max_num_fields=_FORM_FIELDS, keep_blank_values=True)
    except ValueError:
        raise InvalidRequest("The form cannot be read.") from None
    single = {name: values[-1] for name, values in fields.items()}
    csrf, action = single.pop("csrf", ""), single.pop("action", "continue")
    if action == "deny":
        return csrf, None
    return csrf, {name: Secret(value.strip()) for name, value in single.items()}


def _show(core: Core, shown: Shown) -> Response[Any]:
    link = shown.link
    if shown.redirect is not None:
        return _to(shown.redirect, link)
    if link.state is LinkState.OPENED and link.wants:
        return _form(core, shown)
    title, text = _TEXTS[link.state]
    headers = pages.headers(link.return_url)
    status, back = 200, return_address(link)
    if shown.unavailable:
        status, text, back = 503, _PARTNER_SILENT, ""
        headers["Retry-After"] = str(_RELOAD_S)
    elif link.state is LinkState.EXCHANGING:
        headers["Refresh"] = str(_RELOAD_S)
    elif link.ended_because is not None:
        text = f"{BLOCKERS[BlockerCode(link.ended_because)].indonesian} {text}"
    return _html(pages.render("message.html", title=title, text=text, back=back, again=None), headers, status)


def _start(core: Core, link: LinkRow, token: str, account: str, *, problem: str = "") -> Response[Any]:
    manifest = core.resources.desks[link.partner].manifest
    page = pages.render(
        "start.html",
        title=f"Sambungkan akun {manifest.name}",
        partner=manifest.name,
        account=account,
        inputs=bool(manifest.first_inputs),
        problem=problem,
        action=f"{_prefix(core)}/connect/{token}",
        csrf=core.linking.start_token(link),
        back=return_address(link),
    )
    partner = core.resources.settings.hosts.get(link.partner, {}).values()
    headers = pages.headers(link.return_url, "https:", *(url for url in partner if url.startswith("http:")))
    if problem:
        headers["Retry-After"] = str(_RELOAD_S)
    return _html(page, headers, 503 if problem else 200)


def _form(core: Core, shown: Shown) -> Response[Any]:
    link = shown.link
    manifest = core.resources.desks[link.partner].manifest
    status, problem, wrong = 200, "", ""
    if shown.unavailable:
        status, problem = 503, "Mitra pembayaran sedang tidak dapat dihubungi. Coba lagi sebentar lagi."
    elif shown.rejected_input is not None and shown.rejected_input in manifest.inputs:
        status, wrong = 422, shown.rejected_input
        problem = f"{manifest.inputs[wrong].label_indonesian}: periksa lagi isian Anda."
    elif shown.rejected_input is not None:
        status, problem = 422, "Isian tidak sesuai dengan halaman ini."
    elif link.last_input_wrong:
        wrong, problem = link.wants[0], "Isian ditolak oleh mitra. Periksa dan coba lagi."
    fields = [
        {
            "name": name,
            "label": manifest.inputs[name].label_indonesian,
            "numeric": manifest.inputs[name].numeric,
            "autocomplete": manifest.inputs[name].autocomplete,
        }
        for name in link.wants
    ]
    page = pages.render(
        "form.html",
        title=f"Sambungkan akun {manifest.name}",
        partner=manifest.name,
        account=core.linking.masked_account(link),
        problem=problem,
        wrong=wrong,
        names=link.wants,
        back=return_address(link),
        action=_form_address(core, link),
        csrf=core.linking.csrf_token(link),
        fields=fields,
    )
    return _html(page, pages.headers(link.return_url), status)


def _form_address(core: Core, link: LinkRow) -> str:
    """The path alone: the page must not leave the site it was opened on."""
    return f"{_prefix(core)}/connect/{link.id}/inputs"


def _prefix(core: Core) -> str:
    """What a proxy takes off the front of our paths."""
    return urlsplit(core.resources.settings.public_url).path.rstrip("/")


def _same_site(request: Browser) -> None:
    """A form is sent from our own page. A browser that names no origin at all still has the form's token to show."""
    if not guards.from_own_page(request):
        raise LinkStateInvalid("The form was sent from another site.")


def _secure(core: Core) -> bool:
    return core.resources.settings.public_url.startswith("https://")


def _cookies(core: Core, request: Browser) -> dict[str, str]:
    """The browser's cookies by the names that the services know. On https only those count that no other host of the
    domain can have set.
    """
    if not _secure(core):
        return dict(request.cookies)
    given = request.cookies.items()
    return {name.removeprefix(_HOST): value for name, value in given if name.startswith(_HOST)}


def _with_cookie(core: Core, request: Browser, shown: Shown) -> dict[str, str]:
    fresh = {} if shown.cookie is None else {cookie_name(shown.link): shown.cookie.reveal()}
    return _cookies(core, request) | fresh


def _cookie(core: Core, link: LinkRow, value: Secret) -> Cookie:
    settings = core.resources.settings
    return Cookie(
        key=(_HOST if _secure(core) else "") + cookie_name(link),
        value=value.reveal(),
        path="/",
        max_age=int(settings.waits.link_life_s) + _COOKIE_BEYOND_LIFE_S,
        secure=_secure(core),
        httponly=True,
        samesite="lax",
    )


def _to(address: str, link: LinkRow) -> Response[Any]:
    headers = {**pages.headers(link.return_url), "Location": address}
    return Response(b"", status_code=303, media_type=MediaType.TEXT, headers=headers)


def _html(page: str, headers: dict[str, str], status: int) -> Response[Any]:
    return Response(page, status_code=status, media_type=MediaType.HTML, headers=headers)


def _refused(request: Browser, error: GatewayError) -> Response[Any]:
    """A page for people, a problem document for programs."""
    if "text/html" not in request.headers.get("accept", ""):
        return respond(error, request.scope)
    text, back, again = "Alamat ini tidak dapat dipakai. Mulai lagi dari Prakerja.", "", None
    if isinstance(error, OtherBrowser):
        text, back = _OTHER_BROWSER if error.state else _OPENED_ELSEWHERE, return_address(error.link)
        if error.state and error.link.state is LinkState.OPENED:
            again = {"action": f"{_prefix(request.app.state.core)}/connect/again", "state": error.state}
    elif isinstance(error, LinkStateInvalid):
        text = "Tautan ini tidak berlaku lagi. Mulai lagi dari Prakerja."
    elif isinstance(error, PartnerError):
        text = _PARTNER_SILENT
    elif isinstance(error, TooManyRequests):
        text = "Terlalu banyak permintaan. Tunggu beberapa menit, lalu muat ulang halaman ini."
    page = pages.render("message.html", title="Penyambungan akun", text=text, back=back, again=again)
    headers = pages.headers()
    if isinstance(error, PartnerError):
        headers["Retry-After"] = str(_RELOAD_S)
    if isinstance(error, TooManyRequests):
        headers |= error.headers | {"Retry-After": str(max(1, round(error.retry_after_s)))}
    return _html(page, headers, error.http_status)


router = Router(
    path="/",
    route_handlers=[open_page, begin, begin_again, show_form, submit_form, come_back],
    exception_handlers={GatewayError: _refused},
    include_in_schema=False,
)
