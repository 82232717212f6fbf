"""Watches the backlog drain, with a progress bar per partner, until nothing moves any more."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import httpx
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from gateway.demo.core import ApiError, Client
from gateway.demo.player import Player

_POLL_S = 0.5
_QUIET_POLLS = 3
"""Drained counts when seen so often in a row, so that nothing slips between two looks."""
LINKED = ("awaiting_verification", "scheduled", "paying", "paid", "returned")
VERIFIED = ("scheduled", "paying", "paid", "returned")


class Stuck(Exception):
    """The backlog did not drain in the time given; the message says what still moved."""


class Watch:
    """The bars, and the question whether the backlog is drained."""

    def __init__(
        self, core: Client, http: httpx.AsyncClient, mocks: Mapping[str, str], player: Player, console: Console
    ) -> None:
        self._core = core
        self._http = http
        self._mocks = mocks
        self._player = player
        self._console = console
        self.funnel: dict[str, Any] = {}

    async def until_drained(self, *, limit_s: float, playing: asyncio.Task[None]) -> None:
        """Return once drained; raises `Stuck` after `limit_s`, and what `playing` raised."""
        progress = Progress(
            TextColumn("{task.description:<18}"),
            BarColumn(bar_width=40),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
        )
        loop = asyncio.get_running_loop()
        deadline, quiet, since = loop.time() + limit_s, 0, loop.time()
        status = Text(style="dim", overflow="ellipsis", no_wrap=True)
        with Live(Group(progress, status), console=self._console, refresh_per_second=4):
            bars = _Bars(progress)
            while quiet < _QUIET_POLLS:
                if playing.done() and not playing.cancelled():
                    playing.result()
                moving, activity = await self._moving()
                if moving:
                    since = loop.time()
                elif unread := _statements_behind(activity, loop.time() - since):
                    moving = {"statements unread": unread}
                bars.show(self.funnel)
                status.plain = _in_words(moving)
                quiet = 0 if moving else quiet + 1
                if loop.time() > deadline:
                    raise Stuck(f"not drained after {limit_s:.0f} s: {moving}")
                await asyncio.sleep(_POLL_S)

    async def _moving(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What still moves, empty when only statements may be unread; and the API's own answer."""
        try:
            self.funnel = await self._core.call("GET", "/v1/funnel")
            activity = await self._core.call("GET", "/v1/activity")
        except (ApiError, httpx.TransportError) as error:
            return {"api": type(error).__name__}, {}
        moving = {name: count for name, count in activity["moving"].items() if count}
        for partner, url in self._mocks.items():
            try:
                pending = (await self._http.get(f"{url}/__mock__/pending")).json()
            except httpx.TransportError as error:
                pending = {type(error).__name__: 1}
            moving.update({f"{partner} {name}": count for name, count in pending.items() if count})
        playing = self._player.left - self._player.waiting
        if playing:
            moving["people at pages"] = playing
        return moving, activity


def _statements_behind(activity: Mapping[str, Any], quiet_s: float) -> int:
    """Partners whose statement was not read since everything fell quiet: a reversal may stand there only."""
    return sum(1 for age_s in activity["statement_age_s"].values() if age_s is None or age_s > quiet_s)


def _in_words(moving: Mapping[str, Any]) -> str:
    what = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in moving.items())
    return f"still moving: {what}" if what else "drained"


class _Bars:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[tuple[str, str], Any] = {}

    def show(self, funnel: Mapping[str, Any]) -> None:
        totals: defaultdict[str, int] = defaultdict(int)
        reached: defaultdict[tuple[str, str], int] = defaultdict(int)
        for row in funnel.get("rows", ()):
            partner, stage, count = row["partner"], row["stage"], row["incentives"]
            totals[partner] += count
            reached[(partner, "linked")] += count if stage in LINKED else 0
            reached[(partner, "verified")] += count if stage in VERIFIED else 0
            reached[(partner, "paid")] += count if stage == "paid" else 0
        for partner in sorted(totals):
            for what in ("linked", "verified", "paid"):
                key = (partner, what)
                if key not in self._tasks:
                    self._tasks[key] = self._progress.add_task(f"{partner} {what}", total=totals[partner])
                self._progress.update(self._tasks[key], completed=reached[key], total=totals[partner])
