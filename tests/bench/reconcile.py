"""`python -m tests.bench.reconcile`: a day of a million lines with breaks of every class, through the BNI adapter.

The pages are BNI's JSON, made as they are asked for; adapter, executor, service and PostgreSQL are the real ones. Time
and memory are reported, and the exit status is 1 unless exactly the breaks that were made are found.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
from rich.console import Console

from adapters.registry import PARTNERS
from contracts.money import decimal_string
from contracts.observation import StatementKind, StatementLine
from contracts.secret import Secret
from gateway.clock import JAKARTA, SystemClock, jakarta_day
from gateway.embedded import EmbeddedPostgres, data_home
from gateway.partners.desk import Desk
from gateway.partners.executor import Executor
from gateway.partners.tokens import Tokens
from gateway.partners.transport import Reply
from gateway.resources import Resources
from gateway.security.vault import Vault
from gateway.services.reconciliation.reconcile import Reconciliations
from gateway.settings import Settings, Waits
from gateway.storage.base.database import Database
from gateway.storage.base.migrate import migrate
from mock_partners.bni import CREDENTIALS
from tests.contract.stage import credentials
from tests.gateway.payouts.town import Quiet
from tests.gateway.reconciliation.day import WAYS, Breaking, Day, Expected, store

PARTNER = "bni"
PAGE_LINES = 1_000
EACH_WAY = 20
_KINDS = {
    StatementKind.CREDIT: ("TRANSFER", "DEBIT"),
    StatementKind.REVERSAL: ("REVERSAL", "CREDIT"),
    StatementKind.FEE: ("FEE", "DEBIT"),
}
console = Console()


class Bank:
    """The far side: a token, and the pages of one day in turn."""

    def __init__(self, day: Day) -> None:
        self._lines: Iterator[StatementLine] = day.lines()
        self._next = next(self._lines, None)

    async def send(
        self, method: str, target: str, headers: Mapping[str, str], content: bytes, timeout_s: float, limit_bytes: int
    ) -> Reply:
        if not target.endswith("bank-statement"):
            return _json(responseCode="2007300", accessToken="t", tokenType="BearerToken", expiresIn="900")
        page = json.loads(content)["additionalInfo"]["page"]
        rows = []
        while self._next is not None and len(rows) < PAGE_LINES:
            rows.append(_row(self._next))
            self._next = next(self._lines, None)
        more = "N" if self._next is None else "Y"
        return _json(
            responseCode="2001400", referenceNo="1", detailData=rows, additionalInfo={"page": page, "hasMore": more}
        )


def _json(**fields: Any) -> Reply:
    return Reply(200, {}, msgspec.json.encode({"responseMessage": "Successful"} | fields))


def _row(line: StatementLine) -> dict[str, Any]:
    kind, side = _KINDS[line.kind]
    return {
        "amount": {"value": decimal_string(line.amount_rupiah), "currency": "IDR"},
        "transactionDate": line.booked_at.astimezone(JAKARTA).isoformat(),
        "transactionId": line.partner_reference or "",
        "type": side,
        "additionalInfo": {
            "kind": kind,
            "partnerReferenceNo": line.reference or "",
            "beneficiaryAccountNo": line.account.reveal() if line.account else "",
        },
    }


def desk(day: Day, vault: Vault, clock: SystemClock) -> Desk:
    """BNI's, with the bank behind it."""
    partner = PARTNERS[PARTNER]
    bank = Bank(day)
    return Desk(
        partner,
        credentials=credentials(partner, CREDENTIALS["credentials"]),
        hosts=dict.fromkeys(partner.manifest.hosts, "http://127.0.0.1:1"),
        executor=Executor(PARTNER, dict.fromkeys(partner.manifest.hosts, bank), clock, Quiet()),
        tokens=Tokens(None, vault, clock),
        clock=clock,
        waits=Waits(),
    )


def peak_mib(pid: int) -> float:
    """The most memory a process has held."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 1024, 1)
    raise SystemExit("/proc tells no peak of memory")


def forget_peak() -> None:
    """Begin to measure the peak of this process anew."""
    Path("/proc/self/clear_refs").write_text("5")


async def measure(dsn: str, postgres: int, lines: int, seed: int) -> dict[str, Any]:
    """One comparison."""
    clock, vault = SystemClock(), Vault(os.urandom(32))
    day = Day(jakarta_day(clock.now()) - timedelta(days=1), lines)
    rng = random.Random(seed)
    breaking = Breaking(day, rng, referenced=True)
    numbers = iter(rng.sample(range(lines), len(WAYS) * EACH_WAY))
    for way in WAYS:
        for _ in range(EACH_WAY):
            breaking.apply(way, next(numbers))
    connection = await asyncpg.connect(dsn)
    started = time.perf_counter()
    await store(connection, vault, PARTNER, day)
    await connection.close()
    console.print(f"stored {lines} payouts in {time.perf_counter() - started:.0f} s", style="dim")
    database = await Database.open(dsn, size=2)
    settings = Settings(
        database_url=Secret(dsn), redis_url=Secret(""), master_key=Secret(""), public_url="http://127.0.0.1"
    )
    service = Reconciliations(
        Resources(
            settings=settings,
            clock=clock,
            database=database,
            redis=None,  # type: ignore[arg-type] - nothing here uses the cache
            vault=vault,
            desks={PARTNER: desk(day, vault, clock)},
        )
    )
    read_s = 0.0

    def told(_: int) -> None:
        nonlocal read_s
        read_s = time.perf_counter() - started

    forget_peak()
    before_mib = peak_mib(os.getpid())
    started = time.perf_counter()
    done = await service.run(PARTNER, day.day, actor="bench", told=told)
    took_s = time.perf_counter() - started
    breaks = await service.breaks(done.id, 0, 100_000)
    found = Expected((b.kind, int(b.payout_id) if b.payout_id else None, b.partner_reference) for b in breaks)
    backends = max(map(peak_mib, children(postgres)))
    by_class = await service.by_class(done.id)
    await database.close()
    return {
        "lines": done.totals.lines if done.totals else 0,
        "seconds": round(took_s, 1),
        "reading_s": round(read_s, 1),
        "comparing_s": round(took_s - read_s, 1),
        "classes": len(by_class),
        "by_class": by_class,
        "breaks_made": day.expected.total(),
        "breaks_found": found.total(),
        "missed": (day.expected - found).total(),
        "false": (found - day.expected).total(),
        "memory_mib": {"before": before_mib, "peak": peak_mib(os.getpid()), "largest_backend_peak": backends},
        "processors": os.cpu_count(),
    }


def children(pid: int) -> list[int]:
    """Processes that a process has started."""
    return [int(n) for task in Path(f"/proc/{pid}/task").glob("*/children") for n in task.read_text().split()]


async def main() -> None:
    """Set everything up, measure, report."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.reconcile")
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, dest="json_file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        async with EmbeddedPostgres(data_home(Path(folder) / "servers") / "postgres") as postgres:
            await migrate(postgres.dsn)
            report = await measure(postgres.dsn, postgres.pid, arguments.lines, arguments.seed)
    console.print_json(data=report)
    if arguments.json_file is not None:
        arguments.json_file.write_text(json.dumps(report, indent=2) + "\n")
    if report["missed"] or report["false"]:
        raise SystemExit(1)


if __name__ == "__main__":
    asyncio.run(main())
