"""The pages that participants see: Indonesian or English, made for a phone, nothing from elsewhere and no script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import TypeAlias
from urllib.parse import urlsplit

import jinja2
from markupsafe import Markup

LANGUAGES = ("id", "en")
Words: TypeAlias = tuple[str, str]
"""The same in each of `LANGUAGES`."""
COUNTDOWN_STEP_S, COUNTDOWN_MOST_S = 5, 60
"""A countdown is a style (`w60`: 60 seconds from the page's loading), as a page runs no script: one for each step. A
browser too old for that hides nothing: it would never show it again.
"""

_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("gateway", "pages"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_COUNTDOWNS = "".join(
    f".w{wait_s}{{--from:{wait_s};--wait:{wait_s}s}}"
    for wait_s in range(COUNTDOWN_STEP_S, COUNTDOWN_MOST_S + 1, COUNTDOWN_STEP_S)
)
_STYLE = (
    """
:root{color-scheme:light dark;--ink:#1c1c1c;--paper:#fff;--line:#777;--main:#0b5a3c;--bad:#a40000}
@media (prefers-color-scheme:dark){:root{--ink:#e8ebe9;--paper:#14181a;--line:#8b948f;--main:#6fd6a4;--bad:#ff9a9a}}
body{font-family:system-ui,sans-serif;max-width:26rem;margin:0 auto;padding:1.25rem;line-height:1.5}
body,input{color:var(--ink);background:var(--paper)}a{color:var(--main)}
h1{font-size:1.3rem}h2{font-size:1.05rem;margin:1.2rem 0 .3rem}label{display:block;margin:1rem 0 0;font-weight:600}
ul,ol{padding-left:1.25rem;margin:.3rem 0}
input{box-sizing:border-box;width:100%;font-size:1.25rem;padding:.6rem;margin-top:.3rem}
input{border:1px solid var(--line);border-radius:.3rem}
button,.button{display:block;box-sizing:border-box;width:100%;margin:.6rem 0;padding:.8rem;font:inherit;
text-align:center;border:1px solid var(--main);border-radius:.3rem;background:var(--main);color:var(--paper);
text-decoration:none}
button[value=deny],.quiet{background:var(--paper);color:var(--main)}
button:focus-visible,a:focus-visible,input:focus-visible{outline:3px solid #4a90f5;outline-offset:2px}
input[aria-invalid=true]{border:2px solid var(--bad)}
.error{color:var(--bad)}
.language{text-align:right;margin:0}
@property --left{syntax:"<integer>";inherits:false;initial-value:0}
@keyframes count{from{--left:var(--from)}to{--left:0}}
@keyframes appear{to{visibility:visible}}
@keyframes vanish{to{visibility:hidden;height:0;margin:0}}
.count{animation:count var(--wait) linear forwards}
@supports (transition-behavior:allow-discrete){
.count::after{counter-reset:left var(--left);content:" (" counter(left) ")"}}
@supports (--a:0) and (animation:a 1s){
.waiting{animation:vanish 1ms linear var(--wait) forwards}
.later{visibility:hidden;animation:appear 1ms linear var(--wait) forwards}}
.broad{max-width:60rem}table{border-collapse:collapse;width:100%}th{text-align:left}
th,td,code{overflow-wrap:anywhere;padding:.15rem .3rem .15rem 0;vertical-align:top}
""".strip()
    + _COUNTDOWNS
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()


def render(template: str, language: str = LANGUAGES[0], **values: object) -> str:
    """A page in one of `LANGUAGES`; in templates `t(indonesian, english)` chooses. What is put into it is escaped."""
    choose: Callable[[str, str], str] = (lambda id_, en: en) if language == "en" else (lambda id_, en: id_)
    style = Markup(_STYLE)  # noqa: S704 - our own file
    return _ENVIRONMENT.get_template(template).render(style=style, t=choose, language=language, **values)


def headers(return_url: str | None = None, *more: str) -> dict[str, str]:
    """What protects a page: nothing but our own style runs, nobody frames, keeps or refers to it.

    The address is told within our own site, so that a form's origin can be checked, and nowhere else. Browsers hold the
    redirect after a form against `form-action` too: the client's own site is named there, and on the opening page (as
    `more`) where the partner's pages may be.
    """
    targets = "'self'"
    for url in (return_url, *more):
        if url is not None:
            parts = urlsplit(url)
            targets += f" {parts.scheme}://{parts.netloc}" if parts.netloc else f" {url}"
    return {
        "Content-Security-Policy": (
            f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action {targets};"
            " base-uri 'none'; frame-ancestors 'none'"
        ),
        "Cache-Control": "no-store",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
