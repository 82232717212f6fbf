"""Pictures as SVG: a bar of the funnel, and a burn-down with its forecast. Text beside them says the same."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from html import escape
from zoneinfo import ZoneInfo

_JAKARTA = ZoneInfo("Asia/Jakarta")


def number(value: float, digits: int = 0) -> str:
    """As Indonesia writes it: `1.234,5`."""
    return f"{value:,.{digits}f}".translate(str.maketrans(",.", ".,"))


def bar(count: int, blocked: int, most: int) -> str:
    """One bar of the funnel, as wide as its place: so many of at most `most`, of these so many blocked at its end."""
    whole, held = (100 * number / (most or 1) for number in (count, blocked))
    return (
        '<svg class="wide-bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="rest" width="100" height="10"/>'
        f'<rect class="bar" width="{whole:.2f}" height="10"/>'
        f'<rect class="held" x="{whole - held:.2f}" width="{held:.2f}" height="10"/></svg>'
    )


def burn_down(points: Sequence[tuple[datetime, int]], done_at: datetime | None, title: str) -> str:
    """What was due at each moment, and a dashed line to when it will be done."""
    if len(points) < 2:
        return ""
    width, height, below = 560, 120, 20
    first, last = points[0][0], points[-1][0]
    until = max(done_at or last, last)
    until = min(until, last + 3 * (last - first))  # a far end would press what happened into a corner
    span = max((until - first) / timedelta(seconds=1), 1.0)
    most = max(due for _, due in points) or 1

    def place(at: datetime, due: float) -> str:
        x = (at - first) / timedelta(seconds=1) / span * (width - 70) + 60
        return f"{x:.1f},{height - due / most * (height - 10):.1f}"

    curve = " ".join(place(at, due) for at, due in points)
    ahead = ""
    if done_at is not None and done_at > last:
        at_edge = points[-1][1] * (1 - (until - last) / (done_at - last))
        ahead = f'<polyline class="ahead" points="{place(last, points[-1][1])} {place(until, at_edge)}"/>'
    clock = [at.astimezone(_JAKARTA).strftime("%H:%M:%S") for at in (first, until)]
    return (
        f'<svg viewBox="0 0 {width} {height + below}" role="img" aria-label="{escape(title)}" width="{width}">'
        f'<line class="axis" x1="60" y1="{height}" x2="{width - 10}" y2="{height}"/>'
        f'<text x="0" y="14">{number(most)}</text><text x="0" y="{height}">0</text>'
        f'<text x="60" y="{height + 16}">{clock[0]}</text><text x="{width - 70}" y="{height + 16}">{clock[1]}</text>'
        f'<polyline class="curve" points="{curve}"/>{ahead}</svg>'
    )
