"""Pictures as SVG: the funnel, and a burn-down with its forecast. Text beside them says the same in words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from html import escape
from zoneinfo import ZoneInfo

_JAKARTA = ZoneInfo("Asia/Jakarta")
_WIDTH = 900


def funnel(stages: Sequence[tuple[str, int, int, str]], title: str) -> str:
    """Bars of (name, incentives, of these blocked, amount in words), one below another; wide enough to be read."""
    most = max((count for _, count, _, _ in stages), default=0) or 1
    height, left, bar = 34, 190, _WIDTH - 190 - 230
    box = f'viewBox="0 0 {_WIDTH} {height * len(stages) + 4}" width="{_WIDTH}"'
    parts = [f'<svg {box} role="img" aria-label="{escape(title)}">']
    for n, (name, count, blocked, amount) in enumerate(stages):
        y = n * height + 4
        whole, held = round(bar * count / most), round(bar * blocked / most)
        number = f"{count:,}".replace(",", ".")
        parts.append(
            f'<text x="0" y="{y + 18}">{escape(name)}</text>'
            f'<rect class="rest" x="{left}" y="{y}" width="{bar}" height="24"/>'
            f'<rect class="bar" x="{left}" y="{y}" width="{whole}" height="24"/>'
            f'<rect class="held" x="{left + whole - held}" y="{y}" width="{held}" height="24"/>'
            f'<text x="{left + bar + 8}" y="{y + 18}">{number} · {escape(amount)}</text>'
        )
    return "".join([*parts, "</svg>"])


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
        f'<text x="0" y="14">{most:,}</text><text x="0" y="{height}">0</text>'
        f'<text x="60" y="{height + 16}">{clock[0]}</text><text x="{width - 70}" y="{height + 16}">{clock[1]}</text>'
        f'<polyline class="curve" points="{curve}"/>{ahead}</svg>'
    )
