"""`gateway plan`: when each stage of each partner will be done."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Annotated

import typer

from gateway.cli.common import MANIFESTS, AsJson, local, table, tell, terminal, with_store
from gateway.clock import JAKARTA, SystemClock
from gateway.services.ops.plan import BurnDown, Forecast, Planner
from gateway.services.ops.standstill import Standstill
from gateway.settings import agreed_quotas

_WIDTH, _HEIGHT = 72, 12


def plan(
    hours: Annotated[float, typer.Option(min=0.1, max=168, help="How far back the curves go.")] = 1.0,
    as_json: AsJson = False,
) -> None:
    """When will it be done? What is due at each partner and stage, how fast it shrinks, and until when that takes.

    Reads the store at DATABASE_URL and changes nothing; agreed quotas from GATEWAY_QUOTAS, where it is set. The samples
    are taken by workers, every ten seconds.
    """
    quotas = agreed_quotas(os.environ, MANIFESTS)
    found = with_store(
        lambda database, _: Planner(database, SystemClock(), MANIFESTS, quotas).burn_down(timedelta(hours=hours))
    )
    if as_json:
        tell(found)
        return
    cells = (
        (one.partner, one.stage, one.due, one.blocked, f"{one.per_s:.1f}",
         None if one.quota_per_s is None else f"{one.quota_per_s:g}", _end(one), one.basis)
        for one in found.forecasts
    )  # fmt: skip
    columns = ("partner", "stage", "due", "waits for people", "a second", "at most", "done at", "by")
    terminal().print(table(f"plan at {local(found.as_of)}", *columns, rows=cells))
    for one in found.forecasts:
        if one.stands is not None:
            terminal().print(told(one.stands), markup=False)
    for one in found.forecasts:
        if one.due:
            _plot(one, found)


def _end(one: Forecast) -> str | None:
    if one.stands is not None:
        return "stands still"
    return "done" if not one.due else None if one.done_at is None else local(one.done_at)


def told(stands: Standstill) -> str:
    """What stands still, since when and why, in one line."""
    since = "" if stands.since is None else f" since {local(stands.since)}"
    words = f" ({stands.words})" if stands.words else ""
    tries = "" if stands.next_at is None else f"; next try {local(stands.next_at)}"
    return f"{stands.partner} {stands.stage} stands still{since}: {stands.text.en}{words}{tries}"


def _plot(one: Forecast, found: BurnDown) -> None:
    """What was due over time, and where it is heading: the same picture as at /ops."""
    import plotext

    past = [(s.at, max(s.due, 0)) for s in found.samples if (s.partner, s.stage) == (one.partner, one.stage)]
    past.append((found.as_of, one.due))
    if len(past) < 2:
        return
    ahead = [(found.as_of, one.due)]
    if one.done_at is not None:
        span = found.as_of - past[0][0]
        until = min(one.done_at, found.as_of + 3 * span)
        left = one.due * (1 - (until - found.as_of) / (one.done_at - found.as_of))
        ahead.append((until, round(left)))
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plot_size(min(terminal().width, _WIDTH), _HEIGHT)
    for points, marker in ((past, "braille"), (ahead, "dot")):
        plotext.plot([at.timestamp() for at, _ in points], [due for _, due in points], marker=marker)
    edges = [past[0][0], found.as_of, ahead[-1][0]]
    plotext.xticks([at.timestamp() for at in edges], [f"{at.astimezone(JAKARTA):%H:%M}" for at in edges])
    plotext.title(f"{one.partner}, {one.stage}: due")
    typer.echo(plotext.uncolorize(plotext.build()))
