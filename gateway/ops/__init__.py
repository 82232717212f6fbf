"""The operators' pages: templates, style and the one vendored script. No script of our own stands in a page.

`assets/htmx.min.js` is htmx 2.0.11 (0BSD, assets/htmx.LICENSE), which fetches the living parts of a page anew.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from importlib import resources
from zoneinfo import ZoneInfo

import jinja2

from adapters.registry import PARTNERS
from contracts.incentive import Owner
from gateway.ops import words
from gateway.ops.pictures import number

LANGUAGES = ("id", "en")
ASSETS = {"htmx.min.js": "text/javascript", "ops.css": "text/css"}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:;"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_JAKARTA = ZoneInfo("Asia/Jakarta")


def _time(at: datetime | None) -> str:
    """Jakarta's, to the second."""
    return "–" if at is None else at.astimezone(_JAKARTA).strftime("%Y-%m-%d %H:%M:%S")


def _rupiah(amount: int) -> str:
    return f"Rp {number(amount)}"


def _partner(slug: str) -> str:
    """The name that people know it by."""
    return PARTNERS[slug].manifest.name if slug in PARTNERS else slug


_WHO = {
    Owner.PARTICIPANT.value: ("peserta", "participant"),
    Owner.PARTNER.value: ("mitra", "partner"),
    Owner.OPERATOR.value: ("operator", "operator"),
    Owner.GATEWAY.value: ("gateway", "gateway"),
    Owner.CORE.value: ("Prakerja (core)", "Prakerja (core)"),
}
"""Who must act, as people say it; `core` is what the API calls Kartu Prakerja's own platform."""
assert _WHO.keys() == {owner.value for owner in Owner}


def _plain(value: object) -> str:
    """What is on record, as people write it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(one)}" for name, one in value.items())
    return str(value)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("gateway", "ops/templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(time=_time, rupiah=_rupiah, number=number, partner=_partner, plain=_plain)
    return environment


_ENVIRONMENT = _environment()


def render(template: str, language: str, **values: object) -> str:
    """A page in one of `LANGUAGES`; in templates `t(indonesian, english)` chooses."""
    choose: Callable[[str, str], str] = (lambda id_, en: en) if language == "en" else (lambda id_, en: id_)
    return _ENVIRONMENT.get_template(template).render(
        t=choose,
        who=lambda owner: choose(*_WHO[owner]),
        said=lambda kind, code: choose(*words.OF[kind][code]),
        language=language,
        **values,
    )


def asset(name: str) -> bytes:
    """A file that pages load; `name` is one of `ASSETS`."""
    return (resources.files("gateway.ops") / "assets" / name).read_bytes()
