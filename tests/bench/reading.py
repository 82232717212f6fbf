"""`python -m tests.bench.reading`: what is read at the programme's size, from an API on a real PostgreSQL that holds so
many incentives: processor time of PostgreSQL and of the API for each answer.

Two programmes, a third each paid, due, and still to be linked; the table of what was looked at last is empty when its
statistics are taken, so that the plans are those that go wrong. The claim of a worker is measured with the rest, by the
side of a programme that has ten rows.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from rich.console import Console
from rich.table import Table

from gateway.clock import jakarta_day
from gateway.demo.cluster import free_ports, mock_credentials
from gateway.embedded import EmbeddedPostgres, EmbeddedValkey, data_home
from gateway.security.clients import register
from gateway.security.vault import Vault
from gateway.storage.base import witness
from gateway.storage.base.database import Database
from gateway.storage.base.migrate import migrate
from gateway.storage.payouts import queue
from tests.bench.cpu import cpu_s
from tests.bench.servers import answers, environment, process

_FEW = 10
_TIMES = 30
FILL = (
    """INSERT INTO programmes SELECT p, 'bench', $2::timestamptz FROM unnest('{large,small}'::text[]) AS p
    WHERE $1::int > 0""",
    """INSERT INTO batches (id, client_id, organisation, state, rows_accepted, rows_rejected, rows_repeated,
        amount_rupiah, content_root, received_at)
    SELECT 'b' || n, 'bench', 'bench', 'approved', 0, 0, 0, 0, '', $2 FROM generate_series(1, 20 + $1::int / 1000) n""",
    """INSERT INTO participants (participant_id, nik_sealed, nik_index, name_sealed, phone_sealed, partner,
        account_sealed, account_index, link_id, link_active, verified, verified_until, facts_at, created_at,
        organisation)
    SELECT 'P' || n, '', sha256(n::text::bytea), '', '', 'bni', '', sha256(('a' || n)::bytea), 'L' || n, n % 3 > 0,
        n % 3 > 0, $2::timestamptz + interval '90 days', $2, $2, 'bench' FROM generate_series(1, $1::int) AS n""",
    """INSERT INTO links (id, participant, client_id, partner, account_index, account_sealed, state, return_url,
        created_at, updated_at)
    SELECT link_id, id, 'bench', partner, account_index, '', CASE WHEN link_active THEN 'active' ELSE 'failed' END, '',
        $2, $2::timestamptz FROM participants WHERE $1::int > 0""",
    """INSERT INTO incentives (batch_id, line, programme, purpose, period, participant, participant_id, nik_index,
        partner, amount_rupiah, due_on, deadline_on, content_hash, approved, link_active, verified, payout, facts_at,
        created_at, organisation)
    SELECT 'b' || 1 + id % (20 + $1::int / 1000), id, 'large', 'survey', '1', id, participant_id, nik_index, partner,
        600000, ($2::timestamptz)::date - 3, ($2::timestamptz)::date + 60, '', true, link_active, verified,
        CASE WHEN id % 3 = 2 THEN 'succeeded' END, $2, $2, 'bench' FROM participants""",
    """INSERT INTO payouts (id, reference, incentive, participant, link_id, partner, amount_rupiah, state, created_at,
        updated_at, ended_at)
    SELECT id, lpad(id::text, 19, '0'), id, participant, 'L' || substr(participant_id, 2), partner, amount_rupiah,
        'succeeded', $2, $2, $2::timestamptz FROM incentives WHERE payout = 'succeeded' AND $1::int > 0""",
    """INSERT INTO events (type, subject, data, at)
    SELECT 'incentive.changed', id::text, jsonb_build_object('incentive_id', id::text, 'participant_id', participant_id,
        'stage', stage), $2::timestamptz FROM incentives WHERE $1::int > 0""",
)
_SMALL = (
    "UPDATE incentives SET programme = 'small' WHERE id IN (SELECT id FROM incentives WHERE stage = 'scheduled'"
    " ORDER BY id DESC LIMIT $1)"
)
PATHS = {
    "what still moves": "/v1/activity",
    "funnel": "/v1/funnel",
    "100 events": "/v1/events?limit=100&after={middle}",
    "1,000 events": "/v1/events?limit=1000&after={middle}",
    "incentives that nobody has": "/v1/incentives?stage=returned",
    "incentives by blocker": "/v1/incentives?blocker=link_required",
    "incentives by stage and partner": "/v1/incentives?stage=scheduled&partner=bni",
    "payouts": "/v1/payouts",
    "payouts in a state that none has": "/v1/payouts?state=unknown",
    "links": "/v1/links",
    "batches": "/v1/batches",
    "a batch's rows": "/v1/batches/b1/results?limit=200",
}
console = Console()


async def run(folder: Path, rows: int) -> dict[str, Any]:
    """Fill the store, then ask."""
    async with contextlib.AsyncExitStack() as stack:
        postgres = await stack.enter_async_context(EmbeddedPostgres(folder / "postgres", durable=False))
        valkey = await stack.enter_async_context(EmbeddedValkey(folder / "valkey"))
        await migrate(postgres.dsn)
        key = os.urandom(32)
        await witness.keep(postgres.dsn, Vault(key))
        database = await Database.open(postgres.dsn, by_key=True)
        stack.push_async_callback(database.close)
        now = datetime.now(UTC)
        client = await register(database, now, name="bench", scopes=("read", "batches"), organisation="bench")
        await _fill(postgres.dsn, rows, now)
        port = free_ports().api
        variables = environment(postgres.dsn, valkey.url, key, await mock_credentials(9100))  # nobody is called
        serve = ("gateway", "serve", "--port", str(port))
        api = await stack.enter_async_context(process(folder / "api.log", variables, *serve))
        url = f"http://127.0.0.1:{port}"
        await answers(f"{url}/health/live")
        pids = {"postgres": postgres.pid, "api": api.pid}
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=60, trust_env=False))
        reply = await http.post(
            "/oauth/token",
            data={"grant_type": "client_credentials"},
            auth=httpx.BasicAuth(client.client_id, client.secret),
        )
        http.headers["Authorization"] = f"Bearer {reply.raise_for_status().json()['access_token']}"
        first = (await http.get("/v1/events?limit=1")).raise_for_status().json()
        figures: dict[str, Any] = {}
        for name, path in PATHS.items():
            asked = path.format(middle=first["next_cursor"])
            figures[name] = await _measured(pids, lambda asked=asked: _get(http, asked))
            console.print(name, figures[name], style="dim")
        figures["a worker's claim of 100"] = await _measured(pids, lambda: _claim(database))
        return figures


async def _fill(dsn: str, rows: int, now: datetime) -> None:
    connection = await asyncpg.connect(dsn, command_timeout=3_600)
    try:
        await connection.execute("ANALYZE")  # of empty tables, before there is anything; nothing looks again meanwhile
        for table in ("incentives", "participants", "payouts", "links", "events"):
            await connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
        for statement in FILL:
            await connection.execute(statement, rows, now)
        await connection.execute(_SMALL, _FEW)
    finally:
        await connection.close()


async def _get(http: httpx.AsyncClient, path: str) -> None:
    (await http.get(path)).raise_for_status()


async def _claim(database: Database) -> None:
    """What a worker does for its next payouts, which is then taken back."""
    now = datetime.now(UTC)
    claim = queue.Claim(
        partner="bni", worker="bench", now=now, today=jakarta_day(now), lease_until=now + timedelta(seconds=30),
        instance="10", limit=100,
    )  # fmt: skip
    async with database.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        made, _ = await queue.reserve(connection, claim, queue.START)
        few = "SELECT count(*) FROM payouts p JOIN incentives i ON i.id = p.incentive WHERE i.programme = 'small'"
        got = await connection.fetchval(f"{few} AND p.id = ANY($1)", made)
        await transaction.rollback()
    if got != _FEW:
        raise SystemExit(f"{len(made)} payouts, {got} of them of the small programme")


async def _measured(pids: dict[str, int], ask: Any) -> dict[str, float]:
    """Milliseconds of processor time each, and the shortest time by the clock, of several alike."""
    await ask()
    before = {name: cpu_s(pid, with_children=True) for name, pid in pids.items()}
    took_s = []
    for _ in range(_TIMES):
        began = time.perf_counter()
        await ask()
        took_s.append(time.perf_counter() - began)
    used = {name: cpu_s(pid, with_children=True) - before[name] for name, pid in pids.items()}
    return {f"{name}_ms": round(1_000 * used[name] / _TIMES, 2) for name in used} | {
        "quickest_ms": round(1_000 * min(took_s), 2)
    }


def main() -> None:
    """Measure, show, and write the figures down."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.reading", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--rows", type=int, default=300_000, help="incentives in the store")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reading-") as folder:
        figures = asyncio.run(run(data_home(Path(folder) / "servers"), arguments.rows))
    table = Table("asked for", "PostgreSQL", "API", "quickest", title=f"{arguments.rows:,} incentives, ms an answer")
    for name, one in figures.items():
        table.add_row(name, str(one["postgres_ms"]), str(one["api_ms"]), str(one["quickest_ms"]))
    console.print(table)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
