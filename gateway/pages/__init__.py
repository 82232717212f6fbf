"""The pages that participants see: Indonesian, made for a phone, nothing from elsewhere and no script."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import urlsplit

import jinja2
from markupsafe import Markup

_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("gateway", "pages"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_STYLE = """
body{font-family:system-ui,sans-serif;max-width:26rem;margin:0 auto;padding:1.25rem;color:#1c1c1c;line-height:1.5}
h1{font-size:1.3rem}h2{font-size:1.05rem;margin:1.2rem 0 .3rem}label{display:block;margin:1rem 0 0;font-weight:600}
ul,ol{padding-left:1.25rem;margin:.3rem 0}
input{box-sizing:border-box;width:100%;font-size:1.25rem;padding:.6rem;margin-top:.3rem}
input{border:1px solid #777;border-radius:.3rem}
button,.button{display:block;box-sizing:border-box;width:100%;margin:.6rem 0;padding:.8rem;font-size:1rem;
text-align:center;border:1px solid #0b5a3c;border-radius:.3rem;background:#0b5a3c;color:#fff;text-decoration:none}
button[value=deny],.quiet{background:#fff;color:#0b5a3c}
button:focus-visible,a:focus-visible,input:focus-visible{outline:3px solid #1a73e8;outline-offset:2px}
input[aria-invalid=true]{border:2px solid #a40000}
.error{color:#a40000}
.broad{max-width:60rem}table{border-collapse:collapse;width:100%}th{text-align:left}
th,td,code{overflow-wrap:anywhere;padding:.15rem .3rem .15rem 0;vertical-align:top}
""".strip()
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()


def render(template: str, **values: object) -> str:
    """A page; what is put into it is escaped."""
    return _ENVIRONMENT.get_template(template).render(style=Markup(_STYLE), **values)  # noqa: S704 - our own file


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
