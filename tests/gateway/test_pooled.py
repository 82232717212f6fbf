"""The API behind a PgBouncer that lends a server's connection for one transaction: what it does with batches, single
rows, approvals, lists and comparisons is what it does without. A worker is refused: it is told by its connection what
must not leave, and asks each new one which database it is.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from gateway.embedded.process import unprivileged_account
from gateway.storage.base.database import Database
from tests.gateway.api.conftest import api, core, http
from tests.gateway.intake import test_approvals, test_batches, test_singles
from tests.gateway.reconciliation import test_breaks
from tests.gateway.reconciliation.conftest import bureau

__all__ = ("api", "bureau", "core", "http")
ALSO = (
    test_approvals.test_an_approval_waits_for_another_one_and_counts_it,
    test_batches.test_a_batch_all_of_conflicts_ends_as_one_row_at_a_time_would,
    test_batches.test_a_batch_is_stored_and_waits_for_approval,
    test_batches.test_a_race_of_equal_batches_stores_one,
    test_batches.test_a_race_of_overlapping_batches_accepts_each_row_once,
    test_batches.test_a_rejected_batch_is_cancelled_and_may_come_again,
    test_batches.test_approvals_race_to_exactly_one_decision,
    test_batches.test_conflicts_inside_one_batch,
    test_batches.test_conflicts_with_what_is_stored,
    test_batches.test_each_bad_row_is_named_and_the_rest_goes_on,
    test_batches.test_results_as_streams_and_pages,
    test_batches.test_two_others_approve_exactly_this_content,
    test_singles.test_one_key_is_one_row_whoever_comes_with_it_at_once,
    test_singles.test_one_that_cannot_be_stored_takes_nobody_with_it,
    test_singles.test_rows_handed_over_together_end_as_in_batches_one_after_the_other,
    test_breaks.test_a_clean_day_has_no_difference_to_the_rupiah,
    test_breaks.test_each_break_is_found_alone,
)
"""Tests of the same, which are collected here once more and find this module's `database`."""
globals().update({test.__name__: test for test in ALSO})
PGBOUNCER = os.environ.get("PGBOUNCER") or shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin")
_SINCE = (1, 21)
"""It knows what a client has prepared since then, and prepares it where the transaction goes."""
_FEW = 20
"""Its own default. A merge holds one while it waits for another merge, and needs one more to end: with three
connections, eight files at once stand still until PgBouncer gives up.
"""


def _version() -> tuple[int, ...] | None:
    if PGBOUNCER is None:
        return None
    told = subprocess.run([PGBOUNCER, "--version"], capture_output=True, text=True, check=True, timeout=10).stdout
    found = re.search(r"PgBouncer (\d+)\.(\d+)", told)
    return None if found is None else tuple(map(int, found.groups()))


if (_version() or (0,)) < _SINCE:
    pytest.skip(
        f"no PgBouncer {'.'.join(map(str, _SINCE))} or newer (PGBOUNCER names one): nothing shows that the API works"
        " behind it",
        allow_module_level=True,
    )


@pytest.fixture
async def database(database: str, tmp_path: Path) -> AsyncIterator[str]:
    """The test's database through a pooler that has a few connections for everybody."""
    parts = urlsplit(database)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "users").write_text(f'"{parts.username}" ""\n')
    (tmp_path / "pgbouncer.ini").write_text(
        f"""[databases]
* = host={parse_qs(parts.query)["host"][0]} user={parts.username}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {tmp_path}/users
pool_mode = transaction
default_pool_size = {_FEW}
max_prepared_statements = 500
"""
    )
    assert PGBOUNCER is not None
    account = unprivileged_account()  # the server's own, whose socket nobody else reaches
    as_whom = ["-u", account.pw_name] if account else []
    for path in (tmp_path, *tmp_path.parents):
        if as_whom and path.stat().st_uid == 0 and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o711)
    (tmp_path / "users").chmod(0o644)
    process = await asyncio.create_subprocess_exec(PGBOUNCER, "-q", *as_whom, str(tmp_path / "pgbouncer.ini"))
    try:
        pooled = f"postgresql://{parts.username}@127.0.0.1:{port}{parts.path}"
        await _answers(pooled, process)
        yield pooled
    finally:
        process.kill()  # asked to end, it waits for its clients
        await asyncio.wait_for(process.wait(), 10)


async def _answers(dsn: str, process: asyncio.subprocess.Process) -> None:
    for _ in range(20):
        assert process.returncode is None, "it ended"
        try:
            await (await asyncpg.connect(dsn, timeout=2)).close()
        except (OSError, asyncpg.PostgresError):
            await asyncio.sleep(0.05)
        else:
            return
    raise TimeoutError


async def test_transactions_of_many_share_few_connections(database: str) -> None:
    opened = await Database.open(database, size=40)
    try:

        async def one(number: int) -> int:
            async with opened.transaction() as connection:
                await connection.execute("SELECT pg_sleep(0.01)")
                return int(await connection.fetchval("SELECT pg_backend_pid() + 0 * $1::int", number))

        assert 1 < len(set(await asyncio.gather(*map(one, range(200))))) <= _FEW
    finally:
        await opened.close()


async def test_a_worker_does_not_start_behind_it(database: str) -> None:
    with pytest.raises(asyncpg.ProtocolViolationError, match="plan_cache_mode"):
        await Database.open(database, by_key=True)
