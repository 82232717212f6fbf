"""`python -m tests.bench.rotation --rows 1000000`: the master key is changed under load.

So many sealed rows (half people, half links with a grant), clients that read and seal them all the while, then another
key: added, made the one that seals, everything sealed anew by `gateway keys rotate` as an operator runs it, the old
one retired. Ends with 1 where a request failed, something was left under the old key, or requests took longer than the
goal allows: their p99 at most 5 % over what it was before, on a machine that does nothing else. It tells every 10 s how
far it is, and gives up after two minutes and four times as long as the rate says; a million rows take some 15 minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
from rich.console import Console
from rich.table import Table

from gateway.clock import SystemClock
from gateway.embedded import EmbeddedPostgres, data_home
from gateway.security import places
from gateway.security.vault import Vault
from gateway.services.ops.keys import SETTLED, Keys
from gateway.storage.base import witness
from gateway.storage.base.database import Database
from gateway.storage.base.migrate import migrate

OLD, NEW = bytes(range(32)), bytes(range(1, 33))
CLIENTS = 4
PAUSE_S = 0.02
"""Between two requests of a client."""
TELL_S = 10.0
SAMPLE = 500
"""People, and as many links, by which it is told how far it is."""
P99_MOST = 1.05
COPIED = 20_000
PEOPLE = (
    "participant_id", "nik_sealed", "nik_index", "name_sealed", "phone_sealed", "partner", "account_sealed",
    "account_index", "facts_at", "created_at",
)  # fmt: skip
LINKS = (
    "id", "participant", "client_id", "partner", "account_index", "account_sealed", "state", "return_url",
    "grant_sealed", "created_at", "updated_at",
)  # fmt: skip
console = Console()


class Later(SystemClock):
    """After every process has heard of the change."""

    def now(self) -> datetime:
        """A minute more than a key must have rested."""
        return super().now() + SETTLED + timedelta(minutes=1)


def sealed(vault: Vault, numbers: range, now: datetime) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    """A person and their link, for each number from 1 on."""
    for number in numbers:
        person, link, index = f"P{number:08d}", f"L{number:08d}", number.to_bytes(32, "big")
        yield (
            (
                person, vault.seal(places.nik(person), "3173010101909901"), index,
                vault.seal(places.name(person), "Orang Baik"), vault.seal(places.phone(person), "+628120000000"), "bni",
                vault.seal(places.account(person), "0123456789"), index, now, now,
            ),
            (
                link, number, "bench", "bni", index, vault.seal(places.link_account(link), "0123456789"), "active", "",
                vault.seal(places.link_grant(link), "a-token-of-usual-length-0123456789"), now, now,
            ),
        )  # fmt: skip


async def fill(dsn: str, people: int) -> None:
    """Everybody, sealed under the old key."""
    vault, now = Vault(OLD), datetime.now(UTC)
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(
            "INSERT INTO clients (id, name, secret_hash, scopes, created_at) VALUES ('bench', '', '', '{}', now())"
        )
        await connection.execute("SET session_replication_role = replica")
        for first in range(1, people + 1, COPIED):
            rows = list(sealed(vault, range(first, min(people + 1, first + COPIED)), now))
            await connection.copy_records_to_table("participants", columns=PEOPLE, records=[one for one, _ in rows])
            await connection.copy_records_to_table("links", columns=LINKS, records=[one for _, one in rows])
        await connection.execute("ANALYZE participants, links")
    finally:
        await connection.close()


class Load:
    """Clients that read a person and seal a grant anew, as verifying and paying do."""

    def __init__(self, store: Database, people: int) -> None:
        self._store, self._people, self._vault = store, people, Vault(OLD, NEW)
        self.vault = self._vault
        self.took_s: list[float] = []
        self.failed: list[str] = []
        self.over = asyncio.Event()

    async def client(self, seed: int) -> None:
        """Until it is over."""
        chance = random.Random(seed)
        while not self.over.is_set():
            started = time.perf_counter()
            try:
                await self._ask(chance.randint(1, self._people))
            except Exception as error:  # noqa: BLE001 - each failure is counted and told
                self.failed.append(repr(error)[:200])
            self.took_s.append(time.perf_counter() - started)
            await asyncio.sleep(PAUSE_S)

    async def _ask(self, number: int) -> None:
        person, link = f"P{number:08d}", f"L{number:08d}"
        async with self._store.transaction() as connection:
            row = await connection.fetchrow(
                "SELECT t.name_sealed, t.phone_sealed, l.account_sealed, l.grant_sealed FROM participants t"
                " JOIN links l ON l.participant = t.id WHERE t.id = $1 FOR NO KEY UPDATE OF t",
                number,
            )
            assert row is not None
            for place, value in zip(
                (places.name(person), places.phone(person), places.link_account(link), places.link_grant(link)),
                row,
                strict=True,
            ):
                self._vault.open(place, value)
            await connection.execute(
                "UPDATE links SET grant_sealed = $2, updated_at = now() WHERE id = $1",
                link,
                self._vault.seal(places.link_grant(link), "a-fresh-token-of-usual-length-0123"),
            )

    def taken(self) -> dict[str, float]:
        """Requests since the last call, and how long they took."""
        took, self.took_s = sorted(self.took_s), []
        return {
            "requests": len(took),
            "p50_ms": took[len(took) // 2] * 1e3,
            "p99_ms": took[len(took) * 99 // 100] * 1e3,
        }


async def rotated(dsn: str, key_id: str, per_s: float, limit_s: float) -> dict[str, Any]:
    """What `gateway keys rotate` says in the end, in a process of its own; raises `TimeoutError`, and ends it."""
    both = ",".join(base64.b64encode(key).decode() for key in (OLD, NEW))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", "keys", "rotate", key_id, "--per-second", str(per_s), "--json",
        stdout=asyncio.subprocess.PIPE, env=os.environ | {"DATABASE_URL": dsn, "GATEWAY_MASTER_KEY": both},
    )  # fmt: skip
    try:
        async with asyncio.timeout(limit_s):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    told: dict[str, Any] = json.loads(said)
    return told


async def tell(store: Database, rows: int, over: asyncio.Event) -> None:
    """How far it is, until it is over: under which key rows are sealed that are drawn by number. Whoever reads them all
    is a load of its own, and pages are no sample: what is sealed anew moves to other pages.
    """
    new, started = Vault(NEW).active_id, time.perf_counter()
    numbers = random.Random(1).sample(range(1, rows // 2 + 1), min(SAMPLE, rows // 2))
    while not over.is_set():
        async with store.connection() as connection:
            part = await connection.fetchval(
                "SELECT avg((substring(sealed FROM 1 FOR 2) = $1)::int) FROM ("
                "SELECT nik_sealed FROM participants WHERE id = ANY($2::bigint[])"
                " UNION ALL SELECT grant_sealed FROM links WHERE id = ANY($3::text[])) drawn (sealed)",
                new,
                numbers,
                [f"L{number:08d}" for number in numbers],
            )
        passed = time.perf_counter() - started
        console.print(f"{passed:.0f} s: {float(part or 0):.0%} of {rows} rows", highlight=False)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TELL_S):
                await over.wait()


async def measure(home: Path, rows: int, per_s: float, quiet_s: float) -> dict[str, Any]:
    """Change the key of a store of so many rows, at most `per_s` a second."""
    people = rows // 2
    async with EmbeddedPostgres(home / "postgres", durable=False) as server:
        await migrate(server.dsn)
        await witness.keep(server.dsn, Vault(OLD))
        await fill(server.dsn, people)
        store = await Database.open(server.dsn, size=CLIENTS + 4)
        load = Load(store, people)
        try:
            async with witness.following(store, load.vault), asyncio.TaskGroup() as group:
                for seed in range(CLIENTS):
                    group.create_task(load.client(seed))
                try:
                    result = await _change(store, server.dsn, load, rows, per_s, quiet_s)
                finally:
                    load.over.set()
        finally:
            await store.close()
    return result | {"failed": len(load.failed), "failures": load.failed[:5]}


async def _change(store: Database, dsn: str, load: Load, rows: int, per_s: float, quiet_s: float) -> dict[str, Any]:
    async with store.connection() as connection:
        await witness.check(connection, load.vault)
    await asyncio.sleep(quiet_s)
    before = load.taken()
    vault = Vault(OLD, NEW)
    (key_id,) = await Keys(store, SystemClock(), vault).add("bench")
    started, over = time.perf_counter(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(tell(store, rows, over))
        try:
            done = await rotated(dsn, key_id, per_s, 4 * rows / per_s + 120)
        finally:
            over.set()
    took_s = time.perf_counter() - started
    during = load.taken()
    last = await rotated(dsn, key_id, per_s, 4 * rows / per_s + 120)  # sealed before every process had heard
    await Keys(store, Later(), vault).retire(Vault(OLD).key_ids()[0].hex(), "bench")
    return {
        "rows": done["rows"], "seconds": took_s, "per_s": done["rows"] / took_s, "left": last["left"],
        "broken": done["broken"], "before": before, "during": during, "p99_ratio": during["p99_ms"] / before["p99_ms"],
    }  # fmt: skip


def show(result: dict[str, Any]) -> bool:
    """The table; whether all goals are met."""
    goals = {
        "requests that failed": (result["failed"], "0", result["failed"] == 0),
        "values left under the old key": (result["left"], "0", result["left"] == 0),
        "rows that opened under no key": (result["broken"], "0", result["broken"] == 0),
        "p99 against before": (f"{result['p99_ratio']:.3f}", f"<= {P99_MOST}", result["p99_ratio"] <= P99_MOST),
    }
    table = Table("what", "measured", "goal", "")
    table.add_row("rows sealed anew", f"{result['rows']} in {result['seconds']:.0f} s ({result['per_s']:.0f}/s)", "")
    for when in ("before", "during"):
        one = result[when]
        told = f"{one['requests']} requests, p50 {one['p50_ms']:.1f} ms, p99 {one['p99_ms']:.1f} ms"
        table.add_row(f"load {when}", told, "")
    for what, (measured, goal, held) in goals.items():
        table.add_row(what, str(measured), goal, "" if held else "[red]missed[/]")
    console.print(table)
    for told in result["failures"]:
        console.print(told)
    return all(held for _, _, held in goals.values())


def main() -> None:
    """Measure, show, judge."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.rotation", description=__doc__)
    parser.add_argument("--rows", type=int, default=300_000, help="sealed rows: half people, half links")
    parser.add_argument("--per-second", type=float, default=2_000, help="rows sealed anew a second, at most")
    parser.add_argument("--quiet", type=float, default=60.0, help="seconds of load before the change, to compare with")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = data_home(Path(folder) / "servers")
        result = asyncio.run(measure(home, arguments.rows, arguments.per_second, arguments.quiet))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")
    if not show(result):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
