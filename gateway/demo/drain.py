"""Watches the backlog drain, with a progress bar per partner, until nothing moves any more."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import httpx
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from gateway.demo.core import ApiError, Client
from gateway.demo.player import Player

_POLL_S = 0.5
_LINE_S = 5.0
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
        loop = asyncio.get_running_loop()
        deadline, quiet, since = loop.time() + limit_s, 0, loop.time()
        with (_Bars if self._console.is_terminal else _Lines)(self._console) as shown:
            while quiet < _QUIET_POLLS:
                if playing.done() and not playing.cancelled():
                    playing.result()
                moving, activity = await self._moving()
                if moving:
                    since = loop.time()
                elif unread := _statements_behind(activity, loop.time() - since):
                    moving = {"statements unread": unread}
                shown.show(self.funnel, _in_words(moving))
                quiet = 0 if moving else quiet + 1
                if loop.time() > deadline:
                    raise Stuck(f"not drained after {limit_s:.0f} s: {moving}")
                await asyncio.sleep(_POLL_S)

    async def _moving(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What still moves, empty when only statements may be unread; and the API's own answer."""
        try:
            self.funnel = await self._core.call("GET", "/v1/funnel")
            activity = await self._core.call("GET", "/v1/activity")
        except (ApiError, httpx.HTTPError) as error:
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


def _by_partner(funnel: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """For each partner its incentives (`all`), how many are `linked`, `verified`, `paid`, and who keeps the others."""
    found: dict[str, dict[str, int]] = {}
    for row in sorted(funnel.get("rows", ()), key=lambda row: str(row["partner"])):
        stage, count = row["stage"], row["incentives"]
        counts = found.setdefault(row["partner"], defaultdict(int, all=0, linked=0, verified=0, paid=0))
        counts["all"] += count
        counts["linked"] += count if stage in LINKED else 0
        counts["verified"] += count if stage in VERIFIED else 0
        counts["paid"] += count if stage == "paid" else 0
        if stage != "paid":
            counts[f"{row['owner'] or stage}"] += count
    return found


def _kept_by(counts: Mapping[str, int]) -> str:
    """Why the rest is not paid: a stage, or who must act."""
    names = (name for name in counts if name not in ("all", "linked", "verified", "paid"))
    return ", ".join(f"{name.replace('_', ' ')} {counts[name]}" for name in sorted(names))


class _Bars:
    """In a terminal: three bars a partner, and a line that says what still moves."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<18}"),
            BarColumn(bar_width=40),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[rest]}", table_column=Column(no_wrap=True, overflow="ellipsis")),
            console=console,
        )
        self._status = Text(style="dim", overflow="ellipsis", no_wrap=True)
        self._live = Live(Group(self._progress, self._status), console=console, refresh_per_second=4)
        self._tasks: dict[tuple[str, str], TaskID] = {}

    def __enter__(self) -> _Bars:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, funnel: Mapping[str, Any], moving: str) -> None:
        self._status.plain = moving
        for partner, counts in _by_partner(funnel).items():
            for what in ("linked", "verified", "paid"):
                key = (partner, what)
                if key not in self._tasks:
                    self._tasks[key] = self._progress.add_task(f"{partner} {what}", total=counts["all"], rest="")
                rest = _kept_by(counts) if what == "paid" else ""
                self._progress.update(self._tasks[key], completed=counts[what], total=counts["all"], rest=rest)


class _Lines:
    """Where no one can watch bars move (a pipe, a CI log): a line now and then."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = self._next = time.monotonic()
        self._last = ""

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *_: object) -> None:
        if self._last:
            self._console.print(self._last, soft_wrap=True, highlight=False)

    def show(self, funnel: Mapping[str, Any], moving: str) -> None:
        now = time.monotonic()
        parts = [
            f"{partner} {counts['linked']}/{counts['verified']}/{counts['paid']} of {counts['all']}"
            for partner, counts in _by_partner(funnel).items()
        ]
        self._last = f"{now - self._began:6.1f} s  linked/verified/paid: {'; '.join(parts)}; {moving}"
        if now >= self._next:
            self._console.print(self._last, soft_wrap=True, highlight=False)
            self._last, self._next = "", now + _LINE_S
