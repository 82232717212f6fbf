"""Partners that are away, in real processes: every place that should says so within seconds, and nobody waits longer
than a canary once they are back.

Three at once, each in its own way: LinkAja answers 502, BNI resets every connection, DANA has too many requests.
"""

from __future__ import annotations

import asyncio
import functools
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest
from rich.console import Console

from gateway.clock import SystemClock
from gateway.demo.cluster import Cluster, running
from gateway.demo.cohort import SMALL, Cohort, read_cohort
from gateway.demo.core import Client
from gateway.demo.player import Player
from gateway.demo.run import RETURN_URL, WAITS, clients, hand_over, remove
from gateway.demo.stage import Stage, staged
from gateway.embedded.process import demonstrations, own_directory
from gateway.security.clients import register
from gateway.storage.base.database import Database

SAYS_S, BACK_S = 30.0, 10.0
"""What is promised: from the first fault until all say so, and from the return until all are due again."""
SLACK = 6
"""A busy machine may take so many times as long; what it took is printed."""
_LOOK_S, _MOST_PAGES = 0.25, 50
AWAY = {
    "linkaja": ('do = { outage = "bad_gateway" }', "partner_unavailable"),
    "bni": ("do = { drop_before_booking = true }", "partner_unavailable"),
    "dana": ('do = { status = 429, body = "slow down" }', None),
}
"""By partner: what every call of a payout meets, and the blocker of what waits. Throttling keeps nobody waiting."""
_HELD_ROW = r'/ops/partners/(\w+)">[^<]*</a></td>\s*<td><span class="bad">'
"""A partner of the overview that does not run as usual."""
PLACES = ("funnel", "why", "partners", "metrics", "ops", "event")


def scenario(what: str) -> str:
    """For every call that is part of a payout; links and checks go on, so that there is something to pay."""
    return f'title = "away"\n[[rule]]\nname = "away"\nwhen = {{ operation = ["inquiry", "payout"] }}\n{what}\n'


@dataclass
class Watcher:
    """Asks every place about every partner, again and again."""

    api: Client
    http: httpx.AsyncClient
    operators: httpx.AsyncClient
    found: dict[tuple[str, str], datetime] = field(default_factory=dict)
    """When each place was first seen to say so of each partner."""
    held: set[str] = field(default_factory=set)
    cursor: str = ""

    async def look(self) -> None:
        """One round."""
        clock = SystemClock()
        rows = (await self.api.call("GET", "/v1/funnel"))["rows"]
        waiting = {(row["partner"], row["blocker"]) for row in rows}
        views = {view["partner"]: view for view in await self._partners()}
        metrics = (await self.http.get("/metrics")).text.splitlines()
        held = "".join(line for line in metrics if line.startswith("gateway_partner_held_seconds{"))
        overview = re.findall(_HELD_ROW, (await self.operators.get("/ops/live")).text)
        events = await self._events()
        for partner, (_, blocker) in AWAY.items():
            told = {
                "funnel": blocker is not None and (partner, blocker) in waiting,
                "why": blocker is not None and await self._why(partner, blocker),
                "partners": bool(views[partner]["holds"]),
                "metrics": f'partner="{partner}"' in held,
                "ops": partner in overview,
                "event": partner in events,
            }
            for place, says in told.items():
                if says:
                    self.found.setdefault((partner, place), clock.now())

    async def free(self, partner: str) -> bool:
        """Whether nothing at the partner waits for it any more."""
        rows = (await self.api.call("GET", "/v1/funnel"))["rows"]
        held = {view["partner"] for view in await self._partners() if view["holds"]}
        return partner not in held and not any(
            row["partner"] == partner and row["blocker"] == "partner_unavailable" for row in rows
        )

    async def _partners(self) -> list[dict[str, Any]]:
        told = await self.api.call("GET", "/v1/partners")
        found: list[dict[str, Any]] = told["partners"] if isinstance(told, dict) else told
        return found

    async def _why(self, partner: str, blocker: str) -> bool:
        found = await self.api.call("GET", "/v1/incentives", params={"partner": partner, "blocker": blocker})
        for one in found["incentives"][:1]:
            told = (await self.api.call("GET", f"/v1/incentives/{one['incentive_id']}"))["blocker"]
            return told is not None and told["code"] == blocker and told["next_attempt_at"] is not None
        return False

    async def _events(self) -> set[str]:
        """Partners that an event told of; read on from where the last round ended."""
        for _ in range(_MOST_PAGES):
            at = {"cursor": self.cursor} if self.cursor else {}
            told = await self.api.call("GET", "/v1/events", params={"limit": 1000} | at)
            self.held |= {event["subject"] for event in told["events"] if event["type"] == "partner.held"}
            self.cursor = told["next_cursor"] or self.cursor
            if len(told["events"]) < 1000:
                break
        return self.held


@dataclass
class Town:
    """Everything that runs, and everybody in it."""

    cluster: Cluster
    stage: Stage
    cohort: Cohort
    watcher: Watcher
    mocks: httpx.AsyncClient

    async def first_faults(self) -> dict[str, datetime]:
        """By partner, when a payout first met the fault there."""
        connection = await asyncpg.connect(self.cluster.database_url)
        try:
            rows = await connection.fetch(
                "SELECT partner, min(at) AS at FROM exchanges WHERE operation LIKE 'payout.%'"
                " AND (status IS NULL OR status >= 400) GROUP BY partner"
            )
        finally:
            await connection.close()
        return {row["partner"]: row["at"] for row in rows}


def well_behaved() -> Cohort:
    """Of the shipped cohort those who do nothing out of the way, at the partners that go away."""
    cohort = read_cohort(SMALL / "incentives.csv", SMALL / "world.csv", None)
    chosen = tuple(person for person in cohort.people if person.partner in AWAY and not person.behaviour)
    return msgspec.structs.replace(cohort, people=chosen)


@asynccontextmanager
async def town() -> AsyncIterator[Town]:
    folder, cohort = demonstrations() / f"away-{os.getpid()}", well_behaved()
    own_directory(folder, 0o755)
    try:
        async with (
            running(
                folder, world=cohort.world, workers=2, waits=WAITS, seed=1, say=lambda _: None,
            ) as cluster,
            staged(cluster, cohort) as stage,
            httpx.AsyncClient(base_url=cluster.api_url, timeout=60.0) as http,
            httpx.AsyncClient(timeout=60.0) as mocks,
            httpx.AsyncClient(
                base_url=cluster.api_url, timeout=60.0, cookies={"ops": await stage.signed_in()}
            ) as operators,
        ):  # fmt: skip
            for partner, (what, _) in AWAY.items():
                url = f"{cluster.mocks[partner]}/__mock__/scenario"
                (await mocks.put(url, content=scenario(what))).raise_for_status()
            maker, *approvers = await clients(cluster)
            database = await Database.open(cluster.database_url, size=1)
            try:
                operator = await register(database, SystemClock().now(), name="operator", scopes=["ops", "read"])
            finally:
                await database.close()
            core = Client(http, maker.client_id, maker.secret)
            approving = [Client(http, one.client_id, one.secret) for one in approvers]
            await hand_over(cohort, core, approving, Console(quiet=True))
            player = Player(core, mocks, mocks=cluster.mocks, return_url=RETURN_URL, seed=1)
            playing = asyncio.create_task(player.play(cohort.people))
            try:
                yield Town(
                    cluster,
                    stage,
                    cohort,
                    Watcher(Client(http, operator.client_id, operator.secret), http, operators),
                    mocks,
                )
            finally:
                playing.cancel()
                await asyncio.gather(playing, return_exceptions=True)
    finally:
        remove(folder)


async def until(true: Callable[[], Awaitable[bool]], limit_s: float, what: Callable[[], str]) -> float:
    """When it became true, in the event loop's seconds; fails after `limit_s`, saying `what`."""
    now = asyncio.get_running_loop().time
    deadline = now() + limit_s
    while not await true():
        assert now() < deadline, what()
        await asyncio.sleep(_LOOK_S)
    return now()


async def test_a_partner_that_is_away_is_told_everywhere_and_nobody_waits_once_it_is_back(
    long: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    if not long:
        pytest.skip("partners away were NOT watched: it takes half a minute (--long)")
    async with asyncio.timeout(500), town() as here:
        watcher = here.watcher
        wanted = {
            (partner, place)
            for partner, (_, blocker) in AWAY.items()
            for place in PLACES
            if blocker is not None or place not in ("funnel", "why")
        }

        async def told() -> bool:
            await watcher.look()
            return wanted <= watcher.found.keys()

        await until(told, 200.0, lambda: f"nothing says so: {sorted(wanted - watcher.found.keys())}")
        lines = []
        faults = await here.first_faults()
        for partner in AWAY:
            saw = {place: at for (who, place), at in sorted(watcher.found.items()) if who == partner}
            took = {place: (at - faults[partner]).total_seconds() for place, at in saw.items()}
            lines.append(f"{partner} away: " + ", ".join(f"{place} {s:.1f} s" for place, s in took.items()))
            assert max(took.values()) < SAYS_S * SLACK, lines[-1]
        for partner in AWAY:
            (await here.mocks.delete(f"{here.cluster.mocks[partner]}/__mock__/scenario")).raise_for_status()
            back = asyncio.get_running_loop().time()
            if AWAY[partner][1] is None:
                continue  # it keeps nobody waiting, and its hold ends with a minute without a refusal

            free = functools.partial(watcher.free, partner)
            took_s = await until(free, BACK_S * SLACK, f"{partner} still waits".__str__) - back
            lines.append(f"{partner} back: all due again after {took_s:.1f} s")
        with capsys.disabled():
            print("\n" + "\n".join(lines))
