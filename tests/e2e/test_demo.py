"""A whole demonstration in real processes: a worker killed in the middle, and nothing secret in anything it wrote."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import asyncpg
import pytest
from rich.console import Console
from typer.testing import CliRunner

import gateway.cli.demo
from gateway.demo import run as demo
from gateway.demo.cluster import Cluster
from gateway.demo.cohort import SMALL, read_cohort
from gateway.demo.stage import Stage
from gateway.embedded.process import demonstrations, own_directory

LIMIT_S = 400.0
KILLED_AFTER_SENDING = 5


def columns(path: Path, *names: str) -> set[str]:
    with path.open(newline="") as file:
        return {row[name] for row in csv.DictReader(file) for name in names if row[name]}


@pytest.fixture(scope="module")
def secrets() -> set[str]:
    """Everything about people in the cohort that must not be found anywhere; names are too short to search for."""
    found = columns(SMALL / "incentives.csv", "nik") | columns(SMALL / "world.csv", "nik_on_file", "card_no", "pin")
    accounts = columns(SMALL / "incentives.csv", "account", "phone") | columns(SMALL / "world.csv", "account", "phone")
    return (
        found
        | accounts
        | {account.removeprefix("+") for account in accounts}
        | {"0" + account.removeprefix("+62") for account in accounts if account.startswith("+62")}
    )


class Spy:
    """Kills a worker once some payouts have left, and looks at what stands in the database before it is gone."""

    def __init__(self, secrets: set[str]) -> None:
        self.secrets = secrets
        self.killed = 0
        self.leaks: list[str] = []
        self.searched = 0

    async def kill_a_worker(self, cluster: Cluster) -> None:
        connection = await asyncpg.connect(cluster.database_url)
        try:
            while await connection.fetchval("SELECT count(*) FROM payouts WHERE attempt > 0") < KILLED_AFTER_SENDING:
                await asyncio.sleep(0.02)
        finally:
            await connection.close()
        os.kill(cluster.processes["worker-1"].pid, signal.SIGKILL)
        self.killed += 1

    async def look_around(self, cluster: Cluster, stage: Stage, _: demo.Report) -> None:
        """Before everything is ended: every table as text, every log line, every environment-independent answer."""
        for path in (
            *(cluster.folder / "logs").iterdir(),
            cluster.folder / "postgres.log",
            cluster.folder / "valkey.log",
        ):
            self.search(path.name, path.read_text(errors="replace"))
        connection = await asyncpg.connect(cluster.database_url)
        try:
            tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            for (table,) in tables:
                sink = io.BytesIO()
                await connection.copy_from_query(f'SELECT * FROM "{table}"', output=sink, format="csv")
                self.search(table, sink.getvalue().decode())
        finally:
            await connection.close()
        keys = [value for name, value in cluster.environment.items() if name.endswith(("_KEY", "_SECRET", "_PEM"))]
        for path in (cluster.folder / "logs").iterdir():
            text = path.read_text(errors="replace")
            self.leaks += [f"{path.name}: a key" for key in keys if key and key in text]

    def search(self, where: str, text: str) -> None:
        self.searched += len(text)
        # PINs and OTPs have six digits and turn up inside longer numbers by chance: only as a whole word do they count.
        words = set("".join(c if c.isalnum() or c == "+" else " " for c in text).split())
        for secret in self.secrets:
            if len(secret) > 6 and secret in text or secret in words:
                self.leaks.append(f"{where}: {secret[:2]}...")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    path = demonstrations() / f"e2e-{os.getpid()}"
    own_directory(path, 0o755)
    yield path
    demo.remove(path)


async def test_a_worker_is_killed_and_every_figure_is_zero_and_nothing_leaks(secrets: set[str], folder: Path) -> None:
    spy = Spy(secrets)
    killing: list[asyncio.Task[None]] = []
    screen = io.StringIO()
    report = await demo.demonstrate(
        read_cohort(SMALL / "incentives.csv", SMALL / "world.csv", SMALL / "expected.csv"),
        folder=folder,
        seed=11,
        workers=2,
        limit_s=LIMIT_S,
        console=Console(file=screen),
        started=lambda cluster, _: killing.append(asyncio.create_task(spy.kill_a_worker(cluster))),
        finished=spy.look_around,
    )
    await asyncio.gather(*killing)
    assert report.findings.audit.clean(), (report.findings.audit, report.findings.mismatches)
    assert report.problems == []
    assert spy.killed == 1 and report.restarts == {"worker-1": 1}
    assert spy.searched > 100_000, "nothing was searched"
    written = report.as_json().decode()
    assert json.loads(written)["audit"] == dict.fromkeys(json.loads(written)["audit"], 0)
    spy.search("--json", written)
    spy.search("screen", screen.getvalue())
    assert "; drained" in screen.getvalue()
    assert spy.leaks == []


@pytest.mark.parametrize("clean", [True, False])
def test_its_exit_status_is_what_the_audit_found(clean: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    report = Mock()
    report.findings.audit.clean.return_value = clean
    monkeypatch.setattr(gateway.cli.demo, "_run", Mock(return_value=report))
    assert CliRunner().invoke(gateway.cli.app, ["demo"]).exit_code == (0 if clean else 1)


def test_the_search_would_find_a_leak(secrets: set[str]) -> None:
    spy = Spy(secrets)
    nik = next(secret for secret in sorted(secrets) if len(secret) == 16)
    spy.search("a log", f'{{"event": "x", "nik": "{nik}"}}')
    assert spy.leaks == [f"a log: {nik[:2]}..."]
