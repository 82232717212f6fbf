"""The console's page and its small parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from mock_partners.kit.host import Mock
from mock_partners.kit.http import Reply
from mock_partners.registry import name_of

HEADERS = {
    "Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "Referrer-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
}  # fmt: skip


def page(title: str, navigation: str, content: str, status: int = 200) -> Reply:
    """A whole page of the console."""
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<link rel="icon" href="data:,"><link rel="stylesheet" href="/assets/style.css">'
        '<script src="/assets/live.js" defer></script></head>'
        f'<body><header><a class="home" href="/">Mock partners</a><nav id="tabs">{navigation}</nav>'
        f'<span id="live"></span></header><main><h1 class="unseen">{escape(title)}</h1>{content}</main></body></html>'
    )
    return Reply(status, text.encode(), HEADERS)


def tabs(mocks: Mapping[str, Mock], shown: str) -> str:
    """A tab for each partner with its number of calls."""
    here = ' aria-current="page"'
    return "".join(
        f'<a class="{name}" href="/{name}"{here if name == shown else ""}>{name_of(name)}'
        f"<b>{mock.backstage.log.total_calls}</b></a>"
        for name, mock in mocks.items()
    )


def notice(kind: str, text: str, lines: Iterable[str] = ()) -> str:
    """What came of a button, above everything else."""
    points = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return (
        f'<div class="notice {kind}" role="alert"><b>{escape(text)}</b>{f"<ul>{points}</ul>" if points else ""}</div>'
    )


def card(name: str, title: str, content: str, extra: str = "") -> str:
    """A part of the page; what stands in `name` is replaced by the script, `extra` is left alone."""
    return f'<section id="{name}"><h2>{title}</h2><div id="{name}-live">{content}</div>{extra}</section>'


def table(head: Sequence[str], rows: Sequence[Sequence[str]], empty: str) -> str:
    """A table of cells that are HTML already."""
    if not rows:
        return f'<p class="none">{escape(empty)}</p>'
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in head)
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide" tabindex="0"><table><thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table></div>'


def form(mock: Mock, action: str, content: str, kind: str = "") -> str:
    """A form whose buttons act on a mock."""
    return f'<form class="{kind}" method="post" action="/{mock.name}/{action}">{content}</form>'


def hidden(name: str, value: object) -> str:
    """A field that goes along with a button."""
    return f'<input type="hidden" name="{name}" value="{escape(str(value))}">'


def options(values: Iterable[str], chosen: str = "") -> str:
    """The choices of a select."""
    return "".join(
        f'<option value="{escape(value)}"{" selected" if value == chosen else ""}>{escape(value or "–")}</option>'
        for value in values
    )


def box(name: str, label: str, value: str, rows: int, hint: str = "") -> str:
    """A box for several lines of text."""
    return (
        f'<label>{label}<textarea name="{name}" rows="{rows}" spellcheck="false" placeholder="{escape(hint)}">'
        f"\n{escape(value)}</textarea></label>"
    )
