"""Workers, API, Valkey and PostgreSQL killed again and again while payouts run over HTTP: none doubled, none lost."""

from __future__ import annotations

import asyncio
import io
import os
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import asyncpg
import httpx
import msgspec
import pytest
from rich.console import Console

from gateway.clock import SystemClock
from gateway.demo.cluster import Cluster, running
from gateway.demo.core import Client
from gateway.demo.drain import Stuck, Watch
from gateway.demo.player import Player
from gateway.demo.run import RETURN_URL, WAITS, audit_books, clients, hand_over, remove
from gateway.embedded.process import demonstrations, own_directory
from gateway.security.clients import Registered, register
from gateway.services.payouts.rules import LEASE_S
from gateway.storage.base.database import Database
from tests.crash.crowd import Crowd, make_crowd
from tests.crash.killer import KINDS, Killer, plan
from tests.crash.nodes import second_api
from tests.crash.pauser import Pauser

WORKERS = 2
QUICK_WAITS = WAITS.replace("absence_s=6", "absence_s=2").replace("statement_sweep_s=2", "statement_sweep_s=0.5")


class Size(NamedTuple):
    """How much is paid, how often something is killed, how often partners are paused, and how long it may take."""

    people: int
    instalments: int
    kills: int
    pause_every_s: float
    pause_s: float
    limit_s: float


SMALL, LONG = Size(8, 20, 4, 1.0, 0.5, 240.0), Size(200, 50, 100, 6.0, 1.0, 1_800.0)
NODES = Size(60, 20, 24, 6.0, 1.0, 900.0)
"""Of the run with two API nodes and four workers."""


@pytest.fixture
def folder() -> Iterator[Path]:
    path = demonstrations() / f"crash-{os.getpid()}"
    own_directory(path, 0o755)
    yield path
    remove(path)


class Play:
    """The core platform, its approvers and the participants, at a running cluster."""

    def __init__(
        self, cluster: Cluster, core: Client, approvers: list[Client], operator: Client, pages: httpx.AsyncClient
    ) -> None:
        self.cluster, self.core, self.approvers, self.pages = cluster, core, approvers, pages
        self.operator = operator
        self.player = Player(core, pages, mocks=cluster.mocks, return_url=RETURN_URL, seed=1)
        self.console = Console(file=io.StringIO())

    async def hand_over(self, crowd: Crowd, file: Path) -> None:
        cohort = msgspec.structs.replace(crowd.cohort, incentives=file)
        await hand_over(cohort, self.core, self.approvers, self.console)

    async def drained(self, playing: asyncio.Task[None], limit_s: float) -> str:
        """Wait until nothing moves any more; what still does when the time is up."""
        watch = Watch(self.core, self.pages, self.cluster, self.player, self.console)
        try:
            await watch.until_drained(limit_s=limit_s, playing=playing)
        except Stuck as stuck:
            return str(stuck)
        return ""


@asynccontextmanager
async def playing(cluster: Cluster, staff_url: str | None = None) -> AsyncIterator[Play]:
    """`staff_url`: another API node that approvers and the operator use."""
    maker, *approvers = await clients(cluster)
    async with (
        httpx.AsyncClient(base_url=cluster.api_url, timeout=30.0) as api,
        httpx.AsyncClient(base_url=staff_url or cluster.api_url, timeout=30.0) as staff,
        httpx.AsyncClient(timeout=30.0) as pages,
    ):
        core = Client(api, maker.client_id, maker.secret)
        approving = [Client(staff, one.client_id, one.secret) for one in approvers]
        operator = await _operator(cluster)
        yield Play(cluster, core, approving, Client(staff, operator.client_id, operator.secret), pages)


async def _operator(cluster: Cluster) -> Registered:
    database = await Database.open(cluster.database_url, size=1)
    try:
        return await register(database, SystemClock().now(), name="pauser", scopes=["ops", "read"])
    finally:
        await database.close()


async def _last_api(stack: AsyncExitStack, cluster: Cluster, apis: int, restarts: int) -> str:
    """The address of the second API node, where two are wanted; else of the one."""
    return await stack.enter_async_context(second_api(cluster, restarts=restarts)) if apis == 2 else cluster.api_url


async def bring_forward(cluster: Cluster) -> None:
    """What a killed worker had leased is free after half a minute, and what it had begun to send is in doubt once its
    time-outs are over. The small run lets both be over after seconds.
    """
    while True:
        try:
            connection = await asyncpg.connect(cluster.database_url, timeout=5)
            try:
                await connection.execute(
                    "UPDATE payouts SET sent_deadline = now() WHERE state IN ('submitting', 'preparing')"
                    " AND sent_at < now() - interval '2 s' AND sent_deadline > now()"
                )
                await connection.execute(
                    "UPDATE payouts SET lease_until = now() WHERE lease_until > now()"
                    " AND lease_until < now() + make_interval(secs => $1)",
                    LEASE_S - 2.0,
                )
            finally:
                connection.terminate()
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            pass  # it is being killed: at the next turn
        await asyncio.sleep(0.5)


@pytest.mark.parametrize("seed", [1])
async def test_kills_cost_nothing(folder: Path, seed: int, long: bool) -> None:
    await killing(folder, LONG if long else SMALL, seed, long=long)


async def test_kills_of_two_api_nodes_and_four_workers_cost_nothing(folder: Path, long: bool) -> None:
    if not long:
        pytest.skip("two API nodes and four workers were NOT killed: it takes minutes (--long)")
    await killing(folder, NODES, 2, long=True, workers=4, apis=2)


async def killing(folder: Path, size: Size, seed: int, *, long: bool, workers: int = WORKERS, apis: int = 1) -> None:
    crowd = make_crowd(folder, seed=seed, people=size.people, instalments=size.instalments)
    planned = plan(
        random.Random(f"kills {seed}"),
        kills=size.kills,
        after=size.people,
        payouts=crowd.payouts,
        workers=workers,
        apis=apis,
    )
    async with (
        asyncio.timeout(size.limit_s),
        running(
            folder,
            world=crowd.cohort.world,
            workers=workers,
            waits=WAITS if long else QUICK_WAITS,
            seed=seed,
            say=lambda text: None,
            settings={} if long else {"GATEWAY_MAX_IN_FLIGHT": "4"},
            api_restarts=size.kills,
            worker_restarts=size.kills,
        ) as cluster,
        AsyncExitStack() as nodes,
        playing(cluster, await _last_api(nodes, cluster, apis, size.kills)) as play,
        asyncio.TaskGroup() as group,
    ):
        await play.hand_over(crowd, crowd.first)
        linking = group.create_task(play.player.play(crowd.cohort.people))
        await linking
        assert play.player.problems == []
        killer = Killer(cluster, planned)
        hastening = None if long else group.create_task(bring_forward(cluster))
        over = asyncio.Event()
        pauser = Pauser(play.operator, play.pages, cluster, random.Random(f"pauses {seed}"))
        killing = group.create_task(killer.run())
        pausing = group.create_task(pauser.run(over, every_s=size.pause_every_s, hold_s=size.pause_s))
        await play.hand_over(crowd, crowd.rest)
        await killing
        over.set()
        await pausing
        left = await play.drained(linking, size.limit_s / 2)
        found = await audit_books(cluster, crowd.cohort, play.pages)
        if hastening is not None:
            hastening.cancel()
        print(f"{dict(killer.killed)} killed, {dict(killer.caught)} caught, {found.payouts}, {found.partner_calls}")
        print(
            f"{pauser.answered} pauses answered, {pauser.waited} of them had to wait, {len(pauser.left)} left after it,"
            f" {pauser.in_doubt} creates that were in doubt before"
        )
        assert pauser.left == []
        assert pauser.answered > 0, "nobody paused anything"
        assert found.audit.clean() and not left, (found.audit, left)
        assert found.payouts["succeeded"] == crowd.payouts
        assert set(killer.killed) == set(KINDS) and killer.killed.total() == size.kills
        assert killer.caught.total() > 0, "no kill struck while something was on its way"
