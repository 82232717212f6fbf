"""One demonstration from start to audit."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shutil
import time
from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import msgspec
from rich.console import Console

from gateway.clock import SystemClock, jakarta_day
from gateway.demo.audit import Findings, audit, read_books
from gateway.demo.carrier import Carrier
from gateway.demo.cluster import Cluster, peak_mb, running
from gateway.demo.cohort import Cohort
from gateway.demo.core import Client
from gateway.demo.drain import Watch
from gateway.demo.player import Player
from gateway.demo.stage import Stage, staged
from gateway.security.clients import Registered, register
from gateway.storage.base.database import Database

WAITS = (
    "link_life_s=30,lookup_first_s=0.3,absence_s=6,clocks_s=1,confirm_rejection_s=1,settlement_s=0.5,"
    "verification_retry_s=0.5,reversal_s=3,statement_sweep_s=2,second_look_s=3,hard_look_s=6"
)
"""What the demonstration shortens, on both sides; the table with the real values is in docs/demo.md."""
A_SWEEP = "statement_sweep_s=2"
assert A_SWEEP in WAITS
PEOPLE_A_SECOND = 300
"""A statement grows with the people and is read as a whole: of many, less often, a second for so many of them."""
_CONNECTIONS = 64
RETURN_URL = "http://127.0.0.1:9/prakerja/linked"
"""Where core wants the browser back; the player's browser stops there."""


def waits_for(people: int) -> str:
    """`WAITS` for so many people."""
    return WAITS.replace(A_SWEEP, f"statement_sweep_s={max(2, people // PEOPLE_A_SECOND)}")


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A demonstration's result: what `--json` writes."""

    findings: Findings
    funnel: Any
    wall_s: float
    problems: list[str]
    """What did not go as a person at a page would expect."""
    restarts: dict[str, int]
    """Workers that ended and were started again."""
    peak_mb: dict[str, int]
    """The most memory of each process, PostgreSQL's and Valkey's left out."""

    def as_json(self) -> bytes:
        """Flat, as machines want it."""
        found = msgspec.structs.asdict(self.findings)
        rest = msgspec.structs.asdict(self)
        del rest["findings"]
        return msgspec.json.format(msgspec.json.encode(found | rest), indent=2)


async def demonstrate(
    cohort: Cohort,
    *,
    folder: Path,
    seed: int,
    workers: int,
    limit_s: float,
    console: Console,
    scenario: Path | None = None,
    port_base: int | None = None,
    started: Callable[[Cluster, Stage], None],
    finished: Callable[[Cluster, Stage, Report], Awaitable[None]],
) -> Report:
    """Start everything in `folder`, hand the cohort over, play it, wait until it is drained, audit.

    `started(cluster, stage)` is told when everything runs, `finished(cluster, stage, report)` is awaited before it is
    ended.
    Raises what its parts raise: `ClusterError`, `Stuck`.
    """
    began = time.monotonic()
    waits = waits_for(len(cohort.people))

    def say(text: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:6.1f} s[/]  starting {text}")

    async with (
        running(
            folder, world=cohort.world, workers=workers, waits=waits, seed=seed, say=say, scenario=scenario,
            port_base=port_base,
        ) as cluster,
        staged(cluster, cohort) as stage,
    ):  # fmt: skip
        started(cluster, stage)
        maker, *approvers = await clients(cluster, stage.return_url)
        async with (
            httpx.AsyncClient(base_url=cluster.api_url, timeout=30.0, transport=Carrier(_CONNECTIONS)) as api,
            httpx.AsyncClient(timeout=30.0, transport=Carrier(_CONNECTIONS)) as pages,
        ):
            core = Client(api, maker.client_id, maker.secret)
            await hand_over(cohort, core, [Client(api, a.client_id, a.secret) for a in approvers], console)
            player = Player(core, pages, mocks=cluster.mocks, return_url=RETURN_URL, seed=seed)
            playing = asyncio.create_task(player.play(cohort.people), name="player")
            try:
                watch = Watch(core, pages, cluster, player, console)
                stage.follow(watch, core)
                await watch.until_drained(limit_s=limit_s, playing=playing)
            finally:
                playing.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await playing
            report = Report(
                findings=await audit_books(cluster, cohort, pages),
                funnel=watch.funnel,
                wall_s=round(time.monotonic() - began, 1),
                problems=player.problems,
                restarts={name: p.restarted for name, p in cluster.processes.items() if p.restarted},
                peak_mb={name: peak_mb(pid) for name, pid in cluster.pids().items()},
            )
            await finished(cluster, stage, report)
    return report


ORGANISATION = "prakerja"
"""Whose rows the demonstration's are: a client made for the same one sees them."""


async def clients(cluster: Cluster, *more_return_urls: str) -> list[Registered]:
    """A maker who acts for the core platform, and two approvers."""
    database = await Database.open(cluster.database_url, size=1)
    now = SystemClock().now()
    maker = ["links", "verifications", "incentives", "payouts", "batches", "read"]
    try:
        return [
            await register(
                database,
                now,
                name="core",
                scopes=maker,
                return_urls=[RETURN_URL, *more_return_urls],
                organisation=ORGANISATION,
            ),
            await register(database, now, name="approver one", scopes=["batches:approve", "read"]),
            await register(database, now, name="approver two", scopes=["batches:approve", "read"]),
        ]
    finally:
        await database.close()


async def hand_over(cohort: Cohort, core: Client, approvers: list[Client], console: Console) -> None:
    """The cohort's incentives as a batch, approved by everyone."""
    content = await asyncio.to_thread(cohort.incentives.read_bytes)
    key = f"demo-{hashlib.sha256(content).hexdigest()[:16]}"
    for programme, purposes in cohort.programmes().items():
        await core.call("POST", "/v1/programmes", json={"programme": programme, "purposes": purposes})
    batch = await core.submit_batch(content, key)
    console.print(
        f"batch {batch['batch_id']}: {batch['rows_accepted']} incentives accepted, "
        f"{batch['rows_rejected']} refused, {batch['rows_repeated']} repeated"
    )
    for approver in approvers:
        decision = {"decision": "approve", "content_root": batch["content_root"]}
        await approver.call("POST", f"/v1/batches/{batch['batch_id']}/approvals", json=decision)


async def audit_books(cluster: Cluster, cohort: Cohort, http: httpx.AsyncClient) -> Findings:
    """The gateway's books against each mock's own, and each outcome against what is expected."""
    today: date = jakarta_day(SystemClock().now())
    return await audit(cluster.database_url, await read_books(http, cluster.mocks), cohort, today=today)


def remove(folder: Path) -> None:
    """Delete the demonstration's data."""
    shutil.rmtree(folder, ignore_errors=True)
