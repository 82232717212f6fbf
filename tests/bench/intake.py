"""`python -m tests.bench.intake`: files handed over by `gateway batch submit` to a real API and PostgreSQL.

One as a spreadsheet writes it (a byte order mark, CR LF, each name in quotes with a comma inside) with each twentieth
row refused, then one of which every row is refused. Of both: rows a second from the command's start to its end,
processor time a row of command, API and PostgreSQL, and the most memory that command and API ever held.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import resource
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
from rich.console import Console
from rich.table import Table

from contracts.batch import COLUMNS
from gateway.demo.cluster import free_ports, mock_credentials
from gateway.embedded import EmbeddedPostgres, EmbeddedValkey, data_home
from gateway.security.clients import register
from gateway.security.vault import Vault
from gateway.storage.base import witness
from gateway.storage.base.database import Database
from gateway.storage.base.migrate import migrate
from tests.bench import people
from tests.bench.cpu import cpu_s, most_mb
from tests.bench.servers import answers, environment, process

REFUSED_EACH = 20
console = Console()


def write(path: Path, rows: int, *, refused_each: int, first: int = 0) -> None:
    """A file of `rows` people from the `first` on, of which each `refused_each`-th has a NIK of one digit."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        file.write(",".join(COLUMNS) + "\r\n")
        for n in range(first, first + rows):
            nik = "1" if n % refused_each == 0 else people.nik(n)
            file.write(
                f'kp,survey,1,F{n:07d},{nik},"ORANG {n}, S.Kom",+62813{n:08d},bni,{9_000_000_000 + n},'
                f"{people.AMOUNT_RUPIAH},2026-01-05,2099-12-31\r\n"
            )


async def run(folder: Path, rows: int, refused: int) -> dict[str, Any]:
    """Both files, one after the other."""
    async with contextlib.AsyncExitStack() as stack:
        postgres = await stack.enter_async_context(EmbeddedPostgres(folder / "postgres"))
        valkey = await stack.enter_async_context(EmbeddedValkey(folder / "valkey"))
        await migrate(postgres.dsn)
        key = os.urandom(32)
        await witness.keep(postgres.dsn, Vault(key))
        port = free_ports().api
        variables = environment(postgres.dsn, valkey.url, key, await mock_credentials(9100))  # nobody is called
        serve = ("gateway", "serve", "--port", str(port))
        api = await stack.enter_async_context(process(folder / "api.log", variables, *serve))
        url = f"http://127.0.0.1:{port}"
        await answers(f"{url}/health/live")
        variables |= await _client(postgres.dsn) | {"PRAKERJA_API_URL": url}
        pids = {"postgres": postgres.pid, "api": api.pid}
        mixed, bad = folder / "mixed.csv", folder / "bad.csv"
        write(mixed, rows, refused_each=REFUSED_EACH)
        write(bad, refused, refused_each=1, first=rows)
        return {
            "mixed": await _submit(folder, variables, mixed, rows, -(-rows // REFUSED_EACH), pids),
            "all_refused": await _submit(folder, variables, bad, refused, refused, pids),
        }


async def _client(dsn: str) -> dict[str, str]:
    """A client that hands batches over, and what it hands them over for."""
    database, now = await Database.open(dsn), datetime.now(UTC)
    client = await register(database, now, name="bench", scopes=("batches",), organisation="bench")
    await database.close()
    connection = await asyncpg.connect(dsn)
    await connection.execute("INSERT INTO programmes VALUES ('kp', 'bench', $1)", now)
    await connection.execute("INSERT INTO purposes VALUES ('kp', 'survey', 'bench', $1)", now)
    await connection.close()
    return {"PRAKERJA_CLIENT_ID": client.client_id, "PRAKERJA_CLIENT_SECRET": client.secret}


async def _submit(
    folder: Path, variables: dict[str, str], file: Path, rows: int, refused: int, pids: dict[str, int]
) -> dict[str, Any]:
    answer = folder / f"{file.stem}.json"
    before = {name: cpu_s(pid, with_children=True) for name, pid in pids.items()}
    ours, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = ("gateway", "batch", "submit", str(file), "--json", str(answer))
    async with process(folder / "submit.log", variables, *command) as child:
        status = await child.wait()
    took_s, spent = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if status != (1 if refused == rows else 0):
        raise SystemExit(f"the file was not taken: {(folder / 'submit.log').read_text()[-2000:]}")
    batch = json.loads(answer.read_text())
    if (batch["rows_accepted"], batch["rows_rejected"]) != (rows - refused, refused):
        raise SystemExit(f"{batch['rows_accepted']} rows accepted and {batch['rows_rejected']} refused of {rows}")
    used = {name: cpu_s(pid, with_children=True) - before[name] for name, pid in pids.items()}
    used["command"] = spent.ru_utime + spent.ru_stime - ours.ru_utime - ours.ru_stime
    return {
        "rows": rows,
        "rows_per_s": round(rows / took_s),
        "cpu_us_a_row": {name: round(1e6 * used[name] / rows, 1) for name in sorted(used)},
        "most_mb": {"api": round(most_mb(pids["api"])), "command": round(spent.ru_maxrss / 1024)},
    }


def main() -> None:
    """Measure, show, and write the figures down."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.intake", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--rows", type=int, default=100_000, help="of the first file")
    parser.add_argument("--refused", type=int, default=100_000, help="of the second, all of them refused")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="intake-") as folder:
        figures = asyncio.run(run(data_home(Path(folder) / "servers"), arguments.rows, arguments.refused))
    table = Table("file", "figure", "", title=f"{os.cpu_count()} processors")
    for name, of_file in figures.items():
        for what, figure in of_file.items():
            table.add_row(name.replace("_", " "), what.replace("_", " "), str(figure))
    console.print(table)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
