"""What the pages that participants open have in common: bounds, forms, cookies, language, and where a link stands."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

from litestar import MediaType, Request, Response
from litestar.datastructures import Cookie

from contracts.errors import GatewayError, InvalidRequest, LinkStateInvalid, PartnerError
from contracts.incentive import BLOCKERS, BlockerCode
from contracts.linking import LinkState
from contracts.secret import Secret
from gateway import pages
from gateway.api import guards
from gateway.api.problems import respond
from gateway.core import Core
from gateway.pages import Words
from gateway.security.limits import PAGES, PAGES_REFUSED, TooManyRequests
from gateway.services.linking.bound import NoLongerGood, OtherBrowser, cookie_name
from gateway.services.linking.view import return_address
from gateway.storage.linking.links import LinkRow

Browser = Request[Any, Any, Any]
T = TypeVar("T")

FORM_BYTES, FORM_FIELDS = 4_096, 10
RELOAD_S = 2
_COOKIE_BEYOND_LIFE_S = 3_600
"""So that a late or repeated way back is still recognised."""
_LANGUAGE, _LANGUAGE_LIFE_S = "page_language", 365 * 86_400
_HOST = "__Host-"

TEXTS: dict[LinkState, tuple[Words, Words]] = {
    LinkState.CHALLENGED: (
        ("Penyambungan akun", "Linking your account"),
        ("Buka lagi halaman penyambungan dari Prakerja.", "Open the linking page again from Prakerja."),
    ),
    LinkState.OPENED: (
        ("Penyambungan akun sedang berjalan", "Your account is being linked"),
        (
            "Lanjutkan di halaman mitra. Jika halaman itu sudah tertutup, mulai lagi dari Prakerja.",
            "Go on at the partner's page. If that page is closed, start again from Prakerja.",
        ),
    ),
    LinkState.EXCHANGING: (
        ("Sebentar", "One moment"),
        ("Kami sedang menyelesaikan penyambungan akun Anda.", "We are about to finish linking your account."),
    ),
    LinkState.WAITING: (
        ("Akun masih tercatat tersambung di mitra", "The partner still has this account as linked"),
        (
            "Kami akan meminta Anda menyambungkan lagi setelah sambungan itu dilepas.",
            "We will ask you to link it again once that link is released.",
        ),
    ),
    LinkState.ACTIVE: (
        ("Akun tersambung", "Your account is linked"),
        ("Akun Anda sudah tersambung. Terima kasih.", "Your account is linked. Thank you."),
    ),
    LinkState.UNLINKING: (
        ("Akun sedang dilepas", "Your account is being unlinked"),
        ("Sambungan akun Anda sedang dilepas.", "Your account is being unlinked."),
    ),
    LinkState.FAILED: (
        ("Akun tidak tersambung", "Your account is not linked"),
        ("Mulai lagi dari Prakerja.", "Start again from Prakerja."),
    ),
    LinkState.REVOKED: (
        ("Sambungan dicabut", "The link was revoked"),
        ("Mulai lagi dari Prakerja.", "Start again from Prakerja."),
    ),
    LinkState.UNLINKED: (
        ("Sambungan dilepas", "Your account is no longer linked"),
        ("Sambungan akun Anda sudah dilepas.", "Your account was unlinked."),
    ),
}
assert set(TEXTS) == set(LinkState), "every state has its page"
SILENT: Words = (
    "Mitra pembayaran sedang tidak dapat dihubungi. Muat ulang halaman ini sebentar lagi.",
    "The payment partner cannot be reached just now. Reload this page in a moment.",
)
_OTHER_BROWSER: Words = (
    "Anda kembali lewat browser (peramban) lain daripada tempat Anda mulai, sehingga sambungan ini tidak dapat"
    " diselesaikan di sini. Kembalilah ke browser tadi, atau mulai lagi di browser ini.",
    "You came back in another browser than the one you began in, so linking cannot be finished here. Go back to that"
    " browser, or start again in this one.",
)
_OPENED_ELSEWHERE: Words = (
    "Tautan ini sudah dibuka di browser (peramban) lain. Lanjutkan di browser tadi, atau mulai lagi dari Prakerja.",
    "This address was opened in another browser already. Go on in that one, or start again from Prakerja.",
)
_NOT_USABLE: Words = (
    "Alamat ini tidak dapat dipakai. Mulai lagi dari Prakerja.",
    "This address cannot be used. Start again from Prakerja.",
)
_NO_LONGER_GOOD: Words = (
    "Tautan ini tidak berlaku lagi. Mulai lagi dari Prakerja.",
    "This address is no longer good. Start again from Prakerja.",
)
_TOO_MANY: Words = (
    "Terlalu banyak permintaan. Tunggu beberapa menit, lalu muat ulang halaman ini.",
    "Too many requests. Wait a few minutes, then reload this page.",
)


def language(request: Browser) -> str:
    """The pages' language: Indonesian unless another was chosen."""
    chosen = request.cookies.get(_LANGUAGE, "")
    return chosen if chosen in pages.LANGUAGES else pages.LANGUAGES[0]


def language_cookie(core: Core, chosen: str) -> Cookie:
    """Keeps the choice in this browser."""
    return Cookie(
        key=_LANGUAGE, value=chosen, path="/", max_age=_LANGUAGE_LIFE_S, secure=secure(core), httponly=True,
        samesite="lax",
    )  # fmt: skip


def render(request: Browser, template: str, **values: object) -> str:
    """A page in the language of this browser."""
    core: Core = request.app.state.core
    here = prefix(core) + str(request.scope["path"])
    return pages.render(template, language(request), root=prefix(core), here=here, **values)


async def bounded(request: Browser, work: Coroutine[Any, Any, T]) -> T:
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


async def sent_form(request: Browser) -> tuple[str, str, dict[str, Secret]]:
    """A form of ours that was sent in: its CSRF token, the button pressed, and what was typed."""
    same_site(request)
    try:
        fields = parse_qs((await request.body()).decode(), max_num_fields=FORM_FIELDS, keep_blank_values=True)
    except ValueError:
        raise InvalidRequest("The form cannot be read.") from None
    single = {name: values[-1] for name, values in fields.items()}
    csrf, action = single.pop("csrf", ""), single.pop("action", "continue")
    return csrf, action, {name: Secret(value.strip()) for name, value in single.items()}


def same_site(request: Browser) -> None:
    """A form is sent from our own page. A browser that names no origin at all still has the form's token to show."""
    if not guards.from_own_page(request):
        raise LinkStateInvalid("The form was sent from another site.")


def prefix(core: Core) -> str:
    """What a proxy takes off the front of our paths."""
    return urlsplit(core.resources.settings.public_url).path.rstrip("/")


def secure(core: Core) -> bool:
    """Whether the pages are on https."""
    return core.resources.settings.public_url.startswith("https://")


def cookies(core: Core, request: Browser) -> dict[str, str]:
    """The browser's cookies by the names that the services know. On https only those count that no other host of the
    domain can have set.
    """
    if not secure(core):
        return dict(request.cookies)
    given = request.cookies.items()
    return {name.removeprefix(_HOST): value for name, value in given if name.startswith(_HOST)}


def binding(core: Core, link: LinkRow, value: Secret) -> Cookie:
    """The cookie by which the browser of a link is known."""
    return Cookie(
        key=(_HOST if secure(core) else "") + cookie_name(link),
        value=value.reveal(),
        path="/",
        max_age=int(core.resources.settings.waits.link_life_s) + _COOKIE_BEYOND_LIFE_S,
        secure=secure(core),
        httponly=True,
        samesite="lax",
    )


def form_address(core: Core, link: LinkRow) -> str:
    """The path alone: the page must not leave the site it was opened on."""
    return f"{prefix(core)}/connect/{link.id}/inputs"


def to(address: str, link: LinkRow) -> Response[Any]:
    """Go on with another address."""
    headers = {**pages.headers(link.return_url), "Location": address}
    return Response(b"", status_code=303, media_type=MediaType.TEXT, headers=headers)


def html(page: str, headers: dict[str, str], status: int = 200) -> Response[Any]:
    """A page with what protects it."""
    return Response(page, status_code=status, media_type=MediaType.HTML, headers=headers)


def standing(request: Browser, link: LinkRow, *, unavailable: bool = False) -> Response[Any]:
    """Where a link stands, in words; `unavailable`: its partner could not be asked, and may be again."""
    at = pages.LANGUAGES.index(language(request))
    title, text = (words[at] for words in TEXTS[link.state])
    headers = pages.headers(link.return_url)
    status, back = 200, return_address(link)
    if unavailable:
        status, text, back = 503, SILENT[at], ""
        headers["Retry-After"] = str(RELOAD_S)
    elif link.state is LinkState.EXCHANGING:
        headers["Refresh"] = str(RELOAD_S)
    elif link.ended_because is not None:
        because = BLOCKERS[BlockerCode(link.ended_because)]
        text = f"{because.english if at else because.indonesian} {text}"
    return html(render(request, "message.html", title=title, text=text, back=back, again=None), headers, status)


def refused(request: Browser, error: GatewayError) -> Response[Any]:
    """A page for people, a problem document for programs."""
    if "text/html" not in request.headers.get("accept", ""):
        return respond(error, request.scope)
    words, back, again = _NOT_USABLE, "", None
    if isinstance(error, OtherBrowser):
        words, back = _OTHER_BROWSER if error.state else _OPENED_ELSEWHERE, return_address(error.link)
        if error.state and error.link.state is LinkState.OPENED:
            again = {"action": f"{prefix(request.app.state.core)}/connect/again", "state": error.state}
    elif isinstance(error, NoLongerGood):
        words, back = _NO_LONGER_GOOD, return_address(error.link)
    elif isinstance(error, LinkStateInvalid):
        words = _NO_LONGER_GOOD
    elif isinstance(error, PartnerError):
        words = SILENT
    elif isinstance(error, TooManyRequests):
        words = _TOO_MANY
    at = pages.LANGUAGES.index(language(request))
    title = TEXTS[LinkState.CHALLENGED][0][at]
    page = render(request, "message.html", title=title, text=words[at], back=back, again=again)
    headers = pages.headers()
    if isinstance(error, PartnerError):
        headers["Retry-After"] = str(RELOAD_S)
    if isinstance(error, TooManyRequests):
        headers |= error.headers | {"Retry-After": str(max(1, round(error.retry_after_s)))}
    return html(page, headers, error.http_status)
