"""Watches the backlog drain, with a progress bar per partner, until nothing moves any more."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import Any

import asyncpg
import httpx
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from gateway.clock import SystemClock, jakarta_day
from gateway.demo.cluster import Cluster
from gateway.demo.core import ApiError, Client
from gateway.demo.pace import Pace, in_words
from gateway.demo.player import Player
from gateway.demo.tally import Tally, read_tallies
from gateway.settings import parse_waits

_POLL_S = 0.5
_SHARE, _LONGEST_S = 5.0, 3.0
"""While much goes on, looking takes a sixth of the time at most."""
_LINE_S = 5.0
_QUIET_POLLS = 3
"""Drained counts when seen so often in a row, so that nothing slips between two looks."""


class Stuck(Exception):
    """The backlog did not drain in the time given; the message says what still moved."""


class Watch:
    """The bars, and the question whether the backlog is drained."""

    def __init__(
        self, core: Client, http: httpx.AsyncClient, cluster: Cluster, player: Player, console: Console
    ) -> None:
        self._core = core
        self._http = http
        self._cluster = cluster
        self._player = player
        self._console = console
        self._pace = Pace()
        self._page_life_s = parse_waits(cluster.environment["GATEWAY_WAITS"]).link_life_s
        self.funnel: dict[str, Any] = {}
        self.tallies: dict[str, Tally] = {}
        self.words = ""
        """What still moves, and about how long it will, in words."""

    async def until_drained(self, *, limit_s: float, playing: asyncio.Task[None]) -> None:
        """Return once drained; raises `Stuck` after `limit_s`, and what `playing` raised."""
        loop = asyncio.get_running_loop()
        deadline, quiet, since = loop.time() + limit_s, 0, loop.time()
        with (_Bars if self._console.is_terminal else _Lines)(self._console) as shown:
            while quiet < _QUIET_POLLS:
                if playing.done() and not playing.cancelled():
                    playing.result()
                began = loop.time()
                moving, activity = await self._moving()
                if moving:
                    since = loop.time()
                elif unread := _statements_behind(activity, loop.time() - since):
                    moving = {"statements unread": unread}
                await self._count()
                self.words = self._left(moving) + self._in_words(moving)
                shown.show(self.tallies, self.words)
                quiet = 0 if moving else quiet + 1
                if loop.time() > deadline:
                    raise Stuck(f"not drained after {limit_s:.0f} s: {moving}")
                await asyncio.sleep(
                    min(max(_POLL_S, _SHARE * (loop.time() - began)), _LONGEST_S) if moving else _POLL_S
                )

    async def _moving(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What still moves, empty when only statements may be unread; and the API's own answer."""
        try:
            self.funnel = await self._core.call("GET", "/v1/funnel")
            activity = await self._core.call("GET", "/v1/activity")
        except (ApiError, httpx.HTTPError) as error:
            return {"api": type(error).__name__}, {}
        moving = {name: count for name, count in activity["moving"].items() if count}
        for partner, url in self._cluster.mocks.items():
            try:
                pending = (await self._http.get(f"{url}/__mock__/pending")).json()
            except httpx.TransportError as error:
                pending = {type(error).__name__: 1}
            moving.update({f"{partner} {name}": count for name, count in pending.items() if count})
        if self._player.busy:
            moving["people at pages"] = self._player.busy
        return moving, activity

    async def _count(self) -> None:
        """The bars anew; as they were while the store is away."""
        today = jakarta_day(SystemClock().now())
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self.tallies = await read_tallies(self._cluster.database_url, today, playing=self._player.busy > 0)

    def _in_words(self, moving: Mapping[str, Any]) -> str:
        what = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in moving.items())
        if not what:
            return "drained"
        left_s = 0.0
        if (at := self._player.walked_away_at) is not None and moving.get("links_in_progress"):
            left_s = at + self._page_life_s - asyncio.get_running_loop().time()
        walked = f"; somebody walked away from a page, which lives {left_s:.0f} s more" if left_s > 0 else ""
        return f"still moving: {what}{walked}"

    def _left(self, moving: Mapping[str, Any]) -> str:
        """How long still, of a backlog that moves."""
        settled, due = (sum(getattr(tally, name) for tally in self.tallies.values()) for name in ("settled", "due"))
        left_s = self._pace.left_s(time.monotonic(), settled, due)
        return in_words(left_s) if moving else ""


def _statements_behind(activity: Mapping[str, Any], quiet_s: float) -> int:
    """Partners whose statement was not read since everything fell quiet: a reversal may stand there only."""
    return sum(1 for age_s in activity["statement_age_s"].values() if age_s is None or age_s > quiet_s)


def _rest(tally: Tally) -> str:
    """Whose turn it is for what is not paid."""
    return ", ".join(f"{name} {count}" for name, count in sorted(tally.waits.items()))


class _Bars:
    """In a terminal: a bar a partner of what is due, full and green at the end, and what still moves."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<8}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rest]}", table_column=Column(no_wrap=True, overflow="ellipsis")),
            console=console,
        )
        self._status = Text(style="dim", overflow="ellipsis", no_wrap=True)
        self._live = Live(Group(self._progress, self._status), console=console, refresh_per_second=4)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> _Bars:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, tallies: Mapping[str, Tally], moving: str) -> None:
        self._status.plain = moving
        for partner, tally in tallies.items():
            if partner not in self._tasks:
                self._tasks[partner] = self._progress.add_task(partner, total=tally.due, rest="")
            rest = f"[green]paid {tally.paid}[/]" + (f"[dim], waits for {_rest(tally)}[/]" if tally.waits else "")
            self._progress.update(self._tasks[partner], completed=tally.settled, total=tally.due, rest=rest)


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

    def show(self, tallies: Mapping[str, Tally], moving: str) -> None:
        now = time.monotonic()
        parts = [f"{partner} {tally.settled}/{tally.due} (paid {tally.paid})" for partner, tally in tallies.items()]
        self._last = f"{now - self._began:6.1f} s  settled of what is due: {', '.join(parts)}; {moving}"
        if now >= self._next:
            self._console.print(self._last, soft_wrap=True, highlight=False)
            self._last, self._next = "", now + _LINE_S
