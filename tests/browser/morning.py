"""The morning that an operator meets, made by real processes over mock partners that misbehave by a scenario: LinkAja
answers 502, answers of BNI were lost and its look-ups fail, one of OVO's accounts refuses each payment, batches wait.

`python -m tests.browser.morning` makes it, prints it as JSON on one line, and ends when its input does.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
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
from gateway.embedded.process import demonstrations, own_directory
from gateway.security.clients import Registered
from gateway.security.vault import Vault
from gateway.services.ops.operators import Enrolled, Operators
from gateway.storage.base.database import Database

SCREENS = ("phone", "wide")
"""One batch that waits and one payout in doubt for each screen."""
SCENARIOS = {
    "linkaja": """
[[rule]]
name = "a proxy whose backend is gone"
when = { operation = ["inquiry", "payout"] }
do = { outage = "bad_gateway" }
""",
    "bni": """
[[rule]]
name = "the answers of the first two are lost"
when = { operation = "payout", to = 2 }
do = { drop_after_booking = true }
[[rule]]
name = "and nobody tells what became of them"
when = { operation = ["status", "statement"] }
do = { status = 500, body = "busy" }
""",
    "ovo": """
[[rule]]
name = "one account's payments fail without a reason"
when = { account = "ACCOUNT" }
do = { behave = "pay:pending_then_failed" }
""",
}
_LIMIT_S, _LOOK_S = 240.0, 0.5
_STANDS = """
SELECT (SELECT count(*) FROM payouts WHERE partner = 'bni' AND state = 'unknown') = 2
    AND EXISTS (SELECT FROM holds WHERE partner = 'linkaja' AND stage = 'payout' AND released_at IS NULL)
    AND EXISTS (SELECT FROM incentives WHERE partner = 'linkaja' AND blocker = 'partner_unavailable')
    AND EXISTS (SELECT FROM cases WHERE partner = 'ovo' AND closed_at IS NULL)
    AND EXISTS (SELECT FROM incentives WHERE stage = 'paid')
    AND EXISTS (SELECT FROM backlog_samples WHERE partner = 'linkaja' AND stage = 'payout' AND due > 0)
"""


class Morning(msgspec.Struct, frozen=True, kw_only=True):
    """What stands, and who is there to act."""

    url: str
    environment: dict[str, str]
    """Of the commands."""
    people: dict[str, Enrolled]
    """By name; each does one thing that needs a code."""
    approver: Registered
    """A client that approves batches."""
    in_doubt: dict[str, dict[str, Any]]
    """A payout for each screen: id, reference, participant_id."""
    batches: dict[str, dict[str, Any]]
    """One that waits, for each screen."""


def waiting(cohort: Cohort, period: int) -> bytes:
    """Another instalment of the first few people, to be handed over as a batch of its own."""
    head, *rows = cohort.incentives.read_text().splitlines()
    changed = (row.split(",") for row in rows[:5])
    return "\n".join([head, *(",".join([*row[:2], str(period), *row[3:]]) for row in changed), ""]).encode()


def peaceful() -> Cohort:
    """Those of the shipped cohort who do nothing out of the way."""
    cohort = read_cohort(SMALL / "incentives.csv", SMALL / "world.csv", None)
    return msgspec.structs.replace(cohort, people=tuple(one for one in cohort.people if not one.behaviour))


async def enrolled(cluster: Cluster) -> dict[str, Enrolled]:
    """Two at the pages for each screen, and others for what is done in a terminal: a code is good once."""
    database = await Database.open(cluster.database_url, size=1)
    try:
        key = base64.b64decode(cluster.environment["GATEWAY_MASTER_KEY"])
        operators = Operators(database, SystemClock(), Vault(key))
        names = [(f"{role}-{at}", role) for at in SCREENS for role in ("operator", "approver", "pauses", "settles")]
        return {
            name: await operators.enrol(name, ("approver" if role == "approver" else "operator",), actor="test")
            for name, role in names
        }
    finally:
        await database.close()


async def until(stands: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(_LIMIT_S):
        while not await stands():
            await asyncio.sleep(_LOOK_S)


@asynccontextmanager
async def made() -> AsyncIterator[Morning]:
    folder, cohort = demonstrations() / f"morning-{os.getpid()}", peaceful()
    own_directory(folder, 0o755)
    async with AsyncExitStack() as stack:
        stack.callback(remove, folder)
        cluster = await stack.enter_async_context(
            running(folder, world=cohort.world, workers=1, waits=WAITS, seed=1, say=lambda _: None)
        )
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=cluster.api_url, timeout=60.0))
        mocks = await stack.enter_async_context(httpx.AsyncClient(timeout=60.0))
        account = next(one.account.reveal() for one in cohort.people if one.partner == "ovo")
        for partner, rules in SCENARIOS.items():
            text = 'title = "a morning"\n' + rules.replace("ACCOUNT", account)
            (await mocks.put(f"{cluster.mocks[partner]}/__mock__/scenario", content=text)).raise_for_status()
        maker, *approvers = await clients(cluster)
        core, *approving = (Client(http, one.client_id, one.secret) for one in (maker, *approvers))
        await hand_over(cohort, core, approving, Console(quiet=True))
        player = Player(core, mocks, mocks=cluster.mocks, return_url=RETURN_URL, seed=1)
        playing = asyncio.create_task(player.play(cohort.people))
        stack.push_async_callback(functools.partial(asyncio.gather, playing, return_exceptions=True))
        stack.callback(playing.cancel)
        connection = await asyncpg.connect(cluster.database_url)
        stack.push_async_callback(connection.close)
        await until(functools.partial(connection.fetchval, _STANDS))
        in_doubt = await connection.fetch(
            "SELECT p.id, p.reference, t.participant_id FROM payouts p JOIN participants t ON t.id = p.participant"
            " WHERE p.state = 'unknown' AND p.partner = 'bni' ORDER BY p.id"
        )
        batches = {at: await core.submit_batch(waiting(cohort, 10 + n), f"waits-{at}") for n, at in enumerate(SCREENS)}
        yield Morning(
            url=cluster.api_url,
            environment=cluster.environment,
            people=await enrolled(cluster),
            approver=approvers[0],
            in_doubt={at: dict(one) for at, one in zip(SCREENS, in_doubt, strict=True)},
            batches=batches,
        )


@pytest.fixture(scope="module")
def morning(request: pytest.FixtureRequest) -> Iterator[Morning]:
    """Made by a process of its own: servers end with the thread that starts them, and the browser has this one."""
    if not request.config.getoption("--long"):
        pytest.skip("a morning was NOT made of real processes: it takes half a minute (--long)")
    command = [sys.executable, "-m", "tests.browser.morning"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdin is not None
        try:
            yield msgspec.json.decode(process.stdout.readline(), type=Morning)
        finally:
            process.stdin.close()
            process.wait(120)


async def stand() -> None:
    """Until nothing is to be read any more."""
    async with made() as found:
        print(msgspec.json.encode(found).decode(), flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(stand())
