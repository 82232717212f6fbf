"""`python -m tests.bench.checks`: NIK checks at a partner that takes half a second for each and allows 50 a second.

First the programme's own number in virtual time over a real Valkey, by one, two and four workers; then so many minutes
in real time: four worker processes, the mock, PostgreSQL. Ends with 1 where they took more than 1.05 of what the quota
needs, or where any second, wherever it begins, held more calls than the quota.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from adapters.registry import PARTNERS
from gateway.demo.cluster import bare_environment, free_ports, mock_credentials
from gateway.embedded import EmbeddedPostgres, EmbeddedValkey, data_home
from gateway.security.vault import Vault
from gateway.settings import from_environment
from gateway.storage.base import witness
from gateway.storage.base.migrate import migrate
from tests.bench import people
from tests.bench.__main__ import console
from tests.bench.linked import link
from tests.bench.servers import answers, environment, process
from tests.gateway.partners.paced import CHECKS_A_SECOND, check_all, in_virtual_time, most_in

WORKERS = 1, 2, 4
MOST = 1.05
"""Of the time that the quota needs."""
WARM_S, SPARE_S = 8.0, 7.0
"""Until all workers are under way, and for how much longer than is measured there is work."""
BEGUN_S = 120.0
SLOW = """
title = "Half a second for each NIK check"
[[rule]]
name = "slow"
when = { operation = "verify" }
do = { delay_s = 0.5 }
"""
OPENED = """
INSERT INTO verifications (id, participant, link_id, nik_index, state, next_attempt_at, created_at)
SELECT new_id(now() + row_number() OVER () / 5000 * interval '1 second'), id, link_id, nik_index, 'open', now(), now()
FROM participants
"""
"""A millisecond has no more than 10,000 ids."""
SAID = "SELECT operation, status, error, count(*) FROM exchanges GROUP BY 1, 2, 3"
LEFT = "SELECT extract(epoch FROM at)::float8 FROM exchanges WHERE operation = 'identity.verify' ORDER BY at"


def verdict(left: list[float], workers: int, checks: int, took_s: float) -> dict[str, Any]:
    """`left`: when each call left, in seconds; so many of them within `took_s`. `one_more_within_s`: the shortest time
    in which one call more left than a second may hold; below 1 it says by how much the quota was missed.
    """
    of_needed, most = took_s * CHECKS_A_SECOND / max(1, checks), most_in(left, 1.0)
    one_more = int(CHECKS_A_SECOND)
    spans = [late - early for early, late in zip(left, left[one_more:], strict=False)]
    return {
        "workers": workers,
        "checks": checks,
        "took_s": round(took_s, 1),
        "of_needed": round(of_needed, 4),
        "most_in_a_second": most,
        "one_more_within_s": round(min(spans, default=0.0), 4),
        "seconds_above": sum(span < 1.0 for span in spans),
        "held": of_needed <= MOST and most <= CHECKS_A_SECOND,
    }


async def virtual(folder: Path, checks: int, workers: int) -> dict[str, Any]:
    """All of them in the lanes of so many workers; each is made once, or this fails."""
    async with EmbeddedValkey(folder / f"valkey-{workers}") as valkey:
        began = time.monotonic()
        world = await asyncio.to_thread(
            in_virtual_time, valkey.url, 11, lambda world: check_all(world, checks, workers=workers)
        )
        found = verdict(world.left, workers, len(world.left), world.left[-1] - world.left[0])
        return {**found, "measured_in_s": round(time.monotonic() - began, 1)}


async def real(folder: Path, minutes: float, workers: int) -> dict[str, Any]:
    """So many minutes of worker processes, by the journal of what left and when."""
    number = int((60 * minutes + WARM_S + SPARE_S) * CHECKS_A_SECOND)
    people.write_world(folder / "world.csv", number)
    async with contextlib.AsyncExitStack() as stack:
        postgres = await stack.enter_async_context(EmbeddedPostgres(folder / "postgres"))
        valkey = await stack.enter_async_context(EmbeddedValkey(folder / "valkey"))
        await migrate(postgres.dsn)
        key = os.urandom(32)
        await witness.keep(postgres.dsn, Vault(key))
        ports = free_ports().mocks
        mock = ("mock_partners", "serve", "--world", str(folder / "world.csv"), "--port-base", str(ports))
        await stack.enter_async_context(process(folder / "mock.log", bare_environment(), *mock))
        bni = f"http://127.0.0.1:{ports + 1}"
        await answers(f"{bni}/__mock__/health")
        variables = environment(
            postgres.dsn, valkey.url, key, await mock_credentials(ports), GATEWAY_QUOTAS=f"bni={CHECKS_A_SECOND:g}"
        )
        settings = from_environment(variables, {slug: partner.manifest for slug, partner in PARTNERS.items()})
        grants = await link(settings, bni, number)
        async with httpx.AsyncClient(trust_env=False) as http:
            (await http.put(f"{bni}/__mock__/scenario", content=SLOW.encode())).raise_for_status()
        connection = await asyncpg.connect(postgres.dsn)
        stack.push_async_callback(connection.close)
        await people.store(connection, Vault(key), number, 1, grants=grants)
        await connection.execute(OPENED)
        for n in range(workers):
            await stack.enter_async_context(process(folder / f"worker-{n}.log", variables, "gateway", "worker"))
        async with asyncio.timeout(BEGUN_S):
            while not await connection.fetchval(LEFT):
                await asyncio.sleep(0.5)
        await asyncio.sleep(60 * minutes + WARM_S + 1.0)  # and until the journal has it
        left = [row[0] for row in await connection.fetch(LEFT)]
        decided = await connection.fetchval("SELECT count(*) FROM verifications WHERE verdict = 'match'")
        said = await connection.fetch(SAID)
    if decided < len(left) / 2:
        raise SystemExit(f"{said}\n{(folder / 'worker-0.log').read_text()[-2000:]}")
    # Of so many seconds, not from the first call to the last: a run that stood still at its end must not look quick.
    begun, took_s = left[0] + WARM_S, 60 * minutes
    within = sum(begun <= at < begun + took_s for at in left)
    return {**verdict(left, workers, within, took_s), "matched": decided}


async def _run(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {"virtual": [], "real": None}
    for workers in arguments.workers if arguments.checks else ():
        found["virtual"].append(await virtual(folder, arguments.checks, workers))
        console.print(f"virtual time: {found['virtual'][-1]}", style="dim")
    if arguments.minutes:
        found["real"] = await real(folder, arguments.minutes, max(arguments.workers))
        console.print(f"real time: {found['real']}", style="dim")
    return found


def main() -> int:
    """Measure, show, and write the figures down."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.checks", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--checks", type=int, default=456_265, help="in virtual time; 0: none")
    parser.add_argument("--workers", type=int, nargs="+", default=WORKERS, help="each in turn; in real time the most")
    parser.add_argument("--minutes", type=float, default=10.0, help="in real time; 0: none")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        found = asyncio.run(_run(data_home(Path(folder) / "servers"), arguments))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")
    measured = [*found["virtual"], *([found["real"]] if found["real"] else [])]
    missed = [one for one in measured if not one["held"]]
    console.print(
        f"{len(measured) - len(missed)} of {len(measured)} held" + "".join(f"\nmissed: {one}" for one in missed)
    )
    return 1 if missed or not measured else 0


if __name__ == "__main__":
    sys.exit(main())
