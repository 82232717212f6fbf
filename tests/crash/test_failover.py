"""The database's primary dies while payouts run, and its standby is promoted.

A synchronous standby has each commit: work goes on by itself. One that was behind has forgotten payouts that have left:
it must hold every partner by itself, and `gateway recover` finds them.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from adapters.registry import PARTNERS
from gateway.demo.cluster import Cluster, running
from gateway.demo.core import ApiError
from gateway.demo.run import WAITS, audit_books
from tests.crash.crowd import make_crowd
from tests.crash.pair import Primary, pair
from tests.crash.test_crash import WORKERS, Play, folder, playing

__all__ = ["folder"]
SIZE = 200, 25
"""People, and instalments of each."""
LIMIT_S = 1_800.0
MOST_TRIES = 200
HELD_S = 3.0
POLL_S = 0.05


async def rows(dsn: str, query: str) -> list[Any]:
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        return list(await connection.fetch(query))
    finally:
        await connection.close()


async def until_paid(primary: Primary, wanted: int) -> int:
    """Wait for so many payments; how many there are."""
    while True:
        paid = (await rows(primary.dsn, "SELECT count(*)::int AS n FROM payouts WHERE state = 'succeeded'"))[0]["n"]
        if paid >= wanted:
            return int(paid)
        await asyncio.sleep(POLL_S)


async def payouts(primary: Primary) -> set[int]:
    """All that are committed."""
    return {row["id"] for row in await rows(primary.dsn, "SELECT id FROM payouts")}


async def each_partner(play: Play, what: str) -> None:
    """Pause or resume every partner; asked again while the API has no database."""
    for partner in sorted(PARTNERS):
        body = {"json": {"reason": "before the primary dies"}} if what == "pause" else {}
        for _ in range(MOST_TRIES):
            with contextlib.suppress(ApiError, httpx.TransportError):
                await play.operator.call("POST", f"/v1/partners/{partner}/{what}", **body)
                break
            await asyncio.sleep(POLL_S)


async def left_since(cluster: Cluster, play: Play, moment_s: float) -> list[str]:
    """Calls that move money, by the mocks' own logs."""
    found = []
    for url in cluster.mocks.values():
        reply = await play.pages.get(f"{url}/__mock__/requests", params={"operation": "payout", "limit": "500"})
        calls = reply.json()["requests"]
        found += [call["at"] for call in calls if datetime.fromisoformat(call["at"]).timestamp() > moment_s]
    return found


async def recover(cluster: Cluster) -> tuple[int, str]:
    """`gateway recover`, as an operator runs it: its exit status and what it says."""
    command = [sys.executable, "-m", "gateway", "recover"]
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        *command, env=cluster.environment, stdout=pipe, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await child.communicate()
    return child.returncode or 0, said.decode()


@pytest.mark.parametrize("synchronous", [True, False], ids=["synchronous", "asynchronous"])
async def test_the_primary_dies(folder: Path, long: bool, synchronous: bool) -> None:
    """Payouts are made and sent after the standby has stopped hearing, so that it knows of none of them."""
    if not long:
        pytest.skip("the failover drill was NOT run: it takes minutes (make failover, --long)")
    people, instalments = SIZE
    crowd = make_crowd(folder, seed=2, people=people, instalments=instalments, step_rupiah=100)
    async with (
        asyncio.timeout(LIMIT_S),
        pair(folder) as primary,
        running(
            folder, world=crowd.cohort.world, workers=WORKERS, waits=WAITS, seed=2, say=lambda text: None,
            settings={"GATEWAY_MAX_IN_FLIGHT": "4"}, store=primary,
        ) as cluster,
        playing(cluster) as play,
        asyncio.TaskGroup() as group,
    ):  # fmt: skip
        await primary.follow(synchronous=synchronous)
        await play.hand_over(crowd, crowd.first)
        linking = group.create_task(play.player.play(crowd.cohort.people))
        await linking
        await each_partner(play, "pause")
        await play.hand_over(crowd, crowd.rest)
        if not synchronous:
            await primary.lag()
        await each_partner(play, "resume")
        paid = await until_paid(primary, crowd.payouts * 2 // 5)
        committed = await payouts(primary)
        await primary.die()
        await primary.promote()
        forgotten = committed - await payouts(primary)
        if synchronous:
            assert not forgotten
        else:
            assert forgotten, "the standby had everything: nothing was tried"
            await each_partner(play, "resume")  # which was forgotten as well
            await is_held(cluster, play)
            status, said = await recover(cluster)
            assert status == 0, said
        left = await play.drained(linking, LIMIT_S / 2)
        found = await audit_books(cluster, crowd.cohort, play.pages)
        held = await rows(primary.dsn, "SELECT demanded FROM recoveries")
        print(f"{paid} were paid when the primary died; {len(forgotten)} payouts forgotten; {len(held)} partners held")
        assert found.audit.clean() and not left, (found.audit, left)
        assert found.payouts["succeeded"] == crowd.payouts
        assert len(held) == (0 if synchronous else len(PARTNERS))


async def is_held(cluster: Cluster, play: Play) -> None:
    """Every partner is held by the store, says so, and nothing more leaves."""
    while len(await rows(cluster.database_url, "SELECT FROM recoveries WHERE demanded IS NOT NULL")) < len(PARTNERS):
        await asyncio.sleep(POLL_S)
    since_s = time.time()
    await asyncio.sleep(HELD_S)
    assert await left_since(cluster, play, since_s) == []
